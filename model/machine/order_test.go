package machine_test

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// orderOf makes one execution in which threads one after another do what they are
// given, so that none ever waits for another, and returns what is said of the order.
func orderOf(t *testing.T, o *machine.LockOrder, threads ...func(td *machine.Thread)) string {
	t.Helper()
	s := sched.NewRandom(1)
	s.Begin()
	m := machine.Virtual(2, s)
	defer m.Abandon()
	m.OrderLocks(o)
	for i, f := range threads {
		m.Go("thread "+string(rune('0'+i)), 0, f)
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
	}
	return o.Circle()
}

// Two mutexes taken in both orders are found although no thread ever waits: in one
// execution, in two, over three mutexes, and one inside another of its name. What
// cannot deadlock is not: one order, tokens in any order, what is only tried, a mutex
// after another.
func TestLockOrder(t *testing.T) {
	type mutexes [3]machine.Mutex
	fresh := func() *mutexes {
		var m mutexes
		for i := range m {
			m[i].Name = string(rune('a' + i))
		}
		return &m
	}
	nest := func(m *mutexes, of ...int) func(td *machine.Thread) {
		return func(td *machine.Thread) {
			for _, i := range of {
				m[i].Lock(td)
			}
			for i := range of {
				m[of[len(of)-1-i]].Unlock(td)
			}
		}
	}
	ab, two := fresh(), fresh()
	same := fresh()
	same[1].Name = "a"
	unnamed := fresh()
	unnamed[1].Name = ""
	var x, y machine.Token
	for name, tt := range map[string]struct {
		threads []func(td *machine.Thread)
		want    []string // parts of what is said; none if nothing is to be
	}{
		"both orders": {[]func(*machine.Thread){nest(ab, 0, 1), nest(ab, 1, 0)}, []string{
			`thread 0 keeps "a" and takes "b", in`, `thread 1 keeps "b" and takes "a", in`, "TestLockOrder"}},
		"three":        {[]func(*machine.Thread){nest(ab, 0, 1), nest(ab, 1, 2), nest(ab, 2, 0)}, []string{`takes "a"`, `takes "b"`, `takes "c"`}},
		"one name":     {[]func(*machine.Thread){nest(same, 0, 1)}, []string{`keeps "a" and takes "a"`}},
		"one order":    {[]func(*machine.Thread){nest(two, 0, 1), nest(two, 0, 1, 2), nest(two, 1, 2), nest(two, 0, 2)}, nil},
		"unnamed":      {[]func(*machine.Thread){nest(unnamed, 0, 1), nest(unnamed, 1, 0)}, nil},
		"not together": {[]func(*machine.Thread){nest(two, 0), nest(two, 1, 2), nest(two, 0)}, nil},
		"tokens": {[]func(*machine.Thread){
			func(td *machine.Thread) { td.Get(&x); td.Get(&y); td.Put(&y); td.Put(&x) },
			func(td *machine.Thread) { td.Get(&y); td.Get(&x); td.Put(&x); td.Put(&y) },
		}, nil},
		"tried": {[]func(*machine.Thread){nest(two, 0, 1), func(td *machine.Thread) {
			two[1].Lock(td)
			if two[0].TryLock(td) {
				two[0].Unlock(td)
			}
			two[1].Unlock(td)
		}}, nil},
		"tried, and another taken": {[]func(*machine.Thread){nest(two, 0, 1), func(td *machine.Thread) {
			two[1].TryLock(td)
			two[0].Lock(td)
			two[0].Unlock(td)
			two[1].Unlock(td)
		}}, []string{`keeps "b" and takes "a"`}},
	} {
		got := orderOf(t, new(machine.LockOrder), tt.threads...)
		if tt.want == nil && got != "" {
			t.Errorf("%s: %s", name, got)
		}
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q in it", name, got, want)
			}
		}
	}
	// From one execution to the next, and from one record to another.
	o, other := new(machine.LockOrder), new(machine.LockOrder)
	if got := orderOf(t, o, nest(fresh(), 0, 1)); got != "" {
		t.Error(got)
	}
	orderOf(t, other, nest(fresh(), 1, 0))
	if other.Add(o); other.Circle() == "" {
		t.Error("two records added up close no circle")
	}
	if got := orderOf(t, o, nest(fresh(), 1, 0)); got == "" {
		t.Error("two executions close no circle")
	}
}
