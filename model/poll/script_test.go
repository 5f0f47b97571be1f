package poll_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/strategies"
)

// A script is some bytes that say what to do with a dozen of descriptors, and when to
// poll and select which of them. Each answer is held against that of a Poller made
// for the call: one that keeps nothing cannot keep anything wrong.
type script struct {
	*lab
	bytes []byte
	fds   []event.PollFD // of the last poll
	sets  [3]*poll.FDSet // of the last select
	done  []string       // so far
}

// most is above the numbers that scripts name.
const most = 14

func (s *script) next() int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b)
}

// conditions are what entries ask for.
var conditions = []event.PollEvents{
	in, out, in | out, 0, event.PollPri, event.PollRdHup, in | event.PollRdHup, event.PollRdNorm | event.PollWrNorm,
	event.PollRdBand, event.PollWrBand, event.PollErr | event.PollHup, out | event.PollPri, 0xffff,
}

func (s *script) entry() event.PollFD {
	fd := s.next()%(most+2) - 1
	if fd == most {
		fd = 1 << 30
	}
	return event.PollFD{FD: int32(fd), Events: conditions[s.next()%len(conditions)]}
}

func (s *script) did(format string, args ...any) {
	s.done = append(s.done, fmt.Sprintf(format, args...))
}

// step does what the next byte says.
func (s *script) step() {
	switch op := s.next() % 16; op {
	case 0, 1, 2:
		s.compare()
	case 3:
		s.fds = s.fds[:0]
		for range s.next() % 8 {
			s.fds = append(s.fds, s.entry())
		}
		s.compare()
	case 4, 5:
		if len(s.fds) > 0 {
			s.fds[s.next()%len(s.fds)] = s.entry()
		}
		s.compare()
	case 6:
		s.sets = [3]*poll.FDSet{}
		for i := range s.sets {
			for range s.next() % 4 {
				if s.sets[i] == nil {
					s.sets[i] = &poll.FDSet{}
				}
				s.sets[i].Set(s.next() % most)
			}
		}
		s.compareSets()
	case 7:
		if set := s.sets[s.next()%3]; set != nil {
			set.Set(s.next() % most)
			set.Clear(s.next() % most)
		}
		s.compareSets()
	case 8, 9:
		s.write(s.next()%most, 1<<(s.next()%17))
	case 10:
		s.read(s.next()%most, 1<<(s.next()%17))
	case 11:
		fd := s.next() % most
		s.did("close %d: %v", fd, s.p.Close(s.td, fd))
	case 12:
		a, b := s.next()%most, s.next()%most
		s.did("dup2 %d %d: %v", a, b, s.p.Dup2(s.td, a, b))
	case 13:
		s.openSome(s.next() % 6)
	case 14:
		fd, side := s.next()%most, event.Side(s.next()%3)
		if f, err := s.p.File(s.td, fd); err == nil {
			if f, ok := f.(*device.Socket); ok {
				s.did("shutdown %d %v: %v", fd, side, f.Shutdown(s.td, side))
			}
		}
	case 15:
		fd := s.next() % most
		if f, err := s.p.File(s.td, fd); err == nil {
			switch f := f.(type) {
			case *device.Probe:
				f.Set(s.td, int64(s.next()%3))
				s.did("set %d", fd)
			case *device.Socket:
				n, err := f.SendOOB(s.td, []byte{1})
				s.did("send %d oob: %d, %v", fd, n, err)
			}
		}
	}
}

// openSome opens files of some kind, if there are numbers left.
func (s *script) openSome(kind int) {
	var files []kqueue.File
	switch kind {
	case 0:
		r, w := device.NewPipe(s.td, s.k)
		files = append(files, r, w)
	case 1, 2:
		a, b, err := device.NewSocketPair(s.td, s.k, []event.SockType{event.Stream, event.Datagram}[kind-1])
		s.must(err)
		files = append(files, a, b)
	case 3:
		f := device.NewFifo(s.td, s.k)
		files = append(files, f)
		if r, err := f.Reopen(s.td, device.ToRead); err == nil {
			files = append(files, r)
		}
		if w, err := f.Reopen(s.td, device.ToWrite); err == nil {
			files = append(files, w)
		}
	case 4:
		m, t := device.NewPty(s.td, s.k)
		files = append(files, m, t)
	case 5:
		files = append(files, device.NewProbe(s.td, s.k, device.ProbeConfig{}))
	}
	for _, f := range files {
		fd, err := s.p.Open(s.td, f)
		s.must(err)
		s.did("%T is %d", f, fd)
		if fd >= most {
			s.must(s.p.Close(s.td, fd))
		}
	}
}

func (s *script) write(fd, n int) {
	f, err := s.p.File(s.td, fd)
	if w, ok := f.(interface {
		Write(*machine.Thread, []byte) (int, error)
	}); ok && err == nil {
		n, err := w.Write(s.td, make([]byte, n))
		s.did("write %d: %d, %v", fd, n, err)
	}
}

func (s *script) read(fd, n int) {
	f, err := s.p.File(s.td, fd)
	if r, ok := f.(interface {
		Read(*machine.Thread, []byte) (int, error)
	}); ok && err == nil {
		n, err := r.Read(s.td, make([]byte, n))
		s.did("read %d: %d, %v", fd, n, err)
	}
}

// fresh calls f with a Poller of its own.
func (s *script) fresh(f func(p *poll.Poller)) {
	p := poll.New(s.td, s.k, s.p)
	f(p)
	s.must(p.Close(s.td))
}

