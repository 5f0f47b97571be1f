package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
)

// auditFlags are the flags of audit.
type auditFlags struct {
	most   int
	replay string
	readme string
	format string
}

func (a *app) auditVerb() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit [DEVICE...]",
		Short: "prove filters MP-safe, or find the race or the invariant that is broken",
		Long: `Audit calls each function of each filter of the devices (all that list devices prints,
if none is named) while something is done to the device on another CPU of a virtual
machine: in all schedules of two preemptions. The filters are called without the
mplock, and each event source and each queue has a lock of its own, so what a filter
touches outside of its source it touches in no order with others.

It needs the race detector. In a program without it, it says which command has it.
Besides races it finds filters that block and do not say so, that enter a domain or
keep a lock, news that is lost, deadlocks, and structures that are not as they must be.
What is found has a replay, a line that shows it again; --replay needs no race detector
if what it shows is no race.

A filter that says of itself that it is not MP-safe, and is not, is as it should be. If
nothing is found in one, it waits for the mplock for nothing that the audit knows of:
that is a note, not a failure, since the audit knows only what the catalog does to it.

Exit status: 0; 1 if a filter that says that it is MP-safe is not, or a replay shows
something; 2 bad usage, and a program without the race detector; 130 interrupted.`,
		Example: a.examples(
			"audit                             all devices: some minutes",
			"audit pipe-reader keyboard",
			"audit --readme model/device/README.md         and put the table there",
			"audit --replay 'probe-unsafe:READ:event:raise the level:0x22'"),
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON); err != nil {
			return err
		}
		if f.most < 1 {
			return usage(verb, "--most %d: want 1 at least", f.most)
		}
		if f.replay != "" {
			if len(args) > 0 {
				return usage(verb, "--replay names its device itself, got %q besides", args[0])
			}
			if _, err := audit.ParseReplay(f.replay); err != nil {
				return usage(verb, "--replay: %v", err)
			}
			return a.auditAgain(cmd.Context(), f.replay)
		}
		devices := catalog.All()
		if len(args) > 0 {
			var err error
			if devices, err = pick(verb, "device", args, devices, func(d catalog.Device) string { return d.Name }); err != nil {
				return err
			}
		}
		if !raceBuild() {
			return usage("", "an audit needs the race detector, which this program does not have; this has it:\n  %s",
				shellLine(racing(), a.args))
		}
		return a.audit(cmd.Context(), &f, devices)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&f.most, "most", audit.Most, "executions of a function against one thing done, at most; more are said not to be complete")
	fs.StringVar(&f.replay, "replay", "", "show what an audit has found, once more")
	fs.StringVar(&f.readme, "readme", "", "a file to put the table into, where its marks are")
	fs.StringVar(&f.format, "format", formatTable, "table or json")
	return cmd
}

// racing is the command that starts this program with the race detector.
func racing() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path == "" || strings.HasSuffix(info.Path, ".test") {
		return "go run -race ./cmd/kqlab"
	}
	return "go run -race " + info.Path
}

// An audited is what is known of an audit.
type audited struct {
	Done, All int
	What      string          `json:",omitempty"` // that was done last
	Verdicts  []audit.Verdict `json:",omitempty"` // at the end
	Finding   *fuzz.Finding   `json:",omitempty"` // of a replay
	Misfit    string          `json:",omitempty"` // of one that does not fit
}

// auditPatience is how long an audit may go without a word: it has one after each trial.
const auditPatience = 10 * time.Minute

// auditing is what a process does that audits.
func auditing(ctx context.Context, w io.Writer, o *order) error {
	enc := json.NewEncoder(w)
	tell := func(x *audited) error { return enc.Encode(&progress{Audited: x}) }
	if o.Replay != "" {
		r, err := audit.ParseReplay(o.Replay)
		if err != nil {
			return err
		}
		x := &audited{}
		if x.Finding, err = r.Run(catalog.All()); err != nil {
			x.Misfit = err.Error()
		}
		return tell(x)
	}
	var devices []catalog.Device
	for _, name := range o.Devices {
		d, ok := catalog.Find(name)
		if !ok {
			return usage("", "no device is named %q", name)
		}
		devices = append(devices, d)
	}
	told := time.Time{}
	x := &audited{}
	verdicts, err := audit.Audit{Devices: devices, Most: o.Schedules, Progress: func(done, all int, what string) {
		x.Done, x.All, x.What = done, all, what
		if time.Since(told) >= tellEvery {
			told = time.Now()
			tell(x) // who cannot write to its parent has none
		}
	}}.Run(ctx)
	if err != nil {
		return err
	}
	x.Verdicts = verdicts
	return tell(x)
}

// audited has a process audit, and returns what it has told last.
func (a *app) audited(ctx context.Context, o *order, told func(*progress)) (*audited, error) {
	o.Work, o.Strategy = workAudit, "the audit"
	end, err := a.spawn(ctx, o, told)
	switch {
	case err != nil:
		return nil, err
	case end.stopped:
		return nil, errInterrupted
	case end.Audited != nil && (end.Audited.Verdicts != nil || o.Replay != ""):
		return end.Audited, nil // with races its status is not 0
	case end.hung:
		return nil, fmt.Errorf("the audit came no further for %v", auditPatience)
	}
	return nil, fmt.Errorf("the process of the audit ended: %v\n%s", end.err, end.output)
}

