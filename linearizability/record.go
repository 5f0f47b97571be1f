package linearizability

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kqlab/kqlab/model/event"
)

// A Clock tells instants: numbers that grow. Of two readings of which one ends
// before the other begins, on whatever CPU, the later is not the smaller.
type Clock func() int64

// Turns returns a clock that counts its own readings. It is the cheapest, and
// no two instants of it are equal; but a reading is an atomic addition, which
// orders all threads, and so hides races from the race detector: see [Elapsed].
func Turns() Clock {
	var turn atomic.Int64
	return func() int64 { return turn.Add(1) }
}

// Elapsed returns a clock of nanoseconds from now on. It orders nobody. One
// base for all readings costs half of what two instants and their difference
// would.
func Elapsed() Clock {
	base := time.Now()
	return func() int64 { return int64(time.Since(base)) }
}

// A Recorder takes down what threads do, each in a log of its own, on one clock.
type Recorder struct {
	clock Clock
	mu    sync.Mutex
	logs  []*Log // guarded by mu

	view   History // of View
	stamps []Stamp // of its records
	heads  []int   // scratch of history; guarded by mu
}

// NewRecorder returns a recorder on the given clock; on nil on one that suits
// the build: [Turns], but under the race detector [Elapsed].
func NewRecorder(clock Clock) *Recorder {
	switch {
	case clock != nil:
	case raceEnabled:
		clock = Elapsed()
	default:
		clock = Turns()
	}
	return &Recorder{clock: clock}
}

// A Log is what one thread does. Only that thread uses it. It is told of the
// thread's commit points by machine.Thread.Listen.
type Log struct {
	clock  Clock
	thread int
	n      int        // records in use
	last   []logged   // the block being filled
	blocks [][]logged // all of them; a log that were one slice would be copied as it grows
	stamps []Stamp
}

// A logged record is one whose steps are the stamps from an index on, up to
// another; to 0 while it is under way.
type logged struct {
	Record
	from, to int
}

const block = 64 // records of a block, a power of two

// Log returns a log for a thread, with the given number in the history. A
// thread may have several, one after another.
func (r *Recorder) Log(thread int) *Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.logs) < cap(r.logs) { // one that Reset has left
		if l := r.logs[:len(r.logs)+1][len(r.logs)]; l != nil {
			r.logs = r.logs[:len(r.logs)+1]
			l.thread = thread
			return l
		}
	}
	l := &Log{clock: r.clock, thread: thread}
	r.logs = append(r.logs, l)
	return l
}

// Call notes that the thread calls op now. It keeps the changes of op.
func (l *Log) Call(op event.Op) {
	if l.n%block == 0 {
		l.turn()
	}
	rec := &l.last[l.n%block]
	l.n++
	rec.Thread, rec.Op, rec.Return = l.thread, op, Never
	rec.Result = event.Result{Pending: true}
	rec.from, rec.to = len(l.stamps), 0
	rec.Call = l.clock()
}

// turn goes on to the next block.
func (l *Log) turn() {
	l.Grow(l.n + 1)
	l.last = l.blocks[l.n/block]
}

// Commit notes that a step of the operation under way takes effect now.
func (l *Log) Commit(s event.Step) { l.stamps = append(l.stamps, Stamp{l.clock(), s}) }

// Return notes that the operation last called has returned result, by now. It
// keeps the events of result.
func (l *Log) Return(result event.Result) {
	at := l.clock()
	rec := &l.last[(l.n-1)%block]
	rec.Return, rec.Result = at, result
	rec.to = len(l.stamps)
}

// Reset forgets what has been recorded and all logs, and keeps the memory for
// what comes. It is called when no thread runs, as History is.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.logs {
		l.n, l.stamps = 0, l.stamps[:0]
	}
	r.logs = r.logs[:0]
}

// History returns what has been recorded. It is called when no thread runs, and
// the caller knows so by something that orders their last notes before it.
func (r *Recorder) History() History {
	h, _ := r.history(nil, nil)
	return h
}

// View returns what History does, in memory of the recorder's own, as it is the
// events of the results: it is good until the next View.
func (r *Recorder) View() History {
	r.view, r.stamps = r.history(r.view[:0], r.stamps[:0])
	return r.view
}

func (r *Recorder) history(h History, all []Stamp) (History, []Stamp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records, stamps := 0, 0
	for _, l := range r.logs {
		records += l.n
		stamps += len(l.stamps)
	}
	h, all = slices.Grow(h, records), slices.Grow(all, stamps)
	// Each log is in order: merge them. There are few.
	heads := append(r.heads[:0], make([]int, len(r.logs))...)
	r.heads = heads
	for len(h) < records {
		var l *Log
		var next *logged
		at := 0
		for i, o := range r.logs {
			if heads[i] == o.n {
				continue
			}
			rec := o.at(heads[i])
			if next == nil || rec.Call < next.Call || rec.Call == next.Call && cmp.Or(cmp.Compare(rec.Return, next.Return), cmp.Compare(o.thread, l.thread)) < 0 {
				l, next, at = o, rec, i
			}
		}
		h = append(h, next.Record)
		heads[at]++
		to := next.to
		if next.Return == Never {
			to = len(l.stamps)
		}
		if next.from < to {
			from := len(all)
			all = append(all, l.stamps[next.from:to]...)
			h[len(h)-1].Steps = all[from:len(all):len(all)]
		}
	}
	return h, all
}

func (l *Log) at(i int) *logged { return &l.blocks[i/block][i%block] }

// Records returns what is known of a thread that may still run: of so many
// operations the call, and of so many the return too. The caller knows by
// something that the thread does after it has noted them. There are no commit
// points in them.
func (l *Log) Records(begun, ended int) (h History) {
	for i := range begun {
		h = append(h, l.record(i, i < ended))
	}
	return h
}

func (l *Log) record(i int, ended bool) Record {
	rec := l.at(i)
	r := Record{Thread: l.thread, Call: rec.Call, Return: Never, Op: rec.Op, Result: event.Result{Pending: true}}
	if ended {
		r.Return, r.Result = rec.Return, rec.Result
	}
	return r
}

// Grow makes room for so many operations, so that Records may be called while
// the thread notes them.
func (l *Log) Grow(operations int) {
	for len(l.blocks)*block < operations {
		l.blocks = append(l.blocks, make([]logged, block))
	}
}
