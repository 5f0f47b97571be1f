package audit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/races"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A Replay is one execution of one trial. Its text is
//
//	device:FILTER:function:what is done meanwhile:decisions
//
// where of the decisions equal ones are counted, as in 0x7,1,0x2.
type Replay struct {
	Trial     string
	Decisions []int
}

func (r *Replay) String() string {
	var runs []string
	for i := 0; i < len(r.Decisions); {
		n := 1
		for i+n < len(r.Decisions) && r.Decisions[i+n] == r.Decisions[i] {
			n++
		}
		run := strconv.Itoa(r.Decisions[i])
		if n > 1 {
			run += "x" + strconv.Itoa(n)
		}
		runs = append(runs, run)
		i += n
	}
	return r.Trial + ":" + strings.Join(runs, ",")
}

// mostDecisions is how many a replay may have.
const mostDecisions = 1 << 20

// ParseReplay returns the replay of a text. Whether there is such a trial is seen when it
// is carried out.
func ParseReplay(s string) (*Replay, error) {
	at := strings.LastIndexByte(s, ':')
	if at < 0 || strings.Count(s, ":") != 4 {
		return nil, fmt.Errorf("replay %q: want device:FILTER:function:what is done meanwhile:decisions", s)
	}
	r := &Replay{Trial: s[:at]}
	for _, run := range strings.Split(s[at+1:], ",") {
		if s[at+1:] == "" {
			break
		}
		what, times, several := strings.Cut(run, "x")
		n := uint64(1)
		d, err := strconv.ParseUint(what, 10, 16)
		if err == nil && several {
			n, err = strconv.ParseUint(times, 10, 32)
		}
		if err != nil || n == 0 || n > mostDecisions || len(r.Decisions)+int(n) > mostDecisions {
			return nil, fmt.Errorf("decisions %q of a replay: %q: want a number below 65536, or one and how often, as in 0x7; %d in all at most", s[at+1:], run, mostDecisions)
		}
		for range n {
			r.Decisions = append(r.Decisions, int(d))
		}
	}
	return r, nil
}

// ErrMisfit says that a replay is not of this kernel: there is no such trial, or there
// were other decisions to be made.
var ErrMisfit = errors.New("the replay does not fit")

// Run carries the replay out, and returns what it has found, nil if nothing. In a race
// build what shows nothing is carried out some times more. The error is [ErrMisfit].
func (r *Replay) Run(devices []catalog.Device) (*fuzz.Finding, error) {
	l := newLab()
	defer l.close()
	for i := range devices {
		if name, _, _ := strings.Cut(r.Trial, ":"); name != devices[i].Name {
			continue
		}
		for _, row := range rows(&devices[i]) {
			for j := range row.trials {
				if t := &row.trials[j]; t.String() == r.Trial {
					return l.replay(t, r.Decisions)
				}
			}
		}
	}
	return nil, fmt.Errorf("%w: there is no trial %q", ErrMisfit, r.Trial)
}

// replay makes an execution of a trial again.
func (l *lab) replay(t *trial, decisions []int) (f *fuzz.Finding, err error) {
	l.set(t)
	replay := sched.NewReplay(decisions)
	l.recorded.Scheduler = replay
	for range races.Looks {
		l.recorded.Begin()
		f = l.run()
		if at := replay.Misfit(); at != 0 && at <= len(decisions) {
			return f, fmt.Errorf("%w: at decision %d", ErrMisfit, at)
		}
		if n := replay.Left(); n > 0 {
			return f, fmt.Errorf("%w: %d of %d decisions were not asked for", ErrMisfit, n, len(decisions))
		}
		if f != nil {
			break
		}
	}
	return f, nil
}
