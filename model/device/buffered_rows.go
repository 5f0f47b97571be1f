package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A bufferedRow is what makes a [Buffered] one device or another.
type bufferedRow struct {
	in, out direction
	gone    syscall.Errno // what it answers once it is unplugged; 0 if it cannot go
	can     []event.Control
	unsafe  sharing
}

func (r *bufferedRow) controls(c event.Control) bool {
	for _, x := range r.can {
		if x == c {
			return true
		}
	}
	return false
}

// A direction is what a buffer holds. If most is 0 there is none.
type direction struct {
	unit  int // bytes
	most  int // units
	mark  int // bytes
	full  overflow
	takes taking
}

// holds returns the bytes of a full buffer.
func (d *direction) holds() int { return d.unit * d.most }

// An overflow is what happens to a unit that finds no room.
type overflow uint8

const (
	losesNewest overflow = iota // it is lost
	refuses                     // whoever brings it keeps it
	losesOldest                 // the oldest is lost in its place
	losesAll                    // all are lost, and a marker says so
	handsOver                   // out only: nothing is held, the network takes it
)

// A taking is what a read takes.
type taking uint8

const (
	anyBytes    taking = iota // units are no more than bytes
	wholeEvents               // as many whole units as there is room for
	onePacket                 // of one unit at most; the rest of it stays
	oneMessage                // one unit; what there is no room for is lost
)

// A sharing is the state outside of its source for which a driver's filters are not
// MP-safe: the mplock guards it, as it did in 2010.
type sharing uint8

const (
	nothing        sharing = iota
	amongKeyboards         // the table of keyboards (kbd_get_keyboard)
	amongChannels          // the channels of the sound card (snddev_info, getchns)
	messages               // the message buffer, that anybody may print to (msgbufp)
)

// bufferedRows has a row for each device. What the comments name is DragonFly's, and
// what a row says otherwise they say too. None of those drivers sets the data of a
// knote, but evdev's; here it is what the manual page says.
var bufferedRows = [...]bufferedRow{
	// sysmouse is a terminal there: it holds TTYHOG bytes, and is guarded by tty_token.
	event.Mouse: {
		in:  direction{unit: 8, most: 128, mark: 1, full: losesNewest},
		can: []event.Control{event.Flush},
	},
	// PSM_BUFSIZE is 960 bytes. (psm.c: psmsoftintr)
	event.PSM: {
		in: direction{unit: 4, most: 240, mark: 1, full: losesNewest},
	},
	// KB_QSIZE is 512. The filter looks its keyboard up in the table of all, where it is
	// not found when it has gone. The table grows, as FreeBSD's does (kbd_realloc_array);
	// DragonFly's is of a fixed length, and has kbd_token now, but the filter is still
	// one that is called with the mplock. (kbd.c: genkbdfilter, genkbd_putc, kbd_register)
	event.Keyboard: {
		in:     direction{unit: 1, most: 512, mark: 1, full: losesNewest},
		gone:   syscall.ENXIO,
		unsafe: amongKeyboards,
	},
	// An endpoint in either direction. When there is no free packet nothing is asked of
	// the hardware. (usb_dev.c: usb_filter_read, usb_filter_write, usb_read)
	event.USB: {
		in:   direction{unit: 64, most: 16, mark: 1, full: refuses, takes: onePacket},
		out:  direction{unit: 64, most: 16, mark: 64},
		gone: syscall.ENXIO,
	},
	// When the buffer is full the interrupt throws away what it has and counts an xrun.
	// A block is the mark, as FreeBSD has it once a program has set its size; DragonFly
	// has that switched off. The interrupt does not post there, since it would need the
	// mplock: a task that has it does. (channel.c: chn_rdfeed, chn_polltrigger,
	// chn_wakeup)
	event.Record: {
		in:     direction{unit: 1, most: 4096, mark: 512, full: losesNewest},
		gone:   syscall.ENXIO,
		can:    []event.Control{event.Lowat, event.Flush},
		unsafe: amongChannels,
	},
	event.Play: {
		out:    direction{unit: 1, most: 4096, mark: 512},
		gone:   syscall.ENXIO,
		can:    []event.Control{event.Lowat, event.Flush},
		unsafe: amongChannels,
	},
	// mpu401's queues have 128 bytes, and it brings them one by one; midi_in leaves one
	// free. There is room if more than half is free, as midi_out tells of it;
	// midi_filter_write asks for the opposite. (midi.c, mpu401.c: mpu401_intr)
	event.Midi: {
		in:   direction{unit: 1, most: 128, mark: 1, full: losesNewest},
		out:  direction{unit: 1, most: 128, mark: 65},
		gone: syscall.ENXIO,
	},
	// A client's buffer: eight reports of up to eight events. All that comes is a whole
	// report here. (evdev.c: evdev_client_push; cdev.c: evdev_kqread)
	event.Evdev: {
		in:   direction{unit: 24, most: 64, mark: 1, full: losesAll, takes: wholeEvents},
		gone: syscall.ENODEV,
	},
	// FreeBSD holds 1,000 messages (DEVCTL_DEFAULT_QUEUE_LEN). (subr_bus.c: devread,
	// devctl_queue_data)
	event.Devctl: {
		in: direction{unit: 32, most: 64, mark: 1, full: losesOldest, takes: oneMessage},
	},
	// A reader that was lapped goes on behind what is lost. What was printed before it
	// was opened is not read; klog's reader goes on where the last has stopped.
	// (subr_log.c: logread, logfiltread)
	event.Log: {
		in:     direction{unit: 1, most: 1024, mark: 1, full: losesOldest},
		unsafe: messages,
	},
	// ifqmaxlen is 50. The packets that come are the shortest frames, and for tun
	// segments without data. A write is always ready there. (if_tap.c: tapifstart,
	// tapread, tapwrite, filt_tapread; if_tun.c)
	event.Tap: {
		in:   direction{unit: 60, most: 50, mark: 1, full: losesNewest, takes: oneMessage},
		out:  direction{unit: 16384, most: 1, mark: 1, full: handsOver},
		gone: syscall.ENXIO,
		can:  []event.Control{event.Up},
	},
	event.Tun: {
		in:   direction{unit: 40, most: 50, mark: 1, full: losesNewest, takes: oneMessage},
		out:  direction{unit: 16384, most: 1, mark: 1, full: handsOver},
		gone: syscall.ENXIO,
		can:  []event.Control{event.Up},
	},
}
