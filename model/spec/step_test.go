package spec_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
	"pgregory.net/rapid"
)

func parse(t *testing.T, s string) event.Op {
	t.Helper()
	op, err := event.ParseOp(s)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func ExampleState_Step() {
	s := spec.New(0)
	for _, text := range []string{"kqueue", "probe", "set 1 5", "kevent 0: READ 1 ADD|CLEAR"} {
		op, _ := event.ParseOp(text)
		fmt.Println(op, "=>", s.Apply(op))
	}
	poll, _ := event.ParseOp("kevent 0 room=8")
	for _, text := range []string{"events READ 1 CLEAR data=5", "events READ 1 CLEAR data=4", "ok"} {
		r, _ := event.ParseResult(text)
		fmt.Println(len(s.Step(poll, r)), "states after", r)
	}
	// Output:
	// kqueue => ok
	// probe => 1
	// set 1 5 => ok
	// kevent 0: READ 1 ADD|CLEAR => ok
	// 1 states after events READ 1 CLEAR data=5
	// 0 states after events READ 1 CLEAR data=4
	// 0 states after ok
}

// history draws a state that some operations lead to.
func history(t *rapid.T, free spec.Freedom, timers bool) spec.State {
	s := spec.New(free)
	sc := rapid.SampledFrom(scenes).Draw(t, "scene")
	for _, op := range sc.ops() {
		s.Apply(op)
	}
	for range rapid.IntRange(0, 20).Draw(t, "operations") {
		s.Apply(drawOp(t, timers, sc))
	}
	return s
}

// What Apply answers, Step allows, and leads to the same state, also in a world
// with more freedom; and neither changes the state that it began with.
func TestApplyIsAStep(t *testing.T) {
	for _, free := range []spec.Freedom{0, spec.AnyOrder, spec.AnyOrder | spec.AnyNumber} {
		t.Run(fmt.Sprint(free), rapid.MakeCheck(func(t *rapid.T) {
			s := history(t, free, false)
			before, text := s.Clone(), s.String()
			op := drawOp(t, false, rapid.SampledFrom(scenes).Draw(t, "scene"))
			want := s.Clone()
			r := want.Apply(op)
			next := s.Step(op, r)
			if !slices.ContainsFunc(next, want.Equal) || free == 0 && len(next) != 1 {
				t.Fatalf("in state\n%v%v answers %v; Step knows %d states after that, and not\n%v but\n%v", s, op, r, len(next), want, next)
			}
			if i := slices.IndexFunc(next, want.Equal); next[i].Hash() != want.Hash() {
				t.Fatalf("equal states, unequal hashes:\n%v", want)
			}
			if !s.Equal(before) || s.String() != text {
				t.Fatalf("%v changes the state that it is asked of:\n%v\n%v", op, before, s)
			}
		}))
	}
}

// A kevent(2) that returns anything else than it should is refused. This is the
// control of the test against the core: there, a specification that allows all
// would pass too.
func TestStepRefuses(t *testing.T) {
	for _, free := range []spec.Freedom{0, spec.AnyOrder} {
		refused := 0
		rapid.Check(t, func(t *rapid.T) {
			s := history(t, free, false)
			op := drawOp(t, false, rapid.SampledFrom(scenes).Draw(t, "scene"))
			n := s.Clone()
			r := n.Apply(op)
			for range 10 { // most return nothing
				if op.Call == event.CallKevent && len(r.Events) > 0 {
					break
				}
				op, n = drawOp(t, false, rapid.SampledFrom(scenes).Draw(t, "scene")), s.Clone()
				r = n.Apply(op)
			}
			if op.Call != event.CallKevent || len(r.Events) == 0 {
				return
			}
			last := len(r.Events) - 1
			i := rapid.IntRange(0, last).Draw(t, "event")
			wrong := r
			wrong.Events = slices.Clone(r.Events)
			switch e := &wrong.Events[i]; rapid.IntRange(0, 7).Draw(t, "fault") {
			case 0:
				e.Data++
			case 1:
				e.Udata ^= 1
			case 2:
				e.Flags ^= event.Clear
			case 3:
				e.Ident ^= 16
			case 4:
				e.Fflags ^= 1
			case 5: // though there is room
				wrong.Events = slices.Delete(wrong.Events, i, i+1)
				if len(r.Events) == op.Room && free&spec.AnyOrder != 0 {
					return
				}
			case 6:
				wrong.Events = append(wrong.Events, wrong.Events[i])
			case 7:
				wrong.Errno = syscall.EBADF
			}
			if next := s.Step(op, wrong); len(next) > 0 {
				t.Fatalf("in state\n%v%v may answer %v besides %v", s, op, wrong, r)
			}
			refused++
		})
		if refused == 0 {
			t.Error("nothing was refused: no operation returned an event")
		}
	}
}

// Each freedom lets in what it is for, and nothing without it.
func TestFreedoms(t *testing.T) {
	two := []string{"kqueue", "probe", "probe", "kevent 0: READ 1 ADD; READ 2 ADD", "set 1 5", "set 2 6"}
	for _, tt := range []struct {
		name       string
		free       spec.Freedom
		before     []string
		op, result string
		with       int
		without    int
	}{
		{"any order", spec.AnyOrder, two, "kevent 0 room=2", "events READ 2 data=6; READ 1 data=5", 1, 0},
		{"any order, no room for all", spec.AnyOrder, two, "kevent 0 room=1", "events READ 2 data=6", 1, 0},
		{"any order is not any event", spec.AnyOrder, two, "kevent 0 room=3", "events READ 2 data=6", 0, 0},
		{"any number", spec.AnyNumber, two, "kqueue", "7", 1, 0},
		{"any number that is free", spec.AnyNumber, two, "kqueue", "2", 0, 0},
		{"any ticks", 0, []string{"kqueue", "kevent 0: TIMER 1 ADD data=5"}, "kevent 0 room=1", "events TIMER 1 CLEAR data=9", 1, 1},
		{"not yet a tick", 0, []string{"kqueue", "kevent 0: TIMER 1 ADD data=5"}, "kevent 0 room=1", "ok", 1, 1},
		{"one tick", 0, []string{"kqueue", "kevent 0: TIMER 1 ADD|ONESHOT data=5"}, "kevent 0 room=1", "events TIMER 1 ONESHOT|CLEAR data=1", 1, 1},
		{"one tick is not two", 0, []string{"kqueue", "kevent 0: TIMER 1 ADD|ONESHOT data=5"}, "kevent 0 room=1", "events TIMER 1 ONESHOT|CLEAR data=2", 0, 0},
		{"a tick that is due", 0, []string{"kqueue", "kevent 0: TIMER 1 ADD|ONESHOT"}, "kevent 0 room=1", "ok", 0, 0},
		{"a timer in a watched kqueue", 0, []string{"kqueue", "kqueue", "kevent 0: READ 1 ADD", "kevent 1: TIMER 1 ADD data=5"}, "kevent 0 room=1", "events READ 1 data=1", 1, 1},
		{"done or not", 0, two, "set 1 9", "pending", 2, 2},
		{"asleep", 0, []string{"kqueue"}, "kevent 0 room=1 wait=forever", "pending", 1, 1},
		{"asleep though there is an event", 0, two, "kevent 0 room=1 wait=forever", "pending", 0, 0},
		{"returned nothing for ever", 0, []string{"kqueue"}, "kevent 0 room=1 wait=forever", "ok", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, w := range []struct {
				free spec.Freedom
				want int
			}{{tt.free, tt.with}, {0, tt.without}} {
				s := spec.New(w.free)
				for _, text := range tt.before {
					s.Apply(parse(t, text))
				}
				r, err := event.ParseResult(tt.result)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(s.Step(parse(t, tt.op), r)); n != w.want {
					t.Errorf("freedom %d: %d states after %s => %s, want %d", w.free, n, tt.op, tt.result, w.want)
				}
			}
		})
	}
}

