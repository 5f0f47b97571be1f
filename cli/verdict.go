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
		fmt.Fprintf(w, "%s is wrong, caught by a %s: %s\n", p.red(v.Strategy), v.Caught, indent(v.Finding))
		fmt.Fprintf(w, "  again: %s\n", v.Again)
	}
}

// indent sets the lines after the first off from it.
func indent(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }

// judge returns what the verdicts mean for the exit status: a *wrongError,
// errInterrupted or nil. planted says that the control was added to be caught;
// otherwise the user has named it, and it counts as any strategy when it is
// caught. When it is not, the test has failed either way.
func judge(verdicts []*verdict, planted bool) error {
	var wrong []*verdict
	interrupted := false
	for _, v := range verdicts {
		switch {
		case v.Unfinished:
			interrupted = true
		case v.Control:
			if v.Correct || !planted {
				wrong = append(wrong, v)
			}
		case !v.Correct:
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

func printVerdicts(w io.Writer, verdicts []*verdict, p paint) {
	g := grid{{
		left("strategy"), left("verdict"), right("rounds"), right("operations"), right("events"), right("seconds"), left("why to believe it"),
	}}
	for _, v := range verdicts {
		word := left(v.word())
		switch {
		case v.Control == v.Correct && !v.Unfinished:
			word.paint = p.red
		case !v.Unfinished:
			word.paint = p.green
		}
		g = append(g, []cell{
			left(v.Strategy), word, right(commas(v.Rounds)), right(commas(v.Operations)), right(commas(v.Events)),
			right(seconds(v.Took)), left(v.why(verdicts)),
		})
	}
	fmt.Fprintln(w, p.bold("Correctness")+"  under stress: "+properties)
	g.print(w, p)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
