package fuzz_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/mutants"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// A keptToken is a line of testdata/tokens.txt.
type keptToken struct{ text, property string }

func keptTokens(t *testing.T) (all []keptToken) {
	t.Helper()
	text, err := os.ReadFile("testdata/tokens.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if token, property, ok := strings.Cut(strings.TrimSpace(line), " "); ok && token != "#" {
			all = append(all, keptToken{token, strings.TrimSpace(property)})
		}
	}
	return all
}

// optionsOf returns the options of the strategy, or planted fault, of that name.
func optionsOf(t *testing.T, name string) fuzz.Options {
	t.Helper()
	skipRacy(t, name)
	for _, e := range strategies.All {
		if e.Name == name {
			return fuzz.Options{New: e.New, Strategy: name}
		}
	}
	for _, f := range broken.All {
		if f.Name == name {
			return fuzz.Options{New: f.New, Strategy: name}
		}
	}
	t.Fatalf("no strategy %q", name)
	return fuzz.Options{}
}

// The failures that are kept as tokens are replayed: a thousand times the same history,
// schedule and finding, half of them from a file.
func TestTokensReplay(t *testing.T) {
	for _, k := range keptTokens(t) {
		t.Run(k.text, func(t *testing.T) {
			token, err := fuzz.ParseToken(k.text)
			if err != nil || token.String() != k.text {
				t.Fatalf("%v, %v", token, err)
			}
			o := optionsOf(t, token.Strategy)
			r, err := token.Replay(o)
			if err != nil || r.Finding == nil || r.Finding.Property != k.property {
				t.Fatalf("%v, %v: want that %q is violated", r.Finding, err, k.property)
			}
			times := 500
			if testing.Short() || raceEnabled {
				times = 25
			}
			for range times {
				again, err := token.Replay(o)
				if err != nil {
					t.Fatal(err)
				}
				same(t, r, again)
			}
			s, err := script.Parse("failure", r.Text())
			if err != nil {
				t.Fatal(err)
			}
			for range times {
				again, err := fuzz.Replay(s, o)
				if err != nil {
					t.Fatal(err)
				}
				same(t, r, again)
			}
			if back, err := fuzz.TokenOf(r, token.Scenario, o); err != nil || back.String() != k.text {
				t.Errorf("its token is %v, %v", back, err)
			}
		})
	}
}

// addresses are in what a panic prints of its stack.
var addresses = regexp.MustCompile(`0x[0-9a-f]+|goroutine \d+`)

// same wants two reports to be of one execution.
func same(t *testing.T, r, again *fuzz.Report) {
	t.Helper()
	if again.Finding == nil || addresses.ReplaceAllString(again.Finding.Error(), "") != addresses.ReplaceAllString(r.Finding.Error(), "") {
		t.Fatalf("found is %v, and was %v", again.Finding, r.Finding)
	}
	if !reflect.DeepEqual(r.History, again.History) { // cmp.Diff takes longer than the replay
		t.Fatalf("another history: %s", cmp.Diff(r.History, again.History))
	}
	if !reflect.DeepEqual(r.Script.Schedule, again.Script.Schedule) {
		t.Fatalf("another schedule: %s", cmp.Diff(r.Script.Schedule, again.Script.Schedule))
	}
}

// A failure of a kept scenario has a token, or it is said why not.
func TestShortToken(t *testing.T) {
	for _, tt := range []struct{ strategy, scenario string }{
		{"deliver-dropped-when-busy", "dup-outlives"}, {"sleep-keeps-the-domain", "standard"}, {"enter-does-not-drain", "level-against-sleeper"},
		{"no-second-look", "two-sleepers-one-event"}, {"none", "timer-against-delete"},
	} {
		t.Run(tt.strategy+" "+tt.scenario, func(t *testing.T) {
			r, o := failing(t, tt.strategy, tt.scenario)
			turning, err := r.Turning(o)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.Parse("turning", turning.Text())
			if err != nil || s.Schedule.Turns == nil || s.Schedule.Decisions != nil {
				t.Fatalf("%v of\n%s", err, turning.Text())
			}
			if again, err := fuzz.Replay(s, o); err != nil {
				t.Errorf("from its turns: %v", err)
			} else {
				same(t, r, again)
			}
			token, err := fuzz.ShortToken(t.Context(), r, tt.scenario, o, 3000)
			if err != nil {
				t.Fatal(err)
			}
			back, err := fuzz.ParseToken(token.String())
			if err != nil || len(token.String()) > fuzz.MaxToken {
				t.Fatalf("%v: %v", token, err)
			}
			if again, err := back.Replay(o); err != nil || again.Finding == nil || again.Finding.Property != r.Finding.Property {
				t.Errorf("%v: %v, %v", token, again.Finding, err)
			}
			t.Logf("%d characters: %v", len(token.String()), token)
		})
	}
}

