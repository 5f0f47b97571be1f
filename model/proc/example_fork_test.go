package proc_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies/giant"
)

// A kqueue that tracks a process learns of all that it forks. Who waits for a child waits
// for its NOTE_EXIT.
func ExampleProcess_Fork() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	proc.Install(k)
	init := proc.New(k)
	m.Go("example", 0, func(td *machine.Thread) {
		kq, _ := init.Kqueue(td)
		track := event.Kevent{Ident: proc.Init, Filter: event.Proc, Flags: event.Add, Fflags: event.NoteTrack | event.NoteExit}
		init.Kevent(td, kq, []event.Kevent{track}, nil, 0)

		child, _ := init.Fork(td)
		grandchild, _ := child.Fork(td)
		grandchild.Exit(td, proc.Exited(3))
		child.Exit(td, proc.Exited(0))

		events := make([]event.Kevent, 8)
		for n := 1; n > 0; {
			n, _ = init.Kevent(td, kq, nil, events, 0)
			for _, e := range events[:n] {
				fmt.Println(e)
			}
		}
		for {
			pid, status, err := init.Wait(td, proc.Any)
			if err != nil {
				break
			}
			fmt.Println("process", pid, "has ended:", status)
		}
	})
	if err := m.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// PROC 1 CLEAR fflags=TRACK
	// PROC 2 CLEAR fflags=TRACK|CHILD data=1
	// PROC 3 CLEAR fflags=CHILD data=2
	// PROC 2 ONESHOT|CLEAR|NODATA|EOF fflags=EXIT
	// PROC 3 ONESHOT|CLEAR|NODATA|EOF fflags=EXIT data=768
	// process 3 has ended: exit 3
	// process 2 has ended: exit 0
}
