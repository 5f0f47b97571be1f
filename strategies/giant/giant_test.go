package giant_test

import (
	"testing"

	"github.com/kqlab/kqlab/strategies/giant"
	"github.com/kqlab/kqlab/strategies/strategytest"
)

func TestConformance(t *testing.T) { strategytest.Run(t, giant.New) }
