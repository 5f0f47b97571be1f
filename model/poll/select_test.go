package poll_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/poll"
)

// A triple is three sets, each as a list of numbers.
type triple struct{ r, w, e []int }

func (l *lab) selects(nfds int, ask, want triple) {
	l.Helper()
	r, w, e := poll.NewFDSet(ask.r...), poll.NewFDSet(ask.w...), poll.NewFDSet(ask.e...)
	n, err := l.Select(l.td, nfds, r, w, e, &zero)
	if err != nil {
		l.Fatalf("Select(%d, %v): %v", nfds, ask, err)
	}
	for i, s := range []*poll.FDSet{r, w, e} {
		numbers := [][]int{want.r, want.w, want.e}[i]
		if s.Len() != len(numbers) {
			l.Fatalf("Select(%d, %v): set %d is %v, want %v", nfds, ask, i, s, numbers)
		}
		for _, fd := range numbers {
			if !s.IsSet(fd) {
				l.Fatalf("Select(%d, %v): set %d is %v, want %v", nfds, ask, i, s, numbers)
			}
		}
	}
	if want := len(want.r) + len(want.w) + len(want.e); n != want {
		l.Fatalf("Select(%d, %v): %d, want %d", nfds, ask, n, want)
	}
}

func TestSelectPipe(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		r, w := []int{p.rd}, []int{p.wr}
		both := triple{r: r, w: w}
		l.selects(64, both, triple{w: w})
		l.write(p, 1)
		l.selects(64, both, both)
		l.selects(p.wr, both, triple{r: r}) // the write end is not below nfds
		l.selects(1000, triple{r: []int{p.rd, p.wr}, w: []int{p.rd}, e: []int{p.rd, p.wr}}, triple{r: r})
		l.must(l.p.Close(l.td, p.rd))
		if n, err := l.Select(l.td, 64, poll.NewFDSet(p.rd), nil, nil, nil); n != 0 || err != syscall.EBADF {
			t.Errorf("Select of a closed descriptor: %d, %v, want EBADF", n, err)
		}
		l.selects(64, triple{r: w, w: w}, triple{r: w, w: w})
	})
}

// A call does not look at numbers that an earlier one has looked at and that are at or
// above its own nfds.
func TestSelectFewer(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		l.write(p, 1)
		for _, nfds := range []int{1001, p.rd + 1} {
			set := poll.NewFDSet(p.rd, 995)
			n, err := l.Select(l.td, nfds, set, nil, nil, &zero)
			if nfds > 995 && err != syscall.EBADF || nfds <= 995 && (n != 1 || err != nil) {
				t.Errorf("select %d of %v: %d, %v", nfds, set, n, err)
			}
		}
	})
}
