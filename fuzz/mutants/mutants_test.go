package mutants_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/mutants"
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
	"github.com/kqlab/kqlab/strategies/strategytest/caught"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

var table = flag.Bool("table", false, "try every mutant under every strategy, with the whole suite, with stress and with scripts: a quarter of an hour")

const (
	variable   = "KQLAB_MUTANTS_STRATEGY"
	deadline   = 12 * time.Second
	tries      = 4         // natively a window of some nanoseconds is met by luck
	operations = 1_000_000 // of all tries of stress, or of scripts, at most
	root       = "../.."
)

// budget is how long stress and scripts take if they do not come to their
// operations before. With the race detector they are much slower, and must
// not miss for that what they meet without.
func budget() time.Duration {
	if raceEnabled {
		return 5 * time.Second
	}
	return 3 * time.Second
}

// under are the strategies that mutants are tried under. Boxed has a domain for
// each object, so that the core never has two at once: most faults show there.
var under = append(strategies.All, strategies.Entry{Name: "boxed", Doc: "a lock and a box for each object", New: broken.Boxed})

// short is what -short and -race try: a fault each of the list, of a wakeup and of an
// end.
var short = map[string]bool{"limbo": true, "wakeup-before-publish": true, "attach-before-look": true}

// TestCaught builds each mutant and has it caught where it says that it is.
func TestCaught(t *testing.T) {
	all := every(t)
	var mu sync.Mutex
	var rows []row // guarded by mu
	t.Run("each", func(t *testing.T) {
		for _, m := range all {
			t.Run(m.Name, func(t *testing.T) {
				if testing.Short() && !short[m.Name] {
					t.Skip("with -short three mutants are tried: to build one takes seconds")
				}
				if raceEnabled && !short[m.Name] {
					t.Skip("with -race three mutants are tried: all are caught without, and none by what the race detector alone would see")
				}
				t.Parallel()
				r := try(t, m)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, r...)
			})
		}
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mutant\tunder\ttest\tcaught by\ttry\toperations, or executions in the median\t")
	planted, found := 0, 0
	for _, m := range all {
		n, hits := 0, 0
		for _, r := range rows {
			if r.mutant != m {
				continue
			}
			n++
			if r.How != "" {
				hits++
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%8s\t\n", m.Name, r.Under, cmp.Or(r.Test, "suite"), cmp.Or(string(r.How), "no"), r.try, cmp.Or(r.medians, count(r.operations)))
		}
		if n > 0 && m.Cells != nil {
			planted++
			if hits > 0 {
				found++
			}
		}
	}
	w.Flush()
	t.Logf("caught %d of %d planted, by a native run or an exploration\n%s", found, planted, b.String())
	for _, m := range all {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.mutant == m }) {
			continue
		}
		switch {
		case m.Seldom != "":
			t.Logf("%s: not said to be caught: %s", m.Name, m.Seldom)
		case m.Equivalent != "":
			t.Logf("%s: no fault: %s", m.Name, m.Equivalent)
		case gatedOnly(m):
			t.Logf("%s: to be relied on only where a filter that blocks forces the interleaving, in a gated transcript", m.Name)
		}
	}
}

// count is the number of operations in the table; a part of the suite does not
// count them.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// TestSound: the core as it is passes wherever a mutant is said to be caught.
func TestSound(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[mutants.Cell]bool{}
	for _, m := range every(t) {
		for _, c := range m.Cells {
			if c.Package() || seen[c] || testing.Short() && !short[m.Name] {
				continue // a package's own tests are run with the package
			}
			if raceEnabled && c.Explored() {
				continue // package fuzz explores the scenarios with the race detector
			}
			seen[c] = true
			t.Run(c.Under+"/"+c.Test, func(t *testing.T) {
				t.Parallel()
				v, err := caught.Test(exe, pattern(c), false, time.Minute, told(c, 1))
				if err != nil {
					t.Fatal(err)
				}
				if v.How != "" {
					t.Errorf("without a mutant: %v\n%s", v, v.Output)
				}
			})
		}
	}
}

// A row is what became of one cell.
type row struct {
	mutant *mutants.Mutant
	mutants.Cell
	caught.Verdict
	try        int
	operations int    // of stress or scripts, all tries together
	medians    string // of executions that it took an exploration, by scheduler
}

func every(t *testing.T) []*mutants.Mutant {
	t.Helper()
	all, err := mutants.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no mutants")
	}
	return all
}

func gatedOnly(m *mutants.Mutant) bool {
	for _, c := range m.Cells {
		if !c.Gated() {
			return false
		}
	}
	return len(m.Cells) > 0
}

