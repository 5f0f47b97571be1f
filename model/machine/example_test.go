package machine_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine"
)

// A consumer sleeps until a producer has put something in. It interlocks the
// channel before it lets go of the token, so the wakeup cannot slip by.
func Example() {
	m := machine.Native(2)
	token := machine.Token{Name: "box"}
	filled := machine.WaitChan{Name: "box is filled"}
	box := "" // guarded by token

	m.Go("consumer", 0, func(td *machine.Thread) {
		td.Get(&token)
		for box == "" {
			td.Interlock(&filled)
			td.Sleep(machine.Forever) // lets go of the token meanwhile
		}
		fmt.Println("found", box)
		td.Put(&token)
	})
	m.Go("producer", 1, func(td *machine.Thread) {
		td.Get(&token)
		box = "a knote"
		td.Wakeup(&filled)
		td.Put(&token)
	})
	if err := m.Run(); err != nil {
		fmt.Println(err)
	}
	// Output: found a knote
}

// When all threads sleep, and nothing is left that could wake one, Run says
// who waits for what.
func ExampleMachine_Run() {
	m := machine.Native(1)
	m.Go("reader", 0, func(td *machine.Thread) {
		td.Interlock(&machine.WaitChan{Name: "input"})
		td.Sleep(machine.Forever)
	})
	fmt.Println(m.Run())
	// Output: deadlock: all threads are asleep; reader waits for input
}
