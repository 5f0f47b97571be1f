package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Buffered is a device whose driver is a bounded buffer between a program and an
// interrupt: a mouse, a keyboard, an endpoint of USB, a channel of a sound card, a MIDI
// port, an event device, devctl, the message log, a tap or a tun. It is a
// [kqueue.File]. What makes it one or the other is a row of a table; see
// buffered_rows.go.
//
// The hardware, or whoever is at the other side, is called by Input, Output and
// Unplug: they are the interrupts, and bring or take whole units. A unit that comes in
// is told from others by its bytes, which are all the same: 1 to 255 and round again,
// counted on by those that were lost too; 0 is the marker that an event device puts
// where it has lost some.
//
// Rows that can be read know the filter Read: ready when there are as many bytes as
// the mark; data is the bytes. Rows that can be written know Write: ready when there is
// as much room as the mark; data is the room, in bytes. Either honours NOTE_LOWAT in
// each knote; without it the mark is the row's, or what Control has made it. Every unit
// that comes, or goes, is news. A read makes no room that anybody waits for, and
// posts nothing.
//
// When the device is gone each condition holds for good, with EV_EOF, EV_HUP and
// EV_NODATA; data is 0, and fflags is the errno that a read answers; of Except, where
// fflags has another meaning, data is. What was not read is lost with it. So it is, until
// it is up again, of a network interface that is down.
// (Of DragonFly's drivers genkbdfilter and evdev_kqread say EV_EOF, and no errno; the
// others say nothing to those who watch.) For poll(2) that is POLLHUP, and no class of
// its own. All rows know Except, which is ready then and for nothing else.
type Buffered struct {
	// Immutable. The lists are in one domain.
	readers kqueue.Source
	writers kqueue.Source
	srcs    [2]*kqueue.Source // those that the row has
	row     *bufferedRow
	bus     *Bus
	ops     *bufferedFilters
	mp      *machine.Token // the mplock, nil if the filters are MP-safe
	among   *registry      // the devices that the filters look this one up among; nil if none
	slot    int            // its place there

	// Guarded by the domain; and by the mplock too, if there is one.
	in       *intake // own, or the bus's messages
	out      outgo
	lowIn    int // the marks without NOTE_LOWAT
	lowOut   int
	released bool
	absent   bool // unplugged
	down     bool // the interface is
	own      intake
}

var buffereds = machine.NewStock(func(d *Buffered) {
	own := d.own.again()
	*d = Buffered{own: own}
})

// enter brings td into the device's domain, with the mplock if the driver needs it, as
// drivers did: get_mplock, change, KNOTE, rel_mplock. In the domain alone it could not
// be taken: to wait for it is a block.
func (d *Buffered) enter(td *machine.Thread) {
	if d.mp != nil {
		td.Get(d.mp)
	}
	d.srcs[0].Enter(td)
}

func (d *Buffered) exit(td *machine.Thread) {
	d.srcs[0].Exit(td)
	if d.mp != nil {
		td.Put(d.mp)
	}
}

// post tells the watchers on a list. With the mplock it is an interrupt's KNOTE, which
// leaves word where another thread asks a knote: to wait for that thread is to lend it
// the mplock, and others would see what some watchers have not been told.
//
//	Input                       others
//	                            EV_ADD of READ 1 asks, and waits for the mplock
//	brings 5 bytes
//	READ 1 is busy: waits
//	                            the filter of READ 1 says 5
//	                            4 of 5 are left by a read
//	                            kevent has no READ 2        <- though 4 are there
//	tells READ 2
func (d *Buffered) post(td *machine.Thread, s *kqueue.Source) {
	if d.mp == nil {
		s.Post(td, 0)
		return
	}
	slept := td.NoSleep
	td.NoSleep = true
	s.Post(td, 0)
	td.NoSleep = slept
}

