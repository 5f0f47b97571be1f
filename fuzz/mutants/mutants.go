// Package mutants has faults of the kqueue core, one a patch, each of which has
// been in a real kernel or in an earlier draft of this one. A checker that does
// not find them has shown nothing about the core.
//
// A patch is applied to a copy, and what is built from it with go build
// -overlay; the core itself stays as it is. A patch that does not fit the core
// any more is an error that names the line that it expected.
//
//	m, err := mutants.All()
//	overlay, err := m[0].Apply(root, dir)
//	// go test -overlay overlay ./...
package mutants

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed testdata/*.patch
var patches embed.FS

// A Mutant is one fault.
type Mutant struct {
	Name string // of the patch, without its extension
	What string // what is wrong, in a line
	Bug  string // its names: in the lists of known bugs, and of the seam's traps

	// Cells are where native runs catch it: each in nearly all runs, and one of
	// them in any.
	Cells []Cell

	// Seldom says why native runs do not meet the interleaving that it needs,
	// or next to never; they are not said to catch it, then. A scheduler must.
	Seldom string

	// Equivalent says why it is no fault, given the rest of the core. Nothing
	// may catch it: it is the control of the controls.
	Equivalent string

	files []file
}

// A Cell is one test under one strategy, or a package's own test.
type Cell struct {
	Under string // a strategy, or a package below the module's directory
	// Test is a path below the conformance suite, [Stress], [Scripts], [Sleepers],
	// or [Scenario], [Spurious] or [Program] and the name of one; or a test of the
	// package.
	Test string
}

const (
	// Stress is package stress, which is not a part of the conformance suite
	// here.
	Stress = "stress"
	// Scripts is a campaign of drawn scripts, each history of which is held
	// against the specification.
	Scripts = "scripts"
	// Scenario, before the name of a scenario that is kept, is executions of it on a
	// virtual machine, whose scheduler decides who runs when.
	Scenario = "scenario/"
	// Spurious, before the name of a scenario, is the same, but that two sleeps of each
	// execution may end with no wakeup. Without, nothing is found.
	Spurious = "spurious/"
	// Program, before a name, is the same of something that no script can say.
	Program = "program/"
	// Sleepers has two threads sleep in a queue, of which one leaves for
	// another reason than an event.
	Sleepers = "sleepers"
)

func (c Cell) String() string { return c.Under + " " + c.Test }

// Explored reports whether the cell is executions on a virtual machine: those
// need no luck.
func (c Cell) Explored() bool {
	return strings.HasPrefix(c.Test, Scenario) || strings.HasPrefix(c.Test, Spurious) || strings.HasPrefix(c.Test, Program)
}

// Plain returns a cell of [Spurious] without the wakeups; of any other the cell itself.
func (c Cell) Plain() Cell {
	if name, ok := strings.CutPrefix(c.Test, Spurious); ok {
		c.Test = Scenario + name
	}
	return c
}

// Package reports whether the cell is a package's own test.
func (c Cell) Package() bool { return strings.Contains(c.Under, "/") }

// Gated reports whether the cell forces the interleaving, by a filter that
// blocks.
func (c Cell) Gated() bool {
	return strings.HasSuffix(c.Test, "/forced") || strings.Contains(c.Test, "/gated")
}

// All returns every mutant, by name.
func All() ([]*Mutant, error) {
	files, err := patches.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	var all []*Mutant
	for _, f := range files {
		name := path.Join("testdata", f.Name())
		text, err := patches.ReadFile(name)
		if err != nil {
			return nil, err
		}
		m, err := Parse(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Apply applies the patch to copies of the files below root, the directory of
// the module, and writes them and an overlay for the go command into dir. It
// returns the path of the overlay.
func (m *Mutant) Apply(root, dir string) (overlay string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for i, f := range m.files {
		from := filepath.Join(root, filepath.FromSlash(f.name))
		text, err := os.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("%s:%d: %w", m.patch(), f.line, err)
		}
		out, err := f.apply(m.patch(), string(text))
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, fmt.Sprintf("%s-%d.go", m.Name, i))
		if err := os.WriteFile(to, []byte(out), 0o644); err != nil {
			return "", err
		}
		replace[from] = to
	}
	overlay = filepath.Join(dir, m.Name+".json")
	text, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, text, 0o644)
}

func (m *Mutant) patch() string { return path.Join("testdata", m.Name+".patch") }
