package fuzz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// MaxToken is how many characters a token may have: one line of a message, that is
// copied whole.
const MaxToken = 200

// A Token is one execution of a kept scenario under a strategy, in a line that one can
// pass on: strategy:scenario:schedule. The schedule is the turns that the execution takes,
// each at a place named after what is done there, and no step has a number: so a token
// goes on to mean the same interleaving when the code around it is changed.
//
// What is left to a scheduler besides who goes on stands behind the scenario, as in
// standard+drawn+spurious2: see [script.Choices].
type Token struct {
	Strategy, Scenario string
	script.Choices
	route route
}

// String returns the token as text.
func (t Token) String() string {
	scenario := t.Scenario
	if t.Placement {
		scenario += "+" + tokenDrawn
	}
	if t.Spurious > 0 {
		scenario += fmt.Sprint("+", tokenSpurious, t.Spurious)
	}
	return t.Strategy + ":" + scenario + ":" + t.route.String()
}

// The words of choices in a token.
const tokenDrawn, tokenSpurious = "drawn", "spurious"

// readChoices reads what stands behind a scenario.
func readChoices(words []string) (c script.Choices, err error) {
	for _, w := range words {
		n, e := strconv.ParseUint(strings.TrimPrefix(w, tokenSpurious), 10, 31)
		switch {
		case w == tokenDrawn && c == script.Choices{}:
			c.Placement = true
		case strings.HasPrefix(w, tokenSpurious) && e == nil && n >= 1 && n <= script.MaxSpurious && c.Spurious == 0 && w == fmt.Sprint(tokenSpurious, n):
			c.Spurious = int(n)
		default:
			return c, fmt.Errorf("%q behind a scenario: want %s, and %s with a number from 1 to %d, in this order", w, tokenDrawn, tokenSpurious, script.MaxSpurious)
		}
	}
	return c, nil
}

// LooksLikeToken reports whether text is meant to be a token, and not a file.
func LooksLikeToken(text string) bool { return strings.Count(text, ":") == 2 }

// ParseToken reads a token. The error names the word at fault, and what was expected; of
// strategies it knows no names.
func ParseToken(text string) (Token, error) {
	if len(text) > MaxToken {
		return Token{}, fmt.Errorf("a token of %d characters: want at most %d", len(text), MaxToken)
	}
	if at := strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }); at >= 0 {
		_, n := utf8.DecodeRuneInString(text[at:])
		return Token{}, fmt.Errorf("character %q in a token: want letters, digits and .,:@=+-", text[at:at+n])
	}
	words := strings.Split(text, ":")
	if len(words) != 3 {
		return Token{}, fmt.Errorf("%q: want strategy:scenario:schedule", text)
	}
	scenario := strings.Split(words[1], "+")
	t := Token{Strategy: words[0], Scenario: scenario[0]}
	if t.Strategy == "" {
		return t, fmt.Errorf("%q: want the name of a strategy before the first colon", text)
	}
	if !slices.Contains(Scenarios(), t.Scenario) {
		return t, fmt.Errorf("scenario %q: want one of %s", t.Scenario, strings.Join(Scenarios(), ", "))
	}
	var err error
	if t.Choices, err = readChoices(scenario[1:]); err != nil {
		return t, err
	}
	t.route, err = parseRoute(words[2])
	return t, err
}

// Replay makes the token's execution, under the strategy of the options. The error is
// [ErrMisfit], and says which turn could not be taken and what was there in its place;
// what was carried out all the same is in the report.
func (t Token) Replay(o Options) (*Report, error) {
	s, err := Scenario(t.Scenario)
	if err != nil {
		return nil, err
	}
	o.Choices = t.Choices
	return take(s, t.route, o)
}

// take carries a script out on a route.
func take(s *script.Script, r route, o Options) (*Report, error) {
	traveller := travel(r)
	o.onlookers = append(slices.Clone(o.onlookers), traveller)
	recorded := &sched.Recorded{Scheduler: traveller}
	recorded.Begin()
	o.Scheduler = recorded
	report := Run(s, o)
	if err := traveller.fits(); err != nil {
		return report, fmt.Errorf("%w: %w", ErrMisfit, err)
	}
	return report, nil
}

// errNoSchedule is said of a failure that no one execution shows: see explorers.ordered.
var errNoSchedule = errors.New("no one execution shows it")

