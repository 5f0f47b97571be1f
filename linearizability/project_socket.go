package linearizability

import "github.com/kqlab/kqlab/model/event"

// A meeting is a group of descriptors of sockets that find each other by a port, or may.
type meeting struct {
	connects  int  // calls of connect(2)
	datagrams bool // some are datagram sockets
}

// meet joins the descriptors of sockets that bind to the same port, or connect to it, and
// notes what they do.
func (p *plan) meet() {
	ports := map[int64]int{}
	datagrams := map[int]bool{}
	for _, r := range p.h {
		switch r.Op.Call {
		case event.CallSocket:
			datagrams[int(r.Result.N)] = r.Op.Sock == event.Datagram && !r.Result.Pending
		case event.CallListen, event.CallConnect:
			if fd, ok := ports[r.Op.N]; ok {
				p.groups.join(fd, r.Op.FD)
			}
			ports[r.Op.N] = r.Op.FD
		}
	}
	for _, r := range p.h {
		if r.Op.Call != event.CallListen && r.Op.Call != event.CallConnect {
			continue
		}
		g := p.groups.of(r.Op.FD)
		if p.meetings[g] == nil {
			p.meetings[g] = &meeting{}
		}
		if r.Op.Call == event.CallConnect {
			p.meetings[g].connects++
		}
	}
	for fd, is := range datagrams {
		if m := p.meetings[p.groups.of(fd)]; m != nil && is {
			m.datagrams = true
		}
	}
}

// acts returns how many steps there may be in what an operation does to what it has
// found. Those that it does not take do nothing.
func (p *plan) acts(r *Record) int {
	if byName(r.Op.Call) {
		return tellings(r.Op.Call)
	}
	m := p.meetings[p.groups.of(r.Op.FD)]
	if m == nil {
		return 1
	}
	switch c := r.Op.Call; {
	case c == event.CallConnect:
		return 3
	case c == event.CallListen || c == event.CallAccept:
		return 1 + m.connects
	case m.datagrams && (c == event.CallSend || c == event.CallWrite):
		return 4
	}
	return 1
}

// turnedAway returns how many connections may have waited at what a close ends.
func (p *plan) turnedAway(r *Record) int {
	fd := r.Op.FD
	if r.Op.Call == event.CallDup2 {
		fd = r.Op.To
	}
	if m := p.meetings[p.groups.of(fd)]; m != nil {
		return m.connects
	}
	return 0
}