// over returns why the device is of no use, 0 if it is. Those that are looked up are
// gone when they are not found.
func (d *Buffered) over() syscall.Errno {
	switch {
	case d.absent || d.among != nil && d.among.units[d.slot] != d:
		return d.row.gone
	case d.down:
		return syscall.EHOSTDOWN
	}
	return 0
}

// refuses returns what an operation answers that the device has, or has not, a
// direction for.
func (d *Buffered) refuses(has bool) error {
	switch err := d.over(); {
	case d.released:
		return syscall.EBADF
	case !has:
		return syscall.ENODEV
	case err != 0:
		return err
	}
	return nil
}

// Read takes up to len(b) bytes, or a message, as the row says, and returns how many;
// an empty b takes none.
//
// Errors: EAGAIN if there is nothing; EINVAL if the row has whole events and b is
// shorter than one; EHOSTDOWN if the interface is down; ENXIO, or ENODEV, once the
// device is unplugged; ENODEV if there is nothing to read ever; EBADF once it is
// released. It may block, as long as entering a domain does and getting the mplock, but
// not for data. That goes for all that can be done to a device.
func (d *Buffered) Read(td *machine.Thread, b []byte) (n int, err error) {
	d.enter(td)
	from := &d.row.in
	switch err = d.refuses(from.most > 0); {
	case err != nil || len(b) == 0:
	case from.takes == wholeEvents && len(b) < from.unit:
		err = syscall.EINVAL
	case d.in.keys.n == 0:
		err = syscall.EAGAIN
	default:
		n = d.in.read(from, b)
	}
	td.Commit(event.Acted)
	d.exit(td)
	return n, err
}

// Write hands over up to len(b) bytes and returns how many. What fits no more is left;
// a packet of the row's size or less is written whole or not at all. An interface
// takes what is written as one packet, at once.
//
// Errors: EAGAIN if nothing fits; EIO if b is longer than an interface's packets may be;
// else those of [Buffered.Read].
func (d *Buffered) Write(td *machine.Thread, b []byte) (n int, err error) {
	d.enter(td)
	to := &d.row.out
	switch err = d.refuses(to.most > 0); {
	case err != nil || len(b) == 0:
	case to.full == handsOver && len(b) > to.unit:
		err = syscall.EIO
	case to.full == handsOver:
		n = len(b)
		d.out.came++
		d.out.gave++
	default:
		units := min((len(b)+to.unit-1)/to.unit, to.most-d.out.n)
		if units == 0 {
			err = syscall.EAGAIN
		}
		n = min(len(b), units*to.unit)
		d.out.came += int64(units)
		d.out.n += units
	}
	td.Commit(event.Acted)
	d.exit(td)
	return n, err
}

// Input is the hardware, or the other side, that brings n units. It returns how many
// were taken in, which is news unless it is 0; of what becomes of the rest, and of what
// was there, the row says. An interface that is down takes none, and loses them.
//
// Errors: EINVAL if n is negative; ENODEV if nothing comes in ever; that of
// [Buffered.Read] once the device is unplugged; EBADF once it is released.
func (d *Buffered) Input(td *machine.Thread, n int) (took int, err error) {
	d.enter(td)
	switch err = d.refuses(d.row.in.most > 0); {
	case err == syscall.EHOSTDOWN:
		err = nil
		d.in.lose(max(n, 0))
	case err != nil:
	case n < 0:
		err = syscall.EINVAL
	default:
		if took = d.in.bring(&d.row.in, n); took > 0 {
			d.post(td, &d.readers)
		}
	}
	td.Commit(event.Acted)
	d.exit(td)
	return took, err
}

// Output is the hardware that takes up to n units of what was written. It returns how
// many there were; unless that is 0 there is room, and that is news.
//
// Errors: ENODEV if the device holds nothing for it; else those of [Buffered.Input].
func (d *Buffered) Output(td *machine.Thread, n int) (took int, err error) {
	d.enter(td)
	switch err = d.refuses(d.row.out.most > 0 && d.row.out.full != handsOver); {
	case err != nil:
	case n < 0:
		err = syscall.EINVAL
	default:
		if took = min(n, d.out.n); took > 0 {
			d.out.n -= took
			d.out.gave += int64(took)
			d.post(td, &d.writers)
		}
	}
	td.Commit(event.Acted)
	d.exit(td)
	return took, err
}

