package fuzz

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
)

// Concurrent draws scripts of two to six threads over everything that a script
// can say: queues, nested and not, pipes, fifos, terminals, devices, probes, user events
// and timers; the whole space of change flags; room from none to plenty; waits of no time,
// some and for ever; close, dup and dup2 of all of them, and the making of more.
func Concurrent() *rapid.Generator[*script.Script] {
	return rapid.Custom(func(t *rapid.T) *script.Script {
		g := &drawing{t: t, waits: []event.Wait{event.NoWait, event.NoWait, event.Finite, event.Forever}, timers: true, manners: true, cpus: script.MaxCPU + 1}
		s := g.setup()
		for range rapid.IntRange(2, script.MaxThreads).Draw(t, "threads") {
			s.Threads = append(s.Threads, g.thread(1, 30))
		}
		return s
	})
}

// Sequential draws scripts of one thread, in which each operation has one
// answer: all is made on one CPU, so that events come in one order under every
// strategy, nothing waits, there are no timers, whose data is the clock's, and no
// filter that may block, before which the core first visits other queues.
func Sequential() *rapid.Generator[*script.Script] {
	return rapid.Custom(func(t *rapid.T) *script.Script {
		g := &drawing{t: t, waits: []event.Wait{event.NoWait}, cpus: 1}
		s := g.setup()
		s.Threads = []script.Thread{g.thread(1, 40)}
		return s
	})
}

// A drawing is a script being drawn. It keeps account of the descriptors that
// setup makes, so that most operations name one of the right sort.
type drawing struct {
	t       *rapid.T
	waits   []event.Wait
	timers  bool
	manners bool
	cpus    int
	udata   uint64 // given to the last change: each has its own, but those that have none

	objects []*object         // that the script has
	made    int               // descriptors
	fds     [allClasses][]int // of those, those of each class

	asked [][]event.PollFD // of polls so far

	family bool // there are children
}

// setup draws what there is before the threads begin: on each CPU in turn some
// objects, and then what is registered.
func (g *drawing) setup() *script.Script {
	s := &script.Script{Seed: rapid.Uint64Range(1, 1<<20).Draw(g.t, "seed")}
	g.objects = g.some()
	for cpu := range g.cpus {
		t := script.Thread{CPU: cpu}
		made := rapid.SliceOfN(rapid.SampledFrom(g.objects), 1, 3).Draw(g.t, "objects")
		if cpu == 0 {
			made = append([]*object{queues}, made...)
		}
		for _, o := range made {
			t.Ops = append(t.Ops, g.make(o)...)
		}
		s.Setup = append(s.Setup, t)
	}
	last := &s.Setup[len(s.Setup)-1]
	for range rapid.IntRange(0, 4).Draw(g.t, "registrations") {
		op := event.Op{Call: event.CallKevent, FD: g.of(queue), Room: rapid.IntRange(0, 2).Draw(g.t, "room")}
		op.Changes = g.changes(1)
		last.Ops = append(last.Ops, op)
	}
	return s
}

func (g *drawing) thread(least, most int) script.Thread {
	t := script.Thread{CPU: rapid.IntRange(0, g.cpus-1).Draw(g.t, "cpu")}
	for range rapid.IntRange(least, most).Draw(g.t, "operations") {
		t.Ops = append(t.Ops, g.op())
	}
	return t
}

func (g *drawing) op() event.Op {
	acts := slices.Clone(common)
	for _, o := range g.objects {
		acts = append(acts, o.acts...)
	}
	return g.act(rapid.SampledFrom(acts).Draw(g.t, "call"))
}

// act draws an operation.
func (g *drawing) act(a act) event.Op {
	op := event.Op{Call: a.call}
	if a.draw != nil {
		a.draw(g, &op)
	}
	return op
}

// of draws a descriptor of one of some classes; now and then, or if there is none,
// any.
func (g *drawing) of(of ...class) int {
	fds := g.fds[rapid.SampledFrom(of).Draw(g.t, "class")]
	if len(fds) == 0 || rapid.IntRange(0, 15).Draw(g.t, "stray") == 15 {
		return g.any()
	}
	return rapid.SampledFrom(fds).Draw(g.t, "fd")
}

// any draws a number that is open, or may be by then.
func (g *drawing) any() int { return rapid.IntRange(0, g.made+1).Draw(g.t, "number") }

func (g *drawing) changes(n int) []event.Kevent {
	var all []event.Kevent
	for range n {
		all = append(all, g.change())
	}
	return all
}

var filters = []event.Filter{event.Read, event.Read, event.Read, event.Read, event.Write, event.Write, event.Except, event.User, event.User, event.Timer,
	event.AIO,
}

