package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

const (
	in  = event.PollIn | event.PollRdNorm
	out = event.PollOut | event.PollWrNorm
)

func newOldKernel(m *machine.Machine) *oldKernel { return &oldKernel{giant: m.MPLock()} }

// open gives a file the next descriptor.
func (k *oldKernel) open(f oldFile) int32 {
	k.files = append(k.files, f)
	return int32(len(k.files) - 1)
}

// Whatever is done to some pipes, poll and select of the old way say of each
// what a count of its bytes and its ends says; and so do those over kqueue.
func TestSelinfoAnswers(t *testing.T) {
	const pipes = 5
	random := rand.New(rand.NewPCG(7, 0))
	m := machine.Native(1)
	td := m.Attach("t", 0)
	k := newOldKernel(m)
	s := new(selecter)
	kq := kqueue.New(m, strategies.All[0].New(m))
	process := proc.New(kq)
	poller := poll.New(td, kq, process)
	type plain struct {
		n            int
		noRead, gone bool // the read end is gone, the write end
	}
	var all [pipes]plain
	var ends [pipes][2]*oldEnd
	var news [pipes][2]*device.PipeEnd
	remake := func(i int) {
		r, w := device.NewPipe(td, kq)
		news[i] = [2]*device.PipeEnd{r, w}
		for j, f := range news[i] {
			process.Close(td, 2*i+j)
			fd, err := process.Open(td, f)
			if err == nil && fd != 2*i+j {
				err = errors.Join(process.Dup2(td, fd, 2*i+j), process.Close(td, fd))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		ends[i][0], ends[i][1] = k.pipe()
		all[i] = plain{}
		k.files[2*i], k.files[2*i+1] = ends[i][0], ends[i][1]
	}
	k.files = make([]oldFile, 2*pipes+1) // the last is never open
	for i := range pipes {
		remake(i)
	}
	buf := make([]byte, device.PipeSize)
	for step := range 3000 {
		i := random.IntN(pipes)
		p := &all[i]
		switch n := []int{1, 60, 512, 513, 9000}[random.IntN(5)]; random.IntN(12) {
		case 0:
			p.noRead = true
			ends[i][0].Release(td)
			k.files[2*i] = nil
			process.Close(td, 2*i)
		case 1:
			p.gone = true
			ends[i][1].Release(td)
			k.files[2*i+1] = nil
			process.Close(td, 2*i+1)
		case 2:
			remake(i)
		case 3, 4, 5, 6, 7:
			got, _ := ends[i][0].Read(td, buf[:n])
			news[i][0].Read(td, buf[:n])
			if !p.noRead {
				if got != min(n, p.n) {
					t.Fatalf("step %d: read %d of %d bytes in pipe %d: %d", step, n, p.n, i, got)
				}
				p.n -= got
			}
		default:
			got, _ := ends[i][1].Write(td, buf[:n])
			news[i][1].Write(td, buf[:n])
			want := min(n, device.PipeSize-p.n)
			if n <= device.PipeBuf && want < n || p.gone || p.noRead {
				want = 0
			}
			if got != want {
				t.Fatalf("step %d: wrote %d bytes to pipe %d with %d: %d, want %d", step, n, i, p.n, got, want)
			}
			p.n += got
		}

		var fds, want []event.PollFD
		sets, wantSets := fdsets{{0}, {0}, {0}}, fdsets{{0}, {0}, {0}}
		ready, members := 0, 0
		for fd := range 2 * pipes {
			p := &all[fd/2]
			e := event.PollFD{FD: int32(fd), Events: []event.PollEvents{0, in, out, in | out}[random.IntN(4)], Revents: 77}
			fds = append(fds, e)
			var holds event.PollEvents
			if fd&1 == 0 {
				if p.n > 0 {
					holds = in
				}
				if p.gone {
					holds |= event.PollHup
				}
			} else {
				if device.PipeSize-p.n >= device.PipeBuf || p.noRead {
					holds = out
				}
				if p.noRead {
					holds |= event.PollErr
				}
			}
			closed := fd&1 == 0 && p.noRead || fd&1 == 1 && p.gone
			if closed {
				holds = event.PollNval
			}
			e.Revents = holds & (e.Events | event.PollHup | event.PollErr | event.PollNval)
			if e.Revents != 0 {
				ready++
			}
			want = append(want, e)
			for j := range sets {
				if random.IntN(2) == 0 && !closed {
					sets[j][0] |= 1 << fd
					if holds&[]event.PollEvents{in | event.PollHup | event.PollErr, out | event.PollErr, event.PollPri}[j] != 0 {
						wantSets[j][0] |= 1 << fd
						members++
					}
				}
			}
		}
		fds = append(fds, event.PollFD{FD: -1, Events: in, Revents: 77}, event.PollFD{FD: 2 * pipes}, event.PollFD{FD: 2*pipes + 9})
		want = append(want, event.PollFD{FD: -1, Events: in}, event.PollFD{FD: 2 * pipes, Revents: event.PollNval}, event.PollFD{FD: 2*pipes + 9, Revents: event.PollNval})
		ready += 2
		again := slices.Clone(fds)
		n, err := k.poll(td, s, fds, 0)
		if d := cmp.Diff(want, fds); n != ready || err != nil || d != "" {
			t.Fatalf("step %d: poll returns %d, %v, want %d: %s", step, n, err, ready, d)
		}
		n, err = poller.Poll(td, again, 0)
		if d := cmp.Diff(want, again); n != ready || err != nil || d != "" {
			t.Fatalf("step %d: poll over kqueue returns %d, %v, want %d: %s", step, n, err, ready, d)
		}
		var others [3]*poll.FDSet
		for j := range others {
			others[j] = new(poll.FDSet)
			for fd := range 2 * pipes {
				if sets[j][0]>>fd&1 != 0 {
					others[j].Set(fd)
				}
			}
		}
		none := time.Duration(0)
		n, err = poller.Select(td, 2*pipes, others[0], others[1], others[2], &none)
		for fd := range 2 * pipes {
			for j := range others {
				if n != members || err != nil || others[j].IsSet(fd) != (wantSets[j][0]>>fd&1 != 0) {
					t.Fatalf("step %d: select over kqueue returns %d, %v, %v, want %d, %v", step, n, err, others, members, wantSets)
				}
			}
		}
		found := fdsets{{9}, {9}, {9}}
		n, err = k.selects(td, s, 2*pipes, &sets, &found, 0)
		if d := cmp.Diff(wantSets, found); n != members || err != nil || d != "" {
			t.Fatalf("step %d: select returns %d, %v, want %d: %s", step, n, err, members, d)
		}
	}
	sets := fdsets{{1 << (2 * pipes)}}
	if _, err := k.selects(td, s, 64, &sets, &fdsets{{0}}, 0); err != syscall.EBADF {
		t.Errorf("select of what is not open: %v, want EBADF", err)
	}
	if n, err := k.selects(td, s, 2*pipes, &sets, &fdsets{{0}}, 0); n != 0 || err != nil {
		t.Errorf("select of what is beyond nfds: %d, %v, want 0", n, err)
	}
}

// Nobody is forgotten: threads that share pipes, and wait as long as it takes,
// get all bytes out of them and see their ends, on any schedule.
func TestSelinfoLosesNothing(t *testing.T) {
	const pipes, consumers, each = 3, 3, 6
	for seed := range uint64(300) {
		m := machine.Virtual(2, sched.NewRandom(seed))
		k := newOldKernel(m)
		var rs, ws []*oldEnd
		for range pipes {
			r, w := k.pipe()
			rs, ws = append(rs, r), append(ws, w)
			k.open(r)
		}
		taken := 0 // guarded by giant
		for c := range consumers {
			m.Go(fmt.Sprint("consumer", c), c%2, func(td *machine.Thread) {
				s := new(selecter)
				var fds []event.PollFD
				for fd := range pipes {
					if fd != c { // overlapping, and not the same
						fds = append(fds, event.PollFD{FD: int32(fd), Events: in})
					}
				}
				var buf [1]byte
				for ended := 0; ended < len(fds); {
					if n, err := k.poll(td, s, fds, machine.Forever); n == 0 || err != nil {
						panic(fmt.Sprint("poll returns ", n, err))
					}
					ended = 0
					for _, e := range fds {
						if e.Revents == event.PollHup {
							ended++
						} else if e.Revents != 0 {
							n, _ := rs[e.FD].Read(td, buf[:])
							td.Get(k.giant)
							taken += n
							td.Put(k.giant)
						}
					}
				}
			})
		}
		m.Go("producer", 0, func(td *machine.Thread) {
			for i := range pipes * each {
				if _, err := ws[i%pipes].Write(td, []byte{1}); err != nil {
					panic(err)
				}
			}
			for _, w := range ws {
				w.Release(td)
			}
		})
		if err := m.Run(); err != nil || taken != pipes*each {
			t.Fatalf("seed %d: %d bytes taken of %d, %v", seed, taken, pipes*each, err)
		}
		m.Abandon()
	}
}

// sleepers returns how many threads sleep in select or poll.
func (k *oldKernel) sleepers(td *machine.Thread) (n int) {
	td.Get(k.giant)
	for s := k.first; s != nil; s = s.next {
		n++
	}
	td.Put(k.giant)
	return n
}

// Two who wait for the same thing are a collision, and then everybody who is in
// select or poll is woken, also who waits for something else and sleeps on.
// Where nobody collides nobody is woken but who waits.
func TestSelinfoCollision(t *testing.T) {
	for _, c := range []struct {
		name       string
		watch      [3][]int32 // of each of three threads, the descriptors
		woken      uint64     // by a byte in 0
		collisions int
	}{
		{"alone", [3][]int32{{0}, {1}, {1}}, 1, 0},
		{"two", [3][]int32{{0, 1}, {0, 1}, {1}}, 3, 1},
		{"elsewhere", [3][]int32{{0}, {1, 2}, {2, 1}}, 1, 0},
		{"three", [3][]int32{{0}, {0}, {0}}, 3, 1},
	} {
		for _, by := range []string{"poll", "select"} {
			t.Run(c.name+"/"+by, func(t *testing.T) {
				m := machine.Native(1)
				k := newOldKernel(m)
				var ws [3]*oldEnd
				for i := range ws {
					var r *oldEnd
					r, ws[i] = k.pipe()
					k.open(r)
				}
				ended := 0 // guarded by giant
				left := func(td *machine.Thread) int {
					td.Get(k.giant)
					defer td.Put(k.giant)
					return len(c.watch) - ended
				}
				for i := range c.watch {
					m.Go(fmt.Sprint("waiter", i), 0, func(td *machine.Thread) {
						s := new(selecter)
						var fds []event.PollFD
						sets, found := fdsets{{0}}, fdsets{{0}}
						for _, fd := range c.watch[i] {
							fds = append(fds, event.PollFD{FD: fd, Events: in})
							sets[0][0] |= 1 << fd
						}
						if by == "poll" {
							k.poll(td, s, fds, machine.Forever)
						} else {
							k.selects(td, s, 3, &sets, &found, machine.Forever)
						}
						td.Get(k.giant)
						ended++
						td.Put(k.giant)
					})
				}
				var woken uint64
				var collisions int
				m.Go("writer", 0, func(td *machine.Thread) {
					var nap machine.WaitChan
					for k.sleepers(td) < len(c.watch) {
						td.Interlock(&nap)
						td.Sleep(td.Now() + time.Microsecond)
					}
					before := td.Stats.Wakeups
					ws[0].Write(td, []byte{1})
					woken, collisions = td.Stats.Wakeups-before, k.collisions
					for left(td) > 0 { // who waits for something else goes on to
						for _, w := range ws {
							w.Write(td, []byte{1})
						}
						td.Leave()
					}
				})
				if err := m.Run(); err != nil {
					t.Fatal(err)
				}
				if woken != c.woken || collisions != c.collisions {
					t.Errorf("a byte wakes %d threads by %d collisions, want %d by %d", woken, collisions, c.woken, c.collisions)
				}
			})
		}
	}
}

// A dozer is a file whose poll function blocks, and so loses the giant lock.
type dozer struct{ nap machine.WaitChan }

func (d *dozer) poll(td *machine.Thread, s *selecter, _ event.PollEvents) event.PollEvents {
	td.Interlock(&d.nap)
	td.Sleep(td.Now() + time.Microsecond)
	return 0
}

// What comes while a scan goes on is not lost; the control, which does not look
// whether something has come, sleeps for ever on some schedule.
func TestSelinfoLostWakeup(t *testing.T) {
	try := func(forgets bool) (deadlocks int, err error) {
		for seed := range uint64(300) {
			m := machine.Virtual(1, sched.NewRandom(seed))
			k := newOldKernel(m)
			k.forgets = forgets
			r, w := k.pipe()
			fds := []event.PollFD{{FD: k.open(r), Events: in}, {FD: k.open(&dozer{}), Events: in}}
			m.Go("selecter", 0, func(td *machine.Thread) {
				if n, err := k.poll(td, new(selecter), fds, machine.Forever); n != 1 || err != nil {
					panic(fmt.Sprint("poll returns ", n, err))
				}
			})
			m.Go("writer", 0, func(td *machine.Thread) { w.Write(td, []byte{1}) })
			if e := m.Run(); e != nil {
				if dead := (*machine.DeadlockError)(nil); !errors.As(e, &dead) {
					return deadlocks, fmt.Errorf("seed %d: %w", seed, e)
				}
				deadlocks++
			}
			m.Abandon()
		}
		return deadlocks, nil
	}
	if n, err := try(false); n != 0 || err != nil {
		t.Errorf("%d schedules of 300 lose a wakeup, %v", n, err)
	}
	if n, err := try(true); n == 0 || err != nil {
		t.Errorf("the control loses no wakeup on 300 schedules, %v", err)
	} else {
		t.Logf("the control loses a wakeup on %d schedules of 300", n)
	}
}

// A timeout ends a call that has found nothing, and nothing of it is left on
// the list of those who sleep.
func TestSelinfoTimeout(t *testing.T) {
	m := machine.Native(1)
	td := m.Attach("t", 0)
	k := newOldKernel(m)
	r, _ := k.pipe()
	fds := []event.PollFD{{FD: k.open(r), Events: in, Revents: in}}
	n, err := k.poll(td, new(selecter), fds, time.Millisecond)
	if n != 0 || err != nil || fds[0].Revents != 0 || k.first != nil || k.last != nil {
		t.Errorf("poll returns %d, %v, %v; asleep %p", n, err, fds, k.first)
	}
	if r.p.rsel.by == nil {
		t.Error("nobody was recorded")
	}
}
