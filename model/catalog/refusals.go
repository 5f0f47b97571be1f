package catalog

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A Refusal is something that may be wrong with a change, and how that is answered. The
// table of them says of each filter what becomes of a wrong ident, of fflags, data and
// flags that mean nothing; 0 is that nothing can be wrong with it.
type Refusal struct {
	Filter event.Filter
	Part   string // what is wrong: "ident", "fflags", "data" or "flags"
	Words  string // what it is, for people
	On     Target
	Change event.Kevent // Flags, Fflags and Data; of an ident that is Given that too
	Errno  syscall.Errno
}

// A Target is what the ident of a refused change names.
type Target uint8

// The targets.
const (
	Any   Target = iota // any unit of the catalog that has the filter
	Other               // any that has a descriptor, and has not the filter
	Given               // the number in the change
)

// Parts are the parts of a change that can be wrong, in their order.
var Parts = []string{"ident", "fflags", "data", "flags"}

// closed is a number that no descriptor has, and beyond one that none can have.
const (
	closed = 90
	beyond = 1 << 40
)

func fflags(f event.Fflags) event.Kevent { return event.Kevent{Flags: event.Add, Fflags: f} }

func mark(data int64) event.Kevent {
	return event.Kevent{Flags: event.Add, Fflags: event.NoteLowat, Data: data}
}

func timer(data int64, unit event.Fflags) event.Kevent {
	return event.Kevent{Flags: event.Add, Fflags: unit, Data: data}
}

func ident(n uint64) event.Kevent { return event.Kevent{Ident: n, Flags: event.Add} }

const (
	meaningless = "bits that mean nothing"
	taken       = "any are taken, and mean nothing"
)

// Refusals returns the table, filter by filter.
func Refusals() (all []Refusal) {
	for f := event.Read; f >= event.FS; f-- {
		rows := append(slices.Clone(refusals[f]), flagRows...)
		slices.SortStableFunc(rows, func(a, b Refusal) int { return slices.Index(Parts, a.Part) - slices.Index(Parts, b.Part) })
		for _, r := range rows {
			r.Filter, r.Change.Filter = f, f
			if f == event.Timer && r.Part == "flags" && r.Change.Flags&event.Add != 0 {
				r.Change.Data = 1
			}
			all = append(all, r)
		}
	}
	for _, f := range []event.Filter{0, 1, event.FS - 1, math.MinInt16} {
		c := ident(1)
		c.Filter = f
		all = append(all, Refusal{Filter: f, Part: "filter", Words: "no filter", On: Given, Change: c, Errno: syscall.EINVAL})
	}
	return all
}

// flagRows are those of any filter. What comes back in an event may be handed back as a
// change, so the flags that only the kernel sets are taken.
var flagRows = []Refusal{
	{Part: "flags", Words: "EV_ADD with EV_DELETE", Change: event.Kevent{Flags: event.Add | event.Delete}, Errno: syscall.EINVAL},
	{Part: "flags", Words: "EV_ENABLE with EV_DISABLE", Change: event.Kevent{Flags: event.Add | event.Enable | event.Disable}, Errno: syscall.EINVAL},
	{Part: "flags", Words: meaningless, Change: event.Kevent{Flags: event.Add | 0x100}, Errno: syscall.EINVAL},
	{Part: "flags", Words: "EV_FLAG1", Change: event.Kevent{Flags: event.Add | 0x2000}, Errno: syscall.EINVAL},
	{Part: "flags", Words: "EV_DELETE of what was not added", Change: event.Kevent{Flags: event.Delete}, Errno: syscall.ENOENT},
	{Part: "flags", Words: "EV_ENABLE of what was not added", Change: event.Kevent{Flags: event.Enable}, Errno: syscall.ENOENT},
	{Part: "flags", Words: "EV_DISABLE of what was not added", Change: event.Kevent{Flags: event.Disable}, Errno: syscall.ENOENT},
	{Part: "flags", Words: "none, of what was not added", Errno: syscall.ENOENT},
}

// descriptor are the wrong idents of a filter of descriptors.
var descriptor = []Refusal{
	{Part: "ident", Words: "a number that is not open", On: Given, Change: ident(closed), Errno: syscall.EBADF},
	{Part: "ident", Words: "a number that none can be", On: Given, Change: ident(beyond), Errno: syscall.EBADF},
	{Part: "ident", Words: "a file that has no such condition", On: Other, Change: ident(0), Errno: syscall.EINVAL},
}

