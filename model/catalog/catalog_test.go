package catalog_test

import (
	"regexp"
	"slices"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
)

func alone(f func(td *machine.Thread, w *catalog.World)) { catalog.Alone(giant.New, f) }

// acts returns the names of what can be done to a device.
func acts(d catalog.Device) (names []string) {
	alone(func(td *machine.Thread, w *catalog.World) {
		for _, a := range d.New(td, w).Acts {
			names = append(names, a.Name)
		}
	})
	return names
}

func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, d := range catalog.All() {
		if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(d.Name) || names[d.Name] {
			t.Errorf("name %q: want one of its own, of lower-case letters, digits and -", d.Name)
		}
		names[d.Name] = true
		if d.Like == "" || len(d.Filters) == 0 {
			t.Errorf("%s says neither what it is like nor what can be asked of it", d.Name)
		}
		for _, f := range d.Filters {
			if f.Data == "" || f.EOF == "" {
				t.Errorf("%s %v does not say what its data or its EV_EOF mean", d.Name, f.Filter)
			}
			// A table of 100 columns has room for no more.
			if utf8.RuneCountInString(f.Data) > 40 || utf8.RuneCountInString(f.EOF) > 28 {
				t.Errorf("%s %v: %q, %q: want 40 characters at most, and 28", d.Name, f.Filter, f.Data, f.EOF)
			}
		}
		if acts := acts(d); len(acts) == 0 || len(slices.Compact(slices.Sorted(slices.Values(acts)))) < len(acts) {
			t.Errorf("%s has acts %q, want some, each of a name of its own", d.Name, acts)
		}
		if _, ok := catalog.Find(d.Name); !ok {
			t.Errorf("%s is not found", d.Name)
		}
	}
	if _, ok := catalog.Find("no such device"); ok {
		t.Error("a device is found that there is not")
	}
}

// TestFilters: a row has those filters of a device that there are.
func TestFilters(t *testing.T) {
	for _, d := range catalog.All() {
		alone(func(td *machine.Thread, w *catalog.World) {
			u := d.New(td, w)
			for _, f := range []event.Filter{event.Read, event.Write, event.Except, event.Vnode} {
				_, err := u.Asked(td, w, f)
				if u.File == nil {
					break
				}
				if has := slices.ContainsFunc(d.Filters, func(row catalog.Filter) bool { return row.Filter == f }); has != (err == nil) {
					t.Errorf("%s %v: in the row: %t; Source: %v", d.Name, f, has, err)
				}
			}
			for i, own := range d.Declared(td, w) {
				if own == nil {
					t.Errorf("%s %v is no filter", d.Name, d.Filters[i].Filter)
				}
			}
			if u.File == nil {
				if _, err := u.Asked(td, w, event.Read); err != syscall.EINVAL {
					t.Errorf("%s, which has no descriptor, is asked for %v: %v", d.Name, event.Read, err)
				}
			}
		})
	}
}

// TestActs: each act, done first, does not fail; and each filter that says now yes,
// now no, has news by some act. The audit would show little otherwise.
func TestActs(t *testing.T) {
	for _, d := range catalog.All() {
		moved := map[event.Filter]bool{}
		for i, name := range acts(d) {
			alone(func(td *machine.Thread, w *catalog.World) {
				u := d.New(td, w)
				id := u.Ident
				if u.File != nil {
					fd, err := w.Process.Open(td, u.File)
					if err != nil {
						t.Error(err)
					}
					id = uint64(fd)
				}
				for _, f := range d.Filters {
					add := event.Kevent{Ident: id, Filter: f.Filter, Flags: event.Add | event.Clear, Fflags: f.Fflags, Data: f.WantData}
					if _, err := w.Queue.Kevent(td, []event.Kevent{add}, nil, 0); err != nil {
						t.Errorf("%s: %v: %v", d.Name, add, err)
					}
				}
				harvest(t, td, w)
				if err := u.Acts[i].Do(td); err != nil {
					t.Errorf("%s, %s: %v", d.Name, name, err)
				}
				for f, now := range harvest(t, td, w) {
					moved[f] = moved[f] || now
				}
			})
		}
		for _, f := range d.Filters {
			if want := f.Data != catalog.NeverReady && f.Data != catalog.AlwaysReady; moved[f.Filter] != want {
				t.Errorf("%s %v: some act is news to it: %t, want %t", d.Name, f.Filter, moved[f.Filter], want)
			}
		}
	}
}

// harvest takes all that the world's queue has, and returns of which filters.
func harvest(t *testing.T, td *machine.Thread, w *catalog.World) map[event.Filter]bool {
	var events [8]event.Kevent
	n, err := w.Queue.Kevent(td, nil, events[:], 0)
	if err != nil {
		t.Error(err)
	}
	all := map[event.Filter]bool{}
	for _, e := range events[:n] {
		all[e.Filter] = true
	}
	return all
}
