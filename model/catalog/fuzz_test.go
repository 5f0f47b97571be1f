package catalog_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// documented are the errors that a change to each filter may have: those of the table of
// refusals, and what no change can be blamed for.
var documented = func() map[event.Filter]map[error]bool {
	all := map[event.Filter]map[error]bool{
		event.Read: {syscall.ELOOP: true},  // a chain of queues that is too long
		event.Proc: {syscall.ENOMEM: true}, // too many knotes
	}
	for _, r := range catalog.Refusals() {
		if all[r.Filter] == nil {
			all[r.Filter] = map[error]bool{}
		}
		all[r.Filter][r.Errno] = r.Errno != 0
	}
	return all
}()

// A tape is the fuzzer's input, read as numbers; beyond its end all are 0.
type tape []byte

func (b *tape) byte() int {
	if len(*b) == 0 {
		return 0
	}
	x := (*b)[0]
	*b = (*b)[1:]
	return int(x)
}

func (b *tape) wide() (x uint64) {
	for range 8 {
		x = x<<8 | uint64(b.byte())
	}
	return x
}

// A watched is a unit, and what is known of it.
type watched struct {
	catalog.Unit
	of     catalog.Device
	id     uint64
	closed bool
}

// play has the tape say which devices there are, and what is done: changes to all
// filters, good and bad, scans, what can be done to a device, closes. It returns what is
// not as it should be, and which filters have been returned.
func play(new func(*machine.Machine) kqueue.Strategy, b tape) (wrong []string, told map[event.Filter]bool) {
	told = map[event.Filter]bool{}
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	catalog.Alone(new, func(td *machine.Thread, w *catalog.World) {
		var units []*watched
		all := catalog.All()
		for range 1 + b.byte()%4 {
			u := &watched{of: all[b.byte()%len(all)]}
			u.Unit = u.of.New(td, w)
			u.id = u.Ident
			if u.File != nil {
				fd, err := w.Process.Open(td, u.File)
				if err != nil {
					bad("%s: %v", u.of.Name, err)
				}
				u.id = uint64(fd)
			}
			units = append(units, u)
		}
		for len(b) > 0 {
			u := units[b.byte()%len(units)]
			switch what := b.byte(); {
			case what < 96:
				kev := u.change(&b)
				if _, err := w.Queue.Kevent(td, []event.Kevent{kev}, nil, 0); err != nil && !documented[kev.Filter][err] && !documented[0][err] {
					bad("%v: %v", kev, err)
				}
			case what < 152:
				var events [4]event.Kevent
				n, err := w.Queue.Kevent(td, nil, events[:1+what%4], time.Duration(what%3)*50*time.Microsecond)
				if err != nil || n < 0 || n > 1+what%4 {
					bad("a scan: %d, %v", n, err)
				}
				for _, e := range events[:n] {
					told[e.Filter] = true
				}
			case what < 244 && !u.closed:
				act := u.Acts[what%len(u.Acts)]
				if err := act.Do(td); err != nil && !named(err) {
					bad("%s, %s: %v", u.of.Name, act.Name, err)
				}
			case what >= 250 && !u.closed && u.File != nil:
				u.closed = true
				if err := w.Process.Close(td, int(u.id)); err != nil {
					bad("closing %s: %v", u.of.Name, err)
				}
			}
		}
		if err := w.Audit(td); err != nil {
			bad("%v", err)
		}
		children := false // which have descriptors of their own
		for _, u := range units {
			children = children || u.of.Filters[0].Filter == event.Proc
			if u.File != nil && !u.closed {
				w.Process.Close(td, int(u.id))
			}
		}
		w.Queue.Close(td)
		if err := w.Process.Empty(); err != nil && !children {
			bad("%v", err)
		}
	})
	return wrong, told
}

// change draws a change: mostly to a filter of the unit, and as its row has it.
func (u *watched) change(b *tape) event.Kevent {
	how := b.byte()
	f := u.of.Filters[how%len(u.of.Filters)]
	kev := event.Kevent{Ident: u.id, Filter: f.Filter, Fflags: f.Fflags, Data: f.WantData, Udata: uint64(b.byte())}
	kev.Flags = []event.Flags{
		event.Add, event.Add | event.Clear, event.Add | event.OneShot, event.Add | event.Dispatch, event.Add | event.Disable,
		event.Enable, event.Disable, event.Delete,
	}[b.byte()%8]
	switch {
	case how < 160:
	case how < 180:
		kev.Filter = event.Filter(-(b.byte() % 12))
	case how < 200:
		kev.Fflags = event.Fflags(1 << (b.byte() % 32))
	case how < 220:
		kev.Data = int64(b.wide())
	case how < 235:
		kev.Flags = event.Flags(b.wide())
	case how < 250:
		kev.Ident = b.wide() >> (b.byte() % 64)
	default:
		kev.Filter, kev.Fflags, kev.Flags = event.Filter(b.wide()), event.Fflags(b.wide()), event.Flags(b.wide())
	}
	return kev
}

// named reports whether err is an errno that there is a name for.
func named(err error) bool {
	errno, ok := err.(syscall.Errno)
	return ok && !strings.HasPrefix(event.Result{Errno: errno}.String(), "errno")
}

// seeds have each device once, with all that can be done to it.
func seeds(yield func(tape) bool) {
	for i := range catalog.All() {
		b := tape{0, byte(i)}
		for j := range 24 {
			b = append(b, 0, 0, byte(7*j), byte(j), byte(j)) // a change, of the filters in turn
			b = append(b, 0, byte(152+j))                    // an act
			b = append(b, 0, byte(96+j))                     // a scan
		}
		if !yield(append(b, 0, 255, 0, 0, 0, 0, 0)) {
			return
		}
	}
}

// Over every filter there is nothing panics, errors are those that are documented, and
// structures are whole at the end. What is done is done by one thread: two of them are
// the audit's affair.
func FuzzFilters(f *testing.F) {
	for b := range seeds {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			t.Skip("longer than anything that is of interest")
		}
		for _, s := range strategies.All {
			wrong, _ := play(s.New, b)
			for _, wrong := range wrong {
				t.Errorf("%s: %s", s.Name, wrong)
			}
		}
	})
}

// The seeds come by what they are for: each filter of each device has something to say,
// unless it never does. And what nobody has documented is no answer.
func TestSeeds(t *testing.T) {
	all, i := catalog.All(), 0
	for b := range seeds {
		_, told := play(strategies.All[0].New, b)
		for _, f := range all[i].Filters {
			if !told[f.Filter] && f.Data != catalog.NeverReady {
				t.Errorf("%s %v is never returned", all[i].Name, f.Filter)
			}
		}
		i++
	}
	if named(syscall.EXDEV) || !named(syscall.EINVAL) || documented[event.Read][syscall.EXDEV] || !documented[event.Read][syscall.EINVAL] {
		t.Error("an errno that nobody has documented is taken")
	}
}
