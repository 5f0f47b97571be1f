package bench

// A Goal is a bound on a ratio, and what was reached.
type Goal struct {
	Number   int     `json:"goal"`     // as in the list of goals
	Text     string  `json:"text"`     // what is compared with what
	Strategy string  `json:"strategy"` // empty if it is about all
	Ratio    float64 `json:"ratio"`
	Bound    float64 `json:"bound"`
	AtLeast  bool    `json:"at_least"` // the ratio should be at least the bound, else at most
	Reached  bool    `json:"reached"`
}

// Goals returns the goals that the records have figures for.
func Goals(recs []Record) []Goal { return nil }