// failing returns a failure of a kept scenario.
func failing(t *testing.T, strategy, scenario string) (*fuzz.Report, fuzz.Options) {
	t.Helper()
	o := optionsOf(t, strategy)
	s, err := fuzz.Scenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	x := fuzz.Exploration{
		Options: o, Script: func(int) *script.Script { return s }, Scripts: 40, Each: 100,
		Scheduler: func(i int) sched.Scheduler { return sched.NewRandom(uint64(i)) },
	}
	r := x.Explore(t.Context()).Failure
	if r == nil {
		t.Fatalf("%s: not found in %s", strategy, scenario)
	}
	return r, o
}

// A file with turns that do not fit, or are none, is refused as a token is.
func TestTurnsWrong(t *testing.T) {
	s, err := fuzz.Scenario("standard")
	if err != nil {
		t.Fatal(err)
	}
	for turn, says := range map[string]string{
		"1@2": `does not fit: turn 1: place "2"`, "9@start": "turn 1, 9@start: at the start 9 cannot go on, but 1, 2, 3", "1@2.9.unlock.mplock": "never came so far",
	} {
		s.Schedule = &script.Schedule{Strategy: "giant", Turns: []string{turn}}
		if _, err := fuzz.Replay(s, optionsOf(t, "giant")); !errors.Is(err, fuzz.ErrMisfit) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", turn, err, says)
		}
	}
}

// Where there can be no token, it is said why.
func TestNoToken(t *testing.T) {
	r, o := failing(t, "deliver-dropped-when-busy", "standard")
	if _, err := fuzz.TokenOf(r, "standard", o); err == nil || !strings.Contains(err.Error(), "characters, for") || !strings.Contains(err.Error(), "may have 200") {
		t.Errorf("of a long schedule: %v", err)
	}
	if _, err := fuzz.TokenOf(r, "dup-outlives", o); err == nil || !strings.Contains(err.Error(), "no execution of the scenario dup-outlives") {
		t.Errorf("of another scenario: %v", err)
	}
	if _, err := fuzz.TokenOf(r, "nothing", o); err == nil || !strings.Contains(err.Error(), `scenario "nothing"`) {
		t.Errorf("of no scenario: %v", err)
	}
	s := *r.Script
	s.Schedule = nil
	if _, err := fuzz.TokenOf(&fuzz.Report{Script: &s}, "standard", o); err == nil {
		t.Error("without a schedule there is one")
	}
}

