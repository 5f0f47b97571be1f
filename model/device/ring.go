package device

// A ring is a queue of bytes that grows as it must, from small, and keeps what it
// has grown to. Its owner guards it, and says how many it may hold. It is what a
// pipe has written out.
type ring struct {
	n     int    // bytes in buf
	head  int    // where they begin; they wrap round
	buf   []byte // a power of two long, or nil: small is not used yet
	small [64]byte
}

// again returns an empty ring with the memory of r, which nobody uses any more.
func (r *ring) again() ring {
	if len(r.buf) > len(r.small) {
		return ring{buf: r.buf}
	}
	return ring{}
}

// at returns the byte that i others precede.
func (r *ring) at(i int) byte { return r.buf[(r.head+i)&(len(r.buf)-1)] }

// add appends one byte.
func (r *ring) add(c byte) {
	r.room(r.n + 1)
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = c
	r.n++
}

// put appends bytes.
func (r *ring) put(b []byte) {
	if len(b) == 0 {
		return
	}
	r.room(r.n + len(b))
	tail := (r.head + r.n) & (len(r.buf) - 1)
	if k := copy(r.buf[tail:], b); k < len(b) {
		copy(r.buf, b[k:])
	}
	r.n += len(b)
}

// take moves as many bytes as there are, and b has room for, to b.
func (r *ring) take(b []byte) int {
	n := min(len(b), r.n)
	if n == 0 {
		return 0
	}
	k := copy(b[:n], r.buf[r.head:])
	copy(b[k:n], r.buf)
	r.drop(n)
	return n
}

// drop removes the first n bytes. One that is empty starts over at its front, so
// that a byte to and fro stays on one line of the cache.
func (r *ring) drop(n int) {
	r.n -= n
	r.head = (r.head + n) & max(len(r.buf)-1, 0)
	if r.n == 0 {
		r.head = 0
	}
}

// cut removes the last n bytes.
func (r *ring) cut(n int) {
	if r.n -= n; r.n == 0 {
		r.head = 0
	}
}

// room makes the buffer large enough for n bytes.
func (r *ring) room(n int) {
	if n <= len(r.buf) {
		return
	}
	size := len(r.small)
	for size < n {
		size *= 2
	}
	buf := r.small[:]
	if size > len(buf) {
		buf = make([]byte, size)
	}
	k := copy(buf, r.buf[r.head:])
	copy(buf[k:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}
