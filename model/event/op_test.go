package event_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
)

func ExampleParseOp() {
	op, err := event.ParseOp("kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD")
	fmt.Println(op.Call, op.FD, op.Room, op.Wait, len(op.Changes), err)
	fmt.Println(op)
	// Output:
	// kevent 0 8 forever 2 <nil>
	// kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD
}

func TestOpString(t *testing.T) {
	for _, s := range []string{
		"kqueue", "pipe", "probe", "probe blocks", "probe unsafe", "probe blocks|unsafe", "set 5 -12", "read 3 100", "write 4 0", "dup -3", "dup2 3 7", "close 3", "kevent 0",
		"kevent 0: READ 1 DELETE", "kevent 7 room=8 wait=finite", "socketpair stream", "socketpair dgram", "socket dgram", "listen 3 7 1", "listen 3 -1 -2",
		"connect 3 7", "accept 3", "send 3 100", "send 3 100 oob", "recv 3 1 oob", "shutdown 3 read", "shutdown 3 write", "shutdown 3 both", "sockerr 3",
		"fifo", "reopen 3 write", "pty", "termios 3 raw", "termios 3 canon|echo", "termios 3 canon|0x100", "write 3 5 nl", "write 3 1 eof", "write 3 2 erase", "write 3 0 kill", "poll", "poll wait=forever: 3 IN|OUT; -1 0; 4 PRI revents=IN",
		"select 0", "select -5 wait=finite", "select 5 wait=forever: 3 r; 4 rwe; 4 we", "epoll", "epoll_ctl 0 add 3 IN|ET udata=7", "epoll_ctl 0 del 3 0",
		"fork 1", "exec 2", "exit -2 255", "wait 3", "kill 1 0", "kill -1 99", "sigaction 15 catch", "sigaction 0 default", "sigaction 2 ignore", "sigmask block 2|15",
		"sigmask unblock 0", "sigmask set 1|64", "poll mask=0", "poll wait=forever mask=2|15: 3 IN", "select 4 wait=finite mask=2: 3 r", "epoll_wait 0 room=8 wait=forever mask=15",
		"epoll_ctl 0 mod -3 EXCLUSIVE|0x8000", "epoll_wait 0 room=8 wait=forever", "epoll_wait 0", "kevent 7 wait=forever: USER 2 fflags=TRIGGER; TIMER 1 ADD data=5",
		"device mouse", "device request", "input 3 2", "output 3 0", "unplug -3", "control 3 immediate 1", "control 3 up -1",
		"disk", "aio 3 read 100", "aio 3 write 0", "complete 4 100", "complete 4 -1", "aio_cancel 4", "aio_error 4", "aio_return 4",
		"creat 5", "open 0", "mkdir 12", "rmdir 999", "unlink 5", "rename 5 12", "link 12 5", "chmod 5", "revoke 5", "truncate 3 -1", "seek 3 100", "mount 1", "unmount 0",
	} {
		op, err := event.ParseOp(s)
		if err != nil || op.String() != s {
			t.Errorf("ParseOp(%q) = %q, %v, want the same text", s, op, err)
		}
	}
}

func TestResultString(t *testing.T) {
	for _, tt := range []struct {
		r    event.Result
		want string
	}{
		{event.Result{}, "ok"},
		{event.Result{Pending: true}, "pending"},
		{event.Result{Errno: syscall.EBADF}, "EBADF"},
		{event.Result{Errno: syscall.EXDEV}, "errno 18"},
		{event.Result{N: 3}, "3"},
		{event.Result{N: 0, N2: 1}, "0 1"},
		{event.Result{Polled: []event.Polled{{ID: 3, Events: event.PollIn | event.PollHup}, {ID: 1 << 63, Events: event.PollOut}}}, "polled 3 IN|HUP; 9223372036854775808 OUT"},
		{event.Result{Events: []event.Kevent{{Filter: event.Read, Ident: 1, Data: 5}, {Filter: event.User, Ident: 2}}}, "events READ 1 data=5; USER 2"},
	} {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
		back, err := event.ParseResult(tt.want)
		if err != nil || !back.Equal(tt.r) {
			t.Errorf("ParseResult(%q) = %+v, %v, want %+v", tt.want, back, err, tt.r)
		}
	}
}

