package main

import (
	"testing"

	"github.com/kqlab/kqlab/strategies/strategytest"
)

func TestConformance(t *testing.T) { strategytest.Run(t, New) }
