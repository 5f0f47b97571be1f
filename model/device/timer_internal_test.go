package device

import (
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

func TestInterval(t *testing.T) {
	const once, periodic = true, false
	tests := []struct {
		fflags event.Fflags
		data   int64
		once   bool
		want   time.Duration
		err    error
	}{
		{0, 5, periodic, 5 * time.Millisecond, nil},
		{event.NoteMSeconds, 5, periodic, 5 * time.Millisecond, nil},
		{event.NoteSeconds, 5, periodic, 5 * time.Second, nil},
		{event.NoteUSeconds, 5, periodic, 5 * time.Microsecond, nil},
		{event.NoteNSeconds, 5, periodic, 5, nil},
		{event.NoteAbsTime, 5, periodic, 5 * time.Millisecond, nil},
		{event.NoteAbsTime | event.NoteSeconds, 5, once, 5 * time.Second, nil},

		{0, 0, periodic, time.Millisecond, nil},
		{event.NoteSeconds, 0, periodic, time.Second, nil},
		{event.NoteNSeconds, 0, periodic, 1, nil},
		{0, 0, once, 0, nil},
		{event.NoteAbsTime, 0, periodic, 0, nil},

		{event.NoteNSeconds, math.MaxInt64, periodic, math.MaxInt64, nil},
		{0, math.MaxInt64 / 1_000_000, periodic, math.MaxInt64 / 1_000_000 * 1_000_000, nil},
		{0, math.MaxInt64/1_000_000 + 1, periodic, 0, syscall.EINVAL},
		{event.NoteSeconds, math.MaxInt64 / 1_000_000_000, periodic, math.MaxInt64 / 1_000_000_000 * 1_000_000_000, nil},
		{event.NoteSeconds, math.MaxInt64/1_000_000_000 + 1, periodic, 0, syscall.EINVAL},
		{event.NoteSeconds, math.MaxInt64, once, 0, syscall.EINVAL},

		{0, -1, periodic, 0, syscall.EINVAL},
		{0, math.MinInt64, once, 0, syscall.EINVAL},
		{event.NoteAbsTime, -1, periodic, 0, syscall.EINVAL},
		{event.NoteSeconds | event.NoteMSeconds, 5, periodic, 0, syscall.EINVAL},
		{event.NoteUSeconds | event.NoteNSeconds | event.NoteAbsTime, 5, periodic, 0, syscall.EINVAL},
		{0x20, 5, periodic, 0, syscall.EINVAL},
		{event.NoteTrigger, 5, periodic, 0, syscall.EINVAL},
	}
	for _, test := range tests {
		got, err := interval(test.fflags, test.data, test.once)
		if got != test.want || err != test.err {
			t.Errorf("interval(%#x, %d, %t) = %d, %v, want %d, %v", test.fflags, test.data, test.once, got, err, test.want, test.err)
		}
	}
}

// The arithmetic of run, at instants that the test chooses. The callout is
// never waited for: the clock of the test is years ahead of the machine's.
func TestRun(t *testing.T) {
	m := machine.Native(1)
	td := m.Attach("test", 0)
	defer td.Detach()
	const start = 1000 * time.Hour
	const P = 7 * time.Second
	tests := []struct {
		what        string
		due, period time.Duration
		at          []time.Duration // instants of run
		expired     int64
		next        time.Duration
	}{
		{"too early", start, P, []time.Duration{start - 1}, 0, start},
		{"in time", start, P, []time.Duration{start}, 1, start + P},
		{"late, from the due instant", start, P, []time.Duration{start + 3}, 1, start + P},
		{"no drift", start, P, []time.Duration{start + 3, start + P + 2, start + 2*P + 5}, 3, start + 3*P},
		{"just not two", start, P, []time.Duration{start + P - 1}, 1, start + P},
		{"two at once", start, P, []time.Duration{start + P}, 2, start + 2*P},
		{"a thousand at once", start, P, []time.Duration{start + 999*P + 1}, 1000, start + 1000*P},
		{"twice at one instant", start, P, []time.Duration{start, start}, 1, start + P},
		{"a nanosecond", start, 1, []time.Duration{start + 999}, 1000, start + 1000},
		{"once", start, 0, []time.Duration{start + 5, start + 2*P}, 1, machine.Forever},
		{"never", machine.Forever, P, []time.Duration{start}, 0, machine.Forever},
		{"no next one", start, machine.Forever - 1, []time.Duration{start}, 1, machine.Forever},
	}
	for _, test := range tests {
		tm := &timer{due: test.due, period: test.period}
		tm.callout = m.NewCallout("test", m.CPU(0), func(*machine.Thread) { t.Errorf("%s: the callout ran", test.what) })
		for _, now := range test.at {
			tm.run(td, now)
		}
		if tm.expired != test.expired || tm.due != test.next {
			t.Errorf("%s: %d expired, next due %v, want %d, %v", test.what, tm.expired, tm.due, test.expired, test.next)
		}
		if armed := tm.callout.Stop(td); armed != (test.next != machine.Forever) {
			t.Errorf("%s: armed %t", test.what, armed)
		}
	}
}

// A callout that has begun when its timer is ended, and waits for the domain,
// is over when end returns, and has counted nothing (bug D17). The control is
// an end that only stops the callout, as callout_stop did.
func TestEndWaitsForTheCallout(t *testing.T) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			m := machine.Native(2)
			k := kqueue.New(m, s.New(m))
			td := m.Attach("test", 0)
			defer td.Detach()
			begun := func() *timer { // returned in the domain, which the callout wants
				tm := &timer{src: k.NewSource(td)}
				tm.callout = m.NewCallout("timer", td.Home(), tm.expire)
				tm.src.Enter(td)
				if err := tm.start(td, event.NoteNSeconds, 1); err != nil {
					t.Fatal(err)
				}
				for !tm.callout.Running(td) {
					time.Sleep(time.Microsecond)
				}
				return tm
			}
			tm := begun()
			tm.end(td)
			if tm.callout.Running(td) {
				t.Error("end returned while the callout was running")
			}
			if tm.callout.Stop(td) {
				t.Error("the callout armed itself again")
			}
			if tm.expired != 0 {
				t.Errorf("counted %d expirations", tm.expired)
			}
			tm.src.Exit(td)

			tm = begun()
			tm.due = machine.Forever
			tm.callout.Stop(td)
			if !tm.callout.Running(td) {
				t.Error("control: an end that does not wait was not caught")
			}
			tm.src.Exit(td)
		})
	}
}

// A callout of an earlier period that gets the domain after the timer has been
// started anew counts nothing, and the timer stays armed.
func TestStartForgetsTheCallout(t *testing.T) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			m := machine.Native(2)
			k := kqueue.New(m, s.New(m))
			td := m.Attach("test", 0)
			defer td.Detach()
			tm := &timer{src: k.NewSource(td)}
			tm.callout = m.NewCallout("timer", td.Home(), tm.expire)
			tm.src.Enter(td)
			if err := tm.start(td, event.NoteNSeconds, 1); err != nil {
				t.Fatal(err)
			}
			for !tm.callout.Running(td) {
				time.Sleep(time.Microsecond)
			}
			tm.run(td, td.Now()) // something has expired
			if err := tm.start(td, event.NoteSeconds, 1e6); err != nil {
				t.Fatal(err)
			}
			tm.src.Exit(td)
			for tm.callout.Running(td) {
				time.Sleep(time.Microsecond)
			}
			tm.src.Enter(td)
			if tm.expired != 0 {
				t.Errorf("counted %d expirations", tm.expired)
			}
			if !tm.callout.Stop(td) {
				t.Error("the timer is not armed")
			}
			tm.src.Exit(td)
		})
	}
}
