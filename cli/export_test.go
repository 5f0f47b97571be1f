package cli

// Names that the tests, which stand outside, need.
var (
	RunContext = run
	ShellLine  = shellLine
	Nearest    = nearest
	Wrap       = wrap
	RaceLine   = raceLine
	RaceBuild  = raceBuild
)

// A Figure is one plot of the page.
type Figure = figure

// Figures are the plots that records have data for.
var Figures = figures

const (
	ChildVerb   = childVerb
	ExitOK      = exitOK
	ExitWrong   = exitWrong
	ExitUsage   = exitUsage
	Interrupted = exitInterrupted
)

// ExplorePatience is how long an exploration may go without a word.
var ExplorePatience = &explorePatience

// OutcomeOfNone is what a verdict on the control means for the exit status.
func OutcomeOfNone(caught, planted bool) error {
	return judge([]*verdict{{Strategy: control.Name, Control: true, Correct: !caught, planted: planted}})
}