// routeOf returns the route of an execution that failed.
func routeOf(r *Report, o Options) (route, error) {
	s := *r.Script
	if s.Schedule == nil {
		return nil, errNoSchedule
	}
	s.Schedule = nil
	o.Choices = r.Script.Schedule.Choices
	replay := sched.NewReplay(r.Script.Schedule.Decisions)
	note := &traveller{Scheduler: replay}
	note.Begin()
	o.Scheduler, o.onlookers = note, append(slices.Clone(o.onlookers), note)
	Run(&s, o)
	if replay.Misfit() != 0 || replay.Left() != 0 {
		return nil, ErrMisfit
	}
	return note.noted, nil
}

// Turning returns the report of an execution that failed with the schedule of its script as
// turns beside decisions, so that what is saved of it outlives edits of the code around. If
// the execution cannot be made from its turns, which would be a mistake in how they are
// named, or no one execution shows the failure, the error says so.
func (r *Report) Turning(o Options) (*Report, error) {
	way, err := routeOf(r, o)
	if err != nil {
		return nil, err
	}
	o.Choices = r.Script.Schedule.Choices
	again, err := take(r.Script, way, o)
	if err == nil && (again.Finding == nil || !slices.Equal(again.Script.Schedule.Decisions, r.Script.Schedule.Decisions)) {
		err = fmt.Errorf("%w: as turns it is another execution: %v", ErrMisfit, way)
	}
	if err != nil {
		return nil, err
	}
	turning, s, schedule := *r, *r.Script, *r.Script.Schedule
	schedule.Turns = way.words()
	s.Schedule = &schedule
	turning.Script = &s
	if _, err := script.Parse("turns", s.String()); err != nil {
		return nil, err // it is too long
	}
	return &turning, nil
}

// TokenOf returns the token of an execution that failed, of a kept scenario. The error
// says why there is none: it would be too long, or it is no execution of the scenario.
func TokenOf(r *Report, scenario string, o Options) (Token, error) {
	none := func(format string, args ...any) (Token, error) {
		return Token{}, fmt.Errorf("no token: "+format, args...)
	}
	kept, err := Scenario(scenario)
	if err != nil {
		return none("%w", err)
	}
	s := *r.Script
	if s.Schedule = nil; r.Script.Schedule == nil || s.String() != kept.String() {
		return none("it is no execution of the scenario %s as that is kept", scenario)
	}
	way, err := routeOf(r, o)
	if err != nil {
		return none("%w", err)
	}
	t := Token{Strategy: r.Strategy, Scenario: scenario, Choices: r.Script.Schedule.Choices, route: way}
	if n := len(t.String()); n > MaxToken {
		return none("it would have %d characters, for %s, and may have %d", n, plural(len(t.route), "turn"), MaxToken)
	}
	back, err := ParseToken(t.String())
	if err != nil {
		return none("%w", err)
	}
	again, err := back.Replay(o)
	switch {
	case err != nil:
		return none("%w", err)
	case again.Finding == nil || again.Finding.Property != r.Finding.Property || !slices.Equal(again.Script.Schedule.Decisions, r.Script.Schedule.Decisions):
		return none("its turns, in words, are another execution: %v", t)
	}
	return t, nil
}

// ShortToken is [TokenOf] for a failure whose own may be too long: it looks for a plainer
// schedule of the same scenario that breaks the same property, in so many executions at
// most, as [Reduce] does, and returns the token of that.
func ShortToken(ctx context.Context, r *Report, scenario string, o Options, most int) (Token, error) {
	return TokenOf(reduceSchedule(ctx, r, o, most).Failure, scenario, o)
}

// reduceSchedule is [Reduce] with the script kept as it is.
func reduceSchedule(ctx context.Context, r *Report, o Options, most int) Reduced {
	x, found := newReduction(ctx, r, o, most, nil)
	for found && !x.over() && x.straighten() {
	}
	return x.out
}

// misfit says where a schedule of decisions has stopped fitting.
func misfit(replay *sched.Replay, s *script.Schedule, at place) error {
	n := replay.Misfit()
	switch {
	case n == 0 && replay.Left() == 0:
		return nil
	case n == 0:
		return fmt.Errorf("%w: the execution ended with %d of its %d decisions to be made", ErrMisfit, replay.Left(), len(s.Decisions))
	case n > len(s.Decisions):
		return fmt.Errorf("%w: it ends with decision %d, and the execution goes on: at %v another is to be made", ErrMisfit, len(s.Decisions), at.words())
	}
	return fmt.Errorf("%w: decision %d of %d is number %d, and at %v there are fewer possibilities", ErrMisfit, n, len(s.Decisions), s.Decisions[n-1], at.words())
}
