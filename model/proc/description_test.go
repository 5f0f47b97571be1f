package proc_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// TestTie: who is tied to a file is told once, when its last descriptor is closed and
// before it is released, but not who has undone that.
func TestTie(t *testing.T) {
	each(t, func(l *lab) {
		f := l.file()
		fd := l.open(f)
		told := [2]int{}
		var ties [2]proc.Tie
		for i := range ties {
			ties[i].Gone = func(td *machine.Thread) {
				told[i]++
				if f.released.Load() != 0 {
					t.Error("told after the release")
				}
			}
			d, err := l.p.Hold(l.td, fd)
			l.must(err)
			d.Tie(l.td, &ties[i])
			d.Drop(l.td)
		}
		dup, err := l.p.Dup(l.td, fd)
		l.must(err)
		l.must(l.p.Close(l.td, fd))
		if !ties[0].Untie(l.td) || ties[0].Untie(l.td) {
			t.Error("a tie is undone other than once")
		}
		if told != [2]int{} {
			t.Errorf("told %v times while there is a descriptor", told)
		}
		l.must(l.p.Close(l.td, dup))
		if told != [2]int{0, 1} || ties[1].Untie(l.td) {
			t.Errorf("told %v times, want the second once; then nothing is left to undo", told)
		}
		l.released(f, 1)
		if _, err := l.p.Hold(l.td, fd); err != syscall.EBADF {
			t.Errorf("Hold of a closed descriptor: %v, want EBADF", err)
		}
		if _, err := l.p.Hold(l.td, -1); err != syscall.EBADF {
			t.Errorf("Hold of a negative descriptor: %v, want EBADF", err)
		}
	})
}

// TestHoldAgainstClose: under every strategy and many schedules a file that is held is
// not released before Drop, and is when the close returns. The control drops first.
func TestHoldAgainstClose(t *testing.T) {
	seeds := uint64(400)
	if testing.Short() {
		seeds = 100
	}
	run := func(e strategies.Entry, seed uint64, early bool) (wrong string) {
		m := machine.Virtual(2, sched.NewRandom(seed))
		defer m.Abandon()
		k := kqueue.New(m, e.New(m))
		device.Install(k)
		p := proc.New(k)
		m.Unscheduled(true)
		td := m.Attach("setup", 0)
		f := &file{src: k.NewSource(td)}
		fd, err := p.Open(td, f)
		td.Detach()
		m.Unscheduled(false)
		if err != nil {
			return err.Error()
		}
		m.Go("holder", 0, func(td *machine.Thread) {
			d, err := p.Hold(td, fd)
			if err != nil {
				return // closed before
			}
			if early {
				d.Drop(td)
			}
			f.src.Enter(td) // some points, between which others may run
			f.src.Exit(td)
			if f.released.Load() != 0 {
				wrong = "a file is released while it is held"
			}
			if !early {
				d.Drop(td)
			}
		})
		m.Go("closer", 1, func(td *machine.Thread) {
			if err := p.Close(td, fd); err != nil {
				wrong = err.Error()
			}
			if f.released.Load() != 1 {
				wrong = "a close has returned, and the file has not been released"
			}
		})
		if err := m.Run(); err != nil {
			return err.Error()
		}
		return wrong
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			found := ""
			for seed := range seeds {
				if wrong := run(e, seed, false); wrong != "" {
					t.Fatalf("seed %d: %s", seed, wrong)
				}
				if found == "" {
					found = run(e, seed, true)
				}
			}
			if found == "" {
				t.Errorf("%d seeds do not find a file that is dropped too early", seeds)
			}
		})
	}
}
