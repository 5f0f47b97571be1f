package spec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/model/spec"
	"github.com/kqlab/kqlab/strategies"
	"pgregory.net/rapid"
)

// A kernel carries operations out on the real core, one after another.
type kernel struct {
	p  *proc.Process
	td *machine.Thread
	c  call.Caller
}

func newKernel(s strategies.Entry) *kernel {
	m := machine.Native(1)
	k := kqueue.New(m, s.New(m))
	w := catalog.NewWorld(k)
	c := &kernel{p: w.Process, td: m.Attach("test", 0)}
	c.c.Begin(w, 1, 1, true)
	return c
}

// end closes everything and goes.
func (k *kernel) end() {
	k.c.Leave(k.td)
	for fd := range 64 {
		k.p.Close(k.td, fd)
	}
	k.td.Detach()
}

func (k *kernel) do(op event.Op) event.Result { return k.c.Do(k.td, &op) }

var (
	numbers = rapid.IntRange(-1, 9)
	flags   = rapid.OneOf(
		rapid.SampledFrom([]event.Flags{event.Add, event.Add | event.Clear, event.Add | event.Dispatch, event.Add | event.OneShot, event.Delete, event.Enable, event.Disable, 0}),
		rapid.Custom(func(t *rapid.T) event.Flags { return event.Flags(rapid.Uint16Range(0, 0xff).Draw(t, "flags")) }),
		rapid.Custom(func(t *rapid.T) event.Flags { return event.Flags(rapid.Uint16().Draw(t, "any flags")) }))
	manners = rapid.SampledFrom([]event.Manner{0, 0, 0, event.Blocks, event.Unsafe, event.Blocks | event.Unsafe})
	files   = rapid.SampledFrom([]int{1, 1, 2, 3, 3, 31, 31, 32, 34, 341, 0, 13})
	amounts = rapid.SampledFrom([]int64{0, 1, 1, 2, 3, 100, 511, 512, 513, 5000, 65024, 65535, 65536, 70000})
)

func drawKevent(t *rapid.T, timers bool) event.Kevent {
	filters := []event.Filter{event.Read, event.Read, event.Read, event.Write, event.Write, event.User, event.User, event.Except, event.Vnode, event.Proc, event.Proc, event.Signal, event.Signal, event.AIO, event.FS, 0, 5}
	if timers {
		filters = append(filters, event.Timer, event.Timer, event.Timer)
	}
	kev := event.Kevent{
		Filter: rapid.SampledFrom(filters).Draw(t, "filter"),
		Flags:  flags.Draw(t, "flags"),
		Udata:  rapid.Uint64Range(0, 9).Draw(t, "udata"),
	}
	kev.Data = rapid.OneOf(rapid.Int64Range(-1, 3), amounts, rapid.Int64()).Draw(t, "data")
	switch kev.Filter {
	case event.User:
		kev.Ident = rapid.Uint64Range(0, 2).Draw(t, "ident")
		kev.Fflags = event.Fflags(rapid.SampledFrom([]uint32{0, 0x01000000, 0x01000005, 0x41000003, 0x81000006, 0xc1000007, 0xc0000001, 0x80000002, 0x02000000}).Draw(t, "fflags"))
	case event.Timer:
		kev.Ident = rapid.Uint64Range(0, 2).Draw(t, "ident")
		kev.Data = rapid.SampledFrom([]int64{0, 0, 1, 20, 1e15, -1, 1 << 62}).Draw(t, "period")
		kev.Fflags = event.Fflags(rapid.SampledFrom([]uint32{0, 1, 2, 4, 8, 16, 20, 3, 32}).Draw(t, "unit"))
	case event.Proc:
		kev.Ident = uint64(int64(rapid.OneOf(rapid.IntRange(1, 5), numbers).Draw(t, "process")))
		const all = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack
		kev.Fflags = rapid.SampledFrom([]event.Fflags{all, all, event.NoteTrack, event.NoteExit, event.NoteFork, event.NoteFork | event.NoteExec, event.NoteTrack | event.NoteExit, 0, event.NoteChild, event.NoteTrackErr | event.NoteExit}).Draw(t, "fflags")
	case event.Signal:
		kev.Ident = uint64(int64(signals.Draw(t, "ident")))
		kev.Fflags = rapid.SampledFrom([]event.Fflags{0, 0, 0, 0, 0, 1}).Draw(t, "fflags")
	default:
		kev.Ident = uint64(int64(numbers.Draw(t, "fd")))
		kev.Fflags = event.Fflags(rapid.SampledFrom([]uint32{0, 0, 0, 1, 1, 2, 3, 8}).Draw(t, "fflags"))
	}
	return kev
}

