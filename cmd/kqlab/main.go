// Kqlab compares locking strategies of one kqueue: which are right, and what
// each costs.
package main

import "github.com/kqlab/kqlab/cli"

func main() { cli.Main() }
