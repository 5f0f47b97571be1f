package proc_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A wood is a tree of processes that fork and end at random, while a queue tracks them
// from the root on. What threads tell each other they tell under a lock of the machine, so
// that it grows natively and on a virtual machine.
type wood struct {
	*ground
	plan
	seed uint64
	root *proc.Process
	kq   int
	shut int // the queue that is closed
	gate int // the queue by which those who disturb learn that half of the forks have begun

	living []*proc.Process // guarded by mu
	begun  int             // guarded by mu: forks, or about to
	made   map[int]*made   // guarded by mu
	told   map[int]*told   // guarded by mu: by events
	idle   int             // guarded by mu: threads that have done
	delete [2]bool         // guarded by mu: it has begun, it is over
}

// A plan says how a wood grows.
type plan struct {
	threads int  // that fork and end processes
	takers  int  // that take events
	forks   int  // how many there will be, after the root's
	knotes  int  // SetMax; 0 if there is no limit
	deletes bool // a thread deletes the knote that tracks the root
	closes  bool // a thread closes another queue that tracks the root
	early   bool // the root may end like all others, so that there may be fewer forks
}

// made is what has been done to a process.
type made struct {
	parent int
	status proc.Status
	// Whether the deletion had not begun when the fork was over, or was over when it began.
	before, after bool
}

// told is what events have said of a process.
type told struct {
	child, exit int // how often
	parent      int64
	status      int64
	failed      bool // NOTE_TRACKERR
}

const (
	stop = 1 // ident of the user event that tells the takers to end
	mark = 77
)

// plant makes what there is before anything grows, and the threads. Td sets up.
func (w *wood) plant(td *machine.Thread) {
	w.made, w.told = map[int]*made{}, map[int]*told{}
	w.p.Table().SetMax(0, w.knotes)
	var err error
	w.kq, err = w.p.Kqueue(td)
	w.must(td, "kqueue", err)
	w.shut, err = w.p.Kqueue(td)
	w.must(td, "kqueue", err)
	w.gate, err = w.p.Kqueue(td)
	w.must(td, "kqueue", err)
	_, err = w.p.Kevent(td, w.gate, []event.Kevent{{Ident: stop, Filter: event.User, Flags: event.Add}}, nil, 0)
	w.must(td, "gate", err)
	w.root, err = w.p.Fork(td)
	w.must(td, "fork", err)
	w.made[w.root.Pid()] = &made{parent: proc.Init}
	if w.early {
		w.living = append(w.living, w.root)
	}
	track := event.Kevent{Ident: uint64(w.root.Pid()), Filter: event.Proc, Flags: event.Add, Fflags: everything, Udata: mark}
	_, err = w.p.Kevent(td, w.kq, []event.Kevent{track, {Ident: stop, Filter: event.User, Flags: event.Add}}, nil, 0)
	w.must(td, "track", err)
	if w.closes {
		_, err = w.p.Kevent(td, w.shut, []event.Kevent{track}, nil, 0)
		w.must(td, "track", err)
	}
	for i := range w.threads {
		rnd := rand.New(rand.NewPCG(w.seed, uint64(i)))
		w.m.Go(fmt.Sprintf("grower %d", i), i%w.m.NumCPU(), func(td *machine.Thread) { w.grow(td, rnd) })
	}
	for i := range w.takers {
		w.m.Go(fmt.Sprintf("taker %d", i), (i+1)%w.m.NumCPU(), w.take)
	}
	if w.deletes {
		w.m.Go("deleter", 1, func(td *machine.Thread) {
			w.half(td)
			w.mu.Lock(td)
			w.delete[0] = true
			w.mu.Unlock(td)
			_, err := w.p.Kevent(td, w.kq, []event.Kevent{{Ident: uint64(w.root.Pid()), Filter: event.Proc, Flags: event.Delete}}, nil, 0)
			if err != syscall.ENOENT { // it has ended
				w.must(td, "delete", err)
			}
			w.mu.Lock(td)
			w.delete[1] = true
			w.mu.Unlock(td)
		})
	}
	if w.closes {
		w.m.Go("closer", 1, func(td *machine.Thread) {
			w.half(td)
			w.must(td, "close", w.p.Close(td, w.shut))
		})
	}
}

