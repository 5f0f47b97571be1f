package fuzz_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/strategies/pcpu"
)

// One script, once, under one strategy.
func ExampleRun() {
	s, err := script.Parse("once.kq", `
setup
  kqueue
  probe
  kevent 0: READ 1 ADD|ONESHOT
thread cpu=0
  kevent 0 room=1 wait=forever
thread cpu=1
  set 1 5
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := fuzz.Run(s, fuzz.Options{New: pcpu.New, Strategy: "pcpu"})
	for _, rec := range r.History {
		if rec.Thread == 1 {
			fmt.Println(rec.Op, "=>", rec.Result)
		}
	}
	fmt.Println("finding:", r.Finding)
	// Output:
	// kevent 0 room=1 wait=forever => events READ 1 ONESHOT data=5
	// finding: <nil>
}

// Drawn scripts under one strategy, until twenty are done, a minute is over, or
// something is wrong.
func ExampleCampaign() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := fuzz.Campaign{
		Options: fuzz.Options{New: pcpu.New, Strategy: "pcpu"},
		Seed:    7,
		Scripts: 20,
		Rounds:  3,
		Folder:  "failures", // made when something is found
	}
	out, err := c.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Scripts, "scripts,", out.Histories, "histories")
	if out.Failure != nil {
		fmt.Println(out.Failure.Finding)
		fmt.Println(fuzz.Again("kqlab", out.File, "pcpu", out.Failure.Perturb))
	}
	// Output:
	// 20 scripts, 60 histories
}
