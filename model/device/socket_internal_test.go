package device

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// Each invariant that an audit looks at is found when it is broken.
func TestNetworkAuditFinds(t *testing.T) {
	for _, test := range []struct {
		what, want string
		do         func(n *Network, l, a, b, c, u *Socket)
	}{
		{"nothing", "", func(n *Network, l, a, b, c, u *Socket) {}},
		{"a port leads to what is gone", "N1: port 80", func(n *Network, l, a, b, c, u *Socket) { l.gone = true }},
		{"a port leads to another", "N1: port 81", func(n *Network, l, a, b, c, u *Socket) { n.bound[l.address(81)] = l }},
		{"of two the lower", "N1: port 80", func(n *Network, l, a, b, c, u *Socket) { l.gone, a.peer = true, nil }},
		{"a connection without a peer", "N3: the socket of port 49152 is at 2", func(n *Network, l, a, b, c, u *Socket) { a.peer = nil }},
		{"a peer of another", "N3: the peer", func(n *Network, l, a, b, c, u *Socket) { a.peer.peer = b }},
		{"a client that waits nowhere", "N2: the socket of port 49154 connects", func(n *Network, l, a, b, c, u *Socket) {
			l.wait.rest = line{}
		}},
		{"room that is not given", "N2: 1 wait for room at port 80, where 1 of 2", func(n *Network, l, a, b, c, u *Socket) { l.wait.room = 2 }},
		{"a count", "N2: 1 wait at port 80, which counts 2", func(n *Network, l, a, b, c, u *Socket) { l.wait.full.n = 2 }},
		{"the last", "N2: 1 wait at port 80", func(n *Network, l, a, b, c, u *Socket) { l.wait.full.last = nil }},
		{"one in line who does not know it", "N2: who waits for port 80", func(n *Network, l, a, b, c, u *Socket) { l.wait.full.first.listener = nil }},
		{"one who is connected already", "N2: the client of number 0 at port 80 is at 2", func(n *Network, l, a, b, c, u *Socket) { c.phase = connected }},
		{"one who is gone", "N2: the client of number 0", func(n *Network, l, a, b, c, u *Socket) {
			c.gone = true
			delete(n.bound, c.address(c.port))
		}},
		{"datagrams and bytes", "N4: the socket of port 53 has datagrams of 3 bytes", func(n *Network, l, a, b, c, u *Socket) { u.in.drop(1) }},
		{"a mark", "N4: the socket of port 49152 has a mark", func(n *Network, l, a, b, c, u *Socket) { a.urgent.ahead = 1 }},
	} {
		t.Run(test.what, func(t *testing.T) {
			m := machine.Native(1)
			k := kqueue.New(m, strategies.All[0].New(m))
			td := m.Attach("test", 0)
			defer td.Detach()
			n := NewNetwork(k)
			socket := func(t event.SockType) *Socket {
				s, _ := n.NewSocket(td, Inet, t)
				return s
			}
			l, a, b, c, u := socket(event.Stream), socket(event.Stream), socket(event.Stream), socket(event.Stream), socket(event.Datagram)
			l.Listen(td, 80, 1)
			a.Connect(td, 80)
			l.Accept(td)
			b.Connect(td, 80)
			c.Connect(td, 80)
			u.Bind(td, 53)
			u.WriteTo(td, []byte("abc"), 53)
			test.do(n, l, a, b, c, u)
			err := n.Audit(td)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
				t.Errorf("audit: %v, want %q", err, test.want)
			}
		})
	}
}
