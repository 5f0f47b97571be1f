package linearizability

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// What a row of the picture is of.
type rowKind int

const (
	calls   rowKind = iota
	acts            // a run of steps of one call
	returns         //
	entire          // a call, all it did and its return, with nothing between
	ends            // the end of all, which pending calls go beyond
)

// A row is one line of the picture, in which time goes down.
type row struct {
	kind   rowKind
	call   int    // index of the record; -1 at the end of all
	Thread int    // who
	Lane   int    // its place from the left
	Number int    // in the order that the specification allows; 0 if it has none
	Text   string // with code between backticks
	At     string // when
	Stuck  bool   // what does not fit
	Bad    bool   // it is of a call that does not
	Beyond bool   // it comes after what does not fit
	Bars   []bar
}

// A bar is what one row has of a call, in the lane of its thread.
type bar struct {
	Lane         int
	Begins, Ends bool // in this row
	Stuck        bool // the call that does not fit
	Open         bool // it goes beyond the end
}

// Rows puts calls, the steps of the order and returns into one sequence. That can
// be done, since each step of an order is within its call.
type rows struct {
	h       History
	stuck   map[int]bool // calls that do not fit
	alone   bool         // they do not by themselves, and not by a step
	threads []int        // by lane
	moments []row        // calls and returns, by time, that are not in out yet
	times   []int64      // of the moments
	out     []row
	number  int
}

func newRows(h History, shown []int, stuck map[int]bool) *rows {
	b := &rows{h: h, stuck: stuck}
	type moment struct {
		row
		at int64
	}
	var all []moment
	for _, i := range shown {
		r := h[i]
		if !slices.Contains(b.threads, r.Thread) {
			b.threads = append(b.threads, r.Thread)
		}
		all = append(all, moment{row{kind: calls, call: i, Text: fmt.Sprintf("calls `%v`", r.Op)}, r.Call})
		if r.Return != Never {
			all = append(all, moment{row{kind: returns, call: i, Text: fmt.Sprintf("→ `%v`", r.answer())}, r.Return})
		}
	}
	slices.Sort(b.threads)
	slices.SortStableFunc(all, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind))
	})
	for _, m := range all {
		m.At = strconv.FormatInt(m.at, 10)
		b.moments, b.times = append(b.moments, m.row), append(b.times, m.at)
	}
	return b
}

// until takes over what was called up to an instant, and what has returned
// before it: an instant in which one returns and another calls is of both.
func (b *rows) until(at int64) {
	for len(b.moments) > 0 && (b.times[0] < at || b.times[0] == at && b.moments[0].kind == calls) {
		b.out = append(b.out, b.moments[0])
		b.moments, b.times = b.moments[1:], b.times[1:]
	}
}

// step adds a step of the order.
func (b *rows) step(call int, text string) {
	if n := len(b.out); n > 0 && b.out[n-1].kind == acts && b.out[n-1].call == call {
		b.out[n-1].Text += ", " + text
		return
	}
	b.number++
	b.out = append(b.out, row{kind: acts, call: call, Number: b.number, Text: text})
}

// finish takes over what is left, makes one row of a call and a return with
// nothing but its own steps between, and draws the bars.
func (b *rows) finish() []row {
	from := len(b.out)
	b.until(Never)
	for i := from; i < len(b.out); i++ {
		b.out[i].Beyond = true
	}
	b.join()
	open := map[int]int{} // call by lane
	for i := range b.out {
		r := &b.out[i]
		r.Thread = b.h[r.call].Thread
		r.Lane = slices.Index(b.threads, r.Thread)
		r.Bad = b.stuck[r.call]
		open[r.Lane] = r.call
		for _, lane := range slices.Sorted(maps.Keys(open)) {
			call, own := open[lane], lane == r.Lane
			whole := own && r.kind == entire
			r.Bars = append(r.Bars, bar{Lane: lane, Stuck: b.stuck[call],
				Begins: own && r.kind == calls || whole, Ends: own && r.kind == returns || whole})
		}
		over := r.kind == returns || r.kind == entire
		if b.alone && b.stuck[r.call] && (over || b.h[r.call].Return == Never) {
			r.Stuck = true
		}
		if over {
			delete(open, r.Lane)
		}
	}
	if len(open) > 0 {
		end := row{kind: ends, call: -1, Text: "nothing moves any more", Lane: -1}
		for _, lane := range slices.Sorted(maps.Keys(open)) {
			end.Bars = append(end.Bars, bar{Lane: lane, Stuck: b.stuck[open[lane]], Open: true})
		}
		b.out = append(b.out, end)
	}
	return b.out
}

func (b *rows) join() {
	var out []row
	for i := 0; i < len(b.out); i++ {
		r := b.out[i]
		j := i + 1
		if r.kind == calls && j < len(b.out) && b.out[j].kind == acts && b.out[j].call == r.call && !b.out[j].Stuck {
			r.Number = b.out[j].Number
			j++
		}
		if r.kind == calls && j < len(b.out) && b.out[j].kind == returns && b.out[j].call == r.call {
			rec := b.h[r.call]
			r.kind, r.Text = entire, fmt.Sprintf("`%v` → `%v`", rec.Op, rec.answer())
			i = j
		} else {
			r.Number = b.out[i].Number
		}
		out = append(out, r)
	}
	b.out = out
}

// answer is what a call has answered, in words where the text form has none.
func (r *Record) answer() string {
	if r.Result.Errno == 0 && r.Result.N == 0 && !r.Result.Pending && len(r.Result.Events)+len(r.Result.Polled) == 0 {
		switch c := r.Op.Call; {
		case c.Makes() == 1, c == event.CallRead, c == event.CallWrite, c == event.CallSend, c == event.CallRecv, c == event.CallInput, c == event.CallOutput, c == event.CallSeek:
			return "0"
		case c == event.CallKevent && r.Op.Room > 0:
			return "no event"
		case c == event.CallPoll, c == event.CallSelect, c == event.CallEpollWait:
			return "nothing"
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(r.Result.String(), "events "), "polled ")
}

// X is the middle of the bar, in pixels.
func (b bar) X() int { return laneWidth*b.Lane + laneWidth/2 }

// X is the middle of the row's lane, in pixels.
func (r row) X() int { return laneWidth*r.Lane + laneWidth/2 }

const laneWidth = 26

// Hue is the number of the colour of a lane.
func (b bar) Hue() int { return b.Lane%hues + 1 }

// Hue is the number of the colour of a row's lane.
func (r row) Hue() int { return r.Lane%hues + 1 }

const hues = 6

// Kind is the class of the row.
func (r row) Kind() string {
	return [...]string{calls: "calls", acts: "acts", returns: "returns", entire: "entire", ends: "ends"}[r.kind]
}
