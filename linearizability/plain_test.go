package linearizability_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

var plainRuns = flag.Int("linearizability.plain", 0, "random histories to compare with porcupine alone; by default 25000, under the race detector and with -short 3000")

// plain is porcupine with nothing between it and the specification: each call is
// one step. It serves for histories whose calls are one: a change with
// EV_RECEIPT, or a look for one event.
func plain(h linearizability.History) bool {
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{spec.New(spec.AnyOrder | spec.AnyNumber)} },
		Step: func(s, in, _ any) (next []any) {
			r := in.(linearizability.Record)
			for _, n := range s.(spec.State).Step(r.Op, r.Result) {
				next = append(next, n)
			}
			return next
		},
		Equal: func(a, b any) bool { return a.(spec.State).Equal(b.(spec.State)) },
	}
	end := int64(0)
	for _, r := range h {
		end = max(end, r.Call+1)
		if r.Return != linearizability.Never {
			end = max(end, r.Return+1)
		}
	}
	var ops []porcupine.Operation
	for _, r := range h {
		op := porcupine.Operation{ClientId: r.Thread, Input: r, Call: r.Call, Return: r.Return}
		if r.Result.Pending {
			op.Call, op.Return = end, end+1
		}
		ops = append(ops, op)
	}
	return porcupine.CheckOperations(nm.ToModel(), ops)
}

