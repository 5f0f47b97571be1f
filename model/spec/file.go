package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A file has lives of descriptors, and is gone with the last. What a field is to a
// kind says the file of that kind.
type file struct {
	kind     kind
	gone     bool
	refs     int32
	peer     int32 // the other end
	level    int64 // of a probe; bytes that are to be read
	starved  bool  // a write has been refused or cut short since the last read
	awaits   bool  // of an open of a fifo
	socket         // of one
	hardware       // of a device
	capture        // of a listener

	// Of a terminal.
	modes event.Termios
	text  string
	whole int64
	hung  bool // of a line

	// Of a request.
	aio   aio
	errno syscall.Errno

	inodeOpen // of an open file

	// Of a request device.
	replies string
	absent  bool
}

// A kind is what a file is.
type kind uint8

const (
	queue kind = iota
	epoll
	probe
	readEnd
	writeEnd
	fifoRead
	fifoWrite
	fifoBoth
	master
	slave
	endpoint // a socket

	disk
	request // of a disk

	pass

	receiver    // a device that can be read
	sender      // written
	transceiver // both

	listener // of packets
	serial
	null
	zero
	urandom
	random

	regular
	directory
)

// behaviours has what each kind of file does.
var behaviours = [...]behaviour{
	queue:    kqueues{},
	epoll:    epolls{},
	probe:    probes{},
	readEnd:  readEnds{},
	writeEnd: writeEnds{},

	fifoRead:  fifos{side: event.ReadSide},
	fifoWrite: fifos{side: event.WriteSide},
	fifoBoth:  fifos{side: event.BothSides},
	master:    masters{},
	slave:     slaves{},
	endpoint:  sockets{},

	disk:    disks{},
	request: requests{},

	pass: passes{},

	receiver:    rowed{side: event.ReadSide},
	sender:      rowed{side: event.WriteSide},
	transceiver: rowed{side: event.BothSides},

	listener: listeners{},
	serial:   serials{},
	null:     memories{device: event.Null},
	zero:     memories{device: event.Zero},
	urandom:  memories{device: event.URandom},
	random:   memories{device: event.Random},

	regular:   openFiles{},
	directory: openFiles{dir: true},
}

// makers has what makes a file of nothing, or two: the first, of which peer is the
// second.
var makers = [...]func(s *State, op event.Op) (first file, second file){
	event.CallKqueue: func(*State, event.Op) (a, b file) { return file{kind: queue}, b },
	event.CallEpoll:  func(*State, event.Op) (a, b file) { return file{kind: epoll}, b },
	event.CallProbe:  func(*State, event.Op) (a, b file) { return file{kind: probe}, b },
	event.CallPipe:   func(*State, event.Op) (a, b file) { return file{kind: readEnd}, file{kind: writeEnd} },
	event.CallFifo: func(s *State, _ event.Op) (a, b file) {
		return file{kind: fifoBoth, peer: int32(len(s.files))}, b
	},
	event.CallSocketpair: func(_ *State, op event.Op) (a, b file) {
		a = file{kind: endpoint, socket: socket{typ: op.Sock, pair: true, paired: true, phase: connected}}
		return a, a
	},
	event.CallSocket: func(_ *State, op event.Op) (a, b file) {
		return file{kind: endpoint, socket: socket{typ: op.Sock}}, b
	},
	event.CallPty: func(*State, event.Op) (a, b file) {
		return file{kind: master, modes: newTermios}, file{kind: slave}
	},

	event.CallDisk: func(*State, event.Op) (a, b file) { return file{kind: disk}, b },

	event.CallDevice: func(s *State, op event.Op) (a, b file) {
		a = devices[op.Device]
		a.peer = int32(len(s.files)) // the first open of it
		return a, b
	},
}

// devices has each device as it is when it is made. What has no kind is none.
var devices = [...]file{
	event.Mouse:    newDevice(event.Mouse),
	event.PSM:      newDevice(event.PSM),
	event.Keyboard: newDevice(event.Keyboard),
	event.USB:      newDevice(event.USB),
	event.Record:   newDevice(event.Record),
	event.Play:     newDevice(event.Play),
	event.Midi:     newDevice(event.Midi),
	event.Evdev:    newDevice(event.Evdev),
	event.Devctl:   newDevice(event.Devctl),
	event.Log:      newDevice(event.Log),
	event.Tap:      newDevice(event.Tap),
	event.Tun:      newDevice(event.Tun),

	event.Request: {kind: pass},

	event.BPF:     {kind: listener},
	event.Serial:  {kind: serial},
	event.Null:    {kind: null},
	event.Zero:    {kind: zero},
	event.URandom: {kind: urandom},
	event.Random:  {kind: random},
}

// A behaviour is what the files of one kind do. All values are passed, and none
// pointed to, but the state: who is asked changes nothing.
type behaviour interface {
	// knows reports whether filter f can watch file n.
	knows(f event.Filter) bool

	// touch gives a knote the low-water mark, or whatever else of its own, that a
	// change with EV_ADD asks for.
	touch(kn knote, kev event.Kevent) (knote, syscall.Errno)

	// ask reports whether the condition of a knote holds, and completes the event
	// that reports it.
	ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent)

	// mask returns all conditions of poll(2) that hold of file n. It changes nothing.
	mask(s *State, n int32) event.PollEvents

	// news reports whether a post with a hint tells a knote anything. A hint of 0
	// tells all.
	news(s *State, kn *knote, hint int64) bool

	// act takes the next step of an operation on file n.
	act(s *State, n int32, w *Work, op *event.Op)

	// released is told that file n is gone.
	released(s *State, n int32)

	// name and details are for people who know the specification, words for others.
	name() string
	details(s *State, n int32) string
	words(s *State, n int32) string
}