// Unplug takes the device away: the hardware is pulled, a channel or an interface
// destroyed. The descriptor stays.
//
// Errors: ENODEV if it cannot go; that of [Buffered.Read] if it has gone; EBADF once it
// is released.
func (d *Buffered) Unplug(td *machine.Thread) error {
	d.enter(td)
	err := d.refuses(d.row.gone != 0)
	if err == nil || err == syscall.EHOSTDOWN {
		err = nil
		d.absent = true
		d.leave()
		d.end(td)
	}
	td.Commit(event.Acted)
	d.exit(td)
	return err
}

// end throws away what the device has, and tells all who watch it that it is over.
func (d *Buffered) end(td *machine.Thread) {
	d.in.clear()
	d.out.clear()
	for _, s := range d.Sources() {
		d.post(td, s)
	}
}

// leave takes the device out of those that are looked up.
func (d *Buffered) leave() {
	if d.among != nil && d.among.units[d.slot] == d {
		d.among.units[d.slot] = nil
	}
}

// Control does to the device, with n, what the row has a control for: Lowat is the mark
// of knotes that have no own, in bytes; Flush throws away what is there; Up has an
// interface go down, if n is 0, which throws away what has come in, or up.
//
// Errors: ENOTTY if the row has no such control; EINVAL if a mark is less than 1; else
// those of [Buffered.Read]. (ioctl)
func (d *Buffered) Control(td *machine.Thread, c event.Control, n int64) error {
	d.enter(td)
	err := d.refuses(true)
	switch {
	case err != nil && err != syscall.EHOSTDOWN:
	case !d.row.controls(c):
		err = syscall.ENOTTY
	default:
		err = d.control(td, c, n)
	}
	td.Commit(event.Acted)
	d.exit(td)
	return err
}

func (d *Buffered) control(td *machine.Thread, c event.Control, n int64) error {
	switch c {
	case event.Lowat:
		if n < 1 {
			return syscall.EINVAL
		}
		low, of, list := &d.lowIn, &d.row.in, &d.readers
		if of.most == 0 {
			low, of, list = &d.lowOut, &d.row.out, &d.writers
		}
		was := *low
		if *low = int(min(n, int64(of.holds()))); *low < was {
			d.post(td, list)
		}
	case event.Flush:
		d.in.clear()
		if d.out.n > 0 {
			d.out.clear()
			d.post(td, &d.writers)
		}
	case event.Up:
		switch {
		case n == 0 && !d.down:
			d.down = true
			d.end(td)
		case n != 0 && d.down:
			d.down = false
			d.post(td, &d.writers)
		}
	}
	return nil
}

// Source returns the list and the filter of f, EINVAL for one that the row has not.
// Except has no list of its own.
func (d *Buffered) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch {
	case f == event.Read && d.row.in.most > 0:
		return &d.readers, d.ops.read, nil
	case f == event.Write && d.row.out.most > 0:
		return &d.writers, d.ops.write, nil
	case f == event.Except:
		return d.srcs[0], d.ops.except, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the lists that the row has.
func (d *Buffered) Sources() []*kqueue.Source {
	if d.srcs[1] == nil {
		return d.srcs[:1]
	}
	return d.srcs[:]
}

// Release closes the device. Doing so again does nothing.
func (d *Buffered) Release(td *machine.Thread) {
	if d.row.unsafe == messages { // the bus knows who has it open
		mp := td.Machine().MPLock()
		td.Get(mp)
		defer td.Put(mp)
		defer d.bus.close(d)
	}
	d.enter(td)
	d.released = true
	d.leave()
	for _, s := range d.Sources() {
		s.Bare()
	}
	td.Commit(event.Released)
	d.exit(td)
}
