package spec

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// A State is all that there is: descriptors, files, and the knotes of every
// kqueue. The zero State is a process without descriptors; use [New].
type State struct {
	free   Freedom
	slots  []slot    // numbers in use, ascending, and after them the lives that are ending
	files  []file    // by file number, in order of making
	queued []message // datagrams that were not read, in order of their coming
	ports  int       // of those that are given to sockets that ask for none, the next, from the first on
	knotes []knote   // in order of making
	lives  int32     // lives of descriptors begun
	places int64     // places on ready lists given out
	owed   []int32   // queues whose watchers are to be told; none between steps

	procs  []process // that have been forked, in order of their coming
	births []birth   // knotes that forks under way are still to make

	has     dispositions // of the first process, and of its one thread
	pending event.Sigset // of that: what it blocks

	vfs vfs
}

// A slot is one life of a descriptor number: from open, dup or dup2 until close
// has returned.
type slot struct {
	fd     int
	life   int32
	file   int32
	owner  int32 // the child whose descriptor it is, 0 of those that operations speak of
	ending bool  // the number is free again, but the knotes are there yet
	reaped bool  // of one that is ending: its knotes are gone, the file not yet released
}

// A knote is a queue's interest in one condition. It is on the queue's ready
// list if place is not 0, and the list is in the order of the places. What is
// on the list need not be deliverable: it is asked again when its turn comes.
type knote struct {
	queue    int32
	file     int32 // what it watches, -1 for a user event or a timer
	life     int32 // of the descriptor that it is tied to
	filter   event.Filter
	keep     event.Flags // OneShot, Clear, Dispatch
	disabled bool
	fired    bool // something has happened since it was last retrieved
	ident    uint64
	udata    uint64
	place    int64
	late     bool // it may be told once more of what has been retrieved, see lateNews

	asks    event.PollEvents // of an item: what of the file, and its modes
	mark    int64            // low-water mark
	bits    event.Fflags     // of a user event; what has happened, of VNODE and FS
	data    int64            // of a user event
	pending int64            // user event: 1 if it is raised; timer: expirations not retrieved
	more    ticks            // timer: what may come yet

	notes event.Fflags // of PROC and VNODE: what is asked for

	// Of a process.
	born   int32 // of a child that nobody can find yet: the parent's number
	ended  bool  // an end that is kept back: what is to be told of it then, and how it was
	exit   event.Fflags
	status int64
}

// Ticks are the expirations that a timer may have yet.
type ticks uint8

const (
	noTick ticks = iota
	oneTick
	manyTicks
)

// New returns a process without descriptors, in a world with the given
// freedoms, 0 for none.
func New(free Freedom) State { return State{free: free, vfs: vfs{}.bare()} }

// Clone returns a state that shares nothing with s.
func (s State) Clone() State {
	s.slots, s.files, s.knotes, s.queued, s.owed = slices.Clone(s.slots), slices.Clone(s.files), slices.Clone(s.knotes), slices.Clone(s.queued), nil
	s.procs, s.births = slices.Clone(s.procs), slices.Clone(s.births)
	s.vfs = s.vfs.clone()
	return s
}

// Equal reports whether no operation tells s from o. It may say no of states
// that differ in names that nobody sees, such as the order in which files were
// made.
func (s State) Equal(o State) bool {
	return s.free == o.free && s.lives == o.lives && slices.Equal(s.slots, o.slots) && slices.Equal(s.files, o.files) &&
		slices.Equal(s.queued, o.queued) && s.ports == o.ports && s.vfs.equal(o.vfs) &&
		slices.Equal(s.procs, o.procs) && slices.Equal(s.births, o.births) && s.has == o.has && s.pending == o.pending &&
		slices.EqualFunc(s.knotes, o.knotes, func(a, b knote) bool {
			listed := (a.place != 0) == (b.place != 0)
			a.place, b.place = 0, 0
			return listed && a == b
		}) && slices.Equal(s.order(), o.order())
}

// order returns the indices of the knotes that are on a ready list, by place.
// With AnyOrder there is no order to tell.
func (s *State) order() []int {
	if s.free&AnyOrder != 0 {
		return nil
	}
	var on []int
	for i := range s.knotes {
		if s.knotes[i].place != 0 {
			on = append(on, i)
		}
	}
	slices.SortFunc(on, func(a, b int) int { return cmp.Compare(s.knotes[a].place, s.knotes[b].place) })
	return on
}

var seed = maphash.MakeSeed()

// Hash returns a number that is the same for equal states.
func (s State) Hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, x := range s.slots {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.files {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.queued {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.vfs.nodes {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.vfs.names {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.procs {
		maphash.WriteComparable(&h, x)
	}
	for _, x := range s.knotes {
		x.place = min(x.place, 1)
		maphash.WriteComparable(&h, x)
	}
	return h.Sum64()
}

// String returns the state in a few lines for people: descriptors, then knotes.
func (s State) String() string {
	s = s.Clone() // to ask a knote of a kqueue prunes what is on that one's list
	var b strings.Builder
	for _, x := range s.slots {
		if x.owner != 0 {
			fmt.Fprintf(&b, "process %d, ", x.owner)
		}
		fmt.Fprintf(&b, "%d: %s", x.fd, s.of(x.file).name())
		if text := s.of(x.file).details(&s, x.file); text != "" {
			b.WriteString(" " + text)
		}
		if x.ending {
			b.WriteString(" (closing)")
		}
		b.WriteString("\n")
	}
	for _, text := range s.processWords() {
		b.WriteString(text + "\n")
	}
	if s.has != (dispositions{}) {
		fmt.Fprintf(&b, "signals: ignored %v, caught %v, blocked %v, pending %v\n", s.has.ignored, s.has.caught, s.has.blocked, s.pending)
	}
	for i := range s.knotes {
		kn := &s.knotes[i]
		hit, e := s.ask(i)
		fmt.Fprintf(&b, "kqueue %d: %v", kn.queue, e)
		for _, w := range []struct {
			is   bool
			name string
		}{{hit, "holds"}, {kn.fired, "fired"}, {kn.place != 0, "listed"}, {kn.disabled, "disabled"}} {
			if w.is {
				b.WriteString(" " + w.name)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
