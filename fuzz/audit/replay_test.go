package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
)

func TestReplayText(t *testing.T) {
	r := &audit.Replay{Trial: "pipe-reader:READ:attach:write, read", Decisions: []int{0, 0, 0, 1, 2, 2}}
	const want = "pipe-reader:READ:attach:write, read:0x3,1,2x2"
	if r.String() != want {
		t.Errorf("got %q, want %q", r, want)
	}
	for _, bad := range []struct{ text, says string }{
		{"", "want device:FILTER"},
		{"a:b:c:0", "want device:FILTER"},
		{"a:b:c:d:e:0", "want device:FILTER"},
		{"a:b:c:d:1,", `""`},
		{"a:b:c:d:x2", `"x2"`},
		{"a:b:c:d:1x0", `"1x0"`},
		{"a:b:c:d:-1", `"-1"`},
		{"a:b:c:d:1x9999999", "in all at most"},
		{"a:b:c:d:1x1048576,1", "in all at most"},
	} {
		if r, err := audit.ParseReplay(bad.text); err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%q: %v, %v, want %q", bad.text, r, err, bad.says)
		}
	}
}

func FuzzParseReplay(f *testing.F) {
	f.Add("pipe-reader:READ:attach:write, read:0x3,1,2x2")
	f.Add("a:b:c:d:")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := audit.ParseReplay(s)
		if err != nil {
			return
		}
		again, err := audit.ParseReplay(r.String())
		if err != nil || again.Trial != r.Trial || !slices.Equal(again.Decisions, r.Decisions) {
			t.Errorf("%q is %+v, and back %+v, %v", s, r, again, err)
		}
	})
}

func TestReplayMisfits(t *testing.T) {
	for _, text := range []string{
		"no-such-device:READ:attach:write:0",
		"pipe-reader:READ:attach:no such act:0",
		"pipe-reader:READ:attach:write:7",
		"pipe-reader:READ:attach:write:0x500",
	} {
		r, err := audit.ParseReplay(text)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := r.Run(catalog.All()); f != nil || !errors.Is(err, audit.ErrMisfit) {
			t.Errorf("%s: %v, %v", text, f, err)
		}
	}
	r := audit.Replay{Trial: "pipe-reader:READ:attach:write"}
	if f, err := r.Run(catalog.All()); f != nil || err != nil {
		t.Errorf("nothing is decided, and nobody preempted: %v, %v", f, err)
	}
}
