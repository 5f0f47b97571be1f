package proc_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A clan is what a table of processes is, without threads, and what one kqueue of the
// first process has to say of it.
type clan struct {
	last   int
	all    map[int]*member // zombies too
	knotes map[int]*news   // by process
	chld   int64           // SIGCHLD, since it was returned
}

type member struct {
	parent int
	zombie bool
	status proc.Status
}

// news is what a knote has to say, and what after that.
type news struct {
	want, has event.Fflags
	data      int64
	end       event.Flags // of the last
	over      *news
}

// There is room for so many.
const clanMax, newsMax = 6, 4

func (c *clan) tell(pid int, note event.Fflags) {
	if n := c.knotes[pid]; n != nil {
		n.has |= note & n.want
	}
}

func (c *clan) fork(pid int) {
	c.last++
	c.all[c.last] = &member{parent: pid}
	c.tell(pid, event.NoteFork|event.NoteTrack)
	n := c.knotes[pid]
	switch {
	case n == nil || n.want&event.NoteTrack == 0:
	case len(c.knotes) == newsMax:
		n.has |= event.NoteTrackErr
	default:
		c.knotes[c.last] = &news{want: n.want, has: event.NoteChild, data: int64(pid)}
	}
}

func (c *clan) exit(pid int, s proc.Status) {
	m := c.all[pid]
	m.zombie, m.status = true, s
	orphaned := false
	for _, o := range c.all {
		if o.parent == pid {
			o.parent = proc.Init
			orphaned = orphaned || o.zombie
		}
	}
	if m.parent == proc.Init {
		c.chld++
	}
	if orphaned {
		c.chld++
	}
	if n := c.knotes[pid]; n != nil {
		n.ended(s)
	}
}

func (n *news) ended(s proc.Status) {
	end := news{want: n.want, has: n.want & event.NoteExit, data: int64(s), end: event.EOF | event.NoData | event.OneShot}
	if n.has&event.NoteChild != 0 {
		n.over = &end
		return
	}
	end.has |= n.has
	*n = end
}

// take returns what the kqueue returns now, by process.
func (c *clan) take() map[int]event.Kevent {
	out := map[int]event.Kevent{}
	for pid, n := range c.knotes {
		if n.has == 0 && n.end == 0 {
			continue
		}
		e := ofProcess(pid, n.has, n.data)
		e.Flags |= n.end
		out[pid] = e
		n.has, n.data = 0, 0
		switch {
		case n.end != 0:
			delete(c.knotes, pid)
		case n.over != nil:
			c.knotes[pid] = n.over
		}
	}
	return out
}