func (s *State) of(n int32) behaviour { return behaviours[s.files[n].kind] }

// plain is what files do of which nothing else is said.
type plain struct{}

func (plain) touch(kn knote, _ event.Kevent) (knote, syscall.Errno) { return kn, 0 }

func (plain) news(*State, *knote, int64) bool { return true }

func (plain) released(*State, int32) {}

func (plain) details(*State, int32) string { return "" }

// act: what no file of the kind does. Of the calls that are for one sort of file
// each has its errno.
func (plain) act(_ *State, _ int32, w *Work, op *event.Op) {
	switch op.Call {
	case event.CallListen, event.CallConnect, event.CallAccept, event.CallSend, event.CallRecv, event.CallShutdown, event.CallSockErr:
		w.fails(syscall.ENOTSOCK)
	case event.CallTermios, event.CallControl:
		w.fails(syscall.ENOTTY)
	case event.CallInput, event.CallOutput, event.CallUnplug:
		w.fails(syscall.ENODEV)
	case event.CallSeek:
		w.fails(syscall.ESPIPE)
	default:
		w.fails(syscall.EINVAL)
	}
}

// lowat gives a knote the mark of NOTE_LOWAT, which is normal if it has none, and
// not more than most.
func lowat(kn knote, kev event.Kevent, normal, most int64) (knote, syscall.Errno) {
	switch {
	case kev.Fflags == 0:
		kn.mark = normal
	case kev.Fflags != event.NoteLowat || kev.Data < 0:
		return kn, syscall.EINVAL
	default:
		kn.mark = min(max(kev.Data, 1), most)
	}
	return kn, 0
}

// except gives a knote of EVFILT_EXCEPT what it asks for.
func except(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kev.Fflags&^event.NoteOOB != 0 {
		return kn, syscall.EINVAL
	}
	return kn, 0
}

// A Work is an operation on a descriptor under way: what it has found, how far it
// is, and what has come of it. Zero it has found nothing.
type Work struct {
	Life
	N      int64
	Errno  syscall.Errno
	stage  uint8
	done   bool
	other  int32 // another file that it has to do with
	opened int32 // the file that it has made, or taken, which has no descriptor yet, and 1; 0 if none

	// Of an operation on names: who is still to be told.
	posts uint8
	post  [4]post
}

// Done reports whether there is no step left.
func (w *Work) Done() bool { return w.done }

func (w *Work) fails(errno syscall.Errno) { w.N, w.Errno, w.done = 0, errno, true }

func (w *Work) ends(n int64) { w.N, w.done = n, true }

// opens ends the work with a file that is to have a descriptor.
func (s *State) opens(w *Work, f file) {
	s.files = append(s.files, f)
	w.opened, w.done = int32(len(s.files)), true
}

// Opens reports whether a file has been made that is to have a descriptor, see Opened.
func (w *Work) Opens() bool { return w.opened != 0 }

// Opened is the last step of work that Opens: fd is a descriptor for the file. It
// returns false if the number cannot be, or if there is no file.
func (s *State) Opened(w *Work, fd int) bool {
	if !w.Opens() || !s.anyNumber(fd) {
		return false
	}
	s.link(fd, w.opened-1)
	return true
}

// Begin is the first step of an operation on a descriptor: it finds its file, or
// has come to an end with EBADF.
func (s *State) Begin(fd int) (w Work) {
	w.Life, w.Errno = s.Find(fd)
	w.done = w.Errno != 0
	return w
}

// Act takes the next step of an operation, none if there is none left. What has
// been released is EBADF.
func (s *State) Act(w *Work, op *event.Op) {
	switch {
	case w.done:
	case op.Call.Names():
		s.actByName(w, op)
	case op.Call.Mounts():
		s.actMounts(w, op)
	default:
		s.of(w.file).act(s, w.file, w, op)
	}
}

// post asks the knotes of a file, by all filters or but one, to which a hint is
// news, and fires those that say yes.
func (s *State) post(n int32, filter event.Filter, hint int64) {
	b := s.of(n)
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.file == n && (filter == 0 || filter == kn.filter || kn.filter == Item && s.itemHears(kn, filter)) && b.news(s, kn, hint) {
			s.tell(i)
		}
	}
	s.visit()
}

// postTo is post to what several files have in common: a list of those who read, or
// write. Of names for each file whether it is one of them, and which of its lists has
// the knotes of Except.
func (s *State) postTo(of func(n int32) (except event.Side, ok bool), side event.Side, hint int64) {
	for i := range s.knotes {
		kn := &s.knotes[i]
		if kn.file < 0 {
			continue
		}
		if except, ok := of(kn.file); ok && s.listens(kn, side, except) && s.of(kn.file).news(s, kn, hint) {
			s.tell(i)
		}
	}
	s.visit()
}

// listens reports whether a knote is on a list: an item is on those of what it asks
// for, and always on that of Except, but asked only for what the list is for.
func (s *State) listens(kn *knote, side, except event.Side) bool {
	switch kn.filter {
	case event.Read:
		return side == event.ReadSide
	case event.Write:
		return side == event.WriteSide
	case event.Except:
		return side == except
	}
	m := s.mask(kn.file)
	holds := side == except && m&always != 0
	if side == event.ReadSide {
		return holds || m&kn.asks&(in|event.PollRdHup|event.PollPri) != 0
	}
	return holds || m&kn.asks&out != 0
}
