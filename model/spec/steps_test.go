package spec_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
	"pgregory.net/rapid"
)

// queues are the kqueues of a state, as calls that begin now know them.
func queues(s *spec.State) (all []int32) {
	for fd := range 16 {
		if q, errno := s.Enter(fd); errno == 0 && !slices.Contains(all, q) {
			all = append(all, q)
		}
	}
	return all
}

// Retrieve does in place what Take does, for what watches no kqueue.
func TestRetrieveIsTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := history(t, spec.AnyOrder, true)
		for _, q := range queues(&s) {
			events := s.Deliverable(q)
			for i := range events {
				if rapid.IntRange(0, 3).Draw(t, "spoil") == 3 {
					events[i].Data++
				}
			}
			for _, kev := range events {
				if _, nested := s.Watched(q, kev); nested {
					continue
				}
				next := s.Take(q, kev)
				n := s.Clone()
				ok := n.Retrieve(q, kev, false)
				if ok != (len(next) > 0) || ok && !slices.ContainsFunc(next, n.Equal) || !ok && !n.Equal(s) && kev.Filter != event.Timer {
					t.Fatalf("in state\n%vTake(%v) leads to %d states, and Retrieve says %v, in state\n%v", s, kev, len(next), ok, n)
				}
			}
		}
	})
}

// Ready names what Deliverable has, and what is taken is ready no longer if its
// flags say so.
func TestReadyIsDeliverable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := history(t, spec.AnyOrder, true)
		for _, q := range queues(&s) {
			refs, events := s.Ready(nil, q, true), s.Deliverable(q)
			if len(refs) != len(events) {
				t.Fatalf("in state\n%v%d are ready, and %v can be delivered", s, len(refs), events)
			}
			for i, r := range refs {
				if !r.Is(events[i]) {
					t.Fatalf("in state\n%v%v is ready, and %v can be delivered", s, r, events[i])
				}
			}
			n := s.Clone()
			for _, kev := range events {
				if _, nested := n.Watched(q, kev); nested || !n.Retrieve(q, kev, false) {
					continue
				}
				still := slices.ContainsFunc(n.StillReady(slices.Clone(refs)), func(r spec.Ref) bool { return r.Is(kev) })
				if level := kev.Flags&(event.OneShot|event.Clear|event.Dispatch) == 0; still != level {
					t.Fatalf("%v has been returned, and is still ready: %v", kev, still)
				}
			}
		}
	})
}

// after returns the state that some operations lead to.
func after(t *testing.T, free spec.Freedom, ops ...string) spec.State {
	t.Helper()
	s := spec.New(free)
	for _, text := range ops {
		s.Apply(parse(t, text))
	}
	return s
}

func kevent(t *testing.T, text string) event.Kevent {
	t.Helper()
	kev, err := event.ParseKevent(text)
	if err != nil {
		t.Fatal(err)
	}
	return kev
}

// A call that had come before a kqueue was closed goes on until the close
// returns; one that comes later is refused.
func TestHalfClosed(t *testing.T) {
	s := after(t, 0, "kqueue", "probe", "set 1 5", "kevent 0: READ 1 ADD")
	q, _ := s.Enter(0)
	life, _ := s.Unlink(parse(t, "close 0"))
	s.Reap(life)
	if shut, closed := s.Shut(life); !closed || shut != q {
		t.Fatalf("Shut = %d, %v, want %d", shut, closed, q)
	}
	add := kevent(t, "USER 1 ADD")
	l, _ := s.Target(add)
	if errno := s.ChangeOf(q, l, add); errno != syscall.EBADF {
		t.Errorf("a change that comes later is %v, want EBADF", errno)
	}
	if errno := s.HalfClosed(q, l, add); errno != 0 {
		t.Errorf("a change that came before is %v", errno)
	}
	if !s.Retrieve(q, kevent(t, "READ 1 data=5"), false) {
		t.Error("a scan that came before does not return READ 1")
	}
	s.Empty(q)
	if s.Retrieve(q, kevent(t, "READ 1 data=5"), false) || s.Enabled(q, 1, event.User) {
		t.Error("a knote of the kqueue survives")
	}
}

// What has been retrieved is told of once more only if somebody is late, and
// only with EV_CLEAR does it show.
func TestLateNews(t *testing.T) {
	for _, tt := range []struct {
		flags string
		late  bool
		twice bool
	}{
		{"ADD|CLEAR", false, false}, {"ADD|CLEAR", true, true}, {"ADD|DISPATCH", true, false}, {"ADD|ONESHOT", true, false}, {"ADD", false, true},
	} {
		s := after(t, spec.AnyOrder|spec.LateNews, "kqueue", "probe", "set 1 5", "kevent 0: READ 1 "+tt.flags)
		q, _ := s.Enter(0)
		kev := s.Deliverable(q)[0]
		if !s.Retrieve(q, kev, tt.late) {
			t.Fatalf("%s: %v is not returned", tt.flags, kev)
		}
		if twice := s.Retrieve(q, kev, false); twice != tt.twice {
			t.Errorf("%s, late %v: returned twice: %v, want %v", tt.flags, tt.late, twice, tt.twice)
		}
	}
}

