package linearizability_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

var (
	runs  = flag.Int("linearizability.runs", 300, "histories for each strategy")
	first = flag.Uint64("linearizability.seed", 1, "seed of the first")
)

// A caller is one thread of the core, that takes down what it does.
type caller struct {
	call.Caller
	td  *machine.Thread
	log *linearizability.Log
}

func (c *caller) do(op event.Op) event.Result {
	c.log.Call(op)
	r := c.Do(c.td, &op)
	c.log.Return(r)
	return r
}

// A script of its own: descriptor 0 is a kqueue, 1 and 2 a pipe, 3 a probe.
func drawOp(rng *rand.Rand, closes bool) event.Op {
	flags := []event.Flags{event.Add, event.Add | event.Clear, event.Add | event.OneShot, event.Add | event.Dispatch, event.Delete, event.Enable, event.Disable}
	keys := []event.Kevent{{Filter: event.Read, Ident: 1}, {Filter: event.Write, Ident: 2}, {Filter: event.Read, Ident: 3}, {Filter: event.User, Ident: 1}}
	switch n := rng.IntN(20); {
	case n < 10:
		op := event.Op{Call: event.CallKevent, Room: rng.IntN(4), Wait: event.Wait(rng.IntN(2))}
		for range rng.IntN(3) {
			kev := keys[rng.IntN(len(keys))]
			kev.Flags = flags[rng.IntN(len(flags))]
			if rng.IntN(4) == 0 {
				kev.Flags |= event.Receipt
			}
			kev.Udata = rng.Uint64N(3)
			if kev.Filter == event.User {
				kev.Fflags = event.NoteFFOr | event.NoteTrigger | event.Fflags(rng.IntN(4))
			}
			op.Changes = append(op.Changes, kev)
		}
		return op
	case n < 13:
		return event.Op{Call: event.CallWrite, FD: 2, N: []int64{1, 2, 60000}[rng.IntN(3)]}
	case n < 15:
		return event.Op{Call: event.CallRead, FD: 1, N: []int64{1, 2, 60000}[rng.IntN(3)]}
	case n < 18 || !closes:
		return event.Op{Call: event.CallSet, FD: 3, N: int64(rng.IntN(3))}
	case n < 19:
		return event.Op{Call: event.CallDup2, FD: 1 + rng.IntN(4), To: 1 + rng.IntN(4)}
	}
	return event.Op{Call: event.CallClose, FD: 1 + rng.IntN(4)}
}

// What threads of the core see under every strategy is linearizable. A history
// that is not is kept in a file.
func TestKernel(t *testing.T) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			for i := range *runs {
				seed := *first + uint64(i)
				h := record(s, seed)
				r := linearizability.Check(h, linearizability.Options{})
				if r.Verdict == linearizability.OK {
					continue
				}
				name := filepath.Join(os.TempDir(), fmt.Sprintf("kqlab-%s-%d.txt", s.Name, seed))
				if err := os.WriteFile(name, []byte(h.String()), 0o666); err != nil {
					t.Error(err)
				}
				t.Fatalf("seed %d: %v\nThe history is in %s. Threads race, so it may take several tries to see it again:\n"+
					"go test ./linearizability -run TestKernel/%s -linearizability.seed %d", seed, r, name, s.Name, seed)
			}
		})
	}
}

func record(s strategies.Entry, seed uint64) linearizability.History {
	m := machine.Native(2)
	k := kqueue.New(m, s.New(m))
	w := catalog.NewWorld(k)
	rec := linearizability.NewRecorder(nil)
	main := &caller{td: m.Attach("main", 0), log: rec.Log(0)}
	main.Begin(w, seed, 0, true)
	main.td.Listen(main.log)
	defer main.td.Detach()
	for _, c := range []event.Call{event.CallKqueue, event.CallPipe, event.CallProbe} {
		op := event.Op{Call: c}
		if c == event.CallProbe {
			op.Manner = event.Manner(seed / 2 % 4) // seed%2 says what is closed
		}
		main.do(op)
	}
	var wg sync.WaitGroup
	for n := 1; n <= 3; n++ {
		c := &caller{log: rec.Log(n)}
		c.Begin(w, seed, uint64(n), true)
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		wg.Go(func() {
			c.td = m.Attach("thread", n%2)
			c.td.Listen(c.log)
			defer c.td.Detach()
			for range 8 {
				c.do(drawOp(rng, seed%2 == 0))
			}
		})
	}
	wg.Wait()
	h := rec.History()
	for fd := range 8 {
		w.Process.Close(main.td, fd)
	}
	return h
}