// drawOp draws an operation: in a run of one scene such as that has more.
func drawOp(t *rapid.T, timers bool, sc scene) event.Op {
	call := rapid.SampledFrom(append(slices.Clip(sc.calls), []event.Call{
		event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent, event.CallKevent,
		event.CallSet, event.CallSet, event.CallSet, event.CallRead, event.CallRead, event.CallWrite, event.CallWrite, event.CallWrite,
		event.CallKqueue, event.CallPipe, event.CallProbe, event.CallDup, event.CallDup2, event.CallClose,
		event.CallPoll, event.CallPoll, event.CallPoll, event.CallSelect, event.CallInput, event.CallControl,
	}...)).Draw(t, "call")
	op := event.Op{Call: call}
	switch call {
	case event.CallKqueue, event.CallPipe, event.CallProbe, event.CallFifo, event.CallPty, event.CallEpoll, event.CallDisk:
		return op
	}
	if call == event.CallSocket || call == event.CallSocketpair {
		op.Sock = rapid.SampledFrom([]event.SockType{event.Stream, event.Stream, max(sc.sock, event.Stream), event.Datagram}).Draw(t, "socket type")
		return op
	}
	if call == event.CallDevice {
		op.Device = sc.device
		return op
	}
	if call >= event.CallFork && call <= event.CallSigmask {
		drawProcess(t, &op)
		return op
	}
	switch {
	case call.Names():
		op.File = files.Draw(t, "file")
		if call == event.CallRename || call == event.CallLink {
			op.To = files.Draw(t, "new file")
		}
		return op
	case call.Mounts():
		op.N = rapid.Int64Range(0, 1).Draw(t, "file system")
		return op
	}
	op.FD = numbers.Draw(t, "fd")
	switch call {
	case event.CallTruncate, event.CallSeek:
		op.N = rapid.OneOf(amounts, rapid.SampledFrom([]int64{-1, 1 << 20, 1<<20 + 1, 1 << 40})).Draw(t, "bytes")
	case event.CallInput, event.CallOutput:
		op.N = amounts.Draw(t, "units")
		if sc.commands {
			op.N = rapid.Int64Range(0, 5).Draw(t, "completed")
		}
	case event.CallUnplug:
	case event.CallControl:
		op.Control = rapid.SampledFrom([]event.Control{event.Immediate, event.Timeout, event.Buffer, event.Lowat, event.Flush, event.Carrier, event.Up}).Draw(t, "control")
		op.N = rapid.OneOf(rapid.Int64Range(-1, 2), amounts).Draw(t, "value")
		if sc.commands && rapid.IntRange(0, 3).Draw(t, "abort") > 0 {
			op.Control, op.N = event.Abort, rapid.Int64Range(-1, 8).Draw(t, "tag")
		}
	case event.CallSend, event.CallRecv:
		op.N = amounts.Draw(t, "bytes")
		op.OOB = rapid.IntRange(0, 3).Draw(t, "urgent") == 3
	case event.CallShutdown:
		op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.WriteSide, event.BothSides}).Draw(t, "side")
	case event.CallListen:
		op.N = rapid.SampledFrom([]int64{1, 1, 1, 2, 0, -1, 65536}).Draw(t, "port")
		op.Backlog = rapid.SampledFrom([]int{1, 1, 2, 3, -1}).Draw(t, "backlog")
	case event.CallConnect:
		op.N = rapid.SampledFrom([]int64{1, 1, 1, 1, 2, 0, -1, 49152}).Draw(t, "port")
	case event.CallDup2:
		op.To = numbers.Draw(t, "to")
	case event.CallSet:
		op.N = rapid.OneOf(rapid.Int64Range(-1, 4), amounts).Draw(t, "level")
	case event.CallRead, event.CallWrite:
		op.N = amounts.Draw(t, "bytes")
		if sc.commands && rapid.IntRange(0, 7).Draw(t, "whole") > 0 {
			op.N = rapid.SampledFrom([]int64{32, 32, 64, 96, 256, 320}).Draw(t, "commands")
		}
		if sc.reads != 0 && call == event.CallRead && rapid.IntRange(0, 7).Draw(t, "buffer") > 0 {
			op.N = sc.reads
		}
		if sc.keys && call == event.CallWrite {
			op.N = rapid.SampledFrom([]int64{1, 1, 2, 3, 5, 300, 1023, 2000}).Draw(t, "typed")
			op.Key = rapid.SampledFrom([]event.Key{event.NoKey, event.NoKey, event.KeyNL, event.KeyNL, event.KeyEOF, event.KeyErase, event.KeyKill}).Draw(t, "key")
		}
	case event.CallAIO:
		op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.WriteSide, event.BothSides}).Draw(t, "side")
		op.N = amounts.Draw(t, "asked")
	case event.CallComplete:
		op.N = rapid.OneOf(rapid.Just(int64(-1)), amounts).Draw(t, "transferred")
		if sc.commands {
			op.N = rapid.Int64Range(-1, 8).Draw(t, "tag")
		}
	case event.CallAIOCancel, event.CallAIOError, event.CallAIOReturn:
	case event.CallReopen:
		op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.WriteSide, event.BothSides}).Draw(t, "side")
	case event.CallTermios:
		op.Modes = rapid.SampledFrom([]event.Termios{0, event.Echo, event.Canonical, event.Canonical | event.Echo}).Draw(t, "modes")
	case event.CallKevent:
		op.FD = rapid.OneOf(rapid.IntRange(0, 1), numbers).Draw(t, "kq")
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			kev := drawKevent(t, timers)
			if len(sc.watched) > 0 && rapid.IntRange(0, 3).Draw(t, "what the scene is of") > 0 {
				w := rapid.SampledFrom(sc.watched).Draw(t, "watched")
				kev.Filter, kev.Ident, kev.Fflags = w.Filter, w.Ident, min(kev.Fflags, 1)
				if w.Filter == event.Vnode {
					kev.Fflags = event.Fflags(rapid.Uint32Range(0, 0x80).Draw(t, "notes"))
				}
			}
			op.Changes = append(op.Changes, kev)
		}
		op.Room = rapid.IntRange(0, 5).Draw(t, "room")
		op.Wait = rapid.SampledFrom([]event.Wait{event.NoWait, event.NoWait, event.Forever, event.Finite}).Draw(t, "wait")
	default:
		drawPoll(t, &op, sc.name == "processes")
	}
	return op
}

