package kqueue

import (
	"fmt"
	"testing"

	"github.com/kqlab/kqlab/model/event"
)

// A rule is one row of what a transition does: if all of set and none of clear
// hold before, then gets and loses change and ret is returned. The first rule
// that fits decides.
type rule[S ~uint8] struct {
	set, clear  S
	gets, loses S
	ret         any
}

// A transition is a method of one of the halves, with its rules as drawn in
// the comments of knote.go and nothing but those bits.
type transition[S ~uint8] struct {
	name  string
	do    func(*S) any
	rules []rule[S]
}

// checkAll runs every transition on each state that the given bits can make.
func checkAll[S ~uint8](t *testing.T, bits S, transitions []transition[S]) {
	for _, tr := range transitions {
		for s := range int(bits) + 1 {
			before := S(s)
			var want *rule[S]
			for i := range tr.rules {
				if r := &tr.rules[i]; before&r.set == r.set && before&r.clear == 0 {
					want = r
					break
				}
			}
			if want == nil {
				t.Fatalf("%s: no rule for state %#08b", tr.name, before)
			}
			after := before
			ret := tr.do(&after)
			if exp := before&^want.loses | want.gets; after != exp || ret != want.ret {
				t.Errorf("%s of %#08b: %#08b, %v, want %#08b, %v", tr.name, before, after, ret, exp, want.ret)
			}
		}
	}
}

func TestSourceHalfExhaustive(t *testing.T) {
	type H = sourceHalf
	trs := []transition[H]{
		{"fire", func(s *H) any { return s.fire() }, []rule[H]{
			{set: gone, ret: false},
			{set: marked, ret: false},
			{set: posted, gets: fired, ret: false},
			{set: disabled, gets: fired, ret: false},
			{gets: fired | posted, ret: true},
		}},
		{"enable", func(s *H) any { return s.enable() }, []rule[H]{
			{clear: fired, loses: disabled, ret: false},
			{set: gone, loses: disabled, ret: false},
			{set: marked, loses: disabled, ret: false},
			{set: posted, loses: disabled, ret: false},
			{loses: disabled, gets: posted, ret: true},
		}},
		{"disable", func(s *H) any { s.disable(); return nil }, []rule[H]{{gets: disabled}}},
		{"end", func(s *H) any { return s.end() }, []rule[H]{
			{set: gone, ret: false},
			{gets: gone, ret: true},
		}},
		{"take", func(s *H) any { return s.take() }, []rule[H]{
			{set: gone, loses: posted, ret: false},
			{set: disabled, loses: posted, ret: false},
			{loses: posted, ret: true},
		}},
	}
	look := func(hit, peek bool, flags event.Flags, r rule[H]) {
		trs = append(trs, transition[H]{
			fmt.Sprintf("look(hit %v, peek %v, %v)", hit, peek, flags),
			func(s *H) any { return s.look(hit, peek, flags) },
			[]rule[H]{r},
		})
	}
	const clear, once, dispatch = event.Clear, event.OneShot, event.Dispatch
	for _, f := range []event.Flags{0, clear, dispatch, clear | dispatch, once, once | clear, once | dispatch, once | clear | dispatch} {
		look(false, false, f, rule[H]{loses: fired, ret: off})
		look(false, true, f, rule[H]{loses: fired, ret: off})
		look(true, true, f, rule[H]{gets: fired | posted, ret: stay})
		if f&once != 0 {
			look(true, false, f, rule[H]{gets: gone, ret: over})
		}
	}
	look(true, false, 0, rule[H]{gets: fired | posted, ret: tail})
	look(true, false, clear, rule[H]{loses: fired, ret: off})
	look(true, false, dispatch, rule[H]{gets: fired | disabled, ret: off})
	look(true, false, clear|dispatch, rule[H]{loses: fired, gets: disabled, ret: off})
	checkAll(t, busy|hooked|fired|posted|disabled|gone|done|marked, trs)

	// What the drawn table says of all of them at once: these bits have other
	// owners, and an end is for good.
	const foreign = busy | hooked | done | marked
	for _, tr := range trs {
		for s := range 256 {
			before := H(s)
			after := before
			tr.do(&after)
			if (before^after)&foreign != 0 {
				t.Errorf("%s of %#08b touches a bit that belongs to others: %#08b", tr.name, before, after)
			}
			if before&gone != 0 && after&gone == 0 {
				t.Errorf("%s of %#08b brings the dead back: %#08b", tr.name, before, after)
			}
		}
	}
}

