package call

import (
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// paths has the path of each file: the digits of its number, with slashes between.
var paths = func() (all [event.MaxFile + 1]string) {
	for n := range all {
		for i, digit := range strconv.Itoa(n) {
			if i > 0 {
				all[n] += "/"
			}
			all[n] += string(digit)
		}
	}
	all[0] = ""
	return all
}()

func (c *Caller) creat(td *machine.Thread, op *event.Op) event.Result {
	return c.opened(td)(c.w.Files.Create(td, paths[op.File]))
}

func (c *Caller) openFile(td *machine.Thread, op *event.Op) event.Result {
	return c.opened(td)(c.w.Files.Open(td, paths[op.File]))
}

// opened returns what makes a descriptor for a file that has been opened, if it has.
func (c *Caller) opened(td *machine.Thread) func(f *device.OpenFile, err error) event.Result {
	return func(f *device.OpenFile, err error) event.Result {
		if err != nil {
			return fails(err)
		}
		r := c.open(td, f)
		if r.Errno != 0 {
			f.Release(td)
		}
		return r
	}
}

func (c *Caller) mkdir(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Mkdir(td, paths[op.File]))
}

func (c *Caller) rmdir(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Rmdir(td, paths[op.File]))
}

func (c *Caller) unlink(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Unlink(td, paths[op.File]))
}

func (c *Caller) rename(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Rename(td, paths[op.File], paths[op.To]))
}

func (c *Caller) link(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Link(td, paths[op.File], paths[op.To]))
}

// chmod gives a file a mode. Nobody looks at it.
func (c *Caller) chmod(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Chmod(td, paths[op.File], 0o600))
}

func (c *Caller) revoke(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Revoke(td, paths[op.File]))
}

func (c *Caller) truncate(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.file(td, op.FD, syscall.EINVAL)
	if err == nil {
		err = f.Truncate(td, op.N)
	}
	return fails(err)
}

func (c *Caller) seek(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.file(td, op.FD, syscall.ESPIPE)
	if err == nil {
		err = f.Seek(td, op.N)
	}
	if err != nil {
		return fails(err)
	}
	return event.Result{N: op.N}
}

// file returns the open file that a descriptor stands for, other if it stands for what
// is none.
func (c *Caller) file(td *machine.Thread, fd int, other error) (*device.OpenFile, error) {
	f, err := c.p.File(td, fd)
	if err != nil {
		return nil, err
	}
	if f, ok := f.(*device.OpenFile); ok {
		return f, nil
	}
	return nil, other
}

func (c *Caller) mount(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Mount(td, uint64(op.N)))
}

func (c *Caller) unmount(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.w.Files.Unmount(td, uint64(op.N)))
}
