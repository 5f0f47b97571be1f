package strategies_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range strategies.All {
		if !regexp.MustCompile(`^[a-z][a-z0-9]*$`).MatchString(e.Name) || seen[e.Name] {
			t.Errorf("name %q: want lower case, without spaces, once", e.Name)
		}
		seen[e.Name] = true
		if e.Doc == "" || strings.ContainsAny(e.Doc, "\n") {
			t.Errorf("%s: doc %q, want one line", e.Name, e.Doc)
		}
		m := machine.Native(1)
		s := e.New(m)
		m.Go("maker", 0, func(td *machine.Thread) {
			if s.Source(td) == nil || s.Queue(td) == nil {
				t.Errorf("%s: an object without a place", e.Name)
			}
		})
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
	}
}
