package lint

import (
	"slices"
	"strconv"
	"strings"
)

// A layer is a directory with all below it, and the layers that it may import
// besides itself. Imports go downward only.
type layer struct {
	dir string
	may []string
}

var (
	words  = []string{"model/event"}
	kernel = []string{"model/event", "model/machine", "model/kqueue"}
	world  = []string{"model", "strategies"}
)

// layers is the house, from the ground up. A directory belongs to the longest
// entry that it lies below. Some are not built yet.
var layers = []layer{
	{"model/event", nil},
	{"model/spec", words},
	{"model/machine/sched", nil},
	{"model/machine", []string{"model/machine/sched", "model/event"}},
	{"model/kqueue", []string{"model/event", "model/machine"}},
	{"model/proc", kernel},
	{"model/device", append([]string{"model/proc"}, kernel...)},
	{"model/poll", append([]string{"model/proc"}, kernel...)},
	{"model/netconn", append([]string{"model/device"}, kernel...)},
	{"model/catalog", append([]string{"model/proc", "model/device", "model/machine/sched"}, kernel...)},
	{"model/host", append([]string{"model/proc", "model/device"}, kernel...)},
	{"strategies", []string{"model/machine", "model/kqueue"}},
	{"strategies/strategytest", []string{"model", "strategies", "linearizability"}},
	{"linearizability", []string{"model/event", "model/spec"}},
	{"fuzz", append([]string{"linearizability"}, world...)},
	{"zoo", append([]string{"linearizability", "fuzz"}, world...)},
	{"bench", append([]string{"linearizability", "fuzz", "zoo"}, world...)},
	{"papers", append([]string{"linearizability", "fuzz", "zoo", "bench"}, world...)},
	{"cli", append([]string{"linearizability", "fuzz", "zoo", "bench"}, world...)},
	{"cmd", []string{"cli"}},
	{"internal/lint", nil},
}

// layerOf returns the layer that dir belongs to, or nil. Each strategy is a
// layer of its own: it knows the seam, and no other strategy.
func layerOf(dir string) *layer {
	if strategy(dir) {
		return &layer{dir, []string{"model/machine", "model/kqueue"}}
	}
	var best *layer
	for i := range layers {
		if l := &layers[i]; below(dir, l.dir) && (best == nil || len(l.dir) > len(best.dir)) {
			best = l
		}
	}
	return best
}

// strategy reports whether dir is the package of one strategy.
func strategy(dir string) bool {
	rest, ok := strings.CutPrefix(dir, "strategies/")
	return ok && !strings.Contains(rest, "/") && rest != "strategytest"
}

// checkImports is the import rule. Tests may import anything.
func checkImports(files []*file) (out []finding) {
	const rule = "import rule"
	for _, f := range files {
		if f.test() {
			continue
		}
		l := layerOf(f.dir)
		if l == nil {
			out = append(out, f.found(f.ast.Package, rule, "directory %s is not in the table of layers", f.dir))
			continue
		}
		for _, spec := range f.ast.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			to, ok := strings.CutPrefix(p, modulePath+"/")
			if !ok && p != modulePath || f.allowed(l, to) {
				continue
			}
			may := "nothing of the module"
			if len(l.may) > 0 {
				may = strings.Join(l.may, ", ") + " only"
			}
			out = append(out, f.found(spec.Pos(), rule, "%s imports %s; it may import %s", l.dir, to, may))
		}
	}
	return out
}

func (f *file) allowed(l *layer, to string) bool {
	if f.dir == "strategies" && strategy(to) {
		return true // the list names them all
	}
	target := layerOf(to)
	return target != nil && (target.dir == l.dir ||
		slices.ContainsFunc(l.may, func(dir string) bool {
			// "model" is all of the model; "model/machine" is not its schedulers.
			return below(target.dir, dir) && (target.dir == dir || !strings.Contains(dir, "/"))
		}))
}
