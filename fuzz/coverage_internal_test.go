package fuzz

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine"
)

// Sets of points have room for all that there are, or pairs would not be counted.
func TestMaxPoints(t *testing.T) {
	if n := len(machine.PointNames()); n >= maxPoints {
		t.Errorf("the machine has %d points, and there is room for less than %d", n, maxPoints)
	}
}
