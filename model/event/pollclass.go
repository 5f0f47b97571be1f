package event

// A PollClass says which of poll(2)'s conditions it is that the knotes of a file
// report. What they report is the same for all files, data, room, and an end; but
// on Linux the end of a pipe's writers is POLLHUP, that of its readers POLLERR, and
// that of what a socket's peer sends POLLIN and POLLRDHUP. A file that is of
// another class than PollPlain has the method
//
//	PollClass() event.PollClass
//
// which is called in any state, and must not wait.
type PollClass uint8

// The classes.
const (
	PollPlain    PollClass = iota // an end is POLLHUP: kqueues, test devices, a fifo that is both ends
	PollReadEnd                   // of a pipe or a fifo: no writers are POLLHUP
	PollWriteEnd                  // no readers are POLLERR, and a write fails at once
	PollSocket                    // nothing more to come is POLLIN and POLLRDHUP; a write that fails does so at once
	PollUnix                      // as PollSocket; and room is POLLWRBAND too
	PollPty                       // the master's side: no slave is POLLHUP, and a write need not wait
	PollTty                       // the slave's side: a terminal that is hung up is everything at once
	PollAlways                    // always ready to be read and written, whatever knotes say: files and directories
	PollClasses                   // how many there are
)
