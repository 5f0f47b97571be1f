package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
)

func TestListDevices(t *testing.T) {
	status, stdout, stderr := kqlab(t, "list", "devices")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	lines := strings.Split(strings.TrimRight(stdout, "\n"), "\n")
	head := lines[1]
	n := 2
	for _, d := range catalog.All() {
		var declared []*kqueue.Filter
		catalog.Alone(giant.New, func(td *machine.Thread, w *catalog.World) { declared = d.Declared(td, w) })
		for i, own := range declared {
			f := d.Filters[i]
			if i == 0 {
				if want := "  " + d.Name + "  " + d.Like; lines[n] != want {
					t.Errorf("got %q, want %q", lines[n], want)
				}
				n++
			}
			line := lines[n]
			n++
			at := func(column, want string) {
				if from := strings.Index(head, column); from < 0 || from > len(line) || !strings.HasPrefix(line[from:], want) {
					t.Errorf("%s %v: %q not below %q:\n%s", d.Name, f.Filter, want, column, stdout)
				}
			}
			at("filter", f.Filter.String())
			at("data", f.Data+"  ")
			at("EV_EOF when", f.EOF+"  ")
			at("MP-safe", map[bool]string{true: "no ", false: "yes "}[own.Unsafe])
			at("blocks", map[bool]string{true: "yes", false: "no"}[own.Blocks])
		}
	}
	if n != len(lines) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), n, stdout)
	}

	_, stdout, _ = kqlab(t, "list", "--format", "json", "devices")
	var first struct {
		Kind, Name, Filter string
		MPSafe, Blocks     bool
	}
	if err := json.NewDecoder(strings.NewReader(stdout)).Decode(&first); err != nil {
		t.Fatal(err)
	}
	if d := catalog.All()[0]; first.Kind != "devices" || first.Name != d.Name || first.Filter != d.Filters[0].Filter.String() || !first.MPSafe || first.Blocks {
		t.Errorf("got %+v of %q", first, strings.SplitN(stdout, "\n", 2)[0])
	}
}