// The count of a kqueue's events is exact when nobody else is at work, and
// within bounds when somebody is.
func TestAnyCount(t *testing.T) {
	s := after(t, spec.AnyOrder, "kqueue", "probe", "probe", "probe", "set 1 5", "set 2 5",
		"kevent 0: READ 1 ADD; READ 2 ADD; READ 3 ADD; USER 1 ADD|DISABLE fflags=TRIGGER")
	q, _ := s.Enter(0)
	if c := s.Census(q); c != (spec.Census{Least: 2, Now: 2, Most: 3}) {
		t.Errorf("%+v", c)
	}
	sure := s.Ready(nil, q, false)
	for n, want := range []struct{ quiet, busy bool }{{false, false}, {false, false}, {true, true}, {false, true}, {false, false}} {
		if got := s.AnyCount(q, int64(n), sure, 3, true); got != want.quiet {
			t.Errorf("%d, with nobody else: %v", n, got)
		}
		if got := s.AnyCount(q, int64(n), sure, 3, false); got != want.busy {
			t.Errorf("%d, with others: %v", n, got)
		}
	}
	if s.AnyCount(q, 0, nil, 3, false) {
		t.Error("an event that says that there is none")
	}
	s.Apply(parse(t, "kevent 0: TIMER 1 ADD data=5"))
	if !s.AnyCount(q, 3, sure, 4, true) || !s.AnyCount(q, 2, sure, 4, true) || s.AnyCount(q, 4, sure, 4, true) {
		t.Error("a timer may have expired or not, once")
	}
}

// A knote of a life that is being ended, or of a kqueue that is, may be gone;
// others are not.
func TestMayBeGone(t *testing.T) {
	s := after(t, 0, "kqueue", "probe", "probe", "set 1 5", "set 2 5", "kevent 0: READ 1 ADD; READ 2 ADD")
	q, _ := s.Enter(0)
	refs := s.Ready(nil, q, false)
	s.Unlink(parse(t, "close 1"))
	if !s.MayBeGone(refs[0]) || s.MayBeGone(refs[1]) {
		t.Error("want that READ 1 may be gone and READ 2 not")
	}
	if left := s.Ready(nil, q, false); len(left) != 1 || left[0] != refs[1] {
		t.Errorf("%v are left", left)
	}
}

// A pipe is made in two steps, and the first end may be closed before there is
// the second.
func TestHalfAPipe(t *testing.T) {
	s := spec.New(0)
	l, ok := s.Make(parse(t, "pipe"), 0)
	if !ok {
		t.Fatal("no read end")
	}
	if _, ok := s.Make(parse(t, "probe"), 0); ok {
		t.Error("a number that is not free")
	}
	if r := s.Apply(parse(t, "close 0")); r.Errno != 0 {
		t.Fatal(r)
	}
	if !s.MakeOther(l, 0) || s.MakeOther(l, 0) {
		t.Error("want that the write end has number 0, once")
	}
	if r := s.Apply(parse(t, "write 0 5")); r.Errno != syscall.EPIPE {
		t.Errorf("write to half a pipe: %v, want EPIPE", r)
	}
	if s.Duplicate(7, 1) || s.Duplicate(0, 0) || !s.Duplicate(0, 1) {
		t.Error("want that 0 is duplicated as 1, and nothing else")
	}
}

// A step tells the knotes that it makes due, and those whose event it changes, and no
// others.
func TestHalfTold(t *testing.T) {
	s := after(t, spec.AnyOrder, "kqueue", "socketpair stream", "send 1 5", "send 2 4", "probe", "set 3 1",
		"kevent 0: READ 1 ADD; EXCEPT 1 ADD; READ 3 ADD; WRITE 1 ADD|DISABLE; USER 1 ADD|DISABLE")
	q, _ := s.Enter(0)
	before := s.Due(nil, q)
	if len(before) != 2 {
		t.Fatalf("%v are due, want READ 1 and READ 3", before)
	}
	if told := spec.HalfTold(before, s.Due(nil, q)); told != nil {
		t.Errorf("nothing has happened, and %v was told", told)
	}
	s.Apply(parse(t, "close 2"))
	told := spec.HalfTold(before, s.Due(nil, q))
	if len(told) != 2 || !told[0].Names(1, event.Read) || !told[1].Names(1, event.Except) {
		t.Errorf("a reset has told %v, want READ 1 and EXCEPT 1", told)
	}
	before = s.Due(nil, q)
	s.Apply(parse(t, "set 3 0"))
	if told := spec.HalfTold(before, s.Due(nil, q)); told != nil {
		t.Errorf("what is not due any more was told: %v", told)
	}
}
