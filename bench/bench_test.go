package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

const seed = 7

// run measures as briefly as can be.
func run(t *testing.T, o bench.Options) []bench.Record {
	t.Helper()
	if o.Strategies == nil {
		o.Strategies = strategies.All
	}
	if o.Budget == 0 {
		o.Budget = time.Nanosecond
	}
	o.Seed = seed
	recs, err := bench.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func workload(t *testing.T, name string) *bench.Workload {
	t.Helper()
	for _, w := range bench.Workloads() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no workload %q", name)
	return nil
}

// Every workload counts what it sends and what arrives, and fails if they
// differ: see TestLeak.
func TestConservation(t *testing.T) {
	for _, w := range bench.Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			n, err := bench.Once(context.Background(), w, strategies.All)
			if err != nil {
				t.Fatal(err)
			}
			if least := w.Shapes() * len(strategies.All) * 8; n < least {
				t.Errorf("%d figures, want %d at least", n, least)
			}
		})
	}
}

func TestRecordsAreComplete(t *testing.T) {
	metrics := []string{
		"ns/event", "entries/event", "contended/event", "migrations/event",
		"ipis/event", "wakeups/event", "wasted/event", "allocs/event",
	}
	recs, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{} // workload, strategy and metric
	for _, r := range recs {
		if (r.Strategy == "") != (r.Workload == "reference") {
			t.Errorf("%+v: only references have no strategy", r)
		}
		if !(r.Min <= r.Median && r.Median <= r.Max) || math.IsInf(r.Max, 0) {
			t.Errorf("%+v: not in order", r)
		}
		if r.Unit == "ns" && r.Min <= 0 {
			t.Errorf("%+v: took no time", r)
		}
		if r.Rounds < 3 || r.Rounds != len(r.Values()) || r.Seed != seed || r.Machine == "" || r.Go != runtime.Version() || r.Partial {
			t.Errorf("%+v: how it was measured is not right", r)
		}
		got[r.Workload+" "+r.Strategy+" "+r.Metric]++
	}
	for _, w := range bench.Workloads() {
		for _, s := range strategies.All {
			for _, m := range metrics {
				if got[w.Name+" "+s.Name+" "+m] == 0 {
					t.Errorf("%s of %s has no %s", w.Name, s.Name, m)
				}
			}
		}
		if got[w.Name+" giant a/a"] == 0 || got[w.Name+" pcpu a/a"] != 0 {
			t.Errorf("%s: the control is not giant against itself", w.Name)
		}
	}
}

// everything is one brief run of all workloads. To open ten thousand pipes for
// each trial would take most of its time, so the limit does not allow them.
var everything = sync.OnceValues(func() ([]bench.Record, error) {
	undo, err := limitFiles(4096)
	if err != nil {
		return nil, err
	}
	defer undo()
	return bench.Run(context.Background(), bench.Options{
		Strategies: strategies.All, Workloads: bench.Workloads(), Budget: time.Nanosecond, Seed: seed,
	})
})

func TestReferences(t *testing.T) {
	recs := run(t, bench.Options{Workloads: bench.Workloads()[:1], Strategies: strategies.All[:1]})
	for _, op := range []string{"mutex", "cas", "epoll"} {
		if !slices.ContainsFunc(recs, func(r bench.Record) bool {
			return r.Workload == "reference" && cmp.Equal(r.Parameters, map[string]any{"op": op})
		}) {
			t.Errorf("no reference %q", op)
		}
	}
}

func TestJSON(t *testing.T) {
	recs := run(t, bench.Options{Workloads: []*bench.Workload{workload(t, "single")}})
	var b bytes.Buffer
	if err := bench.WriteJSON(&b, recs); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(recs) {
		t.Fatalf("%d lines for %d records", len(lines), len(recs))
	}
	want := []string{"go", "machine", "max", "median", "metric", "min", "parameters", "rounds", "seed", "strategy", "unit", "workload"}
	for i, line := range lines {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var keys []string
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if d := cmp.Diff(want, keys); d != "" {
			t.Fatalf("%s: %s", line, d)
		}
		var back bench.Record
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatal(err)
		}
		if back.Median != recs[i].Median || back.Workload != recs[i].Workload || back.Rounds != recs[i].Rounds {
			t.Errorf("read back %+v, want %+v", back, recs[i])
		}
	}
	for _, prefix := range []string{
		`{"workload":"single","parameters":{"batch":64},"strategy":"giant","metric":"ns/event","unit":"ns","median":`,
		`{"workload":"reference","parameters":{"op":"mutex"},"strategy":"","metric":"ns/event","unit":"ns","median":`,
	} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) }) {
			t.Errorf("no line begins with %s", prefix)
		}
	}
}

