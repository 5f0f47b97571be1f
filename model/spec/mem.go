package spec

import (
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// randomPool is how many bytes of entropy random keeps.
const randomPool = 512

// memories are the devices without hardware. Of random level is the entropy that there
// is; the others are ready always, and data is 0.
type memories struct {
	plain
	device event.Device
}

func (memories) knows(f event.Filter) bool { return f == event.Read || f == event.Write }

func (memories) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	return lowat(kn, kev, 1, randomPool)
}

func (x memories) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	if x.device != event.Random || kn.filter == event.Write {
		return true, e
	}
	e.Data = s.files[kn.file].level
	return e.Data >= kn.mark, e
}

func (x memories) mask(s *State, n int32) event.PollEvents {
	if x.device == event.Random && s.files[n].level == 0 {
		return out
	}
	return in | out
}

func (x memories) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case op.Call == event.CallRead && x.device == event.Null:
		w.ends(0)
	case op.Call == event.CallRead && x.device == event.Random:
		took := min(op.N, f.level)
		if took == 0 && op.N > 0 {
			w.fails(syscall.EAGAIN)
			return
		}
		f.level -= took
		w.ends(took)
	case op.Call == event.CallWrite && x.device == event.URandom && op.N > 0:
		w.fails(syscall.EPERM)
	case op.Call == event.CallRead, op.Call == event.CallWrite:
		w.ends(op.N)
	case op.Call == event.CallInput && x.device == event.Random:
		came := min(op.N, randomPool-f.level)
		if f.level += came; came > 0 {
			s.postTo(only(n), event.ReadSide, 0)
		}
		w.ends(came)
	default:
		x.plain.act(s, n, w, op)
	}
}

func (x memories) name() string { return x.device.String() }

func (x memories) details(s *State, n int32) string {
	if x.device != event.Random {
		return ""
	}
	return strconv.FormatInt(s.files[n].level, 10)
}

func (x memories) words(s *State, n int32) string {
	switch x.device {
	case event.Null:
		return "a null, which has nothing to read and takes all"
	case event.Zero:
		return "a zero, which has zeros without end and takes all"
	case event.URandom:
		return "a urandom, which has bytes without end"
	}
	return "a random with " + strconv.FormatInt(s.files[n].level, 10) + " bytes of entropy"
}
