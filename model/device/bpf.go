package device

import (
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	// BpfBuffer is how many bytes each of a listener's two buffers holds, and what a
	// read must have room for. (bpf_bufsize)
	BpfBuffer = 4096

	// BpfHeader is how many bytes stand before what is captured of a packet: what
	// struct bpf_hdr has on a machine of 64 bits, so that behind the 14 bytes of an
	// Ethernet header a word begins. (bif_hdrlen)
	BpfHeader = 26

	// BpfAlign is at which multiples the headers lie. (BPF_ALIGNMENT)
	BpfAlign = 8

	// BpfLongest is the longest packet that a listener may send: an Ethernet frame.
	BpfLongest = 1514
)

// A wire is a network interface, as far as those have to do with it who listen there.
// It is one domain with all of them, so that a packet is told to all at one instant.
// (struct bpf_if)
type wire struct {
	src       kqueue.Source // the domain, which guards the rest; nobody watches it
	listeners []*Bpf
	detached  bool // the interface is gone
}

// A Bpf is one listener of a network interface: an open of /dev/bpf that is bound to
// it, and never blocks. It is a [kqueue.File]. Each listener has a copy of each packet
// that passes, whether it came from outside, see [Bpf.Tap], or was written by one of
// them. (bpf(4))
//
// What is captured goes to the store buffer, a header before each packet, see
// [Captured]. When that is full it becomes the hold buffer, which waits to be read, and
// the next packet begins another store. As long as the hold buffer is not read a packet
// for which the store has no room is dropped, and counted.
//
// Read is ready when there is a hold buffer; in immediate mode, or when the read timeout
// is over, also when there is anything in the store. Data is the bytes that a read would
// return then. Readiness by the timeout ends with the next read. There are no marks, and
// fflags are EINVAL: a buffer is read whole. (bpf_filter_read, which reports no data)
//
// The timeout begins when somebody comes to watch and it does not run, and again after
// each read and each change of it, as long as somebody watches. DragonFly has the filter
// start it whenever it says no: so EV_CLEAR, which is asked once for each event, is
// never told again of what stays in the store, and Event here may be asked under any lock,
// since it changes nothing.
//
// When the interface is detached Read is ready for good, with EV_EOF, EV_HUP and ENXIO in
// its fflags, and so is Except. What was captured can still be read; EV_NODATA says that
// there is nothing. (bpfdetach wakes the listeners, but the filter says no: who waits in
// kevent is never told. bpfkqfilter refuses a listener that has no interface any more;
// here that is reported, as the end of a pipe is.)
type Bpf struct {
	w    *wire
	src  kqueue.Source
	srcs [1]*kqueue.Source // src

	// Guarded by w.
	gone      bool // released
	immediate bool // BIOCIMMEDIATE
	shortest  int  // packets below are not captured: a filter, see BIOCSETF
	buf       [2][]byte
	at        int // of buf, which is the store; the other is the hold buffer
	stored    int // bytes in the store
	held      int // in the hold buffer; 0 if there is none
	received  int64
	dropped   int64

	timeout  time.Duration // 0: none
	state    readTimeout
	due      time.Duration // when the timeout is over, if it runs
	watchers int           // knotes that are attached
	callout  *machine.Callout
	fire     func(td *machine.Thread) // expire
}

// A readTimeout is where the timeout of a listener stands. (bd_state)
type readTimeout uint8

const (
	bpfIdle     readTimeout = iota
	bpfWaiting              // it runs
	bpfTimedOut             // it is over, and nothing has been read since
)

var (
	wires = machine.NewStock(func(w *wire) { *w = wire{listeners: w.listeners[:0]} })
	bpfs  = machine.NewStock(func(d *Bpf) { *d = Bpf{buf: d.buf, fire: d.fire} })
)

// NewBpf makes an interface, placed by the strategy, and returns a listener.
func NewBpf(td *machine.Thread, k *kqueue.Kernel) *Bpf {
	w := wires.New(td)
	w.src.Init(td, k)
	return w.listen(td)
}

// listen adds a listener.
func (w *wire) listen(td *machine.Thread) *Bpf {
	d := bpfs.New(td)
	d.w = w
	d.src.InitSibling(&w.src)
	d.srcs[0] = &d.src
	if d.buf[0] == nil {
		d.buf = [2][]byte{make([]byte, BpfBuffer), make([]byte, BpfBuffer)}
	}
	w.listeners = append(w.listeners, d)
	return d
}

