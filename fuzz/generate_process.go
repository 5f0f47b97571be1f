package fuzz

import (
	"syscall"

	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// families are children of the process of the threads, and theirs, and the signals that
// all of them may be sent. Scripts with one have masks for their polls.
var families = &object{
	name:  "family",
	rare:  true,
	makes: []making{{act{event.CallFork, drawFirstFork}, nil}},
	acts: []act{
		{event.CallFork, drawPid}, {event.CallFork, drawPid}, {event.CallExec, drawOther},
		{event.CallExit, drawExit}, {event.CallExit, drawExit}, {event.CallWait, drawWait},
		{event.CallKill, drawKill}, {event.CallKill, drawKill}, {event.CallKill, drawKill},
		{event.CallSigaction, drawSigaction}, {event.CallSigmask, drawSigmask},
		{event.CallKevent, drawKevent}, {event.CallKevent, drawKevent},
		{event.CallPoll, drawMasked}, {event.CallSelect, drawMasked},
	},
}

func drawFirstFork(g *drawing, op *event.Op) {
	g.family = true
	op.Pid = 1
}

// drawPid draws a process, and now and then a number that may be none.
func drawPid(g *drawing, op *event.Op) {
	op.Pid = rapid.SampledFrom([]int{1, 2, 2, 2, 3, 3, 4, 5, 0}).Draw(g.t, "process")
}

// drawOther draws a process that may end.
func drawOther(g *drawing, op *event.Op) {
	op.Pid = rapid.SampledFrom([]int{2, 2, 3, 3, 4, 5}).Draw(g.t, "process")
}

func drawExit(g *drawing, op *event.Op) {
	drawOther(g, op)
	op.N = rapid.Int64Range(0, 3).Draw(g.t, "status")
}

func drawWait(g *drawing, op *event.Op) {
	op.Pid = rapid.SampledFrom([]int{-1, 2, 2, 3, 4}).Draw(g.t, "process")
}

var signals = []int{2, 2, 2, 15, 15, int(syscall.SIGCHLD)}

// drawKill draws a signal, mostly for the process of the threads.
func drawKill(g *drawing, op *event.Op) {
	op.Pid = rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(g.t, "process")
	op.Sig = rapid.SampledFrom(append([]int{0, 9, 65}, signals...)).Draw(g.t, "signal")
}

func drawSigaction(g *drawing, op *event.Op) {
	op.Sig = rapid.SampledFrom(signals).Draw(g.t, "signal")
	op.Action = rapid.SampledFrom([]event.SigAction{event.SigCatch, event.SigCatch, event.SigIgnore, event.SigDefault}).Draw(g.t, "action")
}

func drawSigmask(g *drawing, op *event.Op) {
	op.How = rapid.SampledFrom([]event.SigHow{event.SigBlock, event.SigBlock, event.SigUnblock, event.SigSetMask}).Draw(g.t, "how")
	op.Sigs = drawSigs(g)
}

func drawSigs(g *drawing) event.Sigset {
	return rapid.SampledFrom([]event.Sigset{0, event.Signals(2), event.Signals(15), event.Signals(2, 15), event.Signals(2, 9, 15, int(syscall.SIGCHLD))}).Draw(g.t, "signals")
}

func drawMasked(g *drawing, op *event.Op) {
	drawPoll(g, op)
	op.Masked, op.Sigs = true, drawSigs(g)
}

// drawOfFamily makes kev one of a process, or of a signal.
func drawOfFamily(g *drawing, kev *event.Kevent) {
	if kev.Filter == event.Signal {
		kev.Ident = uint64(rapid.SampledFrom(signals).Draw(g.t, "signal"))
		return
	}
	kev.Ident = uint64(rapid.SampledFrom([]int{1, 2, 2, 2, 3, 3, 4, 9}).Draw(g.t, "process"))
	const all = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack
	kev.Fflags = rapid.SampledFrom([]event.Fflags{all, all, event.NoteTrack, event.NoteTrack | event.NoteExit, event.NoteExit, event.NoteFork | event.NoteExec, 0, event.NoteChild}).Draw(g.t, "fflags")
}
