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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
)

// The control locks nothing, so a test that does not catch it has shown
// nothing about the others.
var control = strategies.Entry{Name: "none", Doc: "the control: locks nothing, and must be caught", New: none.New}

// An order is what a child process is told to do: the one argument of its verb,
// as JSON.
type order struct {
	Work     string // one of the kinds below
	Strategy string // its name; that of a planted fault begins with plantedPrefix
	Seed     uint64
	Budget   time.Duration
	Rounds   int `json:",omitempty"` // of stress, in place of the budget

	// Of a campaign.
	Workers  int           `json:",omitempty"`
	Deadline time.Duration `json:",omitempty"` // of a run
	Folder   string        `json:",omitempty"` // for what is found; it is not kept if empty
	Shrink   time.Duration `json:",omitempty"`

	// Of an exploration; Workers, Seed and Folder are of it too.
	Scenario  string `json:",omitempty"` // its name, or that of the file
	Script    string `json:",omitempty"` // of a file: the text
	Scheduler string `json:",omitempty"`
	Schedules int    `json:",omitempty"`
	Exhaust   bool   `json:",omitempty"`
	Placement bool   `json:",omitempty"` // it is drawn
	Spurious  int    `json:",omitempty"` // wakeups with no reason, at most

	Strategies []string `json:",omitempty"` // of a comparison of outcomes, in place of Strategy

	// Of an audit, which is of no strategy; Schedules is of it too.
	Devices []string `json:",omitempty"`
	Replay  string   `json:",omitempty"` // in place of devices
}

// The kinds of work.
const (
	workStress   = "stress"
	workCampaign = "campaign"
	workExplore  = "explore"
	workOutcomes = "outcomes"
	workSurvey   = "survey"
	workAudit    = "audit"
)

// patience is how long a child may go on without ending, or, if each, without a
// line of progress: however many rounds there are, one that does not end is a
// hang. Nothing is printed while a smaller script is looked for and drawn.
func (o *order) patience() (d time.Duration, each bool) {
	switch {
	case o.Work == workCampaign:
		return o.Deadline + o.Shrink + 2*grace, true
	case o.Work == workExplore || o.Work == workSurvey:
		return explorePatience, true
	case o.Work == workAudit:
		return auditPatience, true
	case o.Work == workOutcomes:
		return outcomesPatience + time.Duration(o.Schedules)*time.Millisecond, true
	case o.Rounds > 0:
		return 2 * grace, true
	}
	return o.Budget + grace, false
}

// explorePatience is how long an exploration may go without a word. It has one after
// a few hundred executions, and after each whose history took a search; and none while
// it looks for a token.
var explorePatience = tokenTime + 2*grace

// outcomesPatience is how long a comparison of outcomes may go without a word, beside
// the time that its executions may take: it has one after each round.
const outcomesPatience = time.Minute

// progress is what a child prints again and again, as a line of JSON, so that
// its parent knows how far it came even if it dies.
type progress struct {
	tallies
	Seed    uint64   `json:"seed,omitempty"`    // of the round
	Running []int    `json:"running,omitempty"` // scripts
	Finding string   `json:"finding,omitempty"`
	Perturb int      `json:"perturb,omitempty"` // of the run that has it
	Files   []string `json:"files,omitempty"`
	Shown   bool     `json:"shown,omitempty"`   // the finding, by the replay of the first file
	Unsaved string   `json:"unsaved,omitempty"` // why something is not among the files

	// Of an exploration.
	Explored *explored `json:"explored,omitempty"`
	Token    string    `json:"token,omitempty"`
	NoToken  string    `json:"notoken,omitempty"`

	// Of a comparison.
	Compared *compared `json:"compared,omitempty"`
	Wrong    string    `json:"wrong,omitempty"` // the strategy that has the finding

	Surveyed *surveyed `json:"surveyed,omitempty"`
	Audited  *audited  `json:"audited,omitempty"`
}

const (
	exitRace  = 66        // what the race detector exits with
	tailBytes = 256 << 10 // how much of a child's standard error is kept
)

// An ending is what became of a child.
type ending struct {
	progress
	spoke   bool  // there is progress
	hung    bool  // it was ended for want of patience
	stopped bool  // it was ended since the context had
	err     error // of its exit
	output  []byte
	took    time.Duration
}

