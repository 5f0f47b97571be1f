package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/cli"
)

// A figure has a line for each who was measured, and there is none without.
func TestFiguresOfCalls(t *testing.T) {
	rec := func(workload, strategy string, params map[string]any) bench.Record {
		return bench.Record{Workload: workload, Strategy: strategy, Parameters: params, Metric: "ns/event", Unit: "ns", Median: 100, Min: 90, Max: 110}
	}
	var recs []bench.Record
	for _, call := range []string{"poll", "select"} {
		for _, n := range []int{10, 100} {
			for _, op := range []string{"linux-" + call, "selinfo-" + call} {
				recs = append(recs, rec("reference", "", map[string]any{"op": op, "fds": n, "ready": 1}))
			}
			recs = append(recs, rec(call, "pcpu", map[string]any{"fds": n, "ready": 1}))
			if call == "poll" {
				recs = append(recs, rec(call, "pcpu", map[string]any{"fds": n, "ready": n}), rec(call, "giant", map[string]any{"fds": n, "ready": n}))
			} else {
				recs = append(recs, rec(call, "pcpu", map[string]any{"fds": n, "ready": n, "bytes": "move"}))
			}
		}
	}
	for _, b := range []int{0, 8} {
		p := map[string]any{"fds": 100, "waiters": 2, "bystanders": b}
		recs = append(recs, rec("select", "pcpu", p))
		p = map[string]any{"fds": 100, "waiters": 2, "bystanders": b, "op": "selinfo-select"}
		recs = append(recs, rec("reference", "", p))
	}
	figs, err := cli.Figures(recs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range figs {
		var names []string
		for _, k := range f.Legend {
			names = append(names, k.Name)
		}
		got = append(got, f.Title+": "+strings.Join(names, " "))
		if !strings.Contains(string(f.SVG), "<path") {
			t.Errorf("%s has no line", f.Title)
		}
	}
	want := []string{
		"A call of poll, one ready: pcpu Linux selinfo",
		"A call of poll, all ready: pcpu giant",
		"A call of select, one ready: pcpu Linux selinfo",
		"Two wait for one pipe: pcpu selinfo",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !strings.Contains(fmt.Sprint(figs[3].Caption), "8 bystanders") {
		t.Errorf("%s does not say how many stand by", figs[3].Caption)
	}
}
