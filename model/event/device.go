package event

// A Device is one of the devices that are made by their names. What else scripts can
// have is made by a call of its own.
type Device uint8

// The devices. What each is, and what its units are, says the file of package device
// that has it.
const (
	Mouse    Device = iota + 1 // sysmouse
	PSM                        // the mouse at a PS/2 port
	Keyboard                   // kbd
	USB                        // an endpoint (ugen)
	Record                     // sound that comes in (dsp)
	Play                       // sound that goes out (dsp)
	Midi                       // a port
	Evdev                      // an event device
	Devctl                     // what the kernel tells of devices
	Log                        // the kernel's message buffer (klog)
	Tap                        // a network interface that a program is the wire of
	Tun                        // one that carries packets without frames
	BPF                        // packet capture
	Serial                     // a line with a modem's signals (sio)
	Random                     // entropy, as much as there is
	URandom                    // as much as is asked for
	Null                       // empty to read, and takes all
	Zero                       // zeros without end, and takes all
	Request                    // requests in flight (cam, pass)
)

var deviceNames = []string{
	Mouse: "mouse", PSM: "psm", Keyboard: "keyboard", USB: "usb", Record: "record", Play: "play", Midi: "midi", Evdev: "evdev",
	Devctl: "devctl", Log: "log", Tap: "tap", Tun: "tun", BPF: "bpf", Serial: "serial", Random: "random", URandom: "urandom",
	Null: "null", Zero: "zero", Request: "request",
}

// String returns the name of the device as it is in the text of an [Op].
func (d Device) String() string { return nameOf(d, "device", deviceNames) }

// Devices calls yield with each device. It is an iterator.
func Devices(yield func(Device) bool) {
	for d := Mouse; int(d) < len(deviceNames) && yield(d); d++ {
	}
}

// A Control is what is asked of a device besides reading and writing, with a number: an
// ioctl(2). What a device has not is ENOTTY.
type Control uint8

// The controls.
const (
	Immediate Control = iota + 1 // 1: what comes in is told of at once; 0: when a buffer is full (BIOCIMMEDIATE)
	Timeout                      // how long what has come in may wait to be told of, in milliseconds; 0: for ever (BIOCSRTIMEOUT)
	Buffer                       // the size of a buffer, in bytes (BIOCSBLEN)
	Lowat                        // how much there must be before it is told of, for who sets no mark of his own (SNDCTL_DSP_LOW_WATER)
	Flush                        // throw away what is there (BIOCFLUSH, TIOCFLUSH, SNDCTL_DSP_RESET)
	Carrier                      // 1: the other side is there; 0: it hangs up (DCD)
	Up                           // 1: the interface is up; 0: it is down (IFF_UP)
	Abort                        // take back the command with that tag (XPT_ABORT)
)

var controlNames = []string{
	Immediate: "immediate", Timeout: "timeout", Buffer: "buffer", Lowat: "lowat", Flush: "flush", Carrier: "carrier", Up: "up",
	Abort: "abort",
}

// String returns the name of the control as it is in the text of an [Op].
func (c Control) String() string { return nameOf(c, "control", controlNames) }
