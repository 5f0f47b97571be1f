package spec_test

import (
	"slices"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
	"pgregory.net/rapid"
)

// RetrieveItem does in place what TakeItem does, for what watches neither a kqueue
// nor an epoll, and names an item that is ready no longer if its modes say so.
func TestRetrieveItemIsTakeItem(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		sc := scenes[slices.IndexFunc(scenes, func(sc scene) bool { return sc.name == "epoll" })]
		sc.calls = slices.Repeat([]event.Call{event.CallEpollCtl, event.CallEpollCtl, event.CallSet}, 20)
		s := spec.New(spec.AnyOrder)
		for _, op := range sc.ops() {
			s.Apply(op)
		}
		for range 10 {
			s.Apply(drawOp(t, false, sc))
		}
		for fd := range 9 {
			modes := rapid.SampledFrom([]event.PollEvents{0, event.EpollET, event.EpollOneShot}).Draw(t, "modes")
			s.Apply(event.Op{Call: event.CallEpollCtl, FD: 2, Ctl: event.EpollAdd, To: fd, Events: event.PollIn | event.PollOut | modes, Udata: uint64(100 + fd)})
			s.Apply(event.Op{Call: event.CallSet, FD: fd, N: rapid.Int64Range(0, 2).Draw(t, "level")})
		}
		for fd := range 16 {
			q, errno := s.EnterEpoll(fd, 1)
			if errno != 0 {
				continue
			}
			for _, kev := range s.Deliverable(q) {
				p := event.Polled{ID: kev.Udata, Events: event.PollEvents(kev.Fflags)}
				if rapid.IntRange(0, 3).Draw(t, "spoil") == 3 {
					p.Events ^= event.PollIn
				}
				if _, nested := s.WatchedItem(q, p); nested {
					continue
				}
				next := s.TakeItem(q, p)
				n := s.Clone()
				ref, ok := n.RetrieveItem(q, p, false)
				if ok != (len(next) > 0) || ok && !slices.ContainsFunc(next, n.Equal) || !ok && !n.Equal(s) {
					t.Fatalf("in state\n%vTakeItem(%v) leads to %d states, and RetrieveItem says %v, in state\n%v", s, p, len(next), ok, n)
				}
				if !ok {
					continue
				}
				taken++
				level := s.Modes(ref)&(event.EpollET|event.EpollOneShot) == 0
				if still := slices.Contains(n.Ready(nil, q, true), ref); still != level {
					t.Fatalf("%v has been returned, and is still ready: %v", p, still)
				}
			}
		}
	})
	t.Logf("%d items were taken", taken)
	if taken < 20 {
		t.Errorf("%d items were taken, want 20 at least", taken)
	}
}
