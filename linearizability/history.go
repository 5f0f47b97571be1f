package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kqlab/kqlab/model/event"
)

// Never is the return of an operation that has not returned.
const Never = math.MaxInt64

// A Record is one operation of a thread.
type Record struct {
	Thread int
	Call   int64 // nanoseconds since the recorder was made
	Return int64 // likewise; Never if the result is pending
	Op     event.Op
	Result event.Result
}

// A History is what all threads did until nothing moved any more, by call.
type History []Record

// String returns the history as text that [Parse] reads back.
func (h History) String() string {
	var b strings.Builder
	for _, r := range h {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// String returns the record as one line: thread, call, return, the operation,
// an arrow, the result. A return that is not known is a dash.
//
//	2 120 250 kevent 0 room=1 => events READ 1 data=5
//	3 130 - kevent 0 room=1 wait=forever => pending
func (r Record) String() string {
	ret := "-"
	if r.Return != Never {
		ret = strconv.FormatInt(r.Return, 10)
	}
	return fmt.Sprintf("%d %d %s %v => %v", r.Thread, r.Call, ret, r.Op, r.Result)
}

// Parse reads a history: a record a line, see [Record.String]; blank lines, and
// what follows a #, are for people. Name stands for the text in errors, which
// say line and column and what was expected there.
func Parse(name, text string) (History, error) {
	var h History
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		r, column, err := parseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", name, n, column, err)
		}
		h = append(h, r)
	}
	h.sort()
	last := map[int]Record{}
	for _, r := range h {
		if p, ok := last[r.Thread]; ok && p.Return > r.Call {
			return nil, fmt.Errorf("%s: thread %d calls %q at %d, before %q has returned: want one operation of a thread at a time",
				name, r.Thread, r.Op, r.Call, p.Op)
		}
		last[r.Thread] = r
	}
	return h, nil
}

func (h History) sort() {
	slices.SortStableFunc(h, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Return, b.Return), cmp.Compare(a.Thread, b.Thread))
	})
}

// parseRecord reads a line; of an error it returns the column, from 1.
func parseRecord(line string) (r Record, column int, err error) {
	rest := line
	at := func() int { return len(line) - len(rest) + 1 }
	word := func() (w string, column int) {
		rest = strings.TrimLeft(rest, " \t\r\v\f")
		column = at()
		if i := strings.IndexAny(rest, " \t\r\v\f"); i >= 0 {
			w, rest = rest[:i], rest[i:]
		} else {
			w, rest = rest, ""
		}
		return w, column
	}
	w, column := word()
	n, err := strconv.ParseUint(w, 10, 31)
	if err != nil {
		return r, column, fmt.Errorf("thread %q: want a number from 0 to 2^31-1", w)
	}
	r.Thread = int(n)
	w, column = word()
	if r.Call, err = strconv.ParseInt(w, 10, 64); err != nil || r.Call < 0 || r.Call >= Never-8 {
		return r, column, fmt.Errorf("call %q: want nanoseconds, 0 or more", w)
	}
	w, column = word()
	if r.Return = Never; w != "-" {
		if r.Return, err = strconv.ParseInt(w, 10, 64); err != nil || r.Return < r.Call || r.Return >= Never-8 {
			return r, column, fmt.Errorf("return %q: want nanoseconds, not before the call at %d, or - if it has not returned", w, r.Call)
		}
	}
	rest = strings.TrimLeft(rest, " \t\r\v\f")
	column = at()
	op, result, ok := strings.Cut(rest, "=>")
	if !ok {
		return r, len(line) + 1, fmt.Errorf("the line ends: want => and a result")
	}
	if r.Op, err = event.ParseOp(op); err != nil {
		return r, column, err
	}
	column += len(op) + len("=>")
	if r.Result, err = event.ParseResult(result); err != nil {
		return r, column, err
	}
	if r.Result.Pending != (r.Return == Never) {
		return r, column, fmt.Errorf("result %q: want pending if and only if the return is -", strings.TrimSpace(result))
	}
	return r, 0, nil
}

// A Recorder takes down what threads do, each in a log of its own, on one clock.
type Recorder struct {
	epoch time.Time
	mu    sync.Mutex
	logs  []*Log // guarded by mu
}

// NewRecorder returns a recorder whose clock begins now.
func NewRecorder() *Recorder { return &Recorder{epoch: time.Now()} }

// A Log is what one thread does. Only that thread uses it.
type Log struct {
	epoch  time.Time
	thread int
	n      int        // records in use
	last   []Record   // the block being filled
	blocks [][]Record // all of them; a log that were one slice would be copied as it grows
}

const block = 512 // records of a block, a power of two

// Log returns the log of a thread, with the given number in the history.
func (r *Recorder) Log(thread int) *Log {
	l := &Log{epoch: r.epoch, thread: thread}
	r.mu.Lock()
	defer r.mu.Unlock()
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
	rec.Op, rec.Return = op, Never
	rec.Call = int64(time.Since(l.epoch))
}

// turn goes on to the next block.
func (l *Log) turn() {
	if l.n/block == len(l.blocks) {
		l.blocks = append(l.blocks, make([]Record, block))
	}
	l.last = l.blocks[l.n/block]
}

// Return notes that the operation last called has returned result, by now. It
// keeps the events of result.
func (l *Log) Return(result event.Result) {
	at := int64(time.Since(l.epoch))
	rec := &l.last[(l.n-1)%block]
	rec.Return, rec.Result = at, result
}

// Reset forgets what has been recorded, and keeps the memory for what comes. It
// is called when no thread runs, as History is.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.logs {
		l.n = 0
	}
}

// History returns what has been recorded. It is called when no thread runs, and
// the caller knows so by something that orders their last notes before it.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	var h History
	for _, l := range r.logs {
		for i := range l.n {
			rec := l.blocks[i/block][i%block]
			rec.Thread = l.thread
			if rec.Return == Never {
				rec.Result = event.Result{Pending: true}
			}
			h = append(h, rec)
		}
	}
	h.sort()
	return h
}
