package fuzz

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A route is a way through an execution, as the turns to be taken off the usual way, in
// which the thread that runs goes on as long as it can. The turns come one after another.
type route []turn

// A turn is a decision against the usual one: at that place, another goes on, or
// something else than 0 is chosen.
type turn struct {
	place
	to     string // who goes on, as tokens call it; "" if it is a choice
	choice int
}

// String is the form of routes in tokens:
//
//	1@2.1.unlock.kq-token.3,clock@1.2.asleep.kevent,=1@2.1.choose
//
// Thread 1 goes on when thread 2, in its operation 1, has come by unlock kq_token for the
// third time; then the clock, when thread 1 sleeps on kevent in its operation 2; then 1 is
// chosen where thread 2 has something open for the first time in its operation 1.
func (r route) String() string {
	if len(r) == 0 {
		return script.Usual
	}
	return strings.Join(r.words(), ",")
}

// words are the turns as text, and not nil.
func (r route) words() []string {
	words := []string{}
	for _, t := range r {
		words = append(words, t.String())
	}
	return words
}

func (t turn) String() string {
	if t.point == pointChoose {
		return fmt.Sprintf("=%d@%v", t.choice, t.place)
	}
	return fmt.Sprintf("%s@%v", t.to, t.place)
}

// parseRoute reads what String has written.
func parseRoute(text string) (r route, err error) {
	if text == script.Usual {
		return nil, nil
	}
	return parseTurns(strings.Split(text, ","))
}

// parseTurns reads turns.
func parseTurns(words []string) (r route, err error) {
	for i, word := range words {
		t, err := parseTurn(word)
		if err != nil {
			return nil, fmt.Errorf("turn %d: %w", i+1, err)
		}
		r = append(r, t)
	}
	return r, nil
}

func parseTurn(text string) (t turn, err error) {
	to, at, found := strings.Cut(text, "@")
	if !found {
		return t, fmt.Errorf("%q: want who goes on, @ and a place, such as 1@2.1.unlock.kq-token.3", text)
	}
	if t.place, err = parsePlace(at); err != nil {
		return t, err
	}
	value, choice := strings.CutPrefix(to, "=")
	if choice != (t.point == pointChoose) {
		return t, fmt.Errorf("%q: want = and a number at the point %s, and a thread elsewhere", text, pointChoose)
	}
	if choice {
		n, err := strconv.ParseUint(value, 10, 31)
		if t.choice = int(n); err != nil || n == 0 || n > script.MaxChoice || strconv.Itoa(t.choice) != value {
			return t, fmt.Errorf("choice %q: want = and a number from 1 to %d", to, script.MaxChoice)
		}
		return t, nil
	}
	name, nth, counted := strings.Cut(to, "+")
	if n, err := strconv.ParseUint(nth, 10, 8); !slugged(name) || counted && (err != nil || n < 2 || strconv.FormatUint(n, 10) != nth) {
		return t, fmt.Errorf("thread %q that is to go on: want a number, a name or clock, and behind it + and a number from 2 on if there are several of that name", to)
	}
	t.to = to
	return t, nil
}

// A traveller is a scheduler that takes a route, or one that notes the route of another's
// execution.
type traveller struct {
	guide
	sched.Scheduler // whose route is noted; nil if one is to be taken

	route  route
	taken  int // turns of the route
	misfit error
	noted  route
}

// travel returns what takes a route.
func travel(r route) *traveller { return &traveller{route: r} }

// Begin implements [sched.Scheduler].
func (t *traveller) Begin() bool {
	t.guide.begin()
	t.taken, t.misfit, t.noted = 0, nil, nil
	return t.Scheduler == nil || t.Scheduler.Begin()
}

// Next implements [sched.Scheduler].
func (t *traveller) Next(can []int, current int, v sched.View) int {
	t.arrive(v)
	i := usual(can, current)
	if t.Scheduler == nil {
		i = t.take(can, i, v)
	} else if chosen := t.Scheduler.Next(can, current, v); chosen != i {
		i = chosen
		t.noted = append(t.noted, turn{place: t.here, to: t.name(can, i, v)})
	}
	t.leave(can[i], v)
	return i
}

// take returns the index of the one that the route has go on here, otherwise if it says
// nothing.
func (t *traveller) take(can []int, otherwise int, v sched.View) int {
	next := t.due()
	if next == nil || next.place != t.here {
		return otherwise
	}
	for i := range can {
		if t.name(can, i, v) == next.to {
			t.taken++
			return i
		}
	}
	var names []string
	for i := range can {
		names = append(names, t.name(can, i, v))
	}
	t.misfit = fmt.Errorf("turn %d, %v: at %v %s cannot go on, but %s", t.taken+1, next, next.words(), next.to, strings.Join(names, ", "))
	return otherwise
}

// due returns the turn to be taken next; nil if there is none, or one did not fit: what
// came after it would be another execution.
func (t *traveller) due() *turn {
	if t.taken == len(t.route) || t.misfit != nil {
		return nil
	}
	return &t.route[t.taken]
}

// Forced implements [sched.Observer].
func (t *traveller) Forced(thread int, v sched.View) {
	t.arrive(v)
	if o, ok := t.Scheduler.(sched.Observer); ok {
		o.Forced(thread, v)
	} else if t.Scheduler == nil {
		t.take([]int{thread}, 0, v)
	}
	t.leave(thread, v)
}

// Choose implements [sched.Scheduler].
func (t *traveller) Choose(n int) int {
	here := t.choose()
	if t.Scheduler != nil {
		c := t.Scheduler.Choose(n)
		if c != 0 {
			t.noted = append(t.noted, turn{place: here, choice: c})
		}
		return c
	}
	next := t.due()
	switch {
	case next == nil || next.place != here:
		return 0
	case next.choice >= n:
		t.misfit = fmt.Errorf("turn %d, %v: %s has %d possibilities there", t.taken+1, next, here.who(), n)
		return 0
	}
	t.taken++
	return next.choice
}

// fits returns nil if the whole route was taken, or else which turn was not, and why.
func (t *traveller) fits() error {
	next := t.due()
	if next == nil {
		return t.misfit
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("turn %d, %v: %s %s", t.taken+1, next, next.who(), fmt.Sprintf(format, args...))
	}
	place := next.place
	place.nth = 0
	n, far := t.been[place], -1
	var there []string
	for p := range t.been {
		if p.thread == place.thread {
			far = max(far, p.op)
		}
		if p.thread == place.thread && p.op == place.op {
			there = append(there, strings.TrimRight(p.point+" "+p.object, " "))
		}
	}
	if place.thread == threadClock {
		far = t.runs[threadClock]
	}
	switch {
	case n >= next.nth || next.point == pointTick && far >= next.op || next.place == start:
		return wrong("was there before it was its turn")
	case n > 0:
		return wrong("came by there %s, not %d times", times(n), next.nth)
	case far < 0:
		return wrong("never ran")
	case far < next.op:
		return wrong("never came so far, but to %d", far)
	}
	slices.Sort(there)
	return wrong("never came there, but by %s", strings.Join(there, ", "))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}
