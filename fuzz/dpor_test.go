package fuzz_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// tiny draws a script of two threads with an operation or two, so small that all its
// executions can be made.
func tiny(rng *rand.Rand) *script.Script {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	text := "setup cpu=0\n kqueue\nsetup cpu=1\n probe " + pick("", "", "blocks") + "\n" + pick("", " set 1 1\n") +
		pick("", " kevent 0: READ 1 ADD"+pick("", "|CLEAR", "|ONESHOT", "|DISPATCH", "|DISABLE")+" udata=1\n")
	for range 2 {
		text += fmt.Sprintf("thread cpu=%d\n", rng.IntN(2))
		for range 1 + rng.IntN(8)/7 {
			text += " " + pick("set 1 2", "set 1 0", "close 1", "close 0", "dup 1", "dup2 1 0",
				"kevent 0 room="+pick("1", "2")+pick("", "", " wait=forever", " wait=finite"),
				"kevent 0: READ 1 "+pick("ADD", "ADD|CLEAR", "DELETE", "ENABLE", "DISABLE")+" udata=2",
				"kevent 0: USER 1 "+pick("ADD", "ADD|ONESHOT", "DELETE")+" fflags=TRIGGER udata=3",
				"kevent 0 room=2: READ 1 "+pick("ADD", "DELETE|RECEIPT")+" udata=4",
			) + "\n"
		}
	}
	s, err := script.Parse("tiny", text)
	if err != nil {
		panic(err)
	}
	return s
}

// came says what an execution has come to: what each call answered, and which
// returned before which began.
func came(r *fuzz.Report) string {
	var b strings.Builder
	if r.Finding != nil {
		return r.Finding.Property
	}
	var of [script.MaxThreads + 1]linearizability.History
	for _, rec := range r.History {
		of[rec.Thread] = append(of[rec.Thread], rec)
	}
	for t, h := range of {
		for i, rec := range h {
			fmt.Fprintf(&b, "%d.%d %v;", t, i, rec.Result)
			for u, g := range of {
				for j, o := range g {
					if u != t && rec.Return < o.Call {
						fmt.Fprintf(&b, " before %d.%d", u, j)
					}
				}
			}
		}
	}
	return b.String()
}

// comes makes all executions of a search, at most limit, and counts what they come to.
func comes(s *script.Script, e strategies.Entry, search sched.Search, limit int) (executions int, all map[string]int, err error) {
	all = map[string]int{}
	for search.Begin() {
		if executions++; executions > limit {
			return executions, all, nil
		}
		all[came(fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name, Scheduler: search}))]++
	}
	return executions, all, search.Err()
}

// A width multiplies the numbers of possibilities of an execution.
type width struct {
	sched.Scheduler
	n float64
}

func (w *width) Next(can []int, current int, v sched.View) int {
	w.n *= float64(len(can))
	return w.Scheduler.Next(can, current, v)
}

// size estimates how many executions there are: Knuth, "Estimating the Efficiency
// of Backtrack Programs", 1975.
func size(s *script.Script, e strategies.Entry) float64 {
	const probes = 4
	sum := 0.0
	for seed := range uint64(probes) {
		w := &width{Scheduler: sched.NewRandom(seed), n: 1}
		fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name, Scheduler: w})
		sum += w.n
	}
	return sum / probes
}

// A liar is a search that is told of some objects only.
type liar struct {
	*sched.DPOR
	tells func(object int) bool
}

func (l *liar) Touched(object int, how sched.Access) {
	if l.tells(object) {
		l.DPOR.Touched(object, how)
	}
}

// TestDPOR: under each strategy, on random scripts so small that all executions can
// be made, the executions that are left out come to nothing that is not come to by
// one that is made. A search that is not told of a third of the
// objects misses something.
func TestDPOR(t *testing.T) {
	const seed, limit = 31, 2000
	scripts := 24
	if testing.Short() || raceEnabled { // the detector is of no use to a comparison
		scripts = 6
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			all, reduced, outcomes := 0, 0, 0
			var misled [3]int
			for i := 0; i < scripts; {
				s := tiny(rng)
				if size(s, e) > limit {
					continue
				}
				n, want, err := comes(s, e, sched.NewDFS(-1), limit)
				if n > limit {
					continue
				}
				r, got, err2 := comes(s, e, sched.NewDPOR(), limit)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				for c := range want {
					if got[c] == 0 {
						t.Errorf("seed %d, script %d: %d executions of %d do not come to %q:\n%v", seed, i, r, n, c, s)
					}
				}
				for c := range got {
					if want[c] == 0 {
						t.Errorf("seed %d, script %d: nothing comes to %q:\n%v", seed, i, c, s)
					}
				}
				for k := range misled {
					l := &liar{sched.NewDPOR(), func(object int) bool { return object%3 != k }}
					if _, got, err := comes(s, e, l, limit); err != nil || len(got) < len(want) {
						misled[k]++
					}
				}
				i, all, reduced, outcomes = i+1, all+n, reduced+r, outcomes+len(want)
			}
			t.Logf("seed %d: %d scripts, %d outcomes: %d executions instead of %d; by a third of the objects misled %v times",
				seed, scripts, outcomes, reduced, all, misled)
			if outcomes < scripts*3/2 || reduced*2 > all || misled[0]+misled[1]+misled[2] < scripts {
				t.Error("the scripts drawn show little")
			}
		})
	}
}