var (
	signals = rapid.SampledFrom([]int{2, 2, 2, 15, 15, int(syscall.SIGCHLD), int(syscall.SIGCHLD), int(syscall.SIGTSTP), 9, 64, 0, -1, 65})
	sigsets = rapid.SampledFrom([]event.Sigset{0, event.Signals(2), event.Signals(15), event.Signals(2, 15), event.Signals(2, 9, int(syscall.SIGCHLD)), ^event.Sigset(0)})
)

// drawProcess completes a call of what is done to processes, or said of signals.
func drawProcess(t *rapid.T, op *event.Op) {
	op.Pid = rapid.OneOf(rapid.IntRange(1, 4), numbers).Draw(t, "process")
	switch op.Call {
	case event.CallExit:
		op.N = rapid.Int64Range(0, 3).Draw(t, "status")
	case event.CallKill:
		op.Pid = rapid.SampledFrom([]int{1, op.Pid}).Draw(t, "to")
		op.Sig = signals.Draw(t, "signal")
	case event.CallSigaction:
		op.Pid, op.Sig = 0, signals.Draw(t, "signal")
		op.Action = rapid.SampledFrom([]event.SigAction{event.SigDefault, event.SigIgnore, event.SigCatch}).Draw(t, "action")
	case event.CallSigmask:
		op.Pid, op.Sigs = 0, sigsets.Draw(t, "signals")
		op.How = rapid.SampledFrom([]event.SigHow{event.SigBlock, event.SigUnblock, event.SigSetMask}).Draw(t, "how")
	}
}