// Open returns another listener of the same interface. It may block, as long as entering
// a domain does. (open(2), BIOCSETIF)
//
// Errors: EBADF once the listener is released; ENXIO if the interface is detached.
func (d *Bpf) Open(td *machine.Thread) (o *Bpf, err error) {
	d.enter(td)
	if err = d.bound(); err == nil {
		o = d.w.listen(td)
	}
	td.Commit(event.Acted)
	d.exit(td)
	return o, err
}

func (d *Bpf) enter(td *machine.Thread) { d.w.src.Enter(td) }
func (d *Bpf) exit(td *machine.Thread)  { d.w.src.Exit(td) }

// bound returns EBADF once the listener is released, ENXIO once the interface is gone.
func (d *Bpf) bound() error {
	switch {
	case d.gone:
		return syscall.EBADF
	case d.w.detached:
		return syscall.ENXIO
	}
	return nil
}

// Read returns the hold buffer, whole, or else what is in the store, and how many bytes
// that is. What is in it says [Captured]. (bpfread)
//
// Errors: EINVAL if len(b) is not BpfBuffer; EAGAIN if nothing has been captured, ENXIO
// if nothing will be either, since the interface is detached; EBADF once the listener is
// released. It may block, as long as entering a domain does, but not for packets.
func (d *Bpf) Read(td *machine.Thread, b []byte) (n int, err error) {
	d.enter(td)
	switch {
	case d.gone:
		err = syscall.EBADF
	case len(b) != BpfBuffer:
		err = syscall.EINVAL
	default:
		if d.held == 0 && d.stored > 0 {
			d.rotate()
		}
		n = copy(b, d.buf[1-d.at][:d.held])
		d.held = 0
		d.stop(td)
		d.start(td)
		if n == 0 {
			if err = d.bound(); err == nil {
				err = syscall.EAGAIN
			}
		}
	}
	td.Commit(event.Acted)
	d.exit(td)
	return n, err
}

// Write sends b as one packet, which all listeners of the interface see too, and returns
// its length. (bpfwrite, BIOCSSEESENT)
//
// Errors: EMSGSIZE if b is longer than BpfLongest; ENXIO if the interface is detached;
// EBADF once the listener is released. It may block, as long as entering a domain does.
func (d *Bpf) Write(td *machine.Thread, b []byte) (n int, err error) {
	d.enter(td)
	err = d.bound()
	switch {
	case err != nil || len(b) == 0:
	case len(b) > BpfLongest:
		err = syscall.EMSGSIZE
	default:
		d.w.tap(td, b)
		n = len(b)
	}
	td.Commit(event.Acted)
	d.exit(td)
	return n, err
}

// Tap has a packet come to the interface, as an interrupt does, and returns how many
// bytes of it this listener has captured: fewer than it is long if it does not fit a
// buffer, none if it has been dropped or is too short for the filter. (bpf_mtap)
//
// Errors: ENXIO if the interface is detached; EBADF once the listener is released.
func (d *Bpf) Tap(td *machine.Thread, packet []byte) (n int, err error) {
	d.enter(td)
	if err = d.bound(); err == nil && len(packet) > 0 {
		before := d.dropped
		d.w.tap(td, packet)
		if d.dropped == before && len(packet) >= d.shortest {
			n = min(len(packet), BpfBuffer-BpfHeader)
		}
	}
	td.Commit(event.Acted)
	d.exit(td)
	return n, err
}

// Input is Tap of a packet of n zeros.
//
// Errors: EINVAL if n is negative; those of Tap.
func (d *Bpf) Input(td *machine.Thread, n int) (int, error) {
	if n < 0 {
		return 0, syscall.EINVAL
	}
	return d.Tap(td, blank(n))
}

// blank returns n zeros, which nobody writes to.
func blank(n int) []byte {
	if n > len(zeros) {
		return make([]byte, n)
	}
	return zeros[:n]
}

var zeros [BpfBuffer]byte

// tap gives every listener its copy.
func (w *wire) tap(td *machine.Thread, packet []byte) {
	for _, d := range w.listeners {
		d.catch(td, packet)
	}
}

