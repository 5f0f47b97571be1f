package bench

import "testing"

// Pipes that select is to watch have descriptors that it knows, though pipes of one
// descriptor were opened first.
func TestSelectAfterAlone(t *testing.T) {
	var p pipePool
	defer p.close()
	const alone, pairs = 1100, 100
	if err := roomForFiles(alone+2*pairs+2, "the pipes"); err != nil {
		t.Skip("the process may not have as many descriptors as the test opens: ", err)
	}
	if _, err := p.alone(alone); err != nil {
		t.Fatal(err)
	}
	rs, _, err := p.first(pairs)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := bySelect(rs); err != nil {
		t.Error(err)
	}
}
