package machine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// A sketch is a program over the primitives of the machine: what each thread does.
// What threads share besides is kept plainly, under a lock or on a CPU.
type sketch [][]act

type act struct {
	kind actKind
	n    int // of which object, or how long
}

type actKind uint8

const (
	actLoad actKind = iota
	actStore
	actAdd
	actSwap
	actMutex     // under a mutex, fold
	actTryMutex  // the same, if it is free
	actNested    // under both mutexes, the n-th first
	actToken     // under a token, fold
	actTokens    // under both tokens, the n-th first
	actSleep     // under a token, until woken
	actNap       // the same, for a time
	actWakeup    // all who sleep
	actWakeupOne // the first of them
	actVisit     // on a CPU, fold, and leave
	actCritical  // in a critical section, fold
	actSend      // mail to a CPU, where it folds
	actArm       // the callout, in so many nanoseconds
	actDisarm    // it
	actRunning   // look whether it runs
	actNow       // look what time it is
	actStopAll   // stop all callouts of the machine
	actKinds
)

func (p sketch) String() string {
	var b strings.Builder
	for i, th := range p {
		fmt.Fprintf(&b, "thread %d:", i+1)
		for _, a := range th {
			fmt.Fprintf(&b, " %s(%d)", [...]string{"load", "store", "add", "swap", "mutex", "try-mutex", "nested", "token", "tokens", "sleep",
				"nap", "wakeup", "wakeup-one", "visit", "critical", "send", "arm", "disarm", "running", "now", "stop-all"}[a.kind], a.n)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// drawSketch draws a program that is so small that all its executions can be made.
// A few kinds of acts make it up, or threads would seldom meet.
func drawSketch(rng *rand.Rand) sketch {
	threads := 2 + rng.IntN(2)
	left := [...]int{2: 9, 3: 6}[threads] // points
	kinds := make([]actKind, 1+rng.IntN(3))
	for i := range kinds {
		kinds[i] = actKind(rng.IntN(int(actKinds)))
	}
	p := make(sketch, threads)
	for i := range p {
		p[i] = []act{{kinds[rng.IntN(len(kinds))], rng.IntN(2)}}
		left -= points[p[i][0].kind]
	}
	for {
		a := act{kinds[rng.IntN(len(kinds))], rng.IntN(2)}
		if left -= points[a.kind]; left < 0 {
			return p
		}
		i := rng.IntN(threads)
		p[i] = append(p[i], a)
	}
}

// points says how many points an act comes by, about.
var points = [actKinds]int{
	actLoad: 1, actStore: 1, actAdd: 1, actSwap: 1, actMutex: 2, actTryMutex: 2, actNested: 4, actToken: 2, actTokens: 4,
	actSleep: 4, actNap: 5, actWakeup: 1, actWakeupOne: 1, actVisit: 3, actCritical: 2, actSend: 3, actArm: 4, actDisarm: 1,
	actRunning: 1, actNow: 1, actStopAll: 1,
}

// A sketchState is what a program works on.
type sketchState struct {
	words   [2]Uint32
	mu      [2]Mutex
	tok     [2]Token
	wc      WaitChan
	under   [4]int // guarded by the mutexes, and the tokens
	on      [2]int // guarded by the CPU
	seen    [4]int // by thread, the callout's last
	done    [4]int
	callout *Callout
}

// fold keeps the order in which threads came.
func fold(word *int, thread int) { *word = *word*5 + thread }

type letter struct {
	Mail
	word   *int
	thread int
}

func (l *letter) Receive(*Thread) { fold(l.word, l.thread) }

// play makes one execution, and says what it has come to.
func (p sketch) play(s sched.Scheduler) string {
	m := Virtual(2, s)
	defer m.Abandon()
	if l, ok := s.(*liar); ok {
		l.v = m.vm
	}
	st := &sketchState{}
	for i := range st.mu { // a deadlock is told by names
		st.mu[i].Name, st.tok[i].Name = fmt.Sprint("mutex ", i), fmt.Sprint("token ", i)
	}
	st.callout = m.NewCallout("callout", m.CPU(1), func(td *Thread) {
		st.seen[3]++
		st.words[0].Add(td, 100)
		td.Wakeup(&st.wc)
	})
	for i, th := range p {
		m.Go(fmt.Sprint(i+1), i%2, func(td *Thread) {
			for _, a := range th {
				st.do(td, i, a)
				st.done[i]++
			}
		})
	}
	err := m.Run()
	var endless *LivelockError
	if errors.As(err, &endless) {
		return "endless"
	}
	return fmt.Sprint(st.words[0].v.Load(), st.words[1].v.Load(), st.under, st.on, st.seen, st.done, err)
}

func (st *sketchState) do(td *Thread, i int, a act) {
	t := i + 1
	note := func(seen int) { st.seen[i] = st.seen[i]*31 + seen + 1 }
	is := map[bool]int{true: 1}
	cpu := td.m.CPU(a.n)
	switch a.kind {
	case actLoad:
		note(int(st.words[a.n].Load(td)))
	case actStore:
		st.words[a.n].Store(td, uint32(t))
	case actAdd:
		note(int(st.words[a.n].Add(td, uint32(t))))
	case actSwap:
		note(is[st.words[a.n].CompareAndSwap(td, 0, uint32(t))])
	case actMutex:
		st.mu[a.n].Lock(td)
		fold(&st.under[a.n], t)
		st.mu[a.n].Unlock(td)
	case actTryMutex:
		if st.mu[a.n].TryLock(td) {
			fold(&st.under[a.n], t)
			st.mu[a.n].Unlock(td)
		} else {
			note(1)
		}
	case actNested:
		st.mu[a.n].Lock(td)
		st.mu[1-a.n].Lock(td)
		fold(&st.under[0], t)
		st.mu[1-a.n].Unlock(td)
		st.mu[a.n].Unlock(td)
	case actToken:
		td.Get(&st.tok[a.n])
		fold(&st.under[2+a.n], t)
		td.Put(&st.tok[a.n])
	case actTokens:
		td.Get(&st.tok[a.n])
		td.Get(&st.tok[1-a.n])
		fold(&st.under[2], t)
		td.Put(&st.tok[1-a.n])
		td.Put(&st.tok[a.n])
	case actSleep, actNap:
		until := Forever
		if a.kind == actNap {
			until = td.Now() + time.Duration(1+a.n)
		}
		td.Get(&st.tok[0])
		td.Interlock(&st.wc)
		note(is[td.Sleep(until) == nil])
		fold(&st.under[2], t)
		td.Put(&st.tok[0])
	case actWakeup:
		td.Wakeup(&st.wc)
	case actWakeupOne:
		td.WakeupOne(&st.wc)
	case actVisit:
		td.Migrate(cpu)
		fold(&st.on[a.n], t)
		td.Leave()
	case actCritical:
		td.EnterCritical()
		fold(&st.on[td.On().ID()], t)
		td.ExitCritical()
	case actSend:
		l := &letter{word: &st.on[a.n], thread: t}
		l.To = l
		cpu.Send(td, &l.Mail)
	case actArm:
		st.callout.Reset(td, td.Now()+time.Duration(a.n))
	case actDisarm:
		note(is[st.callout.Stop(td)])
	case actRunning:
		note(is[st.callout.Running(td)])
	case actNow:
		note(int(td.Now()))
	case actStopAll:
		td.m.StopCallouts()
	}
}

// endings makes all executions of a search, at most limit, and counts what they come
// to.
func (p sketch) endings(s sched.Search, limit int) (executions int, ends map[string]int, err error) {
	ends = map[string]int{}
	for s.Begin() {
		if executions++; executions > limit {
			return executions, ends, nil
		}
		ends[p.play(s)]++
	}
	return executions, ends, s.Err()
}

// without returns an error if a reduced search misses one of the ends that there
// are, or comes to one that there is not.
func (p sketch) without(search sched.Search, want map[string]int, most int) (executions int, err error) {
	executions, got, err := p.endings(search, most)
	if err != nil {
		return executions, err
	}
	for end := range want {
		if got[end] == 0 {
			return executions, fmt.Errorf("%d executions miss an end: %s", executions, end)
		}
	}
	for end := range got {
		if want[end] == 0 {
			return executions, fmt.Errorf("there is no such end: %s", end)
		}
	}
	return executions, nil
}

// sketches calls f with programs that have at most some hundred executions, and with
// what these come to, until f says that it is enough. Larger ones are passed over.
func sketches(t *testing.T, seed uint64, f func(p sketch, executions int, want map[string]int) (more bool)) {
	const limit = 1500
	rng := rand.New(rand.NewPCG(seed, 0))
	for {
		p := drawSketch(rng)
		if p.size() > limit {
			continue
		}
		n, want, err := p.endings(sched.NewDFS(-1), limit)
		if err != nil {
			t.Fatalf("seed %d: %v\n%v", seed, err, p)
		}
		if n <= limit && !f(p, n, want) {
			return
		}
	}
}

// size estimates how many executions there are: Knuth, "Estimating the Efficiency
// of Backtrack Programs", 1975.
func (p sketch) size() float64 {
	const probes = 6
	sum := 0.0
	for seed := range uint64(probes) {
		w := &width{Scheduler: sched.NewRandom(seed), n: 1}
		p.play(w)
		sum += w.n
	}
	return sum / probes
}

// A width multiplies the numbers of possibilities of an execution.
type width struct {
	sched.Scheduler
	n float64
}

func (w *width) Next(can []int, current int, v sched.View) int {
	w.n *= float64(len(can))
	return w.Scheduler.Next(can, current, v)
}

// TestDPOR: on a thousand random programs the executions that are left out come to
// nothing that is not come to by one that is made.
func TestDPOR(t *testing.T) {
	const seed = 21
	programs, i, all, reduced := seeds(1000), 0, 0, 0
	if raceEnabled {
		programs = seeds(160) // the detector is of no use to a comparison
	}
	kinds := map[actKind]int{}
	sketches(t, seed, func(p sketch, n int, want map[string]int) bool {
		r, err := p.without(sched.NewDPOR(), want, n)
		if err != nil {
			t.Fatalf("seed %d, program %d: %v; there are %d\n%v", seed, i, err, n, p)
		}
		i, all, reduced = i+1, all+n, reduced+r
		for _, th := range p {
			for _, a := range th {
				kinds[a.kind]++
			}
		}
		return i < programs
	})
	t.Logf("seed %d: %d programs: %d executions instead of %d", seed, programs, reduced, all)
	if len(kinds) != int(actKinds) || reduced*2 > all {
		t.Errorf("the programs drawn show little: of %d kinds of acts %v", actKinds, kinds)
	}
}

// A liar is a search that is not told of some of what steps touch.
type liar struct {
	*sched.DPOR
	v    *virtual // of the execution under way
	hide func(obj any) bool
}

func (l *liar) Touched(object int, how sched.Access) {
	obj := any(l.v)
	for o, n := range l.v.objects {
		if n == object {
			obj = o
		}
	}
	if !l.hide(obj) {
		l.DPOR.Touched(object, how)
	}
}

// The control: a search that is not told of one kind of object misses an end of a
// program that uses it, and the comparison says so; told of all it misses none. Of
// sleepers it need not be told, since their wait channels are touched too.
func TestDPORMisled(t *testing.T) {
	for _, c := range []struct {
		hidden  string
		hide    func(obj any) bool
		program sketch
	}{
		{"the clock", func(obj any) bool { _, ok := obj.(*virtual); return ok },
			sketch{{{actNow, 0}}, {{actNap, 0}}}},
		{"CPUs", func(obj any) bool { _, ok := obj.(*CPU); return ok },
			sketch{{{actCritical, 1}}, {{actSwap, 0}}, {{actCritical, 1}}}},
		{"mail", func(obj any) bool { _, ok := obj.(*Inbox); return ok },
			sketch{{{actSend, 1}}, {{actSend, 1}, {actVisit, 1}}}},
		{"wait channels", func(obj any) bool { _, ok := obj.(*WaitChan); return ok },
			sketch{{{actWakeup, 1}}, {{actWakeup, 1}}, {{actSleep, 1}}}},
		{"callouts", func(obj any) bool { _, ok := obj.(*Callout); return ok },
			sketch{{{actDisarm, 0}, {actWakeup, 1}}, {{actArm, 1}}}},
		{"the end of all callouts", func(obj any) bool { _, ok := obj.(*Machine); return ok },
			sketch{{{actStopAll, 1}, {actArm, 1}}, {{actArm, 0}}}},
		{"the end of threads", func(obj any) bool { _, ok := obj.(*int); return ok },
			sketch{{{actArm, 1}}, {{actArm, 1}, {actWakeup, 1}}}},
		{"tokens", func(obj any) bool { _, ok := obj.(*Token); return ok },
			sketch{{{actToken, 1}, {actCritical, 1}}, {{actCritical, 0}, {actToken, 1}}}},
		{"mutexes", func(obj any) bool { _, ok := obj.(*Mutex); return ok },
			sketch{{{actTryMutex, 0}, {actTryMutex, 0}}, {{actTryMutex, 1}, {actTryMutex, 0}}}},
		{"atomic words", func(obj any) bool { _, ok := obj.(*Uint32); return ok },
			sketch{{{actSwap, 0}}, {{actAdd, 1}}, {{actAdd, 1}}}},
	} {
		n, want, err := c.program.endings(sched.NewDFS(-1), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.program.without(sched.NewDPOR(), want, n); err != nil {
			t.Errorf("%v\n%v", err, c.program)
		}
		_, err = c.program.without(&liar{DPOR: sched.NewDPOR(), hide: c.hide}, want, n)
		if err == nil {
			t.Errorf("a search that is not told of %s misses nothing of\n%v", c.hidden, c.program)
		}
		t.Logf("not told of %s: %.100v", c.hidden, err)
	}
}
