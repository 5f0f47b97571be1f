package device_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"pgregory.net/rapid"
)

// A plain is a terminal that keeps lines as lines, to hold the one with a queue
// against. It knows no flow control.
type plain struct {
	modes device.Modes
	lines []line
	cur   []byte // that has no end yet; without lines all there is
	out   []byte
}

type line struct {
	text []byte // with what ends it, but for EOF
	eof  bool
}

func (l line) size() int {
	if l.eof {
		return len(l.text) + 1
	}
	return len(l.text)
}

// whole returns how many bytes are in lines.
func (p *plain) whole() (n int) {
	for _, l := range p.lines {
		n += l.size()
	}
	return n
}

func (p *plain) held() int { return p.whole() + len(p.cur) }

func (p *plain) echo(s string) {
	for i := range len(s) {
		if p.modes.Echo && len(p.out) < device.TtyOutput+200 {
			p.out = append(p.out, s[i])
		}
	}
}

// write types s and returns how much of it was taken.
func (p *plain) write(s string) int {
	for i := range len(s) {
		if p.held() >= device.TtyInput && (len(p.lines) > 0 || !p.modes.Canonical) {
			return i
		}
		p.key(s[i], false)
	}
	return len(s)
}

func (p *plain) key(c byte, again bool) {
	echo := p.echo
	if again {
		echo = func(string) {}
	}
	full := p.held() >= device.TtyInput && !again
	switch {
	case !p.modes.Canonical:
		p.cur = append(p.cur, c)
		echo(string(rune(c)))
	case c == '\n' || c == ';' && p.modes.EOL == ';':
		p.lines = append(p.lines, line{append(p.cur, c), false})
		p.cur = nil
		echo(string(rune(c)))
	case string(rune(c)) == eof:
		p.lines = append(p.lines, line{p.cur, true})
		p.cur = nil
	case string(rune(c)) == erase && len(p.cur) > 0:
		p.cur = p.cur[:len(p.cur)-1]
		echo("\b \b")
	case string(rune(c)) == erase:
	case string(rune(c)) == kill:
		echo(strings.Repeat("\b \b", len(p.cur)))
		p.cur = nil
	case !full:
		p.cur = append(p.cur, c)
		echo(string(rune(c)))
	}
}

// read returns what a read with so much room takes, and whether there was any.
func (p *plain) read(room int) (string, bool) {
	from := &p.cur
	if p.modes.Canonical {
		if len(p.lines) == 0 {
			return "", false
		}
		from = &p.lines[0].text
	} else if len(p.cur) == 0 {
		return "", false
	}
	n := min(room, len(*from))
	s := string((*from)[:n])
	*from = (*from)[n:]
	if p.modes.Canonical && len(*from) == 0 {
		p.lines = p.lines[1:]
	}
	return s, true
}

func (p *plain) become(m device.Modes) {
	was := p.modes.Canonical
	p.modes = m
	if was == m.Canonical {
		return
	}
	var all []byte
	for _, l := range p.lines {
		all = append(all, l.text...)
		if l.eof {
			all = append(all, eof...)
		}
	}
	all = append(all, p.cur...)
	p.lines, p.cur = nil, nil
	for _, c := range all {
		p.key(c, true)
	}
}

// events returns the data of the level-triggered events of the four knotes, by
// descriptor and filter.
func (p *plain) events(mfd, sfd uint64) map[event.Kevent]bool {
	all := map[event.Kevent]bool{}
	add := func(fd uint64, f event.Filter, n, mark int) {
		if n >= mark {
			all[on(fd, f, 0, int64(n))] = true
		}
	}
	readable := p.whole()
	if !p.modes.Canonical {
		readable = len(p.cur)
		if readable < int(p.modes.Min) && p.modes.Time == 0 {
			readable = 0
		}
	}
	room := device.TtyInput - p.held()
	if room < 1 && p.modes.Canonical && len(p.lines) == 0 {
		room = 1
	}
	add(sfd, event.Read, readable, 1)
	add(sfd, event.Write, device.TtyOutput-len(p.out), device.TtyLowat)
	add(mfd, event.Read, len(p.out), 1)
	add(mfd, event.Write, room, 1)
	return all
}

