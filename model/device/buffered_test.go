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
)

// A bufferedLab is a lab with one device on a descriptor, all of whose conditions are
// watched.
type bufferedLab struct {
	*lab
	bus *device.Bus
	d   *device.Buffered
	fd  uint64
}

func newBufferedLab(l *lab, of event.Device) *bufferedLab {
	b := &bufferedLab{lab: l, bus: device.NewBus(l.k)}
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
		case e.Flags == event.EOF|event.HUP|event.NoData && e.Data == 0:
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
				b := newBufferedLab(l, row.of)
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
