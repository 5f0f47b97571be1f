package device_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// The specification has no clock: a timer may expire whenever it likes. A virtual
// machine has one, so there the ticks are held against it.

// A tickEntry is what one call had to do with a timer, and from when to when it took.
type tickEntry struct {
	from, to time.Duration
	starts   bool
	first    time.Duration // of a start: how long after it the timer expires first; an instant if abs
	period   time.Duration // from one expiry to the next, 0 if there is one only
	abs      bool
	data     int64 // of a poll: what was returned, 0 if nothing
}

// due returns how often a timer has expired that was started at one instant, by another.
func (e *tickEntry) due(started, by time.Duration) int64 {
	first := started + e.first
	if e.abs {
		first = max(e.first, started)
	}
	switch {
	case by < first:
		return 0
	case e.period == 0:
		return 1
	}
	return int64((by-first)/e.period) + 1
}

// tickFault says what is wrong with the expirations of a timer; "" if nothing is. None
// comes early: what has been returned since the start is never more than could have
// expired. And none is lost, or counted twice: on a punctual machine, where nothing but
// sleep takes time, it is as many as had expired before the call.
func tickFault(log []tickEntry, punctual bool) string {
	var start *tickEntry
	var sum int64
	for i := range log {
		e := &log[i]
		if e.starts {
			start, sum = e, 0
			continue
		}
		sum += e.data
		if start == nil || e.data < 0 {
			return fmt.Sprintf("entry %d: %d of a timer that has not been started, or fewer than none", i, e.data)
		}
		if most := start.due(start.from, e.to); sum > most {
			return fmt.Sprintf("entry %d: early, or twice: %d expirations by %v, of at most %d since %v", i, sum, e.to, most, start.from)
		}
		if least := start.due(start.to, e.from-1); punctual && sum < least {
			return fmt.Sprintf("entry %d: lost: %d expirations by %v, of at least %d since %v", i, sum, e.from, least, start.to)
		}
	}
	return ""
}

var tickUnits = []struct {
	fflags event.Fflags
	unit   time.Duration
}{
	{event.NoteNSeconds, 1}, {event.NoteUSeconds, time.Microsecond}, {0, time.Millisecond}, {event.NoteMSeconds, time.Millisecond}, {event.NoteSeconds, time.Second},
}

// tick draws what a timer is started with: any unit, again and again or once, at an
// instant or after a while. A period is at least that of the machine's callouts.
func drawTick(rng *rand.Rand, once bool, now time.Duration) (event.Fflags, int64, tickEntry) {
	u := tickUnits[rng.IntN(len(tickUnits))]
	n := 1 + rng.Int64N(20)
	if u.unit < time.Millisecond {
		n *= int64(50 * time.Microsecond / u.unit)
	}
	d := time.Duration(n) * u.unit
	if rng.IntN(4) == 0 {
		at := (now + time.Duration(rng.Int64N(int64(2*d))) - d) / u.unit * u.unit
		at = max(at, 0)
		return u.fflags | event.NoteAbsTime, int64(at / u.unit), tickEntry{starts: true, first: at, abs: true}
	}
	if once {
		return u.fflags, n, tickEntry{starts: true, first: d}
	}
	return u.fflags, n, tickEntry{starts: true, first: d, period: d}
}

