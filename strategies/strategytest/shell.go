package strategytest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/datadriven"
	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A shell carries out the commands of a transcript on a machine of its own.
//
// Each command is a thread, and the next begins when nothing runs any more:
// every thread has ended or sleeps, and no timer is about to wake one. So what
// a command answers does not depend on how fast anything is. A command that
// sleeps stays asleep behind the scene: "spawn NAME" in front of it gives it a
// name to ask for, with "join NAME".
//
//	boot                               a new machine, and the commands on the lines below;
//	                                   before that the old one's descriptors are closed
//	kqueue, pipe, probe [gated] [unsafe]  answers the descriptors
//	dup FD, dup2 FD TO, close FD
//	write FD N, read FD N              bytes
//	set FD N, add FD N                 the level of a probe
//	hold FD CALL, let FD CALL          a gated probe's attach, detach or event
//	fail FD ERRNO                      its attaching fails
//	kevent KQ [n=N] [timeout=T]        changes on the lines below; n=8, timeout=0 if not given
//	spawn NAME COMMAND, join NAME      any of these
//
// The threads are at home on CPU 0, or on 0 and 1 in turn, so that objects that
// are made one after another lie apart. Kevent takes hide=data too, where the
// data depends on the clock: it is shown as 1.
type shell struct {
	new  func(*machine.Machine) kqueue.Strategy
	cpus int // that are used in turn
	ran  int // commands
	m    *machine.Machine
	p    *proc.Process
	k    *kqueue.Kernel
	top  int // descriptors are below it
	jobs map[string]*job
}

// A job is a command that has been started.
type job struct {
	answer string
	done   bool
}

// run carries out one command, with its input.
func (s *shell) run(cmd string, cmdArgs []datadriven.CmdArg, input string) (answer string, err error) {
	var args []string
	cpu, room, timeout, hide := s.ran%s.cpus, 8, time.Duration(0), false
	s.ran++
	for _, a := range cmdArgs {
		if len(a.Vals) == 0 {
			args = append(args, a.Key)
			continue
		}
		switch a.Key {
		case "n":
			room, err = strconv.Atoi(a.Vals[0])
		case "timeout":
			timeout, err = parseTimeout(a.Vals[0])
		case "hide":
			hide = a.Vals[0] == "data"
		default:
			err = fmt.Errorf("unknown argument %s=: want n=, timeout= or hide=data", a.Key)
		}
		if err != nil {
			return "", err
		}
	}
	name := ""
	switch {
	case cmd == "boot":
		return s.begin(input)
	case cmd == "join":
		return s.join(args)
	case cmd == "spawn":
		if len(args) < 2 {
			return "", fmt.Errorf("spawn: want a name and a command")
		}
		name, cmd, args = args[0], args[1], args[2:]
	}
	c := call{s: s, room: room, timeout: timeout, hide: hide}
	if err := c.parse(cmd, args, input); err != nil {
		return "", err
	}
	j := &job{}
	s.m.Go(cmd+" "+name, cpu, func(td *machine.Thread) {
		j.answer = c.do(td)
		j.done = true
	})
	err = s.m.Run()
	switch {
	case name != "":
		s.jobs[name] = j
		return "", nil
	case j.done:
		return j.answer, nil
	default:
		return fmt.Sprintf("asleep: %v", err), nil
	}
}

// begin boots, and carries out the commands that a step needs before it.
func (s *shell) begin(input string) (string, error) {
	if err := s.boot(); err != nil {
		return "", err
	}
	var answers []string
	for line := range strings.Lines(input) {
		cmd, args, err := datadriven.ParseLine(line)
		if err != nil {
			return "", err
		}
		a, err := s.run(cmd, args, "")
		if err != nil {
			return "", err
		}
		answers = append(answers, a)
	}
	return strings.Join(answers, "\n"), nil
}

// join answers what a spawned command has answered.
func (s *shell) join(args []string) (string, error) {
	if len(args) != 1 || s.jobs[args[0]] == nil {
		return "", fmt.Errorf("join %v: want the name of a command that was spawned and not joined", args)
	}
	j := s.jobs[args[0]]
	if !j.done {
		return "asleep", nil
	}
	delete(s.jobs, args[0])
	return j.answer, nil
}

// boot begins anew. Everybody must leave when all is closed.
func (s *shell) boot() error {
	if s.m != nil {
		s.m.Go("shutdown", 0, func(td *machine.Thread) {
			for fd := range s.top {
				s.p.Close(td, fd)
			}
		})
		if err := s.m.Run(); err != nil {
			return fmt.Errorf("when everything was closed: %v", err)
		}
	}
	s.m = machine.Native(2)
	s.k = kqueue.New(s.m, s.new(s.m))
	device.Install(s.k)
	s.p = proc.New(s.k)
	s.jobs = map[string]*job{}
	s.top = 64
	return nil
}

// A call is a command with its arguments, ready to run on a thread.
type call struct {
	s       *shell
	room    int
	timeout time.Duration
	hide    bool // the data of events
	changes []event.Kevent
	do      func(td *machine.Thread) string
}

var callNames = map[string]device.Call{"attach": device.InAttach, "detach": device.InDetach, "event": device.InEvent}

