package fuzz_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// crossed is the strategy with two locks that are taken in either order: who enters
// has the one and then, for a moment, the other; who delivers has the other first.
type crossed struct{ outer, inner machine.Mutex }

func newCrossed(*machine.Machine) kqueue.Strategy {
	c := &crossed{}
	c.outer.Name, c.inner.Name = "outer", "inner"
	return c
}

func (c *crossed) Source(*machine.Thread) *kqueue.Place {
	return &kqueue.Place{Domain: &crossedSource{c: c}}
}
func (c *crossed) Queue(*machine.Thread) *kqueue.Place { return &kqueue.Place{Domain: c} }

func (c *crossed) Enter(td *machine.Thread) {
	c.outer.Lock(td)
	c.inner.Lock(td)
	c.inner.Unlock(td)
}
func (c *crossed) Exit(td *machine.Thread) { c.outer.Unlock(td) }
func (c *crossed) Sleep(td *machine.Thread, until time.Duration) error {
	c.Exit(td)
	defer c.Enter(td)
	return td.Sleep(until)
}

// Deliver implements kqueue.Domain.
func (c *crossed) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	c.inner.Lock(td)
	c.outer.Lock(td)
	kqueue.Activate(td, kn)
	c.outer.Unlock(td)
	c.inner.Unlock(td)
}

// crossedSource is a source's domain, with a lock of its own.
type crossedSource struct {
	c  *crossed
	mu machine.Mutex
}

func (s *crossedSource) Enter(td *machine.Thread) { s.mu.Lock(td) }
func (s *crossedSource) Exit(td *machine.Thread)  { s.mu.Unlock(td) }
func (s *crossedSource) Sleep(td *machine.Thread, until time.Duration) error {
	s.Exit(td)
	defer s.Enter(td)
	return td.Sleep(until)
}
func (s *crossedSource) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	panic("nothing is delivered to a source")
}

