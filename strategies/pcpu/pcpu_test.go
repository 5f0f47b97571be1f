package pcpu_test

import (
	"testing"

	"github.com/kqlab/kqlab/strategies/pcpu"
	"github.com/kqlab/kqlab/strategies/strategytest"
)

func TestConformance(t *testing.T) { strategytest.Run(t, pcpu.New) }