// native returns the cells that depend on how the threads happen to run.
func native(cells []mutants.Cell) []mutants.Cell {
	return slices.DeleteFunc(slices.Clone(cells), mutants.Cell.Explored)
}

// A shop builds test binaries with a mutant in them.
type shop struct {
	t       *testing.T
	overlay string
	built   map[string]string
}

func newShop(t *testing.T, m *mutants.Mutant) *shop {
	overlay, err := m.Apply(root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t, overlay, map[string]string{}}
}

// binary returns the test binary of a package, a directory below root.
func (s *shop) binary(pkg string) string {
	if b, ok := s.built[pkg]; ok {
		return b
	}
	b := filepath.Join(s.t.TempDir(), "mutant.test")
	args := []string{"test", "-overlay", s.overlay, "-c", "-o", b}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, root+"/"+pkg)...).CombinedOutput(); err != nil {
		s.t.Fatalf("the mutant does not compile: %v\n%s", err, out)
	}
	s.built[pkg] = b
	return b
}

// try runs the cells of a mutant, each until it is caught; one of them must
// catch it, since what is left to luck may fail once. One that is not said
// to be caught is tried all the same, by stress and by scripts.
func try(t *testing.T, m *mutants.Mutant) (rows []row) {
	shop, found := newShop(t, m), false
	must := map[mutants.Cell]bool{}
	cells := m.Cells
	for _, c := range cells {
		must[c] = true
	}
	if m.Cells == nil || *table {
		for _, e := range under {
			if !*table && e.Name != "pcpu" {
				continue // the one with the most interleavings
			}
			tests := []string{mutants.Stress, mutants.Scripts}
			if *table {
				tests = append(tests, "")
			}
			if m.Equivalent != "" {
				for _, name := range fuzz.Scenarios() {
					if strings.HasPrefix(name, "timeout-") || strings.HasPrefix(name, "two-sleepers-") {
						tests = append(tests, mutants.Scenario+name)
					}
				}
			}
			for _, test := range tests {
				if c := (mutants.Cell{Under: e.Name, Test: test}); !must[c] {
					cells = append(cells, c)
				}
			}
		}
	}
	if raceEnabled {
		cells = native(cells)
	}
	for _, c := range cells {
		most := tries
		if c.Explored() || !must[c] && (!*table || c.Test == "") {
			most = 1
		}
		r := row{mutant: m, Cell: c}
		for r.try = 1; ; r.try++ {
			var err error
			limit, pkg := deadline, "fuzz/mutants"
			switch {
			case c.Explored():
				limit = time.Minute // it needs no luck, but some thousand executions
			case c.Package():
				pkg = c.Under
			case c.Test == "":
				limit = time.Minute // the whole suite
			}
			if r.Verdict, err = caught.Test(shop.binary(pkg), pattern(c), c.Package() || c.Test == "", limit, told(c, r.try)); err != nil {
				t.Fatal(err)
			}
			if all := counted.FindAllSubmatch(r.Output, -1); all != nil {
				n, _ := strconv.Atoi(string(all[len(all)-1][1]))
				r.operations += n
			}
			if m := medians.FindSubmatch(r.Output); m != nil {
				r.medians = string(m[1])
			}
			if r.How != "" || r.try == most {
				break
			}
		}
		t.Logf("%s %s: %v", c.Under, cmp.Or(c.Test, "suite"), r.Verdict)
		if c.Explored() && must[c] {
			t.Logf("%s", r.Output) // the execution
			if !inMedian.MatchString(r.medians) {
				t.Errorf("%v: want that it is found in a median of at most %d executions with %s, have: %s", c, mostNeeded, policies[0], r.medians)
			}
		}
		if plain := c.Plain(); plain != c {
			v, err := caught.Test(shop.binary("fuzz/mutants"), pattern(plain), false, time.Minute, told(plain, 1))
			if err != nil {
				t.Fatal(err)
			}
			if v.How != "" {
				t.Errorf("%v, which needs no wakeup for no reason, caught it too: %v", plain, v)
			}
		}
		if m.Equivalent != "" && r.How != "" {
			t.Errorf("%v caught what is said to be no fault: %v", c, r.Verdict)
		}
		found = found || must[c] && r.How != ""
		rows = append(rows, r)
	}
	if m.Cells != nil && !found {
		t.Errorf("none of %v caught it, each in %d tries", m.Cells, tries)
	}
	return rows
}

// What an exploration says of how many executions it took, and what it says first if
// those were few enough.
var (
	medians  = regexp.MustCompile(`(?m)^medians (.+)$`)
	inMedian = regexp.MustCompile("^" + policies[0] + ` \d+,`)
)

var counted = regexp.MustCompile(`(?m)^operations (\d+)$`)

