package catalog

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// processes are what a process is watched for. All share the table that they are in with
// all others; the signals of the world's process are each a unit.
var processes = []Device{
	{
		Name: "process", Like: "EVFILT_PROC, kern_event.c",
		Filters: []Filter{{
			Filter: event.Proc, Data: "exit status; of a child, its parent", EOF: "it has ended",
			Fflags: event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack,
		}},
		New: func(td *machine.Thread, w *World) Unit {
			p, err := w.Process.Fork(td)
			if err != nil {
				panic("catalog: a process: " + err.Error())
			}
			exit := Act{"exit", func(td *machine.Thread) error { return p.Exit(td, proc.Exited(3)) }}
			return Unit{Ident: uint64(p.Pid()), Acts: []Act{
				{"fork", func(td *machine.Thread) error {
					_, err := p.Fork(td)
					return err
				}},
				{"exec", p.Exec},
				exit,
				exit.then(Act{"wait", func(td *machine.Thread) error {
					_, _, err := w.Process.Wait(td, p.Pid())
					return err
				}}),
				{"kill", func(td *machine.Thread) error { return p.Kill(td, syscall.SIGKILL) }},
				{"a sibling is forked", func(td *machine.Thread) error {
					_, err := w.Process.Fork(td)
					return err
				}},
			}}
		},
	},
	{
		Name: "signal", Like: "EVFILT_SIGNAL, kern_event.c",
		Filters: []Filter{{Filter: event.Signal, Data: "sendings since it was last returned", EOF: Never}},
		New: func(td *machine.Thread, w *World) Unit {
			// One that would end another process: the world's is the first, which does not.
			sig := proc.MaxSignal - syscall.Signal(w.Next()%16)
			send := Act{"send", func(td *machine.Thread) error { return w.Process.Kill(td, sig) }}
			return Unit{Ident: uint64(sig), Acts: []Act{
				send,
				Act{"ignore", func(td *machine.Thread) error {
					_, err := w.Process.SetAction(td, sig, proc.Action{Ignore: true})
					return err
				}}.then(send),
				{"send another", func(td *machine.Thread) error { return w.Process.Kill(td, syscall.SIGURG) }},
			}}
		},
	},
}
