package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/giant"
)

// Strategies from outside: one that is right, and those that are wrong in ways
// that would take the process with them.
var (
	mine = strategies.Entry{Name: "mine", Doc: "giant under another name", New: giant.New}

	crashing = strategies.Entry{Name: "crashing", Doc: "panics when entered", New: func(*machine.Machine) kqueue.Strategy {
		return faulty{func() { panic("no such place") }}
	}}
	exiting = strategies.Entry{Name: "exiting", Doc: "ends the process when entered", New: func(*machine.Machine) kqueue.Strategy {
		return faulty{func() { os.Exit(9) }}
	}}
	dropping = strategies.Entry{Name: "dropping", Doc: "giant that drops what is to be delivered", New: func(m *machine.Machine) kqueue.Strategy {
		d := &drops{mp: m.MPLock()}
		d.sources.Domain, d.queues.Domain = d, d
		return d
	}}
	hanging = strategies.Entry{Name: "hanging", Doc: "never lets anybody in", New: func(*machine.Machine) kqueue.Strategy {
		return faulty{func() {
			for {
				time.Sleep(time.Hour)
			}
		}}
	}}
	// flagging passes the check, which is in another process, and tires
	// while it is measured.
	flagging = strategies.Entry{Name: "flagging", Doc: "panics from its sixth machine on", New: func(m *machine.Machine) kqueue.Strategy {
		if machines.Add(1) >= 6 && !slices.Contains(os.Args, cli.ChildVerb) {
			return faulty{func() { panic("too tired") }}
		}
		return giant.New(m)
	}}
	machines, shifted atomic.Int64

	// lingering is wrong, and its failure takes for ever to be made smaller: the execution
	// that has it is made again twice, first to see that it comes out the same.
	lingering = strategies.Entry{Name: "lingering", Doc: "panics when entered, and hangs from its third machine on", New: func(*machine.Machine) kqueue.Strategy {
		if machines.Add(1) < 3 {
			return faulty{func() { panic("no such place") }}
		}
		return faulty{func() {
			os.WriteFile("lingers", nil, 0o666)
			time.Sleep(time.Hour)
		}}
	}}

	// shifting is on each machine another than on the last few, and so no execution comes out the same twice.
	shifting = strategies.Entry{Name: "shifting", Doc: "comes by a point more on each machine", New: func(*machine.Machine) kqueue.Strategy {
		return &shifts{looks: int(shifted.Add(1) % 32)}
	}}

	extras = []strategies.Entry{mine, crashing, exiting, dropping, hanging, flagging, shifting, lingering}
)

type faulty struct{ enter func() }

func (f faulty) Source(*machine.Thread) *kqueue.Place                { return &kqueue.Place{Domain: f} }
func (f faulty) Queue(*machine.Thread) *kqueue.Place                 { return &kqueue.Place{Domain: f} }
func (f faulty) Enter(*machine.Thread)                               { f.enter() }
func (f faulty) Exit(*machine.Thread)                                {}
func (f faulty) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (f faulty) Deliver(td *machine.Thread, kn *kqueue.Knote)        { kqueue.Activate(td, kn) }

type drops struct {
	mp              *machine.Token
	sources, queues kqueue.Place
}

func (d *drops) Source(*machine.Thread) *kqueue.Place                { return &d.sources }
func (d *drops) Queue(*machine.Thread) *kqueue.Place                 { return &d.queues }
func (d *drops) Enter(td *machine.Thread)                            { td.Get(d.mp) }
func (d *drops) Exit(td *machine.Thread)                             { td.Put(d.mp) }
func (d *drops) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (d *drops) Deliver(*machine.Thread, *kqueue.Knote)              {}

// shifts has one lock for all, and looks at a word before it takes that, so many times.
type shifts struct {
	looks int
	mu    machine.Mutex
	word  machine.Uint32
	place kqueue.Place
}

func (s *shifts) Source(td *machine.Thread) *kqueue.Place { return s.Queue(td) }
func (s *shifts) Queue(*machine.Thread) *kqueue.Place {
	s.place.Domain = s
	return &s.place
}
func (s *shifts) Enter(td *machine.Thread) {
	for range s.looks {
		s.word.Load(td)
	}
	s.mu.Lock(td)
}
func (s *shifts) Exit(td *machine.Thread) { s.mu.Unlock(td) }
func (s *shifts) Sleep(td *machine.Thread, until time.Duration) error {
	s.Exit(td)
	defer s.Enter(td)
	return td.Sleep(until)
}
func (s *shifts) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	s.mu.Lock(td)
	kqueue.Activate(td, kn)
	s.mu.Unlock(td)
}

