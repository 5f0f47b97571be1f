package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

var english = message.NewPrinter(language.English)

// commas writes a number in groups of three digits.
func commas[T uint64 | int](n T) string { return english.Sprintf("%d", n) }

// A verdict is what a test says about one strategy. Each strategy is tried in a
// process of its own: a wrong one may hang, crash or corrupt it.
type verdict struct {
	Strategy   string `json:"strategy"`
	Control    bool   `json:"control,omitempty"` // was to be caught
	Correct    bool   `json:"correct"`           // no finding, and nothing else went wrong
	Unfinished bool   `json:"unfinished,omitempty"`
	Caught     string `json:"caught,omitempty"`  // how: one of the words below
	Finding    string `json:"finding,omitempty"` // what the process said
	Again      string `json:"again,omitempty"`   // the command that shows it again
	tallies
	Files    []string  `json:"files,omitempty"`    // scripts and pictures of what was found
	Surveyed *surveyed `json:"explored,omitempty"` // what was explored beside; nil if nothing was

	Seed uint64        `json:"seed"` // of the first round or script; each later one adds 1
	Took time.Duration `json:"took"` // ns

	order    order
	execs    *explored // of an exploration
	compared *compared // of a comparison of outcomes
	Token    string    `json:"token,omitempty"` // of the kept scenario that it was found in: what replay takes instead of a file

	noToken string // why there is none
	shown   bool   // the finding, by the replay of the first file
	unsaved string // why something is not among the files
	smaller string // what the finding was before it was made smaller, and is now
	planted bool   // beside those that were asked for, to be caught
	output  []byte // the end of its standard error
}

// Tallies count what was done by then, rounds by both kinds of work: a script
// has several.
type tallies struct {
	Rounds     int    `json:"rounds"`
	Operations uint64 `json:"operations"`
	Events     uint64 `json:"events"`

	// Of a campaign: see fuzz.Tally.
	Scripts   int `json:"scripts,omitempty"`
	Checked   int `json:"checked,omitempty"`
	Searched  int `json:"searched,omitempty"`
	Undecided int `json:"undecided,omitempty"`
	Unchecked int `json:"unchecked,omitempty"`
}

// How a strategy was caught.
const (
	byFinding  = "finding"   // the test names the property that does not hold
	byRace     = "data race" // the race detector's
	byCrash    = "crash"
	byDeadline = "deadline" // it hung
)

// A wrongError says which strategies are wrong: exit status 1.
type wrongError struct{ verdicts []*verdict }

func (e *wrongError) Error() string {
	var names []string
	for _, v := range e.verdicts {
		names = append(names, v.Strategy)
	}
	return "wrong: " + strings.Join(names, ", ")
}

func (e *wrongError) print(w io.Writer, p paint) {
	for _, v := range e.verdicts {
		if v.Control && v.Correct {
			fmt.Fprintf(w, "%s: the control was not caught in %d rounds, so no verdict above can be believed\n", p.red(v.Strategy), v.Rounds)
			fmt.Fprintf(w, "  more rounds may: --budget, or --seed other than %d\n", v.Seed)
			continue
		}
		fmt.Fprintf(w, "%s is wrong, caught by a %s: %s\n", p.red(v.Strategy), v.Caught, indent(v.said()))
		if v.smaller != "" {
			fmt.Fprintf(w, "  made smaller: %s\n", v.smaller)
		}
		for _, name := range v.Files {
			fmt.Fprintf(w, "  see: %s\n", name)
		}
		if v.unsaved != "" {
			fmt.Fprintf(w, "  %s\n", v.unsaved)
		}
		switch {
		case v.Token != "":
			fmt.Fprintf(w, "  token: %s\n", v.Token)
		case v.noToken != "":
			fmt.Fprintf(w, "  %s\n", v.noToken)
		}
		fmt.Fprintf(w, "  again: %s\n", v.Again)
	}
}

// said is the finding as people read it: of a campaign's the first line. The rest
// is in a script that was saved, or among the verdicts of a report.
func (v *verdict) said() string {
	if v.order.Work != workCampaign {
		return v.Finding
	}
	first, _, _ := strings.Cut(v.Finding, "\n")
	return first
}

// indent sets the lines after the first off from it.
func indent(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }

// judge returns what the verdicts mean for the exit status: a *wrongError,
// errInterrupted or nil. A control that was planted is to be caught; one that the
// user has named counts as any strategy when it is. When none is not caught the
// test has failed, whoever named it; when another planted fault is not, natively
// that may be luck, and is said but no error.
func judge(verdicts []*verdict) error {
	var wrong []*verdict
	interrupted := false
	for _, v := range verdicts {
		switch {
		case v.Unfinished:
			interrupted = true
		case v.Strategy == control.Name && v.Correct:
			wrong = append(wrong, v)
		case !v.planted && !v.Correct:
			wrong = append(wrong, v)
		}
	}
	switch {
	case wrong != nil:
		return &wrongError{wrong}
	case interrupted:
		return errInterrupted
	}
	return nil
}

// word is the verdict in one word, for a reader who knows which one is the
// control.
func (v *verdict) word() string {
	switch {
	case v.Unfinished:
		return "unfinished"
	case v.Correct && v.Control:
		return "not caught"
	case v.Correct:
		return "correct"
	case v.Control:
		return "caught"
	}
	return "wrong"
}

// why says what there is to believe the verdict by.
func (v *verdict) why(all []*verdict) string {
	switch {
	case v.Unfinished:
		return "interrupted"
	case v.Caught != "":
		return "caught by a " + v.Caught
	case v.Control:
		return "the test is too weak or too short"
	}
	caught, planted := controls(all)
	if planted == 0 {
		return "no control was run beside it"
	}
	if v.order.Work == workCampaign {
		return fmt.Sprintf("caught %d of %d faults", caught, planted)
	}
	return fmt.Sprintf("same test caught %d of %d controls", caught, planted)
}

// controls counts the controls among the verdicts, and those caught.
func controls(verdicts []*verdict) (caught, planted int) {
	for _, v := range verdicts {
		if v.Control && !v.Unfinished {
			planted++
			if !v.Correct {
				caught++
			}
		}
	}
	return caught, planted
}

// cell is the word in a table.
func (v *verdict) cell(p paint) cell {
	c := left(v.word())
	switch {
	case v.Control == v.Correct && !v.Unfinished:
		c.paint = p.red
	case !v.Unfinished:
		c.paint = p.green
	}
	return c
}

// printVerdicts prints the verdicts of whatever work they are of.
func printVerdicts(w io.Writer, verdicts []*verdict, p paint) {
	if len(verdicts) > 0 && verdicts[0].order.Work == workCampaign {
		printCampaigns(w, verdicts, verdicts, p)
		printSurvey(w, verdicts, p)
		return
	}
	g := grid{{
		left("strategy"), left("verdict"), right("rounds"), right("operations"), right("events"), right("seconds"), left("why to believe it"),
	}}
	for _, v := range verdicts {
		g = append(g, []cell{
			left(v.Strategy), v.cell(p), right(commas(v.Rounds)), right(commas(v.Operations)), right(commas(v.Events)),
			right(seconds(v.Took)), left(v.why(verdicts)),
		})
	}
	fmt.Fprintln(w, p.bold("Correctness")+"  under stress: "+properties)
	g.print(w, p)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