// drawPoll completes a call of poll, select or epoll.
func drawPoll(t *rapid.T, op *event.Op, masks bool) {
	asks := rapid.OneOf(
		rapid.SampledFrom([]event.PollEvents{0, event.PollIn, event.PollIn, event.PollOut, event.PollIn | event.PollOut, event.PollIn | event.PollRdHup}),
		rapid.Custom(func(t *rapid.T) event.PollEvents {
			return event.PollEvents(rapid.Uint32Range(0, 0x23ff).Draw(t, "bits"))
		}))
	op.Wait = rapid.SampledFrom([]event.Wait{event.NoWait, event.NoWait, event.Forever}).Draw(t, "wait")
	if op.Call != event.CallEpollCtl && masks {
		if op.Masked = rapid.Bool().Draw(t, "masked"); op.Masked {
			op.Sigs = sigsets.Draw(t, "mask")
		}
	}
	switch op.Call {
	case event.CallPoll, event.CallSelect:
		op.FD = 0
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			p := event.PollFD{FD: int32(numbers.Draw(t, "polled")), Events: asks.Draw(t, "asks")}
			if op.Call == event.CallSelect {
				if p.Events &= event.PollIn | event.PollOut | event.PollPri; p.Events == 0 {
					continue
				}
			}
			op.FDs = append(op.FDs, p)
		}
		if op.Call == event.CallSelect {
			op.N = rapid.Int64Range(-1, 10).Draw(t, "nfds")
		}
	case event.CallEpollCtl:
		op.FD = rapid.OneOf(rapid.IntRange(2, 3), numbers).Draw(t, "epoll")
		op.Wait = 0
		op.To = numbers.Draw(t, "watched")
		op.Ctl = rapid.SampledFrom([]event.EpollOp{event.EpollAdd, event.EpollAdd, event.EpollAdd, event.EpollMod, event.EpollMod, event.EpollDel}).Draw(t, "control")
		op.Events = asks.Draw(t, "asks") | rapid.SampledFrom([]event.PollEvents{0, 0, event.EpollET, event.EpollET, event.EpollOneShot, event.EpollET | event.EpollOneShot, event.EpollExclusive}).Draw(t, "modes")
		op.Udata = rapid.Uint64Range(0, 9).Draw(t, "udata")
	case event.CallEpollWait:
		op.FD = rapid.OneOf(rapid.IntRange(2, 3), numbers).Draw(t, "epoll")
		op.Room = rapid.IntRange(0, 4).Draw(t, "room")
	}
}

// A scene is what a run begins with, behind two kqueues, and what is done in it
// besides what is done in all.
type scene struct {
	name    string
	opening []string
	calls   []event.Call
	keys    bool // writes have them

	commands bool           // reads and writes are of them
	watched  []event.Kevent // most changes are to those
	sock     event.SockType // of sockets that are made; mostly streams
	device   event.Device   // that is made
	reads    int64          // the size of most reads; 0: any
}

