package device

import (
	"fmt"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	// PassCommand is how many bytes a command to a [Pass] is, and so its reply.
	PassCommand = 32

	// PassTags is how many commands a Pass has at once, in flight or completed.
	PassTags = 8
)

// A Pass hands commands through to a device of a bus, and their replies back: pass(4) of
// CAM, in the manner of sg(4), where a write hands over and a read fetches. It is a
// [kqueue.File].
//
// Each command has a tag while it is there, the lowest that is free. The hardware
// completes commands in any order, by their tags; replies are read in the order of
// completion, and a tag is free when its reply has been read. A reply is the command
// with its first two bytes replaced: by the tag, and by an errno, 0 if it went well.
//
// It knows Read, ready when there are as many bytes of replies as the mark, which is 1;
// data is the bytes. And Write, ready when there is as much room, a command without
// NOTE_LOWAT; data is the room in bytes. (FreeBSD's passreadfilt; its write side is
// always ready, and DragonFly's driver has no filter at all)
//
// When the device is unplugged what is in flight has failed, so that whoever has handed
// it over learns of it: the replies can still be read. All conditions hold for good, with
// EV_EOF and EV_HUP, and EV_NODATA when there is no reply; the errno ENXIO is in fflags,
// as it is of every device that goes. Except knows that, with the errno in data, and
// nothing else.
type Pass struct {
	// Immutable. The two lists are in one domain, which guards the rest.
	readers kqueue.Source
	writers kqueue.Source
	srcs    [2]*kqueue.Source

	flight   tags // in the order of submission
	done     tags // in the order of completion
	replies  [PassTags][PassCommand]byte
	absent   bool // unplugged
	released bool
}

// Tags are those of commands, in some order.
type tags struct {
	n  int
	at [PassTags]uint8
}

func (t *tags) put(tag uint8) {
	t.at[t.n] = tag
	t.n++
}

// cut removes the one at index i.
func (t *tags) cut(i int) (tag uint8) {
	tag = t.at[i]
	copy(t.at[i:t.n], t.at[i+1:t.n])
	t.n--
	return tag
}

// find returns the index of a tag, -1 if it is not there.
func (t *tags) find(tag int64) int {
	for i := range t.n {
		if int64(t.at[i]) == tag {
			return i
		}
	}
	return -1
}

var passes = machine.NewStock[Pass](nil)

// NewPass makes a device without commands, placed by the strategy.
func NewPass(td *machine.Thread, k *kqueue.Kernel) *Pass {
	p := passes.New(td)
	p.readers.Init(td, k)
	p.writers.InitSibling(&p.readers)
	p.srcs = [2]*kqueue.Source{&p.readers, &p.writers}
	return p
}

// refuses returns what an operation answers that nothing more can come of.
func (p *Pass) refuses() error {
	switch {
	case p.released:
		return syscall.EBADF
	case p.absent:
		return syscall.ENXIO
	}
	return nil
}

// room returns how many tags are free.
func (p *Pass) room() int { return PassTags - p.flight.n - p.done.n }

// Write hands over the commands that b is, as many as there are tags for, and returns
// how many bytes those are; an empty b is none.
//
// Errors: EINVAL if b is not of whole commands; EAGAIN if no tag is free; ENXIO once the
// device is unplugged; EBADF once it is released. It may block, as long as entering a
// domain does, as may all that can be done to it.
func (p *Pass) Write(td *machine.Thread, b []byte) (n int, err error) {
	p.readers.Enter(td)
	switch err = p.refuses(); {
	case err != nil || len(b) == 0:
	case len(b)%PassCommand != 0:
		err = syscall.EINVAL
	case p.room() == 0:
		err = syscall.EAGAIN
	default:
		for n < len(b) && p.room() > 0 {
			tag := p.lowest()
			copy(p.replies[tag][:], b[n:])
			p.flight.put(tag)
			n += PassCommand
		}
	}
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return n, err
}

// lowest returns the lowest tag that is free; there is one.
func (p *Pass) lowest() uint8 {
	for tag := int64(0); ; tag++ {
		if p.flight.find(tag) < 0 && p.done.find(tag) < 0 {
			return uint8(tag)
		}
	}
}

