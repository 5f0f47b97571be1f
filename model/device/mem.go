package device

import (
	"encoding/binary"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// RandomPool is how many bytes of entropy random keeps at most. (POOLWORDS)
const RandomPool = 512

// A Mem is one of the devices that have no hardware, a [kqueue.File] that never blocks.
//
//	device    read            write              Read is ready
//	null      end of file     takes all          always
//	zero      zeros           takes all          always
//	urandom   random bytes    EPERM              always
//	random    random bytes,   takes all, and     when there is entropy,
//	          as many as      none of it is      data is the bytes
//	          there are       entropy
//
// Write is always ready, even where a write is refused: that takes no waiting. Where
// nothing says how many bytes there are, data is 0, and there is no end that could be
// reported: null, which is read at the end of the file each time, has no EV_EOF either.
// Nothing comes to pass there, so nobody is told of anything twice. NOTE_LOWAT is taken,
// and is a mark only to the Read of random, from 1, which is what that uses without.
// (mmkqfilter: mm_filter_read and mm_filter_write say yes, and leave the data alone, as
// filt_seltrue of NetBSD and OpenBSD sets it to 0. random_filter_read says yes too, since
// in DragonFly a generator stands behind random that does not run dry; what is here is
// the random of 2010 and before, whose poll asked for 8 bits of entropy.)
type Mem struct {
	*mem

	// The two lists are in one domain, which guards the rest.
	readers kqueue.Source
	writers kqueue.Source
	srcs    [2]*kqueue.Source

	pool int64 // bytes of entropy; of random
	seed uint64
}

// A mem is a row of the table above: what a device is, but for its state.
type mem struct {
	read    func(m *Mem, b []byte) (int, error) // in the domain of m
	refuses bool                                // writes
	filter  *kqueue.Filter                      // Read
	harvest bool                                // interrupts bring entropy
}

var (
	null    = &mem{filter: memReady, read: func(*Mem, []byte) (int, error) { return 0, nil }}
	zero    = &mem{filter: memReady, read: func(_ *Mem, b []byte) (int, error) { clear(b); return len(b), nil }}
	urandom = &mem{filter: memReady, read: (*Mem).random, refuses: true}
	random  = &mem{filter: memEntropy, harvest: true, read: func(m *Mem, b []byte) (int, error) {
		n := min(int64(len(b)), m.pool)
		if n == 0 && len(b) > 0 {
			return 0, syscall.EAGAIN
		}
		m.pool -= n
		return m.random(b[:n])
	}}
)

var mems = machine.NewStock[Mem](nil)

// NewNull makes a null, placed by the strategy.
func NewNull(td *machine.Thread, k *kqueue.Kernel) *Mem { return null.open(td, k) }

// NewZero makes a zero, placed by the strategy.
func NewZero(td *machine.Thread, k *kqueue.Kernel) *Mem { return zero.open(td, k) }

// NewURandom makes a urandom, placed by the strategy.
func NewURandom(td *machine.Thread, k *kqueue.Kernel) *Mem { return urandom.open(td, k) }

// NewRandom makes a random without entropy, placed by the strategy.
func NewRandom(td *machine.Thread, k *kqueue.Kernel) *Mem { return random.open(td, k) }

func (row *mem) open(td *machine.Thread, k *kqueue.Kernel) *Mem {
	m := mems.New(td)
	m.mem = row
	m.readers.Init(td, k)
	m.writers.InitSibling(&m.readers)
	m.srcs = [2]*kqueue.Source{&m.readers, &m.writers}
	return m
}

// random fills b. The generator is no secret: executions must be the same again. It is
// SplitMix64, of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
// OOPSLA 2014.
func (m *Mem) random(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		m.seed += 0x9e3779b97f4a7c15
		x := (m.seed ^ m.seed>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(word[:], x^x>>31)
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// Read takes up to len(b) bytes, as the table says, and returns how many. (mmrw)
//
// Error: EAGAIN of random if there is no entropy. It may block, as long as entering a
// domain does, but not for entropy.
func (m *Mem) Read(td *machine.Thread, b []byte) (n int, err error) {
	m.readers.Enter(td)
	n, err = m.read(m, b)
	td.Commit(event.Acted)
	m.readers.Exit(td)
	return n, err
}

// Write takes all of b. Error: EPERM of urandom, unless b is empty. It may block, as long
// as entering a domain does.
func (m *Mem) Write(td *machine.Thread, b []byte) (n int, err error) {
	m.readers.Enter(td)
	if m.refuses && len(b) > 0 {
		err = syscall.EPERM
	} else {
		n = len(b)
	}
	td.Commit(event.Acted)
	m.readers.Exit(td)
	return n, err
}

// Input is interrupts that bring n bytes of entropy, and returns how many of those the
// pool had room for. (add_interrupt_randomness)
//
// Errors: ENODEV unless the device is random; EINVAL if n is negative.
func (m *Mem) Input(td *machine.Thread, n int) (int, error) {
	switch {
	case !m.harvest:
		return 0, syscall.ENODEV
	case n < 0:
		return 0, syscall.EINVAL
	}
	m.readers.Enter(td)
	n = int(min(int64(n), RandomPool-m.pool))
	if n > 0 {
		m.pool += int64(n)
		m.readers.Post(td, 0)
	}
	td.Commit(event.Acted)
	m.readers.Exit(td)
	return n, nil
}

// Source returns the device's lists for Read and for Write, EINVAL for any other filter: it
// cannot hang up.
func (m *Mem) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &m.readers, m.filter, nil
	case event.Write:
		return &m.writers, memReady, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns both lists.
func (m *Mem) Sources() []*kqueue.Source { return m.srcs[:] }

// Release does no more than look: there is nothing to end. It may block, as long as
// entering a domain does.
func (m *Mem) Release(td *machine.Thread) {
	m.readers.Enter(td)
	m.readers.Bare()
	m.writers.Bare()
	m.readers.Exit(td)
}

// memReady is of what needs no waiting.
var memReady = &kqueue.Filter{
	Name:   "mem",
	Attach: attachMem,
	Touch:  touchMem,
	Event:  func(*machine.Thread, *kqueue.Knote, int64) bool { return true },
}

// memEntropy is Read of random.
var memEntropy = &kqueue.Filter{
	Name:   "random read",
	Attach: attachMem,
	Touch:  touchMem,
	Level:  func(kn *kqueue.Knote) *int64 { return &kn.Hook.(*Mem).pool },
}

func attachMem(td *machine.Thread, kn *kqueue.Knote) error {
	kn.Hook = kn.File()
	return lowat(kn, kn.Want, kn.WantData, 1, RandomPool)
}

func touchMem(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	return lowat(kn, kev.Fflags, kev.Data, 1, RandomPool)
}
