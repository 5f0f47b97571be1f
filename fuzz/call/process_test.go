package call_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/event"
)

// A child is forked, followed, ended and waited for, and takes what ends it.
func TestProcesses(t *testing.T) {
	say(t, []said{
		{"fork 2", "ESRCH"},
		{"kqueue", "ok"},
		{"fork 1", "2"},
		{"kevent 0: PROC 2 ADD fflags=EXIT|FORK|EXEC|TRACK udata=7", "ok"},
		{"fork 2", "3"},
		{"exec 2", "ok"},
		{"kevent 0 room=4", "events PROC 2 CLEAR fflags=FORK|EXEC|TRACK udata=7; PROC 3 CLEAR fflags=CHILD data=2 udata=7"},
		{"wait 2", "EAGAIN"},
		{"wait 3", "ECHILD"},
		{"exit 2 5", "ok"},
		{"exit 2 5", "ESRCH"},
		{"kevent 0 room=4", "events PROC 2 ONESHOT|CLEAR|NODATA|EOF fflags=EXIT data=1280 udata=7"},
		{"kevent 0 room=4: PROC 2 ADD udata=8", "events PROC 2 ONESHOT|CLEAR|NODATA|EOF data=1280 udata=8"},
		{"wait -1", "2 1280"},
		{"kill 3 15", "ok"},
		{"wait 3", "3 15"},
		{"wait -1", "ECHILD"},
		{"kill 3 0", "ESRCH"},
		{"kill 1 65", "EINVAL"},
		{"exit 1 0", "EPERM"},
	})
}

// Signals are counted whatever becomes of them. A thread that has not joined its process
// has none.
func TestSignals(t *testing.T) {
	say(t, []said{
		{"kqueue", "ok"},
		{"kevent 0: SIGNAL 2 ADD", "ok"},
		{"sigaction 2 ignore", "ok"},
		{"sigaction 9 catch", "EINVAL"},
		{"kill 1 2", "ok"},
		{"sigaction 2 catch", "ok"},
		{"kill 1 2", "ok"},
		{"kevent 0 room=2", "events SIGNAL 2 CLEAR data=2"},
		{"sigmask block 2", "EINVAL"},
		{"poll wait=finite mask=0", "ok"},
	})
}

// A signal that is blocked ends a wait whose mask lets it through, once.
func TestMasks(t *testing.T) {
	c, td := newCaller(t)
	c.Process().Join(td)
	defer c.Process().Part(td)
	for _, step := range []said{
		{"pipe", "0 1"},
		{"sigaction 2 catch", "ok"},
		{"sigmask block 2|15", "ok"},
		{"kill 1 2", "ok"},
		{"poll wait=forever mask=15: 0 IN", "EINTR"},
		{"poll wait=finite mask=15: 0 IN", "ok"},
		{"kill 1 2", "ok"},
		{"select 1 wait=finite mask=2: 0 r", "ok"},
		{"write 1 1", "1"},
		{"select 1 wait=forever mask=0: 0 r", "polled 0 IN"},
		{"read 0 1", "1"},
		{"select 1 wait=forever mask=0: 0 r", "EINTR"},
		{"kill 1 2", "ok"},
		{"sigmask unblock 2", "ok"},
		{"select 1 wait=finite mask=0: 0 r", "ok"},
	} {
		op, err := event.ParseOp(step.op)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Do(td, &op); got.String() != step.want {
			t.Errorf("%s: %v, want %s", step.op, got, step.want)
		}
	}
	for text, want := range map[string]bool{"kill 2 1": true, "sigmask set 0": true, "sigaction 2 catch": true, "poll mask=0": true, "poll": false, "fork 1": false} {
		op, err := event.ParseOp(text)
		if got := call.Joins(&op); err != nil || got != want {
			t.Errorf("%s needs a thread that has joined: %t, want %t", text, got, want)
		}
	}
}
