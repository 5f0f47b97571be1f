package spec

import (
	"fmt"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// Words returns the state in sentences for people, one for each descriptor and
// then one for each knote. What is to be read as code stands between backticks.
func (s State) Words() []string {
	var out []string
	for _, x := range s.slots {
		out = append(out, s.slotWords(x))
	}
	out = append(out, s.processWords()...)
	for i := range s.knotes {
		out = append(out, s.knoteWords(i))
	}
	return out
}

// KnoteWords says how kqueue q, which Enter has returned, stands to a knote: that
// it has none, or what its knote would do if it were asked now. It is a sentence
// as in Words.
func (s State) KnoteWords(q int32, ident uint64, filter event.Filter) string {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && kn.ident == ident && kn.filter == filter {
			return s.knoteWords(i)
		}
	}
	return fmt.Sprintf("%s has no knote `%v %d`", s.queueWords(q), filter, ident)
}

func (s *State) slotWords(x slot) string {
	text := s.of(x.file).words(s, x.file)
	switch {
	case x.owner != 0 && x.ending:
		return fmt.Sprintf("process %d is about to end, which had open %s", x.owner, text)
	case x.owner != 0:
		return fmt.Sprintf("process %d has open %s", x.owner, text)
	case x.reaped:
		return fmt.Sprintf("number %d is free, the knotes of what it was are gone; it was %s", x.fd, text)
	case x.ending:
		return fmt.Sprintf("number %d is free, but the knotes of what it was are there yet; it was %s", x.fd, text)
	}
	return fmt.Sprintf("descriptor %d is %s", x.fd, text)
}

func (s *State) knoteWords(i int) string {
	kn := &s.knotes[i]
	if kn.filter == Item {
		return s.itemWords(i)
	}
	n := s.Clone() // to ask a knote that watches a kqueue changes the list of that
	hit, kev := n.ask(i)
	text := fmt.Sprintf("knote `%v %d` of %s", kn.filter, kn.ident, s.queueWords(kn.queue))
	if kn.keep != 0 {
		text += ", which has `EV_" + strings.ReplaceAll(kn.keep.String(), "|", " EV_") + "`,"
	}
	state := ""
	switch {
	case kn.disabled && kn.fired:
		state = "is disabled, and has something to tell when it is enabled"
	case kn.disabled:
		state = "is disabled"
	case hit && kn.place != 0:
		state = fmt.Sprintf("is ready to be returned as `%v`", kev)
	case hit:
		state = fmt.Sprintf("has nothing new to tell: `%v` has been returned, and nothing has happened since", kev)
	case kn.filter == event.Timer && kn.more != noTick:
		state = "has not expired since it was last returned, and may at any time"
	case kn.filter == event.Timer:
		state = "has expired for the last time, and that has been returned"
	case kn.filter == event.Proc:
		state = "has nothing to tell: nothing that it asks for has happened since it was last returned"
	case kn.filter == event.Signal:
		state = "has nothing to tell: the signal was not sent since it was last returned"
	case kn.filter == event.User:
		state = "has nothing to tell: it has not been triggered since it was last returned"
	case kn.filter == event.Vnode || kn.filter == event.FS:
		state = "has nothing to tell: nothing that it asks for has happened since it was last returned"
	default:
		state = "has nothing to tell: its condition does not hold"
	}
	return text + " " + state
}

// ItemWords says how epoll q, which EnterEpoll has returned, stands to the items
// that were added as number fd: it is a sentence as in Words.
func (s State) ItemWords(q int32, fd int) string {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && kn.filter == Item && kn.ident == uint64(fd) {
			return s.knoteWords(i)
		}
	}
	return fmt.Sprintf("%s has no item `%d`", s.queueWords(q), fd)
}

func (s *State) itemWords(i int) string {
	kn := &s.knotes[i]
	n := s.Clone() // to ask an item that watches an epoll changes the list of that
	hit, kev := n.ask(i)
	text := fmt.Sprintf("item `%d` of %s, which asks for `%v`, ", kn.ident, s.queueWords(kn.queue), kn.asks)
	switch {
	case kn.disabled:
		return text + "has been returned, and is disabled"
	case hit && kn.place != 0:
		return text + fmt.Sprintf("is ready to be returned as `%v`", polledOf(kev))
	case hit:
		return text + fmt.Sprintf("has nothing new to tell: `%v` has been returned, and nothing has happened since", polledOf(kev).Events)
	}
	return text + "has nothing to tell: its condition does not hold"
}