// ticks has a thread start a timer again and again, take its expirations and sleep, on a
// virtual machine, and another do the same to another timer of the same queue's.
func ticks(s strategies.Entry, by sched.Scheduler, seed uint64, punctual bool) (logs [2][]tickEntry, err error) {
	m := machine.Virtual(2, by)
	defer m.Abandon()
	m.Unscheduled(punctual)
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	for i := range logs {
		m.Go(fmt.Sprintf("ticks %d", i), i, func(td *machine.Thread) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			q, empty := k.NewQueue(td, nil), k.NewQueue(td, nil)
			once := rng.IntN(3) == 0
			flags := event.Add
			if once {
				flags |= event.OneShot
			}
			log := func(e tickEntry, from time.Duration) {
				e.from, e.to = from, td.Now()
				logs[i] = append(logs[i], e)
			}
			for n := range 16 {
				from := td.Now()
				switch what := rng.IntN(8); {
				case n == 0 || what == 0:
					fflags, data, e := drawTick(rng, once, from)
					if _, err := q.Kevent(td, []event.Kevent{{Ident: 1, Filter: event.Timer, Flags: flags, Fflags: fflags, Data: data}}, nil, 0); err != nil {
						panic(err)
					}
					log(e, from)
				case what == 1: // ticks are counted while it is disabled
					for _, f := range []event.Flags{event.Disable, event.Enable} {
						q.Kevent(td, []event.Kevent{{Ident: 1, Filter: event.Timer, Flags: f}}, nil, 0)
					}
				case what == 2:
					var none [1]event.Kevent
					empty.Kevent(td, nil, none[:], time.Duration(rng.Int64N(int64(100*time.Millisecond))))
				default:
					var events [1]event.Kevent
					got, err := q.Kevent(td, nil, events[:], time.Duration(rng.Int64N(int64(10*time.Millisecond)))*time.Duration(rng.IntN(2)))
					if err != nil {
						panic(err)
					}
					if log(tickEntry{data: events[0].Data}, from); got > 0 && once {
						n = 16 // it is deleted
					}
				}
				if n == 16 {
					break
				}
			}
			q.Close(td)
			empty.Close(td)
		})
	}
	return logs, m.Run()
}

// Ticks are conserved, and none comes early, however the threads, the timers' callouts and
// the clock come between each other.
func TestTicks(t *testing.T) {
	rng := random(t, 0)
	for _, s := range strategies.All {
		var returned int64
		for range 150 {
			for _, punctual := range []bool{true, false} {
				seed := rng.Uint64()
				by := sched.Scheduler(sched.NewRandom(seed))
				if punctual {
					by = sched.NewReplay(nil)
				}
				logs, err := ticks(s, by, seed, punctual)
				if err != nil {
					t.Fatalf("%s, seed %d, punctual %t: %v", s.Name, seed, punctual, err)
				}
				for _, log := range logs {
					if fault := tickFault(log, punctual); fault != "" {
						t.Fatalf("%s, seed %d, punctual %t: %s\n%+v", s.Name, seed, punctual, fault, log)
					}
					for _, e := range log {
						returned += e.data
					}
				}
			}
		}
		if returned < 150 {
			t.Errorf("%s: %d expirations were returned in 300 runs", s.Name, returned)
		}
	}
}

// The control: the checker sees what is early, lost, counted twice or never started.
func TestTicksAreChecked(t *testing.T) {
	const ms = time.Millisecond
	start := tickEntry{from: 10 * ms, to: 10 * ms, starts: true, first: 5 * ms, period: 5 * ms}
	once := tickEntry{from: 10 * ms, to: 10 * ms, starts: true, first: 5 * ms}
	at := tickEntry{from: 10 * ms, to: 10 * ms, starts: true, first: 12 * ms, abs: true}
	poll := func(at time.Duration, data int64) tickEntry { return tickEntry{from: at, to: at, data: data} }
	for _, tt := range []struct {
		what string
		log  []tickEntry
		want string
	}{
		{"in time", []tickEntry{start, poll(14*ms, 0), poll(15*ms, 1), poll(26*ms, 2)}, ""},
		{"early", []tickEntry{start, poll(15*ms-1, 1)}, "early"},
		{"twice", []tickEntry{start, poll(16*ms, 1), poll(17*ms, 1)}, "early, or twice"},
		{"lost", []tickEntry{start, poll(26*ms, 2)}, "lost"},
		{"lost between two", []tickEntry{start, poll(16*ms, 1), poll(26*ms, 1)}, "lost"},
		{"just due", []tickEntry{start, poll(15*ms, 0)}, ""},
		{"of the start before", []tickEntry{start, start, poll(16*ms, 2)}, "early"},
		{"once", []tickEntry{once, poll(99*ms, 1), poll(199*ms, 0)}, ""},
		{"once, twice", []tickEntry{once, poll(99*ms, 1), poll(199*ms, 1)}, "twice"},
		{"at an instant", []tickEntry{at, poll(12*ms, 1)}, ""},
		{"before the instant", []tickEntry{at, poll(12*ms-1, 1)}, "early"},
		{"after the instant", []tickEntry{at, poll(13*ms, 0)}, "lost"},
		{"never started", []tickEntry{poll(13*ms, 1)}, "not been started"},
	} {
		if got := tickFault(tt.log, true); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}
