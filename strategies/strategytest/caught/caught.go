// Package caught runs a program that is expected to be wrong, in a process of
// its own with a deadline, and says how it was caught, if it was. A planted
// fault may corrupt, crash or hang the process that it runs in.
package caught

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// A How is how a fault was caught; empty if it was not.
type How string

// The ways, as the tables name them.
const (
	Finding  How = "finding"   // a test failed, and says what does not hold
	Race     How = "data race" // the race detector's
	Crash    How = "crash"     // a panic, or a fatal error of the runtime
	Deadline How = "deadline"  // it did not end
)

// A Verdict is what became of one process.
type Verdict struct {
	How    How
	Why    string // a line: the first failure, or the crash
	Output []byte // of both streams
}

func (v Verdict) String() string {
	if v.How == "" {
		return "not caught"
	}
	return fmt.Sprintf("%s: %s", v.How, v.Why)
}

// Test runs tests of a test binary: those that run matches, as go test -run
// takes it, and with short as with -short. The variable, NAME=VALUE, is added to
// the environment of this process. The error is that it could not be run, or
// that it failed in a way that says nothing about a fault: nothing matched, it
// had no reason.
func Test(binary, run string, short bool, deadline time.Duration, variable string) (Verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run="+run, fmt.Sprint("-test.short=", short), "-test.timeout=0")
	cmd.Env = append(os.Environ(), variable)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	v := Verdict{Output: out}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		v.How, v.Why = Deadline, fmt.Sprintf("it did not end within %v", deadline)
		return v, nil
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return v, fmt.Errorf("%s: no test matches %s", binary, run)
	case err == nil:
		return v, nil
	case !errors.As(err, &exit):
		return v, fmt.Errorf("%s could not be run: %w", binary, err)
	}
	v.How, v.Why = judge(out)
	if v.How == "" {
		return v, fmt.Errorf("%s %s failed without a reason: %w\n%s", binary, run, err, out)
	}
	return v, nil
}

var (
	crash  = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG).*`)
	failed = regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
	reason = regexp.MustCompile(`^\s+\w+\.go:\d+: (.*)`)
)

// judge says what the output of a failed test binary shows. A race goes before
// the failures that it leads to.
func judge(out []byte) (How, string) {
	if bytes.Contains(out, []byte("WARNING: DATA RACE")) {
		return Race, "the race detector reports a data race"
	}
	if line := crash.Find(out); line != nil {
		return Crash, string(line)
	}
	test, why, open := "", "", false // open: in a message
	for line := range bytes.Lines(out) {
		line = bytes.TrimRight(line, "\n")
		if m := failed.FindSubmatch(line); m != nil {
			// What a parent has logged before its part failed is no reason.
			test, why, open = string(m[1]), "", false
		} else if m := reason.FindSubmatch(line); m != nil && test != "" {
			why, open = string(m[1]), true
		} else if open && (why == "" || why[len(why)-1] == ':') {
			// A message of several lines.
			why = strings.TrimSpace(why + " " + string(bytes.TrimSpace(line)))
			continue
		}
		if why != "" && why[len(why)-1] != ':' && deepest(out, test) {
			return Finding, test + ": " + why
		}
	}
	return "", ""
}

// deepest reports whether no part of the test has failed.
func deepest(out []byte, test string) bool {
	return !bytes.Contains(out, []byte("--- FAIL: "+test+"/"))
}
