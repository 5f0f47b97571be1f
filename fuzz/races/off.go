//go:build !race

package races

// Enabled reports whether the race detector is in this binary.
const Enabled = false

// Alone lets a virtual machine run; without the race detector others may too.
func Alone() (raced func() (n int, said string)) { return notRaced }

func notRaced() (int, string) { return 0, "" }

// Looks is how often an execution is made again: it comes out the same each time.
const Looks = 1

// Again reports whether a race would be reported each time that it comes by.
func Again() bool { return false }
