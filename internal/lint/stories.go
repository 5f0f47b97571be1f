package lint

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	stories   = "zoo"
	scenarios = "fuzz/testdata/scenarios"
	mutants   = "fuzz/mutants/testdata"
)

// headings are what every story has.
var headings = []string{"What", "Interleaving", "Symptom", "Fix", "Again"}

var (
	storyLink    = regexp.MustCompile(`\]\(([a-z0-9-]+)\.md\)`)
	scenarioLink = regexp.MustCompile(`\]\(\.\./fuzz/testdata/scenarios/([a-z0-9-]+)\.kq\)`)
	testLine     = regexp.MustCompile("(?m)^\\| Test \\| `(\\S+ Test\\w+)`")
)

// checkStories is the stories rule: each story in zoo, of a bug of our own, has
// what a story must, a patch of its name that brings the bug back, and a scenario
// or a test, which the patch is said to be caught by; and the table in README.md
// lists all stories, and nothing else.
func checkStories(root fs.FS) (out []finding, err error) {
	const rule = "stories rule"
	found := func(file, format string, args ...any) {
		out = append(out, finding{file, 1, rule, fmt.Sprintf(format, args...)})
	}
	read := func(name string) string {
		text, e := fs.ReadFile(root, name)
		if e != nil {
			found(name, "%v", e)
		}
		return string(text)
	}
	files, err := fs.Glob(root, stories+"/*.md")
	if err != nil {
		return nil, err
	}
	index := stories + "/README.md"
	var listed []string
	for _, m := range storyLink.FindAllStringSubmatch(read(index), -1) {
		listed = append(listed, m[1])
	}
	var told []string
	for _, file := range files {
		if file == index {
			continue
		}
		name := strings.TrimSuffix(path.Base(file), ".md")
		told = append(told, name)
		if !slices.Contains(listed, name) {
			found(file, "%s does not list it", index)
		}
		text := read(file)
		for _, h := range headings {
			if !strings.Contains(text, "\n## "+h+"\n") {
				found(file, "no heading %q", h)
			}
		}
		if again := "'TestCaught/each/" + name + "$'"; !strings.Contains(text, again) {
			found(file, "no command with %s, that shows it again", again)
		}
		patch := path.Join(mutants, name+".patch")
		if !strings.Contains(text, "(../"+patch+")") {
			found(file, "no link to %s", patch)
		}
		mutant := read(patch)
		if bug := "\nbug: " + stories + "/" + name; !strings.Contains(mutant, bug+"\n") && !strings.Contains(mutant, bug+", ") {
			found(patch, "its line bug: does not begin with %s/%s", stories, name)
		}
		var cells []string
		for _, m := range scenarioLink.FindAllStringSubmatch(text, -1) {
			read(path.Join(scenarios, m[1]+".kq"))
			cells = append(cells, " scenario/"+m[1])
		}
		for _, m := range testLine.FindAllStringSubmatch(text, -1) {
			cells = append(cells, " "+m[1])
		}
		if len(cells) == 0 {
			found(file, "neither a link to a scenario nor a line | Test |")
		}
		for _, c := range cells {
			if !slices.ContainsFunc(strings.Split(mutant, "\n"), func(l string) bool {
				return strings.HasPrefix(l, "caught: ") && strings.HasSuffix(l, c)
			}) {
				found(patch, "no line caught: that ends with%s, which %s names", c, file)
			}
		}
	}
	for _, name := range listed {
		if !slices.Contains(told, name) {
			found(index, "it lists %s.md, which is not there", name)
		}
	}
	return out, nil
}
