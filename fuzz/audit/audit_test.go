package audit_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/strategies/strategytest"
)

func TestConformance(t *testing.T) { strategytest.Run(t, audit.NewApart) }

// small are devices whose audit takes a moment.
func small(t *testing.T) (all []catalog.Device) {
	for _, name := range []string{"pipe-reader", "user", "probe"} {
		d, ok := catalog.Find(name)
		if !ok {
			t.Fatalf("there is no device %s", name)
		}
		all = append(all, d)
	}
	return all
}

// An audit ends, by itself, with all schedules that there are, and each time with as
// many: the table says how many.
func TestComplete(t *testing.T) {
	if audit.RaceDetector {
		t.Skip("how many schedules there are does not depend on the race detector, with which they take far longer: go test ./fuzz/audit")
	}
	devices := small(t)
	first, err := audit.Audit{Devices: devices}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := audit.Audit{Devices: devices}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(first) < 6 || len(first) != len(again) {
		t.Fatalf("%d verdicts, then %d", len(first), len(again))
	}
	for i, v := range first {
		if v.Finding != nil || !v.Complete || v.Schedules < 10 || v.Schedules != again[i].Schedules {
			t.Errorf("%s %v %v: %d schedules, complete: %t; then %d; %v", v.Device, v.Filter, v.Function, v.Schedules, v.Complete, again[i].Schedules, v.Finding)
		}
	}
}

// A bound on executions that is met is no proof, and is said.
func TestIncomplete(t *testing.T) {
	verdicts, err := audit.Audit{Devices: small(t)[:1], Most: 3}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Complete || v.Finding != nil || v.Schedules%3 != 0 {
			t.Errorf("%s %v %v: %d schedules, complete: %t, %v", v.Device, v.Filter, v.Function, v.Schedules, v.Complete, v.Finding)
		}
	}
}

// Progress is told after each trial, up to the last.
func TestProgress(t *testing.T) {
	last, all := 0, 0
	_, err := audit.Audit{Devices: small(t)[1:2], Most: 5, Progress: func(done, of int, what string) {
		if done != last+1 || what == "" {
			t.Errorf("%d of %d, %q, after %d", done, of, what, last)
		}
		last, all = done, of
	}}.Run(t.Context())
	if err != nil || last == 0 || last != all {
		t.Errorf("%d of %d, %v", last, all, err)
	}
}