// half waits until half of the forks have begun.
func (w *wood) half(td *machine.Thread) {
	_, err := w.p.Kevent(td, w.gate, nil, make([]event.Kevent, 1), machine.Forever)
	w.must(td, "gate", err)
}

// trigger has a queue's user event happen.
func (w *wood) trigger(td *machine.Thread, kq int) {
	_, err := w.p.Kevent(td, kq, []event.Kevent{{Ident: stop, Filter: event.User, Fflags: event.NoteTrigger}}, nil, 0)
	w.must(td, "trigger", err)
}

// grow forks and ends processes until all have ended. The last thread ends the root, if it
// was not to end like all others.
func (w *wood) grow(td *machine.Thread, rnd *rand.Rand) {
	w.mu.Lock(td)
	for w.err == nil {
		n := len(w.living)
		forks := w.begun < w.forks
		if n == 0 && (!forks || w.early) {
			break
		}
		p := w.root
		i := n
		if n > 0 {
			if i = rnd.IntN(n + 1); rnd.IntN(3) == 0 && !w.early {
				i = n
			}
			if i < n {
				p = w.living[i]
			}
		}
		switch {
		case forks && (i == n || rnd.IntN(3) > 0):
			w.fork(td, p)
		case i < n:
			w.living = append(w.living[:i], w.living[i+1:]...)
			w.end(td, rnd, p)
		}
	}
	w.idle++
	last := w.idle == w.threads
	w.mu.Unlock(td)
	if !last {
		return
	}
	if !w.early {
		w.mu.Lock(td)
		w.end(td, rnd, w.root)
		w.mu.Unlock(td)
	}
	w.trigger(td, w.kq)
}

// fork and end are called with mu held, and let go of it between.

func (w *wood) fork(td *machine.Thread, p *proc.Process) {
	w.begun++
	after, half := w.delete[1], w.begun == (w.forks+1)/2
	w.mu.Unlock(td)
	if half {
		w.trigger(td, w.gate)
	}
	c, err := p.Fork(td)
	w.mu.Lock(td)
	switch err {
	case nil:
		w.living = append(w.living, c)
		w.made[c.Pid()] = &made{parent: p.Pid(), before: !w.delete[0], after: after}
	case syscall.ESRCH: // another has ended it
		w.begun--
	default:
		w.fail("%s: fork: %v", td.Name, err)
	}
}

func (w *wood) end(td *machine.Thread, rnd *rand.Rand, p *proc.Process) {
	w.mu.Unlock(td)
	if rnd.IntN(4) == 0 {
		w.must(td, "exec", p.Exec(td))
	}
	status := proc.Exited(rnd.IntN(256))
	if rnd.IntN(4) == 0 {
		status = proc.Killed(syscall.SIGKILL)
		w.must(td, "kill", w.p.Table().Kill(td, p.Pid(), syscall.SIGKILL))
	} else {
		w.must(td, "exit", p.Exit(td, status))
	}
	w.mu.Lock(td)
	w.made[p.Pid()].status = status
}

// take takes events until it is told to end, and there is nothing else.
func (w *wood) take(td *machine.Thread) {
	var events [3]event.Kevent
	for {
		n, err := w.p.Kevent(td, w.kq, nil, events[:], machine.Forever)
		w.must(td, "kevent", err)
		if err != nil {
			return
		}
		ends := false
		w.mu.Lock(td)
		for _, e := range events[:n] {
			if e.Filter == event.User {
				ends = n == 1
				continue
			}
			w.hear(e)
		}
		w.mu.Unlock(td)
		if ends {
			return
		}
	}
}

