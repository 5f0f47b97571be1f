package machine

import "sync"

// A Token is an LWKT token: a lock that its holder loses whenever it blocks and
// has back when it runs on. It is recursive; any number may be held, up to
// eight at once, in any order, without deadlock. The zero value is free.
type Token struct {
	Name string
	mu   lock
}

// A lock is what a Token or a Mutex is made of.
type lock struct {
	sync.Mutex
	held bool // on a virtual machine: one thread runs there at a time, and nothing need be atomic; but see tryVirtually
}

// Get takes the token, waiting for it if another thread has it; that wait is a
// block, and lets go of all tokens held. (lwkt_gettoken)
func (td *Thread) Get(t *Token) {
	if td.nheld == 0 && td.stops == nil && t.mu.TryLock() {
		td.held[0] = t
		td.nheld = 1
		return
	}
	td.getSlow(t)
}

func (td *Thread) getSlow(t *Token) {
	if td.holdsBelow(t, td.nheld) || t.tryLock(td) {
		td.held[td.nheld] = t
		td.nheld++
		return
	}
	td.Stats.Contended++
	td.held[td.nheld] = t
	td.nheld++
	var l lost
	l.on, l.held, l.nheld = td.on, td.held, td.nheld
	td.nheld--
	var mine lost
	td.drop(&mine)
	td.retake(&l)
}

// Put gives the token back. It must be the one taken last; anything else is a
// mistake of the caller that would leave a token held for ever, and panics, as
// lwkt_reltoken does.
func (td *Thread) Put(t *Token) {
	td.nheld--
	if td.held[td.nheld] != t {
		panic("machine: " + td.Name + " puts token " + t.Name + ", which is not the one it took last")
	}
	if td.nheld == 0 && td.stops == nil {
		t.mu.Unlock()
		return
	}
	if !td.holdsBelow(t, td.nheld) {
		t.unlock(td)
	}
}

// Holds reports whether td holds t.
func (td *Thread) Holds(t *Token) bool { return td.holdsBelow(t, td.nheld) }

func (td *Thread) holdsBelow(t *Token, n int) bool {
	for i := range n {
		if td.held[i] == t {
			return true
		}
	}
	return false
}

//go:norace
func (t *Token) lock(td *Thread) {
	if td.stops != nil {
		td.stops.step(td, PointLock, t)
		if td.vm != nil {
			vmLock(td, &t.mu, t)
			return
		}
	}
	t.mu.Lock()
}

//go:norace
func (t *Token) tryLock(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointTryLock, t)
		return tryVirtually(td, &t.mu, t)
	}
	return t.mu.TryLock()
}

//go:norace
func (t *Token) unlock(td *Thread) {
	if td.stops != nil {
		stopAndUnlock(td, &t.mu, t)
		return
	}
	t.mu.Unlock()
}

// A Mutex is an ordinary lock: not recursive, and kept across a block. Waiting
// for it is a block, and lets go of tokens and CPU. The zero value is free.
type Mutex struct {
	Name  string
	mu    lock
	below *Mutex // guarded by mu: see Thread.kept
}

// Lock takes the mutex.
//
//go:norace
func (mu *Mutex) Lock(td *Thread) {
	if td.stops != nil {
		td.stops.step(td, PointLock, mu)
		if td.vm != nil {
			td.takes(mu)
			if vmLock(td, &mu.mu, mu) {
				td.Stats.Contended++
			}
			td.keeps(mu)
			return
		}
	}
	if !mu.mu.TryLock() {
		mu.lockSlow(td)
	}
}

//go:norace
func (mu *Mutex) lockSlow(td *Thread) {
	td.Stats.Contended++
	if td.on == nil && td.nheld == 0 {
		mu.mu.Lock()
		return
	}
	var l lost
	td.drop(&l)
	mu.mu.Lock()
	td.retake(&l)
}

// TryLock takes the mutex if it is free.
//
//go:norace
func (mu *Mutex) TryLock(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointTryLock, mu)
		if !tryVirtually(td, &mu.mu, mu) {
			return false
		}
		td.keeps(mu)
		return true
	}
	return mu.mu.TryLock()
}

// Unlock lets go of the mutex. There is a schedule point before it: a lock
// that nobody can ever be seen to hold hides what TryLock would have met.
//
//go:norace
func (mu *Mutex) Unlock(td *Thread) {
	if td.stops != nil {
		td.lets(mu)
		stopAndUnlock(td, &mu.mu, mu)
		return
	}
	mu.mu.Unlock()
}
