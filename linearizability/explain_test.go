package linearizability_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/linearizability"
)

// What is explained is what is drawn, and says of no number that is in the picture only.
func TestExplain(t *testing.T) {
	calls := 0
	for _, folder := range []string{"good", "bad"} {
		files, err := filepath.Glob("testdata/" + folder + "/*.txt")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			h, err := linearizability.Parse(name, string(text))
			if err != nil {
				t.Fatal(err)
			}
			r := linearizability.Check(h, linearizability.Options{})
			e, err := r.Explain()
			if err != nil || (e == nil) != (folder == "good") {
				t.Errorf("%s: %+v, %v", name, e, err)
				continue
			}
			if e == nil {
				continue
			}
			var page bytes.Buffer
			if _, err := r.Draw(&page); err != nil {
				t.Fatal(err)
			}
			shown := ""
			for _, x := range elements(t, page.String()) {
				shown += x.text + "\n"
			}
			for _, w := range append([]string{e.Rule, e.Sentence}, plainOf(e)...) {
				if !strings.Contains(shown, strings.ReplaceAll(w, "`", "")) {
					t.Errorf("%s: the picture lacks %q", name, w)
				}
			}
			for _, c := range e.Calls {
				calls++
				if strings.Contains(c.Turn, "before step") {
					t.Errorf("%s: %s", name, c.Turn)
				}
			}
		}
	}
	if calls == 0 {
		t.Error("no call is explained")
	}
}

func plainOf(e *linearizability.Explanation) (all []string) {
	for _, c := range e.Calls {
		all = append(all, c.Call, c.Answer, c.Did, c.Allowed)
	}
	return all
}