// catch captures one packet, or drops it. (catchpacket)
//
// All of it is in the store before anybody is told. DragonFly told the listener as soon
// as it knew that it would, and put the packet there afterwards: in immediate mode the
// filter saw an empty store and said no, and nobody asked it again (bug 44aa8f0264).
func (d *Bpf) catch(td *machine.Thread, packet []byte) {
	d.received++
	if len(packet) < d.shortest {
		return
	}
	news := d.immediate || d.state == bpfTimedOut
	at := aligned(d.stored)
	caplen := min(len(packet), BpfBuffer-BpfHeader)
	if at+BpfHeader+caplen > BpfBuffer {
		if d.held > 0 {
			d.dropped++
			return
		}
		d.rotate()
		at, news = 0, true
	}
	store := d.buf[d.at]
	clear(store[d.stored:at])
	header(store[at:], td.Now(), caplen, len(packet))
	copy(store[at+BpfHeader:], packet[:caplen])
	d.stored = at + BpfHeader + caplen
	if news {
		d.tell(td)
	}
}

func aligned(n int) int { return (n + BpfAlign - 1) &^ (BpfAlign - 1) }

// rotate makes the store the hold buffer, which there is not, and begins another store.
// (ROTATE_BUFFERS)
func (d *Bpf) rotate() {
	d.held, d.stored = d.stored, 0
	d.at = 1 - d.at
}

// tell tells those who watch. The timeout is not needed until the next read. (bpf_wakeup)
func (d *Bpf) tell(td *machine.Thread) {
	if d.state == bpfWaiting {
		d.stop(td)
	}
	d.src.Post(td, 0)
}

// start has the timeout begin, if there is one, if it has not, and if somebody watches.
func (d *Bpf) start(td *machine.Thread) {
	if d.timeout > 0 && d.state == bpfIdle && d.watchers > 0 && !d.w.detached && !d.gone {
		d.state = bpfWaiting
		d.due = after(td.Now(), d.timeout)
		if d.fire == nil {
			d.fire = d.expire
		}
		if d.callout == nil {
			d.callout = td.Machine().NewCallout("read timeout", td.Home(), d.fire)
		}
		d.callout.Reset(td, d.due)
	}
}

// stop takes the timeout back, over or not.
func (d *Bpf) stop(td *machine.Thread) {
	if d.state == bpfWaiting {
		d.callout.Stop(td)
	}
	d.state = bpfIdle
}

// expire is the callout. As with a timer, that it runs is a reason to look at the clock:
// it may have waited for the domain while the timeout was taken back and begun anew. An
// empty store is news to nobody, but the next packet will be. (bpf_timed_out)
func (d *Bpf) expire(td *machine.Thread) {
	d.enter(td)
	if d.state == bpfWaiting && d.due <= td.Now() {
		d.state = bpfTimedOut
		if d.waiting() > 0 {
			d.src.Post(td, 0)
		}
	}
	d.exit(td)
}

// waiting returns how many bytes a read would return that Read speaks of.
func (d *Bpf) waiting() int {
	if d.held == 0 && (d.immediate || d.state == bpfTimedOut || d.w.detached) {
		return d.stored
	}
	return d.held
}

// Unplug detaches the interface, from all its listeners. (bpfdetach)
//
// Errors: those of Tap. It may block, as long as entering a domain does.
func (d *Bpf) Unplug(td *machine.Thread) error {
	d.enter(td)
	err := d.bound()
	if err == nil {
		d.w.detached = true
		for _, o := range d.w.listeners {
			o.stop(td)
			o.src.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	d.exit(td)
	return err
}

// Source returns the listener's list for Read and for Except, EINVAL for any other filter:
// nobody can say whether a packet that is written will find room. (bpfkqfilter)
func (d *Bpf) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &d.src, bpfRead, nil
	case event.Except:
		return &d.src, bpfExcept, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the listener's one list.
func (d *Bpf) Sources() []*kqueue.Source { return d.srcs[:] }

// Release ends the listener, and waits for the end of a timeout that is being told of. It
// may block, and doing it again does nothing. (bpfclose)
func (d *Bpf) Release(td *machine.Thread) {
	d.enter(td)
	if !d.gone {
		d.src.Bare()
		d.gone = true
		for i, o := range d.w.listeners {
			if o == d {
				d.w.listeners = append(d.w.listeners[:i], d.w.listeners[i+1:]...)
				break
			}
		}
		d.stored, d.held = 0, 0
	}
	td.Commit(event.Released)
	if d.callout != nil {
		d.state = bpfIdle
		drain(td, &d.src, d.callout)
	}
	d.exit(td)
}
