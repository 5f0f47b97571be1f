//go:build linux

package poll_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

var (
	scriptsFlag = flag.Int("scripts", 2500, "how many random scripts TestLinux runs on Linux and here")
	fromFlag    = flag.Uint64("from", 0, "the seed of the first script of TestLinux; with -scripts 1 that one alone")
	mostFlag    = flag.Int("most", 1, "after how many unexplained differences TestLinux stops")
	scriptFlag  = flag.String("script", "", "a `file` with a script, an operation a line, that TestLinux runs instead")
)

// An ours carries out operations on the model.
type ours struct {
	k      *kqueue.Kernel
	p      *proc.Process
	td     *machine.Thread
	caller call.Caller
	*poll.Poller
	turn  int
	fault string // what is wrong on purpose; see faults
}

func newOurs(e strategies.Entry, fault string) *ours {
	m := machine.Native(1)
	k := kqueue.New(m, e.New(m))
	w := catalog.NewWorld(k)
	o := &ours{k: k, p: w.Process, td: m.Attach("script", 0), fault: fault}
	o.Poller = poll.New(o.td, k, o.p)
	o.caller.Begin(w, 1, 2, true)
	return o
}

func (o *ours) end() {
	for fd := maxFD; fd >= 0; fd-- {
		o.p.Close(o.td, fd)
	}
	o.Poller.Close(o.td)
	o.td.Detach()
}

func (o *ours) do(op *event.Op) event.Result {
	o.turn++
	r := o.once(op)
	return o.wrong(op, r)
}

func (o *ours) once(op *event.Op) event.Result {
	timeout := time.Duration(0)
	if op.Wait != event.NoWait {
		timeout = time.Microsecond
	}
	switch {
	case op.Call == event.CallPoll:
		return o.poll(op, timeout)
	case op.Call == event.CallSelect:
		return o.selects(op, timeout)
	case op.Call == event.CallDup2 && op.To > maxFD:
		return event.Result{Errno: syscall.EBADF}
	case (op.Call == event.CallRead || op.Call == event.CallWrite) && op.N == bulk:
		some := *op
		some.N = 4096
		for {
			if r := o.caller.Do(o.td, &some); r.N <= 0 {
				return event.Result{Errno: r.Errno}
			}
		}
	}
	r := o.caller.Do(o.td, op)
	if op.Call == event.CallPty && r.Errno == 0 { // both begin with the same modes
		o.caller.Do(o.td, &event.Op{Call: event.CallTermios, FD: int(r.N2)})
	}
	return r
}

func (o *ours) poll(op *event.Op, timeout time.Duration) (r event.Result) {
	fds := slices.Clone(op.FDs)
	var err error
	if o.turn%2 == 0 {
		_, err = o.Poll(o.td, fds, timeout)
	} else {
		_, err = o.PPoll(o.td, fds, &timeout, nil)
	}
	if err != nil {
		return answer(0, err)
	}
	for _, f := range fds {
		if f.Revents != 0 {
			r.Polled = append(r.Polled, event.Polled{ID: uint64(f.FD), Events: f.Revents})
		}
	}
	return r
}

func (o *ours) selects(op *event.Op, timeout time.Duration) event.Result {
	var sets [3]*poll.FDSet
	for i, set := range setOf {
		for _, f := range op.FDs {
			if f.FD >= 0 && f.Events&set != 0 {
				if sets[i] == nil {
					sets[i] = poll.NewFDSet()
				}
				sets[i].Set(int(f.FD))
			}
		}
	}
	var err error
	if o.turn%2 == 0 {
		_, err = o.Select(o.td, int(op.N), sets[0], sets[1], sets[2], &timeout)
	} else {
		_, err = o.PSelect(o.td, int(op.N), sets[0], sets[1], sets[2], &timeout, nil)
	}
	if err != nil {
		return answer(0, err)
	}
	return selected(op, func(set, fd int) bool { return sets[set].IsSet(fd) })
}

// A divergence is where a script has two answers.
type divergence struct {
	ops         []event.Op // the last of them is the one
	here, there event.Result
	*table             // what was known before it
	id          uint64 // the entry, or item, that is looked at
}

func (d *divergence) op() *event.Op { return &d.ops[len(d.ops)-1] }

// like reports whether d is of the same sort as o, as far as one can see.
func (d *divergence) like(o *divergence) bool {
	return d.op().Call == o.op().Call && d.here.Errno == o.here.Errno && d.there.Errno == o.there.Errno && d.kindOf(d.op().FD) == o.kindOf(o.op().FD)
}

func (d *divergence) String() string {
	return fmt.Sprintf("%v\n\there:     %v\n\ton Linux: %v", d.op(), d.here, d.there)
}