func TestQueueHalfExhaustive(t *testing.T) {
	type H = queueHalf
	checkAll(t, hashed|listed|claimed|rearm|dying|marker, []transition[H]{
		{"arrive", func(l *H) any { return l.arrive() }, []rule[H]{
			{set: dying, ret: drop},
			{set: claimed, gets: rearm, ret: noted},
			{gets: listed, ret: insert},
		}},
		{"settle(off)", func(l *H) any { return l.settle(off) }, []rule[H]{
			{set: dying, loses: claimed | rearm, ret: stay},
			{set: rearm, loses: claimed | rearm, ret: tail},
			{loses: claimed | listed, ret: off},
		}},
		{"settle(tail)", func(l *H) any { return l.settle(tail) }, []rule[H]{
			{set: dying, loses: claimed | rearm, ret: stay},
			{loses: claimed | rearm, ret: tail},
		}},
		{"settle(stay)", func(l *H) any { return l.settle(stay) }, []rule[H]{
			{set: dying, loses: claimed | rearm, ret: stay},
			{set: rearm, loses: claimed | rearm, ret: tail},
			{loses: claimed, ret: stay},
		}},
		{"settle(over)", func(l *H) any { return l.settle(over) }, []rule[H]{
			{set: dying, loses: claimed | rearm, ret: stay},
			{loses: claimed | rearm | listed, ret: over},
		}},
		{"die", func(l *H) any { return l.die() }, []rule[H]{
			{set: listed, gets: dying, loses: hashed | listed | rearm | marker, ret: true},
			{gets: dying, loses: hashed | listed | rearm | marker, ret: false},
		}},
	})
}

// A life is a knote seen from both halves at once, with what is between them:
// a delivery on its way, and a scan that holds a claim.
type life struct {
	s        sourceHalf
	l        queueHalf
	underWay bool // posted by a notifier, not yet arrived
	linked   bool // really on the list, as Activate, put and clean would have it
	scan     scanStep
	v        verdict
	ready    bool // the condition of the source
}

type scanStep uint8

const (
	elsewhere scanStep = iota
	holding            // has claimed, not evaluated
	evaluated          // has a verdict, not settled
)

// TestLivesTogether walks through every state that both halves can reach
// together, when notifiers, a scan, a pruning, changes and an end take their
// steps in any order, each step inside one domain as the core takes it. In
// each state it asks for what the core relies on: that one delivery at most is
// under way, that no knote is linked twice, and that one whose condition was
// seen is never left lying (traps 1 and 4).
func TestLivesTogether(t *testing.T) {
	for _, keep := range []event.Flags{0, event.Clear, event.Dispatch, event.Clear | event.Dispatch, event.OneShot} {
		t.Run(keep.String(), func(t *testing.T) { walkLives(t, keep) })
	}
}

func walkLives(t *testing.T, keep event.Flags) {
	start := life{s: hooked, l: hashed}
	from := map[life]string{start: "made"}
	todo := []life{start}
	visited := func(name string, was, is life) {
		if _, ok := from[is]; !ok {
			from[is] = from[was] + ", " + name
			todo = append(todo, is)
		}
	}
	bits, linkBits := sourceHalf(0), queueHalf(0)
	verdicts := map[verdict]bool{}
	for len(todo) > 0 {
		x := todo[0]
		todo = todo[1:]
		bits |= x.s
		linkBits |= x.l
		if x.scan == evaluated {
			verdicts[x.v] = true
		}
		if msg := x.wrong(); msg != "" {
			t.Fatalf("%s: %+v after: %s", msg, x, from[x])
		}
		for name, step := range lifeSteps(keep) {
			if y, ok, msg := step(x); msg != "" {
				t.Fatalf("%s: %+v, then %s, after: %s", msg, x, name, from[x])
			} else if ok {
				visited(name, x, y)
			}
		}
	}
	if want := hooked | fired | posted | disabled | gone | done; bits != want {
		t.Errorf("bits of the source's half that were reached: %#08b, want %#08b", bits, want)
	}
	if want := hashed | listed | claimed | rearm | dying; linkBits != want {
		t.Errorf("bits of the queue's half that were reached: %#08b, want %#08b", linkBits, want)
	}
	if !verdicts[off] || !verdicts[stay] || verdicts[over] != (keep&event.OneShot != 0) || verdicts[tail] != (keep == 0) {
		t.Errorf("verdicts reached: %v", verdicts)
	}
	t.Logf("%d states", len(from))
}

// wrong says what is wrong with a state, if anything is.
func (x *life) wrong() string {
	switch {
	case x.linked != (x.l&listed != 0):
		return "listed does not say whether the knote is on the list"
	case x.s&gone == 0 && x.scan == elsewhere && x.s&posted != 0 && !x.linked && !x.underWay:
		return "posted, on no list and not under way: it will never be posted again"
	case x.s&gone == 0 && x.s&posted == 0 && x.underWay:
		return "under way but not posted: it can be sent a second time"
	case x.s&(gone|disabled|posted) == 0 && x.s&fired != 0 && x.scan != holding:
		return "fired and enabled, but not posted: it is left lying"
	case x.scan != elsewhere && x.l&claimed == 0:
		return "a scan holds a knote that is not claimed"
	}
	return ""
}

