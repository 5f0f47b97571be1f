package device

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at all that names lead to, and says what does not hold; nil if all does.
// Nothing runs but td, which is in no domain and, on a native machine, visits each domain
// before it looks; nil is for a virtual machine on which no thread is to run any more.
//
//	V1  a name leads to what is not gone, and no two in a directory are the same
//	V2  the links of a directory are two, and one for each directory in it, which
//	    knows where it is; no name leads to the root
//	V3  the links of a file are its names
//	V4  no file is longer than MaxFileSize
func (v *VFS) Audit(td *machine.Thread) error {
	if td != nil {
		v.mu.Lock(td)
		v.mu.Unlock(td)
	}
	if v.root == nil {
		return nil
	}
	return v.root.audit(td, v.root)
}

func (n *vnode) audit(td *machine.Thread, root *vnode) error {
	below := 0
	for i, e := range n.entries {
		c := e.n
		visit(td, &c.src)
		switch {
		case c.gone:
			return fmt.Errorf("V1: the name %q leads to what is gone", e.name)
		case n.find(e.name) != i:
			return fmt.Errorf("V1: the name %q is there twice", e.name)
		case c == root || c.dir && c.up != n:
			return fmt.Errorf("V2: the directory %q does not know where it is", e.name)
		case len(c.data) > MaxFileSize:
			return fmt.Errorf("V4: the file %q has %d bytes", e.name, len(c.data))
		case c.dir:
			below++
			if err := c.audit(td, root); err != nil {
				return err
			}
		default:
			if names := root.names(c); c.links != names {
				return fmt.Errorf("V3: the file %q has %d names and %d links", e.name, names, c.links)
			}
		}
	}
	if n.links != 2+below {
		return fmt.Errorf("V2: a directory has %d below it and %d links", below, n.links)
	}
	return nil
}

// names counts the names that lead to a file from a directory on.
func (n *vnode) names(file *vnode) (names int) {
	for _, e := range n.entries {
		switch {
		case e.n == file:
			names++
		case e.n.dir:
			names += e.n.names(file)
		}
	}
	return names
}

// Empty says what is open, or nil if nothing is: for when all descriptors are closed,
// and no thread runs any more.
//
//	V5  what a name leads to is open as often as it has open files: none
func (v *VFS) Empty() error {
	if v.root == nil {
		return nil
	}
	return v.root.empty("")
}

// empty is Empty for what is called name, and all in it. It allocates nothing if nothing is
// open.
func (n *vnode) empty(name string) error {
	if n.opens != 0 {
		return fmt.Errorf("V5: everything is closed, and what is called %q is open %d times", name, n.opens)
	}
	for _, e := range n.entries {
		if err := e.n.empty(e.name); err != nil {
			return err
		}
	}
	return nil
}
