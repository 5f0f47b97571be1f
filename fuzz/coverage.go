package fuzz

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A Pair is a way in which two threads have met: one came to the point First at an
// object, and the next that came to that object was another, to Second. A bug of
// two threads needs one of these, and one that has never come cannot have shown any:
// it is what is counted as covered by who looks for such bugs, as in Yu,
// Narayanasamy, Pereira, Pokam, "Maple", OOPSLA 2012.
type Pair struct {
	// Object is what kind of object it was, its type and name. Addresses would be
	// others in each execution.
	Object        string
	First, Second machine.Point
}

// String returns the pair as one line.
func (p Pair) String() string { return fmt.Sprintf("%s: %v, %v", p.Object, p.First, p.Second) }

const (
	// To follow all objects takes half as long as an execution to just as long, so that
	// after the first few it is done in one of so many, and takes 1 to 3 % in all. Which
	// does not depend on the workers.
	coverFirst, coverEvery = 256, 64
	// maxPoints is more than there are points of the machine.
	maxPoints = 32
)

// covers reports whether the pairs of an execution are looked for, by its number.
func covers(n int) bool { return n < coverFirst || n%coverEvery == 0 }

// A coverage is the pairs that have been seen.
type coverage struct {
	n    int
	bits []firsts // by class
}

// Firsts has for each point the set of those that came second.
type firsts [maxPoints]uint32

// add adds a pair.
func (c *coverage) add(class int, first, second uint8) {
	for class >= len(c.bits) {
		c.bits = append(c.bits, firsts{})
	}
	if set := &c.bits[class][first%maxPoints]; *set&(1<<second) == 0 {
		*set |= 1 << second
		c.n++
	}
}

// merge adds what another has, and empties that.
func (c *coverage) merge(o *coverage) {
	for class := range o.bits {
		for first, set := range o.bits[class] {
			for ; set != 0; set &= set - 1 {
				c.add(class, uint8(first), uint8(bits.TrailingZeros32(set)))
			}
		}
		o.bits[class] = firsts{}
	}
	o.n = 0
}

// pairs lists what has been seen, in order.
func (c *coverage) pairs(names *classes) (all []Pair) {
	for class := range c.bits {
		for first, set := range c.bits[class] {
			for ; set != 0; set &= set - 1 {
				all = append(all, Pair{names.name(class), machine.Point(first), machine.Point(bits.TrailingZeros32(set))})
			}
		}
	}
	slices.SortFunc(all, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
	})
	return all
}

// Classes number kinds of objects, for all workers alike.
type classes struct {
	mu  sync.Mutex
	all []machine.Class // guarded by mu
}

func (c *classes) number(of machine.Class) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.all, of)
	if i < 0 {
		i = len(c.all)
		c.all = append(c.all, of)
	}
	return i
}

func (c *classes) name(class int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[class].String()
}

// A watcher is a scheduler that notes which pairs come in the executions of
// another.
type watcher struct {
	sched.Scheduler
	names   *classes
	known   map[machine.Class]int // of names
	seen    *coverage
	objects map[any]access
}

func newWatcher(s sched.Scheduler, names *classes, seen *coverage) *watcher {
	return &watcher{Scheduler: s, names: names, known: map[machine.Class]int{}, seen: seen, objects: map[any]access{}}
}

// An access is the last one to an object.
type access struct {
	class, thread int
	point         uint8
}

// Begin implements [sched.Scheduler].
func (w *watcher) Begin() bool {
	clear(w.objects)
	return w.Scheduler.Begin()
}

// Next implements [sched.Scheduler].
func (w *watcher) Next(can []int, current int, v sched.View) int {
	i := w.Scheduler.Next(can, current, v)
	w.saw(can[i], v)
	return i
}

// Forced implements [sched.Observer].
func (w *watcher) Forced(thread int, v sched.View) {
	if o, ok := w.Scheduler.(sched.Observer); ok {
		o.Forced(thread, v)
	}
	w.saw(thread, v)
}

// Witnesses implements [sched.Witness].
func (w *watcher) Witnesses() bool { return sched.Witnesses(w.Scheduler) }

// Touched implements [sched.Witness].
func (w *watcher) Touched(object int, how sched.Access) {
	if o, ok := w.Scheduler.(sched.Witness); ok {
		o.Touched(object, how)
	}
}

// saw notes that a thread goes on. The objects are told apart by themselves, not by
// the numbers that [sched.View.Pending] gives, or those would be others than in an
// execution that is not watched.
func (w *watcher) saw(thread int, v sched.View) {
	look, ok := v.(machine.Look)
	if !ok || thread == sched.Clock {
		return
	}
	point, obj := look.At(thread)
	if obj == nil {
		return
	}
	last, met := w.objects[obj]
	now := access{last.class, thread, uint8(point)}
	switch {
	case !met:
		of := machine.ClassOf(obj)
		class, known := w.known[of]
		if !known {
			class = w.names.number(of)
			w.known[of] = class
		}
		now.class = class
	case last.thread != thread:
		w.seen.add(now.class, last.point, now.point)
	}
	w.objects[obj] = now
}
