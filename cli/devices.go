package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
)

// kindDevices is the kind of list that has columns of its own.
const kindDevices = "devices"

// A listedFilter is one filter of one device.
type listedFilter struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"` // of the device
	Like   string `json:"like"`
	Filter string `json:"filter"`
	Data   string `json:"data"`
	EOF    string `json:"eof"`
	MPSafe bool   `json:"mpsafe"`
	Blocks bool   `json:"blocks"`
}

func listedFilters() (all []listedFilter) {
	catalog.Alone(giant.New, func(td *machine.Thread, w *catalog.World) {
		for _, d := range catalog.All() {
			for i, own := range d.Declared(td, w) {
				f := d.Filters[i]
				all = append(all, listedFilter{kindDevices, d.Name, d.Like, f.Filter.String(), f.Data, f.EOF, !own.Unsafe, own.Blocks})
			}
		}
	})
	return all
}

// listDevices prints the table of devices, after an empty line if it is not the first.
func (a *app) listDevices(format string, later bool, p paint) error {
	all := listedFilters()
	if format == formatJSON {
		enc := json.NewEncoder(a.stdout)
		for _, l := range all {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	if later {
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintln(a.stdout, kindDevices)
	g := grid{{left("    filter"), left("data"), left("EV_EOF when"), left("MP-safe"), left("blocks")}}
	for _, l := range all {
		g = append(g, []cell{left("    " + l.Filter), left(l.Data), left(l.EOF), left(yes(l.MPSafe)), left(yes(l.Blocks))})
	}
	// A device is a line that spans all columns, before those of its filters.
	var table strings.Builder
	g.print(&table, p)
	last := ""
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		if i > 0 && all[i-1].Name != last {
			last = all[i-1].Name
			fmt.Fprintf(a.stdout, "  %s  %s\n", p.bold(last), p.dim(all[i-1].Like))
		}
		fmt.Fprintln(a.stdout, line)
	}
	return nil
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
