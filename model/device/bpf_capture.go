package device

import (
	"encoding/binary"
	"time"
)

// header writes what stands before a packet: when it came in seconds and microseconds,
// how much of it was captured and how long it was, and how long the header is.
// (struct bpf_hdr)
func header(b []byte, now time.Duration, caplen, datalen int) {
	binary.NativeEndian.PutUint64(b[0:], uint64(now/second))
	binary.NativeEndian.PutUint64(b[8:], uint64(now%second/microsecond))
	binary.NativeEndian.PutUint32(b[16:], uint32(caplen))
	binary.NativeEndian.PutUint32(b[20:], uint32(datalen))
	binary.NativeEndian.PutUint16(b[24:], BpfHeader)
}

// A Capture is what a listener has of one packet.
type Capture struct {
	At     time.Duration // when, on the machine's clock, in whole microseconds
	Length int           // how long it was; there may be less of it in Data
	Data   []byte
}

// Captured returns the packets in what a read of a [Bpf] has returned, of which their
// Data is part. It ends at what is no packet.
func Captured(b []byte) func(yield func(Capture) bool) {
	return func(yield func(Capture) bool) {
		for len(b) >= BpfHeader {
			at := time.Duration(binary.NativeEndian.Uint64(b[0:]))*second + time.Duration(binary.NativeEndian.Uint64(b[8:]))*microsecond
			caplen, datalen := int(binary.NativeEndian.Uint32(b[16:])), int(binary.NativeEndian.Uint32(b[20:]))
			begin := int(binary.NativeEndian.Uint16(b[24:]))
			if begin < BpfHeader || caplen > len(b)-begin || !yield(Capture{at, datalen, b[begin : begin+caplen]}) {
				return
			}
			b = b[min(aligned(begin+caplen), len(b)):]
		}
	}
}