var scenes = []scene{
	{name: "pipe and probe", opening: []string{"pipe", "probe"}},
	{name: "epoll", opening: []string{"epoll", "epoll", "pipe", "probe"}, calls: []event.Call{
		event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl,
		event.CallEpollWait, event.CallEpollWait, event.CallEpollWait, event.CallEpollWait, event.CallEpollWait, event.CallEpollWait, event.CallEpoll}},
	{name: "fifo", opening: []string{"fifo", "reopen 2 read", "reopen 2 write"}, calls: []event.Call{
		event.CallReopen, event.CallReopen, event.CallReopen, event.CallClose, event.CallClose, event.CallRead, event.CallWrite, event.CallFifo}},
	{name: "fifo without who made it", opening: []string{"fifo", "reopen 2 read", "reopen 2 write", "close 2"}, calls: []event.Call{
		event.CallReopen, event.CallReopen, event.CallReopen, event.CallClose, event.CallRead, event.CallWrite}},
	{name: "terminal", keys: true, opening: []string{"pty", "reopen 2 both"}, calls: []event.Call{
		event.CallWrite, event.CallWrite, event.CallWrite, event.CallRead, event.CallRead, event.CallTermios, event.CallTermios, event.CallReopen, event.CallPty}},
	{name: "processes", opening: []string{"pipe", "fork 1", "socket stream"}, calls: []event.Call{
		event.CallFork, event.CallFork, event.CallFork, event.CallFork, event.CallExec, event.CallExec, event.CallExit, event.CallExit, event.CallExit, event.CallWait, event.CallWait,
		event.CallKill, event.CallKill, event.CallKill, event.CallKill, event.CallSigaction, event.CallSigaction, event.CallSigmask, event.CallSigmask,
		event.CallPoll, event.CallEpollCtl, event.CallEpollWait, event.CallEpoll, event.CallListen, event.CallConnect}},
}

// Of the calls of sockets those that move bytes are most.
var moves = []event.Call{event.CallSend, event.CallSend, event.CallSend, event.CallRecv, event.CallRecv, event.CallRecv, event.CallShutdown, event.CallSockErr, event.CallClose}

func init() {
	connects := append(moves, event.CallListen, event.CallConnect, event.CallConnect, event.CallConnect, event.CallAccept, event.CallAccept, event.CallSocket, event.CallSocket)
	scenes = append(scenes,
		scene{name: "pair of streams", opening: []string{"socketpair stream", "socketpair stream"}, calls: append(moves, event.CallSocketpair)},
		scene{name: "pair for datagrams", sock: event.Datagram, opening: []string{"socketpair dgram", "socketpair dgram"}, calls: append(moves, event.CallSocketpair)},
		scene{name: "streams that listen", opening: []string{"socket stream", "listen 2 1 1", "socket stream", "connect 3 1", "socket stream", "connect 4 1", "accept 2"}, calls: connects},
		scene{name: "datagrams to ports", sock: event.Datagram, opening: []string{"socket dgram", "listen 2 1 0", "socket dgram", "connect 3 1", "socket dgram"}, calls: connects},
	)
}

func init() {
	scenes = append(scenes, scene{name: "requests of a disk", opening: []string{"disk", "aio 2 read 100", "aio 2 write 512"}, calls: []event.Call{
		event.CallAIO, event.CallAIO, event.CallComplete, event.CallComplete, event.CallComplete, event.CallAIOCancel, event.CallAIOError, event.CallAIOReturn, event.CallAIOReturn, event.CallClose,
		event.CallEpollCtl, event.CallEpoll}, watched: []event.Kevent{{Filter: event.AIO, Ident: 3}, {Filter: event.AIO, Ident: 4}}})
	scenes = append(scenes, scene{name: "commands to a device", opening: []string{"device request", "write 2 64", "complete 2 1"}, calls: []event.Call{
		event.CallWrite, event.CallWrite, event.CallWrite, event.CallRead, event.CallRead, event.CallInput, event.CallInput, event.CallComplete, event.CallComplete, event.CallControl,
		event.CallUnplug, event.CallDevice, event.CallEpollCtl, event.CallEpollCtl, event.CallEpoll}, commands: true, device: event.Request,
		watched: []event.Kevent{{Filter: event.Read, Ident: 2}, {Filter: event.Write, Ident: 2}, {Filter: event.Except, Ident: 2}}})
}

