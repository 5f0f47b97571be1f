package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// isTerminal reports whether w is a terminal that can do more than print.
func isTerminal(w io.Writer) bool {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// hasColor reports whether colour is wanted on w: on a terminal, unless
// NO_COLOR is set to anything (no-color.org).
func hasColor(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

// paint adds colour, or not.
type paint bool

func newPaint(w io.Writer) paint { return paint(hasColor(w)) }

func (p paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string  { return p.with("1", s) }
func (p paint) dim(s string) string   { return p.with("2", s) }
func (p paint) red(s string) string   { return p.with("31", s) }
func (p paint) green(s string) string { return p.with("32", s) }

// A grid is a table; its first row is the head.
type grid [][]cell

type cell struct {
	text  string
	right bool
	paint func(string) string
}

func left(s string) cell  { return cell{text: s} }
func right(s string) cell { return cell{text: s, right: true} }

// print aligns the columns by what is seen, which colour does not add to.
func (g grid) print(w io.Writer, p paint) {
	var width []int
	for _, row := range g {
		for i, c := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	for n, row := range g {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text))
			text := c.text
			switch {
			case c.paint != nil:
				text = c.paint(text)
			case n == 0:
				text = p.dim(text)
			}
			if i > 0 {
				line.WriteString("  ")
			}
			if c.right {
				line.WriteString(pad + text)
			} else {
				line.WriteString(text + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// wrap breaks text into lines of at most width, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// A bar shows on a terminal how far the run is; elsewhere it is silent.
type bar struct {
	mu     sync.Mutex
	text   int                      // columns of words
	pb     *progressbar.ProgressBar // nil: silent
	ticker *time.Ticker
	done   chan struct{}

	// The span being worked on, and when it is due.
	from, to   float64
	start, end time.Time
}

const barSteps = 1000

func newBar(w io.Writer) *bar { return newBarOf(w, 40, 30) }

// newBarOf returns a bar of so many columns behind so many of words.
func newBarOf(w io.Writer, columns, text int) *bar {
	b := &bar{text: text}
	if !isTerminal(w) {
		return b
	}
	b.pb = progressbar.NewOptions(barSteps,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(columns),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionEnableColorCodes(false),
		// The package's own theme draws in characters of one font.
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}))
	b.ticker = time.NewTicker(100 * time.Millisecond)
	b.done = make(chan struct{})
	go func() {
		for {
			select {
			case <-b.ticker.C:
				b.draw()
			case <-b.done:
				return
			}
		}
	}()
	return b
}

// span says that the run goes from one fraction to another, in about d, doing
// what.
func (b *bar) span(from, to float64, d time.Duration, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pb == nil {
		return
	}
	b.from, b.to = from, to
	b.start = time.Now()
	b.end = b.start.Add(d)
	b.pb.Describe(fmt.Sprintf("%-*.*s", b.text, b.text, what))
}

// draw moves the bar by the clock, since a child says nothing before its end.
func (b *bar) draw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pb == nil {
		return
	}
	f := b.to
	if d := b.end.Sub(b.start); d > 0 {
		f = b.from + (b.to-b.from)*min(1, float64(time.Since(b.start))/float64(d))
	}
	b.pb.Set(min(barSteps-1, int(f*barSteps)))
}

// clear takes the bar off the screen, for good.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pb == nil {
		return
	}
	b.ticker.Stop()
	close(b.done)
	b.pb.Clear()
	b.pb = nil
}