// parse chooses what to do, so that a mistake in a transcript is found before
// anything runs.
func (c *call) parse(cmd string, args []string, input string) error {
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			return -1
		}
		return n
	}
	want := func(n int) error {
		if len(args) != n {
			return fmt.Errorf("%s: %d arguments, want %d", cmd, len(args), n)
		}
		return nil
	}
	p := c.s.p
	switch cmd {
	case "kqueue":
		c.do = func(td *machine.Thread) string { return answer(p.Kqueue(td)) }
		return want(0)
	case "pipe":
		c.do = c.pipe
		return want(0)
	case "probe":
		cfg := device.ProbeConfig{}
		for _, a := range args {
			cfg.Gated = cfg.Gated || a == "gated"
			cfg.Unsafe = cfg.Unsafe || a == "unsafe"
		}
		c.do = func(td *machine.Thread) string { return answer(p.Open(td, device.NewProbe(td, c.s.k, cfg))) }
		return nil
	case "dup":
		c.do = func(td *machine.Thread) string { return answer(p.Dup(td, number(0))) }
		return want(1)
	case "dup2":
		c.do = func(td *machine.Thread) string { return said(p.Dup2(td, number(0), number(1))) }
		return want(2)
	case "close":
		c.do = func(td *machine.Thread) string { return said(p.Close(td, number(0))) }
		return want(1)
	case "read", "write":
		c.do = func(td *machine.Thread) string { return c.transfer(td, cmd, number(0), number(1)) }
		return want(2)
	case "set", "add", "hold", "let", "fail":
		if err := want(2); err != nil {
			return err
		}
		if _, known := callNames[args[1]]; !known && (cmd == "hold" || cmd == "let") {
			return fmt.Errorf("%s: call %q: want attach, detach or event", cmd, args[1])
		}
		if _, err := strconv.ParseInt(args[1], 0, 64); err != nil && (cmd == "set" || cmd == "add") {
			return fmt.Errorf("%s: level %q: want a number", cmd, args[1])
		}
		if cmd == "fail" && args[1] != "ok" && errnoOf(args[1]) == nil {
			return fmt.Errorf("fail: %q: want the name of an errno, or ok", args[1])
		}
		c.do = func(td *machine.Thread) string { return c.probe(td, cmd, number(0), args[1]) }
		return nil
	case "kevent":
		for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
			if line == "" {
				continue
			}
			kev, err := event.ParseKevent(line)
			if err != nil {
				return err
			}
			c.changes = append(c.changes, kev)
		}
		if err := want(1); err != nil {
			return err
		}
		c.do = func(td *machine.Thread) string { return c.kevent(td, number(0)) }
		return nil
	}
	return fmt.Errorf("unknown command %q", cmd)
}

func (c *call) pipe(td *machine.Thread) string {
	r, w := device.NewPipe(td, c.s.k)
	a, err := c.s.p.Open(td, r)
	if err != nil {
		return said(err)
	}
	b, err := c.s.p.Open(td, w)
	if err != nil {
		return said(err)
	}
	return fmt.Sprintf("read %d, write %d", a, b)
}

func (c *call) transfer(td *machine.Thread, cmd string, fd, n int) string {
	f, err := c.s.p.File(td, fd)
	if err != nil {
		return said(err)
	}
	end, ok := f.(*device.PipeEnd)
	if !ok {
		return "no pipe"
	}
	if cmd == "read" {
		n, err = end.Read(td, make([]byte, n))
	} else {
		n, err = end.Write(td, make([]byte, n))
	}
	if err != nil {
		return said(err)
	}
	return fmt.Sprintf("%d bytes", n)
}

func (c *call) probe(td *machine.Thread, cmd string, fd int, arg string) string {
	f, err := c.s.p.File(td, fd)
	if err != nil {
		return said(err)
	}
	probe, ok := f.(*device.Probe)
	if !ok {
		return "no probe"
	}
	n, _ := strconv.ParseInt(arg, 0, 64)
	switch cmd {
	case "set":
		probe.Set(td, n)
	case "add":
		probe.Add(td, n)
	case "hold":
		probe.Hold(td, callNames[arg])
	case "let":
		probe.Let(td, callNames[arg])
	case "fail":
		probe.FailAttach(td, errnoOf(arg))
	}
	return "ok"
}

func (c *call) kevent(td *machine.Thread, kq int) string {
	var events []event.Kevent
	if c.room > 0 {
		events = make([]event.Kevent, c.room)
	}
	n, err := c.s.p.Kevent(td, kq, c.changes, events, c.timeout)
	var b strings.Builder
	for _, e := range events[:n] {
		if c.hide && e.Data > 0 && e.Flags&event.Error == 0 {
			e.Data = 1
		}
		fmt.Fprintln(&b, e)
	}
	switch {
	case err != nil:
		fmt.Fprintln(&b, said(err))
	case n == 0:
		fmt.Fprintln(&b, "nothing")
	}
	return b.String()
}

// errnoOf returns the errno of that name, nil for "ok".
func errnoOf(name string) error {
	for e := syscall.Errno(1); e < 200; e++ {
		if unix.ErrnoName(e) == name {
			return e
		}
	}
	return nil
}

func parseTimeout(s string) (time.Duration, error) {
	if s == "forever" {
		return kqueue.Forever, nil
	}
	return time.ParseDuration(s)
}

// said is an answer without a value.
func said(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

func answer(fd int, err error) string {
	if err != nil {
		return said(err)
	}
	return strconv.Itoa(fd)
}
