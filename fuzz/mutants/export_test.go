package mutants

// Files returns how many times m patches a file.
func (m *Mutant) Files() int { return len(m.files) }

// Patched applies to text what m does to file i, and says how many lines more
// it should have then.
func (m *Mutant) Patched(i int, text string) (out string, grows int, err error) {
	for _, h := range m.files[i].hunks {
		grows += len(h.new) - len(h.old)
	}
	out, err = m.files[i].apply(m.patch(), text)
	return out, grows, err
}
