package device_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

const trigger = event.NoteTrigger

// user is a change to user event 7.
func user(flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
	return event.Kevent{Ident: 7, Filter: event.User, Flags: flags, Fflags: fflags, Data: data}
}

func TestUser(t *testing.T) {
	type step struct {
		change event.Kevent
		err    error
		events []event.Kevent // what the next call returns
	}
	one := func(e event.Kevent) []event.Kevent { return []event.Kevent{e} }
	tests := []struct {
		what  string
		steps []step
	}{
		{"an event that nobody has triggered is not returned", []step{
			{user(event.Add, 0, 0), nil, nil},
		}},
		{"a trigger in the EV_ADD counts", []step{
			{user(event.Add, trigger, 5), nil, one(user(0, 0, 5))},
		}},
		{"a trigger needs no EV_ADD and no EV_ENABLE", []step{
			{user(event.Add|event.Clear, 0, 0), nil, nil},
			{user(0, trigger, 6), nil, one(user(event.Clear, 0, 6))},
		}},
		{"without EV_CLEAR it comes back until it is deleted", []step{
			{user(event.Add, trigger, 1), nil, one(user(0, 0, 1))},
			{user(0, 0, 2), nil, one(user(0, 0, 1))},
			{user(event.Delete, 0, 0), nil, nil},
			{user(0, trigger, 0), syscall.ENOENT, nil},
		}},
		{"EV_CLEAR resets trigger, bits and data", []step{
			{user(event.Add|event.Clear, event.NoteFFCopy|0x33|trigger, 9), nil, one(user(event.Clear, 0x33, 9))},
			{user(0, 0, 0), nil, nil},
			{user(0, event.NoteFFOr|0x4|trigger, 8), nil, one(user(event.Clear, 0x4, 8))},
		}},
		{"two triggers before a retrieval are one event", []step{
			{user(event.Add|event.Clear|event.Disable, trigger, 1), nil, nil},
			{user(0, trigger, 2), nil, nil},
			{user(event.Enable, 0, 0), nil, one(user(event.Clear, 0, 2))},
			{user(event.Enable, 0, 0), nil, nil},
		}},
		{"and, or, copy and nop work on the low 24 bits", []step{
			{user(event.Add, event.NoteFFCopy|0xf0f0f0|trigger, 0), nil, one(user(0, 0xf0f0f0, 0))},
			{user(0, event.NoteFFAnd|0xffff00, 0), nil, one(user(0, 0xf0f000, 0))},
			{user(0, event.NoteFFOr|0x00000f, 0), nil, one(user(0, 0xf0f00f, 0))},
			{user(0, event.NoteFFNop|0xffffff, 0), nil, one(user(0, 0xf0f00f, 0))},
			{user(0, event.NoteFFCopy, 0), nil, one(user(0, 0, 0))},
		}},
		{"bits given with NOTE_FFNOP in the EV_ADD are ignored", []step{
			{user(event.Add, 0x123|trigger, 0), nil, one(user(0, 0, 0))},
		}},
		{"an EV_ADD to an event that exists replaces data and keeps bits and trigger", []step{
			{user(event.Add, event.NoteFFOr|1|trigger, 1), nil, one(user(0, 1, 1))},
			{user(event.Add, event.NoteFFOr|2, 2), nil, one(user(0, 3, 2))},
		}},
		{"a trigger that comes with EV_CLEAR is a trigger", []step{
			{user(event.Add|event.Clear, 0, 0), nil, nil},
			{user(event.Add|event.Clear, trigger, 3), nil, one(user(event.Clear, 0, 3))},
		}},
		{"disabled, it is not returned; what came meanwhile is, once enabled", []step{
			{user(event.Add|event.Clear, 0, 0), nil, nil},
			{user(event.Disable, 0, 0), nil, nil},
			{user(0, event.NoteFFOr|1|trigger, 4), nil, nil},
			{user(event.Enable, 0, 0), nil, one(user(event.Clear, 1, 4))},
		}},
		{"EV_ENABLE with a trigger does both", []step{
			{user(event.Add|event.Disable, 0, 0), nil, nil},
			{user(event.Enable, trigger, 4), nil, one(user(0, 0, 4))},
		}},
		{"EV_ONESHOT is over after one retrieval", []step{
			{user(event.Add|event.OneShot, trigger, 0), nil, one(user(event.OneShot, 0, 0))},
			{user(0, trigger, 0), syscall.ENOENT, nil},
		}},
		{"EV_DISPATCH is disabled after each retrieval, and still triggered", []step{
			{user(event.Add|event.Dispatch, trigger, 0), nil, one(user(event.Dispatch, 0, 0))},
			{user(0, trigger, 0), nil, nil},
			{user(event.Enable, 0, 0), nil, one(user(event.Dispatch, 0, 0))},
		}},
		{"EV_DISPATCH with EV_CLEAR is not", []step{
			{user(event.Add|event.Dispatch|event.Clear, trigger, 0), nil, one(user(event.Dispatch|event.Clear, 0, 0))},
			{user(event.Enable, 0, 0), nil, nil},
		}},
		{"a bit that means nothing is EINVAL in an EV_ADD", []step{
			{user(event.Add, 0x02000000|trigger, 0), syscall.EINVAL, nil},
			{user(0, trigger, 0), syscall.ENOENT, nil},
		}},
		{"a bit that means nothing is EINVAL in a change, and changes nothing", []step{
			{user(event.Add, event.NoteFFCopy|1|trigger, 1), nil, one(user(0, 1, 1))},
			{user(event.Add|event.Disable, event.NoteFFCopy|0x20000000, 2), syscall.EINVAL, one(user(0, 1, 1))},
		}},
		{"what does not exist cannot be triggered", []step{
			{user(0, trigger, 0), syscall.ENOENT, nil},
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) {
				for _, s := range test.steps {
					l.change(s.change, s.err)
					l.expect(s.events...)
				}
			})
		})
	}
}

