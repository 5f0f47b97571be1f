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
	HalfTold
	freedoms
)

var freedomNames = [freedoms]string{
	"anyOrder", "lateNews", "halfEnded", "HalfClosed", "MayLoop", "AnyCount", "claimedMeanwhile", "mayOweVisit", "twoLives", "EndedMeanwhile", "HalfTold",
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

// Needs returns freedoms that a history cannot do without: with all others switched off
// the specification allows it, in the order of its commit points, and with one more it
// does not. Where either of two would do it is the later one in the list above. It
// reports false if the history is not allowed in that order as it is, and so nothing is
// known.
func Needs(h History) (needs []Freedom, ok bool) {
	r := new(replay)
	if !r.explains(h, false, 0) {
		return nil, false
	}
	denied := uint(0)
	for f := range freedoms {
		if r.explains(h, false, denied|1<<f) {
			denied |= 1 << f
		} else {
			needs = append(needs, f)
		}
	}
	return needs, true
}
