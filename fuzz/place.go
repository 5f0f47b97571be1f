package fuzz

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A place is where an execution can take a turn, said in words that outlive the code
// around it: "thread 2, in its operation 1, came by unlock kq_token for the 3rd time".
//
// What number a step has changes with every point that is added before it, be it in
// another thread. A place changes only if the same operation of the same thread comes
// by the same point more or less often before it. Objects are told apart by what they
// are called, not by number: a queue more, made before, would move
// all numbers. A queue's atomic words are called by what they say; others have no names
// and count together, so that a load more of any of them moves the places of loads in
// that operation.
type place struct {
	thread string // as tokens call it: the number of one of the script, "clock", "start"
	op     int    // operations begun; of a callout its runs, of the clock its ticks
	point  string // a point of the machine, or one of the words below
	object string // in letters, digits and hyphens; "" if there is none
	nth    int    // how often it has been here, from 1
}

// What a place's point can be beside the points of the machine.
const (
	pointWait   = "wait"   // it waits for the object, and cannot go on
	pointAsleep = "asleep" // it sleeps on it
	pointEnd    = "end"    // it has ended
	pointTick   = "tick"   // of the clock
	pointBegin  = "begin"  // before all
	pointChoose = "choose" // not a turn: something else was open behind the last turn
)

// The threads of places that are no threads.
const (
	threadStart = "start"
	threadClock = "clock"
)

var start = place{thread: threadStart, point: pointBegin, nth: 1}

// String is the form of places in tokens: start, clock.2, 1.3.unlock.kq-token.2.
func (p place) String() string {
	switch {
	case p.point == pointBegin:
		return threadStart
	case p.point == pointTick:
		return fmt.Sprintf("%s.%d", threadClock, p.op)
	}
	s := fmt.Sprintf("%s.%d.%s", p.thread, p.op, p.point)
	if p.object != "" {
		s += "." + p.object
	}
	if p.nth > 1 {
		s += fmt.Sprint(".", p.nth)
	}
	return s
}

// words says it for people.
func (p place) words() string {
	switch {
	case p.point == pointBegin:
		return "the start"
	case p.point == pointTick:
		return fmt.Sprintf("the clock's tick %d", p.op)
	}
	what := p.point
	if p.object != "" {
		what += " " + p.object
	}
	return fmt.Sprintf("%s at %s, time %d", p.who(), what, p.nth)
}

// who says whose the place is, and in which operation.
func (p place) who() string {
	switch {
	case p.thread == threadStart:
		return "setup"
	case p.ofScript():
		return fmt.Sprintf("thread %s in its operation %d", p.thread, p.op)
	}
	return fmt.Sprintf("%s in its run %d", p.thread, p.op)
}

// ofScript reports whether the place is one of a thread of the script.
func (p place) ofScript() bool {
	_, err := strconv.Atoi(p.thread)
	return err == nil
}

// parsePlace reads what String has written. What it says of a word is what was
// expected in its place.
func parsePlace(text string) (p place, err error) {
	words := strings.Split(text, ".")
	p = place{thread: words[0], nth: 1}
	switch {
	case text == threadStart:
		return start, nil
	case !slugged(p.thread):
		return p, fmt.Errorf("thread %q of a place: want a number, a name, clock or start", p.thread)
	case len(words) < 2:
		return p, fmt.Errorf("place %q: want %s, or words with points between them, such as 1.2.unlock.kq-token.3", text, threadStart)
	}
	number := func(what, word string, from int) int {
		n, e := strconv.ParseUint(word, 10, 31)
		if (e != nil || int(n) < from || strconv.FormatUint(n, 10) != word) && err == nil {
			err = fmt.Errorf("%s %q of place %q: want a number from %d on", what, word, text, from)
		}
		return int(n)
	}
	if p.thread == threadClock && len(words) == 2 {
		p.op, p.point = number("tick", words[1], 1), pointTick
		return p, err
	}
	p.op = number("operation", words[1], 0)
	if err != nil {
		return p, err
	}
	if len(words) < 3 || len(words) > 5 {
		return p, fmt.Errorf("place %q: want a thread, an operation, a point, and no more than an object and a count behind", text)
	}
	p.point = words[2]
	switch _, known := machine.PointNamed(p.point); {
	case known, p.point == pointWait, p.point == pointAsleep, p.point == pointEnd, p.point == pointChoose:
	default:
		return p, fmt.Errorf("point %q of place %q: want one of %s", p.point, text,
			strings.Join(append(machine.PointNames(), pointWait, pointAsleep, pointEnd, pointChoose), ", "))
	}
	rest := words[3:]
	if len(rest) > 0 && !digits(rest[0]) {
		if !slugged(rest[0]) {
			return p, fmt.Errorf("object %q of place %q: want small letters, digits and hyphens", rest[0], text)
		}
		p.object, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		p.nth, rest = number("count", rest[0], 2), rest[1:]
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("place %q: want nothing behind the count", text)
	}
	return p, err
}

