package device_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// timer is a change to timer 3.
func timer(flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
	return event.Kevent{Ident: 3, Filter: event.Timer, Flags: flags, Fflags: fflags, Data: data}
}

func TestTimerErrno(t *testing.T) {
	bad := []event.Kevent{
		timer(event.Add, 0, -1),
		timer(event.Add, 0, math.MinInt64),
		timer(event.Add, event.NoteAbsTime, -1),
		timer(event.Add|event.OneShot, event.NoteNSeconds, -5),
		timer(event.Add, event.NoteSeconds, math.MaxInt64),
		timer(event.Add, 0, math.MaxInt64),
		timer(event.Add, event.NoteSeconds|event.NoteNSeconds, 1),
		timer(event.Add, event.NoteMSeconds|event.NoteUSeconds|event.NoteAbsTime, 1),
		timer(event.Add, 0x20, 1),
		timer(event.Add, event.NoteTrigger, 1),
	}
	each(t, func(l *lab) {
		for _, kev := range bad {
			l.change(kev, syscall.EINVAL)
			l.change(timer(event.Delete, 0, 0), syscall.ENOENT)
		}
		// Nor does it harm one that exists.
		l.change(timer(event.Add|event.Disable, event.NoteAbsTime, 0), nil)
		for _, kev := range bad {
			l.change(kev, syscall.EINVAL)
		}
		l.expect()
		l.change(timer(event.Enable, 0, 0), nil)
		l.expect(timer(event.Clear, 0, 1))
	})
}

// What can be said of timers without waiting for one.
func TestTimerAtOnce(t *testing.T) {
	const hours = 3600 * 1000
	tests := []struct {
		what    string
		changes []event.Kevent
		want    []event.Kevent
	}{
		{"not yet", []event.Kevent{timer(event.Add, 0, hours)}, nil},
		{"a period that the clock never shows", []event.Kevent{timer(event.Add, event.NoteNSeconds, math.MaxInt64)}, nil},
		{"one-shot of 0", []event.Kevent{timer(event.Add|event.OneShot, 0, 0)}, []event.Kevent{timer(event.OneShot|event.Clear, 0, 1)}},
		{"an instant that has passed", []event.Kevent{timer(event.Add, event.NoteAbsTime, 0)}, []event.Kevent{timer(event.Clear, 0, 1)}},
		{"an instant to come", []event.Kevent{timer(event.Add, event.NoteAbsTime, hours)}, nil},
		{"added again it forgets", []event.Kevent{timer(event.Add, event.NoteAbsTime, 0), timer(event.Add, 0, hours)}, nil},
		{"added again it counts anew", []event.Kevent{timer(event.Add, event.NoteAbsTime, 0), timer(event.Add, event.NoteAbsTime, 0)},
			[]event.Kevent{timer(event.Clear, 0, 1)}},
		{"disabled it counts", []event.Kevent{timer(event.Add|event.Disable, event.NoteAbsTime, 0), timer(event.Enable, 0, 0)},
			[]event.Kevent{timer(event.Clear, 0, 1)}},
		{"fflags and data without EV_ADD mean nothing", []event.Kevent{timer(event.Add, event.NoteAbsTime, 0), timer(event.Enable, 0x77, -1)},
			[]event.Kevent{timer(event.Clear, 0, 1)}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) {
				for _, kev := range test.changes {
					l.change(kev, nil)
				}
				l.expect(test.want...)
				l.expect() // EV_CLEAR is forced
			})
		})
	}
}

