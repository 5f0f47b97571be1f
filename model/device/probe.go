package device

import (
	"math"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A ProbeConfig says what kind of filter a probe has.
type ProbeConfig struct {
	// Unsafe: not MP-safe. The mplock guards the level, and not the domain of
	// the source, so each call of the filter takes the mplock.
	Unsafe bool

	// Blocks: each call of the filter sleeps for some microseconds, which nobody
	// can cut short, before it looks at the level. It lets go of its domain
	// meanwhile, as far as the strategy's is one that a block lets go of.
	Blocks bool

	// Gated: Hold makes the filter block.
	Gated bool
}

// A Probe is the test device: a level that is set to anything. It is a
// [kqueue.File] with the filters Read and Write, which are the same: ready when
// the level is 1 at least, or the mark of NOTE_LOWAT; data is the level.
//
// With the zero ProbeConfig its filter is the least that a filter can do, and a
// measure of all that is around it.
type Probe struct {
	src  kqueue.Source
	srcs [1]*kqueue.Source // src
	ops  *kqueue.Filter
	n    int64 // guarded by src, or the mplock if Unsafe
	mp   *machine.Token
	nap  *machine.WaitChan // nobody wakes it; nil unless the filter Blocks
	gate *gate             // nil unless it is Gated

	changes int64 // guarded as n is: of a filter that may lose its domain
}

// NewProbe makes a probe at level 0, placed by the strategy.
func NewProbe(td *machine.Thread, k *kqueue.Kernel, c ProbeConfig) *Probe {
	p := probes.New(td)
	p.ops = probeFilter
	p.src.Init(td, k)
	p.srcs[0] = &p.src
	if c.Unsafe {
		p.mp = k.Machine().MPLock()
		p.ops = unsafeFilter
	}
	if c.Blocks {
		p.nap = naps.New(td)
		p.nap.Name = "nap of a probe"
	}
	if c.Gated {
		p.gate = newGate()
	}
	if c.Blocks || c.Gated {
		p.ops = blockingFilter
		if c.Unsafe {
			p.ops = unsafeBlockingFilter
		}
	}
	return p
}

var (
	probes = machine.NewStock[Probe](nil)
	naps   = machine.NewStock[machine.WaitChan](nil)
	looks  = machine.NewStock[look](nil)
)

// Set makes the level n and posts.
func (p *Probe) Set(td *machine.Thread, n int64) { p.change(td, 0, n) }

// Add changes the level by delta and posts.
func (p *Probe) Add(td *machine.Thread, delta int64) { p.change(td, 1, delta) }

// change makes the level times*level + n and posts. If the filter may lose its
// domain the hint says which change it was: see look.
func (p *Probe) change(td *machine.Thread, times, n int64) {
	if p.ops == probeFilter {
		p.src.Enter(td)
		p.n = times*p.n + n
		p.src.Post(td, 0)
		// Nobody can come and see it before the end of this visit.
		td.Commit(event.Acted)
		p.src.Exit(td)
		return
	}
	if p.mp != nil {
		td.Get(p.mp)
	} else {
		p.src.Enter(td)
	}
	p.n = times*p.n + n
	td.Commit(event.Acted)
	p.changes++
	hint := p.changes
	if td.NoSleep {
		hint = 0 // it is asked with that after a look, whose answer counts no more
	}
	if p.mp != nil {
		td.Put(p.mp)
		p.src.Notify(td, hint)
		return
	}
	p.src.Post(td, hint)
	p.src.Exit(td)
}

// Hold makes every later call c of the filter block before it looks at the
// level, until Let. It is called in no domain, as are Let, Waiting and
// FailAttach, and needs none. All four panic on a probe that is not Gated.
func (p *Probe) Hold(td *machine.Thread, c Call) { p.gated().hold(td, c) }

// Let lets on the threads that block in call c, and those to come.
func (p *Probe) Let(td *machine.Thread, c Call) { p.gated().let(td, c) }

// Waiting sleeps until n threads at least block in call c, of those that came
// after the last Let.
func (p *Probe) Waiting(td *machine.Thread, c Call, n int) { p.gated().await(td, c, n) }

// FailAttach makes the attaching of a knote fail with err, after it has blocked
// if it must; nil ends that.
func (p *Probe) FailAttach(td *machine.Thread, err error) { p.gated().fail(td, err) }

func (p *Probe) gated() *gate {
	if p.gate == nil {
		panic("device: a probe made without ProbeConfig.Gated has no gate")
	}
	return p.gate
}

// Source returns the probe's list for Read and Write, EINVAL for any other
// filter.
func (p *Probe) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f != event.Read && f != event.Write {
		return nil, nil, syscall.EINVAL
	}
	return &p.src, p.ops, nil
}

