package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A report of the race detector fails the test in which it comes, so whoever is to find
// one is this binary again, as a child.
const child = "KQLAB_AUDIT_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(child); what != "" {
		if err := children[what](context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var children = map[string]func(ctx context.Context) error{
	"planted": plantedRaces,
	"made":    madeRaces,
	"honest":  honest,
}

// inChild has a child find races, which is a test of its own.
func inChild(t *testing.T, what string) {
	if !audit.RaceDetector {
		t.Skip("only a build with the race detector sees races: go test -race")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+what,
		"GORACE=suppress_equal_stacks=0 suppress_equal_addresses=0 exitcode=0 atexit_sleep_ms=0 log_path="+filepath.Join(t.TempDir(), "races"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// State outside of the source, touched in any function of any filter of any device, is
// caught.
func TestPlantedRaces(t *testing.T) { inChild(t, "planted") }

// outside is such state.
var outside int

// guarded are functions that are called under a lock of the core's, so that what they
// share with one another is in an order all the same.
var guarded = map[string]string{
	"kqueue:READ:attach": "the lock over the graph of queues is kept across the whole of the registration",
}

// oneSource reports whether all units of a device are watched by one source for a filter,
// so that all that it does is in one domain.
func oneSource(d catalog.Device, f event.Filter) (same bool) {
	catalog.Alone(audit.NewApart, func(td *machine.Thread, w *catalog.World) {
		var sources [2]*kqueue.Source
		for i := range sources {
			u := d.New(td, w)
			if u.File != nil {
				sources[i], _, _ = u.File.Source(f)
			} else {
				sources[i], _, _ = w.Kernel.Opener(f)(td, w.Process, u.Ident)
			}
		}
		same = sources[0].Shares(sources[1])
	})
	return same
}

func plantedRaces(ctx context.Context) error {
	n := 0
	for _, d := range catalog.All() {
		for _, p := range audit.Plant(ctx, d, func(own kqueue.Filter, fn audit.Function) kqueue.Filter {
			f := own
			switch fn {
			case audit.Attach:
				f.Attach = func(td *machine.Thread, kn *kqueue.Knote) error {
					outside++
					if own.Attach == nil {
						return nil
					}
					return own.Attach(td, kn)
				}
			case audit.Event:
				f.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
					outside++
					return own.Event(td, kn, hint)
				}
			case audit.Detach:
				f.Detach = func(td *machine.Thread, kn *kqueue.Knote) {
					outside++
					if own.Detach != nil {
						own.Detach(td, kn)
					}
				}
			}
			return f
		}, audit.Attach, audit.Event, audit.Detach) {
			name := strings.Join(strings.Split(p.Row, ":")[:3], ":")
			if guarded[name] != "" || oneSource(d, p.Filter) {
				if p.Finding != nil {
					return fmt.Errorf("%s is called by one thread at a time, and has: %v", name, p.Finding)
				}
				continue
			}
			n++
			if p.Finding == nil || p.Finding.Property != audit.NoRace {
				return fmt.Errorf("%s: %v, want a race", p.Row, p.Finding)
			}
			if p.Replayed == nil || p.Replayed.Property != audit.NoRace {
				return fmt.Errorf("%s: replayed: %v", p.Row, p.Replayed)
			}
		}
	}
	fmt.Printf("%d plants, each caught\n", n)
	return nil
}

// Devices that are wrong as one may well make them.
func TestMadeRaces(t *testing.T) { inChild(t, "made") }

var attached int // counters that are watched, of all units

// madeRacy are they; each races in some function.
var madeRacy = []struct {
	device catalog.Device
	where  audit.Function
}{
	{counters("counts-outside-its-source", &kqueue.Filter{
		Name: "counter",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			kn.Hook = kn.File()
			attached++
			return nil
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) { attached-- },
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Data = kn.Hook.(*counter).n
			return kn.Data > 0
		},
	}, nil), audit.Detach},
	{counters("changes-under-the-mplock", counted(nothing), func(td *machine.Thread, c *counter) error {
		td.Get(td.Machine().MPLock())
		c.n++
		td.Put(td.Machine().MPLock())
		c.src.Notify(td, 0)
		return nil
	}), audit.Event},
	{counters("changes-before-it-enters", counted(nothing), func(td *machine.Thread, c *counter) error {
		c.n++
		c.src.Notify(td, 0)
		return nil
	}), audit.Event},
	{counters("looks-at-the-mark-of-an-act", &kqueue.Filter{
		Name:   "counter",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error { kn.Hook = kn.File(); return nil },
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			kn.Hook.(*counter).beside = kqueue.Source{} // as if it were a mark
			return nil
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool { return false },
	}, func(td *machine.Thread, c *counter) error {
		c.beside = kqueue.Source{}
		return nil
	}), audit.Touch},
}

func madeRaces(ctx context.Context) error {
	for _, m := range madeRacy {
		devices := []catalog.Device{m.device}
		verdicts, err := audit.Audit{Devices: devices}.Run(ctx)
		if err != nil {
			return err
		}
		caught := false
		for _, v := range verdicts {
			if v.Finding == nil || v.Function != m.where {
				continue
			}
			fmt.Printf("%s, %v: %v\n\t%v\n", v.Device, v.Function, v.Finding, v.Replay)
			if v.Finding.Property != audit.NoRace || !v.Wrong() {
				return errors.New("want a race")
			}
			if !strings.Contains(v.Finding.Detail, "audit_test.") {
				return errors.New("it does not say where")
			}
			caught = true
			if f, err := v.Replay.Run(devices); err != nil || f == nil || f.Property != audit.NoRace {
				return fmt.Errorf("replayed: %v, %v", f, err)
			}
		}
		if !caught {
			return fmt.Errorf("%s is not caught in %v: %+v", m.device.Name, m.where, verdicts)
		}
	}
	return nil
}

// Who says that he is not MP-safe has a reason: without the mplock his filter races.
func TestHonest(t *testing.T) { inChild(t, "honest") }

func honest(ctx context.Context) error {
	n := 0
	for _, d := range catalog.All() {
		unsafe := false
		catalog.Alone(audit.NewApart, func(td *machine.Thread, w *catalog.World) {
			for _, f := range d.Declared(td, w) {
				unsafe = unsafe || f.Unsafe
			}
		})
		if !unsafe {
			continue
		}
		if !strings.HasPrefix(d.Name, "probe-") {
			n++
		}
		raced := false
		for _, fn := range []audit.Function{audit.Event, audit.Attach, audit.Detach} {
			for _, p := range audit.Plant(ctx, d, nil, fn) {
				if p.Finding == nil || raced {
					continue
				}
				fmt.Printf("%s: %v\n", p.Row, p.Finding)
				if raced = p.Finding.Property == audit.NoRace; !raced || p.Replayed == nil {
					return fmt.Errorf("want a race, and a replay that shows it: %v", p.Replayed)
				}
			}
			if raced {
				break
			}
		}
		if !raced {
			return fmt.Errorf("%s says that it is not MP-safe, and nothing is found in it", d.Name)
		}
	}
	if n < 3 {
		return fmt.Errorf("%d devices that are no test devices say that they are not MP-safe, want 3 at least", n)
	}
	return nil
}