// Read takes the replies that b has room for, and returns how many bytes those are; an
// empty b has room for none. Tags become free, which is news to who wants to write, unless
// the device is unplugged.
//
// Errors: EINVAL if b has no room for one reply; EAGAIN if there is none; ENXIO if there
// is none and the device is unplugged; EBADF once it is released.
func (p *Pass) Read(td *machine.Thread, b []byte) (n int, err error) {
	p.readers.Enter(td)
	err = p.refuses()
	if p.done.n > 0 && !p.released {
		err = nil
	}
	switch {
	case err != nil || len(b) == 0:
	case len(b) < PassCommand:
		err = syscall.EINVAL
	case p.done.n == 0:
		err = syscall.EAGAIN
	default:
		for n+PassCommand <= len(b) && p.done.n > 0 {
			copy(b[n:], p.replies[p.done.cut(0)][:])
			n += PassCommand
		}
		if !p.absent { // else there is no room for anybody
			p.writers.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return n, err
}

// complete makes the command at index i of those in flight a reply.
func (p *Pass) complete(i int, err syscall.Errno) {
	tag := p.flight.cut(i)
	p.replies[tag][0], p.replies[tag][1] = tag, byte(err)
	p.done.put(tag)
}

// end completes the command with a tag, and tells who reads.
func (p *Pass) end(td *machine.Thread, tag int64, status syscall.Errno) error {
	p.readers.Enter(td)
	err := p.refuses()
	if err == nil {
		if i := p.flight.find(tag); i < 0 {
			err = syscall.EINVAL
		} else {
			p.complete(i, status)
			p.readers.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return err
}

// Complete is the hardware's: it has done the command with the tag. It may be called by
// an interrupt.
//
// Errors: EINVAL if no command in flight has it; ENXIO once the device is unplugged;
// EBADF once it is released.
func (p *Pass) Complete(td *machine.Thread, tag int64) error { return p.end(td, tag, 0) }

// Control with Abort takes back the command with tag n: its reply is ECANCELED. The
// errors are those of Complete, and ENOTTY of any other control. (XPT_ABORT)
func (p *Pass) Control(td *machine.Thread, c event.Control, n int64) error {
	if c != event.Abort {
		td.Commit(event.Acted)
		return syscall.ENOTTY
	}
	return p.end(td, n, syscall.ECANCELED)
}

// Input is the hardware's: it has done the n commands that were handed over first, or as
// many as there are, all at once. It returns how many, and if it is not 0 that is one
// piece of news.
//
// Errors: EINVAL if n is negative; ENXIO once the device is unplugged; EBADF once it is
// released.
func (p *Pass) Input(td *machine.Thread, n int) (took int, err error) {
	p.readers.Enter(td)
	switch err = p.refuses(); {
	case err != nil:
	case n < 0:
		err = syscall.EINVAL
	default:
		for took < n && p.flight.n > 0 {
			p.complete(0, 0)
			took++
		}
		if took > 0 {
			p.readers.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return took, err
}

// Unplug takes the device away: what is in flight has failed with ENXIO, in the order
// of submission. The descriptor stays.
//
// Errors: ENXIO if it has gone; EBADF once it is released. (CAM_DEV_NOT_THERE)
func (p *Pass) Unplug(td *machine.Thread) error {
	p.readers.Enter(td)
	err := p.refuses()
	if err == nil {
		p.absent = true
		for p.flight.n > 0 {
			p.complete(0, syscall.ENXIO)
		}
		p.readers.Post(td, 0)
		p.writers.Post(td, 0)
	}
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return err
}

// Source returns the list and the filter of Read, Write or Except, EINVAL for any other.
// Except has no list of its own.
func (p *Pass) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &p.readers, passReplies, nil
	case event.Write:
		return &p.writers, passRoom, nil
	case event.Except:
		return &p.readers, passGone, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the two lists.
func (p *Pass) Sources() []*kqueue.Source { return p.srcs[:] }

// Release closes the device. What is in flight is nobody's any more.
func (p *Pass) Release(td *machine.Thread) {
	p.readers.Enter(td)
	p.released = true
	p.readers.Bare()
	p.writers.Bare()
	td.Commit(event.Released)
	p.readers.Exit(td)
}

// over reports whether the device is gone, and tells a knote so.
func (p *Pass) over(kn *kqueue.Knote, empty bool) bool {
	kn.Cond, kn.Fflags = 0, 0
	if !p.absent {
		return false
	}
	kn.Fflags = event.Fflags(syscall.ENXIO)
	return ended(kn, true, empty)
}

var passReplies = marked("pass read", 1, PassTags*PassCommand, fileOf[*Pass], func(p *Pass, kn *kqueue.Knote, hint int64) bool {
	kn.Data = int64(p.done.n * PassCommand)
	return p.over(kn, p.done.n == 0) || kn.Data >= kn.WantData
})

var passRoom = marked("pass write", PassCommand, PassTags*PassCommand, fileOf[*Pass], func(p *Pass, kn *kqueue.Knote, hint int64) bool {
	kn.Data = 0
	if p.over(kn, true) {
		return true
	}
	kn.Data = int64(p.room() * PassCommand)
	return kn.Data >= kn.WantData
})

var passGone = exceptional("pass except", func(p *Pass, kn *kqueue.Knote) bool {
	if !p.absent {
		return false
	}
	kn.Data = int64(syscall.ENXIO)
	return ended(kn, true, p.done.n == 0)
})

// Audit looks at the device's commands and says what does not hold; nil if all does. It
// is called as [Disk.Audit] is.
//
//	P1  no tag is in flight or completed twice, and none is out of range
//	P2  there are not more commands than tags; of a device that is gone none is in flight
//	P3  the device is not released
func (p *Pass) Audit(td *machine.Thread) error {
	visit(td, &p.readers)
	return p.audit()
}

//go:norace
func (p *Pass) audit() error {
	if p.flight.n < 0 || p.done.n < 0 || p.room() < 0 || p.absent && p.flight.n > 0 {
		return fmt.Errorf("P2: a pass has %d commands in flight and %d completed, and %d tags; unplugged: %v", p.flight.n, p.done.n, PassTags, p.absent)
	}
	var seen [PassTags]bool
	for _, t := range [...]*tags{&p.flight, &p.done} {
		for i := range t.n {
			tag := t.at[i]
			if tag >= PassTags || seen[tag] {
				return fmt.Errorf("P1: tag %d of a pass is there twice, or is none", tag)
			}
			seen[tag] = true
		}
	}
	if p.released {
		return fmt.Errorf("P3: a pass is released, and is open")
	}
	return nil
}
