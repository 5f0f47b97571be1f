//go:build !race

package fuzz

// alone lets a virtual machine run; without the race detector others may too.
func alone() (raced func() (n int, said string)) { return notRaced }

func notRaced() (int, string) { return 0, "" }

// looks is how often an execution is made again: it comes out the same each time.
const looks = 1