// spawn has a child process carry out an order, and waits for its end. One that
// tries its parent's patience is asked for its stacks and then killed. Told, if not
// nil, is told of each line. The error is that there was no such process, or that it
// cannot be understood.
func (a *app) spawn(ctx context.Context, o *order, told func(*progress)) (*ending, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", o.Strategy, err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", o.Strategy, err)
	}
	cmd := exec.Command(exe, childVerb, string(text))
	race, reports, err := detector(o)
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", o.Strategy, err)
	}
	if reports != "" {
		defer os.RemoveAll(reports)
	}
	cmd.Env = append(os.Environ(), "GORACE="+strings.TrimSpace(os.Getenv("GORACE")+race))
	// The child ends when this pipe does, that is also when we are killed.
	// The terminal's Ctrl-C is for us, or we would take the child's end by it
	// for a crash: so the child is in a group of its own.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", o.Strategy, err)
	}
	defer lifeline.Close()
	report := lastLine{}
	if told != nil {
		report.told = func(line []byte) {
			var p progress
			if json.Unmarshal(line, &p) == nil { // of the last one it is said
				told(&p)
			}
		}
	}
	stderr := &ends{max: tailBytes / 2}
	cmd.Stdout, cmd.Stderr = &report, stderr
	cmd.WaitDelay = time.Second

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a process for %s: %w", o.Strategy, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	e := &ending{}
	patience, each := o.patience()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	done := report.last()
wait:
	select {
	case e.err = <-ended:
	case <-timer.C:
		if now := report.last(); each && !bytes.Equal(now, done) {
			done = now
			timer.Reset(patience)
			goto wait
		}
		e.hung = true
		cmd.Process.Signal(syscall.SIGQUIT) // prints where all threads are
		select {
		case e.err = <-ended:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
			e.err = <-ended
		}
	case <-ctx.Done():
		cmd.Process.Kill()
		<-ended
		e.stopped = true
	}
	e.took = time.Since(start)
	e.output = stderr.bytes()
	if reports != "" {
		files, _ := filepath.Glob(filepath.Join(reports, "*")) // the pattern is well formed
		for _, name := range files {
			if text, err := os.ReadFile(name); err == nil {
				e.output = append(e.output, text[:min(len(text), tailBytes)]...)
			}
		}
	}
	if line := report.last(); line != nil {
		e.spoke = true
		if err := json.Unmarshal(line, &e.progress); err != nil {
			return nil, fmt.Errorf("process for %s printed %q: %w", o.Strategy, line, err)
		}
	}
	return e, nil
}

// detector returns what a child's race detector is told, and a folder that its
// reports go to, if they do not go to the child's standard error. A report ends the
// child, so there are none to wait a second for at its end; but to one that explores
// it is a finding of the execution that it is at, which reads what it says, and makes
// the execution again.
func detector(o *order) (options, reports string, err error) {
	options = fmt.Sprintf(" halt_on_error=1 atexit_sleep_ms=0 exitcode=%d", exitRace)
	if o.Work != workExplore && o.Work != workAudit {
		return options, "", nil
	}
	options = fmt.Sprintf(" halt_on_error=0 atexit_sleep_ms=0 exitcode=%d suppress_equal_stacks=0 suppress_equal_addresses=0", exitRace)
	if raceBuild() {
		if reports, err = os.MkdirTemp("", "kqlab-races-"); err != nil {
			return "", "", err
		}
		options += " log_path=" + filepath.Join(reports, "report")
	}
	return options, reports, nil
}

// try has a strategy tried in a child process, and judges by its end.
func (a *app) try(ctx context.Context, e strategies.Entry, o order) (*verdict, error) {
	return a.tryTold(ctx, e, o, nil)
}

