package mutants

// Files returns the names of the files that m patches.
func (m *Mutant) Files() (names []string) {
	for _, f := range m.files {
		names = append(names, f.name)
	}
	return names
}

// Patched applies to text what m does to the named file.
func (m *Mutant) Patched(name, text string) (string, error) {
	for _, f := range m.files {
		if f.name == name {
			return f.apply(m.patch(), text)
		}
	}
	return text, nil
}