// slug is a name as tokens have it: nothing in it that a shell, or a token, takes for
// something else.
func slug(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	if digits(name) {
		return name + "-" // a count would look the same
	}
	return name
}

func slugged(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func digits(word string) bool { return strings.Trim(word, "0123456789") == "" }

// objectName is what an object is called that a thread of the run is about to act on.
func (g *guide) objectName(obj any) string {
	if w, ok := obj.(*machine.Uint32); ok && g.gaze != nil {
		if says, of := g.gaze.Word(w); of != nil {
			return says
		}
	}
	return objectName(obj)
}

// objectName is what an object is called that points are about: by its name, or else by
// its type. Names are given by threads, which the race detector is not to see.
//
//go:norace
func objectName(obj any) string {
	switch o := obj.(type) {
	case *machine.CPU:
		return fmt.Sprintf("cpu%d", o.ID())
	case *machine.Inbox:
		return "mail"
	case *machine.Callout:
		return strings.TrimSuffix(o.Ended.Name, " callout")
	}
	c := machine.ClassOf(obj)
	return cmp.Or(c.Name, c.Type)
}

// threadSlug is the name of a thread as tokens have it.
func threadSlug(name string) string {
	if n, ok := strings.CutPrefix(name, "thread "); ok && digits(n) && n != "" {
		return n
	}
	return slug(name)
}

// A guide says at which place an execution is. It is asked by the scheduler that it
// goes with.
type guide struct {
	r    *run
	gaze *kqueue.Gaze
	last int // the number of the thread that went on last; sched.Clock, or nobody's
	who  map[int]someone
	runs map[string]int // of callouts and the like, by name
	been map[place]int
	here place
}

// A someone is a thread that has gone on.
type someone struct {
	name string
	lane *lane // of the script; else nil
	run  int
}

const nobody = -1

// begin is called when an execution is about to begin, and follow when there is a run.
func (g *guide) begin() {
	*g = guide{last: nobody, who: map[int]someone{}, runs: map[string]int{}, been: map[place]int{}, here: start}
}

// follow implements onlooker.
func (g *guide) follow(r *run) { g.r, g.gaze = r, r.k.NewGaze() }

// arrive finds out at which place the thread has stopped that went on last.
func (g *guide) arrive(v sched.View) {
	if g.last == nobody {
		return
	}
	if g.last == sched.Clock {
		g.runs[threadClock]++
		g.here = place{thread: threadClock, op: g.runs[threadClock], point: pointTick, nth: 1}
		return
	}
	p := place{point: pointEnd}
	p.thread, p.op = g.who[g.last].at()
	if t, ok := machine.Show(v, g.last); ok {
		switch t.State {
		case machine.Waiting:
			p.point = pointWait
		case machine.Asleep:
			p.point = pointAsleep
		default:
			p.point = t.Point.String()
		}
		if t.Object != nil && p.point != machine.PointVisit.String() { // always a domain
			p.object = slug(g.objectName(t.Object))
		}
	}
	g.here = g.count(p)
}

// choose returns the place of a choice that is open now: who makes it is the thread that
// went on last, or setup.
func (g *guide) choose() place {
	p := place{thread: threadStart, point: pointChoose}
	switch {
	case g.last == sched.Clock:
		p.thread, p.op = threadClock, g.runs[threadClock]
	case g.last != nobody:
		p.thread, p.op = g.who[g.last].at()
	}
	return g.count(p)
}

// count returns a place that the execution has come to, with how often it has.
func (g *guide) count(p place) place {
	g.been[p]++
	p.nth = g.been[p]
	return p
}

// at returns the thread and the operation of a place of w's.
func (w someone) at() (thread string, op int) {
	if w.lane != nil {
		return w.name, int(w.lane.begun.Load())
	}
	return w.name, w.run
}

// leave says who goes on.
func (g *guide) leave(thread int, v sched.View) {
	g.last = thread
	if _, known := g.who[thread]; known || thread == sched.Clock {
		return
	}
	t, _ := machine.Show(v, thread)
	w := someone{name: threadSlug(t.Name)}
	if g.r != nil {
		w.lane = g.r.laneNamed(t.Name)
	}
	if w.lane == nil {
		g.runs[w.name]++
		w.run = g.runs[w.name]
	}
	g.who[thread] = w
}

// name returns what tokens call the one at index i of those that may go on.
func (g *guide) name(can []int, i int, v sched.View) string {
	if can[i] == sched.Clock {
		return threadClock
	}
	name, same := g.nameOf(can[i], v), 1
	for _, t := range can[:i] {
		if t != sched.Clock && g.nameOf(t, v) == name {
			same++
		}
	}
	if same > 1 {
		return fmt.Sprintf("%s+%d", name, same)
	}
	return name
}

func (g *guide) nameOf(thread int, v sched.View) string {
	t, _ := machine.Show(v, thread)
	return cmp.Or(threadSlug(t.Name), "-")
}