// Every message names the word at fault and what would have been right.
func TestParseOpErrors(t *testing.T) {
	for _, tt := range []struct{ text, word, want string }{
		{"", `""`, "kevent"},
		{"openat 3", `"openat"`, "kqueue, pipe"},
		{"close", "close", "descriptor"},
		{"close x", `"x"`, "32 bits"},
		{"close 3 4", `"4"`, "the end"},
		{"close 3: READ 1", `":"`, "changes"},
		{"probe slow", `"slow"`, "blocks, unsafe"},
		{"probe blocks|", `""`, "blocks, unsafe"},
		{"probe blocks unsafe", `"unsafe"`, "the end"},
		{"write 3 -1", `"-1"`, "at least 0"},
		{"dup2 3", "dup2", "new descriptor"},
		{"kevent 0 room=-1", `"-1"`, "from 0"},
		{"kevent 0 wait=long", `"long"`, "forever"},
		{"kevent 0 size=1", `"size=1"`, "room="},
		{"kevent 0:", `""`, "a filter and an ident"},
		{"socket tcp", `"tcp"`, "stream, dgram"},
		{"socketpair", "socketpair", "socket type"},
		{"listen 3 7", "listen", "backlog"},
		{"send 3 1 urgent", `"urgent"`, "oob"},
		{"send 3 1 oob oob", `"oob"`, "the end"},
		{"shutdown 3 all", `"all"`, "read, write, both"},
		{"write 3 5 return", `"return"`, "nl, eof"},
		{"write 3 5 nl nl", `"nl"`, "the end of write"},
		{"termios 3 cooked", `"cooked"`, "canon"},
		{"poll 3", `"3"`, "wait=, or mask=, or a colon before the entries"},
		{"poll: 3", `"3"`, "a descriptor and conditions"},
		{"poll: 3 IN; 4 OOT", `"OOT"`, "OUT"},
		{"select: 3 r", "select", "count of descriptors"},
		{"select 4: 3 wr", `"wr"`, "in this order"},
		{"select 4: 3", `"3"`, "its sets"},
		{"select 4: x r", `"x"`, "32 bits"},
		{"epoll_ctl 0 put 3 IN", `"put"`, "add, del, mod"},
		{"epoll_ctl 0 add 3", "epoll_ctl", "condition"},
		{"epoll_ctl 0 add 3 IN udata=-1", `"-1"`, "from 0"},
		{"epoll_ctl 0 add 3 IN room=1", `"room=1"`, "udata="},
		{"device", "device", "ends: want a device"},
		{"device joystick", `"joystick"`, "mouse, psm"},
		{"device mouse 3", `"3"`, "the end of device"},
		{"input 3 -1", `"-1"`, "at least 0"},
		{"output 3", "output", "count of units"},
		{"unplug mouse", `"mouse"`, "32 bits"},
		{"control 3 slow 1", `"slow"`, "immediate, timeout"},
		{"control 3 up", "control", "value"},
		{"epoll_wait 0: 3 IN", `":"`, "the end"},
		{"fork", "fork", "process"},
		{"fork x", `"x"`, "32 bits"},
		{"exit 2", "exit", "status"},
		{"exit 2 -1", `"-1"`, "at least 0"},
		{"sigaction 15 drop", `"drop"`, "default, ignore, catch"},
		{"sigmask hold 2", `"hold"`, "block, unblock, set"},
		{"sigmask block 2|65", `"65"`, "from 1 to 64"},
		{"sigmask block 2||3", `""`, "from 1 to 64"},
		{"sigmask block", "sigmask", "set of signals"},
		{"poll mask=: 3 IN", `""`, "from 1 to 64"},
		{"poll mask=2 mask=3: 3 IN", `"mask=3"`, "wait="},
		{"kevent 0 mask=2", `"mask=2"`, "room="},
		{"creat", "creat", "file"},
		{"creat -1", `"-1"`, "up to 999"},
		{"open 1000", `"1000"`, "whose digits are a path"},
		{"rename 5", "rename", "new file"},
		{"link 5 x", `"x"`, "up to 999"},
		{"truncate 3 much", `"much"`, "64 bits"},
		{"seek 3", "seek", "offset"},
		{"mount -1", `"-1"`, "at least 0"},
		{"kevent 0 room=1 room=2", `"room=2"`, "wait="},
		{"kevent 0: READ 1 ADD; REED 2", `"REED"`, "READ, WRITE"},
	} {
		op, err := event.ParseOp(tt.text)
		if err == nil {
			t.Errorf("ParseOp(%q) = %v, want an error", tt.text, op)
		} else if s := err.Error(); !strings.Contains(s, tt.word) || !strings.Contains(s, tt.want) {
			t.Errorf("ParseOp(%q): %q, want %s and %q in it", tt.text, s, tt.word, tt.want)
		}
	}
	for _, s := range []string{"", "EWHAT", "1 2 3", "1 x", "errno", "errno 0", "polled", "polled 3", "polled -3 IN", "polled 3 IM", "events", "events READ", "pending 3"} {
		if r, err := event.ParseResult(s); err == nil {
			t.Errorf("ParseResult(%q) = %v, want an error", s, r)
		}
	}
}

func FuzzParseOp(f *testing.F) {
	for _, s := range []string{"kqueue", "probe unsafe|blocks", "set 5 -12", "dup2 3 7", "kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD", "kevent", ":", "close 0x3",
		"listen 3 7 1", "send 3 1 oob", "shutdown 3 both", "termios 4 raw|canon|0x8", "poll wait=forever: 3 IN; 4 OUT|PRI", "select 5: 3 r; 4 rwe", "epoll_ctl 0 add 3 IN|ET udata=7", "epoll_wait 0 wait=finite room=2", "device usb", "input 3 2", "control 3 timeout -5",
		"fork 1", "exit 2 1", "kill 1 15", "sigaction 15 catch", "sigmask block 2|15", "poll wait=forever mask=0: 3 IN", "rename 5 12", "truncate 3 -5", "mount 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		op, err := event.ParseOp(s)
		if err != nil {
			return
		}
		back, err := event.ParseOp(op.String())
		if err != nil || !back.Equal(op) || strings.ContainsAny(op.String(), "\n\r") {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, op, op, back, err)
		}
	})
}

