package linearizability

import "fmt"

// A Freedom is something that the specification leaves open, so that right kernels
// may answer differently. It has the name under which it is explained, in nondet.go of
// package spec or in excuses.go here.
type Freedom uint8

// The freedoms that a history may need. What is open in every history, such as when a
// timer expires, is not among them.
const (
	AnyOrder Freedom = iota
	LateNews
	HalfEnded
	HalfClosed
	MayLoop
	AnyCount
	ClaimedMeanwhile
	MayOweVisit
	TwoLives
	EndedMeanwhile
	freedoms
)

var freedomNames = [freedoms]string{
	"anyOrder", "lateNews", "halfEnded", "HalfClosed", "MayLoop", "AnyCount", "claimedMeanwhile", "mayOweVisit", "twoLives", "EndedMeanwhile",
}

// String returns the name.
func (f Freedom) String() string {
	if f >= freedoms {
		return fmt.Sprintf("freedom %d", uint8(f))
	}
	return freedomNames[f]
}

// MarshalText implements [encoding.TextMarshaler].
func (f Freedom) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Freedom) UnmarshalText(text []byte) error {
	for i, name := range freedomNames {
		if name == string(text) {
			*f = Freedom(i)
			return nil
		}
	}
	return fmt.Errorf("linearizability: freedom %q: want one of %q", text, freedomNames)
}

// Needs returns the freedoms each of which a history cannot do without: with that one
// switched off the specification forbids it, in the order of its commit points. It
// reports false if it is not allowed in that order as it is, and so nothing is known.
func Needs(h History) (needs []Freedom, ok bool) {
	r := new(replay)
	if !r.explains(h, false, 0) {
		return nil, false
	}
	for f := range freedoms {
		if !r.explains(h, false, 1<<f) {
			needs = append(needs, f)
		}
	}
	return needs, true
}