// lifeSteps are what may happen to a knote, each with its guard.
func lifeSteps(keep event.Flags) map[string]func(life) (next life, may bool, wrong string) {
	post := func(x *life, deliver bool) string {
		if !deliver {
			return ""
		}
		if x.underWay {
			return "a second delivery while one is under way"
		}
		x.underWay = true
		return ""
	}
	alive := func(x life) bool { return x.s&gone == 0 }
	evaluate := func(peek bool) func(life) (life, bool, string) {
		return func(x life) (life, bool, string) {
			if x.scan != holding {
				return x, false, ""
			}
			x.scan, x.v = evaluated, off
			if x.s.take() {
				x.v = x.s.look(x.ready, peek, keep)
			}
			return x, true, ""
		}
	}
	return map[string]func(life) (life, bool, string){
		"notify": func(x life) (life, bool, string) {
			x.ready = true
			deliver := x.s&gone == 0 && x.s.fire()
			msg := post(&x, deliver)
			return x, true, msg
		},
		"condition ends": func(x life) (life, bool, string) { x.ready = false; return x, true, "" },
		"arrive": func(x life) (life, bool, string) {
			if !x.underWay {
				return x, false, ""
			}
			x.underWay = false
			if x.l.arrive() == insert {
				if x.linked {
					return x, true, "linked twice"
				}
				x.linked = true
			}
			return x, true, ""
		},
		"claim": func(x life) (life, bool, string) {
			if !x.linked || x.l&claimed != 0 {
				return x, false, ""
			}
			x.l |= claimed
			x.scan = holding
			return x, true, ""
		},
		"evaluate": evaluate(false),
		"peek":     evaluate(true),
		"settle": func(x life) (life, bool, string) {
			if x.scan != evaluated {
				return x, false, ""
			}
			x.scan = elsewhere
			switch x.l.settle(x.v) {
			case off, over:
				if !x.linked {
					return x, true, "unlinked twice"
				}
				x.linked = false
			case tail:
				if !x.linked {
					return x, true, "moved to the tail of a list that it is not on"
				}
			}
			x.v = off
			return x, true, ""
		},
		"enable": func(x life) (life, bool, string) {
			if !alive(x) {
				return x, false, ""
			}
			deliver := x.s.enable()
			return x, true, post(&x, deliver)
		},
		"disable": func(x life) (life, bool, string) {
			if !alive(x) {
				return x, false, ""
			}
			x.s.disable()
			return x, true, ""
		},
		"end": func(x life) (life, bool, string) { return x, x.s.end(), "" },
		"die": func(x life) (life, bool, string) {
			// A one-shot is cleaned by its own scan, after settling.
			if alive(x) || x.l&dying != 0 || x.scan == evaluated && x.v == over {
				return x, false, ""
			}
			if x.l.die() != x.linked {
				return x, true, "die does not know whether the knote was on the list"
			}
			x.linked = false
			return x, true, ""
		},
		"clean": func(x life) (life, bool, string) {
			if x.l&dying == 0 || x.s&done != 0 {
				return x, false, ""
			}
			x.s |= done
			return x, true, ""
		},
	}
}

// TestShortcuts holds the transitions of the hot path against those that they
// stand for, in every state in which they may be used.
func TestShortcuts(t *testing.T) {
	for x := range 256 {
		before := queueHalf(x)
		short, long := before, before
		ok, a := short.enlist(), long.arrive()
		switch {
		case ok && (a != insert || short != long):
			t.Errorf("enlist of %#08b: %#08b; arrive: %d, %#08b", before, short, a, long)
		case !ok && short != before:
			t.Errorf("enlist refuses %#08b and makes it %#08b", before, short)
		case !ok && before == hashed:
			t.Errorf("enlist refuses a knote at rest")
		}
	}
	for x := range 256 {
		before := sourceHalf(x)
		if before&(gone|disabled) != 0 {
			continue
		}
		for _, hit := range []bool{false, true} {
			for _, flags := range []event.Flags{0, event.Clear} {
				short, long := before, before
				back := short.glance(hit, flags)
				asked := long.take()
				v := long.look(hit, false, flags)
				if !asked || short != long || back != (v == tail) {
					t.Errorf("glance(%v, %#x) of %#08b: %#08b, %v; take and look: %#08b, %d", hit, flags, before, short, back, long, v)
				}
			}
		}
	}
}
