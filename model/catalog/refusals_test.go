package catalog_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

var update = flag.Bool("update", false, "write the tables of README.md anew")

// Each filter there is has something to say of each part of a change, and something is
// wrong with each part of a change to some filter.
func TestRefusalsOfAll(t *testing.T) {
	has := map[string]bool{}
	for _, r := range catalog.Refusals() {
		has[r.Filter.String()+" "+r.Part] = true
		if r.Change.Filter != r.Filter || r.Words == "" {
			t.Errorf("%v %s: the change is to %v; %q", r.Filter, r.Part, r.Change.Filter, r.Words)
		}
	}
	for f := event.Read; f >= event.FS; f-- {
		for _, part := range catalog.Parts {
			if !has[f.String()+" "+part] {
				t.Errorf("nothing is said of a wrong %s of %v", part, f)
			}
		}
	}
}

// What is wrong is answered as the table says, of every device and under every strategy,
// whether the knote is there or not; and it is afterwards as it was before.
func TestRefusals(t *testing.T) {
	tried := map[string]bool{}
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			for _, d := range catalog.All() {
				catalog.Alone(s.New, func(td *machine.Thread, w *catalog.World) {
					refuse(t, td, w, d, tried)
				})
			}
		})
	}
	for _, r := range catalog.Refusals() {
		if !tried[r.Filter.String()+r.Words] {
			t.Errorf("%v %s, %s: no device of the catalog has been tried", r.Filter, r.Part, r.Words)
		}
	}
}

func refuse(t *testing.T, td *machine.Thread, w *catalog.World, d catalog.Device, tried map[string]bool) {
	u := d.New(td, w)
	id := u.Ident
	if u.File != nil {
		fd, err := w.Process.Open(td, u.File)
		if err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		id = uint64(fd)
	}
	errno := func(kev event.Kevent) error {
		_, err := w.Queue.Kevent(td, []event.Kevent{kev}, nil, 0)
		return err
	}
	for _, r := range catalog.Refusals() {
		i := slices.IndexFunc(d.Filters, func(f catalog.Filter) bool { return f.Filter == r.Filter })
		kev := r.Change
		switch {
		case r.On == catalog.Any && i < 0, r.On == catalog.Other && (i >= 0 || u.File == nil):
			continue
		case r.On != catalog.Given:
			kev.Ident = id
		}
		tried[r.Filter.String()+r.Words] = true
		var want error
		if e, ok := r.Deviant(d.Name); ok && e != 0 {
			want = e
		} else if !ok && r.Errno != 0 {
			want = r.Errno
		}
		if err := errno(kev); err != want {
			t.Errorf("%s: %v (%s, %s): %v, want %v", d.Name, kev, r.Part, r.Words, err, want)
		}
		gone := event.Kevent{Ident: kev.Ident, Filter: r.Filter, Flags: event.Delete}
		err := errno(gone)
		if want == nil && err != nil || want != nil && err == nil {
			t.Errorf("%s: after %v, %v: %v", d.Name, kev, gone, err)
		}
		if want == nil || r.On != catalog.Any || kev.Flags&event.Add == 0 {
			continue
		}
		f := d.Filters[i]
		there := event.Kevent{Ident: id, Filter: f.Filter, Flags: event.Add, Fflags: f.Fflags, Data: f.WantData}
		if err := errno(there); err != nil {
			t.Errorf("%s: %v: %v", d.Name, there, err)
		}
		if err := errno(kev); err != want {
			t.Errorf("%s: %v, of a knote that is there (%s, %s): %v, want %v", d.Name, kev, r.Part, r.Words, err, want)
		}
		if err := errno(gone); err != nil {
			t.Errorf("%s: %v does away with the knote: %v", d.Name, kev, err)
		}
	}
}

// The table in README.md is that of the code.
func TestRefusalsTable(t *testing.T) {
	const begin, end = "<!-- refusals -->\n", "<!-- end of refusals -->\n"
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	table, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("README.md has no table between %q and %q", begin, end)
	}
	want := catalog.RefusalsTable()
	if *update {
		if err := os.WriteFile("README.md", []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != want {
		t.Error("the table in README.md is not that of the code; go test ./model/catalog -run TestRefusalsTable -update writes it")
	}
}
