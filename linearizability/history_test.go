package linearizability_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

func ExampleCheck() {
	h, err := linearizability.Parse("example", `
		0  0   1  kqueue => 0
		0  2   3  probe => 1
		0  4   5  set 1 7 => ok
		0  6   7  kevent 0: READ 1 ADD => ok
		1  10  20 kevent 0: READ 1 DELETE => ok
		2  30  40 kevent 0 room=1 => events READ 1 data=7`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range linearizability.Check(h, linearizability.Options{}).Findings {
		fmt.Println(f)
	}
	// Output:
	// violation: READ 1 on kqueue 0: nothing after the end: a call that begins after EV_DELETE, EV_DISABLE or close(fd) returned never returns that knote
}

// Every error says where, and what was expected there.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ text, at, want string }{
		{"x 1 2 kqueue => 0", "h:1:1:", "want a number"},
		{"\n  0 -1 2 kqueue => 0", "h:2:5:", "want an instant"},
		{"0 5 4 kqueue => 0", "h:1:5:", "not before the call at 5"},
		{"0 5 6 kqueue", "h:1:13:", "want => and a result"},
		{"0 5 6 kqeue => 0", "h:1:7:", "pipe, probe"},
		{"0 5 6 kqueue => zero", "h:1:16:", "the name of an errno"},
		{"0 5 6 kqueue => pending", "h:1:16:", "if and only if"},
		{"0 5 - kqueue => 0", "h:1:16:", "if and only if"},
		{"0 1 5 kqueue => 0\n0 3 6 kqueue => 1", "h:", "one operation of a thread at a time"},
		{"0", "h:1:2:", "want an instant"},
		{"0 1 5 kqueue => 0 @ 2", "h:1:20:", "an instant and the name of a step"},
		{"0 1 5 kqueue => 0 @ x made", "h:1:20:", "want a number"},
		{"0 1 5 kqueue => 0 @ 2 maid", "h:1:20:", "made, found"},
		{"0 1 5 kqueue => 0 @ 6 made", "h:1:20:", "within the call"},
		{"0 1 5 pipe => 0 1 @ 4 made; 3 made", "h:1:28:", "not before the point"},
	} {
		h, err := linearizability.Parse("h", tt.text)
		if err == nil {
			t.Errorf("Parse(%q) = %v, want an error", tt.text, h)
		} else if s := err.Error(); !strings.HasPrefix(s, tt.at) || !strings.Contains(s, tt.want) {
			t.Errorf("Parse(%q): %q, want it to begin with %s and have %q in it", tt.text, s, tt.at, tt.want)
		}
	}
}

// addKept makes the histories of testdata the first inputs.
func addKept(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no histories: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}

func FuzzParse(f *testing.F) {
	addKept(f)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := linearizability.Parse("h", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "h:") {
				t.Fatalf("%q does not say where", err)
			}
			return
		}
		back, err := linearizability.Parse("h", h.String())
		if err != nil || !slices.EqualFunc(h, back, equal) {
			t.Fatalf("%q is\n%v, which is\n%v, %v", text, h, back, err)
		}
	})
}

// Whatever a history says there is a verdict on it, within the limit, and a
// picture if it is not right.
func FuzzCheck(f *testing.F) {
	addKept(f)
	for seed := range uint64(20) { // with commit points
		f.Add(record(strategies.All[seed%3], seed).String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := linearizability.Parse("h", text)
		if err != nil || len(h) > 50 {
			return
		}
		r := linearizability.Check(h, linearizability.Options{Limit: 20 * time.Millisecond})
		if r.Verdict != linearizability.OK && len(r.Findings) == 0 {
			t.Errorf("%v without a reason, of\n%v", r.Verdict, h)
		}
		for i := range h {
			h[i].Steps = nil
		}
		if plain := linearizability.Check(h, linearizability.Options{Limit: 20 * time.Millisecond}); r.Replayed && plain.Verdict == linearizability.Violation {
			t.Errorf("explained by commit points, and without them\n%v\n%v", plain, text)
		}
	})
}

func equal(a, b linearizability.Record) bool {
	return a.Thread == b.Thread && a.Call == b.Call && a.Return == b.Return && a.Op.Equal(b.Op) && a.Result.Equal(b.Result) &&
		slices.Equal(a.Steps, b.Steps)
}

// What threads note is in the history, each thread's in its order, and a call
// that has not returned is pending.
func TestRecorder(t *testing.T) {
	const threads, ops = 3, 1500
	rec := linearizability.NewRecorder(linearizability.Turns())
	var wg sync.WaitGroup
	for n := range threads {
		wg.Go(func() {
			l := rec.Log(n)
			for i := range ops {
				l.Call(event.Op{Call: event.CallSet, FD: n, N: int64(i)})
				for range i % 3 {
					l.Commit(event.Step(1 + n))
				}
				if i < ops-1 {
					l.Return(event.Result{N: int64(i)})
				}
			}
		})
	}
	wg.Wait()
	h := rec.History()
	if len(h) != threads*ops {
		t.Fatalf("%d records, want %d", len(h), threads*ops)
	}
	next := [threads]int64{}
	for i, r := range h {
		n := r.Thread
		pending := r.Op.N == ops-1
		if r.Op.FD != n || r.Op.N != next[n] || r.Result.Pending != pending || (r.Return == linearizability.Never) != pending ||
			len(r.Steps) != int(r.Op.N%3) || !pending && (r.Result.N != r.Op.N || r.Return < r.Call) || i > 0 && h[i-1].Call > r.Call {
			t.Fatalf("record %d is %v, want number %d of thread %d", i, r, next[n], n)
		}
		next[n]++
	}
	if _, err := linearizability.Parse("h", h.String()); err != nil {
		t.Error(err)
	}
	if rec.Reset(); len(rec.History()) != 0 {
		t.Error("a history is left after Reset")
	}
	l := rec.Log(7)
	l.Call(event.Op{Call: event.CallKqueue})
	l.Commit(event.Made)
	l.Return(event.Result{})
	if again := rec.History(); len(again) != 1 || again[0].Thread != 7 || len(again[0].Steps) != 1 {
		t.Errorf("after Reset one operation is recorded as\n%v", again)
	}
	if len(h) != threads*ops || len(h[2].Steps) == 0 || h[2].Steps[0].Step == 0 {
		t.Error("a history has changed since")
	}
}

// A history of a stress test is short, and the next one uses its memory again.
func BenchmarkRecord(b *testing.B) {
	for name, clock := range map[string]linearizability.Clock{"turns": linearizability.Turns(), "elapsed": linearizability.Elapsed()} {
		for _, points := range []int{0, 2} {
			b.Run(fmt.Sprintf("%s/points=%d", name, points), func(b *testing.B) {
				rec := linearizability.NewRecorder(clock)
				l := rec.Log(0)
				op, result := event.Op{Call: event.CallSet, FD: 1, N: 2}, event.Result{}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%1000 == 0 {
						rec.Reset()
						l = rec.Log(0)
					}
					l.Call(op)
					for range points {
						l.Commit(event.Acted)
					}
					l.Return(result)
				}
			})
		}
	}
}

// What two readings of the clock cost, the least that a record can.
func BenchmarkClock(b *testing.B) {
	base := time.Now()
	var sum time.Duration
	for b.Loop() {
		sum += time.Since(base)
		sum -= time.Since(base)
	}
	if sum > 0 {
		b.Error("the clock runs backwards")
	}
}
