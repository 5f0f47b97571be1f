package device_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A bufferedLab is a lab with one device on a descriptor, all of whose conditions are
// watched.
type bufferedLab struct {
	*lab
	bus *device.Bus
	d   *device.Buffered
	fd  uint64
}

func newBufferedLab(l *lab, bus *device.Bus, of event.Device) *bufferedLab {
	b := &bufferedLab{lab: l, bus: bus}
	b.d = b.device(of)
	b.fd = l.open(b.d)
	for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
		if _, _, err := b.d.Source(f); err == nil {
			l.change(event.Kevent{Ident: b.fd, Filter: f, Flags: event.Add}, nil)
		}
	}
	return b
}

func (b *bufferedLab) device(of event.Device) *device.Buffered {
	b.Helper()
	d, err := b.bus.Open(b.td, of)
	b.must(err)
	return d
}

// events says what events there are.
func (b *bufferedLab) events() string {
	b.Helper()
	var events [4]event.Kevent
	n, err := b.q.Kevent(b.td, nil, events[:], 0)
	b.must(err)
	var all []string
	for _, e := range events[:n] {
		text := fmt.Sprint(e.Filter, " ", e.Data)
		switch {
		case e.Flags == event.EOF|event.HUP|event.NoData && e.Filter == event.Except && e.Fflags == 0:
			text = fmt.Sprint(e.Filter, " ", name(syscall.Errno(e.Data)))
		case e.Flags == event.EOF|event.HUP|event.NoData && e.Filter != event.Except && e.Data == 0:
			text = fmt.Sprint(e.Filter, " ", name(syscall.Errno(e.Fflags)))
		case e.Flags != 0 || e.Fflags != 0:
			text = e.String()
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// do carries out one line of a script, and says what it answers.
func (b *bufferedLab) do(line string) string {
	b.Helper()
	word := strings.Fields(line)
	n := 0
	if len(word) > 1 {
		var err error
		if n, err = strconv.Atoi(word[len(word)-1]); err != nil {
			b.Fatal(err)
		}
	}
	switch word[0] {
	case "read":
		return saying(b.d.Read(b.td, make([]byte, n)))
	case "write":
		return saying(b.d.Write(b.td, make([]byte, n)))
	case "input":
		return saying(b.d.Input(b.td, n))
	case "output":
		return saying(b.d.Output(b.td, n))
	case "unplug":
		return name(b.d.Unplug(b.td))
	case "lowat":
		return name(b.d.Control(b.td, event.Lowat, int64(n)))
	case "flush":
		return name(b.d.Control(b.td, event.Flush, 0))
	case "up":
		return name(b.d.Control(b.td, event.Up, int64(n)))
	case "print":
		b.bus.Print(b.td, n)
		return "ok"
	}
	b.Fatalf("no word %q", word[0])
	return ""
}

// Each row: what makes it ready, what a read takes, what happens when it is full, and
// when it is gone. After each line stand the answer and the events.
func TestBufferedRows(t *testing.T) {
	for _, row := range []struct {
		of     event.Device
		script string
	}{
		{event.Mouse, `
			read 8       | EAGAIN |
			input 2      | 2    | READ 16
			read 5       | 5    | READ 11
			read 0       | 0    | READ 11
			input 200    | 126  | READ 1019
			input 1      | 0    | READ 1019
			read 2       | 2    | READ 1017
			input 1      | 0    | READ 1017
			read 1       | 1    | READ 1016
			input 1      | 1    | READ 1024
			read 2000    | 1024 |
			input 1      | 1    | READ 8
			flush        | ok   |
			lowat 2      | ENOTTY |
			write 1      | ENODEV |
			output 1     | ENODEV |
			unplug       | ENODEV |
			input -1     | EINVAL |`},
		{event.PSM, `
			input 300    | 240  | READ 960
			read 961     | 960  |
			flush        | ENOTTY |
			unplug       | ENODEV |`},
		{event.Keyboard, `
			input 600    | 512  | READ 512
			input 1      | 0    | READ 512
			read 500     | 500  | READ 12
			write 0      | ENODEV | READ 12
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO
			input 1      | ENXIO | EXCEPT ENXIO, READ ENXIO
			read 1       | ENXIO | EXCEPT ENXIO, READ ENXIO
			unplug       | ENXIO | EXCEPT ENXIO, READ ENXIO`},
		{event.USB, `
			input 2      | 2    | READ 128, WRITE 1024
			read 100     | 64   | READ 64, WRITE 1024
			read 10      | 10   | READ 54, WRITE 1024
			read 100     | 54   | WRITE 1024
			input 20     | 16   | READ 1024, WRITE 1024
			write 65     | 65   | READ 1024, WRITE 896
			write 2000   | 896  | READ 1024
			write 1      | EAGAIN | READ 1024
			output 1     | 1    | READ 1024, WRITE 64
			output 99    | 15   | READ 1024, WRITE 1024
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO
			write 1      | ENXIO | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO
			output 1     | ENXIO | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO`},
		{event.Record, `
			input 511    | 511  |
			input 1      | 1    | READ 512
			input 5000   | 3584 | READ 4096
			input 1      | 0    | READ 4096
			lowat 0      | EINVAL | READ 4096
			read 4000    | 4000 |
			lowat 96     | ok   | READ 96
			lowat 97     | ok   |
			input 1      | 1    | READ 97
			lowat 99999  | ok   |
			flush        | ok   |
			input 4096   | 4096 | READ 4096
			output 1     | ENODEV | READ 4096
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO`},
		{event.Play, `
			write 3584   | 3584 | WRITE 512
			write 1      | 1    |
			output 0     | 0    |
			output 1     | 1    | WRITE 512
			write 9999   | 512  |
			write 1      | EAGAIN |
			write 0      | 0    |
			output 511   | 511  |
			lowat 511    | ok   | WRITE 511
			flush        | ok   | WRITE 4096
			input 1      | ENODEV | WRITE 4096
			read 0       | ENODEV | WRITE 4096
			unplug       | ok   | EXCEPT ENXIO, WRITE ENXIO
			flush        | ENXIO | EXCEPT ENXIO, WRITE ENXIO`},
		{event.Midi, `
			input 200    | 128  | READ 128, WRITE 128
			write 63     | 63   | READ 128, WRITE 65
			write 1      | 1    | READ 128
			read 200     | 128  |
			output 1     | 1    | WRITE 65
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO`},
		{event.Evdev, `
			input 2      | 2    | READ 48
			read 23      | EINVAL | READ 48
			read 0       | 0    | READ 48
			read 47      | 24   | READ 24
			input 63     | 63   | READ 1536
			input 1      | 1    | READ 48
			input 63     | 63   | READ 48
			read 99      | 48   |
			unplug       | ok   | EXCEPT ENODEV, READ ENODEV
			read 24      | ENODEV | EXCEPT ENODEV, READ ENODEV`},
		{event.Devctl, `
			input 2      | 2    | READ 64
			read 5       | 5    | READ 32
			read 99      | 32   |
			read 1       | EAGAIN |
			input 99     | 99   | READ 2048
			input 1      | 1    | READ 2048
			unplug       | ENODEV | READ 2048`},
		{event.Log, `
			input 1000   | 1000 | READ 1000
			read 10      | 10   | READ 990
			input 50     | 50   | READ 1024
			print 5      | ok   | READ 1024
			print 0      | ok   | READ 1024
			read 2000    | 1024 |
			print 7      | ok   | READ 7
			unplug       | ENODEV | READ 7`},
		{event.Tap, `
			input 1      | 1    | READ 60, WRITE 16384
			read 20      | 20   | WRITE 16384
			write 16384  | 16384 | WRITE 16384
			write 16385  | EIO | WRITE 16384
			write 0      | 0    | WRITE 16384
			output 1     | ENODEV | WRITE 16384
			input 99     | 50   | READ 3000, WRITE 16384
			read 99      | 60   | READ 2940, WRITE 16384
			up 1         | ok   | READ 2940, WRITE 16384
			up 0         | ok   | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			up 0         | ok   | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			read 1       | EHOSTDOWN | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			write 1      | EHOSTDOWN | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			input 1      | 0    | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			up 2         | ok   | WRITE 16384
			input 1      | 1    | READ 60, WRITE 16384
			up 0         | ok   | EXCEPT EHOSTDOWN, READ EHOSTDOWN, WRITE EHOSTDOWN
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO
			up 1         | ENXIO | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO`},
		{event.Tun, `
			input 99     | 50   | READ 2000, WRITE 16384
			read 99      | 40   | READ 1960, WRITE 16384
			unplug       | ok   | EXCEPT ENXIO, READ ENXIO, WRITE ENXIO`},
	} {
		t.Run(row.of.String(), func(t *testing.T) {
			each(t, func(l *lab) {
				b := newBufferedLab(l, device.NewBus(l.k), row.of)
				for _, line := range strings.Split(strings.TrimSpace(row.script), "\n") {
					part := strings.SplitN(line, "|", 3)
					want := strings.TrimSpace(part[2])
					if got := b.do(part[0]); got != strings.TrimSpace(part[1]) {
						t.Fatalf("%q: answers %s", line, got)
					}
					if got := b.events(); got != want {
						t.Fatalf("%q: events %s", line, got)
					}
					l.must(b.d.Audit(l.td))
				}
			})
		})
	}
}

// What a filter of a row refuses, and leaves as it was; and what is answered by a device
// that is released.
func TestBufferedErrors(t *testing.T) {
	for _, fact := range bufferedFacts {
		t.Run(fact.of.String(), func(t *testing.T) {
			each(t, func(l *lab) {
				d, err := device.NewBus(l.k).Open(l.td, fact.of)
				l.must(err)
				fd := l.open(d)
				for _, f := range []event.Filter{event.Read, event.Write, event.Except, event.Vnode} {
					has := f == event.Read && fact.in > 0 || f == event.Write && (fact.out > 0 || fact.network) || f == event.Except
					kev := func(flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
						return event.Kevent{Ident: fd, Filter: f, Flags: flags, Fflags: fflags, Data: data}
					}
					if !has {
						if _, _, err := d.Source(f); err != syscall.EINVAL {
							t.Errorf("a source for %v: %v, want EINVAL", f, err)
						}
						l.change(kev(event.Add, 0, 0), syscall.EINVAL)
						continue
					}
					l.change(kev(event.Add, event.NoteLowat|event.NoteOOB, 1), syscall.EINVAL)
					l.change(kev(event.Delete, 0, 0), syscall.ENOENT)
					l.change(kev(event.Add, 0, -1), nil) // without NOTE_LOWAT data is ignored
					if f == event.Except {
						l.change(kev(event.Add, event.NoteLowat, 1), syscall.EINVAL)
						l.change(kev(event.Add, event.NoteOOB, 0), nil)
					} else {
						l.change(kev(event.Add, event.NoteLowat, -1), syscall.EINVAL)
						l.change(kev(event.Add, event.NoteOOB, 0), syscall.EINVAL)
						l.change(kev(event.Add, event.NoteLowat, 1<<40), nil) // what the device holds
					}
				}
				for i := range 2 {
					want := syscall.EINVAL
					if fact.in == 0 && i == 0 || fact.out == 0 && i == 1 {
						want = syscall.ENODEV
					}
					n, err := []func(*machine.Thread, int) (int, error){d.Input, d.Output}[i](l.td, -1)
					if n != 0 || err != want {
						t.Errorf("-1 units, of direction %d: %d, %v, want %v", i, n, err, want)
					}
				}
				for c := range event.Control(20) {
					want := syscall.ENOTTY
					if c == event.Lowat && fact.lowat || c == event.Flush && fact.flush || c == event.Up && fact.network {
						want = 0
					}
					if err := d.Control(l.td, c, 1); err != want && (want != 0 || err != nil) {
						t.Errorf("control %d: %v, want %v", c, err, want)
					}
				}
				l.must(l.p.Close(l.td, int(fd)))
				d.Release(l.td) // once more
				b := make([]byte, 99)
				for what, do := range map[string]func() (int, error){
					"read":    func() (int, error) { return d.Read(l.td, b) },
					"write":   func() (int, error) { return d.Write(l.td, b) },
					"input":   func() (int, error) { return d.Input(l.td, 1) },
					"output":  func() (int, error) { return d.Output(l.td, 1) },
					"unplug":  func() (int, error) { return 0, d.Unplug(l.td) },
					"control": func() (int, error) { return 0, d.Control(l.td, event.Flush, 0) },
				} {
					if n, err := do(); n != 0 || err != syscall.EBADF {
						t.Errorf("%s of what is released: %d, %v, want EBADF", what, n, err)
					}
				}
			})
		})
	}
}

// What has no row cannot be opened, nor can what is no device.
func TestNoSuchDevice(t *testing.T) {
	each(t, func(l *lab) {
		bus := device.NewBus(l.k)
		opens := map[event.Device]bool{}
		for _, fact := range bufferedFacts {
			opens[fact.of] = true
		}
		for of := range event.Device(255) {
			want := error(syscall.ENXIO)
			if opens[of] {
				want = nil
			}
			if d, err := bus.Open(l.td, of); err != want || (d == nil) != (err != nil) {
				t.Errorf("open of %d: %v, %v, want %v", of, d, err, want)
			}
		}
	})
}

// The log is open once, and what was printed before is not read. The others of a sort
// are devices of their own, whatever their drivers share: one is unplugged and released
// and its place is taken again, and the others go on.
func TestBufferedUnits(t *testing.T) {
	for _, safe := range []bool{false, true} {
		each(t, func(l *lab) {
			bus := device.NewBus(l.k)
			bus.MPSafe = safe
			bus.Print(l.td, 3)
			first, err := bus.Open(l.td, event.Log)
			l.must(err)
			if d, err := bus.Open(l.td, event.Log); d != nil || err != syscall.EBUSY {
				t.Errorf("a log that is open: %v, %v, want EBUSY", d, err)
			}
			bus.Print(l.td, 4)
			b := make([]byte, 9)
			if n, err := first.Read(l.td, b); n != 4 || err != nil {
				t.Errorf("the log: %d, %v, want 4", n, err)
			}
			first.Input(l.td, 1)
			first.Release(l.td)
			again, err := bus.Open(l.td, event.Log)
			l.must(err)
			if n, err := again.Read(l.td, b); n != 0 || err != syscall.EAGAIN {
				t.Errorf("a log that was opened again: %d, %v, want EAGAIN", n, err)
			}
			first.Release(l.td) // which has nothing to do with it any more
			if _, err := bus.Open(l.td, event.Log); err != syscall.EBUSY {
				t.Errorf("a log that was opened again: %v, want EBUSY", err)
			}

			for _, of := range []event.Device{event.Keyboard, event.Record, event.Play} {
				labs := map[int]*bufferedLab{}
				for i := range 3 {
					labs[i] = newBufferedLab(&lab{l.T, l.m, l.k, l.p, l.k.NewQueue(l.td, l.p), l.td}, bus, of)
				}
				kept := labs[2].events()
				l.must(labs[0].d.Unplug(l.td))
				l.must(l.p.Close(l.td, int(labs[1].fd)))
				labs[3] = newBufferedLab(&lab{l.T, l.m, l.k, l.p, l.k.NewQueue(l.td, l.p), l.td}, bus, of)
				if labs[2].events() != kept || labs[3].events() != kept {
					t.Errorf("a %v when others have gone: %q, %q, want %q", of, labs[2].events(), labs[3].events(), kept)
				}
				if got := labs[0].events(); !strings.Contains(got, "ENXIO") {
					t.Errorf("a %v that is unplugged: %q", of, got)
				}
				l.must(labs[2].d.Audit(l.td))
				l.must(labs[3].d.Audit(l.td))
				l.must(labs[0].d.Audit(l.td))
			}
		})
	}
}

// What comes to whom does not wait for more than a mark that is lowered, or for an
// interface that comes up: each is told once, edge-triggered.
func TestBufferedNews(t *testing.T) {
	each(t, func(l *lab) {
		bus := device.NewBus(l.k)
		open := func(of event.Device, f event.Filter) (*device.Buffered, event.Kevent) {
			d, err := bus.Open(l.td, of)
			l.must(err)
			kev := event.Kevent{Ident: l.open(d), Filter: f, Flags: event.Clear}
			add := kev
			add.Flags |= event.Add
			l.change(add, nil)
			return d, kev
		}
		news := func(do func() error, kev event.Kevent, data int64) {
			l.Helper()
			l.must(do())
			kev.Data = data
			l.expect(kev)
		}
		none := func(do func() error) {
			l.Helper()
			l.must(do())
			l.expect()
		}
		rec, kev := open(event.Record, event.Read)
		none(func() error { _, err := rec.Input(l.td, 100); return err })
		none(func() error { return rec.Control(l.td, event.Lowat, 101) })
		news(func() error { return rec.Control(l.td, event.Lowat, 100) }, kev, 100)
		none(func() error { return rec.Control(l.td, event.Lowat, 100) })
		none(func() error { return rec.Control(l.td, event.Lowat, 4096) })
		none(func() error { _, err := rec.Read(l.td, make([]byte, 1)); return err })
		none(func() error { return rec.Control(l.td, event.Flush, 0) })
		play, kev := open(event.Play, event.Write)
		news(func() error { return nil }, kev, 4096)
		none(func() error { return play.Control(l.td, event.Flush, 0) })
		none(func() error { _, err := play.Write(l.td, make([]byte, 9)); return err })
		none(func() error { _, err := play.Output(l.td, 0); return err })
		news(func() error { _, err := play.Output(l.td, 8); return err }, kev, 4095)
		news(func() error { return play.Control(l.td, event.Flush, 0) }, kev, 4096)
		tun, kev := open(event.Tun, event.Write)
		news(func() error { return nil }, kev, 16384)
		none(func() error { return tun.Control(l.td, event.Up, 1) })
		none(func() error { _, err := tun.Write(l.td, make([]byte, 9)); return err })
		l.must(tun.Control(l.td, event.Up, 0))
		news(func() error { return tun.Control(l.td, event.Up, 1) }, kev, 16384)
		mouse, kev := open(event.Mouse, event.Read)
		news(func() error { _, err := mouse.Input(l.td, 500); return err }, kev, 1024)
		none(func() error { _, err := mouse.Input(l.td, 1); return err }) // it is full
		none(func() error { _, err := mouse.Input(l.td, 0); return err })
	})
}

// A unit to and fro costs no allocation.
func TestBufferedAllocations(t *testing.T) {
	for _, fact := range bufferedFacts {
		for _, safe := range []bool{false, true} {
			each(t, func(l *lab) {
				bus := device.NewBus(l.k)
				bus.MPSafe = safe
				d, err := bus.Open(l.td, fact.of)
				l.must(err)
				fd := l.open(d)
				for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
					if _, _, err := d.Source(f); err == nil {
						l.change(event.Kevent{Ident: fd, Filter: f, Flags: event.Add | event.Clear}, nil)
					}
				}
				b := make([]byte, fact.unit*max(fact.in, fact.out))
				events := make([]event.Kevent, 4)
				if n := allocations(200, func() {
					d.Input(l.td, fact.in)
					d.Write(l.td, b)
					n, err := l.q.Kevent(l.td, nil, events, 0)
					d.Read(l.td, b)
					d.Output(l.td, fact.out)
					k, err2 := l.q.Kevent(l.td, nil, events, 0)
					if n+k == 0 || err != nil || err2 != nil {
						t.Fatal(n, err, k, err2)
					}
				}); n != 0 {
					t.Errorf("%v: %v allocations", fact.of, n)
				}
			})
		}
	}
}

// An execution with every device allocates nothing on a machine that is used again, and
// finds what it makes as new.
func TestBufferedFromStock(t *testing.T) {
	fromStock(t, 50, func(k *kqueue.Kernel) (func(td *machine.Thread) error, func()) {
		bus := device.NewBus(k)
		b := make([]byte, 1<<14)
		return func(td *machine.Thread) error {
			for i := range bufferedFacts {
				f := &bufferedFacts[i]
				d, err := bus.Open(td, f.of)
				if err != nil {
					return err
				}
				if n, err := d.Read(td, b); f.in > 0 && (n != 0 || err != syscall.EAGAIN) {
					return fmt.Errorf("a new %v is read: %d, %v", f.of, n, err)
				}
				if n, _ := d.Output(td, 1); n != 0 {
					return fmt.Errorf("a new %v has something to go out", f.of)
				}
				d.Input(td, f.in)
				d.Write(td, b)
				d.Read(td, b[:1])
				if i%2 == 0 {
					d.Unplug(td)
				}
				d.Release(td)
			}
			return nil
		}, bus.Reset
	})
}
