package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
)

// drawPoll draws what a poll or a select is of: mostly descriptors of the right sort,
// and now and then one twice, or a number that none can have. What one asks, others
// ask again, so that knotes are kept from call to call.
func drawPoll(g *drawing, op *event.Op) {
	if len(g.asked) > 0 && rapid.IntRange(0, 2).Draw(g.t, "as before") > 0 {
		op.FDs = rapid.SampledFrom(g.asked).Draw(g.t, "entries")
	} else {
		for range rapid.SampledFrom([]int{0, 1, 1, 2, 2, 3, 4}).Draw(g.t, "entries") {
			op.FDs = append(op.FDs, g.entry())
		}
		g.asked = append(g.asked, op.FDs)
	}
	op.Wait = rapid.SampledFrom(g.waits).Draw(g.t, "wait")
	if op.Call == event.CallPoll {
		return
	}
	// The sets that say what a poll would be asked.
	var sets []event.PollFD
	for _, p := range op.FDs {
		if p.FD > script.MaxSelected {
			continue
		}
		if p.Events &= event.PollIn | event.PollOut | event.PollPri; p.Events == 0 {
			p.Events = event.PollPri
		}
		sets = append(sets, p)
		op.N = max(op.N, int64(p.FD)+1)
	}
	op.FDs = sets
	switch rapid.IntRange(0, 15).Draw(g.t, "how many") {
	case 0:
		op.N = rapid.Int64Range(-1, op.N).Draw(g.t, "fewer")
	case 1:
		op.N += rapid.Int64Range(0, 100).Draw(g.t, "more")
	}
}

// entry draws one of a poll.
func (g *drawing) entry() event.PollFD {
	fd := g.of(g.there()...)
	if rapid.IntRange(0, 31).Draw(g.t, "no descriptor") == 31 {
		fd = rapid.SampledFrom([]int{-1, 1000, 5_000}).Draw(g.t, "number")
	}
	return event.PollFD{FD: int32(fd), Events: g.conditions()}
}

// conditions draws what is asked for: mostly what makes sense, and now and then any.
func (g *drawing) conditions() event.PollEvents {
	if rapid.IntRange(0, 7).Draw(g.t, "any conditions") == 7 {
		return event.PollEvents(rapid.Uint32Range(0, 0x3ff).Draw(g.t, "bits")) | rapid.SampledFrom([]event.PollEvents{0, event.PollRdHup}).Draw(g.t, "half")
	}
	return rapid.SampledFrom([]event.PollEvents{
		event.PollIn, event.PollIn, event.PollOut, event.PollIn | event.PollOut, event.PollIn | event.PollOut, 0,
		event.PollPri, event.PollIn | event.PollPri | event.PollRdHup, event.PollRdNorm, event.PollWrNorm,
	}).Draw(g.t, "conditions")
}

// there returns the classes of which there are descriptors.
func (g *drawing) there() (of []class) {
	for c, fds := range g.fds {
		if len(fds) > 0 {
			of = append(of, class(c))
		}
	}
	return of
}

// An epoll is what some scripts have.
var epolls = &object{
	name:  "epoll",
	rare:  true,
	makes: []making{{act{event.CallEpoll, nil}, []class{epolled}}},
	acts: append(append(often(3, act{event.CallEpollCtl, drawControl}), often(4, act{event.CallEpollWait, drawEpollWait})...),
		act{event.CallEpoll, nil}),
}

// drawControl draws what is done to an item. Each has an udata of its own, since
// what is returned of it names it by that.
func drawControl(g *drawing, op *event.Op) {
	op.FD = g.of(epolled)
	op.To = g.of(g.there()...)
	op.Ctl = rapid.SampledFrom([]event.EpollOp{event.EpollAdd, event.EpollAdd, event.EpollAdd, event.EpollMod, event.EpollMod, event.EpollDel}).Draw(g.t, "control")
	if op.Ctl == event.EpollDel {
		return
	}
	g.udata++
	op.Udata = g.udata
	op.Events = g.conditions()
	for _, mode := range []event.PollEvents{event.EpollET, event.EpollOneShot, event.EpollExclusive, event.EpollWakeup} {
		most := 2
		if mode == event.EpollExclusive || mode == event.EpollWakeup {
			most = 15
		}
		if rapid.IntRange(0, most).Draw(g.t, "mode") == most {
			op.Events |= mode
		}
	}
}

func drawEpollWait(g *drawing, op *event.Op) {
	op.FD = g.of(epolled)
	op.Room = rapid.SampledFrom([]int{0, 1, 1, 2, 8, 8, 8}).Draw(g.t, "room")
	op.Wait = rapid.SampledFrom(g.waits).Draw(g.t, "wait")
}