// TestMain lets the verbs start this binary again, as they start the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == cli.ChildVerb {
		os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr, extras...))
	}
	os.Exit(m.Run())
}

// kqlab runs a command line that has the extra strategies. Where the machine is
// busy, threads that lock nothing may pass each other by for the moment that a
// test gives them; then it runs again, ten times at most.
func kqlab(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	for range 10 {
		var o, e bytes.Buffer
		status = cli.Run(args, &o, &e, extras...)
		stdout, stderr = o.String(), e.String()
		if !strings.Contains(stderr, "the control was not caught") {
			break
		}
		machines.Store(0)
	}
	return status, stdout, stderr
}

// inFolder runs the test in a folder of its own, since a report goes there.
func inFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
}

func TestBadUsage(t *testing.T) {
	inFolder(t)
	if err := os.WriteFile("file", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("taken/index.html", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		says []string
	}{
		{"compar", []string{`unknown verb "compar"`, "did you mean compare?", "valid: audit, bench, check, compare, explore, history, list, outcomes, replay, run, stress"}},
		{"help compar", []string{`unknown verb "compar"`}},
		{"--strategies x", []string{`unknown flag "--strategies"`}},
		{"compare -x", []string{`unknown flag "-x"`, "--budget"}},
		{"compare --strategis x", []string{`unknown flag "--strategis"`, "did you mean --strategies?", "--budget"}},
		{"compare --strategies", []string{"--strategies"}},
		{"compare --strategies gaint", []string{`unknown strategy "gaint"`, "did you mean giant?", "giant, globaltoken, pcpu, mine, crashing, exiting, dropping, hanging, flagging, shifting, lingering, none"}},
		{"compare --strategies giant,,pcpu", []string{`unknown strategy ""`}},
		{"compare --strategies=", []string{"no strategy named", "giant"}},
		{"compare --workloads singel", []string{`unknown workload "singel"`, "did you mean single?", "disjoint"}},
		{"compare --workloads=", []string{"no workload named"}},
		{"compare --format xml", []string{`unknown format "xml"`, "table, json, bench"}},
		{"compare --budget soon", []string{`--budget "soon"`, "a duration such as"}},
		{"compare --budget 1ms", []string{"--budget 1ms: want 10ms to 24h"}},
		{"compare --budget -3s", []string{"--budget -3s: want 10ms to 24h"}},
		{"compare --seed -1", []string{`--seed "-1"`, "a whole number"}},
		{"compare --out=", []string{"--out is empty"}},
		{"compare --out file", []string{"--out: a report cannot be written to file"}},
		{"compare --out file/below", []string{"--out: a report cannot be written to file/below"}},
		{"compare --out taken", []string{"index.html is there and is not a plain file"}},
		{"compare giant", []string{`compare takes no arguments, got "giant"`}},
		{"bench", []string{"no workload named", "single", "goals"}},
		{"bench singel", []string{`unknown workload "singel"`, "did you mean single?", "goals"}},
		{"bench single --strategies gaint", []string{`unknown strategy "gaint"`}},
		{"bench single --format yaml", []string{`unknown format "yaml"`}},
		{"bench single --out file", []string{"--out: a report cannot be written to file"}},
		{"bench single --budget 25h", []string{"want 10ms to 24h"}},
		{"list strategy", []string{`unknown kind "strategy"`, "strategies, workloads, scenarios, schedulers, devices, formats"}},
		{"list --format bench", []string{`unknown format "bench"`, "table, json"}},
		{"check giant", []string{`check takes no arguments, got "giant"`}},
		{"check --strategies gaint", []string{`unknown strategy "gaint"`, "did you mean giant?"}},
		{"check --strategies no-second-look", []string{`unknown strategy "no-second-look"`}},
		{"check --strategies planted/none", []string{`unknown strategy "planted/none"`}},
		{"check --strategies=", []string{"no strategy named"}},
		{"check --budget 1ms", []string{"--budget 1ms: want 10ms to 24h"}},
		{"check --workers -1", []string{"--workers -1: want 0"}},
		{"check --workers many", []string{`--workers "many"`, "a whole number"}},
		{"check --seed -1", []string{`--seed "-1"`, "a whole number"}},
		{"check --format bench", []string{`unknown format "bench"`, "table, json"}},
		{"check --out=", []string{"--out is empty"}},
		{"check --out file", []string{"--out: a report cannot be written to file"}},
		{"stress gaint", []string{`unknown strategy "gaint"`}},
		{"stress --rounds -1", []string{"--rounds -1: want 0"}},
		{"stress --rounds some", []string{`--rounds "some"`, "a whole number"}},
		{"stress --format bench", []string{`unknown format "bench"`}},
	} {
		t.Run(c.args, func(t *testing.T) {
			status, stdout, stderr := kqlab(t, strings.Fields(c.args)...)
			if status != cli.ExitUsage {
				t.Errorf("exit status %d, want %d", status, cli.ExitUsage)
			}
			if stdout != "" {
				t.Errorf("standard output is %q, want nothing", stdout)
			}
			for _, s := range c.says {
				if !strings.Contains(stderr, s) {
					t.Errorf("standard error lacks %q:\n%s", s, stderr)
				}
			}
		})
	}
	left, err := filepath.Glob("report*")
	if err != nil || left != nil {
		t.Errorf("folders left after bad usage: %v, %v", left, err)
	}
}

func TestExtraStrategiesAreVetted(t *testing.T) {
	for _, c := range []struct {
		entry strategies.Entry
		says  string
	}{
		{strategies.Entry{Name: "giant", New: giant.New}, `two strategies are named "giant"`},
		{strategies.Entry{Name: "none", New: giant.New}, `two strategies are named "none"`},
		{strategies.Entry{Name: "a,b", New: giant.New}, `named "a,b"`},
		{strategies.Entry{Name: "../up", New: giant.New}, `named "../up"`},
		{strategies.Entry{Name: "", New: giant.New}, `named ""`},
		{strategies.Entry{Name: "empty"}, `strategy "empty" has no New`},
	} {
		var stdout, stderr bytes.Buffer
		if status := cli.Run([]string{"list"}, &stdout, &stderr, c.entry); status != cli.ExitUsage || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%q: status %d, said %q; want %d and %q", c.entry.Name, status, stderr.String(), cli.ExitUsage, c.says)
		}
	}
}