func init() {
	interrupts := []event.Call{event.CallInput, event.CallInput, event.CallInput, event.CallInput, event.CallRead, event.CallRead, event.CallWrite, event.CallControl,
		event.CallReopen, event.CallClose, event.CallUnplug, event.CallEpollCtl, event.CallEpollWait, event.CallEpollWait}
	scenes = append(scenes,
		scene{name: "listeners of packets", device: event.BPF, reads: 4096, opening: []string{"device bpf", "reopen 2 both", "epoll"}, calls: interrupts,
			watched: []event.Kevent{{Filter: event.Read, Ident: 2}, {Filter: event.Read, Ident: 3}, {Filter: event.Except, Ident: 3}}},
		scene{name: "serial line", device: event.Serial, opening: []string{"device serial", "reopen 2 both", "epoll"}, calls: append(interrupts, event.CallOutput, event.CallOutput, event.CallTermios),
			watched: []event.Kevent{{Filter: event.Read, Ident: 2}, {Filter: event.Write, Ident: 3}, {Filter: event.Except, Ident: 3}}},
	)
}

// Of the calls of devices those of the other side are most.
func init() {
	for d := range event.Devices {
		if s := spec.New(0); s.Apply(event.Op{Call: event.CallDevice, Device: d}).Errno != 0 {
			continue // it has none yet
		}
		open := "device " + d.String()
		scenes = append(scenes, scene{name: open, device: d, opening: []string{"epoll", open, open}, calls: []event.Call{
			event.CallInput, event.CallInput, event.CallInput, event.CallInput, event.CallInput, event.CallOutput, event.CallOutput, event.CallOutput,
			event.CallRead, event.CallRead, event.CallWrite, event.CallControl, event.CallControl, event.CallUnplug, event.CallDevice, event.CallClose,
			event.CallEpollCtl, event.CallEpollCtl, event.CallEpollCtl, event.CallEpollWait, event.CallEpollWait, event.CallEpollWait}})
	}
}

func init() {
	names := []event.Call{event.CallCreat, event.CallOpen, event.CallMkdir, event.CallRmdir, event.CallUnlink, event.CallUnlink, event.CallRename, event.CallRename, event.CallRename,
		event.CallLink, event.CallLink, event.CallChmod, event.CallRevoke, event.CallMount, event.CallUnmount}
	scenes = append(scenes,
		scene{name: "files", opening: []string{"creat 1", "creat 1", "creat 2", "kevent 0: VNODE 2 ADD|CLEAR fflags=0x7f; VNODE 4 ADD fflags=DELETE|LINK; READ 3 ADD|CLEAR", "kevent 1: VNODE 3 ADD|CLEAR fflags=WRITE|RENAME; READ 2 ADD"}, calls: append(names,
			event.CallTruncate, event.CallTruncate, event.CallSeek, event.CallSeek, event.CallRead, event.CallWrite, event.CallEpoll, event.CallEpollCtl),
			watched: []event.Kevent{{Filter: event.Vnode, Ident: 2}, {Filter: event.Read, Ident: 2}, {Filter: event.Read, Ident: 3}, {Filter: event.Write, Ident: 3}, {Filter: event.Vnode, Ident: 4}}},
		scene{name: "directories", opening: []string{"mkdir 3", "mkdir 34", "creat 31", "open 0", "open 3", "open 34", "kevent 0: VNODE 2 ADD|CLEAR fflags=0x7f; VNODE 3 ADD|CLEAR fflags=0x7f; VNODE 4 ADD|CLEAR fflags=0x7f; VNODE 5 ADD fflags=LINK; FS 0 ADD"}, calls: append(names, names...),
			watched: []event.Kevent{{Filter: event.Vnode, Ident: 2}, {Filter: event.Vnode, Ident: 3}, {Filter: event.Vnode, Ident: 4}, {Filter: event.Vnode, Ident: 5}, {Filter: event.FS}, {Filter: event.FS, Ident: 9}}},
	)
}