// Two queues' events of one ident are two.
func TestUserIsPerQueue(t *testing.T) {
	each(t, func(l *lab) {
		other := l.k.NewQueue(l.td, nil)
		defer other.Close(l.td)
		l.change(user(event.Add, 0, 0), nil)
		if _, err := other.Kevent(l.td, []event.Kevent{user(event.Add, trigger, 0)}, nil, 0); err != nil {
			l.Fatal(err)
		}
		l.expect()
	})
}

// Triggers of many threads are returned to somebody: each thread raises an
// event of its own and waits until it has been taken before it raises it again.
// One that is lost is a deadlock; one that is returned twice makes more events
// than triggers.
func TestUserConservation(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	const raisers, takers, stop = 4, 3, 99
	each(t, func(l *lab) {
		var taken [raisers]tally
		for i := range taken {
			taken[i].wc.Name = fmt.Sprintf("event %d to be taken", i)
			e := user(event.Add|event.Clear, 0, 0)
			e.Ident = uint64(i)
			l.change(e, nil)
		}
		var done atomic.Int32
		for i := range raisers {
			l.m.Go(fmt.Sprintf("raiser %d", i), i%2, func(td *machine.Thread) {
				for n := range rounds {
					e := user(0, trigger, int64(n))
					e.Ident = uint64(i)
					if _, err := l.q.Kevent(td, []event.Kevent{e}, nil, 0); err != nil {
						t.Error(err)
					}
					taken[i].await(td, n+1)
				}
				if done.Add(1) == raisers {
					e := user(event.Add, trigger, 0)
					e.Ident = stop
					if _, err := l.q.Kevent(td, []event.Kevent{e}, nil, 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range takers {
			l.m.Go(fmt.Sprintf("taker %d", i), i%2, func(td *machine.Thread) {
				var buf [2]event.Kevent
				for stopped := false; !stopped; {
					n, err := l.q.Kevent(td, nil, buf[:], kqueue.Forever)
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range buf[:n] {
						if e.Ident == stop { // level-triggered: every taker sees it
							stopped = true
							continue
						}
						taken[e.Ident].add(td)
					}
				}
			})
		}
		l.run()
		for i := range taken {
			if taken[i].n != rounds {
				t.Errorf("event %d: returned %d times, triggered %d times", i, taken[i].n, rounds)
			}
		}
	})
}

// FuzzUser reads the first byte as a strategy and the others as changes, three
// bytes each, with a look at the events after each, and does them to a queue
// and to what a user event should be.
func FuzzUser(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 0, 4, 2})
	f.Add([]byte{1, 0x21, 0xc3, 9, 2, 0x84, 1, 4, 0x04, 0})
	f.Add([]byte{2, 0x11, 4, 1, 0, 4, 0, 0x81, 4, 3, 4, 0, 0, 2, 0, 0, 3, 2, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 300 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.end()
		var is struct {
			exists, disabled, raised bool
			keep                     event.Flags
			bits                     event.Fflags
			data                     int64
			udata                    uint64
		}
		for ops := script[1:]; len(ops) >= 3; ops = ops[3:] {
			// Bits 0-3 and 4-7 are those of Flags, bit 3 of ops[1] a bad bit.
			kev := user(event.Flags(ops[0])&^event.Receipt, 0, int64(int8(ops[2])))
			if kev.Flags&(event.Delete|event.Disable) == event.Delete|event.Disable {
				kev.Flags &^= event.Disable
			}
			kev.Fflags = event.Fflags(binary.BigEndian.Uint32([]byte{ops[1] & 0xc0, 0, 0, ops[1] & 0x33}))
			if ops[1]&4 != 0 {
				kev.Fflags |= trigger
			}
			if ops[1]&8 != 0 {
				kev.Fflags |= 0x04000000
			}
			kev.Udata = uint64(len(ops))

			var want error
			add := kev.Flags&event.Add != 0
			switch {
			case kev.Flags&(event.Add|event.Delete) == event.Add|event.Delete,
				kev.Flags&(event.Enable|event.Disable) == event.Enable|event.Disable:
				want = syscall.EINVAL
			case !is.exists && !add:
				want = syscall.ENOENT
			case kev.Flags&event.Delete != 0:
				is.exists = false
			case ops[1]&8 != 0:
				want = syscall.EINVAL
			default:
				if !is.exists {
					is.exists, is.disabled, is.raised, is.bits, is.data = true, false, false, 0, 0
					is.keep = kev.Flags & (event.OneShot | event.Clear | event.Dispatch)
				}
				bits := kev.Fflags & event.NoteFlagsMask
				switch kev.Fflags & event.NoteFFCtrlMask {
				case event.NoteFFAnd:
					is.bits &= bits
				case event.NoteFFOr:
					is.bits |= bits
				case event.NoteFFCopy:
					is.bits = bits
				}
				if kev.Fflags&trigger != 0 {
					is.raised = true
				}
				if add || kev.Fflags&trigger != 0 {
					is.data = kev.Data
				}
				if add {
					is.udata = kev.Udata
				}
				switch {
				case kev.Flags&event.Disable != 0:
					is.disabled = true
				case kev.Flags&(event.Enable|event.Add) != 0:
					is.disabled = false
				}
			}
			l.change(kev, want)

			if !is.exists || is.disabled || !is.raised {
				l.expect()
				continue
			}
			l.expect(event.Kevent{Ident: 7, Filter: event.User, Flags: is.keep, Fflags: is.bits, Data: is.data, Udata: is.udata})
			switch {
			case is.keep&event.OneShot != 0:
				is.exists = false
			case is.keep&event.Clear != 0:
				is.raised, is.bits, is.data = false, 0, 0
			}
			if is.keep&event.Dispatch != 0 {
				is.disabled = true
			}
		}
	})
}