func TestHelpOfEveryVerb(t *testing.T) {
	for _, args := range []string{"", "--help", "help", "compare --help", "bench --help", "check --help", "explore --help", "stress --help", "run --help", "replay --help", "history --help", "audit --help", "list --help", "help bench"} {
		status, stdout, stderr := kqlab(t, strings.Fields(args)...)
		if status != cli.ExitOK || stderr != "" {
			t.Errorf("%q: status %d, standard error %q", args, status, stderr)
		}
		for _, s := range []string{"Examples:", "Usage:", "Exit status"} {
			if !strings.Contains(stdout, s) {
				t.Errorf("%q lacks %q:\n%s", args, s, stdout)
			}
		}
	}
}

func TestList(t *testing.T) {
	status, stdout, stderr := kqlab(t, "list")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, standard error %q", status, stderr)
	}
	for _, s := range []string{"giant", "globaltoken", "pcpu", "none", "mine", mine.Doc, "single", "pipetest", "goals", "standard", "generated", "pct:3", "json"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("list lacks %q:\n%s", s, stdout)
		}
	}
	for line := range strings.Lines(stdout) {
		if len(line) > 101 {
			t.Errorf("%d columns, want at most 100: %s", len(line)-1, line)
		}
	}

	_, stdout, _ = kqlab(t, "list", "--format", "json", "workloads")
	for line := range strings.Lines(stdout) {
		var l struct{ Kind, Name, Doc string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Kind != "workloads" || l.Name == "" || l.Doc == "" {
			t.Errorf("line %q: %+v, %v", line, l, err)
		}
	}
}

func TestNearest(t *testing.T) {
	valid := []string{"giant", "globaltoken", "pcpu", "none", "cas"}
	for name, want := range map[string]string{
		"gaint": "giant", "GIANT": "giant", "global-token": "globaltoken", "pcp": "pcpu", "cats": "cas",
		"finegrained": "", "x": "", "": "",
	} {
		if got := cli.Nearest(name, valid); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestShellLine(t *testing.T) {
	got := cli.ShellLine("kqlab", []string{"compare", "--out", "my report", "--x=it's", ""})
	if want := `kqlab compare --out 'my report' '--x=it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrap(t *testing.T) {
	got := strings.Join(cli.Wrap("aa bb  cccc ddddddddd e", 5), "|")
	if want := "aa bb|cccc|ddddddddd|e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What cannot be printed is not taken for printed.
func TestOutputFails(t *testing.T) {
	inFolder(t)
	for _, args := range []string{"list", "replay giant:standard:usual", "explore --strategies giant --schedules 1", "--help"} {
		var stderr bytes.Buffer
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("there is no device to which nothing can be written: ", err)
		}
		status := cli.Run(strings.Fields(args), full, &stderr, extras...)
		full.Close()
		if status != cli.ExitWrong || !strings.Contains(stderr.String(), "the output cannot be written: ") {
			t.Errorf("%s: status %d: %s", args, status, &stderr)
		}
	}
}
