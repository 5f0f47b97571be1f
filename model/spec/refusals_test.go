package spec_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// said is how scripts make a unit of each class of the catalog, and what its ident is
// then; descriptor 0 is the kqueue that watches. A class that is named as a device is that
// device.
var said = map[string]struct {
	ops   string
	ident uint64
}{
	"pipe-reader":       {"pipe", 1},
	"pipe-writer":       {"pipe", 2},
	"fifo-reader":       {"fifo; reopen 1 read", 2},
	"fifo-writer":       {"fifo; reopen 1 write", 2},
	"pty":               {"pty", 1},
	"tty":               {"pty", 2},
	"socket":            {"socketpair stream", 1},
	"socket-connecting": {"socket stream; listen 1 7 1; socket stream; connect 2 7", 2},
	"socket-listener":   {"socket stream; listen 1 7 1", 1},
	"socket-datagram":   {"socket dgram; listen 1 7 0", 1},
	"kqueue":            {"kqueue", 1},
	"timer":             {"", 1},
	"user":              {"", 1},
	"aio":               {"disk; aio 1 read 100", 2},
	"process":           {"fork 1", 2},
	"signal":            {"", 15},
	"mounts":            {"", 1},
	"file":              {"creat 1", 1},
}

// unsaid are the classes that scripts have no word for, and why.
var unsaid = map[string]string{
	"directory":       "files of scripts have no directories",
	"keyboard-mpsafe": "it differs from a keyboard in its locking alone",
}

// saidOf returns the operations, and the ident, of a class; false if there is no word.
func saidOf(name string) (ops []string, ident uint64, ok bool) {
	if s, ok := said[name]; ok {
		if s.ops != "" {
			ops = strings.Split(s.ops, "; ")
		}
		return ops, s.ident, true
	}
	for d := range event.Devices {
		if d.String() == name {
			return []string{"device " + name}, 1, true
		}
	}
	return nil, 0, false
}

// The specification answers what is wrong with a change as the catalog's table says, of
// every class that scripts have a word for. Every row is tried.
func TestRefusals(t *testing.T) {
	tried := map[string]bool{}
	for _, d := range catalog.All() {
		_, _, ok := saidOf(d.Name)
		if why := unsaid[d.Name]; ok == (why != "") && !strings.HasPrefix(d.Name, "probe") {
			t.Errorf("%s: scripts say it: %t, and what is written down for that they do not is %q", d.Name, ok, why)
		}
		if ok {
			for _, wrong := range refused(d, catalog.Refusals(), tried) {
				t.Error(wrong)
			}
		}
	}
	for _, r := range catalog.Refusals() {
		if !tried[r.Filter.String()+r.Words] {
			t.Errorf("%v %s, %s: nothing has been tried", r.Filter, r.Part, r.Words)
		}
	}
}

// The control: EXDEV is the answer to nothing.
func TestRefusalsAreTried(t *testing.T) {
	for _, r := range catalog.Refusals() {
		wrong := 0
		row := r
		row.Errno = syscall.EXDEV
		for _, d := range catalog.All() {
			if _, _, ok := saidOf(d.Name); ok {
				wrong += len(refused(d, []catalog.Refusal{row}, map[string]bool{}))
			}
		}
		if wrong == 0 {
			t.Errorf("%v %s, %s: EXDEV would do", r.Filter, r.Part, r.Words)
		}
	}
}

// refused tries rows of the table on a class, and returns what is answered otherwise.
func refused(d catalog.Device, rows []catalog.Refusal, tried map[string]bool) (wrong []string) {
	ops, id, _ := saidOf(d.Name)
	s := spec.New(0)
	for _, text := range append([]string{"kqueue"}, ops...) {
		op, err := event.ParseOp(text)
		if err != nil {
			return []string{err.Error()}
		}
		if r := s.Apply(op); r.Errno != 0 && r.Errno != syscall.EINPROGRESS {
			return []string{d.Name + ": " + text + ": " + r.String()}
		}
	}
	change := func(kev event.Kevent, want syscall.Errno, why string) {
		got := s.Apply(event.Op{Call: event.CallKevent, Changes: []event.Kevent{kev}})
		if !got.Equal(event.Result{Errno: want}) {
			wrong = append(wrong, d.Name+": "+kev.String()+": "+got.String()+", want "+event.Result{Errno: want}.String()+": "+why)
		}
	}
	for _, r := range rows {
		i := slices.IndexFunc(d.Filters, func(f catalog.Filter) bool { return f.Filter == r.Filter })
		kev := r.Change
		switch {
		case r.On == catalog.Any && i < 0, r.On == catalog.Other && (i >= 0 || len(ops) == 0 || d.Name == "process"):
			continue
		case r.On != catalog.Given:
			kev.Ident = id
		}
		tried[r.Filter.String()+r.Words] = true
		gone := event.Kevent{Ident: kev.Ident, Filter: r.Filter, Flags: event.Delete}
		if r.Errno == 0 {
			change(kev, 0, r.Words)
			change(gone, 0, "it was added")
			continue
		}
		change(kev, r.Errno, r.Words)
		if r.On != catalog.Any || kev.Flags&event.Add == 0 {
			continue
		}
		change(gone, syscall.ENOENT, "there should be no knote of what was refused")
		f := d.Filters[i]
		change(event.Kevent{Ident: id, Filter: f.Filter, Flags: event.Add, Fflags: f.Fflags, Data: f.WantData}, 0, "nothing is wrong with it")
		change(kev, r.Errno, r.Words+", of a knote that is there")
		change(gone, 0, "what is refused does not do away with the knote")
	}
	return wrong
}