func (sc scene) ops() []event.Op {
	ops := []event.Op{{Call: event.CallKqueue}, {Call: event.CallKqueue}}
	for _, text := range sc.opening {
		op, err := event.ParseOp(text)
		if err != nil {
			panic(err)
		}
		ops = append(ops, op)
	}
	return ops
}

// Random operations, one after another, get from the core under every strategy
// an answer that the specification allows.
func TestKernelAgrees(t *testing.T) {
	for _, s := range strategies.All {
		for name, w := range map[string]with{"timers=false": {}, "timers=true": {timers: true}, "manners": {manners: true}} {
			t.Run(s.Name+"/"+name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) { agree(t, s, w) })
			})
		}
	}
}

// With says what is drawn besides what has one answer. Filters that block or are
// not MP-safe leave the order of events open, since who asks them first visits
// the queues that watch queues:
//
//	set, on what one queue watches, and another that watches that one
//	asks for the first: yes
//	visits the second, then asks for it     <- or asks first, if it cannot block
type with struct{ timers, manners bool }

// The same, guided by what of the core a run reaches.
func FuzzKernelAgrees(f *testing.F) {
	for seed := range byte(8) {
		b := make([]byte, 32<<10) // fewer do not draw a whole test
		rand.NewChaCha8([32]byte{seed}).Read(b)
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		w := with{rapid.Bool().Draw(t, "timers"), rapid.Bool().Draw(t, "manners")}
		agree(t, rapid.SampledFrom(strategies.All).Draw(t, "strategy"), w)
	}))
}

func agree(t *rapid.T, s strategies.Entry, w with) {
	k := newKernel(s)
	defer k.end()
	free := spec.Freedom(0)
	if w.manners {
		free = spec.AnyOrder
	}
	now := []spec.State{spec.New(free)}
	var log strings.Builder
	sc := rapid.SampledFrom(scenes).Draw(t, "scene")
	opening := sc.ops()
	n := rapid.IntRange(1, 40).Draw(t, "operations")
	if sc.name == "processes" { // and its signals have somebody to come to
		k.p.Join(k.td)
		defer k.p.Part(k.td)
	}
	for i := range len(opening) + n {
		var op event.Op
		if i < len(opening) {
			op = opening[i]
		} else {
			op = drawOp(t, w.timers, sc)
		}
		if w.manners && op.Call == event.CallProbe {
			op.Manner = manners.Draw(t, "manner")
		}
		if slices.ContainsFunc(now, func(s spec.State) bool { n := s.Clone(); return n.Apply(op).Pending }) {
			op.Wait = event.NoWait // it might hang
		}
		want := now[0].Clone()
		expected := want.Apply(op)
		got := k.do(op)
		fmt.Fprintf(&log, "%v\n\t%v\n", op, got)
		var next []spec.State
		for _, s := range now {
			for _, n := range s.Step(op, got) {
				if !slices.ContainsFunc(next, n.Equal) {
					next = append(next, n)
				}
			}
		}
		if len(next) == 0 {
			t.Fatalf("the specification says\n\t%v\nin state\n%vafter\n%v", expected, now[0], log.String())
		}
		if !w.timers && !w.manners && (len(next) != 1 || !expected.Equal(got) || !want.Equal(next[0])) {
			t.Fatalf("without a choice Apply and Step differ: %v leads to\n%v, and %v to %d states, first\n%v", expected, want, got, len(next), next[0])
		}
		now = next
	}
}
