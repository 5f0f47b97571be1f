package call

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) pipe(td *machine.Thread, _ *event.Op) event.Result {
	r, w := device.NewPipe(td, c.k)
	return c.openBoth(td, r, w)
}
