package spec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A row is a device that is a buffer, or two, with somebody at the other side who fills
// or empties it. These are parameters of what is specified: that a device has the same
// its histories show.
type row struct {
	in, out buffer
	goes    syscall.Errno // what it answers when it has been unplugged; 0: it cannot be
	can     []event.Control
	alone   bool // no second can be open
}

// A buffer is what a device holds in one direction. One of no units is none.
type buffer struct {
	unit  int64 // bytes of what the other side brings, or takes, at once
	most  int64 // units
	mark  int64 // bytes there must be, or room for so many, before who sets no mark is told
	full  overflow
	takes taking
}

func (b *buffer) bytes() int64 { return b.unit * b.most }

// An overflow is what becomes of what comes and finds no room.
type overflow uint8

const (
	newestLost overflow = iota
	notTaken            // the other side keeps it
	oldestLost          // and it has the place
	allLost             // with all that was there, and one unit says so
	passedOn            // there is nothing that could be full: what is written is gone at once
)

// A taking is what a read takes.
type taking uint8

const (
	anyBytes   taking = iota // as many bytes as there are
	wholeUnits               // as many units as there are; nobody can ask for less than one
	partOfOne                // bytes of one unit; the rest can be read
	oneWhole                 // one unit; the rest is lost
)

var rows = [...]row{
	event.Mouse:    {in: buffer{unit: 8, most: 128, mark: 1}, can: []event.Control{event.Flush}},
	event.PSM:      {in: buffer{unit: 4, most: 240, mark: 1}},
	event.Keyboard: {in: buffer{unit: 1, most: 512, mark: 1}, goes: syscall.ENXIO},
	event.USB:      {in: buffer{unit: 64, most: 16, mark: 1, full: notTaken, takes: partOfOne}, out: buffer{unit: 64, most: 16, mark: 64}, goes: syscall.ENXIO},
	event.Record:   {in: buffer{unit: 1, most: 4096, mark: 512}, goes: syscall.ENXIO, can: []event.Control{event.Lowat, event.Flush}},
	event.Play:     {out: buffer{unit: 1, most: 4096, mark: 512}, goes: syscall.ENXIO, can: []event.Control{event.Lowat, event.Flush}},
	event.Midi:     {in: buffer{unit: 1, most: 128, mark: 1}, out: buffer{unit: 1, most: 128, mark: 65}, goes: syscall.ENXIO},
	event.Evdev:    {in: buffer{unit: 24, most: 64, mark: 1, full: allLost, takes: wholeUnits}, goes: syscall.ENODEV},
	event.Devctl:   {in: buffer{unit: 32, most: 64, mark: 1, full: oldestLost, takes: oneWhole}},
	event.Log:      {in: buffer{unit: 1, most: 1024, mark: 1, full: oldestLost}, alone: true},
	event.Tap:      {in: buffer{unit: 60, most: 50, mark: 1, takes: oneWhole}, out: network, goes: syscall.ENXIO, can: []event.Control{event.Up}},
	event.Tun:      {in: buffer{unit: 40, most: 50, mark: 1, takes: oneWhole}, out: network, goes: syscall.ENXIO, can: []event.Control{event.Up}},
}

// network is what an interface writes to: the network, in packets of so many bytes at most.
var network = buffer{unit: 16384, most: 1, mark: 1, full: passedOn}

// A hardware is what becomes of a row when it has been made.
type hardware struct {
	device event.Device
	put    int64         // units that were written and not yet taken
	lowat  int64         // the mark of its direction, in bytes; 0: that of the row
	over   syscall.Errno // why it is of no use; 0: it is not so
}

// newDevice returns a device that has just been made.
func newDevice(d event.Device) file {
	k := receiver
	switch r := &rows[d]; {
	case r.in.most == 0:
		k = sender
	case r.out.most > 0:
		k = transceiver
	}
	return file{kind: k, hardware: hardware{device: d}}
}

// Alone reports whether there can be only one of a device. To make another is EBUSY.
func Alone(d event.Device) bool { return int(d) < len(rows) && rows[d].alone }

// Unit returns how many bytes come in with each unit of a device; 0 is not said.
func Unit(d event.Device) int64 {
	if int(d) < len(rows) {
		return rows[d].in.unit
	}
	return 0
}

// makes returns what stands in the way of a call that makes a file of nothing.
func (s *State) makes(op event.Op) syscall.Errno {
	switch {
	case op.Call != event.CallDevice:
	case int(op.Device) >= len(devices) || devices[op.Device].kind == 0:
		return syscall.ENOSYS
	case Alone(op.Device) && slices.ContainsFunc(s.files, func(f file) bool { return f.device == op.Device && !f.gone }):
		return syscall.EBUSY
	}
	return 0
}

