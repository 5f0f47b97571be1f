package cli_test

import (
	"testing"

	"github.com/kqlab/kqlab/cli"
)

func TestRaceLine(t *testing.T) {
	report := `==================
WARNING: DATA RACE
Write at 0x00c000180018 by goroutine 9:
  example.com/a.(*T).Put()
      /src/a.go:12 +0x44

Previous read at 0x00c000180018 by goroutine 8:
  example.com/a.(*T).Get()
      /src/a.go:7 +0x30

Goroutine 9 (running) created at:
  example.com/a.main()
`
	if got, want := cli.RaceLine([]byte(report)), "data race: write in example.com/a.(*T).Put(); previous read in example.com/a.(*T).Get()"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := cli.RaceLine([]byte("WARNING: DATA RACE\n")); got != "data race" {
		t.Errorf("a report that is cut off: got %q", got)
	}
}