// invent makes a history of up to four threads: their calls overlap, each takes
// effect at an instant within, and answers what the specification says. Those
// that would sleep at the end do. It is right, unless it is spoilt.
// The second history is the same with commit points.
func invent(rng *rand.Rand) (h, stamped linearizability.History) {
	s := spec.New(spec.AnyOrder | spec.AnyNumber)
	for i, text := range []string{"kqueue", "pipe"} {
		op, _ := event.ParseOp(text)
		h = append(h, linearizability.Record{Call: int64(2 * i), Return: int64(2*i + 1), Op: op, Result: s.Apply(op)})
		made := h[i]
		for range i + 1 {
			made.Steps = append(made.Steps, linearizability.Stamp{At: made.Call, Step: event.Made})
		}
		stamped = append(stamped, made)
	}
	type planned struct {
		linearizability.Record
		at int64
	}
	var all []planned
	var asleep []linearizability.Record
	for thread := range 2 + rng.IntN(3) {
		now := int64(10)
		for range 1 + rng.IntN(4) {
			call := now + rng.Int64N(20)
			at := call + rng.Int64N(20)
			now = at + 1 + rng.Int64N(20)
			all = append(all, planned{linearizability.Record{Thread: thread, Call: call, Return: now - 1, Op: simple(rng)}, at})
		}
		if rng.IntN(3) == 0 {
			op := event.Op{Call: event.CallKevent, Room: 1, Wait: event.Forever}
			asleep = append(asleep, linearizability.Record{Thread: thread, Call: now, Return: linearizability.Never, Op: op, Result: event.Result{Pending: true}})
		}
	}
	slices.SortStableFunc(all, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
	for _, p := range all {
		p.Result = s.Apply(p.Op)
		h = append(h, p.Record)
		stamp(&p.Record, p.at)
		stamped = append(stamped, p.Record)
	}
	for _, r := range asleep {
		n := s.Clone()
		if n.Apply(r.Op).Pending { // else it is awake by now, and we leave it out
			h = append(h, r)
			r.Steps = []linearizability.Stamp{{At: r.Call, Step: event.Found}}
			stamped = append(stamped, r)
		}
	}
	return h, stamped
}

func simple(rng *rand.Rand) event.Op {
	switch n := rng.IntN(10); {
	case n < 3:
		kev := event.Kevent{Filter: event.Read, Ident: 1, Flags: event.Receipt | []event.Flags{
			event.Add, event.Add | event.Clear, event.Add | event.OneShot, event.Add | event.Dispatch, event.Delete, event.Enable, event.Disable,
		}[rng.IntN(7)], Udata: rng.Uint64N(2)}
		return event.Op{Call: event.CallKevent, Room: 1, Changes: []event.Kevent{kev}}
	case n < 7:
		return event.Op{Call: event.CallKevent, Room: 1, Wait: event.Wait(rng.IntN(2))}
	case n < 9:
		return event.Op{Call: event.CallWrite, FD: 2, N: 1 + rng.Int64N(2)}
	}
	return event.Op{Call: event.CallRead, FD: 1, N: 1 + rng.Int64N(2)}
}

// spoil changes one answer, in both histories.
func spoil(rng *rand.Rand, h, stamped linearizability.History) {
	i := 2 + rng.IntN(len(h)-2)
	r := &h[i]
	defer func() { stamped[i].Op, stamped[i].Result = r.Op, r.Result }()
	look := event.Op{Call: event.CallKevent, Room: 1}
	switch {
	case r.Result.Pending:
	case r.Op.Call == event.CallKevent && len(r.Op.Changes) == 0 && rng.IntN(2) == 0:
		r.Result = event.Result{Events: []event.Kevent{{Filter: event.Read, Ident: 1, Flags: event.Flags(rng.IntN(2)) * event.Clear, Data: 1 + rng.Int64N(3), Udata: rng.Uint64N(2)}}}
	case r.Op.Call == event.CallKevent && len(r.Op.Changes) == 0:
		r.Result = event.Result{}
	case r.Op.Call == event.CallKevent:
		r.Result = event.Result{Events: []event.Kevent{spec.Record(r.Op.Changes[0], []syscall.Errno{0, syscall.ENOENT}[rng.IntN(2)])}}
	case rng.IntN(2) == 0:
		r.Result = event.Result{Errno: syscall.EAGAIN}
	default:
		r.Op, r.Result = look, event.Result{}
	}
}

// stamp gives a history the commit points that the kernel would name, had each
// operation taken effect at one instant.
func stamp(r *linearizability.Record, at int64) {
	add := func(s event.Step) { r.Steps = append(r.Steps, linearizability.Stamp{At: at, Step: s}) }
	add(event.Found)
	if r.Op.Call != event.CallKevent {
		add(event.Acted)
		return
	}
	for range r.Op.Changes {
		add(event.Change)
		add(event.Found)
		add(event.Changed)
	}
	for range r.Result.Events[len(r.Op.Changes):] { // all changes have a receipt
		add(event.Took)
	}
}

// On random histories, right ones and wrong ones, the verdict is that of
// porcupine alone, and right ones are ok. So it is when commit points are known,
// which explain the right ones and no others.
func TestPlain(t *testing.T) {
	n := *plainRuns
	switch {
	case n != 0:
	case testing.Short() || linearizability.RaceEnabled:
		n = 3000
	default:
		n = 25_000
	}
	const shards = 4
	var right, wrong, replayed atomic.Int64
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for seed := uint64(shard); seed < uint64(n); seed += shards {
					rng := rand.New(rand.NewPCG(*first, seed))
					h, stamped := invent(rng)
					spoilt := seed/shards%4 == 3
					if spoilt {
						spoil(rng, h, stamped)
					}
					want := plain(h)
					r := linearizability.Check(h, linearizability.Options{})
					explained := linearizability.Replayed(stamped, false)
					if want != (r.Verdict == linearizability.OK) || !spoilt && !want || !spoilt != explained && (!spoilt || !want) {
						t.Fatalf("history %d, spoilt %v: porcupine alone says %v; the commit points explain it: %v; and\n%v\n%v\nAgain: go test ./linearizability -run TestPlain -linearizability.seed %d",
							seed, spoilt, want, explained, r, stamped, *first)
					}
					if want {
						right.Add(1)
					} else {
						wrong.Add(1)
					}
					if spoilt && explained {
						replayed.Add(1)
					}
				}
			})
		}
	})
	if int(right.Load()) < n/4 || int(wrong.Load()) < n/20 {
		t.Errorf("%d right and %d wrong histories, want a good share of both", right.Load(), wrong.Load())
	}
	t.Logf("%d right, %d wrong; of the spoilt ones the commit points explain %d", right.Load(), wrong.Load(), replayed.Load())
}
