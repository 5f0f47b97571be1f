package lint

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestStories applies the stories rule to the module.
func TestStories(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	if _, err := os.Stat(filepath.Join("..", "..", stories, "README.md")); err != nil {
		t.Fatal(err)
	}
	out, err := checkStories(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sorted(out) {
		t.Error(f)
	}
}

// Each control breaks one thing about a story that is as it should be.
func TestStoriesControls(t *testing.T) {
	const story = `# A bug

| | |
|---|---|
| Scenario | [one](../fuzz/testdata/scenarios/one.kq) |
| Test | ` + "`model/proc TestOne`" + ` |
| Mutant | [bug](../fuzz/mutants/testdata/bug.patch) |

## What

## Interleaving

## Symptom

## Fix

## Again

    go test ./fuzz/mutants -run 'TestCaught/each/bug$' -v
`
	good := map[string]string{
		"zoo/README.md":                    "| [bug](bug.md) |\n",
		"zoo/bug.md":                       story,
		"fuzz/mutants/testdata/bug.patch":  "what: x\nbug: zoo/bug, D1\ncaught: pcpu scenario/one\ncaught: model/proc TestOne\n",
		"fuzz/testdata/scenarios/one.kq":   "seed 1\n",
		"fuzz/testdata/scenarios/other.kq": "seed 1\n",
	}
	check := func(files map[string]string) []string {
		fsys := fstest.MapFS{}
		for name, text := range files {
			if text != "" {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
		}
		out, err := checkStories(fsys)
		if err != nil {
			t.Fatal(err)
		}
		return sorted(out)
	}
	if out := check(good); len(out) > 0 {
		t.Errorf("reported, and should not be: %q", out)
	}
	for _, c := range []struct{ file, old, new, want string }{
		{"zoo/README.md", "[bug](bug.md)", "", "zoo/bug.md:1: stories rule: zoo/README.md does not list it"},
		{"zoo/README.md", "|\n", "| [gone](gone.md) |\n", "it lists gone.md, which is not there"},
		{"zoo/bug.md", "## Fix", "## Mend", `no heading "Fix"`},
		{"zoo/bug.md", "each/bug$", "each/bud$", "no command with 'TestCaught/each/bug$'"},
		{"zoo/bug.md", "bug.patch", "bud.patch", "no link to fuzz/mutants/testdata/bug.patch"},
		{"zoo/bug.md", "one.kq", "two.kq", "two.kq: file does not exist"},
		{"zoo/bug.md", "one.kq", "other.kq", "no line caught: that ends with scenario/other, which zoo/bug.md names"},
		{"zoo/bug.md", "TestOne", "TestTwo", "no line caught: that ends with model/proc TestTwo"},
		{"zoo/bug.md", "| Scenario | [one](../fuzz/testdata/scenarios/one.kq) |\n| Test | `model/proc TestOne` |\n", "", "neither a link to a scenario nor a line | Test |"},
		{"fuzz/mutants/testdata/bug.patch", "zoo/bug", "D1", "its line bug: does not begin with zoo/bug"},
		{"fuzz/testdata/scenarios/one.kq", "seed 1\n", "", "one.kq: file does not exist"},
	} {
		files := maps.Clone(good)
		if files[c.file] = strings.Replace(good[c.file], c.old, c.new, 1); files[c.file] == good[c.file] {
			t.Fatalf("%s has no %q", c.file, c.old)
		}
		if out := check(files); !strings.Contains(strings.Join(out, "\n"), c.want) {
			t.Errorf("%s without %q: reported %q, want %q", c.file, c.old, out, c.want)
		}
	}
}