// Between the first step of a dup2 and the second, a change may meet either
// life of the number; what was added through the old one goes with the second.
func TestHalfAClose(t *testing.T) {
	s := spec.New(0)
	for _, text := range []string{"kqueue", "probe", "probe", "set 1 5", "kevent 0: READ 1 ADD"} {
		s.Apply(parse(t, text))
	}
	q, _ := s.Enter(0)
	kev := event.Kevent{Filter: event.Read, Ident: 1, Flags: event.Add}
	old, _ := s.Target(kev)
	if s.MayRefuse(old) {
		t.Error("EBADF although nobody closes")
	}
	life, errno := s.Unlink(parse(t, "dup2 2 1"))
	if errno != 0 || life == 0 {
		t.Fatalf("Unlink = %d, %v", life, errno)
	}
	if !s.MayRefuse(old) {
		t.Error("no EBADF while dup2 is half done")
	}
	if now, errno := s.Target(kev); errno != 0 || now == old || s.MayRefuse(now) {
		t.Errorf("the number has life %v, %v, want a new one that nobody ends", now, errno)
	}
	if n := len(s.Deliverable(q)); n != 1 {
		t.Errorf("%d events before the knotes are removed, want 1", n)
	}
	s.Reap(life)
	if n := len(s.Deliverable(q)); n != 0 {
		t.Errorf("%d events after the knotes are removed, want 0", n)
	}
	s.Release(life)
	if errno := s.ChangeOf(q, old, kev); errno != syscall.EBADF {
		t.Errorf("a change to the old life is %v, want EBADF", errno)
	}
	if errno := s.Change(q, kev); errno != 0 {
		t.Errorf("a change to the new life is %v", errno)
	}
}
