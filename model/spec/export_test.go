package spec

import "github.com/kqlab/kqlab/model/event"

// Modes returns what an item asks for, its modes among it.
func (s *State) Modes(r Ref) event.PollEvents { return s.knotes[s.index(r)].asks }