// drawTyping draws what somebody types: mostly a few bytes, some of which mean
// something, now and then more than fits.
func drawTyping(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "much") == 9 {
		return x(rapid.SampledFrom([]int{500, device.TtyInput - 1, device.TtyInput, 2000}).Draw(t, "bytes"))
	}
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "\n", "\n", eof, erase, kill, ";", "\x00"}), 0, 8).Draw(t, "keys")
	return strings.Join(keys, "")
}

func drawModes(t *rapid.T, eol byte) device.Modes {
	return device.Modes{
		Canonical: rapid.Bool().Draw(t, "canonical"), Echo: rapid.Bool().Draw(t, "echo"), EOL: eol,
		Min: rapid.SampledFrom([]uint8{0, 1, 1, 2, 7}).Draw(t, "min"), Time: rapid.SampledFrom([]uint8{0, 0, 1}).Draw(t, "time"),
	}
}

// Whatever is typed, read and changed, the terminal answers as the plain one does,
// and says the same of what is ready.
func TestTtyIsPlain(t *testing.T) { rapid.Check(t, ttyIsPlain) }

// The same, guided by what of the line discipline a run reaches.
func FuzzTty(f *testing.F) {
	for seed := range byte(4) {
		b := make([]byte, 32<<10) // fewer do not draw a whole test
		rand.NewChaCha8([32]byte{seed}).Read(b)
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(ttyIsPlain))
}

