package fuzz

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/kqlab/kqlab/fuzz/script"
)

//go:embed testdata/scenarios/*.kq
var scenarios embed.FS

// Scenarios returns the names of the scripts that are kept: one for each way in
// which threads may come together where it matters.
func Scenarios() (names []string) {
	files, err := scenarios.ReadDir("testdata/scenarios")
	if err != nil {
		panic("fuzz: " + err.Error()) // they are in the binary
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".kq"))
	}
	return names
}

// Scenario returns the scenario of that name.
func Scenario(name string) (*script.Script, error) {
	text, err := scenarios.ReadFile(path.Join("testdata/scenarios", name+".kq"))
	if err != nil {
		return nil, fmt.Errorf("scenario %q: want one of %s", name, strings.Join(Scenarios(), ", "))
	}
	return script.Parse(name+".kq", string(text))
}
