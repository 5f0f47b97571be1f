package spec

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// depth is how many kqueues the longest chain has.
const depth = 10

// kqueues are files that kqueues can watch: "data = deliverable events".
type kqueues struct{ plain }

func (kqueues) knows(f event.Filter) bool { return f == event.Read }

// touch: "never a silent accept", and there is no mark of events.
func (kqueues) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kev.Fflags != 0 {
		return kn, syscall.EINVAL
	}
	return kn, 0
}

func (kqueues) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	s.prune(kn.file)
	e.Data = s.listed(kn.file)
	return e.Data > 0, e
}

func (kqueues) mask(s *State, n int32) event.PollEvents {
	for i := range s.knotes {
		if s.knotes[i].queue == n && s.ready(i) {
			return in
		}
	}
	return 0
}

func (kqueues) name() string { return "kqueue" }

func (kqueues) words(*State, int32) string { return "a kqueue" }

// epolls are watched as kqueues are, for what they have to deliver.
type epolls struct{ kqueues }

func (epolls) name() string { return "epoll" }

func (epolls) words(*State, int32) string { return "an epoll" }

// collects reports whether file n is a kqueue or an epoll.
func (s *State) collects(n int32) bool {
	k := s.files[n].kind
	return k == queue || k == epoll
}

// prune asks everything on the list of kqueue q, so that what is left there is
// what it can deliver.
func (s *State) prune(q int32) {
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.knotes[i].place != 0 {
			s.look(i)
		}
	}
}

// queueWords names a kqueue or an epoll by a descriptor that stands for it.
func (s *State) queueWords(q int32) string {
	what := s.of(q).name()
	i := slices.IndexFunc(s.slots, func(x slot) bool { return x.file == q && !x.ending && x.owner == 0 })
	if i < 0 {
		return fmt.Sprintf("the %s that is closed", what)
	}
	return fmt.Sprintf("%s %d", what, s.slots[i].fd)
}

// reaches reports whether kqueue q is to, or watches it over any number of steps.
func (s *State) reaches(q, to int32) bool {
	if q == to {
		return true
	}
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && s.nested(i) && s.reaches(kn.file, to) {
			return true
		}
	}
	return false
}

// nested reports whether knote i watches a kqueue or an epoll.
func (s *State) nested(i int) bool {
	kn := &s.knotes[i]
	return kn.file >= 0 && s.collects(kn.file)
}

// below returns the length of the longest chain that starts at q, in kqueues.
func (s *State) below(q int32) int {
	n := 0
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.nested(i) {
			n = max(n, s.below(s.knotes[i].file))
		}
	}
	return n + 1
}

// above returns the length of the longest chain that ends at q, in kqueues.
func (s *State) above(q int32) int {
	n := 0
	for i := range s.knotes {
		if s.knotes[i].file == q && s.nested(i) {
			n = max(n, s.above(s.knotes[i].queue))
		}
	}
	return n + 1
}
