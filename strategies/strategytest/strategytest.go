// Package strategytest is the conformance suite of locking strategies: whether
// a kernel under one keeps what kqueue promises, whatever the interleaving.
//
// [Run] is the whole test of a strategy:
//
//	func TestConformance(t *testing.T) { strategytest.Run(t, mine.New) }
//
// It plays the transcripts of testdata, a file for each decision on the
// semantics, with every sentence of it; the traps, each an interleaving that
// has broken a real kernel or an earlier draft of this one; nested queues and
// the races of close; the contract of Place and Domain itself; and a number of
// rounds of package stress. Where an interleaving can be forced, by a filter
// that blocks, it is; the rest is many threads and many tries. No test asserts
// a time: that a wakeup was lost shows in the machine's report that everybody
// sleeps.
//
// It gives no false alarm, and may miss what needs an interleaving that did
// not happen. Run it under the race detector as well. A strategy that is wrong
// may crash the process or hang it.
package strategytest

import (
	"embed"
	"flag"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

//go:embed testdata/*.txt testdata/gated/*.txt testdata/traps/*.txt
var transcripts embed.FS

// Run tests the strategy that new makes.
func Run(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	// With -v each command of each transcript would be printed, thousands of lines.
	if err := flag.Set("datadriven-quiet", "true"); err != nil {
		t.Fatal(err)
	}
	var c census
	new = c.of(new)
	sh := shapeOf(new)
	t.Logf("the strategy has %v", sh)
	t.Run("contract", func(t *testing.T) { contract(t, new) })
	t.Run("transcripts", func(t *testing.T) {
		t.Run("one-cpu", func(t *testing.T) { play(t, new, "testdata", 1) })
		t.Run("two-cpus", func(t *testing.T) { play(t, new, "testdata", 2) })
		t.Run("gated", func(t *testing.T) {
			sh.gates(t)
			play(t, new, "testdata/gated", 1)
			play(t, new, "testdata/gated", 2)
		})
	})
	t.Run("traps", func(t *testing.T) {
		for _, trap := range traps {
			t.Run(trap.name, func(t *testing.T) { spring(t, new, sh, trap) })
		}
	})
	t.Run("nested", func(t *testing.T) { nested(t, new) })
	t.Run("close", func(t *testing.T) { closeRaces(t, new) })
	t.Run("stress", func(t *testing.T) { underStress(t, new) })
	t.Run("reached", func(t *testing.T) { reached(t, new, sh, c.stats()) })
}

// spring plays the transcript of a trap, and sends the crowd.
func spring(t *testing.T, new func(*machine.Machine) kqueue.Strategy, sh shape, trap trap) {
	if trap.crowd != nil {
		t.Run("crowd", func(t *testing.T) { trap.crowd(t, new) })
	}
	if trap.forced {
		t.Run("forced", func(t *testing.T) {
			sh.gates(t)
			for cpus := 1; cpus <= 2; cpus++ {
				transcript(t, new, path.Join("testdata", "traps", trap.name+".txt"), cpus)
			}
		})
	}
}

// gates skips what forces an interleaving by a filter that blocks, if the
// strategy keeps everybody out of its domain meanwhile.
func (sh shape) gates(t *testing.T) {
	if sh.kept {
		t.Skip("the strategy keeps its domain while a filter blocks: no interleaving can be forced from inside a filter")
	}
}

// A census is of all machines that a test has made.
type census struct {
	mu       sync.Mutex
	machines []*machine.Machine // guarded by mu
}

// of counts the machines that new is called for.
func (c *census) of(new func(*machine.Machine) kqueue.Strategy) func(*machine.Machine) kqueue.Strategy {
	return func(m *machine.Machine) kqueue.Strategy {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.machines = append(c.machines, m)
		return new(m)
	}
}

func (c *census) stats() (sum machine.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		s := m.Stats()
		sum.Add(&s)
	}
	return sum
}

// underStress does a few rounds of the stress test.
func underStress(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for seed := range rounds(10) {
		o := stress.Options{New: new, Strategy: path.Base(path.Dir(t.Name())), Seed: uint64(seed)}
		if _, err := stress.Run(o); err != nil {
			t.Fatal(err)
		}
	}
}

// play plays the transcripts of a folder.
func play(t *testing.T, new func(*machine.Machine) kqueue.Strategy, dir string, cpus int) {
	files, err := transcripts.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() {
			t.Run(strings.TrimSuffix(f.Name(), ".txt"), func(t *testing.T) {
				transcript(t, new, path.Join(dir, f.Name()), cpus)
			})
		}
	}
}

// transcript plays a file on a shell of its own, with the commands in turn on
// so many CPUs.
func transcript(t *testing.T, new func(*machine.Machine) kqueue.Strategy, file string, cpus int) {
	text, err := transcripts.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{new: new, cpus: cpus}
	datadriven.RunTestFromString(t, string(text), s.command)
	if err := s.boot(); err != nil { // ends the last machine
		t.Errorf("%s: %v", file, err)
	}
}

// command carries out one command of a file.
func (s *shell) command(t *testing.T, d *datadriven.TestData) string {
	answer, err := s.run(d.Cmd, d.CmdArgs, d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return answer
}