// pattern is what -run takes for a cell's test.
func pattern(c mutants.Cell) string {
	test := "TestSuite/" + c.Test
	switch {
	case c.Test == "":
		// The rest is stress, which is a cell of its own, and what asks how
		// much was met, which is about the suite.
		return "^TestSuite$/^(contract|transcripts|traps|nested|close)$"
	case c.Package():
		test = c.Test
	case c.Test == mutants.Stress:
		test = "TestStress"
	case c.Test == mutants.Scripts:
		test = "TestScripts"
	case c.Explored():
		test = "TestExplore"
	case c.Test == mutants.Sleepers:
		test = "TestSleepers"
	}
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// TestSuite is a child of TestCaught: the conformance suite of a strategy.
func TestSuite(t *testing.T) {
	e, _ := strategy(t)
	strategytest.Run(t, e.New)
}

// TestStress is a child of TestCaught: the stress test of a strategy, with seeds
// that follow from the number of the try.
func TestStress(t *testing.T) {
	e, try := strategy(t)
	end := time.Now().Add(budget())
	done := 0
	for seed := uint64(try) * 1000; done < operations/tries && time.Now().Before(end); seed++ {
		r, err := stress.Run(stress.Options{New: e.New, Strategy: e.Name, Seed: seed})
		done += r.Operations
		fmt.Println("operations", done)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestScripts is a child of TestCaught: a campaign of drawn scripts, with a seed
// that follows from the number of the try.
func TestScripts(t *testing.T) {
	e, try := strategy(t)
	ctx, cancel := context.WithTimeout(t.Context(), budget())
	defer cancel()
	c := fuzz.Campaign{
		Options: fuzz.Options{New: e.New, Strategy: e.Name, Deadline: time.Second},
		Seed:    uint64(try) * 1_000_000, // more than there are scripts in a try
		Progress: func(o fuzz.Outcome) {
			fmt.Println("operations", o.Operations)
			if o.Operations >= operations/tries {
				cancel()
			}
		},
	}
	out, err := c.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("operations", out.Operations)
	if out.Failure != nil {
		t.Fatalf("seed %d, script %d: %v", c.Seed, out.Script, out.Failure.Finding)
	}
}

// TestSleepers is a child of TestCaught: two threads sleep in a queue, one of
// them until its time is over; what is triggered after that is the other's.
func TestSleepers(t *testing.T) {
	e, _ := strategy(t)
	m := machine.Native(2)
	k := kqueue.New(m, e.New(m))
	device.Install(k)
	var q *kqueue.Queue
	m.Go("setup", 0, func(td *machine.Thread) {
		q = k.NewQueue(td, nil)
		add := event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | event.Clear}
		if _, err := q.Kevent(td, []event.Kevent{add}, nil, 0); err != nil {
			t.Errorf("%v: %v", add, err)
		}
	})
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	m.Go("waits", 0, func(td *machine.Thread) {
		if n, err := q.Kevent(td, nil, make([]event.Kevent, 1), kqueue.Forever); n != 1 || err != nil {
			t.Errorf("the sleeper without a timeout: %d, %v, want one event", n, err)
		}
	})
	m.Go("leaves", 1, func(td *machine.Thread) {
		if n, err := q.Kevent(td, nil, make([]event.Kevent, 1), 50*time.Millisecond); n != 0 || err != nil {
			t.Errorf("the sleeper with a timeout: %d, %v, want none", n, err)
		}
		trigger := event.Kevent{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}
		if _, err := q.Kevent(td, []event.Kevent{trigger}, nil, 0); err != nil {
			t.Errorf("%v: %v", trigger, err)
		}
	})
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
}

// strategy returns the strategy that a child is to use, and the number of its
// try.
func strategy(t *testing.T) (e strategies.Entry, try int) {
	value := os.Getenv(variable)
	if value == "" {
		t.Skip("runs in a process of its own, started by TestCaught")
	}
	name, number, _ := strings.Cut(value, ",")
	number, _, _ = strings.Cut(number, ",")
	try, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%s=%q: want STRATEGY,TRY", variable, value)
	}
	for _, e := range under {
		if e.Name == name {
			return e, try
		}
	}
	t.Fatalf("%s=%q: no such strategy", variable, value)
	return e, 0
}

// explored returns which scenario or program a child is to explore, as a cell has
// it; empty if it is to do something else.
func explored() string {
	_, rest, _ := strings.Cut(os.Getenv(variable), ",")
	_, test, _ := strings.Cut(rest, ",")
	return test
}

// told is what a child has in its variable.
func told(c mutants.Cell, try int) string {
	value := fmt.Sprintf("%s=%s,%d", variable, c.Under, try)
	if c.Explored() {
		value += "," + c.Test
	}
	return value
}