// The commit points that the core names explain what its threads have seen, so
// that hardly a history has to be searched.
func TestReplay(t *testing.T) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			explained := 0
			for i := range *runs {
				if linearizability.Replayed(record(s, *first+uint64(i)), false) {
					explained++
				}
			}
			t.Logf("%d of %d histories", explained, *runs)
			if explained < *runs*95/100 {
				t.Errorf("the commit points explain %d of %d histories, want 95 in a hundred", explained, *runs)
			}
		})
	}
}

// What commit points explain a search without them finds right too; and most
// histories in which an answer is changed they do not explain.
func TestReplayProves(t *testing.T) {
	altered, refused, explained := 0, 0, 0
	for i := range *runs {
		seed := *first + uint64(i)
		rng := rand.New(rand.NewPCG(seed, 99))
		h := record(strategies.All[i%len(strategies.All)], seed)
		for range rng.IntN(4) { // wherever the points are, what they explain is right
			alterSteps(rng, h)
		}
		if i%2 == 1 {
			alter(rng, &h[3+rng.IntN(len(h)-3)])
			altered++
		}
		if !linearizability.Replayed(h, false) {
			refused += i % 2
			continue
		}
		explained++
		for j := range h {
			h[j].Steps = nil
		}
		if r := linearizability.Check(h, linearizability.Options{}); r.Verdict == linearizability.Violation {
			t.Fatalf("seed %d: explained by its commit points, and yet\n%v\n%v", seed, r, h)
		}
	}
	t.Logf("%d histories are explained; of %d with a changed answer %d are not", explained, altered, refused)
	if explained < *runs/10 {
		t.Errorf("%d of %d histories are explained, want a tenth", explained, *runs)
	}
	if refused < altered*9/10 {
		t.Errorf("of %d histories with a changed answer only %d are not explained", altered, refused)
	}
}

// alterSteps moves a commit point within its call, leaves one out, or says of one
// that it is another.
func alterSteps(rng *rand.Rand, h linearizability.History) {
	r := &h[3+rng.IntN(len(h)-3)]
	if len(r.Steps) == 0 || r.Return == linearizability.Never {
		return
	}
	r.Steps = slices.Clone(r.Steps)
	i := rng.IntN(len(r.Steps))
	switch rng.IntN(4) {
	case 0:
		r.Steps = slices.Delete(r.Steps, i, i+1)
	case 1:
		r.Steps[i].Step = event.Made + event.Step(rng.IntN(int(event.Released)))
	default:
		low, high := r.Call, r.Return
		if i > 0 {
			low = r.Steps[i-1].At
		}
		if i+1 < len(r.Steps) {
			high = r.Steps[i+1].At
		}
		r.Steps[i].At = low + rng.Int64N(high-low+1)
	}
}

// alter changes the answer of an operation.
func alter(rng *rand.Rand, r *linearizability.Record) {
	events := slices.Clone(r.Result.Events)
	r.Result.Events = events
	if len(events) == 0 {
		switch rng.IntN(3) {
		case 0:
			r.Result.N++
		case 1:
			r.Result.Errno ^= syscall.EBADF
		default:
			r.Result.Events = []event.Kevent{{Filter: event.Read, Ident: 1, Data: 1}}
		}
		return
	}
	e := &events[rng.IntN(len(events))]
	switch rng.IntN(5) {
	case 0:
		e.Data++
	case 1:
		e.Udata ^= 1
	case 2:
		e.Flags ^= event.Clear
	case 3:
		e.Ident++
	default:
		r.Result.Events = events[1:]
	}
}

// What a check costs an operation, of histories as the core makes them.
func BenchmarkCheck(b *testing.B) {
	var all []linearizability.History
	for seed := range uint64(100) {
		all = append(all, record(strategies.All[0], seed))
	}
	ops, n, searched := 0, 0, 0
	for b.Loop() {
		h := all[n%len(all)]
		n++
		ops += len(h)
		r := linearizability.Check(h, linearizability.Options{})
		if r.Verdict != linearizability.OK {
			b.Fatal(r)
		}
		if !r.Replayed {
			searched++
		}
	}
	b.ReportMetric(100*float64(searched)/float64(n), "%searched")
	b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "operations/s")
}
