package audit

import (
	"context"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
)

// NewApart is the strategy of the audit.
var NewApart = newApart

// The properties of findings.
const (
	NoRace     = noRace
	NoPanic    = noPanic
	NoDeadlock = noDeadlock
	OneInside  = oneInside
	OneOrder   = oneOrder
	NoNotify   = noNotify
	NoBlock    = noBlock
	NoLock     = noLock
	NoLoss     = noLoss
	Exercised  = exercised
)

// A Planted is what came of a row whose filter was made another.
type Planted struct {
	Row      string
	Filter   event.Filter
	Finding  *fuzz.Finding
	Replayed *fuzz.Finding // by the schedule of the first: of one in eight, since a report takes a while
}

// Plant audits functions of a device's filters with a plant in them, if it is not nil, up
// to the first finding of each.
func Plant(ctx context.Context, d catalog.Device, plant func(own kqueue.Filter, fn Function) kqueue.Filter, functions ...Function) (all []Planted) {
	l := newLab()
	defer l.close()
	for _, r := range rows(&d) {
		if r.trials[0].function != Event { // a row that each filter has
			continue
		}
		for _, fn := range functions {
			var p Planted
			for i := 0; i < len(r.trials) && p.Finding == nil; i++ {
				t := r.trials[i]
				if plant != nil { // another unit comes by it, of all that is done, and is last
					t = r.trials[len(r.trials)-1-i]
				}
				t.function, t.plant = fn, plant
				s := l.bounded(ctx, &t, Most, Preemptions)
				p.Row, p.Filter, p.Finding = t.String(), t.filter.Filter, s.finding
				if s.finding != nil && len(all)%8 == 0 {
					p.Replayed, _ = l.replay(&t, s.decisions)
				} else {
					p.Replayed = s.finding
				}
			}
			all = append(all, p)
		}
	}
	return all
}
