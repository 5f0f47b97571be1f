package globaltoken_test

import (
	"testing"

	"github.com/kqlab/kqlab/strategies/globaltoken"
	"github.com/kqlab/kqlab/strategies/strategytest"
)

func TestConformance(t *testing.T) { strategytest.Run(t, globaltoken.New) }
