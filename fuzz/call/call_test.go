package call_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

func newCaller(t *testing.T) (*call.Caller, *machine.Thread) {
	m := machine.Native(1)
	k := kqueue.New(m, strategies.All[0].New(m))
	device.Install(k)
	td := m.Attach("test", 0)
	t.Cleanup(td.Detach)
	c := new(call.Caller)
	c.Begin(k, proc.New(k), 1, 2, true)
	return c, td
}

// Each call on nothing that is open answers, without a panic; and what makes
// descriptors makes so many.
func TestEveryCall(t *testing.T) {
	for c := range event.Calls {
		caller, td := newCaller(t)
		got := caller.Do(td, &event.Op{Call: c, FD: 7, To: 8, Sock: event.Stream, Side: event.BothSides, Ctl: event.EpollAdd})
		if got.Pending || got.Errno == 0 && got.N2 != int64(max(c.Makes()-1, 0)) {
			t.Errorf("%v on no descriptor: %v", c, got)
		}
	}
	caller, td := newCaller(t)
	if got := caller.Do(td, &event.Op{Call: 99}); got.Errno != syscall.ENOSYS {
		t.Errorf("no call at all: %v", got)
	}
}

// Bytes are read and written by the same calls whatever holds them, and refused by
// what holds none.
func TestReadWrite(t *testing.T) {
	c, td := newCaller(t)
	for _, step := range []struct{ op, want string }{
		{"pipe", "0 1"},
		{"kqueue", "2"},
		{"probe", "3"},
		{"write 1 5", "5"},
		{"read 0 3", "3"},
		{"read 1 3", "EBADF"},
		{"read 2 3", "EINVAL"},
		{"write 3 3", "EINVAL"},
		{"set 1 3", "EINVAL"},
		{"set 3 3", "ok"},
		{"kevent 2 room=4: READ 0 ADD; READ 3 ADD", "events READ 0 data=2; READ 3 data=3"},
	} {
		op, err := event.ParseOp(step.op)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Do(td, &op); got.String() != step.want {
			t.Errorf("%s: %v, want %s", step.op, got, step.want)
		}
	}
}