// lowatRows are those of a filter that has a low-water mark.
var lowatRows = append(slices.Clone(descriptor),
	Refusal{Part: "fflags", Words: meaningless, Change: fflags(0x100), Errno: syscall.EINVAL},
	Refusal{Part: "fflags", Words: "NOTE_OOB", Change: fflags(event.NoteOOB), Errno: syscall.EINVAL},
	Refusal{Part: "data", Words: "a negative mark", Change: mark(-1), Errno: syscall.EINVAL},
	Refusal{Part: "data", Words: "the least mark there is", Change: mark(math.MinInt64), Errno: syscall.EINVAL},
)

var refusals = map[event.Filter][]Refusal{
	event.Read:  lowatRows,
	event.Write: lowatRows,
	event.Except: append(slices.Clone(descriptor),
		Refusal{Part: "fflags", Words: "any but NOTE_OOB", Change: fflags(event.NoteLowat), Errno: syscall.EINVAL},
		Refusal{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	),
	event.AIO: append(slices.Clone(descriptor),
		Refusal{Part: "fflags", Words: "any", Change: fflags(1), Errno: syscall.EINVAL},
		Refusal{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	),
	event.Vnode: append(slices.Clone(descriptor),
		Refusal{Part: "fflags", Words: meaningless, Change: fflags(event.NoteDelete | 0x100), Errno: syscall.EINVAL},
		Refusal{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	),
	event.Proc: {
		{Part: "ident", Words: "no process", On: Given, Change: ident(closed), Errno: syscall.ESRCH},
		{Part: "ident", Words: "a number that no process can have", On: Given, Change: ident(beyond), Errno: syscall.ESRCH},
		{Part: "fflags", Words: meaningless, Change: fflags(event.NoteExit | 0x100), Errno: syscall.EINVAL},
		{Part: "fflags", Words: "NOTE_CHILD, which is only told", Change: fflags(event.NoteChild), Errno: syscall.EINVAL},
		{Part: "fflags", Words: "NOTE_TRACKERR, which is only told", Change: fflags(event.NoteTrackErr), Errno: syscall.EINVAL},
		{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	},
	event.Signal: {
		{Part: "ident", Words: "no signal", On: Given, Change: ident(0), Errno: syscall.EINVAL},
		{Part: "ident", Words: "a number above all signals", On: Given, Change: ident(beyond), Errno: syscall.EINVAL},
		{Part: "fflags", Words: "any", Change: fflags(1), Errno: syscall.EINVAL},
		{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	},
	event.Timer: {
		{Part: "ident", Words: "any is a name", On: Given, Change: timer(1, 0)},
		{Part: "fflags", Words: "two units", Change: timer(1, event.NoteSeconds|event.NoteNSeconds), Errno: syscall.EINVAL},
		{Part: "fflags", Words: meaningless, Change: timer(1, 0x20), Errno: syscall.EINVAL},
		{Part: "data", Words: "a negative period", Change: timer(-1, 0), Errno: syscall.EINVAL},
		{Part: "data", Words: "a negative instant", Change: timer(-1, event.NoteAbsTime), Errno: syscall.EINVAL},
		{Part: "data", Words: "more than 292 years", Change: timer(math.MaxInt64/1_000_000_000+1, event.NoteSeconds), Errno: syscall.EINVAL},
	},
	event.User: {
		{Part: "ident", Words: "any is a name", On: Given, Change: ident(beyond)},
		{Part: "fflags", Words: meaningless, Change: fflags(0x02000000), Errno: syscall.EINVAL},
		{Part: "data", Words: "any is handed back", Change: event.Kevent{Flags: event.Add, Data: -1}},
	},
	event.FS: {
		{Part: "ident", Words: "any is a name", On: Given, Change: ident(beyond)},
		{Part: "fflags", Words: taken, Change: fflags(0x100)},
		{Part: "data", Words: taken, Change: event.Kevent{Flags: event.Add, Data: -1}},
	},
}

// RefusalsTable returns the table as one of Markdown.
func RefusalsTable() string {
	var b strings.Builder
	b.WriteString("| filter | what is wrong | | errno |\n|---|---|---|---|\n")
	for _, r := range Refusals() {
		answer := "–"
		if r.Errno != 0 {
			answer = event.Result{Errno: r.Errno}.String()
		}
		fmt.Fprintf(&b, "| %v | %s | %s | %s |\n", r.Filter, r.Part, r.Words, answer)
	}
	return b.String()
}