// rowed are files that are a row. Of what there is to be read there are level bytes.
type rowed struct {
	plain
	side event.Side // that it has
}

func (s *State) row(n int32) *row { return &rows[s.files[n].device] }

func (x rowed) knows(f event.Filter) bool {
	return f == event.Read && x.side.Reads() || f == event.Write && x.side.Writes() || f == event.Except
}

// touch: without a mark of its own a knote has that of the device, whenever it is asked.
func (rowed) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kn.filter == event.Except {
		return except(kn, kev)
	}
	return lowat(kn, kev, 0, math.MaxInt64)
}

// held returns how many units there are in so many bytes, the first of which may have
// been read in part.
func (b *buffer) held(level int64) int64 { return (level + b.unit - 1) / b.unit }

// room returns how many bytes can be written.
func (s *State) roomOf(n int32) int64 {
	out := &s.row(n).out
	return out.bytes() - s.files[n].put*out.unit
}

// markOf returns the mark of a direction of file n: of what has set its own that, but
// not more than there can be.
func (s *State) markOf(n int32, of *buffer, own int64) int64 {
	switch {
	case own != 0:
	case s.files[n].lowat != 0 && (of == &s.row(n).in || s.row(n).in.most == 0):
		own = s.files[n].lowat
	default:
		own = of.mark
	}
	return min(own, of.bytes())
}

// ask: when the device is of no use nothing of it can be read or written, and each
// filter says so.
func (rowed) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f, r := &s.files[kn.file], s.row(kn.file)
	if f.over != 0 {
		if kn.filter == event.Except {
			e.Data = int64(f.over)
		} else {
			e.Fflags = event.Fflags(f.over)
		}
		return true, over(e, true)
	}
	switch kn.filter {
	case event.Read:
		e.Data = f.level
		return e.Data >= s.markOf(kn.file, &r.in, kn.mark), e
	case event.Write:
		e.Data = s.roomOf(kn.file)
		return e.Data >= s.markOf(kn.file, &r.out, kn.mark), e
	}
	return false, e
}

func (x rowed) mask(s *State, n int32) (m event.PollEvents) {
	f, r := &s.files[n], s.row(n)
	if f.over != 0 {
		m = event.PollHup | event.PollErr
		if x.side.Writes() {
			m |= out
		}
		return m
	}
	if x.side.Reads() && f.level >= s.markOf(n, &r.in, 0) {
		m |= in
	}
	if x.side.Writes() && s.roomOf(n) >= s.markOf(n, &r.out, 0) {
		m |= out
	}
	return m
}

// refuses returns what is answered to who needs what the device has or has not.
func (s *State) refuses(n int32, has bool) syscall.Errno {
	f := &s.files[n]
	switch {
	case f.gone:
		return syscall.EBADF
	case !has:
		return syscall.ENODEV
	}
	return f.over
}

func (x rowed) act(s *State, n int32, w *Work, op *event.Op) {
	f, r := &s.files[n], s.row(n)
	switch op.Call {
	case event.CallRead:
		w.Errno = s.refuses(n, x.side.Reads())
	case event.CallWrite:
		w.Errno = s.refuses(n, x.side.Writes())
	case event.CallInput:
		if w.Errno = s.refuses(n, x.side.Reads()); w.Errno == syscall.EHOSTDOWN {
			w.ends(0)
			w.Errno = 0
			return
		}
	case event.CallOutput:
		w.Errno = s.refuses(n, x.side.Writes() && r.out.full != passedOn)
	case event.CallUnplug:
		w.Errno = s.refuses(n, r.goes != 0)
	case event.CallControl:
		w.Errno = s.refuses(n, true)
	default:
		x.plain.act(s, n, w, op)
		return
	}
	if w.Errno != 0 && (w.Errno != syscall.EHOSTDOWN || op.Call != event.CallUnplug && op.Call != event.CallControl) {
		w.fails(w.Errno)
		return
	}
	w.Errno = 0
	switch op.Call {
	case event.CallRead:
		f.readUnits(&r.in, w, op.N)
	case event.CallWrite:
		s.writeUnits(n, w, op.N)
	case event.CallInput:
		took := f.bring(&r.in, op.N)
		if took > 0 {
			s.post(n, event.Read, 0)
		}
		w.ends(took)
	case event.CallOutput:
		took := min(op.N, f.put)
		if f.put -= took; took > 0 {
			s.post(n, event.Write, 0)
		}
		w.ends(took)
	case event.CallUnplug:
		s.ends(n, r.goes)
		w.ends(0)
	case event.CallControl:
		s.controls(n, w, op)
	}
}

