package event

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// String returns the result as one line that [ParseResult] reads back, one of
//
//	pending
//	ok
//	EBADF
//	3
//	3 4
//	events READ 1 data=5; USER 2 CLEAR
//	polled 3 IN|HUP; 4 OUT
//
// Ok is a result of zeros, such as that of a close that went well or of a
// kevent(2) that returned nothing; an errno without a name is errno and its
// number.
func (r Result) String() string {
	switch {
	case r.Pending:
		return "pending"
	case r.Errno != 0:
		for name, errno := range errnos {
			if r.Errno == errno {
				return name
			}
		}
		return "errno " + strconv.Itoa(int(r.Errno))
	case len(r.Events) > 0:
		return "events " + strings.Join(texts(r.Events), "; ")
	case len(r.Polled) > 0:
		return "polled " + strings.Join(texts(r.Polled), "; ")
	case r.N2 != 0:
		return fmt.Sprintf("%d %d", r.N, r.N2)
	case r.N != 0:
		return strconv.FormatInt(r.N, 10)
	}
	return "ok"
}

// String returns the descriptor, or udata, and what holds of it.
func (p Polled) String() string { return fmt.Sprintf("%d %v", p.ID, p.Events) }

const results = "ok, pending, one or two numbers, the name of an errno, errno and a number, events and a list of them, or polled and a list of what is ready"

// ParseResult reads the text form of a result, see [Result.String]; 0 may be
// written for ok. The error names the word at fault and what was expected in
// its place.
func ParseResult(s string) (r Result, err error) {
	s = strings.TrimSpace(s)
	first, rest, _ := strings.Cut(s, " ")
	errno, named := errnos[s]
	switch {
	case s == "pending":
		r.Pending = true
	case s == "ok":
	case named:
		r.Errno = errno
	case first == "errno":
		n, err := strconv.ParseUint(strings.TrimSpace(rest), 0, 31)
		if err != nil || n == 0 {
			return Result{}, wrong("errno", rest, "a number from 1 to 2^31-1")
		}
		r.Errno = syscall.Errno(n)
	case first == "events":
		r.Events, err = parseList(rest, ParseKevent)
	case first == "polled":
		r.Polled, err = parseList(rest, parsePolled)
	default:
		return parseNumbers(s)
	}
	return r, err
}

func parseNumbers(s string) (r Result, err error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > 2 {
		return Result{}, wrong("result", s, results)
	}
	for i, w := range words {
		n, err := strconv.ParseInt(w, 0, 64)
		if err != nil {
			return Result{}, wrong("result", w, results)
		}
		if i == 0 {
			r.N = n
		} else {
			r.N2 = n
		}
	}
	return r, nil
}

func parseList[T any](s string, parse func(string) (T, error)) (all []T, err error) {
	for part := range strings.SplitSeq(s, ";") {
		x, err := parse(part)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func parsePolled(s string) (p Polled, err error) {
	words := strings.Fields(s)
	if len(words) != 2 {
		return p, wrong("entry", strings.TrimSpace(s), `a number and conditions, as in "3 IN|OUT"`)
	}
	if p.ID, err = strconv.ParseUint(words[0], 0, 64); err != nil {
		return p, wrong("number", words[0], "a number from 0 to 2^64-1")
	}
	p.Events, err = ParsePollEvents(words[1])
	return p, err
}
