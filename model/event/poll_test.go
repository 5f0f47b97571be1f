package event_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
)

func ExampleParsePollFD() {
	p, err := event.ParsePollFD("3 IN|OUT revents=OUT|RDHUP")
	fmt.Println(p.FD, p.Events&event.PollIn != 0, p.Revents&event.PollRdHup != 0, err)
	fmt.Println(p)
	// Output:
	// 3 true true <nil>
	// 3 IN|OUT revents=OUT|RDHUP
}

// The values are those of the system that the differential tests compare with.
func TestPollEventsAreLinux(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("the values are those of amd64 and arm64, this is %s", runtime.GOARCH)
	}
	for _, tt := range []struct {
		got        event.PollEvents
		poll, epol uint32
	}{
		{event.PollIn, unix.POLLIN, unix.EPOLLIN},
		{event.PollPri, unix.POLLPRI, unix.EPOLLPRI},
		{event.PollOut, unix.POLLOUT, unix.EPOLLOUT},
		{event.PollErr, unix.POLLERR, unix.EPOLLERR},
		{event.PollHup, unix.POLLHUP, unix.EPOLLHUP},
		{event.PollNval, unix.POLLNVAL, unix.POLLNVAL},
		{event.PollRdNorm, unix.EPOLLRDNORM, unix.EPOLLRDNORM},
		{event.PollRdBand, unix.EPOLLRDBAND, unix.EPOLLRDBAND},
		{event.PollWrNorm, unix.EPOLLWRNORM, unix.EPOLLWRNORM},
		{event.PollWrBand, unix.EPOLLWRBAND, unix.EPOLLWRBAND},
		{event.PollRdHup, unix.POLLRDHUP, unix.EPOLLRDHUP},
		{event.EpollExclusive, unix.EPOLLEXCLUSIVE, unix.EPOLLEXCLUSIVE},
		{event.EpollWakeup, unix.EPOLLWAKEUP, unix.EPOLLWAKEUP},
		{event.EpollOneShot, unix.EPOLLONESHOT, unix.EPOLLONESHOT},
		{event.EpollET, unix.EPOLLET, unix.EPOLLET},
	} {
		if uint32(tt.got) != tt.poll || uint32(tt.got) != tt.epol {
			t.Errorf("%v is %#x, want %#x of poll and %#x of epoll", tt.got, uint32(tt.got), tt.poll, tt.epol)
		}
	}
}

func TestPollEventsString(t *testing.T) {
	for _, tt := range []struct {
		e    event.PollEvents
		want string
	}{
		{0, "0"},
		{event.PollIn | event.PollOut | event.PollRdHup, "IN|OUT|RDHUP"},
		{event.PollIn | event.EpollET | event.EpollOneShot, "IN|ONESHOT|ET"},
		{event.PollPri | 0x400, "PRI|0x400"},
	} {
		if got := tt.e.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
		back, err := event.ParsePollEvents(tt.want)
		if err != nil || back != tt.e {
			t.Errorf("ParsePollEvents(%q) = %v, %v, want %v", tt.want, back, err, tt.e)
		}
	}
}

func TestParsePollFDErrors(t *testing.T) {
	for _, tt := range []struct{ text, word, want string }{
		{"", `""`, "a descriptor and conditions"},
		{"3", `"3"`, "a descriptor and conditions"},
		{"3 IN revents=IN 4", `"3 IN revents=IN 4"`, "a descriptor and conditions"},
		{"three IN", `"three"`, "32 bits"},
		{"2147483648 IN", `"2147483648"`, "32 bits"},
		{"3 IN|IM", `"IM"`, "PRI"},
		{"3 0x100000000", `"0x100000000"`, "32 bits"},
		{"3 IN events=IN", `"events=IN"`, "revents="},
		{"3 IN revents=UP", `"UP"`, "RDHUP"},
	} {
		p, err := event.ParsePollFD(tt.text)
		if err == nil {
			t.Errorf("ParsePollFD(%q) = %v, want an error", tt.text, p)
		} else if s := err.Error(); !strings.Contains(s, tt.word) || !strings.Contains(s, tt.want) {
			t.Errorf("ParsePollFD(%q): %q, want %s and %q in it", tt.text, s, tt.word, tt.want)
		}
	}
}

func FuzzParsePollFD(f *testing.F) {
	for _, s := range []string{"3 IN|OUT", "-1 0", "0x10 IN|0x400 revents=NVAL", "3 EXCLUSIVE|ET", "3 IN revents=", "X"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := event.ParsePollFD(s)
		if err != nil {
			return
		}
		back, err := event.ParsePollFD(p.String())
		if err != nil || back != p || strings.ContainsAny(p.String(), "\n\r") {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, p, p, back, err)
		}
	})
}