// compare runs operations as next gives them, until it gives none, or the answers differ.
// Slow is some time after each for what Linux does later.
func compare(e strategies.Entry, fault string, slow time.Duration, next func(w *table) *event.Op) (d *divergence, w *table) {
	o, l := newOurs(e, fault), &linux{dir: dir, ports: map[int64]int{}}
	defer o.end()
	defer l.end()
	w = &table{objs: map[int]*object{}, items: map[uint64]*object{}, waits: map[int64][]*object{}, edges: map[uint64]bool{}, rows: map[string]int{}}
	var ops []event.Op
	for op := next(w); op != nil; op = next(w) {
		ops = append(ops, *op)
		here, there := o.do(op), l.do(op)
		if slow > 0 {
			time.Sleep(slow)
		}
		if !here.Equal(there) {
			d := &divergence{ops: ops, here: here, there: there, table: w}
			row := explain(d)
			if row == nil || !row.goesOn && op.Call != event.CallPoll && op.Call != event.CallSelect {
				return d, w
			}
			w.rows[row.name]++
		}
		w.learn(op, here)
	}
	return nil, w
}

// dir is where fifos are made, for a moment each.
var dir string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if dir, err = os.MkdirTemp("", "fifos"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const slowly = 500 * time.Microsecond

// list gives given operations.
func list(ops []event.Op) func(*table) *event.Op {
	return func(*table) *event.Op {
		if len(ops) == 0 {
			return nil
		}
		op := &ops[0]
		ops = ops[1:]
		return op
	}
}

// draw plays the script of a seed.
func draw(seed uint64, fault string) (*divergence, *table) {
	g := newGenerator(seed)
	return compare(strategies.All[seed%uint64(len(strategies.All))], fault, 0, g.next)
}

// smaller leaves out operations as long as there is an answer that differs for no
// reason that is known.
func smaller(e strategies.Entry, fault string, d *divergence) *divergence {
	for chunk := len(d.ops) / 2; chunk > 0; {
		cut := false
		for at := 0; at+chunk < len(d.ops); {
			less := slices.Concat(d.ops[:at], d.ops[at+chunk:])
			if n, _ := compare(e, fault, slowly, list(less)); n != nil && explain(n) == nil && n.like(d) {
				d, cut = n, true
			} else {
				at += chunk
			}
		}
		if !cut || chunk > len(d.ops) {
			chunk /= 2
		}
	}
	return d
}

// TestLinux runs random scripts of calls on Linux's descriptors with its poll, select
// and epoll, and on ours: the answers are the same, but for the differences that are
// listed with their reasons. That each of those is one still is seen by TestLinuxRows.
//
//	go test ./model/poll -run TestLinux -scripts 100000
func TestLinux(t *testing.T) {
	canLinux(t)
	if *scriptFlag != "" {
		text, err := os.ReadFile(*scriptFlag)
		if err != nil {
			t.Fatal(err)
		}
		ops, err := parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := compare(strategies.All[0], "", slowly, list(ops)); d != nil {
			report(t, d, "", explain(d))
		}
		return
	}
	n := *scriptsFlag
	if (testing.Short() || raceEnabled) && n == 2500 {
		n = 800
	}
	start := time.Now()
	ops, late, failed := 0, 0, 0
	seen := map[string]int{}
	kinds := map[string]int{}
	for seed := *fromFlag; seed < *fromFlag+uint64(n); seed++ {
		d, w := draw(seed, "")
		ops += w.done
		for name, n := range w.rows {
			seen[name] += n
		}
		for _, k := range w.used {
			kinds[k]++
		}
		if d == nil {
			continue
		}
		row := explain(d)
		if row == nil { // perhaps Linux was not quite there yet
			again, _ := compare(strategies.All[seed%uint64(len(strategies.All))], "", slowly, list(d.ops))
			if again == nil {
				late++
				continue
			}
			if row = explain(again); row == nil { // under load it takes longer
				if once, _ := compare(strategies.All[seed%uint64(len(strategies.All))], "", 60*slowly, list(again.ops)); once == nil || explain(once) != nil {
					late++
					continue
				}
				again = smaller(strategies.All[seed%uint64(len(strategies.All))], "", again)
				report(t, again, fmt.Sprintf("go test ./model/poll -run TestLinux -scripts 1 -from %d", seed), nil)
				if failed++; failed == *mostFlag {
					return
				}
				continue
			}
		}
		seen[row.name]++
	}
	t.Logf("%d scripts, %d calls in %v; on %d Linux was late at first", n, ops, time.Since(start).Round(time.Millisecond), late)
	t.Logf("calls, and how many scripts made them: %s", counts(kinds))
	for i := range differences {
		row := &differences[i]
		t.Logf("%-24s %6d  %s", row.name, seen[row.name], row.reason)
	}
}

// TestLinuxRows: the example of each difference differs, and in that way.
func TestLinuxRows(t *testing.T) {
	canLinux(t)
	for i := range differences {
		row := &differences[i]
		t.Run(row.name, func(t *testing.T) {
			ops, err := parse(strings.ReplaceAll(row.example, ";;", "\n"))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range strategies.All {
				var d *divergence
				found := false
				for slow := slowly; !found && slow < 100*slowly; slow *= 3 {
					var w *table
					d, w = compare(e, "", slow, list(ops))
					found = w.rows[row.name] > 0 || d != nil && explain(d) == row
				}
				if found {
					continue
				}
				t.Errorf("%s: no such difference in\n%s\nbut %v", e.Name, strings.ReplaceAll(row.example, ";;", "\n"), d)
			}
		})
	}
}

func counts(m map[string]int) string {
	var words []string
	for k, n := range m {
		words = append(words, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func report(t *testing.T, d *divergence, repeat string, row *difference) {
	t.Helper()
	var b strings.Builder
	for i := range d.ops {
		fmt.Fprintf(&b, "%v\n", d.ops[i])
	}
	if row != nil {
		t.Logf("explained by %s:\n%s\t%v", row.name, &b, d)
		return
	}
	t.Errorf("the answers of the last call differ:\n%s\there:     %v\n\ton Linux: %v\nrepeat it with\n\t%s", &b, d.here, d.there, repeat)
}

// parse reads a script, an operation a line; # begins a comment.
func parse(text string) (ops []event.Op, err error) {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		op, wrong := event.ParseOp(line)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("line %d: %w", i+1, wrong))
		}
		ops = append(ops, op)
	}
	return ops, err
}

// faults are what is wrong on purpose with ours, each to be found by TestLinux.
var faults = []string{
	"a poll forgets HUP", "a poll forgets NVAL", "an epoll forgets RDHUP", "ET is lost after MOD",
	"ONESHOT is armed after an event", "items in the order of their udata", "an epoll forgets an item when its number is closed",
	"select takes a hang-up for nothing to read",
}

// wrong makes what o answers wrong.
func (o *ours) wrong(op *event.Op, r event.Result) event.Result {
	without := func(bits event.PollEvents) event.Result {
		var left []event.Polled
		for _, p := range r.Polled {
			if p.Events &^= bits; p.Events != 0 {
				left = append(left, p)
			}
		}
		r.Polled = left
		return r
	}
	switch {
	case o.fault == "":
	case o.fault == faults[0] && op.Call == event.CallPoll:
		return without(event.PollHup)
	case o.fault == faults[1] && op.Call == event.CallPoll:
		return without(event.PollNval)
	case o.fault == faults[2] && op.Call == event.CallEpollWait:
		return without(event.PollRdHup)
	case o.fault == faults[3] && op.Call == event.CallEpollCtl && op.Ctl == event.EpollMod && op.Events&event.EpollET != 0:
		o.once(&event.Op{Call: event.CallEpollWait, FD: op.FD, Room: 1})
	case o.fault == faults[4] && op.Call == event.CallEpollWait:
		for _, p := range r.Polled { // udata is the number that it was added with, see generator
			o.once(&event.Op{Call: event.CallEpollCtl, Ctl: event.EpollMod, FD: op.FD, To: int(p.ID % 100), Events: p.Events, Udata: p.ID})
		}
	case o.fault == faults[5] && op.Call == event.CallEpollWait:
		slices.SortFunc(r.Polled, func(a, b event.Polled) int { return int(a.ID) - int(b.ID) })
	case o.fault == faults[6] && op.Call == event.CallEpollWait:
		var left []event.Polled
		for _, p := range r.Polled {
			if _, err := o.p.File(o.td, int(p.ID%100)); err == nil {
				left = append(left, p)
			}
		}
		r.Polled = left
	case o.fault == faults[7] && op.Call == event.CallSelect:
		for i, p := range r.Polled {
			if q := o.once(&event.Op{Call: event.CallPoll, FDs: []event.PollFD{{FD: int32(p.ID)}}}); len(q.Polled) > 0 {
				r.Polled[i].Events &^= event.PollIn
			}
		}
		return without(0)
	}
	return r
}

// TestLinuxControl: each fault is found within the scripts that TestLinux runs.
func TestLinuxControl(t *testing.T) {
	canLinux(t)
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			n := uint64(*scriptsFlag)
			if raceEnabled {
				t.Skip("the race detector makes ten of each script, and finds nothing in one thread")
			}
			for seed := range n {
				d, _ := draw(seed, fault)
				if d == nil || explain(d) != nil {
					continue
				}
				again, _ := compare(strategies.All[seed%uint64(len(strategies.All))], fault, slowly, list(d.ops))
				if again == nil || explain(again) != nil {
					continue
				}
				t.Logf("found by script %d: %v", seed, again)
				return
			}
			t.Errorf("%d scripts do not find it", n)
		})
	}
}
