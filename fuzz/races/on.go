//go:build race

package races

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

// Enabled reports whether the race detector is in this binary.
const Enabled = true

// Looks is how often an execution is made again before it is said to have no race: of
// the accesses to a word the detector keeps four, and which it forgets is chance.
const Looks = 20

// one is held by the execution under way: the race detector counts for the whole of a
// process, and what it reports is to be that execution's. No two of them share
// anything, so that they are in an order hides no race.
var one sync.Mutex

// Alone lets one virtual machine run at a time, until what it returns is called: that
// says how many races have been reported meanwhile, and what of. To call it again does
// nothing.
func Alone() (raced func() (n int, said string)) {
	one.Lock()
	before, from, over := runtime.RaceErrors(), logged(), false
	return func() (n int, said string) {
		if over {
			return 0, ""
		}
		defer one.Unlock()
		over = true
		if n = runtime.RaceErrors() - before; n > 0 {
			said = report(from) + note()
		}
		return n, said
	}
}

// again is what the runtime must have been told when the process began to report a
// race each time that it comes by.
var again = []string{"suppress_equal_stacks=0", "suppress_equal_addresses=0"}

// Again reports whether the detector reports a race each time that it comes by.
func Again() bool { return note() == "" }

// note says what keeps a race from being reported again, if anything does.
func note() string {
	for _, option := range again {
		if !strings.Contains(os.Getenv("GORACE"), option) {
			return fmt.Sprintf("; it is reported once in a process, and is seen again only with GORACE=%q", strings.Join(again, " "))
		}
	}
	return ""
}

// log returns the file that reports go to, by the option log_path; none if they go
// to the standard error.
func log() string {
	for _, option := range strings.Fields(os.Getenv("GORACE")) {
		if path, ok := strings.CutPrefix(option, "log_path="); ok && path != "stderr" && path != "stdout" {
			return fmt.Sprintf("%s.%d", path, os.Getpid())
		}
	}
	return ""
}

// logged returns how much has been reported to a file so far.
func logged() int64 {
	if info, err := os.Stat(log()); err == nil {
		return info.Size()
	}
	return 0
}

// accesses matches a line of a report that says what two threads do to a word, and, behind
// it, where the first two of their calls are.
var accesses = regexp.MustCompile(`(?m)^((?:Previous )?(?i:read|write|atomic read|atomic write) at) .*\n  (\S+)\(\)\n.*\n(?:  (\S+)\(\)\n)?`)

// report says in a line what the first race of those in the file is, from some place
// on.
func report(from int64) string {
	path := log()
	if path == "" {
		return "the race detector's report is in the standard error"
	}
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) < from {
		return fmt.Sprintf("the race detector's report is in %s", path)
	}
	var sides []string
	for _, m := range accesses.FindAllStringSubmatch(string(text[from:]), 2) {
		side := strings.ToLower(strings.TrimSuffix(m[1], " at")) + " in " + short(m[2])
		if m[3] != "" {
			side += ", called by " + short(m[3])
		}
		sides = append(sides, side)
	}
	if len(sides) < 2 {
		return fmt.Sprintf("the race detector's report is in %s", path)
	}
	return strings.Join(sides, "; ")
}

// short is a function's name without the path of its package.
func short(f string) string { return f[strings.LastIndexByte(f, '/')+1:] }
