package netconn

import (
	"net"
	"testing"
)

// FuzzAddress: an address is a port from 1 to 65535 or an error, and what it is of
// an Addr is that.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"kqlab:80", ":1", "[::1]:65535", "kqlab:65536", "kqlab:0", "a:b:c", "80", "x:+7", "x:0x10", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		port, err := parse(s)
		if err != nil {
			if port != 0 || err.Error() == "" {
				t.Fatalf("%q: port %d, %v", s, port, err)
			}
			return
		}
		if port < 1 || port > 65535 {
			t.Fatalf("%q: port %d", s, port)
		}
		if _, _, err := net.SplitHostPort(s); err != nil {
			t.Fatalf("%q: port %d, though package net says %v", s, port, err)
		}
		if again, err := parse(Addr{port}.String()); again != port || err != nil {
			t.Fatalf("%v: port %d, %v", Addr{port}, again, err)
		}
	})
}
