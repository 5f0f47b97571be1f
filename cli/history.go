package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/linearizability"
)

const (
	historyBytes  = 64 << 20 // of a file, at most
	shownFindings = 5        // of a file, at most
)

func (a *app) historyVerb() *cobra.Command {
	var weak bool
	var limit time.Duration
	var out string
	cmd := &cobra.Command{
		Use:   "history FILE...",
		Short: "hold recorded histories against the specification, and draw what is wrong",
		Long: `History reads what threads did and what they were answered, a record a line, and
says of each file whether the specification of kqueue allows it: ok, undecided
(the search did not end within the limit) or violation, of which rule and where.

With --out it writes a page for each file that is not ok, one that loads nothing:
a lane a thread, the longest order that the specification allows, the call that
does not fit and what would have been allowed. A page is named after its file,
and one that was there is written over.

A line is the thread, when it called and when that returned (nanoseconds, - if it
has not), the call, an arrow and the answer. Blank lines, and what follows a #,
are for people:

  # A call that begins after EV_DELETE has returned gets the event.
  0 0 1 kqueue => 0
  0 2 3 probe => 1
  0 4 5 set 1 7 => ok
  0 6 7 kevent 0: READ 1 ADD => ok
  2 10 20 kevent 0: READ 1 DELETE => ok
  1 30 40 kevent 0 room=1 => events READ 1 data=7

Exit status: 0 all are ok; 1 one is not, be it undecided; 2 bad usage, or a file
that does not parse, and then none is checked; 130 interrupted.`,
		Example: a.examples(
			"history linearizability/testdata/good/*.txt",
			"history --out pictures linearizability/testdata/bad/*.txt",
			"history --weak --limit 1m long.txt  a call may miss what is ready"),
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if len(args) == 0 {
			return usage(verb, "no file named: history takes one at least")
		}
		if limit < time.Millisecond || limit > 24*time.Hour {
			return usage(verb, "--limit %v: want 1ms to 24h", limit)
		}
		if cmd.Flags().Changed("out") && out == "" {
			return usage(verb, "--out is empty; want a folder")
		}
		var histories []linearizability.History
		for _, name := range args {
			h, err := readHistory(verb, name)
			if err != nil {
				return err
			}
			histories = append(histories, h)
		}
		return a.checkHistories(cmd.Context(), args, histories, linearizability.Options{Weak: weak, Limit: limit}, out)
	}
	f := cmd.Flags()
	f.BoolVar(&weak, "weak", false, "leave out completeness: a call may miss what is ready, if nobody sleeps for ever")
	f.DurationVar(&limit, "limit", 10*time.Second, "how long the search may take, for each file")
	f.StringVar(&out, "out", "", "folder for pictures of what is not ok; none are drawn without it")
	return cmd
}

func readHistory(verb, name string) (linearizability.History, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(verb, "%v", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, historyBytes+1))
	if err != nil {
		return nil, usage(verb, "%v", err)
	}
	if len(text) > historyBytes {
		return nil, usage(verb, "%s: longer than %d MiB", name, historyBytes>>20)
	}
	h, err := linearizability.Parse(name, string(text))
	if err != nil {
		return nil, usage("", "%v", err)
	}
	if len(h) == 0 {
		return nil, usage("", "%s: no record in it: want one at least, such as 0 0 1 kqueue => 0", name)
	}
	return h, nil
}

// checkHistories checks one after another and says what comes of each as soon as
// it is known.
func (a *app) checkHistories(ctx context.Context, names []string, histories []linearizability.History, o linearizability.Options, out string) error {
	width := 0
	for _, n := range names {
		width = max(width, len([]rune(n)))
	}
	p := newPaint(a.stdout)
	violations, undecided := 0, 0
	drawn := map[string]bool{}
	last := ""
	for i, h := range histories {
		if ctx.Err() != nil {
			return errInterrupted
		}
		r := linearizability.Check(h, o)
		switch r.Verdict {
		case linearizability.Violation:
			violations++
		case linearizability.Undecided:
			undecided++
		}
		printHistory(a.stdout, fmt.Sprintf("%-*s", width, names[i]), r, p)
		if out == "" || r.Verdict == linearizability.OK {
			continue
		}
		var err error
		if last, err = drawHistory(r, out, names[i], drawn); err != nil {
			return fmt.Errorf("--out: the picture of %s cannot be written: %w", names[i], err)
		}
	}
	switch len(drawn) {
	case 0:
	case 1:
		fmt.Fprintln(a.stdout, "picture:", last)
	default:
		fmt.Fprintf(a.stdout, "%d pictures in %s, each named after its file\n", len(drawn), out)
	}
	if violations+undecided == 0 {
		return nil
	}
	return fmt.Errorf("histories that are not ok: %d of %d (violations %d, undecided %d)", violations+undecided, len(names), violations, undecided)
}

// printHistory prints a line for each finding of a history, or that it is ok.
func printHistory(w io.Writer, name string, r *linearizability.Report, p paint) {
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "%s  %s         steps: %s, of projections: %s, in %v\n", name, p.green("ok"),
			commas(r.Parts), commas(r.Projections), r.Took.Round(10*time.Microsecond))
	}
	blank := strings.Repeat(" ", len([]rune(name)))
	for i, f := range r.Findings {
		if i == shownFindings {
			fmt.Fprintf(w, "%s  and %s more\n", blank, commas(len(r.Findings)-i))
			break
		}
		if i > 0 {
			name = blank
		}
		rule, _, _ := strings.Cut(f.Rule, ": ")
		verdict := p.with("33", fmt.Sprintf("%-9v", f.Verdict))
		if f.Verdict == linearizability.Violation {
			verdict = p.red(f.Verdict.String())
		}
		fmt.Fprintf(w, "%s  %s  %s: %s\n", name, verdict, f.Where, rule)
	}
	if len(r.Unchecked) > 0 {
		fmt.Fprintf(w, "%s  not checked, for it watches a kqueue: %s\n", blank, strings.Join(r.Unchecked, ", "))
	}
}

// drawHistory writes the page of a history into a folder and returns its name.
// Files of one name from several folders have a number behind it.
func drawHistory(r *linearizability.Report, folder, name string, drawn map[string]bool) (string, error) {
	stem := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	page := filepath.Join(folder, stem+".html")
	for n := 2; drawn[page]; n++ {
		page = filepath.Join(folder, fmt.Sprintf("%s-%d.html", stem, n))
	}
	drawn[page] = true
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	file, err := os.Create(page)
	if err != nil {
		return "", err
	}
	if _, err := r.Draw(file); err != nil {
		file.Close()
		return "", err
	}
	return page, file.Close()
}
