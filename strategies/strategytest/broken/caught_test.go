package broken_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/kqlab/kqlab/strategies/strategytest"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
	"github.com/kqlab/kqlab/strategies/strategytest/caught"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

const (
	variable = "KQLAB_BROKEN"
	deadline = 5 * time.Second
	tries    = 20 // natively a window of some nanoseconds is met by luck
)

// TestCaught has every planted fault caught by the trap that is made for it
// and by the stress test, and prints which of the two did, and how. What the
// stress test meets seldom has a reason why, and is tried once all the same.
func TestCaught(t *testing.T) {
	var mu sync.Mutex
	rows := map[string][2]result{} // guarded by mu
	t.Run("each", func(t *testing.T) {
		for _, f := range broken.All {
			t.Run(f.Name, func(t *testing.T) {
				t.Parallel()
				var r [2]result
				r[0] = try(t, path("TestSuite/"+f.Trap), f.Name, tries)
				if r[0].How == "" {
					t.Errorf("%s did not catch it in %d tries", f.Trap, tries)
				}
				if f.Seldom == "" {
					if r[1] = try(t, "^TestStress$", f.Name, tries); r[1].How == "" {
						t.Errorf("the stress test did not catch it in %d tries", tries)
					}
				} else if r[1] = try(t, "^TestStress$", f.Name, 1); r[1].How == "" {
					t.Logf("not caught by the stress test: %s", f.Seldom)
				}
				mu.Lock()
				defer mu.Unlock()
				rows[f.Name] = r
			})
		}
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "planted fault\ttrap\tcaught by it\tby stress\t")
	trapped, stressed := 0, 0
	for _, f := range broken.All {
		r := rows[f.Name]
		if r[0].How != "" {
			trapped++
		}
		if r[1].How != "" {
			stressed++
		}
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t\n", f.Name, f.Trap, r[0], r[1])
	}
	w.Flush()
	t.Logf("caught of %d planted: %d by a trap, %d by stress\n%s", len(broken.All), trapped, stressed, b.String())
}

// path makes a pattern of a test and its parts.
func path(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// A result is how a fault was caught, and at which try.
type result struct {
	caught.Verdict
	try int
}

func (r result) String() string {
	if r.How == "" {
		return "no"
	}
	return fmt.Sprintf("%s, try %d", r.How, r.try)
}

// try runs a test of this binary on a fault, one process after another until it
// is caught.
func try(t *testing.T, run, fault string, most int) result {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= most; i++ {
		v, err := caught.Test(exe, run, true, deadline, variable+"="+fault)
		if err != nil {
			t.Fatal(err)
		}
		if v.How != "" {
			t.Logf("%s: %v", run, v)
			return result{v, i}
		}
	}
	return result{}
}

// TestSuite is a child of TestCaught: the conformance suite on one fault. By
// hand: KQLAB_BROKEN=none go test -run TestSuite ./strategies/strategytest/broken
func TestSuite(t *testing.T) { strategytest.Run(t, planted(t).New) }

// TestStress is a child of TestCaught: the stress test on one fault.
func TestStress(t *testing.T) {
	f := planted(t)
	for seed, end := uint64(0), time.Now().Add(deadline/3); time.Now().Before(end); seed++ {
		if _, err := stress.Run(stress.Options{New: f.New, Strategy: f.Name, Seed: seed}); err != nil {
			t.Fatal(err)
		}
	}
}

func planted(t *testing.T) broken.Fault {
	name := os.Getenv(variable)
	if name == "" {
		t.Skip("runs in a process of its own, started by TestCaught")
	}
	for _, f := range broken.All {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("%s=%q: no such fault", variable, name)
	return broken.Fault{}
}

// TestAll: what stands in tables and file names must be fit for it.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range broken.All {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(f.Name) || seen[f.Name] {
			t.Errorf("name %q: want lower case with hyphens, once", f.Name)
		}
		seen[f.Name] = true
		if f.Doc == "" || strings.Contains(f.Doc, "\n") || f.New == nil || f.Trap == "" {
			t.Errorf("%s: doc %q, trap %q: want one line, and a trap", f.Name, f.Doc, f.Trap)
		}
	}
}

// TestBoxed: without a fault the strategy that the controls are made of passes.
// It has a shape of its own: a place for each object, and deliveries that wait
// in a box until somebody comes by.
func TestBoxed(t *testing.T) { strategytest.Run(t, broken.Boxed) }