// auditAgain carries out a replay.
func (a *app) auditAgain(ctx context.Context, text string) error {
	x, err := a.audited(ctx, &order{Replay: text}, nil)
	switch {
	case err != nil:
		return err
	case x.Misfit != "":
		return errors.New(x.Misfit)
	case x.Finding != nil:
		fmt.Fprintln(a.stdout, x.Finding)
		return errors.New("the replay shows what was found")
	}
	fmt.Fprintln(a.stdout, "nothing is found")
	if !raceBuild() {
		fmt.Fprintf(a.stdout, "A race is seen only by a program with the race detector:\n  %s\n", shellLine(racing(), a.args))
	}
	return nil
}

// audit audits devices.
func (a *app) audit(ctx context.Context, f *auditFlags, devices []catalog.Device) error {
	var text []byte
	if f.readme != "" { // before minutes are spent
		var err error
		if text, err = os.ReadFile(f.readme); err != nil {
			return fmt.Errorf("--readme: %w", err)
		}
		if _, err := audit.Update(string(text), nil, nil); err != nil {
			return fmt.Errorf("--readme %s: %w", f.readme, err)
		}
	}
	o := &order{Schedules: f.most}
	for _, d := range devices {
		o.Devices = append(o.Devices, d.Name)
	}
	bar := newBarOf(a.stderr, 30, 60)
	defer bar.clear()
	x, err := a.audited(ctx, o, func(p *progress) {
		if p.Audited != nil && p.Audited.All > 0 {
			done := float64(p.Audited.Done) / float64(p.Audited.All)
			bar.span(done, done, 0, p.Audited.What)
		}
	})
	if err != nil {
		return err
	}
	bar.clear()
	if f.format == formatJSON {
		var lines []auditLine
		for i := range x.Verdicts {
			lines = append(lines, newAuditLine(&x.Verdicts[i]))
		}
		if err := writeLines(a.stdout, lines); err != nil {
			return err
		}
	} else {
		a.printAudited(x.Verdicts)
	}
	if f.readme != "" {
		with, err := audit.Update(string(text), catalog.All(), x.Verdicts)
		if err == nil {
			err = os.WriteFile(f.readme, []byte(with), 0o666)
		}
		if err != nil {
			return fmt.Errorf("--readme: %w", err)
		}
	}
	wrong := 0
	for i := range x.Verdicts {
		if x.Verdicts[i].Wrong() {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d functions are not what their filters say of them: MP-safe", wrong)
	}
	return nil
}

// An auditLine is a verdict for programs.
type auditLine struct {
	Device    string `json:"device"`
	Filter    string `json:"filter"`
	Function  string `json:"function"`
	MPSafe    bool   `json:"mpsafe"` // as declared
	Blocks    bool   `json:"blocks"` // likewise
	Schedules int    `json:"schedules"`
	Complete  bool   `json:"complete"`
	Finding   string `json:"finding,omitempty"`
	Replay    string `json:"replay,omitempty"`
}

func newAuditLine(v *audit.Verdict) auditLine {
	l := auditLine{v.Device, v.Filter.String(), v.Function.String(), !v.Unsafe, v.Blocks, v.Schedules, v.Complete, "", ""}
	if v.Finding != nil {
		l.Finding, l.Replay = v.Finding.Error(), v.Replay.String()
	}
	return l
}

// printAudited prints the table, then what was found, then what may be worth a thought.
func (a *app) printAudited(all []audit.Verdict) {
	p := newPaint(a.stdout)
	g := grid{{left("    filter"), left("function"), left("declared"), left("verdict")}}
	number := map[string]int{} // of findings, by replay
	var found []*audit.Verdict
	for i := range all {
		v := &all[i]
		verdict := left(v.String())
		if v.Finding != nil {
			replay := v.Replay.String()
			if number[replay] == 0 {
				found = append(found, v)
				number[replay] = len(found)
			}
			verdict.text += fmt.Sprintf(" [%d]", number[replay])
		}
		if v.Wrong() {
			verdict.paint = p.red
		}
		g = append(g, []cell{left("    " + v.Filter.String()), left(v.Function.String()), left(v.Declared()), verdict})
	}
	var table strings.Builder
	g.print(&table, p)
	last := ""
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		if i > 0 && all[i-1].Device != last {
			last = all[i-1].Device
			fmt.Fprintf(a.stdout, "  %s\n", p.bold(last))
		}
		fmt.Fprintln(a.stdout, line)
	}
	for i, v := range found {
		fmt.Fprintf(a.stdout, "\n[%d] %s %v, %v: %s\n", i+1, v.Device, v.Filter, v.Function, v)
		first, rest, _ := strings.Cut(v.Finding.Detail, "\n")
		for _, line := range wrap(first, 94) {
			fmt.Fprintln(a.stdout, "    "+line)
		}
		if rest != "" {
			fmt.Fprintln(a.stdout, p.dim(rest))
		}
		fmt.Fprintln(a.stdout, "    "+shellLine(a.program, []string{"audit", "--replay", v.Replay.String()}))
	}
	for _, name := range needless(all) {
		fmt.Fprintf(a.stdout, "\nnote: %s is declared not MP-safe, and nothing that is done to it here breaks it.\n", name)
	}
}

// needless returns the filters that say that they are not MP-safe, and have nothing in any
// function.
func needless(all []audit.Verdict) (names []string) {
	for i := 0; i < len(all); {
		v, clean := &all[i], true
		for ; i < len(all) && all[i].Device == v.Device && all[i].Filter == v.Filter; i++ {
			clean = clean && all[i].Finding == nil && all[i].Complete
		}
		if v.Unsafe && clean {
			names = append(names, fmt.Sprintf("%s %v", v.Device, v.Filter))
		}
	}
	return names
}