func ttyIsPlain(t *rapid.T) {
	s := rapid.SampledFrom(strategies.All).Draw(t, "strategy")
	m := machine.Native(1)
	k := kqueue.New(m, s.New(m))
	td := m.Attach("test", 0)
	defer td.Detach()
	master, slave := device.NewPty(td, k)
	q := k.NewQueue(td, two{&kqueue.Desc{File: master}, &kqueue.Desc{File: slave}})
	defer q.Close(td)
	for fd := range uint64(2) {
		for _, f := range []event.Filter{event.Read, event.Write} {
			if _, err := q.Kevent(td, []event.Kevent{on(fd, f, event.Add, 0)}, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	eol := rapid.SampledFrom([]byte{0, ';'}).Draw(t, "eol")
	p := &plain{modes: device.Modes{Canonical: true, EOL: eol, Min: 1}}
	if err := slave.SetModes(td, p.modes); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3000)
	for range rapid.IntRange(1, 30).Draw(t, "operations") {
		var n int
		var err, wantErr error
		var got, want string
		what := rapid.SampledFrom([]string{"type", "type", "type", "read", "read", "write", "see", "modes", "flush"}).Draw(t, "what")
		switch what {
		case "type":
			s := drawTyping(t)
			n, err = master.Write(td, []byte(s))
			took := p.write(s)
			if took == 0 && s != "" {
				wantErr = syscall.EAGAIN
			}
			got, want = fmt.Sprint(n), fmt.Sprint(took)
		case "read":
			room := rapid.SampledFrom([]int{1, 2, 5, 3000}).Draw(t, "room")
			n, err = slave.Read(td, b[:room])
			s, ok := p.read(room)
			if !ok && (p.modes.Canonical || p.modes.Min > 0) {
				wantErr = syscall.EAGAIN
			}
			got, want = string(b[:n]), s
		case "write":
			s := x(rapid.SampledFrom([]int{0, 1, 5, 300, 1000, 2000}).Draw(t, "bytes"))
			n, err = slave.Write(td, []byte(s))
			room := max(device.TtyOutput-len(p.out), 0)
			if room == 0 && s != "" {
				wantErr = syscall.EAGAIN
			}
			p.out = append(p.out, s[:min(room, len(s))]...)
			got, want = fmt.Sprint(n), fmt.Sprint(min(room, len(s)))
		case "see":
			n, err = master.Read(td, b)
			if len(p.out) == 0 {
				wantErr = syscall.EAGAIN
			}
			got, want = string(b[:n]), string(p.out)
			p.out = nil
		case "modes":
			m := drawModes(t, eol)
			err = slave.SetModes(td, m)
			p.become(m)
		case "flush":
			err = slave.Flush(td, device.ToRead)
			p.lines, p.cur = nil, nil
		}
		if got != want || err != wantErr {
			t.Fatalf("%s: %.60q, %v, want %.60q, %v", what, got, err, want, wantErr)
		}
		var events [5]event.Kevent
		n, err = q.Kevent(td, nil, events[:], 0)
		if err != nil {
			t.Fatal(err)
		}
		expected := p.events(0, 1)
		for _, e := range events[:n] {
			if !expected[e] {
				t.Fatalf("after %s: event %v, want one of %v", what, e, expected)
			}
		}
		if n != len(expected) {
			t.Fatalf("after %s: events %v, want %v", what, events[:n], expected)
		}
	}
}

// A two is a descriptor table with the numbers 0 and 1.
type two [2]*kqueue.Desc

func (o two) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if fd > 1 {
		return nil, syscall.EBADF
	}
	return o[fd], nil
}

// Two threads send a stream through a terminal and back, each woken by its kqueue
// alone and edge-triggered: a wakeup that is lost is a deadlock.
func TestPtyStream(t *testing.T) {
	total := 1 << 19
	if testing.Short() {
		total = 1 << 17
	}
	each(t, func(l *lab) {
		m, s := device.NewPty(l.td, l.k)
		l.must(s.SetModes(l.td, device.Modes{Echo: true, Min: 1}))
		random(t, 0)
		run := func(name string, cpu int, f kqueue.File, do func(td *machine.Thread, wait func())) {
			fd := l.open(f)
			l.m.Go(name, cpu, func(td *machine.Thread) {
				q := l.k.NewQueue(td, l.p)
				both := []event.Kevent{on(fd, event.Read, event.Add|event.Clear, 0), on(fd, event.Write, event.Add|event.Clear, 0)}
				if _, err := q.Kevent(td, both, nil, 0); err != nil {
					t.Error(err)
				}
				do(td, func() {
					var e [2]event.Kevent
					if n, err := q.Kevent(td, nil, e[:], kqueue.Forever); n == 0 || err != nil {
						t.Errorf("Kevent: %d, %v", n, err)
					}
				})
				if err := q.Close(td); err != nil {
					t.Error(err)
				}
			})
		}
		// The master types, and sees the echo and what the slave sends back.
		run("master", 0, m, func(td *machine.Thread, wait func()) {
			r := random(t, 1)
			b := make([]byte, 2000)
			for sent, seen := 0, 0; seen < total; {
				n, err := m.Write(td, bytes.Repeat([]byte{'x'}, min(1+r.IntN(300), total-sent)))
				sent += n
				if sent == total || err == syscall.EAGAIN || err == nil {
					k, err2 := m.Read(td, b)
					if err2 != nil && err2 != syscall.EAGAIN {
						t.Error(err2)
						return
					}
					seen += bytes.Count(b[:k], []byte{'y'})
					if k == 0 && seen < total && (sent == total || err == syscall.EAGAIN) {
						wait()
					}
				} else {
					t.Error(err)
					return
				}
			}
		})
		run("slave", 1, s, func(td *machine.Thread, wait func()) {
			r := random(t, 2)
			b := make([]byte, 2000)
			for got := 0; got < total; {
				n, err := s.Read(td, b[:1+r.IntN(1500)])
				if err == syscall.EAGAIN {
					wait()
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				got += n
				for back := bytes.Repeat([]byte{'y'}, n); len(back) > 0; {
					n, err := s.Write(td, back)
					back = back[n:]
					if err == syscall.EAGAIN {
						wait()
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		l.run()
	})
}
