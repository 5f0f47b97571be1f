package device

import (
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// timerFilter is EVFILT_TIMER. The data of an EV_ADD is a period, in
// milliseconds or what one of NOTE_SECONDS, MSECONDS, USECONDS, NSECONDS says,
// and counts from the change; with NOTE_ABSTIME it is an instant on the
// machine's clock, and expires once. EV_ONESHOT expires once too. The event's
// data is the expirations since it was last retrieved: EV_CLEAR is forced.
// Ticks are counted while the knote is disabled, "the filter itself is not
// disabled". (filt_timer)
//
// The manual page does not say what 0 is. As in FreeBSD (filt_timervalidate) a
// one-shot of 0 has expired when it is added, and a period of 0 is one unit. An
// instant that has passed has expired when it is added.
//
// EV_ADD to a timer that exists starts it anew, and forgets expirations that
// have not been retrieved.
//
// Errors, which leave a timer as it was: EINVAL if the data is negative, if
// there is more than one unit or a bit that means nothing, or if the period or
// instant is more than the clock can show, 292 years.
var timerFilter = &kqueue.Filter{
	Name:   "timer",
	Clear:  true,
	Blocks: true, // in Detach
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		t := timers.New(td)
		t.src, t.once = kn.Source(), kn.Keep()&event.OneShot != 0
		if t.fire == nil {
			t.fire = t.expire
		}
		t.callout = td.Machine().NewCallout("timer", td.Home(), t.fire)
		kn.Hook = t
		return t.start(td, kn.Want, kn.WantData)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		if err := kn.Hook.(*timer).start(td, kev.Fflags, kev.Data); err != nil {
			return err
		}
		kn.Want, kn.WantData = kev.Fflags, kev.Data
		kn.Pending, kn.Data = 0, 0
		return nil
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		t := kn.Hook.(*timer)
		kn.Pending += t.expired
		t.expired = 0
		kn.Data = kn.Pending
		return kn.Pending > 0
	},
	Detach: func(td *machine.Thread, kn *kqueue.Knote) { kn.Hook.(*timer).end(td) },
}

// A timer is one knote's. All but the callout is guarded by src.
//
// Expirations are counted here, and the filter fetches them: a callout that
// finds the knote busy leaves word to ask the filter again, and however often
// it is asked each is counted once (bugs D25, O5).
type timer struct {
	src     *kqueue.Source
	callout *machine.Callout
	once    bool          // immutable: EV_ONESHOT
	due     time.Duration // when it expires next; never if machine.Forever
	period  time.Duration // from one expiry to the next; 0 if there is one only
	expired int64         // and not yet fetched by the filter
	ended   bool          // its knote is detached

	fire func(td *machine.Thread) // expire
}

var timers = machine.NewStock(func(t *timer) { *t = timer{fire: t.fire} })

// resolution is the least time from one run of a timer's callout to the next,
// as a kernel has its tick. A shorter period expires as often as it should, but
// several times at once; without it one with a period of a nanosecond would
// take a CPU for itself.
const resolution = 50 * microsecond

// start sets the timer and forgets what has expired. td is in the domain of
// src, as in all functions here.
func (t *timer) start(td *machine.Thread, f event.Fflags, data int64) error {
	period, err := interval(f, data, t.once)
	if err != nil {
		return err
	}
	t.expired = 0
	now := td.Now()
	switch {
	case f&event.NoteAbsTime != 0:
		t.due, t.period = period, 0
	case t.once:
		t.due, t.period = after(now, period), 0
	default:
		t.due, t.period = after(now, period), period
	}
	t.run(td, now)
	return nil
}

const (
	nanosecond  time.Duration = 1
	microsecond               = 1000 * nanosecond
	millisecond               = 1000 * microsecond
	second                    = 1000 * millisecond
)

// interval returns the data of a timer as a duration.
func interval(f event.Fflags, data int64, once bool) (time.Duration, error) {
	unit := millisecond
	switch f &^ event.NoteAbsTime {
	case 0, event.NoteMSeconds:
	case event.NoteSeconds:
		unit = second
	case event.NoteUSeconds:
		unit = microsecond
	case event.NoteNSeconds:
		unit = nanosecond
	default:
		return 0, syscall.EINVAL
	}
	if data < 0 || data > math.MaxInt64/int64(unit) {
		return 0, syscall.EINVAL
	}
	if data == 0 && !once && f&event.NoteAbsTime == 0 {
		data = 1
	}
	return time.Duration(data) * unit, nil
}

// after returns the instant d from at on; one that the clock will never show
// is machine.Forever.
func after(at, d time.Duration) time.Duration {
	if d > machine.Forever-at {
		return machine.Forever
	}
	return at + d
}

// run counts what has expired by now and arms the callout for what comes next.
// Periods are counted from the instants at which they were due: a timer that is
// served late neither drifts nor loses a tick.
func (t *timer) run(td *machine.Thread, now time.Duration) {
	if t.due <= now {
		if t.period == 0 {
			t.expired++
			t.due = machine.Forever
		} else {
			n := (now-t.due)/t.period + 1
			t.expired += int64(n)
			t.due = after(t.due, n*t.period)
		}
	}
	if t.due == machine.Forever {
		t.callout.Stop(td)
		return
	}
	at := t.due
	if t.period != 0 && t.period < resolution {
		at = max(at, after(now, resolution))
	}
	t.callout.Reset(td, at)
}

// expire is the callout. That it runs is no more than a reason to look at the
// clock: it may have waited for the domain while the timer was started anew, or
// ended, and what it came for is not to be counted then.
//
//	EV_ADD, a new period        callout of the old one
//	                            begins; waits for the domain
//	forgets what has expired
//	arms it for the new one
//	leaves the domain
//	                            enters; now < due: counts nothing
func (t *timer) expire(td *machine.Thread) {
	t.src.Enter(td)
	if t.ended {
		panic(fmt.Sprintf("device: I13: the callout of a timer that has been detached runs at %v", td.Now()))
	}
	t.run(td, td.Now())
	if t.expired > 0 {
		t.src.Post(td, 0)
	}
	t.src.Exit(td)
}

// end stops the timer for good.
func (t *timer) end(td *machine.Thread) {
	t.due = machine.Forever
	drain(td, t.src, t.callout)
	t.ended = true
}

// drain stops a callout for good, which enters the domain of src, where td is. One that
// has begun may be waiting for the domain, and would run when nobody expects it any
// more; so td waits for its end, and must leave the domain to do so. (callout_terminate,
// DragonFly b90e37ec76: bug D17)
//
//	EV_DELETE                   callout
//	                            begins; waits for the domain
//	stops it: too late
//	leaves; EV_DELETE is over
//	                            enters; arms itself anew   <- on what is gone
func drain(td *machine.Thread, src *kqueue.Source, c *machine.Callout) {
	c.Stop(td)
	for c.Running(td) {
		td.Interlock(&c.Ended)
		if c.Running(td) {
			src.Sleep(td, machine.Forever)
		}
		td.Uninterlock()
	}
}
