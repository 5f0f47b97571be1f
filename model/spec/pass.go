package spec

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	passCommand = 32 // bytes of a command, and of its reply
	passTags    = 8  // commands at once
)

// passes hand commands through. Text has the tags of those in flight in the order of
// submission, a byte each, replies those that are completed in the order of that.
type passes struct{ plain }

func (passes) knows(f event.Filter) bool {
	return f == event.Read || f == event.Write || f == event.Except
}

func (passes) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch kn.filter {
	case event.Read:
		return lowat(kn, kev, 1, passTags*passCommand)
	case event.Write:
		return lowat(kn, kev, passCommand, passTags*passCommand)
	}
	return except(kn, kev)
}

// free returns how many tags no command has.
func (f *file) freeTags() int64 { return int64(passTags - len(f.text) - len(f.replies)) }

func (passes) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[kn.file]
	if f.absent {
		e = over(e, f.replies == "" || kn.filter == event.Write)
	}
	switch {
	case kn.filter == event.Except && f.absent:
		e.Data = int64(syscall.ENXIO)
	case kn.filter == event.Except:
	default:
		if kn.filter == event.Read {
			e.Data = int64(len(f.replies)) * passCommand
		} else if !f.absent {
			e.Data = f.freeTags() * passCommand
		}
		if f.absent {
			e.Fflags = event.Fflags(syscall.ENXIO)
		}
		return f.absent || e.Data >= kn.mark, e
	}
	return f.absent, e
}

func (passes) mask(s *State, n int32) (m event.PollEvents) {
	f := &s.files[n]
	if f.replies != "" {
		m |= in
	}
	if f.absent {
		return m | out | event.PollHup | event.PollErr
	}
	if f.freeTags() > 0 {
		m |= out
	}
	return m
}

func (p passes) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch op.Call {
	case event.CallRead, event.CallWrite, event.CallInput, event.CallUnplug, event.CallComplete:
	case event.CallControl:
		if op.Control != event.Abort {
			w.fails(syscall.ENOTTY)
			return
		}
	default:
		p.plain.act(s, n, w, op)
		return
	}
	switch {
	case f.gone:
		w.fails(syscall.EBADF)
		return
	case f.absent && (op.Call != event.CallRead || f.replies == ""):
		w.fails(syscall.ENXIO)
		return
	}
	switch op.Call {
	case event.CallRead:
		s.readReplies(n, w, op.N)
	case event.CallWrite:
		f.submit(w, op.N)
	case event.CallInput:
		took := min(op.N, int64(len(f.text)))
		f.complete(f.text[:took])
		w.ends(took)
		if took > 0 {
			s.postTo(only(n), event.ReadSide, 0)
		}
	case event.CallUnplug:
		f.absent = true
		f.complete(f.text)
		w.ends(0)
		s.postTo(only(n), event.ReadSide, 0)
		s.postTo(only(n), event.WriteSide, 0)
	default: // of one command
		tag := string([]byte{byte(op.N)})
		if op.N < 0 || op.N >= passTags || !strings.Contains(f.text, tag) {
			w.fails(syscall.EINVAL)
			return
		}
		f.complete(tag)
		w.ends(0)
		s.postTo(only(n), event.ReadSide, 0)
	}
}

// only names the lists of one file that has the knotes of Except on that of its readers.
func only(n int32) func(int32) (event.Side, bool) {
	return func(m int32) (event.Side, bool) { return event.ReadSide, m == n }
}

// submit takes whole commands, each by the lowest tag that is free.
func (f *file) submit(w *Work, bytes int64) {
	switch {
	case bytes == 0:
		w.ends(0)
	case bytes%passCommand != 0:
		w.fails(syscall.EINVAL)
	case f.freeTags() == 0:
		w.fails(syscall.EAGAIN)
	default:
		took := min(bytes/passCommand, f.freeTags())
		for tag, left := byte(0), took; left > 0; tag++ {
			if t := string([]byte{tag}); !strings.Contains(f.text+f.replies, t) {
				f.text += t
				left--
			}
		}
		w.ends(took * passCommand)
	}
}

// complete makes commands in flight replies.
func (f *file) complete(all string) {
	for _, tag := range []byte(all) {
		f.text = strings.Replace(f.text, string([]byte{tag}), "", 1)
	}
	f.replies += all
}

// readReplies takes whole replies; each makes room for a command, while there is a device.
func (s *State) readReplies(n int32, w *Work, bytes int64) {
	f := &s.files[n]
	switch {
	case bytes == 0:
		w.ends(0)
	case bytes < passCommand:
		w.fails(syscall.EINVAL)
	case f.replies == "":
		w.fails(syscall.EAGAIN)
	default:
		took := min(bytes/passCommand, int64(len(f.replies)))
		f.replies = f.replies[took:]
		w.ends(took * passCommand)
		if !f.absent {
			s.postTo(only(n), event.WriteSide, 0)
		}
	}
}

func (passes) name() string { return "request device" }

func (passes) details(s *State, n int32) string {
	f := &s.files[n]
	return fmt.Sprintf("%v in flight, %v completed", []byte(f.text), []byte(f.replies))
}

func (passes) words(s *State, n int32) string {
	f := &s.files[n]
	text := fmt.Sprintf("a request device with %d commands in flight and %d replies to be read", len(f.text), len(f.replies))
	if f.absent {
		text += ", which is unplugged"
	}
	return text
}
