package machine

// Sometimes names a place to which executions should come sometimes: the rare way
// through a piece of the kernel, for which a scenario has been made. Who explores the
// scenario on a virtual machine can then be sure that it is still explored, see
// [Machine.Reached]. It is no point, and nothing depends on it. On a native machine it
// costs a comparison. What is a constant; the idea is that of the "sometimes
// assertions" of Antithesis, and of coverage marks in rust-analyzer.
func (td *Thread) Sometimes(what string) {
	if td.vm != nil {
		td.vm.reached(what)
	}
}

// Reached returns the names of the places to which this execution of a virtual machine
// has come, each once, in the order in which it came to them. They are good until the
// next execution.
func (m *Machine) Reached() []string {
	if m.vm == nil {
		return nil
	}
	return m.vm.places
}

// reached is Thread.Sometimes. There are few places.
//
//go:norace
func (v *virtual) reached(what string) {
	for _, known := range v.places {
		if known == what {
			return
		}
	}
	v.places = append(v.places, what)
}
