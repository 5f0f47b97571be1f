package bench

import (
	"context"
	"time"

	"github.com/kqlab/kqlab/strategies"
)

// A Workload is a job to measure strategies by, with a few parameter sets.
type Workload struct {
	Name string // lower case, no spaces
	Doc  string // one line; says what an event is
}

// Options say what Run measures.
type Options struct {
	Strategies []strategies.Entry
	Workloads  []*Workload
	Budget     time.Duration // for all of it; 0 is a default for each workload
	Seed       uint64        // of the order within rounds

	Progress func(done, total int, what string) // called before each measurement; may be nil
	Note     func(string)                       // told what was left out, and why; may be nil
}

// Workloads returns all workloads, in the order in which they are printed.
func Workloads() []*Workload { return nil }

// Run measures. When ctx is done it returns what it has, marked Partial, and
// the error of ctx.
func Run(ctx context.Context, o Options) ([]Record, error) { return nil, ctx.Err() }
