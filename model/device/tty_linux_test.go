package device_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// needsTerminals skips a test where there are no real ones, as in some containers.
func needsTerminals(t *testing.T) {
	if err := unix.Access("/dev/ptmx", unix.R_OK|unix.W_OK); err != nil {
		t.Skip("no real terminal to compare with: /dev/ptmx:", err)
	}
}

// openpty makes a real pseudo-terminal whose modes are those of ours.
func openpty(t fatal) (master, slave int) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = unix.Open(fmt.Sprint("/dev/pts/", n), unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// tcsetattr gives a real terminal modes of ours.
func tcsetattr(t fatal, fd int, m device.Modes) {
	a, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	a.Iflag, a.Oflag, a.Lflag = 0, 0, unix.ECHOE|unix.ECHOK|unix.ECHOKE
	if m.Canonical {
		a.Lflag |= unix.ICANON
	}
	if m.Echo {
		a.Lflag |= unix.ECHO
	}
	a.Cc[unix.VMIN], a.Cc[unix.VTIME], a.Cc[unix.VEOL] = m.Min, m.Time, m.EOL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, a); err != nil {
		t.Fatal(err)
	}
}

// pollTerminal is what poll(2) would say of a side of a terminal that has not hung
// up, as Linux's bits.
func pollTerminal(t fatal, td *machine.Thread, k *kqueue.Kernel, f kqueue.File) (revents int16) {
	if _, ok := holds(t, td, k, f, event.Read); ok {
		revents |= unix.POLLIN
	}
	if _, ok := holds(t, td, k, f, event.Write); ok {
		revents |= unix.POLLOUT
	}
	return revents
}

