package device

// An intake is what has come in and was not read. (A clist, a ring of packets, an
// ifqueue.)
type intake struct {
	keys ring // a byte for each unit, and each byte of that is it
	part int  // so many bytes of the first have been read
	last byte // the key of the unit that came last

	came, gave, lost int64 // units, markers among them
}

// marker is the key of an event that says that others are lost. (SYN_DROPPED)
const marker = 0

// again returns an empty intake with the memory of s, which nobody uses any more.
func (s *intake) again() intake { return intake{keys: s.keys.again()} }

// bytes returns how many can be read.
func (s *intake) bytes(of *direction) int { return s.keys.n*of.unit - s.part }

// skip counts n units that come and are not put anywhere.
func (s *intake) skip(n int) {
	if n > 0 {
		s.last = byte((int(s.last)+254+n%255)%255 + 1)
	}
}

// add puts a unit.
func (s *intake) add() {
	s.skip(1)
	s.keys.add(s.last)
	s.came++
}

// lose counts n units that come and are lost.
func (s *intake) lose(n int) {
	s.skip(n)
	s.came += int64(n)
	s.lost += int64(n)
}

// clear throws away what is there.
func (s *intake) clear() {
	s.lost += int64(s.keys.n)
	s.keys.cut(s.keys.n)
	s.part = 0
}

// bring has n units come in, and returns how many were taken in.
func (s *intake) bring(of *direction, n int) int {
	switch of.full {
	case losesOldest:
		return s.overwrite(of, n)
	case losesAll:
		return s.mark(of, n)
	}
	took := min(n, of.most-s.keys.n)
	for range took {
		s.add()
	}
	if of.full == losesNewest {
		s.lose(n - took)
	}
	return took
}

// overwrite puts n units, each in place of the oldest if there is no room.
func (s *intake) overwrite(of *direction, n int) int {
	most := min(n, of.most)
	s.lose(n - most)
	for range most {
		if s.keys.n == of.most {
			s.keys.drop(1)
			s.part = 0
			s.lost++
		}
		s.add()
	}
	return n
}

// mark puts n units, and a marker in place of all that is there if there is no room.
// After that most-1 find room, so of many only the last few make a difference.
func (s *intake) mark(of *direction, n int) int {
	for left := n; left > 0; left-- {
		if s.keys.n == of.most {
			rounds := (left - 1) / (of.most - 1)
			left -= rounds * (of.most - 1)
			s.skip(rounds * (of.most - 1))
			s.came += int64(rounds * of.most)
			s.lost += int64(rounds * of.most)
			s.clear()
			s.keys.add(marker)
			s.came++
		}
		s.add()
	}
	return n
}

// read moves what there is to b, of which there is some, and returns how many bytes.
func (s *intake) read(of *direction, b []byte) (n int) {
	switch {
	case of.unit == 1:
		n = s.keys.take(b)
		s.gave += int64(n)
		return n
	case of.takes == wholeEvents:
		b = b[:len(b)-len(b)%of.unit]
	case of.takes == onePacket:
		b = b[:min(len(b), of.unit-s.part)]
	case of.takes == oneMessage:
		n = s.fill(b[:min(len(b), of.unit)], of.unit)
		if s.part > 0 {
			s.next()
		}
		return n
	}
	return s.fill(b, of.unit)
}

// fill moves bytes, as many as there are and b has room for.
func (s *intake) fill(b []byte, unit int) (n int) {
	for n < len(b) && s.keys.n > 0 {
		key := s.keys.at(0)
		end := min(len(b), n+unit-s.part)
		s.part += end - n
		for ; n < end; n++ {
			b[n] = key
		}
		if s.part == unit {
			s.next()
		}
	}
	return n
}

// next goes on to the next unit.
func (s *intake) next() {
	s.keys.drop(1)
	s.part = 0
	s.gave++
}

// An outgo is how many units were written that the hardware has not taken.
type outgo struct {
	n int

	came, gave, lost int64 // units
}

// clear throws away what is there.
func (o *outgo) clear() {
	o.lost += int64(o.n)
	o.n = 0
}
