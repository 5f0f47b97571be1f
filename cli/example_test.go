package cli_test

import (
	"os"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/giant"
)

// A program of its own adds its strategy to every verb; its main calls
// cli.Main with the same entry.
func ExampleRun() {
	mine := strategies.Entry{Name: "mine", Doc: "my first strategy", New: giant.New}
	cli.Run([]string{"list", "strategies"}, os.Stdout, os.Stderr, mine)
	// Output:
	// strategies
	//   giant        one big lock, the mplock, around everything
	//   globaltoken  one LWKT token around the kqueue subsystem
	//   pcpu         objects belong to a CPU; who wants one goes there, or sends a message
	//   mine         my first strategy
	//   none         the control: locks nothing, and must be caught
}
