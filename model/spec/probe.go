package spec

import (
	"fmt"
	"math"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// probes have a level that can be set, and are watched for it by Read and by Write.
type probes struct{ plain }

func (probes) knows(f event.Filter) bool { return f == event.Read || f == event.Write }

func (probes) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	return lowat(kn, kev, 1, math.MaxInt64)
}

func (probes) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	e.Data = s.files[kn.file].level
	return e.Data >= kn.mark, e
}

func (probes) mask(s *State, n int32) event.PollEvents {
	if s.files[n].level > 0 {
		return in | out
	}
	return 0
}

func (p probes) act(s *State, n int32, w *Work, op *event.Op) {
	if op.Call != event.CallSet {
		p.plain.act(s, n, w, op)
		return
	}
	s.files[n].level = op.N
	s.post(n, 0, 0)
	w.ends(0)
}

func (probes) name() string { return "probe" }

func (probes) details(s *State, n int32) string { return strconv.FormatInt(s.files[n].level, 10) }

func (probes) words(s *State, n int32) string {
	return fmt.Sprintf("a probe at level %d", s.files[n].level)
}