// Sources returns the probe's one list.
func (p *Probe) Sources() []*kqueue.Source { return p.srcs[:] }

// Release does no more than look: a probe can be set as long as somebody has it. It
// may block, as long as entering a domain does.
func (p *Probe) Release(td *machine.Thread) {
	p.src.Enter(td)
	p.src.Bare()
	p.src.Exit(td)
}

// The four filters. All but the first may lose their domain in a call.
var (
	probeFilter          = &kqueue.Filter{Name: "probe", Attach: attachProbe, Touch: touchProbe, Level: value}
	unsafeFilter         = slowProbe(true, false)
	blockingFilter       = slowProbe(false, true)
	unsafeBlockingFilter = slowProbe(true, true)
)

func value(kn *kqueue.Knote) *int64 { return &kn.Hook.(*Probe).n }

func attachProbe(td *machine.Thread, kn *kqueue.Knote) error {
	kn.Hook = kn.File()
	return lowat(kn, kn.Want, kn.WantData, 1, math.MaxInt64)
}

func touchProbe(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	return lowat(kn, kev.Fflags, kev.Data, 1, math.MaxInt64)
}

// A look is what the filter of one knote has seen of a probe.
type look struct {
	*Probe
	changes int64
}

func slowProbe(unsafe, blocks bool) *kqueue.Filter {
	return &kqueue.Filter{
		Name:   "slow probe",
		Unsafe: unsafe,
		Blocks: blocks,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			p := kn.File().(*Probe)
			if err := p.block(td, InAttach); err != nil {
				return err
			}
			l := looks.New(td)
			l.Probe = p
			kn.Hook = l
			return lowat(kn, kn.Want, kn.WantData, 1, math.MaxInt64)
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) { kn.Hook.(*look).block(td, InDetach) },
		Touch:  touchProbe,
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			l := kn.Hook.(*look)
			l.block(td, InEvent)
			return l.at(kn, hint)
		},
	}
}

// at looks at the level, after all that may block: values are a snapshot at
// retrieval. A change that this knote has looked at before it was told of it is
// no news to it. Without that it would be returned twice, and nobody could say
// of a second event whether it is the core's fault:
//
//	Set 5                       kevent, EV_CLEAR
//	                            asks; the filter lets go of its domain
//	level 5; the knote is busy
//	                            the filter sees 5: returned
//	asks: 5                     <- returned again
func (l *look) at(kn *kqueue.Knote, hint int64) bool {
	if hint != 0 && hint <= l.changes {
		return false
	}
	l.changes = l.Probe.changes
	kn.Data = l.n
	return kn.Data >= kn.WantData
}

// nap is how long a call of a filter that Blocks sleeps: long enough for another
// thread to do a call or two, and short beside a script.
const nap = 5 * microsecond

// block is where the filter blocks, as it was made to. Interrupts and callouts,
// which must not sleep, pass.
func (p *Probe) block(td *machine.Thread, c Call) error {
	if p.nap != nil && !td.NoSleep {
		td.Interlock(p.nap)
		td.Sleep(td.Now() + nap)
	}
	if p.gate != nil {
		return p.gate.pass(td, c)
	}
	return nil
}
