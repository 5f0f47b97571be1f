package sched

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A kind is a scheduler that can be named, with or without a number after a colon.
type kind struct {
	name      string
	doc       string // what it does, in a line
	what      string // the number is; "" if there is none
	from, to  int    // what it may be
	otherwise int    // what it is if it is not there; below from if it must be
	examples  []string
	make      func(n int, seed uint64) Scheduler
}

var kinds = []kind{
	{
		name: "random", examples: []string{"random"},
		doc:  "whoever can go on does so with the same chance",
		make: func(_ int, seed uint64) Scheduler { return NewRandom(seed) },
	},
	{
		name: "pct", what: "depth", from: 1, to: maxDepth, otherwise: 3, examples: []string{"pct:3"},
		doc: "by priorities of threads, which change at random points, one fewer than the depth; " +
			"a bug of that depth has a chance that is known",
		make: func(n int, seed uint64) Scheduler { return NewPCT(n, seed) },
	},
	{
		name: "pos", examples: []string{"pos"},
		doc:  "by priorities of operations, drawn again where two depend on each other",
		make: func(_ int, seed uint64) Scheduler { return NewPOS(seed) },
	},
	{
		name: "urw", examples: []string{"urw"},
		doc:  "a thread's chance is the share of the steps it has left, so all interleavings are as likely",
		make: func(_ int, seed uint64) Scheduler { return NewURW(seed) },
	},
	{
		name: "dfs", what: "bound of preemptions", to: math.MaxInt32, otherwise: unbounded, examples: []string{"dfs", "dfs:2"},
		doc:  "every execution once; with a number, those with at most so many preemptions",
		make: func(n int, _ uint64) Scheduler { return NewDFS(n) },
	},
	{
		name: "delay", what: "bound of delays", to: math.MaxInt32, otherwise: required, examples: []string{"delay:2"},
		doc:  "every execution once in which a thread is passed over, when it is its turn, at most so often",
		make: func(n int, _ uint64) Scheduler { return NewDelay(n) },
	},
	{
		name: "dpor", examples: []string{"dpor"},
		doc:  "of executions that differ only in the order of independent steps, one or few",
		make: func(int, uint64) Scheduler { return NewDPOR() },
	},
}

// What a number is that is not there and has no value of its own.
const (
	unbounded = -1
	required  = -2
)

// Names returns schedulers by the names that [New] takes, one of each form: for the
// help of a command. A number in a name is an example.
func Names() (names []string) {
	for _, k := range kinds {
		names = append(names, k.examples...)
	}
	return names
}

// Doc returns what a scheduler does, in a line, by its name as [New] takes it;
// "" if there is none.
func Doc(name string) string {
	word, _, _ := strings.Cut(name, ":")
	for _, k := range kinds {
		if k.name == word {
			return k.doc
		}
	}
	return ""
}

// New returns the scheduler of that name: random, pct:3 for a depth of 3 (1 to 100;
// 3 if none is named), pos, urw, dfs for all executions, dfs:2 for all with at most
// 2 preemptions, delay:2 for all with at most 2 delays, dpor. Those that draw lots
// decide alike from equal seeds; the others, each a [Search], make no use of it.
// The error names what is wrong and what was expected.
func New(name string, seed uint64) (Scheduler, error) {
	word, number, colon := strings.Cut(name, ":")
	for _, k := range kinds {
		switch {
		case k.name != word:
			continue
		case k.what == "" && colon:
			return nil, fmt.Errorf("scheduler %q: %s takes no number", name, word)
		case !colon && k.otherwise == required:
			return nil, fmt.Errorf("scheduler %q: expected a %s after it, as in %s", name, k.what, k.examples[0])
		case !colon:
			return k.make(k.otherwise, seed), nil
		}
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || int(n) < k.from || int(n) > k.to {
			return nil, fmt.Errorf("scheduler %q: expected a %s from %d to %d after the colon, not %q", name, k.what, k.from, k.to, number)
		}
		return k.make(int(n), seed), nil
	}
	return nil, fmt.Errorf("scheduler %q is none; expected one such as %s", name, strings.Join(Names(), ", "))
}
