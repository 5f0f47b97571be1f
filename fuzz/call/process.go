package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// of does something to the process that op names.
func (c *Caller) of(td *machine.Thread, op *event.Op, do func(p *proc.Process) (int, error)) event.Result {
	p, err := c.p.Table().Find(td, op.Pid)
	if err != nil {
		return fails(err)
	}
	return number(do(p))
}

func (c *Caller) fork(td *machine.Thread, op *event.Op) event.Result {
	return c.of(td, op, func(p *proc.Process) (int, error) {
		child, err := p.Fork(td)
		if err != nil {
			return 0, err
		}
		return child.Pid(), nil
	})
}

func (c *Caller) exec(td *machine.Thread, op *event.Op) event.Result {
	return c.of(td, op, func(p *proc.Process) (int, error) { return 0, p.Exec(td) })
}

func (c *Caller) exit(td *machine.Thread, op *event.Op) event.Result {
	return c.of(td, op, func(p *proc.Process) (int, error) { return 0, p.Exit(td, proc.Exited(int(op.N))) })
}

// wait is that of the process of the threads, for a child of it.
func (c *Caller) wait(td *machine.Thread, op *event.Op) event.Result {
	pid, status, err := c.p.Wait(td, op.Pid)
	if err != nil {
		return fails(err)
	}
	return event.Result{N: int64(pid), N2: int64(status)}
}

func (c *Caller) kill(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.p.Table().Kill(td, op.Pid, syscall.Signal(op.Sig)))
}

var actions = [...]proc.Action{
	event.SigIgnore: {Ignore: true},
	event.SigCatch:  {Catch: func(*machine.Thread, syscall.Signal) {}},
}

// sigaction: a handler does nothing. What it is good for is that waits are interrupted.
func (c *Caller) sigaction(td *machine.Thread, op *event.Op) event.Result {
	_, err := c.p.SetAction(td, syscall.Signal(op.Sig), actions[op.Action])
	return fails(err)
}

var hows = [...]proc.How{event.SigBlock: proc.Block, event.SigUnblock: proc.Unblock, event.SigSetMask: proc.SetMask}

func (c *Caller) sigmask(td *machine.Thread, op *event.Op) event.Result {
	_, err := c.p.SetMask(td, hows[op.How], proc.Sigset(op.Sigs))
	return fails(err)
}

// Joins reports whether a thread that is to carry out op must have joined its process,
// or else what is said there of signals would mean nothing.
func Joins(op *event.Op) bool {
	return op.Masked || op.Call == event.CallKill || op.Call == event.CallSigaction || op.Call == event.CallSigmask
}
