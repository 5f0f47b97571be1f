package linearizability_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

var (
	runs  = flag.Int("linearizability.runs", 300, "histories for each strategy")
	first = flag.Uint64("linearizability.seed", 1, "seed of the first")
)

// A caller is one thread of the core, that takes down what it does.
type caller struct {
	k   *kqueue.Kernel
	p   *proc.Process
	td  *machine.Thread
	log *linearizability.Log
}

func (c *caller) do(op event.Op) event.Result {
	c.log.Call(op)
	r := c.call(op)
	c.log.Return(r)
	return r
}

func (c *caller) call(op event.Op) (r event.Result) {
	var n, n2 int
	var err error
	switch op.Call {
	case event.Kqueue:
		n, err = c.p.Kqueue(c.td)
	case event.MakePipe:
		rd, wr := device.NewPipe(c.td, c.k)
		if n, err = c.p.Open(c.td, rd); err == nil {
			n2, err = c.p.Open(c.td, wr)
		}
	case event.MakeProbe:
		n, err = c.p.Open(c.td, device.NewProbe(c.td, c.k, device.ProbeConfig{}))
	case event.Dup:
		n, err = c.p.Dup(c.td, op.FD)
	case event.Dup2:
		err = c.p.Dup2(c.td, op.FD, op.To)
	case event.Close:
		err = c.p.Close(c.td, op.FD)
	case event.Poll:
		r.Events = make([]event.Kevent, op.Room)
		n, err = c.p.Kevent(c.td, op.FD, op.Changes, r.Events, map[event.Wait]time.Duration{event.Finite: 50 * time.Microsecond, event.Forever: kqueue.Forever}[op.Wait])
		r.Events, n = r.Events[:n], 0
	default:
		n, err = c.device(op)
	}
	if err != nil {
		return event.Result{Errno: err.(syscall.Errno)}
	}
	r.N, r.N2 = int64(n), int64(n2)
	return r
}

func (c *caller) device(op event.Op) (int, error) {
	f, err := c.p.File(c.td, op.FD)
	if err != nil {
		return 0, err
	}
	switch f := f.(type) {
	case *device.Probe:
		if op.Call == event.Set {
			f.Set(c.td, op.N)
			return 0, nil
		}
	case *device.PipeEnd:
		switch op.Call {
		case event.ReadPipe:
			return f.Read(c.td, make([]byte, op.N))
		case event.WritePipe:
			return f.Write(c.td, make([]byte, op.N))
		}
	}
	return 0, syscall.EINVAL
}

// A script of its own: descriptor 0 is a kqueue, 1 and 2 a pipe, 3 a probe.
func drawOp(rng *rand.Rand, closes bool) event.Op {
	flags := []event.Flags{event.Add, event.Add | event.Clear, event.Add | event.OneShot, event.Add | event.Dispatch, event.Delete, event.Enable, event.Disable}
	keys := []event.Kevent{{Filter: event.Read, Ident: 1}, {Filter: event.Write, Ident: 2}, {Filter: event.Read, Ident: 3}, {Filter: event.User, Ident: 1}}
	switch n := rng.IntN(20); {
	case n < 10:
		op := event.Op{Call: event.Poll, Room: rng.IntN(4), Wait: event.Wait(rng.IntN(2))}
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
		return event.Op{Call: event.WritePipe, FD: 2, N: []int64{1, 2, 60000}[rng.IntN(3)]}
	case n < 15:
		return event.Op{Call: event.ReadPipe, FD: 1, N: []int64{1, 2, 60000}[rng.IntN(3)]}
	case n < 18 || !closes:
		return event.Op{Call: event.Set, FD: 3, N: int64(rng.IntN(3))}
	case n < 19:
		return event.Op{Call: event.Dup2, FD: 1 + rng.IntN(4), To: 1 + rng.IntN(4)}
	}
	return event.Op{Call: event.Close, FD: 1 + rng.IntN(4)}
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
	device.Install(k)
	p := proc.New(k)
	rec := linearizability.NewRecorder()
	main := &caller{k, p, m.Attach("main", 0), rec.Log(0)}
	defer main.td.Detach()
	for _, c := range []event.Call{event.Kqueue, event.MakePipe, event.MakeProbe} {
		main.do(event.Op{Call: c})
	}
	var wg sync.WaitGroup
	for n := 1; n <= 3; n++ {
		c := &caller{k, p, nil, rec.Log(n)}
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		wg.Go(func() {
			c.td = m.Attach("thread", n%2)
			defer c.td.Detach()
			for range 8 {
				c.do(drawOp(rng, seed%2 == 0))
			}
		})
	}
	wg.Wait()
	h := rec.History()
	for fd := range 8 {
		p.Close(main.td, fd)
	}
	return h
}

// What a check costs an operation, of histories as the core makes them.
func BenchmarkCheck(b *testing.B) {
	var all []linearizability.History
	for seed := range uint64(100) {
		all = append(all, record(strategies.All[0], seed))
	}
	ops, n, projections, searched := 0, 0, 0, 0
	for b.Loop() {
		h := all[n%len(all)]
		n++
		ops += len(h)
		r := linearizability.Check(h, linearizability.Options{})
		if r.Verdict != linearizability.OK {
			b.Fatal(r)
		}
		projections += r.Projections
		searched += r.Searched
	}
	b.ReportMetric(100*float64(searched)/float64(projections), "%searched")
	b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "operations/s")
}