// FuzzProcesses reads the first byte as a strategy and the others as system calls, two
// bytes each, and does them to processes and to a clan. No error is another than that
// says, and no event.
func FuzzProcesses(f *testing.F) {
	f.Add([]byte{0, 5, 0x71, 0, 1, 0, 2, 7, 0, 2, 3, 2, 2, 7, 0, 7, 0, 4, 2})
	f.Add([]byte{1, 0, 1, 5, 0xf2, 1, 2, 0, 2, 3, 2, 7, 0, 5, 0xf2, 7, 0, 4, 0, 4, 3})
	f.Add([]byte{0, 5, 0x71, 0, 1, 7, 0, 2, 2, 1, 2, 7, 0}) // a zombie has nothing to begin
	f.Add([]byte{2, 5, 0xf1, 0, 1, 0, 2, 0, 3, 0, 4, 0, 1, 7, 0, 6, 1, 2, 2, 7, 0, 7, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 400 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.td.Detach()
		table := l.p.Table()
		table.SetMax(clanMax, newsMax)
		c := &clan{last: proc.Init, all: map[int]*member{proc.Init: {}}, knotes: map[int]*news{}}
		kq := l.kqueue()
		l.adds(kq, event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal}, nil)
		for ops := script[1:]; len(ops) >= 2; ops = ops[2:] {
			pid, arg := int(ops[1]&15), int(ops[1]>>4)
			m := c.all[pid]
			p, err := table.Find(l.td, pid)
			if (m == nil) != (err == syscall.ESRCH) {
				t.Fatalf("process %d is found: %v", pid, err)
			}
			want := error(nil)
			if m == nil || m.zombie {
				want = syscall.ESRCH
			}
			ident := event.Kevent{Ident: uint64(pid), Filter: event.Proc}
			switch what := ops[0] % 8; {
			case what < 3 && p == nil:
			case what == 0:
				if want == nil && len(c.all) == clanMax {
					want = syscall.EAGAIN
				}
				child, err := p.Fork(l.td)
				l.errno("fork", err, want)
				if want == nil {
					if c.fork(pid); child.Pid() != c.last || child.Parent(l.td) != pid {
						t.Fatalf("fork of %d: process %d of %d, want %d", pid, child.Pid(), child.Parent(l.td), c.last)
					}
				}
			case what == 1:
				l.errno("exec", p.Exec(l.td), want)
				if want == nil {
					c.tell(pid, event.NoteExec)
				}
			case what == 2:
				if pid == proc.Init {
					want = syscall.EPERM
				}
				l.errno("exit", p.Exit(l.td, proc.Exited(arg)), want)
				if want == nil {
					c.exit(pid, proc.Exited(arg))
				}
			case what == 3:
				if m != nil {
					want = nil // of a zombie too
				}
				l.errno("kill", table.Kill(l.td, pid, syscall.SIGTERM), want)
				if m != nil && !m.zombie && pid != proc.Init {
					c.exit(pid, proc.Killed(syscall.SIGTERM))
				}
			case what == 4:
				c.waits(l, pid)
			case what == 5:
				ident.Fflags = [...]event.Fflags{event.NoteExit, event.NoteFork, event.NoteExec, event.NoteTrack}[arg&3]
				if arg&4 != 0 {
					ident.Fflags = everything
				}
				n := c.knotes[pid]
				switch {
				case n != nil:
					want = nil
					n.want = ident.Fflags
				case m == nil:
				case len(c.knotes) == newsMax:
					want = syscall.ENOMEM
				default:
					want = nil
					n = &news{want: ident.Fflags}
					if m.zombie {
						n.ended(m.status)
					}
					c.knotes[pid] = n
				}
				l.adds(kq, ident, want)
			case what == 6:
				ident.Flags = event.Delete
				want = nil
				if c.knotes[pid] == nil {
					want = syscall.ENOENT
				}
				_, err := l.p.Kevent(l.td, kq, []event.Kevent{ident}, nil, 0)
				l.errno("delete", err, want)
				delete(c.knotes, pid)
			case what == 7:
				c.taken(l, kq)
			}
		}
		l.must(l.p.Audit(l.td))
	})
}

// waits has the first process wait for a child, or for any if that is pid 0. Which of
// several it is does not matter.
func (c *clan) waits(l *lab, pid int) {
	want, children := error(syscall.ECHILD), 0
	for id, m := range c.all {
		if m.parent == proc.Init && id != proc.Init && (pid == 0 || pid == id) {
			if children++; m.zombie {
				want = nil
			}
		}
	}
	if want != nil && children > 0 {
		want = syscall.EAGAIN
	}
	if pid == 0 {
		pid = proc.Any
	}
	got, status, err := l.p.Wait(l.td, pid)
	l.errno("wait", err, want)
	if err != nil {
		return
	}
	m := c.all[got]
	if m == nil || !m.zombie || m.status != status || m.parent != proc.Init || pid != proc.Any && pid != got {
		l.Fatalf("Wait(%d): process %d, %v, want one of %v", pid, got, status, m)
	}
	delete(c.all, got)
}

// taken takes events, as many as there are.
func (c *clan) taken(l *lab, kq int) {
	want := c.take()
	var events [newsMax + 2]event.Kevent
	n, err := l.p.Kevent(l.td, kq, nil, events[:], 0)
	l.must(err)
	if c.chld > 0 {
		want[0] = event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Clear, Data: c.chld}
		c.chld = 0
	}
	for _, e := range events[:n] {
		pid := int(e.Ident)
		if e.Filter == event.Signal {
			pid = 0
		}
		if want[pid] != e {
			l.Fatalf("event %v, want %v", e, want[pid])
		}
		delete(want, pid)
	}
	if len(want) != 0 {
		l.Fatalf("no events %v", want)
	}
}