// What is typed at a real terminal is read, echoed and reported by poll as at ours,
// as long as nothing gets full: Linux has other sizes. There are differences besides:
//
//   - What is there when lines begin to matter Linux reads as it is, and an EOF that is
//     there when they cease to is a NUL. So all is read before modes change, but for
//     what is no line yet.
//   - While the slave is not open Linux takes what the master writes, and a read of the
//     master is EIO; and its poll says of the slave without a master POLLIN, POLLOUT and
//     POLLERR beside POLLHUP.
//   - With VMIN 0 and VTIME not it has a read that does not block answer EAGAIN.
//   - A slave's write is refused while output is stopped, instead of being kept.
//
// Linux works on what is typed in the background, so an answer may take a while.
func TestTtyAsLinux(t *testing.T) {
	needsTerminals(t)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(strategies.All).Draw(t, "strategy")
		m := machine.Native(1)
		k := kqueue.New(m, s.New(m))
		td := m.Attach("test", 0)
		defer td.Detach()
		master, slave := device.NewPty(td, k)
		rm, rs := openpty(t)
		defer unix.Close(rm)
		defer unix.Close(rs)
		modes := device.Modes{Canonical: true, Echo: true, Min: 1}
		set := func(m device.Modes) {
			if err := slave.SetModes(td, m); err != nil {
				t.Fatal(err)
			}
			tcsetattr(t, rs, m)
			modes = m
		}
		set(modes)
		var log strings.Builder
		same := func(what string, ours, real func() string) {
			t.Helper()
			a := ours()
			fmt.Fprintf(&log, "%s: %s\n", what, a)
			var b string
			for wait := 100 * time.Microsecond; wait < 3*time.Second; wait *= 2 {
				if b = real(); a == b {
					return
				}
				time.Sleep(wait)
			}
			t.Fatalf("%sLinux: %s", log.String(), b)
		}
		read := func(what string, f stream, fd, room int) (int, error) {
			t.Helper()
			b := make([]byte, room)
			n, err := f.Read(td, b)
			want := fmt.Sprintf("%q %v", b[:n], err)
			var got []byte
			same(what, func() string { return want }, func() string {
				// What Linux echoes in two pieces it may give in two.
				n2, err2 := unix.Read(fd, b[len(got):])
				if n2 > 0 {
					got = append(got, b[len(got):len(got)+n2]...)
				}
				if len(got) > 0 {
					err2 = nil
				}
				return fmt.Sprintf("%q %v", got, err2)
			})
			return n, err
		}
		// A read that finds nothing has Linux come to the end of its work first.
		drain := func() {
			t.Helper()
			for {
				n, err := read("read", slave, rs, 300)
				if err != nil || n == 0 && !modes.Canonical {
					return
				}
			}
		}
		held := 0
		for range rapid.IntRange(1, 30).Draw(t, "operations") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			default:
				s := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "\n", "\n", eof, erase, kill, ";"}), 1, 8).Draw(t, "keys"), "")
				if held += len(s); held > 200 {
					continue
				}
				same(fmt.Sprintf("type %q", s), func() string { return fmt.Sprint(master.Write(td, []byte(s))) },
					func() string { return fmt.Sprint(unix.Write(rm, []byte(s))) })
			case 4, 5:
				read("read", slave, rs, rapid.SampledFrom([]int{1, 2, 5, 300}).Draw(t, "room"))
			case 6:
				read("see", master, rm, 1000)
			case 7:
				drain() // or the echoes of what was typed may come behind this
				same("write", func() string { return fmt.Sprint(slave.Write(td, []byte("out"))) }, func() string { return fmt.Sprint(unix.Write(rs, []byte("out"))) })
			case 8:
				m := drawModes(t, 0)
				if m.Min == 0 {
					m.Time = 0
				}
				drain()
				if m.Canonical && !modes.Canonical || m.Canonical != modes.Canonical && rapid.Bool().Draw(t, "flush") {
					same("flush", func() string { return fmt.Sprint(slave.Flush(td, device.ToRead)) },
						func() string { return fmt.Sprint(unix.IoctlSetInt(rs, unix.TCFLSH, unix.TCIFLUSH)) })
				}
				set(m)
				fmt.Fprintf(&log, "%+v\n", m)
			}
			same("poll master", func() string { return fmt.Sprint(pollTerminal(t, td, k, master)) }, func() string { return fmt.Sprint(polled(t, rm)) })
			same("poll slave", func() string { return fmt.Sprint(pollTerminal(t, td, k, slave)) }, func() string { return fmt.Sprint(polled(t, rs)) })
		}
	})
}

// The differences of TestTtyAsLinux when one side goes are what they are said to be.
func TestTtyUnlikeLinux(t *testing.T) {
	needsTerminals(t)
	m, s := openpty(t)
	unix.Close(s)
	rt := func() int16 {
		p := []unix.PollFd{{Fd: int32(m), Events: unix.POLLIN | unix.POLLOUT}}
		if _, err := unix.Poll(p, 0); err != nil {
			t.Fatal(err)
		}
		return p[0].Revents
	}
	if got := rt(); got != unix.POLLOUT|unix.POLLHUP {
		t.Errorf("poll of a master without a slave: %#x", got)
	}
	if _, err := unix.Read(m, make([]byte, 1)); err != unix.EIO {
		t.Errorf("read of a master without a slave: %v", err)
	}
	if n, err := unix.Write(m, []byte("a")); n != 1 || err != nil {
		t.Errorf("write of a master without a slave: %d, %v", n, err)
	}
	unix.Close(m)
	m, s = openpty(t)
	unix.Close(m)
	m = s
	if got := rt(); got != unix.POLLIN|unix.POLLOUT|unix.POLLERR|unix.POLLHUP {
		t.Errorf("poll of a slave without a master: %#x", got)
	}
	if n, err := unix.Read(s, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read of a slave without a master: %d, %v", n, err)
	}
	if _, err := unix.Write(s, []byte("a")); err != unix.EIO {
		t.Errorf("write of a slave without a master: %v", err)
	}
	unix.Close(s)
}
