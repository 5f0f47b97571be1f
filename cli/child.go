package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
)

// The control locks nothing, so a stress test that does not catch it has shown
// nothing about the others.
var control = strategies.Entry{Name: "none", Doc: "the control: locks nothing, and must be caught", New: none.New}

// A verdict is what the stress test says about one strategy. Each strategy is
// tried in a process of its own: a wrong one may hang, crash or corrupt it.
type verdict struct {
	Strategy   string        `json:"strategy"`
	Control    bool          `json:"control,omitempty"` // was to be caught
	Correct    bool          `json:"correct"`           // no finding, and nothing else went wrong
	Unfinished bool          `json:"unfinished,omitempty"`
	Caught     string        `json:"caught,omitempty"`  // how: one of the words below
	Finding    string        `json:"finding,omitempty"` // what the process said
	Again      string        `json:"again,omitempty"`   // the command that shows it again
	Rounds     int           `json:"rounds"`
	Operations uint64        `json:"operations"`
	Events     uint64        `json:"events"`
	Seed       uint64        `json:"seed"` // of the first round; each later one adds 1
	Took       time.Duration `json:"took"` // ns

	output []byte // the end of its standard error
}

// How a strategy was caught.
const (
	byFinding  = "finding"     // the stress test names the property that does not hold
	byRace     = "race report" // the race detector's
	byCrash    = "crash"
	byDeadline = "deadline" // it hung
)

// progress is what a child prints after each round, as a line of JSON, so that
// its parent knows how far it came even if it dies.
type progress struct {
	Seed       uint64 `json:"seed"`
	Rounds     int    `json:"rounds"`
	Operations uint64 `json:"operations"`
	Events     uint64 `json:"events"`
	Finding    string `json:"finding,omitempty"`
}

const (
	exitRace  = 66        // what the race detector exits with
	tailBytes = 256 << 10 // how much of a child's standard error is kept
)

// try runs the stress test on one strategy in a child process, rounds with
// seeds seed, seed+1, ... for the given time, or for the given number of
// rounds if that is not 0. A child that has not ended after the time and a
// grace for its last round, or in which no round ends for two of those, is asked for its stacks and then killed.
func (a *app) try(ctx context.Context, e strategies.Entry, seed uint64, budget time.Duration, rounds int) (*verdict, error) {
	v := &verdict{Strategy: e.Name, Control: e.Name == control.Name, Seed: seed}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", e.Name, err)
	}
	deadline := budget + grace
	if rounds > 0 {
		deadline = 2 * grace // for each round: see below
	}
	cmd := exec.Command(exe, childVerb, "--strategy", e.Name, "--seed", fmt.Sprint(seed),
		"--budget", budget.String(), "--rounds", fmt.Sprint(rounds))
	cmd.Env = append(os.Environ(), "GORACE="+strings.TrimSpace(os.Getenv("GORACE")+fmt.Sprintf(" halt_on_error=1 exitcode=%d", exitRace)))
	// The child ends when this pipe does, that is also when we are killed.
	// The terminal's Ctrl-C is for us, or we would take the child's end by it
	// for a crash: so the child is in a group of its own.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", e.Name, err)
	}
	defer lifeline.Close()
	var report lastLine
	stderr := &ends{max: tailBytes / 2}
	cmd.Stdout, cmd.Stderr = &report, stderr
	cmd.WaitDelay = time.Second

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", e.Name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	hung := false
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	done := report.last()
wait:
	select {
	case err = <-ended:
	case <-timer.C:
		// However many rounds there are, one that does not end is a hang.
		if now := report.last(); rounds > 0 && !bytes.Equal(now, done) {
			done = now
			timer.Reset(deadline)
			goto wait
		}
		hung = true
		cmd.Process.Signal(syscall.SIGQUIT) // prints where all threads are
		select {
		case err = <-ended:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
			err = <-ended
		}
	case <-ctx.Done():
		cmd.Process.Kill()
		<-ended
		v.Unfinished = true
	}
	v.Took = time.Since(start)
	v.output = stderr.bytes()

	var p progress
	if line := report.last(); line != nil {
		if jerr := json.Unmarshal(line, &p); jerr != nil {
			return nil, fmt.Errorf("process for %s printed %q: %w", e.Name, line, jerr)
		}
	}
	v.Rounds, v.Operations, v.Events = p.Rounds, p.Operations, p.Events
	if v.Unfinished {
		return v, nil
	}
	var exit *exec.ExitError
	switch {
	case hung:
		v.Caught = byDeadline
		v.Finding = fmt.Sprintf("did not end within %v; it had done %d operations", deadline, v.Operations)
	case p.Finding != "":
		v.Caught, v.Finding = byFinding, p.Finding
	case err == nil && v.Rounds > 0:
		v.Correct = true
		return v, nil
	case err == nil:
		return nil, fmt.Errorf("process for %s ended without a word", e.Name)
	case errors.As(err, &exit) && exit.ExitCode() == exitRace:
		v.Caught, v.Finding = byRace, raceLine(v.output)
	case errors.As(err, &exit) && exit.ExitCode() == exitUsage && bytes.HasPrefix(v.output, []byte(childRefusal)):
		return nil, errors.New(strings.TrimSpace(string(v.output)))
	case errors.As(err, &exit):
		v.Caught, v.Finding = byCrash, cmp.Or(crashLine(v.output), err.Error())
	default:
		return nil, fmt.Errorf("process for %s: %w", e.Name, err)
	}
	// The round that went wrong is the one after the last that was reported,
	// except that a finding is reported with its round. The schedule is not in
	// the seed, so the command goes on to other rounds if that one passes.
	bad := seed + uint64(v.Rounds)
	if v.Caught == byFinding {
		bad = p.Seed
	}
	v.Again = fmt.Sprintf("%s stress --seed %d --budget %v %s", a.program, bad, max(10*time.Second, 2*budget), e.Name)
	return v, nil
}

