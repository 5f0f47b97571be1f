package call

import "github.com/kqlab/kqlab/model/proc"

// Process returns the process that c calls for.
func (c *Caller) Process() *proc.Process { return c.p }