func FuzzParseResult(f *testing.F) {
	for _, s := range []string{"ok", "pending", "EBADF", "errno 18", "3 4", "events READ 1 data=5; USER 2 CLEAR", "events", "polled 3 IN|HUP; 4 OUT", "polled 3 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := event.ParseResult(s)
		if err != nil {
			return
		}
		back, err := event.ParseResult(r.String())
		if err != nil || !back.Equal(r) || strings.ContainsAny(r.String(), "\n\r") {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, r, r, back, err)
		}
	})
}

// Each call is written in its own way, and is one of Calls.
func TestCalls(t *testing.T) {
	names := map[string]bool{}
	for c := range event.Calls {
		if s := c.String(); !c.Known() || s == "" || names[s] {
			t.Errorf("call %d is called %q: want a name of its own", c, s)
		} else {
			names[s] = true
		}
	}
	for c, makes := range map[event.Call]int{event.CallPipe: 2, event.CallPty: 2, event.CallSocketpair: 2, event.CallKqueue: 1, event.CallAccept: 1, event.CallDup: 1, event.CallDup2: 0, event.CallPoll: 0, event.CallDevice: 1, event.CallInput: 0, 0: 0, 200: 0} {
		if got := c.Makes(); got != makes {
			t.Errorf("%v makes %d descriptors, want %d", c, got, makes)
		}
	}
	if len(names) < 33 || event.Call(0).Known() || event.Call(len(names)+1).Known() || event.Call(200).String() != "call 200" {
		t.Errorf("%d calls: %v", len(names), names)
	}
}

// What cannot be written cannot be told apart: two operations are equal if their
// texts are.
func TestOpEqual(t *testing.T) {
	ops := map[string]event.Op{}
	for _, s := range []string{
		"send 3 1", "send 3 1 oob", "send 3 2", "send 4 1", "recv 3 1", "socket stream", "socket dgram", "shutdown 3 read", "shutdown 3 write", "termios 3 raw", "termios 3 canon", "write 3 1 nl", "write 3 1 eof", "write 3 1",
		"listen 3 7 1", "listen 3 7 2", "poll: 3 IN", "poll: 3 OUT", "poll wait=finite: 3 IN", "select 5: 3 r", "select 5: 3 w", "select 6: 3 r",
		"epoll_ctl 0 add 3 IN", "epoll_ctl 0 mod 3 IN", "epoll_ctl 0 add 4 IN", "epoll_ctl 0 add 3 OUT", "epoll_ctl 0 add 3 IN udata=1", "epoll_wait 0 room=1", "epoll_wait 0 room=2",
		"device mouse", "device psm", "input 3 1", "input 3 2", "output 3 1", "unplug 3", "control 3 up 1", "control 3 up 0", "control 3 carrier 1",
		"fork 1", "fork 2", "exec 2", "exit 2 0", "exit 2 1", "wait 2", "kill 2 1", "kill 2 2", "sigaction 2 ignore", "sigaction 2 catch", "sigmask block 2", "sigmask set 2", "sigmask set 3", "poll mask=0: 3 IN", "poll mask=2: 3 IN",
		"creat 5", "creat 6", "open 5", "mkdir 5", "rmdir 5", "unlink 5", "rename 5 6", "rename 5 7", "link 5 6", "chmod 5", "revoke 5", "truncate 3 1", "truncate 3 2", "seek 3 1", "mount 1", "unmount 1",
	} {
		op, err := event.ParseOp(s)
		if err != nil {
			t.Fatal(err)
		}
		ops[s] = op
	}
	for a, x := range ops {
		for b, y := range ops {
			if x.Equal(y) != (a == b) {
				t.Errorf("%q equals %q: %t", a, b, x.Equal(y))
			}
		}
	}
}

// Each device and each control has a name of its own, and no other value has one.
func TestDeviceNames(t *testing.T) {
	names := map[string]bool{}
	for d := range event.Devices {
		names[d.String()] = true
		if op, err := event.ParseOp("device " + d.String()); err != nil || op.Device != d {
			t.Errorf("device %v is %v, %v", d, op, err)
		}
	}
	if len(names) != 19 || event.Device(0).String() != "device 0" || event.Device(20).String() != "device 20" {
		t.Errorf("%d devices: %v", len(names), names)
	}
	for c := event.Immediate; c <= event.Up; c++ {
		if op, err := event.ParseOp("control 3 " + c.String() + " 1"); err != nil || op.Control != c {
			t.Errorf("control %v is %v, %v", c, op, err)
		}
	}
}