// What is no token is refused with the word at fault, and what does not fit with the turn.
func TestTokenWrong(t *testing.T) {
	const ok = "giant:two-sleepers-one-event:"
	for _, tt := range []struct{ text, says string }{
		{"giant", `want strategy:scenario:schedule`},
		{"giant:standard:usual:usual", `want strategy:scenario:schedule`},
		{":standard:usual", "want the name of a strategy"},
		{"giant:standart:usual", `scenario "standart": want one of accepted-by-two`},
		{"giant:standard+home:usual", `"home" behind a scenario: want drawn, and spurious with a number from 1 to 100`},
		{"giant:standard+drawn+drawn:usual", `"drawn" behind a scenario`},
		{"giant:standard+spurious0:usual", `"spurious0" behind a scenario`},
		{"giant:standard+spurious2+drawn:usual", `"drawn" behind a scenario`},
		{ok, "turn 1: \"\": want who goes on, @ and a place"},
		{ok + "usual,usual", `turn 1: "usual"`},
		{ok + "1@start,", "turn 2"},
		{ok + "1@2.1.unlok.mplock", `turn 1: point "unlok" of place "2.1.unlok.mplock": want one of lock`},
		{ok + "1@2.x.unlock", `operation "x"`},
		{ok + "1@2.1.unlock.mplock.x", `count "x"`},
		{ok + "1@2.1.unlock.mplock.1", `count "1"`},
		{ok + "1@2.1.unlock.mplock.2.3", "no more than an object and a count"},
		{ok + "1@2.1.unlock.2.3", "nothing behind the count"},
		{ok + "1@2", `place "2"`},
		{ok + "1@clock.0", `tick "0"`},
		{ok + "1@2.1.unlock.MP", `object "MP"`},
		{ok + "=1@2.1.unlock", "want = and a number at the point choose"},
		{ok + "1@2.1.choose", "want = and a number at the point choose"},
		{ok + "=0@2.1.choose", `choice "=0"`},
		{ok + "timer+1@start", `thread "timer+1"`},
		{ok + "@start", `thread ""`},
		{ok + "1@start\n", `character "\n"`},
		{ok + "1@stärt", `character`},
		{ok + strings.Repeat("1@start,", 30), "characters: want at most 200"},
	} {
		if _, err := fuzz.ParseToken(tt.text); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.says)
		}
	}
	for _, tt := range []struct{ route, says string }{
		{"9@start", "turn 1, 9@start: at the start 9 cannot go on, but 1, 2, 3"},
		{"2@start,3@start", "turn 2, 3@start: setup was there before it was its turn"},
		{"3@1.1.lock.mplock,2@1.1.unlock.mplock.99", "turn 1"},
		{"2@1.1.unlock.mplock.99", "turn 1, 2@1.1.unlock.mplock.99: thread 1 in its operation 1 came by there"},
		{"2@1.7.unlock.mplock", "thread 1 in its operation 7 never came so far, but to 1"},
		{"2@1.1.callout.callout", "thread 1 in its operation 1 never came there, but by"},
		{"2@timer.1.end", "timer in its run 1 never ran"},
		{"2@clock.3", "clock in its run 3 never"},
		{"=1@1.1.choose", "thread 1 in its operation 1 never came there, but by"},
		{"clock@start", "clock cannot go on"},
	} {
		token, err := fuzz.ParseToken(ok + tt.route)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.Replay(optionsOf(t, "giant")); !errors.Is(err, fuzz.ErrMisfit) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.route, err, tt.says)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("giant:standard:usual")
	f.Add("pcpu:two-sleepers-one-event:1@2.1.unlock.kq-token.3,clock@1.2.asleep.kevent,=1@2.1.choose,timer+2@clock.1,3@start")
	f.Add("none:standard:1@timer-callout.2.wait.cpu0")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := fuzz.ParseToken(text)
		if err != nil {
			return
		}
		if token.String() != text {
			t.Errorf("%q is read as %q", text, token)
		}
	})
}

// tokens has this binary print what becomes of the kept tokens.
const tokens = "KQLAB_FUZZ_TOKENS"

// TestTokensPrint is for TestTokensSurvive, which runs it in a binary of another core.
func TestTokensPrint(t *testing.T) {
	out := os.Getenv(tokens)
	if out == "" {
		t.Skip("the other half of TestTokensSurvive")
	}
	if err := os.WriteFile(out, []byte(replayed(t)), 0o666); err != nil {
		t.Fatal(err)
	}
}

// replayed is what becomes of the kept tokens: what happened, and how many decisions
// that took.
func replayed(t *testing.T) string {
	var b strings.Builder
	for _, k := range keptTokens(t) {
		token, err := fuzz.ParseToken(k.text)
		if err != nil {
			t.Fatal(err)
		}
		if raceEnabled && token.Strategy == "none" {
			continue // a race, and so the end of this process
		}
		r, err := token.Replay(optionsOf(t, token.Strategy))
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
			continue
		}
		fmt.Fprintf(&b, "%v\n%v\n%sdecisions: %d\n", token, r.Finding, r.History, len(r.Script.Schedule.Decisions))
	}
	return b.String()
}

var decisions = regexp.MustCompile(`(?m)^decisions: (\d+)$`)

// A token survives an edit of the core that has nothing to do with it: with more points,
// and objects more, it still makes the same interleaving, although each has more
// decisions to be made.
func TestTokensSurvive(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds another core, which takes seconds")
	}
	text, err := os.ReadFile("testdata/edits/points.patch")
	if err != nil {
		t.Fatal(err)
	}
	edit, err := mutants.Parse("points.patch", string(text))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay, err := edit.Apply("..", dir)
	if err != nil {
		t.Fatal(err)
	}
	exe, out := filepath.Join(dir, "edited.test"), filepath.Join(dir, "out")
	args := []string{"test", "-overlay", overlay, "-c", "-o", exe}
	if raceEnabled {
		args = append(args, "-race")
	}
	if text, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("the edited core does not compile: %v\n%s", err, text)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestTokensPrint$")
	cmd.Env = append(os.Environ(), tokens+"="+out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	there, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	here := replayed(t)
	if diff := cmp.Diff(decisions.ReplaceAllString(here, ""), decisions.ReplaceAllString(string(there), "")); diff != "" {
		t.Errorf("under the edited core they are others: %s", diff)
	}
	if here == string(there) {
		t.Error("the edited core has no more decisions: the edit shows nothing")
	}
}
