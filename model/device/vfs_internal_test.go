package device

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// Each invariant that the audit of a file system looks at is found when it is broken.
func TestVFSAuditFinds(t *testing.T) {
	type broken struct {
		v            *VFS
		dir, file, d *vnode // the root; what a/f and g are names of; a
		other        *vnode // a file
	}
	for _, test := range []struct {
		what, want string
		do         func(b broken)
	}{
		{"nothing", "", func(b broken) {}},
		{"a file that is gone", "V1", func(b broken) { b.file.gone = true }},
		{"a name twice", "V1", func(b broken) { b.d.entries = append(b.d.entries, entry{"f", b.other}) }},
		{"a name of the root", "V2", func(b broken) { b.d.entries[0].n = b.dir }},
		{"a directory that is elsewhere", "V2", func(b broken) { b.d.up = b.d }},
		{"a directory with a link too many", "V2", func(b broken) { b.d.links++ }},
		{"a root with one too few", "V2", func(b broken) { b.dir.links-- }},
		{"a file with a link too many", "V3", func(b broken) { b.file.links++ }},
		{"a name that is not counted", "V3", func(b broken) { b.dir.entries = b.dir.entries[:1] }},
		{"a file that is too long", "V4", func(b broken) { b.file.data = make([]byte, MaxFileSize+1) }},
	} {
		t.Run(test.what, func(t *testing.T) {
			m := machine.Native(1)
			v := NewVFS(kqueue.New(m, strategies.All[0].New(m)))
			td := m.Attach("test", 0)
			defer td.Detach()
			if err := v.Mkdir(td, "a"); err != nil {
				t.Fatal(err)
			}
			f, err := v.Create(td, "a/f")
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Link(td, "a/f", "g"); err != nil {
				t.Fatal(err)
			}
			other, err := v.Create(td, "h")
			if err != nil {
				t.Fatal(err)
			}
			test.do(broken{v, v.root, f.n, v.root.entries[0].n, other.n})
			got := fmt.Sprint(v.Audit(td))
			if test.want == "" && got != "<nil>" || !strings.HasPrefix(got, test.want) {
				t.Errorf("the audit says %s, want %s", got, test.want)
			}
		})
	}
}

// A vnode that nothing leads to any more is gone, with what was in it, and one that a
// name or an open file leads to is not.
func TestVnodeLives(t *testing.T) {
	m := machine.Native(1)
	v := NewVFS(kqueue.New(m, strategies.All[0].New(m)))
	td := m.Attach("test", 0)
	defer td.Detach()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := v.Create(td, "f")
	ok(err)
	_, err = f.Write(td, []byte("some"))
	ok(err)
	for _, step := range []struct {
		what string
		do   func() error
		gone bool
	}{
		{"a name more", func() error { return v.Link(td, "f", "g") }, false},
		{"a name less", func() error { return v.Unlink(td, "f") }, false},
		{"open once more", func() error { _, err := v.Open(td, "g"); return err }, false},
		{"the first is released", func() error { f.Release(td); return nil }, false},
		{"and again", func() error { f.Release(td); return nil }, false},
		{"replaced", func() error {
			_, err := v.Create(td, "h")
			ok(err)
			return v.Rename(td, "h", "g")
		}, false},
		{"the last is released", func() error { (&OpenFile{n: f.n}).Release(td); return nil }, true},
	} {
		ok(step.do())
		if f.n.gone != step.gone || step.gone != (len(f.n.data) == 0) {
			t.Errorf("%s: gone: %t, with %d bytes", step.what, f.n.gone, len(f.n.data))
		}
	}
}
