package catalog_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
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
		for _, d := range catalog.All() {
			for _, wrong := range refuse(s, d, catalog.Refusals(), tried) {
				t.Errorf("%s: %s", s.Name, wrong)
			}
		}
	}
	for _, r := range catalog.Refusals() {
		if !tried[r.Filter.String()+r.Words] {
			t.Errorf("%v %s, %s: no device of the catalog has been tried", r.Filter, r.Part, r.Words)
		}
	}
}

// The control: of a table with another errno in a row each row is wrong, of some device.
func TestRefusalsAreTried(t *testing.T) {
	rows := catalog.Refusals()
	for i := range rows {
		row := rows[i]
		row.Errno = syscall.EXDEV
		wrong := 0
		for _, d := range catalog.All() {
			wrong += len(refuse(strategies.All[0], d, []catalog.Refusal{row}, map[string]bool{}))
		}
		if wrong == 0 {
			t.Errorf("%v %s, %s: EXDEV would do", row.Filter, row.Part, row.Words)
		}
	}
}

// refuse tries rows of the table on a device, and returns what is answered otherwise.
func refuse(s strategies.Entry, d catalog.Device, rows []catalog.Refusal, tried map[string]bool) (wrong []string) {
	catalog.Alone(s.New, func(td *machine.Thread, w *catalog.World) {
		u := d.New(td, w)
		id := u.Ident
		if u.File != nil {
			fd, err := w.Process.Open(td, u.File)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", d.Name, err))
			}
			id = uint64(fd)
		}
		change := func(kev event.Kevent, want error, why string) {
			if _, err := w.Queue.Kevent(td, []event.Kevent{kev}, nil, 0); err != want {
				wrong = append(wrong, fmt.Sprintf("%s: %v: %v, want %v: %s", d.Name, kev, err, want, why))
			}
		}
		for _, r := range rows {
			i := slices.IndexFunc(d.Filters, func(f catalog.Filter) bool { return f.Filter == r.Filter })
			kev := r.Change
			switch {
			case r.On == catalog.Any && i < 0, r.On == catalog.Other && (i >= 0 || u.File == nil):
				continue
			case r.On != catalog.Given:
				kev.Ident = id
			}
			tried[r.Filter.String()+r.Words] = true
			gone := event.Kevent{Ident: kev.Ident, Filter: r.Filter, Flags: event.Delete}
			if r.Errno == 0 {
				change(kev, nil, r.Words)
				change(gone, nil, "it was added")
				continue
			}
			change(kev, r.Errno, r.Words)
			if r.On != catalog.Any || kev.Flags&event.Add == 0 {
				continue
			}
			change(gone, syscall.ENOENT, "there should be no knote of what was refused")
			f := d.Filters[i]
			change(event.Kevent{Ident: id, Filter: f.Filter, Flags: event.Add, Fflags: f.Fflags, Data: f.WantData}, nil, "nothing is wrong with it")
			change(kev, r.Errno, r.Words+", of a knote that is there")
			change(gone, nil, "what is refused does not do away with the knote")
		}
	})
	return wrong
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
