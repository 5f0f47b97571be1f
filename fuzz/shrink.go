package fuzz

import (
	"slices"
	"time"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
)

// Shrink looks for a smaller script that breaks the same property as the report
// of a failure, and returns the report of the smallest that it has found by the
// given instant; of the failure itself if it has found none. It leaves out
// threads, operations, changes and flags, one after another, as long as
// something can go.
//
// A smaller script counts if it fails once in tries runs. So one that fails
// seldom may be passed over, and the result is not the smallest that there is;
// but what is returned has failed.
func Shrink(r *Report, o Options, tries int, until time.Time) *Report {
	property := r.Finding.Property
	over := func() bool { return !time.Now().Before(until) }
	return descend(r, over, func(s *script.Script) *Report { return failsAgain(s, o, property, tries, until) })
}

// descend goes from a failure to that of a script one step smaller, as long as
// fails has one for any of those. Behind a step it goes on with those that were
// not tried yet: what could not go before seldom can now, and has its turn again
// before the end.
func descend(r *Report, over func() bool, fails func(*script.Script) *Report) *Report {
	all := smallerThan(r.Script)
	for at, passed := 0, 0; passed < len(all) && !over(); {
		at %= len(all)
		if f := fails(all[at]); f != nil {
			r, passed = f, 0
			all = smallerThan(r.Script)
			continue
		}
		at++
		passed++
	}
	return r
}

func failsAgain(s *script.Script, o Options, property string, tries int, until time.Time) *Report {
	for range tries {
		o.Round++
		r := Run(s, o)
		if r.Finding != nil && r.Finding.Property == property {
			return r
		}
		if !time.Now().Before(until) {
			break
		}
	}
	return nil
}

// smallerThan returns the scripts that are one step smaller than s, those with
// the largest step first.
func smallerThan(s *script.Script) []*script.Script {
	var all []*script.Script
	edit := func(change func(*script.Script)) {
		c := clone(s)
		change(c)
		all = append(all, c)
	}
	if len(s.Threads) > 1 {
		for i := range s.Threads {
			edit(func(c *script.Script) { c.Threads = slices.Delete(c.Threads, i, i+1) })
		}
	}
	for i := range s.Setup {
		if len(s.Setup[i].Ops) == 0 {
			edit(func(c *script.Script) { c.Setup = slices.Delete(c.Setup, i, i+1) })
		}
	}
	all = append(all, withoutObjects(s)...)
	lists := func(c *script.Script) [][]script.Thread { return [][]script.Thread{c.Threads, c.Setup} }
	for l, list := range lists(s) {
		for i, t := range list {
			if n := len(t.Ops); n > 3 {
				edit(func(c *script.Script) { t := &lists(c)[l][i]; t.Ops = t.Ops[:n/2] })
				edit(func(c *script.Script) { t := &lists(c)[l][i]; t.Ops = t.Ops[n/2:] })
			}
			for j := range t.Ops {
				edit(func(c *script.Script) { t := &lists(c)[l][i]; t.Ops = slices.Delete(t.Ops, j, j+1) })
			}
		}
	}
	for l, list := range lists(s) {
		for i, t := range list {
			for j, op := range t.Ops {
				for _, smaller := range smallerOps(op) {
					edit(func(c *script.Script) { lists(c)[l][i].Ops[j] = smaller })
				}
			}
		}
	}
	return all
}

// withoutObjects returns the scripts that lack one of the objects of setup, with
// the numbers behind it moved up.
func withoutObjects(s *script.Script) (all []*script.Script) {
	made := 0
	for i, t := range s.Setup {
		for j, op := range t.Ops {
			n := op.Call.Makes()
			if n == 0 {
				continue
			}
			c := clone(s)
			c.Setup[i].Ops = slices.Delete(c.Setup[i].Ops, j, j+1)
			for _, list := range [][]script.Thread{c.Setup, c.Threads} {
				for _, t := range list {
					for k := range t.Ops {
						t.Ops[k] = moveUp(t.Ops[k], made, n)
					}
				}
			}
			all = append(all, c)
			made += n
		}
	}
	return all
}

// moveUp returns op for a world without n descriptors from number at on.
func moveUp(op event.Op, at, n int) event.Op {
	move := func(fd int) int {
		if fd >= at+n {
			return fd - n
		}
		return fd
	}
	op.FD = move(op.FD)
	if !op.Call.Names() {
		op.To = move(op.To)
	}
	op.FDs = slices.Clone(op.FDs)
	for i := range op.FDs {
		op.FDs[i].FD = int32(move(int(op.FDs[i].FD)))
	}
	op.Changes = slices.Clone(op.Changes)
	for i := range op.Changes {
		if kev := &op.Changes[i]; kev.Filter != event.User && kev.Filter != event.Timer && kev.Filter != event.FS && kev.Ident <= script.MaxFD {
			kev.Ident = uint64(move(int(kev.Ident)))
		}
	}
	return op
}

// smallerOps returns what is one step simpler than an operation: a change less,
// a flag less of a change, no time to wait where there was some, a timer that
// expires but once, a probe that is more like others, a descriptor less to poll, and
// no byte that is urgent.
func smallerOps(op event.Op) []event.Op {
	var all []event.Op
	for _, m := range []event.Manner{event.Blocks, event.Unsafe} {
		if op.Manner&m != 0 {
			c := op
			c.Manner &^= m
			all = append(all, c)
		}
	}
	for i, kev := range op.Changes {
		c := op
		c.Changes = slices.Delete(slices.Clone(op.Changes), i, i+1)
		if len(c.Changes) == 0 {
			c.Changes = nil
		}
		all = append(all, c)
		for bit := event.Add; bit <= event.Dispatch; bit <<= 1 {
			flags := kev.Flags &^ bit
			if kev.Filter == event.Timer && bit == event.OneShot && kev.Flags&event.Add != 0 {
				flags = kev.Flags | bit // with it, it has an end
			}
			if flags == kev.Flags {
				continue
			}
			c := op
			c.Changes = slices.Clone(op.Changes)
			c.Changes[i].Flags = flags
			all = append(all, c)
		}
	}
	for i := range op.FDs {
		c := op
		if c.FDs = slices.Delete(slices.Clone(op.FDs), i, i+1); len(c.FDs) == 0 {
			c.FDs = nil
		}
		all = append(all, c)
	}
	if op.OOB {
		c := op
		c.OOB = false
		all = append(all, c)
	}
	if op.Wait == event.Finite {
		c := op
		c.Wait = event.NoWait
		all = append(all, c)
	}
	return all
}

func clone(s *script.Script) *script.Script {
	c := *s
	c.Sometimes = nil // it is of operations by their numbers
	c.Setup, c.Threads = slices.Clone(s.Setup), slices.Clone(s.Threads)
	for _, list := range [][]script.Thread{c.Setup, c.Threads} {
		for i := range list {
			list[i].Ops = slices.Clone(list[i].Ops)
		}
	}
	return &c
}