// A timer that is waited for comes.
func TestTimerComes(t *testing.T) {
	each(t, func(l *lab) {
		for _, kev := range []event.Kevent{
			timer(event.Add, 0, 1),
			timer(event.Add, event.NoteMSeconds, 1),
			timer(event.Add, event.NoteUSeconds, 300),
			timer(event.Add, event.NoteNSeconds, 300_000),
			timer(event.Add, event.NoteNSeconds, 1),
			timer(event.Add, event.NoteNSeconds, 0),
			timer(event.Add|event.Dispatch, 0, 1),
		} {
			l.change(kev, nil)
			for range 3 { // periodic
				if e := l.await(l.td); e.Ident != 3 || e.Data < 1 {
					t.Errorf("%v: %v", kev, e)
				}
				if kev.Flags&event.Dispatch != 0 {
					l.change(timer(event.Enable, 0, 0), nil)
				}
			}
			l.change(timer(event.Delete, 0, 0), nil)
			l.expect()
		}
		for _, kev := range []event.Kevent{
			timer(event.Add|event.OneShot, 0, 1),
			timer(event.Add|event.OneShot, event.NoteNSeconds, 1),
		} {
			l.change(kev, nil)
			if e := l.await(l.td); e != timer(event.OneShot|event.Clear, 0, 1) {
				t.Errorf("%v: %v", kev, e)
			}
			l.change(timer(event.Delete, 0, 0), syscall.ENOENT)
		}
		at := timer(event.Add, event.NoteAbsTime|event.NoteNSeconds, int64(l.td.Now())+2_000_000)
		l.change(at, nil)
		if e := l.await(l.td); e != timer(event.Clear, 0, 1) {
			t.Errorf("%v: %v", at, e)
		}
		if now := int64(l.td.Now()); now < at.Data {
			t.Errorf("expired at %d, due at %d", now, at.Data)
		}
		l.change(timer(event.Delete, 0, 0), nil) // it has expired, and is there
	})
}

// However late it is retrieved, a timer has never expired more often than there
// were periods, and a retrieval takes what it returns.
func TestTimerCountsNoMoreThanPeriods(t *testing.T) {
	each(t, func(l *lab) {
		const period = 1_300_000
		from := int64(l.td.Now())
		l.change(timer(event.Add, event.NoteNSeconds, period), nil)
		sum := int64(0)
		for range 10 {
			sum += l.await(l.td).Data
			if most := (int64(l.td.Now()) - from) / period; sum > most {
				l.Fatalf("%d expirations in %d periods", sum, most)
			}
		}
	})
}

// Ticks of many timers, taken by many threads while others restart and delete
// them: each that the filter has been asked with is returned once, or thrown
// away by a restart or a deletion, and no callout outlives its timer.
func TestTimerConservation(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			w, err := timerStorm(t, s, device.NoFault, rounds)
			if err != nil {
				t.Error(err)
			}
			ended, counted, forgotten := w.Reached()
			t.Logf("%d timers detached, %d expirations counted, %d of them thrown away", ended, counted, forgotten)
			if ended == 0 || counted == forgotten || forgotten == 0 {
				t.Error("that is no test")
			}
		})
	}
}

// The controls of TestTimerConservation.
func TestTimerConservationCatches(t *testing.T) {
	for _, s := range strategies.All {
		for _, fault := range []device.Fault{device.CountsTwice, device.ForgetsStop} {
			t.Run(fmt.Sprint(s.Name, " fault ", fault), func(t *testing.T) {
				if _, err := timerStorm(t, s, fault, 20); err == nil {
					t.Error("not caught")
				}
			})
		}
	}
}

