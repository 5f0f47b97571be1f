package mutants_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz/mutants"
)

// TestApply: every patch fits the core as it is, and says something that can be
// checked.
func TestApply(t *testing.T) {
	known := map[string]bool{}
	for _, e := range under {
		known[e.Name] = true
	}
	for _, m := range every(t) {
		overlay, err := m.Apply(root, t.TempDir())
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(overlay)
		if err != nil {
			t.Fatal(err)
		}
		var o struct{ Replace map[string]string }
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		if len(o.Replace) == 0 {
			t.Errorf("%s: the overlay replaces nothing", m.Name)
		}
		for from, to := range o.Replace {
			before, err1 := os.ReadFile(from)
			after, err2 := os.ReadFile(to)
			if err1 != nil || err2 != nil || string(before) == string(after) {
				t.Errorf("%s: %s is the same with the patch (%v, %v)", m.Name, from, err1, err2)
			}
		}
		explored := m.Equivalent != ""
		for file := range o.Replace {
			explored = explored || !strings.Contains(filepath.ToSlash(file), "/model/") // of what checks
		}
		for _, c := range m.Cells {
			// A package may explore what its own threads do, or need one thread only.
			// What package net calls comes on goroutines, which nothing explores.
			explored = explored || c.Explored() || c.Under == "model/netconn" || c.Package() &&
				(strings.HasSuffix(c.Test, "Stories") || strings.HasSuffix(c.Test, "Events") || strings.HasSuffix(c.Test, "Explored"))
		}
		if !explored {
			t.Errorf("%s: want a line caught: with a scenario or a program, so that it is found without luck", m.Name)
		}
		for _, c := range m.Cells {
			if !c.Package() && !known[c.Under] {
				t.Errorf("%s: caught: no strategy %q", m.Name, c.Under)
			}
		}
	}
}

const patch = `what: the second step is left out
caught: giant stress
--- core/steps.go
@@ f
 	first()
-	second()
 }
`

// TestStale: a patch that does not fit any more names the file, and the line
// that it expected.
func TestStale(t *testing.T) {
	for _, tt := range []struct{ name, core, want string }{
		{"changed", "func f() {\n\tfirst()\n\tnext()\n}\n", `testdata/second.patch:6: core/steps.go has, after line 2, no line "\tsecond()"`},
		{"gone", "func g() {\n}\n", `testdata/second.patch:5: core/steps.go has no line "\tfirst()"`},
		{"twice", strings.Repeat("func f() {\n\tfirst()\n\tsecond()\n}\n", 2), `testdata/second.patch:5: core/steps.go has these lines twice, at line 2 and at line 6`},
		{"no file", "", `testdata/second.patch:3: open `},
		{"fits", "func f() {\n\tfirst()\n\tsecond()\n}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "core"), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.core != "" {
				if err := os.WriteFile(filepath.Join(root, "core", "steps.go"), []byte(tt.core), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			m, err := mutants.Parse("testdata/second.patch", patch)
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Apply(root, t.TempDir())
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%v, want no error", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "x.patch:0: the patch changes no file: want a line --- PATH"},
		{"head", "what\n", `x.patch:1: "what": want KEY: VALUE, or --- PATH`},
		{"key", "whta: a\n", `x.patch:1: "whta": want what, bug, caught, seldom or equivalent`},
		{"twice", "what: a\nwhat: b\n", "x.patch:2: what is given twice"},
		{"blank", "what:  \n", "x.patch:1: what is empty"},
		{"cell", "caught: giant\n", `x.patch:1: caught: "giant": want STRATEGY TEST, or PACKAGE TEST`},
		{"verdict", "what: a\n--- b.go\n@@\n-c\n", "x.patch:4: want one of caught:, seldom: and equivalent:, have 0"},
		{"verdicts", "what: a\nseldom: b\nequivalent: c\n--- b.go\n@@\n-c\n", "x.patch:6: want one of caught:, seldom: and equivalent:, have 2"},
		{"path", "what: a\n--- ../b.go\n", `x.patch:2: file "../b.go": want a path below the module, as model/kqueue/scan.go`},
		{"file twice", "what: a\n--- b.go\n@@\n-c\n--- b.go\n", "x.patch:5: file b.go again, as in line 2: want its hunks together"},
		{"no hunk", "what: a\n--- b.go\n-c\n", `x.patch:3: "-c": want a line that begins with @@`},
		{"no hunks", "what: a\n--- b.go\n", "x.patch:2: no hunk for b.go"},
		{"only new", "what: a\n--- b.go\n@@\n+c\n", "x.patch:4: a hunk for b.go without a line that the file has"},
		{"line", "what: a\n--- b.go\n@@\n*c\n", `x.patch:4: "*c": want a line that begins with a space, - or +`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mutants.Parse("x.patch", tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
}

// FuzzParse: no text makes Parse panic, its errors name the patch and a line,
// and what it accepts can be tried on any file.
func FuzzParse(f *testing.F) {
	f.Add(patch, "func f() {\n\tfirst()\n\tsecond()\n}\n")
	f.Add("what: a\nequivalent: b\n--- c.go\n@@\n\n-d\n+e\n@@\n e", "\nd\n")
	f.Add("caught: a b c\n", "")
	f.Fuzz(func(t *testing.T, text, core string) {
		m, err := mutants.Parse("x.patch", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.patch:") {
				t.Errorf("%v: names no line", err)
			}
			return
		}
		if m.What == "" || m.Cells == nil && m.Seldom == "" && m.Equivalent == "" {
			t.Errorf("%+v was accepted", m)
		}
		for i := range m.Files() {
			out, grows, err := m.Patched(i, core)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "testdata/x.patch:") {
					t.Errorf("%v: names no line", err)
				}
			} else if got := strings.Count(out, "\n") - strings.Count(core, "\n"); got != grows {
				t.Errorf("the patch adds %d lines, the file has %d more", grows, got)
			}
		}
	})
}

// TestControlsOfInvariants: the mutants that the list of invariants names as controls
// exist, and each invariant that is there to be broken has one, or a test.
func TestControlsOfInvariants(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "model/kqueue/audit.go"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range every(t) {
		known[m.Name] = true
	}
	_, list, ok := strings.Cut(string(text), "// Each has a control")
	if !ok {
		t.Fatal("no list of controls in audit.go")
	}
	list, _, _ = strings.Cut(list, "\nfunc ")
	for i := 1; i <= 17; i++ {
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^//\tI%d +(\S.*)$`, i)).FindStringSubmatch(list)
		if line == nil {
			t.Errorf("I%d has no control", i)
			continue
		}
		for _, name := range strings.Split(line[1], ", ") {
			if name == strings.ToLower(name) && !strings.Contains(name, " ") && !known[name] {
				t.Errorf("I%d: no mutant %q", i, name)
			}
		}
	}
}
