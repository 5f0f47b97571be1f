// Package strategies lists the locking strategies. Each is a package with one
// file.
package strategies

import (
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
	"github.com/kqlab/kqlab/strategies/globaltoken"
	"github.com/kqlab/kqlab/strategies/pcpu"
)

// An Entry is a strategy and how to make it.
type Entry struct {
	Name string // lower case, no spaces: it stands in flags, tables and file names
	Doc  string // one line
	New  func(*machine.Machine) kqueue.Strategy
}

// All is every strategy of this module, in the order of history.
var All = []Entry{
	{"giant", "one big lock, the mplock, around everything", giant.New},
	{"globaltoken", "one LWKT token around the kqueue subsystem", globaltoken.New},
	{"pcpu", "objects belong to a CPU; who wants one goes there, or sends a message", pcpu.New},
}
