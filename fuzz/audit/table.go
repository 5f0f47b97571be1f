package audit

import (
	"fmt"
	"strings"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/kqueue"
)

// Declared says what a filter says of itself.
func Declared(unsafe, blocks bool) string {
	s := "MP-safe"
	if unsafe {
		s = "not MP-safe"
	}
	if blocks {
		s += ", blocks"
	}
	return s
}

// Declared says what the filter says of itself.
func (v *Verdict) Declared() string { return Declared(v.Unsafe, v.Blocks) }

// String says the verdict in some words; of a finding, which property it breaks.
func (v *Verdict) String() string {
	switch {
	case v.Finding != nil && v.Finding.Property == noRace:
		return "a data race"
	case v.Finding != nil:
		return "breaks: " + v.Finding.Property
	case !v.Complete:
		return fmt.Sprintf("nothing found (%d schedules, not complete)", v.Schedules)
	}
	return fmt.Sprintf("MP-safe (%d schedules, complete at %d preemptions)", v.Schedules, Preemptions)
}

// The lines between which a text has the table.
const (
	begin = "<!-- the table of kqlab audit begins -->"
	end   = "<!-- the table of kqlab audit ends -->"
)

const head = "| device | filter | function | declared | verdict |\n|---|---|---|---|---|\n"

// cells is a line of the table up to what came of it.
func cells(device string, t *trial, own *kqueue.Filter) string {
	return fmt.Sprintf("| %s | %v | %v | %s |", device, t.filter.Filter, t.function, Declared(own.Unsafe, own.Blocks))
}

// Update returns a text in which the table between the marks has the verdicts; lines of
// other devices stay, in the order of the catalog, and those of devices that are no more
// in it go.
func Update(text string, devices []catalog.Device, verdicts []Verdict) (string, error) {
	before, table, after, err := cut(text)
	if err != nil {
		return "", err
	}
	lines, fresh := map[string]string{}, map[string]bool{}
	for _, line := range strings.Split(table, "\n") {
		if c := strings.Split(line, " "); len(c) > 2 && c[0] == "|" {
			lines[c[1]] += line + "\n"
		}
	}
	for _, v := range verdicts {
		if !fresh[v.Device] {
			fresh[v.Device], lines[v.Device] = true, ""
		}
		lines[v.Device] += fmt.Sprintf("| %s | %v | %v | %s | %v |\n", v.Device, v.Filter, v.Function, v.Declared(), &v)
	}
	var b strings.Builder
	b.WriteString(before + begin + "\n\n" + head)
	for _, d := range devices {
		b.WriteString(lines[d.Name])
	}
	b.WriteString("\n" + end + after)
	return b.String(), nil
}

// cut cuts a text at its marks.
func cut(text string) (before, table, after string, err error) {
	before, rest, ok := strings.Cut(text, begin)
	table, after, more := strings.Cut(rest, end)
	if !ok || !more {
		return "", "", "", fmt.Errorf("there is no place for the table: want a line %q, and one %q behind it", begin, end)
	}
	return before, table, after, nil
}

// Check returns what a text's table does not say of the devices as the catalog has them:
// each function of each filter, with what the filter declares, and a verdict that goes
// with that; nil if all is said. How many schedules there were it does not look at.
func Check(text string, devices []catalog.Device) error {
	_, table, _, err := cut(text)
	if err != nil {
		return err
	}
	var have []string
	for _, line := range strings.Split(table, "\n") {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(head, line) {
			have = append(have, line)
		}
	}
	n := 0
	for i := range devices {
		for _, r := range rows(&devices[i]) {
			want := cells(devices[i].Name, &r.trials[0], r.own)
			if n >= len(have) || !strings.HasPrefix(have[n], want) {
				return fmt.Errorf("%s: the table has %q, want %q", devices[i].Name, at(have, n), want)
			}
			if verdict := have[n][len(want):]; !r.own.Unsafe && (!strings.HasPrefix(verdict, " MP-safe (") || !strings.Contains(verdict, ", complete at")) {
				return fmt.Errorf("%s: %s has the verdict%s", devices[i].Name, want, verdict)
			}
			n++
		}
	}
	if n < len(have) {
		return fmt.Errorf("the table has %q, of which the catalog knows nothing", have[n])
	}
	return nil
}

func at(lines []string, n int) string {
	if n < len(lines) {
		return lines[n]
	}
	return ""
}
