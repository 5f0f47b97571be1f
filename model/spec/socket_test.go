package spec_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// network is what most of these begin with: 1 listens, and 2 and 3 may connect.
var network = []string{"kqueue", "socket stream", "listen 1 7 1", "socket stream", "socket stream"}

// Each state that a socket may be in has words of its own.
func TestSocketWords(t *testing.T) {
	for _, c := range []struct{ ops, want string }{
		{"socketpair stream, send 0 1", "descriptor 1 is a stream socket, with 1 byte to read"},
		{"socketpair stream, send 0 5, shutdown 0 write", "descriptor 1 is a stream socket, with 5 bytes to read; nothing more will come"},
		{"socketpair stream, shutdown 0 write", "descriptor 0 is a stream socket, with 0 bytes to read; nothing can be sent"},
		{"socketpair stream, send 0 5, close 1", "descriptor 0 is a stream socket, with 0 bytes to read; both directions are over; `ECONNRESET` is pending"},
		{"socketpair dgram, send 0 5, send 0 0", "descriptor 1 is a datagram socket, with 2 datagrams to read"},
		{"socket stream", "descriptor 0 is a stream socket that is not connected"},
		{"socket stream, listen 0 7 1", "descriptor 0 is a stream socket that listens at port 7, where 0 connections wait"},
		{"socket stream, listen 0 7 1, socket stream, connect 1 7", "descriptor 0 is a stream socket that listens at port 7, where 1 connection waits"},
		{"socket stream, listen 0 7 1, socket stream, connect 1 7, socket stream, connect 2 7", "descriptor 2 is a stream socket that waits for room to be connected to port 7"},
		{"socket stream, listen 0 7 1, socket stream, connect 1 7, accept 0, send 2 3 oob", "descriptor 1 is a stream socket, with 2 bytes to read; out-of-band data is pending"},
	} {
		s := after(t, 0, strings.Split(c.ops, ", ")...)
		if words := s.Words(); !slices.Contains(words, c.want) {
			t.Errorf("after %s: %q, want %q among it", c.ops, words, c.want)
		}
		if text := s.String(); !strings.Contains(text, "socket") {
			t.Errorf("after %s: %q does not speak of a socket", c.ops, text)
		}
	}
}

// steps takes an operation step by step, and returns what is ready at kqueue 0 behind
// each.
func steps(t *testing.T, s *spec.State, text string) (w spec.Work, ready []string) {
	t.Helper()
	op := parse(t, text)
	w = s.Begin(op.FD)
	for !w.Done() {
		s.Act(&w, &op)
		var all []string
		for _, kev := range s.Deliverable(0) {
			all = append(all, kev.String())
		}
		ready = append(ready, strings.Join(all, "; "))
	}
	return w, ready
}

// A connection is made in three steps, and what others see between them is that it
// waits to be accepted, and that the one who connects is not told.
func TestConnectInSteps(t *testing.T) {
	s := after(t, 0, append(network, "kevent 0: READ 1 ADD; WRITE 2 ADD; WRITE 3 ADD")...)
	w, ready := steps(t, &s, "connect 2 7")
	if want := []string{"", "READ 1 data=1", "READ 1 data=1; WRITE 2 data=65536"}; w.Errno != 0 || !slices.Equal(ready, want) {
		t.Errorf("connect answers %v, and behind its steps are ready %q, want %q", w.Errno, ready, want)
	}
	w, ready = steps(t, &s, "connect 3 7")
	if w.Errno != syscall.EINPROGRESS || len(ready) != 3 || strings.Contains(ready[2], "WRITE 3") {
		t.Errorf("connect to a full backlog answers %v; ready are %q", w.Errno, ready)
	}
	// Who accepts lets the second in line, and tells it of that in a step of its own.
	w, ready = steps(t, &s, "accept 1")
	if want := []string{"READ 1 data=1; WRITE 2 data=65536", "READ 1 data=1; WRITE 2 data=65536; WRITE 3 data=65536"}; !w.Opens() || !slices.Equal(ready, want) {
		t.Errorf("behind the steps of accept are ready %q, want %q", ready, want)
	}
	if !s.Opened(&w, 4) || s.Opened(&w, 4) {
		t.Error("want that the connection has number 4, once")
	}
}

// Those who wait at a socket that is closed are turned away one by one.
func TestRefuse(t *testing.T) {
	s := after(t, 0, append(network, "connect 2 7", "connect 3 7")...)
	life, _ := s.Unlink(parse(t, "close 1"))
	s.Reap(life)
	n, queue := s.Shut(life)
	if queue || n < 0 {
		t.Fatalf("Shut = %d, %v, want a file that is no kqueue", n, queue)
	}
	for i, want := range []string{"ECONNRESET", "ECONNREFUSED"} {
		if !s.Refuse(n) {
			t.Fatalf("nobody is left, after %d", i)
		}
		op := event.Op{Call: event.CallSockErr, FD: 2 + i}
		if r := s.Apply(op); (event.Result{Errno: syscall.Errno(r.N)}).String() != want {
			t.Errorf("%v answers %v, want %s", op, r, want)
		}
	}
	if s.Refuse(n) || s.Refuse(-1) || s.Refuse(0) {
		t.Error("somebody is left")
	}
}

// A datagram that is sent to a port arrives in a step of its own, and if nobody is
// there that is pending after one more.
func TestSendInSteps(t *testing.T) {
	made := []string{"kqueue", "socket dgram", "listen 1 7 0", "socket dgram", "connect 2 7", "kevent 0: READ 1 ADD; READ 2 ADD"}
	s := after(t, 0, made...)
	w, ready := steps(t, &s, "send 2 5")
	if want := []string{"", "", "READ 1 data=5"}; w.N != 5 || !slices.Equal(ready, want) {
		t.Errorf("send answers %d, and behind its steps are ready %q, want %q", w.N, ready, want)
	}
	s = after(t, 0, append(made, "close 1")...)
	w, ready = steps(t, &s, "send 2 5")
	if want := []string{"", "", "READ 2 fflags=ECONNREFUSED"}; w.N != 5 || !slices.Equal(ready, want) {
		t.Errorf("to nobody send answers %d, and behind its steps are ready %q, want %q", w.N, ready, want)
	}
	// It is closed between the second step and the third.
	s = after(t, 0, made...)
	op := parse(t, "send 2 5")
	w = s.Begin(2)
	s.Act(&w, &op)
	s.Act(&w, &op)
	s.Apply(parse(t, "close 1"))
	for !w.Done() {
		s.Act(&w, &op)
	}
	if r := s.Apply(parse(t, "recv 2 9")); w.N != 5 || r.Errno != syscall.ECONNREFUSED {
		t.Errorf("send answers %d, and the error that is pending is %v, want 5 and ECONNREFUSED", w.N, r)
	}
}

// All but the last byte of what is sent out of band has to fit at once: more than there
// is room for now is to come again, more than there ever is never.
func TestSendUrgentTooMuch(t *testing.T) {
	s := after(t, 0, "socket stream", "listen 0 7 1", "socket stream", "connect 1 7", "accept 0", "send 1 1")
	for _, c := range []struct {
		op   string
		want event.Result
	}{
		{"send 1 65538 oob", event.Result{Errno: syscall.EMSGSIZE}},
		{"send 1 65537 oob", event.Result{Errno: syscall.EAGAIN}},
		{"send 1 65536 oob", event.Result{N: 65536}},
	} {
		if got := s.Apply(parse(t, c.op)); got.Errno != c.want.Errno || got.N != c.want.N {
			t.Errorf("%s answers %v, want %v", c.op, got, c.want)
		}
	}
}