func (g *drawing) change() event.Kevent {
	kev := event.Kevent{Filter: rapid.SampledFrom(filters).Draw(g.t, "filter"), Flags: g.flags()}
	if rapid.IntRange(0, 31).Draw(g.t, "no filter") == 31 {
		kev.Filter = event.Filter(rapid.Int16Range(-12, 1).Draw(g.t, "any filter"))
	}
	if len(g.fds[regular]) > 0 && rapid.IntRange(0, 2).Draw(g.t, "of files") == 2 {
		kev.Filter = rapid.SampledFrom([]event.Filter{event.Vnode, event.Vnode, event.Vnode, event.FS}).Draw(g.t, "filter of files")
	}
	if g.family && rapid.IntRange(0, 1).Draw(g.t, "of the family") == 1 {
		kev.Filter = rapid.SampledFrom([]event.Filter{event.Proc, event.Proc, event.Signal}).Draw(g.t, "filter of the family")
	}
	if kev.Filter == event.Timer && !g.timers {
		kev.Filter = event.User
	}
	if rapid.IntRange(0, 9).Draw(g.t, "no udata") < 9 {
		g.udata++
		kev.Udata = g.udata
	}
	switch kev.Filter {
	case event.User:
		kev.Ident = rapid.Uint64Range(1, 2).Draw(g.t, "ident")
		kev.Fflags = event.Fflags(rapid.Uint32Range(0, 3).Draw(g.t, "operation"))<<30 | event.Fflags(rapid.Uint32Range(0, 3).Draw(g.t, "bits"))
		if rapid.Bool().Draw(g.t, "trigger") {
			kev.Fflags |= event.NoteTrigger
		}
		kev.Data = rapid.Int64Range(0, 2).Draw(g.t, "data")
	case event.Timer:
		g.timer(&kev)
	case event.Proc, event.Signal:
		drawOfFamily(g, &kev)
	case event.FS:
		kev.Ident = rapid.Uint64Range(0, 1).Draw(g.t, "ident")
	case event.Vnode:
		kev.Ident = uint64(g.of(g.watched(kev.Filter)...))
		kev.Fflags = drawNotes(g)
	default:
		kev.Ident = uint64(g.of(g.watched(kev.Filter)...))
		if kev.Filter == event.Except && rapid.Bool().Draw(g.t, "out of band") {
			kev.Fflags = event.NoteOOB
		}
		if rapid.IntRange(0, 7).Draw(g.t, "lowat") == 7 {
			kev.Fflags = event.NoteLowat
			kev.Data = rapid.SampledFrom([]int64{1, 2, 5, 513, 65536, 100000, 0, -1}).Draw(g.t, "mark")
		}
	}
	return kev
}

// timer makes kev a timer: one that expires once, or again and again, or no valid
// one.
func (g *drawing) timer(kev *event.Kevent) {
	kev.Ident = rapid.Uint64Range(1, 2).Draw(g.t, "ident")
	kev.Fflags = rapid.SampledFrom([]event.Fflags{
		event.NoteUSeconds, event.NoteUSeconds, event.NoteNSeconds, 0, event.NoteAbsTime | event.NoteUSeconds, event.NoteSeconds | event.NoteMSeconds,
	}).Draw(g.t, "unit")
	kev.Data = rapid.SampledFrom([]int64{0, 1, 20, 200, -1}).Draw(g.t, "period")
	if kev.Fflags&(event.NoteUSeconds|event.NoteNSeconds) == 0 {
		kev.Data = min(kev.Data, 1) // milliseconds
	}
	if kev.Flags&(event.Add|event.OneShot) != event.Add {
		return
	}
	switch rapid.IntRange(0, 5).Draw(g.t, "again and again") {
	default:
		kev.Flags |= event.OneShot
	case 0:
		kev.Fflags, kev.Data = event.NoteUSeconds, rapid.SampledFrom([]int64{script.MinPeriod, 60, 300}).Draw(g.t, "period of many")
	case 1:
		kev.Fflags, kev.Data = event.NoteNSeconds, 1000*script.MinPeriod
	case 2:
		kev.Fflags |= event.NoteAbsTime // a later EV_ADD may make it one
	}
}

// flags draws the flags of a change: mostly those that make sense, each with
// any of the others that may stand beside it, and now and then any eight bits.
func (g *drawing) flags() event.Flags {
	manner := func() event.Flags {
		var f event.Flags
		for _, bit := range []event.Flags{event.OneShot, event.Clear, event.Dispatch, event.Receipt} {
			if rapid.IntRange(0, 3).Draw(g.t, "manner") == 3 {
				f |= bit
			}
		}
		return f
	}
	switch rapid.IntRange(0, 15).Draw(g.t, "act") {
	default:
		return event.Add | manner()
	case 8:
		return event.Add | event.Disable | manner()
	case 9:
		return event.Add | event.Enable | manner()
	case 10, 11:
		return event.Delete
	case 12:
		return event.Disable
	case 13:
		return event.Enable
	case 14:
		return rapid.SampledFrom([]event.Flags{0, event.Receipt}).Draw(g.t, "bare")
	case 15:
		return event.Flags(rapid.Uint16Range(0, 0xff).Draw(g.t, "any flags"))
	}
}
