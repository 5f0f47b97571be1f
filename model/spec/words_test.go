package spec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// Each state that a knote or a descriptor may be in has words of its own.
func TestWords(t *testing.T) {
	const made = "kqueue, pipe, probe, "
	for _, c := range []struct{ ops, want string }{
		{made, "descriptor 0 is a kqueue"},
		{made + "write 2 5", "descriptor 1 is the reading end of a pipe with 5 bytes in it"},
		{made + "write 2 5, close 2", "descriptor 1 is the reading end of a pipe with 5 bytes in it, whose writing end is closed"},
		{made + "close 1", "descriptor 2 is the writing end of a pipe with 0 bytes in it, whose reading end is closed"},
		{made + "set 3 7", "descriptor 3 is a probe at level 7"},
		{"device usb, input 0 2, write 0 65", "descriptor 0 is the device `usb`, with 128 bytes to read and room for 896"},
		{"device usb, unplug 0", "descriptor 0 is the device `usb`, which is unplugged"},
		{"device tap, input 0 2", "descriptor 0 is the device `tap`, with 120 bytes to read"},
		{"device tap, control 0 up 0", "descriptor 0 is the device `tap`, which is down"},
		{"device play, write 0 96", "descriptor 0 is the device `play`, with room for 4000"},
		{made + "kevent 0: READ 1 ADD", "knote `READ 1` of kqueue 0 has nothing to tell: its condition does not hold"},
		{made + "kevent 0: READ 1 ADD, write 2 5", "knote `READ 1` of kqueue 0 is ready to be returned as `READ 1 data=5`"},
		{made + "kevent 0: READ 1 ADD|CLEAR|DISPATCH|DISABLE", "knote `READ 1` of kqueue 0, which has `EV_CLEAR EV_DISPATCH`, is disabled"},
		{made + "kevent 0: READ 1 ADD|DISABLE, write 2 5", "knote `READ 1` of kqueue 0 is disabled, and has something to tell when it is enabled"},
		{made + "kevent 0: READ 1 ADD|CLEAR, write 2 5, kevent 0 room=1",
			"knote `READ 1` of kqueue 0, which has `EV_CLEAR`, has nothing new to tell: `READ 1 CLEAR data=5` has been returned, and nothing has happened since"},
		{made + "kevent 0: USER 4 ADD", "knote `USER 4` of kqueue 0 has nothing to tell: it has not been triggered since it was last returned"},
		{made + "kevent 0: TIMER 4 ADD data=5", "knote `TIMER 4` of kqueue 0, which has `EV_CLEAR`, has not expired since it was last returned, and may at any time"},
	} {
		s := spec.New(0)
		for _, text := range strings.Split(strings.TrimSuffix(c.ops, ", "), ", ") {
			s.Apply(parse(t, text))
		}
		before := s.Clone()
		if words := s.Words(); !slices.Contains(words, c.want) {
			t.Errorf("after %s: %q, want %q among it", c.ops, words, c.want)
		}
		if !s.Equal(before) {
			t.Errorf("after %s: to speak of a state has changed it", c.ops)
		}
	}

	s := spec.New(0)
	for _, text := range []string{"kqueue", "probe", "set 1 7", "kevent 0: READ 1 ADD"} {
		s.Apply(parse(t, text))
	}
	if got, want := s.KnoteWords(0, 2, event.Read), "kqueue 0 has no knote `READ 2`"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	life, _ := s.Unlink(parse(t, "close 1"))
	if want := "number 1 is free, but the knotes of what it was are there yet; it was a probe at level 7"; !slices.Contains(s.Words(), want) {
		t.Errorf("%q, want %q among it", s.Words(), want)
	}
	if got, want := s.KnoteWords(0, 1, event.Read), "knote `READ 1` of kqueue 0 is ready to be returned as `READ 1 data=7`"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.Reap(life)
	if want := "number 1 is free, the knotes of what it was are gone; it was a probe at level 7"; !slices.Contains(s.Words(), want) {
		t.Errorf("%q, want %q among it", s.Words(), want)
	}
}