// hear notes what an event says, with mu held.
func (w *wood) hear(e event.Kevent) {
	if e.Filter != event.Proc || e.Udata != mark || e.Flags&event.Clear == 0 || e.Fflags&^(everything|event.NoteChild|event.NoteTrackErr) != 0 {
		w.fail("an event %v", e)
	}
	t := w.told[int(e.Ident)]
	if t == nil {
		t = &told{}
		w.told[int(e.Ident)] = t
	}
	const end = event.EOF | event.NoData | event.OneShot
	exit := e.Fflags&event.NoteExit != 0
	if exit != (e.Flags&end != 0) || exit && (e.Flags&end != end || e.Fflags&event.NoteChild != 0) {
		w.fail("an event %v", e)
	}
	switch {
	case exit:
		t.exit++
		t.status = e.Data
	case e.Fflags&event.NoteChild != 0:
		t.child++
		t.parent = e.Data
	case e.Data != 0:
		w.fail("an event %v", e)
	}
	t.failed = t.failed || e.Fflags&event.NoteTrackErr != 0
}

// check compares what was told with what was done, when all threads have ended.
func (w *wood) check() error {
	if w.err != nil {
		return w.err
	}
	if len(w.made) != w.forks+1 && !w.early {
		return fmt.Errorf("%d processes, want %d", len(w.made), w.forks+1)
	}
	for pid := range w.told {
		if w.made[pid] == nil {
			return fmt.Errorf("events of process %d, which nobody has made", pid)
		}
	}
	for pid, m := range w.made {
		t := w.told[pid]
		if t == nil {
			t = &told{}
		}
		tracked, untracked := w.expects(pid, m)
		if t.child > 1 || t.exit > 1 {
			return fmt.Errorf("process %d: NOTE_CHILD %d times, NOTE_EXIT %d times", pid, t.child, t.exit)
		}
		if t.child == 1 && t.parent != int64(m.parent) {
			return fmt.Errorf("process %d is a child of %d, and its NOTE_CHILD says %d", pid, m.parent, t.parent)
		}
		if t.exit == 1 && t.status != int64(m.status) {
			return fmt.Errorf("process %d has ended with %v, and its NOTE_EXIT says %v", pid, m.status, proc.Status(t.status))
		}
		is := t.child == 1
		if pid == w.root.Pid() {
			if t.child != 0 || t.exit != 1 && !w.deletes {
				return fmt.Errorf("the root: NOTE_CHILD %d times, NOTE_EXIT %d times", t.child, t.exit)
			}
		} else if is != (t.exit == 1) || tracked && !is || untracked && is {
			return fmt.Errorf("process %d, of process %d: NOTE_CHILD %d times, NOTE_EXIT %d times; it must be tracked: %v, must not: %v",
				pid, m.parent, t.child, t.exit, tracked, untracked)
		}
	}
	if w.knotes == 0 {
		for pid, t := range w.told {
			if t.failed {
				return fmt.Errorf("process %d: NOTE_TRACKERR", pid)
			}
		}
		return nil
	}
	// Whose child was not tracked for want of room has been told so, and nobody else.
	lacks := map[int]bool{}
	for pid, m := range w.made {
		if parent := w.told[m.parent]; w.told[pid] == nil && pid != w.root.Pid() && (parent != nil && parent.child == 1 || m.parent == w.root.Pid()) {
			lacks[m.parent] = true
		}
	}
	for pid := range w.made {
		if failed := w.told[pid] != nil && w.told[pid].failed; failed != lacks[pid] {
			return fmt.Errorf("process %d has children that are not tracked: %v; NOTE_TRACKERR: %v", pid, lacks[pid], failed)
		}
	}
	return nil
}

// expects says whether a process must have been tracked, and whether it must not.
func (w *wood) expects(pid int, m *made) (tracked, untracked bool) {
	if w.knotes != 0 {
		return false, false
	}
	if !w.deletes {
		return true, false
	}
	if m.parent == w.root.Pid() {
		return m.before, m.after
	}
	t := w.told[m.parent]
	return t != nil && t.child == 1, t == nil || t.child == 0
}

