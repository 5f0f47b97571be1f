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
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

//go:embed testdata/*.txt testdata/traps/*.txt
var transcripts embed.FS

// Run tests the strategy that new makes.
func Run(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	var stats machine.Stats
	t.Run("contract", func(t *testing.T) { contract(t, new) })
	t.Run("transcripts", func(t *testing.T) {
		t.Run("one-cpu", func(t *testing.T) { play(t, new, "testdata", 1, &stats) })
		t.Run("two-cpus", func(t *testing.T) { play(t, new, "testdata", 2, &stats) })
	})
	t.Run("traps", func(t *testing.T) {
		for _, trap := range traps {
			t.Run(trap.name, func(t *testing.T) {
				for cpus := 1; cpus <= 2; cpus++ {
					transcript(t, new, path.Join("testdata", "traps", trap.name+".txt"), cpus, &stats)
				}
				if trap.crowd != nil {
					trap.crowd(t, new)
				}
			})
		}
	})
	t.Run("nested", func(t *testing.T) { nested(t, new) })
	t.Run("close", func(t *testing.T) { closeRaces(t, new) })
	t.Run("stress", func(t *testing.T) { underStress(t, new) })
	t.Run("reached", func(t *testing.T) { reached(t, new, &stats) })
}

// underStress does a few rounds of the stress test.
func underStress(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for seed := range rounds(20) {
		o := stress.Options{New: new, Strategy: path.Base(path.Dir(t.Name())), Seed: uint64(seed)}
		if _, err := stress.Run(o); err != nil {
			t.Fatal(err)
		}
	}
}

// play plays the transcripts of a folder.
func play(t *testing.T, new func(*machine.Machine) kqueue.Strategy, dir string, cpus int, stats *machine.Stats) {
	files, err := transcripts.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() {
			t.Run(strings.TrimSuffix(f.Name(), ".txt"), func(t *testing.T) {
				transcript(t, new, path.Join(dir, f.Name()), cpus, stats)
			})
		}
	}
}

// transcript plays a file on a shell of its own, with the commands in turn on
// so many CPUs; and none of the file's name is no transcript.
func transcript(t *testing.T, new func(*machine.Machine) kqueue.Strategy, file string, cpus int, stats *machine.Stats) {
	text, err := transcripts.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{new: new, cpus: cpus}
	datadriven.RunTestFromString(t, string(text), s.command)
	if err := s.boot(); err != nil { // ends the last machine
		t.Errorf("%s: %v", file, err)
	}
	stats.Add(&s.stats)
}

// command carries out one command of a file.
func (s *shell) command(t *testing.T, d *datadriven.TestData) string {
	answer, err := s.run(d.Cmd, d.CmdArgs, d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return answer
}