// tryTold is try, and tells of progress.
func (a *app) tryTold(ctx context.Context, e strategies.Entry, o order, told func(*progress)) (*verdict, error) {
	v := &verdict{Strategy: e.Name, Control: e.Name == control.Name, Seed: o.Seed, order: o}
	end, err := a.spawn(ctx, &o, told)
	if err != nil {
		return nil, err
	}
	v.Took, v.output, v.tallies, v.Files, v.execs = end.took, end.output, end.tallies, end.Files, end.Explored
	v.Token, v.noToken, v.compared = end.Token, end.NoToken, end.Compared
	v.Strategy = cmp.Or(end.Wrong, v.Strategy)
	v.Surveyed, v.shown, v.unsaved = end.Surveyed, end.Shown, end.Unsaved
	if end.stopped && end.Finding == "" {
		v.Unfinished = true
		return v, nil
	}
	var exit *exec.ExitError
	switch {
	case end.Finding != "":
		v.Caught, v.Finding = byFinding, end.Finding
		if strings.HasPrefix(end.Finding, "no data race") {
			v.Caught = byRace
		}
	case end.hung:
		patience, each := o.patience()
		v.Caught, v.Finding = byDeadline, fmt.Sprintf("did not end within %v; it had done %d operations", patience, v.Operations)
		if each {
			v.Finding = fmt.Sprintf("came no further for %v; it had done %d operations", patience, v.Operations)
		}
	case end.err == nil && (v.Rounds > 0 || v.execs != nil):
		v.Correct = true
		return v, nil
	case end.err == nil:
		return nil, fmt.Errorf("process for %s ended without a word", e.Name)
	case errors.As(end.err, &exit) && exit.ExitCode() == exitRace:
		v.Caught, v.Finding = byRace, raceLine(v.output)
	case errors.As(end.err, &exit) && bytes.HasPrefix(v.output, []byte(childRefusal)):
		return nil, errors.New(strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(string(v.output), childRefusal)), a.name+": "))
	case errors.As(end.err, &exit):
		v.Caught, v.Finding = byCrash, cmp.Or(crashLine(v.output), end.err.Error())
	default:
		return nil, fmt.Errorf("process for %s: %w", e.Name, end.err)
	}
	switch o.Work {
	case workCampaign:
		return v, a.keep(v, end)
	case workExplore, workOutcomes, workSurvey:
		return v, nil
	}
	// The round that went wrong is the one after the last that was reported,
	// except that a finding is reported with its round. The schedule is not in
	// the seed, so the command goes on to other rounds if that one passes.
	bad := o.Seed + uint64(v.Rounds)
	if v.Caught == byFinding {
		bad = end.Seed
	}
	v.Again = fmt.Sprintf("%s stress --seed %d --budget %v %s", a.program, bad, max(10*time.Second, 2*o.Budget), e.Name)
	return v, nil
}

const (
	childVerb = "try-here"
	// childRefusal begins what a child says if the fault is not in the strategy
	// but in what the child was told.
	childRefusal = childVerb + ": "
	// plantedPrefix cannot begin a name that a user gives: see vet.
	plantedPrefix = "planted/"
)

// childVerb carries out an order in this process and writes [progress] lines.
func (a *app) childVerb() *cobra.Command {
	cmd := &cobra.Command{Use: childVerb, Hidden: true, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refuse := func(err error) error {
			fmt.Fprint(a.stderr, childRefusal)
			return err
		}
		if len(args) != 1 {
			return refuse(usage("", "want one order, got %q", args))
		}
		var o order
		dec := json.NewDecoder(strings.NewReader(args[0]))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&o); err != nil {
			return refuse(usage("", "order %q: %v", args[0], err))
		}
		if o.Work == workAudit {
			watchParent()
			if err := auditing(cmd.Context(), a.stdout, &o); err != nil {
				return refuse(err)
			}
			return nil
		}
		names := o.Strategies
		if names == nil {
			names = []string{o.Strategy}
		}
		var entries []strategies.Entry
		for _, name := range names {
			e, err := a.ordered(name)
			if err != nil {
				return refuse(err)
			}
			entries = append(entries, e)
		}
		e := entries[0]
		switch o.Work {
		case workStress, workCampaign, workSurvey:
		case workExplore, workOutcomes:
			if err := o.fits(); err != nil {
				return refuse(usage("", "%v", err))
			}
		default:
			return refuse(usage("", "work %q: want %s, %s, %s, %s, %s or %s", o.Work, workStress, workCampaign, workExplore, workOutcomes, workSurvey, workAudit))
		}
		watchParent()
		switch o.Work {
		case workStress:
			return rehearse(a.stdout, e, &o)
		case workCampaign:
			if err := campaign(cmd.Context(), a.stdout, e, &o); err != nil {
				return refuse(err)
			}
			return nil
		case workExplore:
			if err := exploring(cmd.Context(), a.stdout, e, &o); err != nil {
				return refuse(err)
			}
		case workSurvey:
			if err := surveying(cmd.Context(), a.stdout, e, &o); err != nil {
				return refuse(err)
			}
		case workOutcomes:
			if err := comparing(cmd.Context(), a.stdout, entries, &o); err != nil {
				return refuse(err)
			}
		}
		return nil
	}
	return cmd
}

// ordered returns the strategy that an order names.
func (a *app) ordered(name string) (strategies.Entry, error) {
	if fault, ok := strings.CutPrefix(name, plantedPrefix); ok {
		for _, f := range broken.All {
			if f.Name == fault {
				return f.Entry, nil
			}
		}
		return strategies.Entry{}, usage("", "no planted fault is named %q", fault)
	}
	found, err := a.find("", []string{name})
	if err != nil {
		return strategies.Entry{}, err
	}
	return found[0], nil
}

// watchParent ends this process when its standard input does.
func watchParent() {
	go func() {
		io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		os.Exit(exitWrong)
	}()
}
