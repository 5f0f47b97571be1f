package fuzz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// follows returns the decisions of an execution under a scheduler.
func follows(t *testing.T, scenario string, e strategies.Entry, s sched.Scheduler) []int {
	t.Helper()
	kept, err := Scenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	r := &sched.Recorded{Scheduler: s}
	r.Begin()
	o := Options{New: e.New, Strategy: e.Name, Scheduler: r}
	if x, ok := s.(onlooker); ok {
		o.onlookers = []onlooker{x}
	}
	if f := Run(kept, o).Finding; f != nil {
		t.Fatal(f)
	}
	return slices.Clone(r.Schedule)
}

// Whatever was decided, the turns that it took off the usual way lead the same way again:
// by the steps of threads, and by places as tokens name them. And they are fewer than
// the decisions, and many.
func TestTurns(t *testing.T) {
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	turns, all := 0, 0
	for _, scenario := range Scenarios() {
		for i, e := range strategies.All {
			for seed := range uint64(seeds) {
				note := &tour{Scheduler: sched.NewRandom(seed + uint64(i))}
				want := follows(t, scenario, e, note)
				if got := follows(t, scenario, e, &tour{plan: note.made}); !slices.Equal(got, want) {
					t.Fatalf("%s under %s, seed %d: a tour of %v decides %v, not %v", scenario, e.Name, seed, note.made, got, want)
				}
				names := &traveller{Scheduler: sched.NewRandom(seed + uint64(i))}
				if got := follows(t, scenario, e, names); !slices.Equal(got, want) {
					t.Fatalf("%s under %s, seed %d: who notes the way changes it: %v, not %v", scenario, e.Name, seed, got, want)
				}
				if len(names.noted) != len(note.made) {
					t.Errorf("%s under %s, seed %d: turns by places %d, by steps %d", scenario, e.Name, seed, len(names.noted), len(note.made))
				}
				back, err := parseRoute(names.noted.String())
				if err != nil {
					t.Fatalf("%s under %s, seed %d: %v", scenario, e.Name, seed, err)
				}
				again := travel(back)
				if got := follows(t, scenario, e, again); !slices.Equal(got, want) || again.fits() != nil {
					t.Fatalf("%s under %s, seed %d: the route %v decides %v, not %v: %v", scenario, e.Name, seed, back, got, want, again.fits())
				}
				turns += len(note.made)
				all += len(want)
			}
		}
	}
	if turns < all/4 || turns > all*3/4 {
		t.Errorf("of a random walk's %d decisions %d are turns", all, turns)
	}
}

// The control: with a turn less, or another in its place, the way is another one.
func TestTurnsMatter(t *testing.T) {
	e := strategies.All[2]
	note := &traveller{Scheduler: sched.NewRandom(1)}
	want := follows(t, "standard", e, note)
	other := 0
	for i := range note.noted {
		less := slices.Delete(slices.Clone(note.noted), i, i+1)
		x := travel(less)
		got := follows(t, "standard", e, x)
		if slices.Equal(got, want) {
			t.Errorf("without %v it is the same", note.noted[i])
		}
		if x.fits() != nil {
			other++
		}
	}
	if other == 0 {
		t.Error("whatever is left out, the rest still fits")
	}
}

func TestUsual(t *testing.T) {
	for _, c := range []struct {
		can           []int
		current, want int
	}{
		{[]int{1, 2, 3}, 1, 1},
		{[]int{sched.Clock, 2, 3}, 2, 2},
		{[]int{1, 2, 3}, -1, 0},
		{[]int{sched.Clock, 2, 3}, -1, 1},
		{[]int{sched.Clock, 2, 3}, 0, 1},
	} {
		if got := usual(c.can, c.current); got != c.want {
			t.Errorf("of %v after index %d: %d, want %d", c.can, c.current, got, c.want)
		}
	}
}

// chooser chooses in turn.
type chooser struct {
	sched.Scheduler
	from []int
}

func (c *chooser) Choose(n int) int {
	i := c.from[0]
	c.from = c.from[1:]
	return i
}

// Choices that are none of threads are turns too.
func TestTurnsChoose(t *testing.T) {
	note := &traveller{Scheduler: &chooser{sched.NewRandom(1), []int{0, 2, 1, 0, 3}}}
	choose := func(x *traveller) (all []int) {
		x.Begin()
		for range 3 {
			all = append(all, x.Choose(4))
		}
		x.who[7], x.last = someone{name: "timer", run: 2}, 7
		for range 2 {
			all = append(all, x.Choose(4))
		}
		return all
	}
	choose(note)
	if got, want := note.noted.String(), "=2@start.0.choose.2,=1@start.0.choose.3,=3@timer.2.choose.2"; got != want {
		t.Fatalf("noted is %s, want %s", got, want)
	}
	back, err := parseRoute(note.noted.String())
	if err != nil {
		t.Fatal(err)
	}
	again := travel(back)
	if got := fmt.Sprint(choose(again)); got != "[0 2 1 0 3]" || again.fits() != nil {
		t.Errorf("taken again: %v, %v", got, again.fits())
	}
	few := travel(back)
	few.Begin()
	few.Choose(2)
	few.Choose(2)
	if err := few.fits(); err == nil || !strings.Contains(err.Error(), "2 possibilities") {
		t.Errorf("of two possibilities the third: %v", err)
	}
}
