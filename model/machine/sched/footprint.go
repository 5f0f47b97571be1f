package sched

// A footprint is what a step has touched.
type footprint struct {
	touched []touch
	seen    uint64 // a bit for each object, several for one bit

	// met is the highest number of an object before the step. Those with higher
	// ones it was the first to touch, and in another execution they may have
	// other numbers: of two footprints that are not of the same execution it is
	// known only that both touched something new.
	met int
}

type touch struct {
	object int
	how    Access
}

func (f *footprint) clear(met int) {
	f.touched, f.seen, f.met = f.touched[:0], 0, met
}

func (f *footprint) add(object int, how Access) {
	for i, t := range f.touched {
		if t.object == object && (t.how == how || t.how == Write) {
			return
		}
		if t.object == object && how == Write {
			f.touched[i].how = Write
			return
		}
	}
	f.touched = append(f.touched, touch{object, how})
	f.seen |= 1 << (uint(object) % 64)
}

func (f *footprint) join(g *footprint) {
	for _, t := range g.touched {
		f.add(t.object, t.how)
	}
}

func (f *footprint) copy(g *footprint) {
	f.touched = append(f.touched[:0], g.touched...)
	f.seen, f.met = g.seen, g.met
}

// depends reports whether the order of two steps of one execution may matter.
func (f *footprint) depends(g *footprint) bool {
	if f.seen&g.seen == 0 {
		return false
	}
	for _, t := range f.touched {
		for _, u := range g.touched {
			if t.object == u.object && t.how.Conflicts(u.how) {
				return true
			}
		}
	}
	return false
}

// conflicts reports whether the order of a step and one that was made in its place,
// in another execution, may matter.
func (f *footprint) conflicts(instead *footprint) bool {
	fresh := false
	for _, t := range instead.touched {
		if t.object > instead.met {
			fresh = true
			continue
		}
		for _, u := range f.touched {
			if t.object == u.object && t.how.Conflicts(u.how) {
				return true
			}
		}
	}
	if fresh {
		for _, u := range f.touched {
			if u.object > instead.met {
				return true
			}
		}
	}
	return false
}
