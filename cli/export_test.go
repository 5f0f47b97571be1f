package cli

// Names that the tests, which stand outside, need.
var (
	RunContext = run
	ShellLine  = shellLine
	Nearest    = nearest
	Wrap       = wrap
	RaceLine   = raceLine
)

const (
	ChildVerb   = childVerb
	ExitOK      = exitOK
	ExitWrong   = exitWrong
	ExitUsage   = exitUsage
	Interrupted = exitInterrupted
)
