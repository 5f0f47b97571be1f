package linearizability_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

var plainRuns = flag.Int("linearizability.plain", 2000, "random histories to compare with porcupine alone")

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
func invent(rng *rand.Rand) linearizability.History {
	s := spec.New(spec.AnyOrder | spec.AnyNumber)
	var h linearizability.History
	for i, text := range []string{"kqueue", "pipe"} {
		op, _ := event.ParseOp(text)
		h = append(h, linearizability.Record{Call: int64(2 * i), Return: int64(2*i + 1), Op: op, Result: s.Apply(op)})
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
			op := event.Op{Call: event.Poll, Room: 1, Wait: event.Forever}
			asleep = append(asleep, linearizability.Record{Thread: thread, Call: now, Return: linearizability.Never, Op: op, Result: event.Result{Pending: true}})
		}
	}
	slices.SortStableFunc(all, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
	for _, p := range all {
		p.Result = s.Apply(p.Op)
		h = append(h, p.Record)
	}
	for _, r := range asleep {
		n := s.Clone()
		if n.Apply(r.Op).Pending { // else it is awake by now, and we leave it out
			h = append(h, r)
		}
	}
	return h
}

func simple(rng *rand.Rand) event.Op {
	switch n := rng.IntN(10); {
	case n < 3:
		kev := event.Kevent{Filter: event.Read, Ident: 1, Flags: event.Receipt | []event.Flags{
			event.Add, event.Add | event.Clear, event.Add | event.OneShot, event.Add | event.Dispatch, event.Delete, event.Enable, event.Disable,
		}[rng.IntN(7)], Udata: rng.Uint64N(2)}
		return event.Op{Call: event.Poll, Room: 1, Changes: []event.Kevent{kev}}
	case n < 7:
		return event.Op{Call: event.Poll, Room: 1, Wait: event.Wait(rng.IntN(2))}
	case n < 9:
		return event.Op{Call: event.WritePipe, FD: 2, N: 1 + rng.Int64N(2)}
	}
	return event.Op{Call: event.ReadPipe, FD: 1, N: 1 + rng.Int64N(2)}
}

// spoil changes one answer.
func spoil(rng *rand.Rand, h linearizability.History) {
	r := &h[2+rng.IntN(len(h)-2)]
	look := event.Op{Call: event.Poll, Room: 1}
	switch {
	case r.Result.Pending:
	case r.Op.Call == event.Poll && len(r.Op.Changes) == 0 && rng.IntN(2) == 0:
		r.Result = event.Result{Events: []event.Kevent{{Filter: event.Read, Ident: 1, Flags: event.Flags(rng.IntN(2)) * event.Clear, Data: 1 + rng.Int64N(3), Udata: rng.Uint64N(2)}}}
	case r.Op.Call == event.Poll && len(r.Op.Changes) == 0:
		r.Result = event.Result{}
	case r.Op.Call == event.Poll:
		r.Result = event.Result{Events: []event.Kevent{spec.Record(r.Op.Changes[0], []syscall.Errno{0, syscall.ENOENT}[rng.IntN(2)])}}
	case rng.IntN(2) == 0:
		r.Result = event.Result{Errno: syscall.EAGAIN}
	default:
		r.Op, r.Result = look, event.Result{}
	}
}

// On random histories, right ones and wrong ones, the verdict is that of
// porcupine alone, and right ones are ok.
func TestPlain(t *testing.T) {
	var verdicts [2]int
	for seed := range uint64(*plainRuns) {
		rng := rand.New(rand.NewPCG(*first, seed))
		h := invent(rng)
		spoilt := seed%2 == 1
		if spoilt {
			spoil(rng, h)
		}
		want := plain(h)
		r := linearizability.Check(h, linearizability.Options{})
		if want != (r.Verdict == linearizability.OK) || !spoilt && !want {
			t.Fatalf("history %d, spoilt %v: porcupine alone says %v, and\n%v\n%v\nAgain: go test ./linearizability -run TestPlain -linearizability.seed %d",
				seed, spoilt, want, r, h, *first)
		}
		if want {
			verdicts[0]++
		} else {
			verdicts[1]++
		}
	}
	if verdicts[0] < *plainRuns/4 || verdicts[1] < *plainRuns/10 {
		t.Errorf("%d right and %d wrong histories, want a good share of both", verdicts[0], verdicts[1])
	}
	t.Logf("%d right, %d wrong", verdicts[0], verdicts[1])
}
