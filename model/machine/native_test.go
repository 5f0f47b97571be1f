package machine

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// finish runs fs at once and fails, with all stacks, if they hang.
func finish(t *testing.T, fs ...func()) {
	t.Helper()
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		stacks := make([]byte, 1<<16)
		t.Fatalf("hangs; all goroutines:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// until spins until cond holds; finish says when it never does.
func until(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}

// attached runs f on an attached thread.
func attached(m *Machine, name string, cpu int, f func(td *Thread)) func() {
	return func() {
		td := m.Attach(name, cpu)
		defer td.Detach()
		f(td)
	}
}

func free(t *Token) bool {
	if !t.mu.TryLock() {
		return false
	}
	t.mu.Unlock()
	return true
}

func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}
