package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// What the virtual machine costs where there is none. Every primitive asks whether
// the thread has something to do at its point, and the kernel whether the machine is
// virtual; on a native machine the answer is always no.
//
// So this package's test is built twice, as it is and with an overlay in which all
// those questions are answered no in the source, so that the compiler leaves them out.
// The two take turns: each measures the primitives, one by one, and all workloads, and
// ends. What is printed is how the least that any turn has measured differs, in ns of a
// primitive, in per cent of a workload: what else the computer does makes a turn slower,
// never faster, and the turns of the two alternate. Beside it stands the same of a third
// process a turn, the first build once more: what differs there is noise. Where that is
// more than the cost that there may be, 1 ns or 2 per cent, nothing has been shown: the
// line says so, and is left out of the sums.
//
//	go test -run '^$' -bench SwitchedOff -timeout 20m ./bench
func BenchmarkSwitchedOff(b *testing.B) {
	if testing.Short() {
		b.Skip("it builds two programs and runs for minutes; only without -short")
	}
	dir := b.TempDir()
	overlay := withoutHooks(b, dir)
	as, without := filepath.Join(dir, "as"), filepath.Join(dir, "without")
	build(b, as)
	build(b, without, "-overlay", overlay)
	off, on, again := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for range *switchedOffTurns {
		measure(b, without, off)
		measure(b, as, on)
		measure(b, as, again)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nwhat\tcosts\tnoise\t\t")
	worst, sum, ratios, lost := math.Inf(-1), 0.0, 0.0, 0
	for _, name := range slices.Sorted(maps.Keys(on)) {
		cost, noise, unit, most := on[name]-off[name], again[name]-on[name], "ns", 1.0
		primitive := strings.HasPrefix(name, "primitive ")
		if !primitive {
			cost, noise, unit, most = 100*(on[name]/off[name]-1), 100*(again[name]/on[name]-1), "%", 2
		}
		said := ""
		switch {
		case math.Abs(noise) > most:
			said = "nothing shown"
			lost++
		case primitive:
			worst = max(worst, cost)
		default:
			sum += math.Log(on[name] / off[name])
			ratios++
		}
		fmt.Fprintf(w, "%s\t%+.2f %s\t%+.2f %s\t%s\t\n", name, cost, unit, noise, unit, said)
	}
	w.Flush()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(lost), "not-shown")
	if !math.IsInf(worst, -1) {
		b.ReportMetric(worst, "ns/worst-primitive")
	}
	if ratios > 0 {
		b.ReportMetric(100*(math.Exp(sum/ratios)-1), "%/workload")
	}
}

var (
	switchedOffTurns  = flag.Int("switchedoff.turns", 5, "how many turns BenchmarkSwitchedOff takes")
	switchedOffBudget = flag.Duration("switchedoff.budget", time.Second, "how long it measures one workload in a turn")
	switchedOffPart   = flag.Bool("switchedoff.part", false, "measure as BenchmarkSwitchedOff does in its processes")
)

// questions are what a native machine answers no to.
var questions = regexp.MustCompile(`\b(?:[a-z]+\.)*(?:stops|vm) (!=|==) nil\b|\b(?:[a-z]+\.)*td\.Virtual\(\)`)

// withoutHooks writes an overlay without them, and returns the name of it.
func withoutHooks(b *testing.B, dir string) string {
	replace, changed := map[string]string{}, 0
	for _, pkg := range []string{"../model/machine", "../model/kqueue"} {
		files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			out := questions.ReplaceAllFunc(text, func(q []byte) []byte {
				changed++
				return []byte(strconv.FormatBool(bytes.Contains(q, []byte("=="))))
			})
			name := filepath.Join(dir, fmt.Sprint(len(replace), ".go"))
			if err := os.WriteFile(name, out, 0o600); err != nil {
				b.Fatal(err)
			}
			if f, err = filepath.Abs(f); err != nil {
				b.Fatal(err)
			}
			replace[f] = name
		}
	}
	if changed < 40 {
		b.Fatalf("only %d questions are left out: are they put in other words now?", changed)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}

func build(b *testing.B, name string, args ...string) {
	cmd := exec.Command("go", append(append([]string{"test", "-c", "-o", name}, args...), ".")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// measure runs one of the two, and keeps the least.
func measure(b *testing.B, program string, least map[string]float64) {
	cmd := exec.Command(program, "-test.run", "^TestSwitchedOffPart$", "-test.v", "-test.benchtime", "50ms",
		"-switchedoff.part", "-switchedoff.budget", switchedOffBudget.String())
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	n := 0
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), "\t")
		if x, err := strconv.ParseFloat(value, 64); ok && err == nil {
			if was, ok := least[name]; !ok || x < was {
				least[name] = x
			}
			n++
		}
	}
	if n < 10 {
		b.Fatalf("%v has measured %d things only:\n%s", cmd, n, out)
	}
}

// TestSwitchedOffPart is what BenchmarkSwitchedOff has measured.
func TestSwitchedOffPart(t *testing.T) {
	if !*switchedOffPart {
		t.Skip("a process of BenchmarkSwitchedOff; only with -switchedoff.part")
	}
	m := machine.Native(2)
	td := m.Attach("me", 0)
	var (
		tok machine.Token
		mu  machine.Mutex
		u   machine.Uint32
		box machine.Inbox
		wc  machine.WaitChan
	)
	for name, f := range map[string]func(){
		"token":          func() { td.Get(&tok); td.Put(&tok) },
		"mutex":          func() { mu.Lock(td); mu.Unlock(td) },
		"load":           func() { u.Load(td) },
		"store":          func() { u.Store(td, 1) },
		"add":            func() { u.Add(td, 1) },
		"inbox, empty":   func() { box.Empty(td) },
		"cpu":            func() { td.Migrate(m.CPU(0)); td.Leave() },
		"interlock":      func() { td.Interlock(&wc); td.Uninterlock() },
		"wakeup, nobody": func() { td.Wakeup(&wc) },
	} {
		least := 1e9
		for range 3 {
			r := testing.Benchmark(func(b *testing.B) {
				for range b.N {
					f()
				}
			})
			least = min(least, float64(r.T.Nanoseconds())/float64(r.N))
		}
		fmt.Printf("primitive %s\t%v\n", name, least)
	}
	td.Detach()
	for _, w := range bench.Workloads() {
		recs, err := bench.Run(t.Context(), bench.Options{Strategies: strategies.All, Workloads: []*bench.Workload{w}, Budget: *switchedOffBudget})
		if err != nil {
			t.Fatal(err)
		}
		sum, n := map[string]float64{}, map[string]float64{}
		for _, r := range recs {
			if r.Metric == "ns/event" && r.Strategy != "" {
				sum[r.Strategy] += math.Log(r.Min)
				n[r.Strategy]++
			}
		}
		for s := range sum {
			fmt.Printf("workload %s, %s\t%v\n", w.Name, s, math.Exp(sum[s]/n[s]))
		}
	}
}
