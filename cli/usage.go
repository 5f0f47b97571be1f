package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A usageError is a command line that cannot be run: exit status 2.
type usageError struct {
	verb string // whose help says more, or ""
	text string
}

func (e *usageError) Error() string { return e.text }

func usage(verb, format string, args ...any) error {
	return &usageError{verb, fmt.Sprintf(format, args...)}
}

// unknown says that name is no such thing, which things there are, and which
// of them may have been meant.
func unknown(verb, thing, name string, valid []string) error {
	text := fmt.Sprintf("unknown %s %q", thing, name)
	if s := nearest(name, valid); s != "" {
		text += fmt.Sprintf("; did you mean %s?", s)
	}
	return usage(verb, "%s\nvalid: %s", text, strings.Join(valid, ", "))
}

// nearest returns the valid name that is nearest to name, if it is near: a third
// of its letters, or two, which is two of them swapped.
func nearest(name string, valid []string) string {
	best, at := "", 0
	for _, v := range valid {
		d := levenshtein.ComputeDistance(strings.ToLower(name), v)
		limit := max(2, len(v)/3)
		if len(v) < 4 {
			limit = 1
		}
		if d <= limit && (best == "" || d < at) {
			best, at = v, d
		}
	}
	return best
}

// pick returns those of all that are named, in the order of names, each once.
func pick[T any](verb, thing string, names []string, all []T, name func(T) string) ([]T, error) {
	var valid []string
	for _, t := range all {
		valid = append(valid, name(t))
	}
	var found []T
	seen := map[string]bool{}
next:
	for _, n := range names {
		if seen[n] {
			continue
		}
		for i, v := range valid {
			if v == n {
				seen[n] = true
				found = append(found, all[i])
				continue next
			}
		}
		return nil, unknown(verb, thing, n, valid)
	}
	if len(found) == 0 {
		return nil, usage(verb, "no %s named\nvalid: %s", thing, strings.Join(valid, ", "))
	}
	return found, nil
}

// flagError adds to what pflag says the flags that there are.
func flagError(cmd *cobra.Command, err error) error {
	verb := cmd.CommandPath()
	var valid []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			valid = append(valid, "--"+f.Name)
		}
	})
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		if group := missing.GetSpecifiedShortnames(); group != "" {
			return unknown(verb, "flag", "-"+missing.GetSpecifiedName(), valid)
		}
		return unknown(verb, "flag", "--"+missing.GetSpecifiedName(), valid)
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		f := value.GetFlag()
		return usage(verb, "--%s %q: want %s", f.Name, value.GetValue(), wants(f))
	}
	return usage(verb, "%v", err)
}

// wants says what values a flag takes.
func wants(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "a duration such as 500ms, 40s or 2m"
	case "uint64":
		return "a whole number from 0 to 18446744073709551615"
	case "int":
		return "a whole number"
	}
	return "a " + f.Value.Type()
}

// none refuses arguments for verbs that take none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd.CommandPath(), "%s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

// formats of --format.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatBench = "bench"
)

// checkFormat refuses a format that is not among valid.
func checkFormat(cmd *cobra.Command, format string, valid ...string) error {
	for _, v := range valid {
		if v == format {
			return nil
		}
	}
	return unknown(cmd.CommandPath(), "format", format, valid)
}
