package strategytest

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/kqlab/kqlab/strategies/giant"
)

// With -rewrite the transcripts are written anew, as giant answers. Read what
// has changed before it is kept: only what can be explained may be.
func TestRewriteTranscripts(t *testing.T) {
	if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
		t.Skip("writes the transcripts anew; only with -rewrite")
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, more...) {
		s := &shell{new: giant.New, cpus: 1}
		datadriven.RunTest(t, f, s.command)
	}
}
