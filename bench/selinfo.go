package bench

import (
	"math/bits"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// The old way: select and poll as the BSDs had them from 1983 on, and DragonFly
// until July 2010, when both came to stand on a kqueue and every selrecord and
// selwakeup went. It exists here to be measured against, and nowhere else.
//
// Every object that can be waited for has a selinfo, and a poll function that
// says what holds of it now and, if nothing does, records who asks (selrecord).
// There is room for one. If a second thread comes while the first sleeps, that
// is a collision, and all that is remembered of it is that there was one. A
// change wakes who is recorded (selwakeup); after a collision it wakes everybody
// who sleeps in select or poll, whatever they wait for. Who is woken is told
// nothing of what has happened: it asks all of its descriptors again. So a call
// costs one poll function for each descriptor, twice if it sleeps, and a
// collision costs that for each thread of the system.
//
// What is compared with it, and why that is fair: select and poll over kqueue,
// on the same machine, of the same threads, tokens and wait channels, under the
// same giant lock as the strategy giant. A pipe of the old way is a pipe of
// model/device with two selinfos instead of two sources. Neither pays for a
// system call, for copying its arguments into a kernel and out, or for
// references to files; a descriptor is looked up in a slice without a lock, which
// favours the old way, since a process of model/proc has one.
//
// It follows the description of select in McKusick, Bostic, Karels and Quarterman,
// The Design and Implementation of the 4.4BSD Operating System, 6.4. One thing
// differs: all sleepers of 4.4BSD are on one wait channel, of which a single one
// can be taken by name. Here each has a wait channel and is on a list, so that
// a collision wakes as many channels as there are sleepers.
type oldKernel struct {
	giant *machine.Token
	files []oldFile // descriptors; immutable while threads run

	// Guarded by giant.

	collisions  int       // wakeups of everybody so far (nselcoll)
	first, last *selecter // who sleeps in select or poll (selwait)
	forgets     bool      // the control: what comes during a scan is not looked for
}

// An oldFile is something that can be waited for.
type oldFile interface {
	// poll returns which of the events hold, and errors always. If none do it
	// has recorded s. The giant lock is held, though poll may lose it. (fo_poll)
	poll(td *machine.Thread, s *selecter, events event.PollEvents) event.PollEvents
}

// A selecter is a thread that calls select or poll. Guarded by the giant lock.
type selecter struct {
	wait machine.WaitChan
	// scanning: it asks its descriptors, and nothing that was recorded for it
	// has happened since. (P_SELECT)
	//
	//	selecter                    a writer
	//	scans X: nothing, recorded
	//	scans Y, whose poll blocks
	//	                            writes X: wakes nobody, who sleeps?
	//	Y: nothing; sleeps          <- X is ready, and nobody will say so again
	scanning   bool
	asleep     bool
	prev, next *selecter
}

// A selinfo is the memory that an object has of who waits for it. (struct selinfo)
type selinfo struct {
	by       *selecter // si_pid
	collided bool      // SI_COLL
}

// selrecord is called by a poll function that has found nothing.
func (k *oldKernel) selrecord(s *selecter, si *selinfo) {
	switch {
	case si.by == s:
	case si.by != nil && si.by.asleep:
		si.collided = true
	default: // nobody, or somebody who has since gone on
		si.by = s
	}
}

// selwakeup is called when something about the object has changed.
func (k *oldKernel) selwakeup(td *machine.Thread, si *selinfo) {
	s := si.by
	if s == nil {
		return
	}
	if si.collided {
		k.collisions++
		si.collided = false
		for k.first != nil {
			k.rouse(td, k.first)
		}
	}
	si.by = nil
	if s.asleep {
		k.rouse(td, s)
	} else {
		s.scanning = false
	}
}

// rouse wakes one sleeper.
func (k *oldKernel) rouse(td *machine.Thread, s *selecter) {
	k.unlink(s)
	td.Wakeup(&s.wait)
}

func (k *oldKernel) link(s *selecter) {
	s.asleep = true
	s.prev, s.next = k.last, nil
	if k.last == nil {
		k.first = s
	} else {
		k.last.next = s
	}
	k.last = s
}

func (k *oldKernel) unlink(s *selecter) {
	if !s.asleep {
		return
	}
	s.asleep = false
	if s.prev == nil {
		k.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		k.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// await is what select and poll have in common: scan until there is something,
// or until the timeout is over. (kern_select, selscan)
func (k *oldKernel) await(td *machine.Thread, s *selecter, timeout time.Duration, scan func() (int, error)) (int, error) {
	until := machine.Forever
	if timeout != 0 && timeout < machine.Forever {
		until = td.Now() + timeout
	}
	td.Get(k.giant)
	defer td.Put(k.giant)
	for woken := false; ; woken = true {
		before := k.collisions
		s.scanning = true
		n, err := scan()
		if n > 0 || err != nil || timeout == 0 {
			s.scanning = false
			return n, err
		}
		if woken {
			td.Stats.Wasted++
		}
		if !k.forgets && (!s.scanning || k.collisions != before) {
			continue // something has happened behind the scan's back
		}
		s.scanning = false
		k.link(s)
		td.Interlock(&s.wait)
		if td.Sleep(until) != nil {
			k.unlink(s)
			return 0, nil
		}
	}
}

// poll is poll(2) of the old way: it fills in Revents, and returns how many
// entries have any. An entry with a number that is not open has PollNval.
func (k *oldKernel) poll(td *machine.Thread, s *selecter, fds []event.PollFD, timeout time.Duration) (int, error) {
	return k.await(td, s, timeout, func() (n int, _ error) {
		for i := range fds {
			e := &fds[i]
			e.Revents = 0
			switch {
			case e.FD < 0:
				continue
			case int(e.FD) >= len(k.files) || k.files[e.FD] == nil:
				e.Revents = event.PollNval
			default:
				e.Revents = k.files[e.FD].poll(td, s, e.Events)
			}
			if e.Revents != 0 {
				n++
			}
		}
		return n, nil
	})
}

// fdsets are the three sets of select, a bit a descriptor: to read, to write,
// and exceptional conditions. A set may be nil.
type fdsets [3][]uint64

// selectEvents is what makes a member of each set ready, as on Linux.
var selectEvents = [3]event.PollEvents{
	event.PollIn | event.PollRdNorm | event.PollHup | event.PollErr,
	event.PollOut | event.PollWrNorm | event.PollErr,
	event.PollPri,
}

// selects is select(2) of the old way: it fills found, which is as large, with
// those members of the sets below nfds that are ready, and returns how many.
// Error: EBADF if a member is not open.
func (k *oldKernel) selects(td *machine.Thread, s *selecter, nfds int, sets, found *fdsets, timeout time.Duration) (int, error) {
	n, err := k.await(td, s, timeout, func() (n int, _ error) {
		for i, set := range sets {
			for w := 0; w < len(set) && w<<6 < nfds; w++ {
				found[i][w] = 0
				for left := set[w]; left != 0; left &= left - 1 {
					bit := bits.TrailingZeros64(left)
					fd := w<<6 + bit
					if fd >= nfds {
						break
					}
					if fd >= len(k.files) || k.files[fd] == nil {
						return 0, syscall.EBADF
					}
					if k.files[fd].poll(td, s, selectEvents[i])&selectEvents[i] != 0 {
						found[i][w] |= 1 << bit
						n++
					}
				}
			}
		}
		return n, nil
	})
	if err == nil && n == 0 {
		for i := range found {
			clear(found[i])
		}
	}
	return n, err
}
