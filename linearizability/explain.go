package linearizability

// An Explanation is why a history is not right, in words: what [Report.Draw] draws,
// without the picture. Texts have code between backticks.
type Explanation struct {
	Verdict  Verdict
	Rule     string // the name of the sentence that is broken
	Sentence string // the sentence, if its name does not say it
	Where    string // the knote, or the operation
	Calls    []Misfit
	Knows    [][]string // what the specification knows where the first one does not fit: one of these
}

// A Misfit is one call that does not fit.
type Misfit struct {
	Thread       int
	Call, Answer string
	Did          string // what of it does not fit; "" if it is the answer
	Allowed      string // what would have been allowed
	Turn         string // when it would have been right; "" if never
}

// Explain explains the finding that [Report.Draw] draws, and as that does searches for
// up to 10 seconds; nil if there is none.
func (r *Report) Explain() (*Explanation, error) {
	if len(r.Findings) == 0 {
		return nil, nil
	}
	p, err := r.picture()
	if err != nil {
		return nil, err
	}
	e := &Explanation{Verdict: r.Verdict, Rule: p.Rule, Sentence: p.Sentence, Where: p.Where, Knows: p.State}
	for _, w := range p.Whys {
		e.Calls = append(e.Calls, Misfit{w.Thread, w.Call, w.Answer, w.Did, w.Allowed, w.unnumbered})
	}
	return e, nil
}
