package lint

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rules = []struct {
	name  string
	check func([]*file) []finding
}{
	{"imports", checkImports},
	{"primitives", checkPrimitives},
	{"docs", checkDocs},
	{"format", checkFormat},
	{"tests", checkTests},
}

// TestModule applies every rule to the whole module.
func TestModule(t *testing.T) {
	files, err := load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dirs := packages(files)
	for _, dir := range []string{"model/event", "model/machine", "model/kqueue", "strategies/giant", "internal/lint"} {
		if len(dirs[dir]) == 0 {
			t.Errorf("no file of %s was looked at", dir)
		}
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range sorted(r.check(files)) {
				t.Error(f)
			}
		})
	}
}

func sorted(fs []finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.String())
	}
	slices.Sort(out)
	return out
}

// TestControls applies each rule to testdata/RULE, archives of small files that
// break it. A line with a comment "want REGEXP" must be reported with a message
// that matches; no other line may be.
func TestControls(t *testing.T) {
	for _, r := range rules {
		archives, err := filepath.Glob(filepath.Join("testdata", r.name, "*.txt"))
		if err != nil || len(archives) == 0 {
			t.Fatalf("rule %s has no controls: %v", r.name, err)
		}
		for _, name := range archives {
			t.Run(r.name+"/"+strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
				files, want := unpack(t, name)
				got := map[string]string{}
				for _, f := range r.check(files) {
					at := fmt.Sprintf("%s:%d", f.file, f.line)
					got[at] += f.String() + "\n"
				}
				for at, re := range want {
					if !re.MatchString(got[at]) {
						t.Errorf("%s: reported %q, want a match of %q", at, got[at], re)
					}
					delete(got, at)
				}
				for _, text := range got {
					t.Errorf("reported, and should not be: %s", text)
				}
			})
		}
	}
}

var wants = regexp.MustCompile(`// want (.*)$`)

// unpack reads an archive: each file follows a line "-- its/path.go --". A
// line "@repeat N TEXT" stands for N lines of TEXT; "@want REGEXP" for no line, but
// what must be reported of the next, where a comment would be its documentation.
func unpack(t *testing.T, name string) (files []*file, want map[string]*regexp.Regexp) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]*regexp.Regexp{}
	var at string
	var body bytes.Buffer
	flush := func() {
		if at == "" {
			return
		}
		dir, base := filepath.Split(at)
		f, err := parse(filepath.ToSlash(filepath.Clean(dir)), base, bytes.Clone(body.Bytes()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files = append(files, f)
		body.Reset()
	}
	line := 0
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		s := sc.Text()
		if p, ok := strings.CutPrefix(s, "-- "); ok {
			flush()
			at, line = strings.TrimSuffix(p, " --"), 0
			continue
		}
		var n int
		if _, err := fmt.Sscanf(s, "@repeat %d", &n); err == nil {
			_, what, _ := strings.Cut(s[len("@repeat "):], " ")
			body.WriteString(strings.Repeat(what+"\n", n))
			line += n
			continue
		}
		if re, ok := strings.CutPrefix(s, "@want "); ok {
			want[fmt.Sprintf("%s:%d", at, line+1)] = regexp.MustCompile(re)
			continue
		}
		line++
		if m := wants.FindStringSubmatch(s); m != nil {
			want[fmt.Sprintf("%s:%d", at, line)] = regexp.MustCompile(m[1])
		}
		body.WriteString(s + "\n")
	}
	flush()
	if len(want) == 0 {
		t.Fatalf("%s expects nothing", name)
	}
	return files, want
}

func TestLayers(t *testing.T) {
	for i, l := range layers {
		for _, dir := range l.may {
			if at := slices.IndexFunc(layers, func(o layer) bool { return below(o.dir, dir) }); at < 0 {
				t.Errorf("%s may import %s, which is no layer", l.dir, dir)
			}
		}
		for _, o := range layers[:i] {
			if o.dir == l.dir {
				t.Errorf("layer %s is there twice", l.dir)
			}
		}
	}
	for dir, want := range map[string]string{
		"model/machine":             "model/machine",
		"model/machine/sched":       "model/machine/sched",
		"model/kqueue/internal/x":   "model/kqueue",
		"strategies":                "strategies",
		"strategies/giant":          "strategies/giant",
		"strategies/strategytest":   "strategies/strategytest",
		"strategies/strategytest/a": "strategies/strategytest",
		"cmd/kqlab":                 "cmd",
	} {
		if got := layerOf(dir); got == nil || got.dir != want {
			t.Errorf("layer of %s is %v, want %s", dir, got, want)
		}
	}
	if layerOf("attic") != nil {
		t.Error("an unknown directory has a layer")
	}
}

func TestSplit(t *testing.T) {
	for name, want := range map[string]string{
		"KnoteManager": "knote manager",
		"baseQueue":    "base queue",
		"database":     "database",
		"queue_util":   "queue util",
		"MPLock":       "mp lock",
		"HTTPHelper":   "http helper",
	} {
		if got := strings.Join(split(name), " "); got != want {
			t.Errorf("split(%q) = %q, want %q", name, got, want)
		}
	}
}