func (s *script) compare() {
	s.Helper()
	want := slices.Clone(s.fds)
	var n, wantN int
	var err, wantErr error
	s.fresh(func(p *poll.Poller) { wantN, wantErr = p.Poll(s.td, want, 0) })
	n, err = s.Poll(s.td, s.fds, 0)
	s.did("poll %v: %d, %v", s.fds, n, err)
	if n != wantN || err != wantErr || !slices.Equal(s.fds, want) {
		s.Fatalf("poll: %d, %v, %v\na Poller that has kept nothing says %d, %v, %v\n%s", n, err, s.fds, wantN, wantErr, want, s.lines())
	}
}

func (s *script) compareSets() {
	s.Helper()
	nfds := s.next() % (most + 60)
	var sets, want [3]*poll.FDSet
	for i, set := range s.sets {
		if set != nil {
			sets[i], want[i] = &poll.FDSet{}, &poll.FDSet{}
			sets[i].Copy(set)
			want[i].Copy(set)
		}
	}
	var n, wantN int
	var err, wantErr error
	s.fresh(func(p *poll.Poller) { wantN, wantErr = p.Select(s.td, nfds, want[0], want[1], want[2], &zero) })
	n, err = s.Select(s.td, nfds, sets[0], sets[1], sets[2], &zero)
	s.did("select %d %v: %v: %d, %v", nfds, s.sets, sets, n, err)
	if n != wantN || err != wantErr || fmt.Sprint(sets) != fmt.Sprint(want) {
		s.Fatalf("select: %d, %v, %v\na Poller that has kept nothing says %d, %v, %v\n%s", n, err, sets, wantN, wantErr, want, s.lines())
	}
}

func (s *script) lines() (text string) {
	for _, l := range s.done {
		text += "\t" + l + "\n"
	}
	return text
}

// runScript runs a script under a strategy.
func runScript(t *testing.T, e strategies.Entry, bytes []byte) {
	l := newLab(t, e)
	defer l.end()
	s := &script{lab: l, bytes: bytes}
	for i := range 4 {
		s.openSome(i)
	}
	for len(s.bytes) > 0 {
		s.step()
	}
	l.must(l.p.Audit(l.td))
}

// What is kept is never wrong: random scripts under each strategy.
func TestKept(t *testing.T) {
	t.Logf("repeat with: go test ./model/poll -run %s -seed %d", t.Name(), *seed)
	n := 1000
	if testing.Short() || raceEnabled {
		n = 300
	}
	for i, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(*seed, uint64(i)))
			for range n {
				bytes := make([]byte, 20+r.IntN(200))
				for i := range bytes {
					bytes[i] = byte(r.Uint32())
				}
				runScript(t, s, bytes)
				if t.Failed() {
					t.Fatalf("the script: %s", hex.EncodeToString(bytes))
				}
			}
		})
	}
}

// FuzzPoll looks for a script after which a Poller says something else than one that
// is new.
func FuzzPoll(f *testing.F) {
	f.Add([]byte{3, 3, 1, 0, 2, 1, 3, 12, 8, 1, 3, 0, 4, 0, 1, 2, 11, 1, 0, 13, 0, 0})
	f.Add([]byte{3, 7, 1, 0, 1, 1, 1, 2, 5, 5, 6, 6, 15, 0, 9, 3, 12, 2, 4, 4, 12, 3, 1, 0, 13, 4, 0, 11, 9, 0})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 4096 {
			return
		}
		runScript(t, strategies.All[len(bytes)%len(strategies.All)], bytes)
	})
}

// FuzzSelect is FuzzPoll for scripts of select alone, and of any number of descriptors:
// an answer is part of what was asked, and no number leaves the sets unless it should.
func FuzzSelect(f *testing.F) {
	f.Add(5, []byte{1, 2}, []byte{2}, []byte{0xff, 0xff})
	f.Add(-1, []byte{}, []byte{2}, []byte{})
	f.Add(1<<40, []byte{0, 1, 2, 3}, []byte{0, 1}, []byte{0})
	f.Fuzz(func(t *testing.T, nfds int, r, w, e []byte) {
		if len(r)+len(w)+len(e) > 300 {
			return
		}
		l := newLab(t, strategies.All[0])
		defer l.end()
		s := &script{lab: l}
		for i := range 4 {
			s.openSome(i)
		}
		open := func(fd int) bool { _, err := l.p.File(l.td, fd); return err == nil }
		var ask, got [3]*poll.FDSet
		bad := nfds < 0
		for i, b := range [][]byte{r, w, e} {
			ask[i], got[i] = &poll.FDSet{}, &poll.FDSet{}
			for j, x := range b {
				fd := int(x) << (j % 3 * 4)
				ask[i].Set(fd)
				bad = bad || fd < nfds && !open(fd)
			}
			got[i].Copy(ask[i])
		}
		n, err := l.Select(l.td, nfds, got[0], got[1], got[2], &zero)
		if (err != nil) != bad {
			t.Fatalf("Select(%d, %v): %v, and whether it should fail is %v", nfds, ask, err, bad)
		}
		sum := 0
		for i := range got {
			for fd := range 1 << 17 {
				switch {
				case err != nil && got[i].IsSet(fd) != ask[i].IsSet(fd):
					t.Fatalf("Select(%d, %v) has failed, and changed set %d to %v", nfds, ask, i, got[i])
				case got[i].IsSet(fd) && !ask[i].IsSet(fd):
					t.Fatalf("Select(%d, %v) has put %d into set %d", nfds, ask, fd, i)
				case got[i].IsSet(fd) && fd < nfds:
					sum++
				case fd >= nfds&^63+64 && got[i].IsSet(fd) != ask[i].IsSet(fd):
					t.Fatalf("Select(%d, %v) has changed %d, which it was not asked for", nfds, ask, fd)
				}
			}
		}
		if err == nil && n != sum {
			t.Fatalf("Select(%d, %v): %d, and %d are set", nfds, ask, n, sum)
		}
	})
}
