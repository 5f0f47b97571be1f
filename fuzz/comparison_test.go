package fuzz_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

func allStrategies() (all []fuzz.Options) {
	for _, e := range strategies.All {
		all = append(all, fuzz.Options{New: e.New, Strategy: e.Name})
	}
	return all
}

// What users of each scenario can be answered they can be answered under all
// strategies, but for what testdata/outcomes.txt says.
func TestComparison(t *testing.T) {
	text, err := os.ReadFile("testdata/outcomes.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{} // what may be said of differences, by scenario
	for line := range strings.Lines(string(text)) {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			words := strings.Fields(line)
			known[words[0]] = words[1:]
		}
	}
	most := 2000
	if testing.Short() || raceEnabled {
		most = 300
	}
	for i, name := range fuzz.Scenarios() {
		if raceEnabled && i%8 != 0 {
			continue // minutes there; TestScenarios has the detector see all of them
		}
		most := most
		if slices.Contains(known[name], "undecided") {
			most = min(most, 900)
		}
		c := fuzz.Comparison{Script: kept(t, name), Strategies: allStrategies(), Seed: 1, Most: most, Workers: 2}
		got := c.Compare(t.Context())
		if got.Failure != nil {
			t.Errorf("%s: %s", name, got.Failure.Text())
			continue
		}
		seen := map[string]bool{}
		for _, d := range got.Differences {
			word := d.Why.String()
			if d.Why == fuzz.ByFreedom {
				word = fmt.Sprint(d.Needs[0])
			}
			seen[word] = true
			few := most < 2000 && d.Why == fuzz.Undecided
			if !few && !slices.Contains(known[name], word) {
				t.Errorf("%s: %v can answer what %v cannot, as far as is seen in %d executions: %s, needs %v\n%v", name, d.Has, d.Lacks, got.Sets[0].Executions, d.Why, d.Needs, d.History)
			}
		}
		if got.Ticks > 0 {
			seen["ticks"] = true
			if !slices.Contains(known[name], "ticks") {
				t.Errorf("%s: %d outcomes differ in how often a timer has expired", name, got.Ticks)
			}
		}
		if most < 2000 {
			continue
		}
		for _, word := range known[name] {
			if !seen[word] && !slices.Contains(known[name], "undecided") {
				t.Errorf("%s: no difference is %s any more", name, word)
			}
		}
		t.Logf("%s: %v, %d in common, of which %d by being led, %d differences", name, got.Sets, got.Common, got.Led, len(got.Differences))
	}
}

// A strategy that is wrong ends the comparison.
func TestComparisonFails(t *testing.T) {
	f := faulty(t, brokenNamed(t, "sleep-keeps-the-domain"))
	got := fuzz.Comparison{Script: kept(t, "message-against-migrate"), Strategies: []fuzz.Options{allStrategies()[0], f.Options}, Seed: 1, Most: 3000}.Compare(t.Context())
	if got.Failure == nil || got.Failure.Strategy != "sleep-keeps-the-domain" {
		t.Errorf("%+v", got)
	}
}

// What a difference is explained by does not depend on who looks, and the schedule
// makes it again.
func TestComparisonExplains(t *testing.T) {
	var first *fuzz.Compared
	for workers := range 3 {
		c := fuzz.Comparison{Script: kept(t, "pruned-against-scan"), Strategies: allStrategies(), Seed: 1, Most: 2000, Workers: workers + 1}
		got := c.Compare(t.Context())
		if len(got.Differences) != 1 {
			t.Fatalf("%+v", got)
		}
		d := got.Differences[0]
		if d.Why != fuzz.ByFreedom || !slices.Equal(d.Needs, []linearizability.Freedom{linearizability.AnyOrder}) || !slices.Equal(d.Has, []string{"pcpu"}) {
			t.Errorf("%+v", d)
		}
		if first == nil {
			first = got
		}
		if f := first.Differences[0]; f.Executions != d.Executions || f.History.String() != d.History.String() || first.Common != got.Common {
			t.Errorf("%d workers see %+v, one %+v", workers+1, got, first)
		}
		o := c.Strategies[2]
		r, err := fuzz.Replay(d.Script, o)
		if err != nil || r.History.String() != d.History.String() {
			t.Errorf("replayed: %v\n%v", err, r.History)
		}
	}
}

// HalfTold is of those who can be come between while they tell several knotes of one
// thing: where one lock, or one token, is held meanwhile nobody needs it, whatever is
// done.
func TestHalfTold(t *testing.T) {
	each := 200
	if raceEnabled {
		each = 80
	}
	reset := kept(t, "reset-against-scan")
	for _, o := range allStrategies() {
		needed := 0
		for i := range 3 * each {
			s := reset
			if i >= each {
				s = fuzz.Drawn(1, i)
			}
			o.Scheduler = sched.NewRandom(uint64(i))
			r := fuzz.Run(s, o)
			if r.Finding != nil {
				t.Fatal(r.Text())
			}
			needs, ok := linearizability.Needs(r.History)
			if !ok || !slices.Contains(needs, linearizability.HalfTold) {
				continue
			}
			needed++
			if o.Strategy != "pcpu" {
				t.Errorf("%s needs %v:\n%v", o.Strategy, needs, r.History)
			}
		}
		if o.Strategy == "pcpu" && needed == 0 {
			t.Errorf("in %d executions nobody has come between", 3*each)
		}
	}
}