// crashLine finds the line of a Go crash that says what happened.
func crashLine(out []byte) string {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		for _, p := range []string{"fatal error: ", "panic: ", "runtime: "} {
			if strings.HasPrefix(line, p) {
				return line
			}
		}
	}
	return ""
}

// raceLine says in a line between what the race detector has seen the race.
func raceLine(out []byte) string {
	var sides []string
	side := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if side != "" && line != "" {
			sides = append(sides, side+" in "+line)
			side = ""
		}
		if what, _, ok := strings.Cut(line, " at 0x"); ok && strings.Contains(line, " by ") && len(sides) < 2 {
			side = strings.ToLower(what)
		}
	}
	if len(sides) < 2 {
		return "data race"
	}
	return "data race: " + strings.Join(sides, "; ")
}

// lastLine is a writer that keeps the last whole line.
type lastLine struct {
	mu   sync.Mutex
	part []byte
	line []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line = bytes.Clone(l.part[:i])
		l.part = l.part[i+1:]
	}
}

func (l *lastLine) last() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}

// ends is a writer that keeps the first and the last bytes, at least max each: a crash says
// at its beginning what happened, and a hang may print without end.
type ends struct {
	mu    sync.Mutex
	max   int
	first []byte
	rest  []byte
	lost  int
}

func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	room := min(e.max-len(e.first), len(p))
	e.first = append(e.first, p[:room]...)
	e.rest = append(e.rest, p[room:]...)
	if len(e.rest) > 2*e.max { // seldom, so that moving the rest is cheap
		over := len(e.rest) - e.max
		e.lost += over
		e.rest = append(e.rest[:0], e.rest[over:]...)
	}
	return n, nil
}

func (e *ends) bytes() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := bytes.Clone(e.first)
	if e.lost > 0 {
		out = fmt.Appendf(out, "\n... %d bytes left out ...\n", e.lost)
	}
	return append(out, e.rest...)
}

// watchParent ends this process when its standard input does.
func watchParent() {
	go func() {
		io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		os.Exit(exitWrong)
	}()
}