// reap has the first process wait for all that have ended.
func (w *wood) reap(td *machine.Thread) error {
	n := 0
	for {
		pid, status, err := w.p.Wait(td, proc.Any)
		if err == syscall.ECHILD {
			break
		}
		if err != nil {
			return fmt.Errorf("wait: %v", err)
		}
		m := w.made[pid]
		if m == nil || m.status != status {
			return fmt.Errorf("wait: process %d has ended with %v", pid, status)
		}
		n++
	}
	if n != len(w.made) {
		return fmt.Errorf("%d of %d processes were waited for", n, len(w.made))
	}
	return nil
}

// A tree of 1,000 forks, natively: each child is reported once, with its true parent, and
// each end once, with its status, whatever is done meanwhile to the queue, the knote of the
// root, or the room for knotes.
func TestWood(t *testing.T) {
	again(t)
	for _, c := range []struct {
		name string
		plan plan
	}{
		{"plain", plan{}},
		{"deleted", plan{deletes: true}},
		{"closed", plan{closes: true}},
		{"full", plan{knotes: 40}},
	} {
		for _, s := range strategies.All {
			t.Run(c.name+"/"+s.Name, func(t *testing.T) {
				m := machine.Native(2)
				m.Perturb(*seed, 20)
				w := &wood{ground: newGround(m, s), plan: c.plan, seed: *seed}
				w.threads, w.takers, w.forks = 4, 2, 1000
				td := w.m.Attach("setup", 0)
				w.plant(td)
				td.Detach()
				if err := w.m.Run(); err != nil {
					t.Fatal(err)
				}
				if err := w.check(); err != nil {
					t.Error(err)
				}
				t.Logf("%d of %d processes were tracked", len(w.told), len(w.made))
				td = w.m.Attach("end", 0)
				defer td.Detach()
				if err := w.reap(td); err != nil {
					t.Error(err)
				}
				if err := w.p.Audit(td); err != nil {
					t.Error(err)
				}
				w.p.Close(td, w.kq)
				w.p.Close(td, w.shut)
				w.p.Close(td, w.gate)
				if err := w.p.Empty(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// grows returns the program that grows a wood.
func (c plan) grows() program {
	return func(g *ground, td *machine.Thread) func() error {
		w := &wood{ground: g, plan: c, seed: *seed}
		w.plant(td)
		return w.check
	}
}

func TestWoodExplored(t *testing.T) {
	for _, c := range []struct {
		name string
		plan plan
	}{
		{"plain", plan{threads: 2, takers: 1, forks: 4}},
		{"two takers", plan{threads: 2, takers: 2, forks: 3}},
		{"root ends", plan{threads: 2, takers: 1, forks: 4, early: true}},
		{"deleted", plan{threads: 2, takers: 1, forks: 3, deletes: true}},
		{"closed", plan{threads: 2, takers: 1, forks: 3, closes: true}},
		{"full", plan{threads: 2, takers: 1, forks: 4, knotes: 2}},
	} {
		t.Run(c.name, func(t *testing.T) { nothing(t, explore(t, 100, drawn, c.plan.grows())) })
	}
}

// All executions with one preemption at most, of the least wood.
func TestWoodSearched(t *testing.T) {
	for _, c := range []struct {
		name string
		plan plan
	}{
		{"plain", plan{threads: 1, takers: 1, forks: 1}},
		{"two", plan{threads: 2, takers: 1, forks: 1}},
		{"deleted", plan{threads: 1, takers: 1, forks: 1, deletes: true}},
		{"closed", plan{threads: 1, takers: 1, forks: 1, closes: true}},
	} {
		t.Run(c.name, func(t *testing.T) { nothing(t, explore(t, 10_000, []string{"dfs:1"}, c.plan.grows())) })
	}
}
