package poll

import "github.com/kqlab/kqlab/model/machine"

// Blind has the next call take it that no descriptor has been closed since the last,
// which is what a Poller must not do.
func (p *Poller) Blind(td *machine.Thread) { p.age = p.proc.Age(td) }
