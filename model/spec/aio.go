package spec

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// aioMost is how many requests of one disk may be in flight.
const aioMost = 16

// What aio_cancel(2) answers: AIO_CANCELED and AIO_ALLDONE.
const (
	aioCanceled = 1
	aioAllDone  = 3
)

// disks are watched by no filter: their requests are.
type disks struct{ plain }

func (disks) knows(event.Filter) bool { return false }

func (disks) ask(_ *State, _ *knote, e event.Kevent) (bool, event.Kevent) { return false, e }

// mask: a file that cannot be waited for is ready.
func (disks) mask(*State, int32) event.PollEvents { return in | out }

func (d disks) act(s *State, n int32, w *Work, op *event.Op) {
	switch {
	case op.Call != event.CallAIO:
		d.plain.act(s, n, w, op)
	case s.files[n].gone:
		w.fails(syscall.EBADF)
	case op.Side != event.ReadSide && op.Side != event.WriteSide:
		w.fails(syscall.EINVAL)
	case s.inFlight(n) == aioMost:
		w.fails(syscall.EAGAIN)
	default:
		s.opens(w, file{kind: request, peer: n, level: op.N})
	}
}

// inFlight returns how many requests of a disk are.
func (s *State) inFlight(disk int32) (n int) {
	for i := range s.files {
		if f := &s.files[i]; f.kind == request && f.peer == disk && f.aio == waits {
			n++
		}
	}
	return n
}

// released: the last close cancels what is in flight, all at once, and then each is told.
func (disks) released(s *State, n int32) {
	var told []int32
	for i := range s.files {
		if f := &s.files[i]; f.kind == request && f.peer == n && f.aio == waits {
			f.aio, f.errno, f.level = finished, syscall.ECANCELED, 0
			told = append(told, int32(i))
		}
	}
	for _, i := range told {
		s.post(i, 0, 0)
	}
}

func (disks) name() string { return "disk" }

func (disks) details(s *State, n int32) string { return strconv.Itoa(s.inFlight(n)) }

func (disks) words(s *State, n int32) string {
	return fmt.Sprintf("a disk with %d requests in flight", s.inFlight(n))
}

// requests are those of aio_read(2) and aio_write(2). Peer is the disk; level is how many
// bytes are asked for, and then how many were transferred.
type requests struct{ plain }

// An aio is how far a request is.
type aio uint8

const (
	waits    aio = iota // in flight
	finished            // completed, failed or cancelled
	returned            // somebody has taken its result
)

func (requests) knows(f event.Filter) bool { return f == event.AIO }

func (requests) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kev.Fflags != 0 {
		return kn, syscall.EINVAL
	}
	return kn, 0
}

func (requests) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[kn.file]
	if f.aio != finished {
		return false, e
	}
	e.Flags |= event.EOF
	e.Data, e.Fflags = f.level, event.Fflags(f.errno)
	return true, e
}

// mask: poll(2) is told nothing of requests.
func (requests) mask(*State, int32) event.PollEvents { return 0 }

func (r requests) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch op.Call {
	case event.CallComplete:
		switch {
		case f.aio != waits:
			w.fails(syscall.EINVAL)
			return
		case op.N < 0:
			s.finish(n, 0, syscall.EIO)
		default:
			s.finish(n, min(op.N, f.level), 0)
		}
		w.ends(0)
	case event.CallAIOCancel:
		if f.aio != waits {
			w.ends(aioAllDone)
			return
		}
		s.finish(n, 0, syscall.ECANCELED)
		w.ends(aioCanceled)
	case event.CallAIOError:
		switch f.aio {
		case waits:
			w.ends(int64(syscall.EINPROGRESS))
		case finished:
			w.ends(int64(f.errno))
		default:
			w.fails(syscall.EINVAL)
		}
	case event.CallAIOReturn:
		switch {
		case f.aio == waits:
			w.fails(syscall.EINPROGRESS)
		case f.aio == returned:
			w.fails(syscall.EINVAL)
		case f.errno != 0:
			f.aio = returned
			w.fails(f.errno)
		default:
			f.aio = returned
			w.ends(f.level)
		}
	default:
		r.plain.act(s, n, w, op)
	}
}

// finish ends the flight of request n.
func (s *State) finish(n int32, bytes int64, errno syscall.Errno) {
	f := &s.files[n]
	f.aio, f.level, f.errno = finished, bytes, errno
	s.post(n, 0, 0)
}

// released: whoever finds the request yet finds none any more.
func (requests) released(s *State, n int32) { s.files[n].aio = returned }

func (requests) name() string { return "request" }

func (requests) details(s *State, n int32) string {
	return [...]string{"in flight", "finished", "returned"}[s.files[n].aio]
}

func (requests) words(s *State, n int32) string {
	switch f := &s.files[n]; {
	case f.aio == waits:
		return fmt.Sprintf("a request for %d bytes, in flight", f.level)
	case f.aio == returned:
		return "a request whose result has been taken"
	case f.errno != 0:
		return fmt.Sprintf("a request that has failed with %v", event.Result{Errno: f.errno})
	default:
		return fmt.Sprintf("a request that has transferred %d bytes", f.level)
	}
}