// readUnits takes what a read of so many bytes takes.
func (f *file) readUnits(b *buffer, w *Work, want int64) {
	took, lost := min(want, f.level), int64(0)
	switch b.takes {
	case wholeUnits:
		took -= took % b.unit
	case partOfOne:
		took = min(took, f.level-(b.held(f.level)-1)*b.unit)
	case oneWhole:
		took = min(took, b.unit)
		lost = b.unit - took
	}
	switch {
	case want == 0:
		w.ends(0)
	case b.takes == wholeUnits && want < b.unit:
		w.fails(syscall.EINVAL)
	case f.level == 0:
		w.fails(syscall.EAGAIN)
	default:
		f.level -= took + lost
		w.ends(took)
	}
}

// writeUnits puts so many bytes as there is room for: a packet that is not full takes
// as much as one that is.
func (s *State) writeUnits(n int32, w *Work, want int64) {
	f, b := &s.files[n], &s.row(n).out
	units := min(b.held(want), b.most-f.put)
	switch {
	case want == 0:
		w.ends(0)
	case b.full == passedOn && want > b.unit:
		w.fails(syscall.EIO)
	case b.full == passedOn:
		w.ends(want)
	case units == 0:
		w.fails(syscall.EAGAIN)
	default:
		f.put += units
		w.ends(min(want, units*b.unit))
	}
}

// bring has n units come in, and returns how many were taken in.
func (f *file) bring(b *buffer, n int64) int64 {
	room := b.most - b.held(f.level)
	took := min(n, room)
	switch {
	case b.full == oldestLost:
		f.level = min(f.level+n*b.unit, b.bytes())
		return n
	case b.full == allLost && n > room:
		// What says that all is lost, and the first that it made room for; and so again
		// when the rest is full.
		f.level = (2 + (n-room-1)%(b.most-1)) * b.unit
		return n
	}
	f.level += took * b.unit
	return took
}

// ends: the device is of no use any more, or for now, and has lost all that it had.
func (s *State) ends(n int32, why syscall.Errno) {
	f := &s.files[n]
	f.over, f.level, f.put = why, 0, 0
	s.post(n, 0, 0)
}

// controls does what a device has a control for. A mark is that of the one direction
// that such a device has.
func (s *State) controls(n int32, w *Work, op *event.Op) {
	f, r := &s.files[n], s.row(n)
	if !slices.Contains(r.can, op.Control) {
		w.fails(syscall.ENOTTY)
		return
	}
	of, filter := &r.in, event.Filter(event.Read)
	if of.most == 0 {
		of, filter = &r.out, event.Write
	}
	was := s.markOf(n, of, 0)
	switch op.Control {
	case event.Lowat:
		if op.N < 1 {
			w.fails(syscall.EINVAL)
			return
		}
		if f.lowat = min(op.N, of.bytes()); f.lowat < was {
			s.post(n, filter, 0)
		}
	case event.Flush:
		f.level = 0
		if f.put > 0 {
			f.put = 0
			s.post(n, event.Write, 0)
		}
	case event.Up:
		switch {
		case op.N == 0 && f.over == 0:
			s.ends(n, syscall.EHOSTDOWN)
		case op.N != 0 && f.over != 0:
			f.over = 0
			s.post(n, event.Write, 0)
		}
	}
	w.ends(0)
}

func (x rowed) name() string { return "device" }

func (x rowed) details(s *State, n int32) string {
	f := &s.files[n]
	text := f.device.String()
	if x.side.Reads() {
		text += fmt.Sprintf(" in=%d", f.level)
	}
	if x.side.Writes() {
		text += fmt.Sprintf(" out=%d", f.put)
	}
	if f.over != 0 {
		text += fmt.Sprintf(" over=%d", int(f.over))
	}
	return text
}

func (x rowed) words(s *State, n int32) string {
	f, r := &s.files[n], s.row(n)
	text := fmt.Sprintf("the device `%v`", f.device)
	switch f.over {
	case 0:
	case syscall.EHOSTDOWN:
		return text + ", which is down"
	default:
		return text + ", which is unplugged"
	}
	var has []string
	if x.side.Reads() {
		has = append(has, fmt.Sprintf("%d bytes to read", f.level))
	}
	if x.side.Writes() && r.out.full != passedOn {
		has = append(has, fmt.Sprintf("room for %d", s.roomOf(n)))
	}
	return text + ", with " + strings.Join(has, " and ")
}