func ExampleWriteJSON() {
	bench.WriteJSON(os.Stdout, []bench.Record{{
		Workload: "single", Parameters: map[string]any{"batch": 64}, Strategy: "giant",
		Metric: "ns/event", Unit: "ns", Median: 27.1, Min: 26, Max: 29.9, Rounds: 9, Seed: 1,
		Machine: "a computer", Go: "go1.26",
	}})
	// Output:
	// {"workload":"single","parameters":{"batch":64},"strategy":"giant","metric":"ns/event","unit":"ns","median":27.1,"min":26,"max":29.9,"rounds":9,"seed":1,"machine":"a computer","go":"go1.26"}
}

func TestBenchFormatReadsBack(t *testing.T) {
	recs := run(t, bench.Options{Workloads: []*bench.Workload{workload(t, "single"), workload(t, "disjoint")}})
	var b bytes.Buffer
	if err := bench.WriteBench(&b, recs); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float64{} // by name and unit
	r := benchfmt.NewReader(&b, "bench.txt")
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			for _, v := range rec.Values {
				x, unit := v.Value, v.Unit
				if v.OrigUnit != "" {
					x, unit = v.OrigValue, v.OrigUnit
				}
				k := rec.Name.String() + " " + unit
				got[k] = append(got[k], x)
			}
			if rec.GetConfig("cpu") != recs[0].Machine || rec.GetConfig("seed") != fmt.Sprint(seed) {
				t.Errorf("configuration %+v", rec.Config)
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(recs) {
		t.Errorf("%d series came back, want %d", len(got), len(recs))
	}
	for name, want := range map[string]bench.Record{
		"Single/strategy=giant/batch=64 ns/event":              pick(recs, "single", "giant", "ns/event", map[string]any{"batch": 64}),
		"Disjoint/strategy=pcpu/batch=64/threads=2 speedup":    pick(recs, "disjoint", "pcpu", "speedup", map[string]any{"batch": 64, "threads": 2}),
		"Reference/op=mutex ns/event":                          pick(recs, "reference", "", "ns/event", map[string]any{"op": "mutex"}),
		"Single/strategy=pcpu/call=empty-harvest allocs/event": pick(recs, "single", "pcpu", "allocs/event", map[string]any{"call": "empty harvest"}),
	} {
		if d := cmp.Diff(want.Values(), got[name], cmp.Comparer(near)); d != "" || len(got[name]) == 0 {
			t.Errorf("%s: %s", name, d)
		}
	}
	if r.Units().GetBetter("speedup") != 1 || r.Units().GetBetter("ns/event") != -1 {
		t.Error("the units do not say which way is better")
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(math.Abs(a), 1) }

func pick(recs []bench.Record, workload, strategy, metric string, params map[string]any) bench.Record {
	for _, r := range recs {
		if r.Workload == workload && r.Strategy == strategy && r.Metric == metric && cmp.Equal(r.Parameters, params) {
			return r
		}
	}
	return bench.Record{}
}

// A run that is cut short hands out what it has, and says that it was.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	measured := 0
	recs, err := bench.Run(ctx, bench.Options{
		Strategies: strategies.All,
		Workloads:  []*bench.Workload{workload(t, "single")},
		Budget:     time.Nanosecond,
		Progress: func(done, total int, what string) {
			if done < 0 || done > total {
				t.Errorf("%d of %d: %s", done, total, what)
			}
			if !strings.HasSuffix(what, "calibrating") {
				if measured++; measured == 10 {
					cancel()
				}
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if len(recs) == 0 {
		t.Fatal("nothing is left of what was measured")
	}
	for _, r := range recs {
		if !r.Partial {
			t.Errorf("%+v is not marked partial", r)
		}
	}
	var b bytes.Buffer
	if bench.Table(&b, recs, false); !strings.Contains(b.String(), "partial") {
		t.Error("the table does not say partial")
	}
}

func TestNothingToDo(t *testing.T) {
	for _, o := range []bench.Options{{Workloads: bench.Workloads()}, {Strategies: strategies.All}} {
		if recs, err := bench.Run(context.Background(), o); err == nil || recs != nil {
			t.Errorf("%d records and error %v, want an error", len(recs), err)
		}
	}
}

// The same seed gives the same order, another one another.
func TestSeedDecidesOrder(t *testing.T) {
	order := func(seed uint64) (what []string) {
		_, err := bench.Run(context.Background(), bench.Options{
			Strategies: strategies.All, Workloads: []*bench.Workload{workload(t, "single")},
			Budget: time.Nanosecond, Seed: seed,
			Progress: func(_, _ int, s string) { what = append(what, s) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return what
	}
	one, same, other := order(1), order(1), order(2)
	if d := cmp.Diff(one, same); d != "" {
		t.Errorf("seed 1 twice: %s", d)
	}
	if cmp.Equal(one, other) {
		t.Error("seeds 1 and 2 give the same order")
	}
}

// limitFiles lowers the limit on descriptors, if it is higher.
func limitFiles(n uint64) (undo func(), err error) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		return nil, err
	}
	low := was
	low.Cur = min(low.Cur, n)
	return func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) }, unix.Setrlimit(unix.RLIMIT_NOFILE, &low)
}

// What the limit on descriptors does not allow is left out, and said so.
func TestDescriptorLimit(t *testing.T) {
	undo, err := limitFiles(1000)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	var notes []string
	recs := run(t, bench.Options{
		Workloads: []*bench.Workload{workload(t, "hostpipe")},
		Note:      func(s string) { notes = append(notes, s) },
	})
	for _, want := range []string{
		"hostpipe: 12 parameter sets are left out (strategies, epoll-pipes, fionread-pipes, poll-pipes): 1000 pipes take 2",
		"hostpipe: 4 parameter sets are left out (strategies, epoll-pipes, fionread-pipes, poll-pipes): 9900 pipes take 19",
		"the limit (ulimit -n) is 1000",
	} {
		if !strings.Contains(strings.Join(notes, "\n"), want) {
			t.Errorf("no note says %q: %q", want, notes)
		}
	}
	if r := pick(recs, "hostpipe", "giant", "ns/event", map[string]any{"pipes": 100, "active": 1, "writes": 100}); r.Rounds == 0 {
		t.Error("100 pipes were left out too")
	}
}

// So are the references that the limit does not allow.
func TestDescriptorLimitOfReferences(t *testing.T) {
	undo, err := limitFiles(70)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	var notes []string
	recs := run(t, bench.Options{
		Workloads: []*bench.Workload{workload(t, "churn")},
		Note:      func(s string) { notes = append(notes, s) },
	})
	if !slices.ContainsFunc(notes, func(s string) bool {
		return strings.HasPrefix(s, "reference op=epoll is left out: 64 eventfds take")
	}) {
		t.Errorf("no note says that epoll is left out: %q", notes)
	}
	if r := pick(recs, "reference", "", "ns/event", map[string]any{"op": "mutex"}); r.Rounds == 0 {
		t.Error("the mutex was left out too")
	}
}

// A leaky strategy keeps sources and queues apart, and loses one delivery in
// a hundred.
type leaky struct{ source, queue kqueue.Place }

type leak struct {
	mu   *machine.Mutex
	lost *int
}

func (d leak) Enter(td *machine.Thread) { d.mu.Lock(td) }
func (d leak) Exit(td *machine.Thread)  { d.mu.Unlock(td) }
func (d leak) Sleep(td *machine.Thread, until time.Duration) error {
	d.mu.Unlock(td)
	defer d.mu.Lock(td)
	return td.Sleep(until)
}

func (d leak) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	if *d.lost++; *d.lost%20 == 0 {
		return
	}
	d.mu.Lock(td)
	kqueue.Activate(td, kn)
	d.mu.Unlock(td)
}

func (l *leaky) Source(*machine.Thread) *kqueue.Place { return &l.source }
func (l *leaky) Queue(*machine.Thread) *kqueue.Place  { return &l.queue }

// TestLeak is the control of TestConservation: where events are lost each
// workload must say so, and end.
func TestLeak(t *testing.T) {
	defer bench.Stalled(200 * time.Millisecond)()
	entry := strategies.Entry{Name: "leaky", New: func(*machine.Machine) kqueue.Strategy {
		lost := new(int)
		return &leaky{
			source: kqueue.Place{Domain: leak{new(machine.Mutex), lost}},
			queue:  kqueue.Place{Domain: leak{new(machine.Mutex), lost}},
		}
	}}
	for _, w := range bench.Workloads() {
		switch w.Name {
		case "churn", "hostpipe":
			continue // deliver too little in a moment to lose one
		}
		t.Run(w.Name, func(t *testing.T) {
			_, err := bench.Run(context.Background(), bench.Options{
				Strategies: []strategies.Entry{entry}, Workloads: []*bench.Workload{w}, Budget: 500 * time.Millisecond, Seed: seed,
			})
			if err == nil {
				t.Fatal("lost events were not noticed")
			}
			for _, want := range []string{w.Name, "leaky", "seed 7"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// A moody strategy is giant until its mood turns; then to enter is to panic, or
// to stay for ever.
type moody struct {
	machine.Token
	turned *atomic.Bool
	hang   bool

	patience int // enters before the mood shows; guarded by Token
}

func (m *moody) Source(*machine.Thread) *kqueue.Place { return &kqueue.Place{Domain: m} }
func (m *moody) Queue(*machine.Thread) *kqueue.Place  { return &kqueue.Place{Domain: m} }
func (m *moody) Enter(td *machine.Thread) {
	td.Get(&m.Token)
	switch {
	case !m.turned.Load():
	case m.patience > 0:
		m.patience--
	case m.hang:
		select {}
	default:
		panic("enough of this")
	}
}
func (m *moody) Exit(td *machine.Thread)                             { td.Put(&m.Token) }
func (m *moody) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (m *moody) Deliver(td *machine.Thread, kn *kqueue.Knote)        { kqueue.Activate(td, kn) }

// What was measured outlives a strategy that panics or hangs, on a thread of
// the machine or on the trial's own goroutine.
func TestWhatWasMeasuredOutlivesAStrategy(t *testing.T) {
	defer bench.Stalled(200 * time.Millisecond)()
	for _, c := range []struct {
		name, workload string
		hang, late     bool
		want           string
	}{
		{"panic", "shared", false, false, "panic: enough of this, in github.com/kqlab/kqlab/bench_test.(*moody).Enter (bench_test.go:"},
		{"panic of a thread", "shared", false, true, "panic: enough of this, in "},
		{"hang", "shared", true, false, "the trial does not end"},
		{"hang of a thread", "churn", true, true, "the trial does not end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var turned atomic.Bool
			var measured int
			bad := strategies.Entry{Name: "moody", New: func(*machine.Machine) kqueue.Strategy {
				m := &moody{turned: &turned, hang: c.hang}
				if c.late {
					m.patience = 150 // makers enter less often
				}
				return m
			}}
			recs, err := bench.Run(context.Background(), bench.Options{
				Strategies: append(slices.Clone(strategies.All[:1]), bad),
				Workloads:  []*bench.Workload{workload(t, c.workload)},
				Budget:     time.Second,
				Seed:       seed,
				Progress: func(_, _ int, what string) {
					if strings.HasSuffix(what, "calibrating") {
						return
					}
					if measured++; measured >= 9 { // after the first round, which has the mutex
						turned.Store(true)
					}
				},
			})
			var f *bench.Failure
			if !errors.As(err, &f) || f.Strategy != "moody" || f.Workload != c.workload {
				t.Fatalf("error %v, want a failure of moody in %s", err, c.workload)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
			if r := pick(recs, "reference", "", "ns/event", map[string]any{"op": "mutex"}); r.Rounds == 0 || !r.Partial {
				t.Errorf("the mutex of the rounds before is lost: %+v", r)
			}
		})
	}
}

// made returns records of two strategies whose figures are known.
func made(giant, other float64, control ...float64) []bench.Record {
	rec := bench.Record{
		Workload: "single", Parameters: map[string]any{"batch": 64}, Strategy: "giant", Metric: "ns/event", Unit: "ns",
		Machine: "a computer", Go: "go", Seed: 1,
	}
	at := func(r bench.Record, strategy, metric string, x float64) bench.Record {
		r.Strategy, r.Metric, r.Median, r.Min, r.Max = strategy, metric, x, x, x
		return r.With(x)
	}
	ref := rec
	ref.Workload, ref.Parameters = "reference", map[string]any{"op": "mutex"}
	aa := at(rec, "giant", "a/a", 1).With(control...)
	aa.Min, aa.Max = slices.Min(control), slices.Max(control)
	return []bench.Record{
		at(ref, "", "ns/event", 10),
		at(rec, "giant", "ns/event", giant), aa,
		at(rec, "pcpu", "ns/event", other),
	}
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name    string
		other   float64
		control []float64
		alike   bool
	}{
		{"inside the spread", 26, []float64{0.9, 0.95, 1, 1, 1.02, 1.03, 1.1}, true},
		{"outside of it", 20, []float64{0.9, 0.95, 1, 1, 1.02, 1.03, 1.1}, false},
		{"a wide spread", 20, []float64{0.6, 0.7, 1, 1, 1.2, 1.3, 1.5}, true},
		{"few rounds", 20, []float64{0.7, 1, 1.1}, true},
		{"one outlier among many rounds", 20, []float64{0.1, 1, 1, 1, 1, 1, 1, 1, 1, 1.01, 1.02}, false},
	} {
		var b bytes.Buffer
		bench.Table(&b, made(25, c.other, c.control...), false)
		if got := strings.Contains(b.String(), "≈"); got != c.alike {
			t.Errorf("%s: printed as alike: %v\n%s", c.name, got, b.String())
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: colour where none was asked for", c.name)
		}
		if !strings.Contains(b.String(), "2.50") {
			t.Errorf("%s: no ratio to M\n%s", c.name, b.String())
		}
		b.Reset()
		if bench.Table(&b, made(25, c.other, c.control...), true); !strings.Contains(b.String(), "\x1b[") {
			t.Errorf("%s: no colour", c.name)
		}
	}
	var b bytes.Buffer
	if bench.Table(&b, nil, false); b.Len() == 0 {
		t.Error("an empty table says nothing")
	}
}

// No line is wider than a terminal usually is, whatever was measured.
func TestTableFits(t *testing.T) {
	recs, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	// The longest that the columns of any workload have to hold.
	recs = slices.Clone(recs)
	for i := range recs {
		if recs[i].Unit == "ns" {
			recs[i].Median, recs[i].Min, recs[i].Max = 123456, 123456, 1234567
		}
	}
	big := slices.Clone(recs)
	for i := range big {
		if r := &big[i]; r.Workload == "reference" && r.Metric == "ns/event" {
			r.Median = 100
		}
	}
	for _, recs := range [][]bench.Record{recs, big} {
		var b bytes.Buffer
		bench.Table(&b, recs, false)
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("%d columns, want 100 at most: %s", n, line)
			}
		}
		for _, want := range []string{"migrations", "ipis", "wakeups", "entries", "filter=function: "} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the tables lack %q", want)
			}
		}
	}
}

func TestGoals(t *testing.T) {
	goals := bench.Goals(made(17, 12, 1))
	var got []string
	for _, g := range goals {
		got = append(got, g.String())
	}
	want := []string{
		"goal 1, giant: single, batch 64, ÷ M: 1.7, want at most 1.8: reached",
		"goal 1, pcpu: single, batch 64, ÷ M: 1.2, want at most 1.1: missed",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if g := bench.Goals(nil); len(g) != 0 {
		t.Errorf("goals out of nothing: %v", g)
	}
	all, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[int]bool{}
	for _, g := range bench.Goals(all) {
		numbers[g.Number] = true
		if math.IsNaN(g.Ratio) || g.Reached != (g.AtLeast && g.Ratio >= g.Bound || !g.AtLeast && g.Ratio <= g.Bound) {
			t.Errorf("%+v", g)
		}
	}
	for _, n := range []int{1, 2, 4, 6, 7, 8, 9, 10} {
		if !numbers[n] {
			t.Errorf("goal %d has no figure in a run of everything", n)
		}
	}
}

// The slowdown by a driver that is not MP-safe is the ratio of what was measured a moment
// apart, in each round.
func TestSlowdown(t *testing.T) {
	recs := run(t, bench.Options{Workloads: []*bench.Workload{workload(t, "blockingfilter")}})
	for _, s := range strategies.All {
		params := func(filter string) map[string]any {
			return map[string]any{"device": "keyboard", "threads": 1, "filter": filter}
		}
		safe := pick(recs, "blockingfilter", s.Name, "ns/event", params("safe")).Values()
		unsafe := pick(recs, "blockingfilter", s.Name, "ns/event", params("unsafe")).Values()
		slower := pick(recs, "blockingfilter", s.Name, "slowdown", params("unsafe")).Values()
		if len(slower) == 0 || len(safe) != len(slower) || len(unsafe) != len(slower) {
			t.Fatalf("%s: %d, %d and %d rounds", s.Name, len(safe), len(unsafe), len(slower))
		}
		for i, x := range slower {
			if !near(x, unsafe[i]/safe[i]) {
				t.Errorf("%s, round %d: a slowdown of %v, of %v to %v ns", s.Name, i, x, unsafe[i], safe[i])
			}
		}
	}
}
