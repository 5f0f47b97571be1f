package call_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

func newCaller(t *testing.T) (*call.Caller, *machine.Thread) {
	m := machine.Native(1)
	k := kqueue.New(m, strategies.All[0].New(m))
	td := m.Attach("test", 0)
	t.Cleanup(td.Detach)
	c := new(call.Caller)
	c.Begin(catalog.NewWorld(k), 1, 2, true)
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

// A said is an operation and what it is to answer.
type said struct{ op, want string }

func say(t *testing.T, steps []said) {
	t.Helper()
	c, td := newCaller(t)
	for _, step := range steps {
		op, err := event.ParseOp(step.op)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Do(td, &op); got.String() != step.want {
			t.Errorf("%s: %v, want %s", step.op, got, step.want)
		}
	}
}

// Bytes are read and written by the same calls whatever holds them, and refused by
// what holds none.
func TestReadWrite(t *testing.T) {
	say(t, []said{
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
	})
}

// A fifo is opened by its descriptors, to read, to write or both.
func TestFifo(t *testing.T) {
	say(t, []said{
		{"fifo", "ok"},
		{"reopen 0 read", "1"},
		{"reopen 1 write", "2"},
		{"close 0", "ok"},
		{"write 2 5", "5"},
		{"write 1 5", "EBADF"},
		{"close 2", "ok"},
		{"kqueue", "ok"},
		{"kevent 0 room=4: READ 1 ADD", "events READ 1 HUP|EOF data=5"},
		{"reopen 1 write", "2"},
		{"kevent 0 room=4", "events READ 1 data=5"},
		{"close 1", "ok"},
		{"reopen 2 write", "ENXIO"},
		{"reopen 2 both", "1"},
		{"reopen 0 both", "EINVAL"},
		{"reopen 7 both", "EBADF"},
	})
}

// What is written to a terminal has its keys, and the slave can be opened again.
func TestPty(t *testing.T) {
	say(t, []said{
		{"pty", "0 1"},
		{"kqueue", "2"},
		{"write 0 3", "3"},
		{"read 1 10", "EAGAIN"},
		{"write 0 2 erase", "2"},
		{"write 0 2 nl", "2"},
		{"kevent 2 room=4: READ 1 ADD; READ 0 ADD", "events READ 1 data=5; READ 0 data=9"},
		{"read 1 10", "5"},
		{"write 0 1 eof", "1"},
		{"read 1 10", "ok"},
		{"write 0 2", "2"},
		{"write 0 1 kill", "1"},
		{"termios 1 raw", "ok"},
		{"read 1 10", "EAGAIN"},
		{"write 0 1 kill", "1"},
		{"read 1 10", "1"},
		{"termios 0 canon|echo", "ok"},
		{"reopen 1 both", "3"},
		{"close 1", "ok"},
		{"close 3", "ok"},
		{"termios 0 raw", "EAGAIN"},
		{"write 0 1", "EIO"},
		{"reopen 0 both", "1"},
		{"close 0", "ok"},
		{"read 1 1", "ok"},
		{"reopen 1 both", "EIO"},
		{"termios 2 raw", "ENOTTY"},
		{"termios 9 raw", "EBADF"},
	})
}

// A connection through the network that all callers share.
func TestSockets(t *testing.T) {
	c, td := newCaller(t)
	for _, step := range []struct{ op, want string }{
		{"socket stream", "ok"},
		{"listen 0 80 1", "ok"},
		{"socket stream", "1"},
		{"connect 1 80", "ok"},
		{"accept 0", "2"},
		{"accept 0", "EAGAIN"},
		{"send 1 3 oob", "3"},
		{"recv 2 9", "2"},
		{"recv 2 1 oob", "1"},
		{"shutdown 2 read", "ok"},
		{"close 0", "ok"},
		{"send 1 3", "3"},
		{"close 2", "ok"},
		{"write 1 1", "1"},
		{"sockerr 1", "104"},
		{"socketpair dgram", "0 2"},
		{"write 2 5", "5"},
		{"read 0 2", "2"},
		{"socket dgram", "3"},
		{"listen 3 80 0", "ok"},
		{"connect 3 81", "ok"},
		{"write 3 1", "1"},
		{"read 3 1", "ECONNREFUSED"},
		{"kqueue", "4"},
		{"connect 4 81", "ENOTSOCK"},
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

// What is no device has neither another side nor controls.
func TestNoDevice(t *testing.T) {
	say(t, []said{
		{"probe", "ok"},
		{"input 0 1", "ENODEV"},
		{"output 0 1", "ENODEV"},
		{"unplug 0", "ENODEV"},
		{"control 0 immediate 1", "ENOTTY"},
		{"input 7 1", "EBADF"},
		{"output 7 1", "EBADF"},
		{"unplug 7", "EBADF"},
		{"control 7 up 0", "EBADF"},
	})
}