// Locks that are taken in two orders are found without a deadlock: where no thread is
// ever interrupted none can be met. It replays.
func TestLockOrder(t *testing.T) {
	s, err := script.Parse("crossed", oneComes)
	if err != nil {
		t.Fatal(err)
	}
	x := fuzz.Exploration{
		Options: fuzz.Options{New: newCrossed, Strategy: "crossed"},
		Script:  func(int) *script.Script { return s }, Scripts: 1, Each: 1000,
		Scheduler: func(int) sched.Scheduler {
			c, err := sched.New("dfs:0", 1)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
	}
	got := x.Explore(t.Context())
	if got.Failure == nil || got.Failure.Finding.Property != "one order of locks" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{`keeps "outer" and takes "inner", in `, `keeps "inner" and takes "outer", in `, "(*crossed).Enter", "(*crossed).Deliver"} {
		if !strings.Contains(got.Failure.Finding.Detail, want) {
			t.Errorf("%s: want %s", got.Failure.Finding.Detail, want)
		}
	}
	again, err := fuzz.Replay(got.Failure.Script, x.Options)
	if err != nil || again.Finding == nil || *again.Finding != *got.Failure.Finding {
		t.Errorf("replayed: %v, %v", again.Finding, err)
	}
}

// byQueues takes two locks in the one order where there is one queue, and in the other
// where there are two.
type byQueues struct {
	first, second machine.Mutex
	places        [2]kqueue.Place
	queues        int
}

func newByQueues(*machine.Machine) kqueue.Strategy {
	b := &byQueues{}
	b.first.Name, b.second.Name = "first", "second"
	b.places[0].Domain, b.places[1].Domain = b, b
	return b
}

func (b *byQueues) Source(*machine.Thread) *kqueue.Place { return &b.places[0] }
func (b *byQueues) Queue(*machine.Thread) *kqueue.Place {
	b.queues++
	return &b.places[1]
}

func (b *byQueues) Enter(td *machine.Thread) {
	one, other := &b.first, &b.second
	if b.queues == 2 {
		one, other = other, one
	}
	one.Lock(td)
	other.Lock(td)
}

func (b *byQueues) Exit(td *machine.Thread) {
	b.first.Unlock(td)
	b.second.Unlock(td)
}

func (b *byQueues) Sleep(td *machine.Thread, until time.Duration) error {
	b.Exit(td)
	defer b.Enter(td)
	return td.Sleep(until)
}

func (b *byQueues) Deliver(*machine.Thread, *kqueue.Knote) { panic("nothing is delivered") }

// Two scripts may close a circle that neither closes alone: then it is the second that
// fails, whoever looks, and it has no schedule, nor what is made of one.
func TestLockOrderOfTwoScripts(t *testing.T) {
	var scripts [6]*script.Script
	for i := range scripts {
		text := "setup\nkqueue\n"
		if i == 4 {
			text += "kqueue\n"
		}
		s, err := script.Parse("part", text+"thread\nkevent 0 room=1\n")
		if err != nil {
			t.Fatal(err)
		}
		scripts[i] = s
	}
	for workers := 1; workers <= 3; workers++ {
		x := fuzz.Exploration{
			Options: fuzz.Options{New: newByQueues, Strategy: "by-queues"},
			Script:  func(i int) *script.Script { return scripts[i] }, Scripts: len(scripts), Each: 1, Workers: workers,
			Scheduler: func(int) sched.Scheduler { return sched.NewRandom(1) },
		}
		got := x.Explore(t.Context())
		if got.Failure == nil || got.Index != 4 || got.Failure.Finding.Property != "one order of locks" || got.Failure.Script.Schedule != nil {
			t.Errorf("%d workers: %+v", workers, got)
			continue
		}
		if _, err := got.Failure.Turning(x.Options); err == nil {
			t.Errorf("%d workers: it has turns", workers)
		}
		if small := fuzz.Reduce(t.Context(), got.Failure, x.Options, 100, nil); small.Failure != got.Failure || small.Executions != 0 {
			t.Errorf("%d workers: made smaller: %+v", workers, small)
		}
	}
}

// chance is the mplock around everything, and an atomic word that is looked at once or
// twice, as chance has it: no scheduler decides that.
func chance(odd func() bool) func(m *machine.Machine) kqueue.Strategy {
	return newWrong(func(w *wrong) {
		var word machine.Uint32
		w.enter = func(td *machine.Thread) {
			if word.Load(td); odd() {
				word.Load(td)
			}
			td.Get(w.mp)
		}
	})
}

// What no scheduler decides is a finding: a random number, the clock of the computer,
// the order of a map.
func TestChance(t *testing.T) {
	s, err := fuzz.Scenario("two-sleepers-one-event")
	if err != nil {
		t.Fatal(err)
	}
	for name, odd := range map[string]func() bool{
		"a random number": func() bool { return rand.N(2) == 1 },
		"the real time":   func() bool { return time.Now().Nanosecond()>>10&1 == 1 },
		"the order of a map": func() bool {
			for k := range map[int]bool{1: true, 2: true, 3: true, 4: true} {
				return k%2 == 1
			}
			return false
		},
	} {
		// One execution in some may come out the same by chance.
		x := fuzz.Exploration{
			Options: fuzz.Options{New: chance(odd), Strategy: "chance"},
			Script:  func(int) *script.Script { return s }, Scripts: 16 * 20, Each: 1,
			Scheduler: func(i int) sched.Scheduler { return sched.NewRandom(uint64(i)) },
		}
		got := x.Explore(t.Context())
		if got.Failure == nil || got.Failure.Finding.Property != "the same execution again" || got.Failure.Script.Schedule == nil {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		t.Logf("%s: %v", name, got.Failure.Finding)
	}
}

// A search that comes by something else in an execution that it has made alike says so,
// though the execution that is looked at, the first, comes out the same each time.
func TestChanceInSearch(t *testing.T) {
	s, err := fuzz.Scenario("two-sleepers-one-event")
	if err != nil {
		t.Fatal(err)
	}
	for _, scheduler := range []string{"dfs:1", "dpor"} {
		var entered atomic.Int32
		x := fuzz.Exploration{
			Options: fuzz.Options{New: chance(func() bool { return entered.Add(1) > 100 }), Strategy: "chance"},
			Script:  func(int) *script.Script { return s }, Scripts: 1, Each: 1000,
			Scheduler: func(int) sched.Scheduler {
				search, err := sched.New(scheduler, 0)
				if err != nil {
					t.Fatal(err)
				}
				return search
			},
		}
		got := x.Explore(t.Context())
		if got.Failure == nil || got.Failure.Finding.Property != "the same execution again" || got.Complete || got.Executions < 2 {
			t.Errorf("%s: %+v", scheduler, got)
			continue
		}
		t.Logf("%s, %d executions: %v", scheduler, got.Executions, got.Failure.Finding)
	}
}

// replaying has this binary, built with the race detector, find a race under the fault
// that it names, and replay it a thousand times.
const replaying = "KQLAB_FUZZ_REPLAYING"

// raceReplays is how often: each report takes some hundredths of a second.
var raceReplays = flag.Int("races", 30, "how often a data race is replayed")

// A data race is a finding of the execution that has it, says who touched what, is
// kept with its schedule, and comes again each time that it is replayed. For a thousand
// times: go test -race ./fuzz -run RaceReplays -races 1000
func TestRaceReplays(t *testing.T) {
	if !raceEnabled {
		t.Skip("only a build with the race detector sees races: go test -race")
	}
	for _, name := range racy {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d", replaying, name, *raceReplays),
				"GORACE=suppress_equal_stacks=0 suppress_equal_addresses=0 exitcode=0 log_path="+filepath.Join(t.TempDir(), "races"))
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, fmt.Appendf(nil, "seen again %d times", *raceReplays)) {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
	// Without that option it is seen once, and says why.
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), replaying+"="+racy[1]+",1", "GORACE=exitcode=0")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("reported once in a process")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// replayRaces is the child of TestRaceReplays.
func replayRaces(what string) error {
	name, number, _ := strings.Cut(what, ",")
	times, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	for _, f := range broken.All {
		if f.Name != name {
			continue
		}
		x := fuzz.Exploration{
			Options: fuzz.Options{New: f.New, Strategy: name},
			Script:  func(i int) *script.Script { return fuzz.Drawn(1, i) }, Scripts: 400, Each: 3,
			Scheduler: func(i int) sched.Scheduler { return sched.NewRandom(uint64(i)) },
		}
		// Where threads meet in a domain they are found there first.
		for i := range x.Scripts {
			one := x
			one.Script, one.Scripts = func(int) *script.Script { return fuzz.Drawn(1, i) }, 1
			got := one.Explore(context.Background())
			if got.Failure == nil || got.Failure.Finding.Property != "no data race" {
				continue
			}
			fmt.Println(got.Failure.Finding)
			if detail := got.Failure.Finding.Detail; !strings.Contains(detail, "kqueue.") && !strings.Contains(detail, "device.") {
				return errors.New("it does not say where")
			}
			for again := range times {
				r, err := fuzz.Replay(got.Failure.Script, x.Options)
				if err != nil || r.Finding == nil || r.Finding.Property != "no data race" || r.Finding.Detail != got.Failure.Finding.Detail {
					return fmt.Errorf("replay %d: %v, %v", again, r.Finding, err)
				}
			}
			fmt.Printf("seen again %d times\n", times)
			return nil
		}
	}
	return errors.New("no race is found")
}
