package catalog

import (
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// The acts that most devices have.

type reader interface {
	Read(td *machine.Thread, b []byte) (int, error)
}

type writer interface {
	Write(td *machine.Thread, b []byte) (int, error)
}

// reads is to read so many bytes at most.
func reads(name string, f reader, n int) Act {
	return Act{name, func(td *machine.Thread) error {
		_, err := f.Read(td, make([]byte, n))
		return err
	}}
}

// writes is to write so many bytes, each a line to a terminal.
func writes(name string, f writer, n int) Act {
	return Act{name, func(td *machine.Thread) error {
		b := make([]byte, n)
		for i := range b {
			b[i] = '\n'
		}
		_, err := f.Write(td, b)
		return err
	}}
}

// releases is to close what no descriptor stands for: another end.
func releases(name string, f kqueue.File) Act {
	return Act{name, func(td *machine.Thread) error {
		f.Release(td)
		return nil
	}}
}

// then is to do one thing after another, whatever came of it.
func (a Act) then(b Act) Act {
	return Act{a.Name + ", " + b.Name, func(td *machine.Thread) error {
		err := a.Do(td)
		b.Do(td)
		return err
	}}
}

// does is an act that cannot fail.
func does(name string, f func(td *machine.Thread)) Act {
	return Act{name, func(td *machine.Thread) error {
		f(td)
		return nil
	}}
}

// fill writes until nothing more is taken.
func fill(td *machine.Thread, f writer) {
	for {
		if n, err := f.Write(td, much[:]); n == 0 || err != nil {
			return
		}
	}
}

var much [1 << 16]byte // nobody changes it