func timerStorm(t *testing.T, s strategies.Entry, fault device.Fault, rounds int) (*device.Watch, error) {
	var w *device.Watch
	l := newLabWith(t, s, func(k *kqueue.Kernel) { w = device.InstallWatched(k, fault) })
	defer l.end()
	const timers, changers, takers = 8, 3, 3
	add := func(td *machine.Thread, e event.Kevent) error {
		_, err := l.q.Kevent(td, []event.Kevent{e}, nil, 0)
		return err
	}
	var left atomic.Int32
	left.Store(changers)
	var mu sync.Mutex
	taken := map[uint64]int64{} // guarded by mu
	for i := range changers {
		r := random(t, i)
		l.m.Go(fmt.Sprintf("changer %d", i), i%2, func(td *machine.Thread) {
			var nobody machine.WaitChan
			for n := range rounds {
				if n%16 == 0 { // for timers to expire
					td.Interlock(&nobody)
					td.Sleep(td.Now() + 200*time.Microsecond)
				}
				e := timer(event.Add, event.NoteUSeconds, int64(r.IntN(200)))
				e.Ident = uint64(r.IntN(timers))
				switch r.IntN(5) {
				case 0:
					e.Flags |= event.OneShot
				case 1:
					e.Flags = event.Delete
				case 2:
					e.Flags |= event.Dispatch
				}
				if err := add(td, e); err != nil && !(err == syscall.ENOENT && e.Flags == event.Delete) {
					t.Errorf("%v: %v", e, err)
				}
			}
			if left.Add(-1) == 0 {
				if err := add(td, user(event.Add, trigger, 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range takers {
		l.m.Go(fmt.Sprintf("taker %d", i), i%2, func(td *machine.Thread) {
			events := make([]event.Kevent, 1+3*i)
			for stopped := false; !stopped; {
				n, err := l.q.Kevent(td, nil, events, kqueue.Forever)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, e := range events[:n] {
					if e.Filter == event.User { // level-triggered: every taker sees it
						stopped = true
						continue
					}
					if e.Data < 1 {
						t.Errorf("%v: no expiration", e)
					}
					taken[e.Ident] += e.Data
				}
				mu.Unlock()
			}
		})
	}
	l.run()
	for i := range timers { // to be deleted with an expiration that nobody takes
		e := timer(event.Add, event.NoteAbsTime, 0)
		e.Ident = uint64(i)
		l.change(e, nil)
	}
	armed := timer(event.Add, event.NoteSeconds, 3600)
	armed.Ident = timers
	l.change(armed, nil)
	l.must(l.q.Close(l.td))
	return w, w.Verdict(l.td, taken)
}

// FuzzTimer reads the first byte as a strategy and the others as changes, two
// bytes each, with a look at the events after each, and does them to a queue and
// to what a timer should be. It is of timers that have expired when they are
// added, or do so in years; nothing waits for the clock.
func FuzzTimer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 1})
	f.Add([]byte{1, 0x11, 0, 1, 1, 8, 3, 4, 0})
	f.Add([]byte{2, 0x81, 1, 4, 0, 1, 0x41, 1, 1, 2, 0, 4, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 200 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.end()
		var is struct {
			exists, disabled, expired bool
			keep                      event.Flags
		}
		for ops := script[1:]; len(ops) >= 2; ops = ops[2:] {
			kev := timer(event.Flags(ops[0])&^event.Receipt, event.Fflags(ops[1]&0x3f), 0)
			far := ops[1]&0x40 != 0
			if far {
				kev.Data = 1 << 33 // 99 days in milliseconds, 2 hours in microseconds
				if kev.Fflags&event.NoteNSeconds != 0 {
					kev.Data = math.MaxInt64
				}
			}
			if ops[1]&0x80 != 0 {
				kev.Data = -kev.Data - 1
			}
			units := kev.Fflags &^ event.NoteAbsTime
			bad := kev.Data < 0 || units&(units-1) != 0 || units > event.NoteNSeconds ||
				units == event.NoteSeconds && kev.Data > math.MaxInt64/1_000_000_000

			var want error
			add := kev.Flags&event.Add != 0
			keep := is.keep
			if !is.exists {
				keep = kev.Flags&(event.OneShot|event.Dispatch) | event.Clear
			}
			// A period of 0 is one unit, and would expire while we look.
			if add && !bad && !far && keep&event.OneShot == 0 && kev.Fflags&event.NoteAbsTime == 0 {
				continue
			}
			switch {
			case kev.Flags&(event.Add|event.Delete) == event.Add|event.Delete,
				kev.Flags&(event.Enable|event.Disable) == event.Enable|event.Disable:
				want = syscall.EINVAL
			case !is.exists && !add:
				want = syscall.ENOENT
			case kev.Flags&event.Delete != 0:
				is.exists = false
			case add && bad:
				want = syscall.EINVAL
			default:
				is.exists, is.keep = true, keep
				if add {
					is.expired, is.disabled = !far, false
				}
				if kev.Flags&event.Enable != 0 {
					is.disabled = false
				}
				if kev.Flags&event.Disable != 0 {
					is.disabled = true
				}
			}
			l.change(kev, want)
			if !is.exists || is.disabled || !is.expired {
				l.expect()
				continue
			}
			l.expect(timer(is.keep, 0, 1))
			is.expired = false
			is.exists = is.keep&event.OneShot == 0
			is.disabled = is.keep&event.Dispatch != 0
		}
	})
}
