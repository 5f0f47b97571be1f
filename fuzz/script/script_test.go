package script_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz/script"
)

func ExampleParse() {
	s, err := script.Parse("two.kq", `
# One event, two sleepers.
seed 7
setup
  kqueue and a pipe`)
	fmt.Println(err)

	s, err = script.Parse("two.kq", `
# One event, two sleepers.
seed 7
setup
  kqueue
  pipe
  kevent 0: READ 1 ADD|CLEAR
thread
  kevent 0 room=1 wait=forever
thread cpu=1
  write 2 5
`)
	fmt.Println(len(s.Threads), "threads", s.Ops(), "operations", err)
	fmt.Print(s)
	// Output:
	// two.kq:5:10: word "and": want the end of kqueue
	// 2 threads 5 operations <nil>
	// # One event, two sleepers.
	// seed 7
	//
	// setup cpu=0
	//   kqueue                        # 0
	//   pipe                          # 1 2
	//   kevent 0: READ 1 ADD|CLEAR
	//
	// thread cpu=0
	//   kevent 0 room=1 wait=forever
	//
	// thread cpu=1
	//   write 2 5
}

// Every message says where, and names what is wrong and what would be right.
func TestParseErrors(t *testing.T) {
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for _, tt := range []struct{ text, want string }{
		{"", "s:1:1: the script ends without a thread"},
		{"# only words\n", "s:2:1: the script ends without a thread"},
		{"seed", `s:1:1: seed with 0 words: want one number`},
		{"seed -1", `s:1:6: seed "-1": want a number from 0`},
		{"seed 1\nseed 1", "s:2:1: another seed"},
		{"thread\nseed 1", "s:2:1: another seed"},
		{"  close 1", `s:1:3: "close" before any section`},
		{"threads", `s:1:1: "threads" before any section: want seed, setup or thread`},
		{"thread cpu=2", `s:1:8: "cpu=2": want cpu= and a number from 0 to 1`},
		{"thread 1", `s:1:8: "1": want cpu=`},
		{"thread cpu=0 cpu=1", `s:1:14: "cpu=0 cpu=1": want cpu=`},
		{"thread\nsetup", "s:2:1: setup behind a thread"},
		{lines(7, "thread"), "s:7:1: thread number 7: want at most 6"},
		{lines(7, "setup"), "s:7:1: setup number 7: want at most 6"},
		{"thread\n" + lines(1001, "close 1"), "s:1002:1: more than 1000 operations"},
		{"thread\n\tclose one", `s:2:8: descriptor "one": want a number`},
		{"thread\n close", `s:2:2: close ends: want a descriptor`},
		{"thread\n kevent 0 room=8 wait=5ms", `s:2:23: wait "5ms": want zero, finite, forever`},
		{"thread\n kevent 0 room=65", "s:2:11: room=65: want at most 64"},
		{"thread\n kevent 0: READ 1 ADD; REED 2 ADD", `s:2:24: filter "REED": want READ, WRITE`},
		{"thread\n kevent 0: READ 1 ADD|CLAER", `s:2:23: flag "CLAER": want ADD`},
		{"thread\n kevent 0: " + strings.Repeat("READ 1 ADD; ", 64) + "READ 1 ADD", "65 changes: want at most 64"},
		{"setup\n kevent 0 room=1 wait=forever\nthread", "s:2:18: wait=forever: want zero or finite"},
		{"thread\n write 1 200000", "s:2:10: 200000: want at most 131072 bytes"},
		{"thread\n send 1 200000 oob", "s:2:9: 200000: want at most 131072 bytes"},
		{"thread\n recv 1 200000", "s:2:9: 200000: want at most 131072 bytes"},
		{"thread\n input 1 200000", "s:2:10: 200000: want at most 131072 units"},
		{"thread\n output 1 200000", "s:2:11: 200000: want at most 131072 units"},
		{"thread\n poll:" + strings.Repeat(" 1 IN;", 64) + " 1 IN", "s:2:2: 65 entries: want at most 64"},
		{"setup\n poll wait=forever: 1 IN\nthread", "want zero or finite"},
		{"thread\n epoll_wait 1 room=65", "s:2:15: room=65: want at most 64"},
		{"thread\n dup2 1 1000000", "s:2:9: 1000000: want a descriptor up to 63"},
		{"thread\n kevent 0: TIMER 1 ADD fflags=USECONDS data=19", "s:2:12: TIMER 1 ADD fflags=USECONDS data=19: want data of at least 20 here, which is 20 µs"},
		{"thread\n kevent 0: TIMER 1 ADD|CLEAR fflags=USECONDS", "want data of at least 20 here"},
		{"thread\n kevent 0: TIMER 1 ADD fflags=NSECONDS data=19999", "want data of at least 20000 here"},
		{"thread\n kevent 0: TIMER 1 ADD data=1001", "want data of at most 1000 here, which is 1000 ms"},
		{"thread\n kevent 0: TIMER 1 ADD|ONESHOT data=1001", "want data of at most 1000 here, which is 1000 ms"},
		{"thread\n kevent 0: TIMER 1 ADD|ONESHOT fflags=SECONDS data=2", "want data of at most 1 here"},
		{"thread\n exit 1 0", "s:2:7: 1: want another process"},
		{"thread\n exec 1", "s:2:7: 1: want another process"},
		{"thread\n exit 2 256", "s:2:9: 256: want a status up to 255"},
		{"thread\n kill 1 x", `s:2:9: signal "x": want a number`},
		{"thread\n sigmask block 2|x", `signal "x": want numbers from 1 to 64`},
		{"thread\n close 1\x00", `s:2:9: character "\x00": want printable text`},
		{"thread\n close 1 \xff", `character "\xff"`},
		{"schedule strategy=pcpu", "s:1:1: a schedule before any thread"},
		{"thread\nschedule pcpu", `s:2:9: "pcpu": want strategy= and a name`},
		{"thread\nschedule strategy=a b", `s:2:21: "b": want placement=drawn, or spurious= and a number from 1 to 100, each once`},
		{"thread\nschedule strategy=a placement=drawn spurious=1 placement=drawn", `s:2:48: "placement=drawn": want`},
		{"thread\nschedule strategy=a spurious=0", `"spurious=0": want`},
		{"thread\nschedule strategy=a spurious=101", `"spurious=101": want`},
		{"thread\nschedule strategy=a spurious=1 spurious=2", `"spurious=2": want`},
		{"thread\nschedule strategy=a\n 0 1 1048577", `s:3:6: decision "1048577": want a number from 0 to 1048576`},
		{"thread\nschedule strategy=a\n 0 -1", `s:3:4: decision "-1": want a number from 0 to 1048576`},
		{"thread\nschedule strategy=a\n 0 1@start", `s:3:4: turn "1@start": want turns alone`},
		{"thread\nschedule strategy=a\n 1@start 0", `s:3:10: decision "0": want no decisions beside turns`},
		{"thread\nschedule strategy=a\n usual 1@start", `s:3:8: turn "1@start": want turns alone`},
		{"thread\nschedule strategy=a\n 1@start usual", `s:3:10: turn "usual": want turns alone`},
		{"thread\nschedule strategy=a\n 0 1 x 1", `s:3:6: decision "x": want a number`},
		{"thread\nschedule strategy=a\n 0\nthread", `s:4:1: thread behind the schedule`},
		{strings.Repeat("#", 1<<20+1), "s:1:1: a script of 1048577 bytes"},
	} {
		s, err := script.Parse("s", tt.text)
		var e *script.Error
		if !errors.As(err, &e) || s != nil {
			t.Errorf("Parse(%.60q) = %v, %v, want nil and an *Error", tt.text, s, err)
			continue
		}
		if !strings.Contains(e.Error(), tt.want) {
			t.Errorf("Parse(%.60q): %q, want %q in it", tt.text, e, tt.want)
		}
	}
}

// What a text means does not depend on how it is laid out.
func TestParseLayout(t *testing.T) {
	a, err := script.Parse("a", "#a\n#  b # c\n\n# not doc\nseed 0x10\nsetup\nkqueue\nthread cpu=1\nkevent 0:USER 1 ADD;USER 2 ADD\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b # c"}, a.Doc); diff != "" {
		t.Error(diff)
	}
	b, err := script.Parse("b", "# a\r\n# b # c\r\nseed\t16 # so many\r\n\r\nsetup cpu=0\r\n\tkqueue # 0\r\nthread  cpu=1\r\n\r\n  kevent 0: USER 1 ADD; USER 2 ADD # two")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

// What the kernel refuses may stand, and so may a timer that is no shorter than
// it must be; which scripts need an end made for them is known.
func TestTimers(t *testing.T) {
	for _, tt := range []struct {
		change   string
		periodic bool
	}{
		{"TIMER 1 ADD", true}, // a millisecond
		{"TIMER 1 ADD|CLEAR fflags=SECONDS", true},
		{"TIMER 1 ADD fflags=USECONDS data=20", true},
		{"TIMER 1 ADD fflags=NSECONDS data=20000", true},
		{"TIMER 1 ADD fflags=USECONDS data=-1", true},
		{"TIMER 1 ADD fflags=USECONDS|NSECONDS data=1", true},
		{"TIMER 1 ADD fflags=ABSTIME|NSECONDS data=1", true},
		{"TIMER 1 ADD|ONESHOT fflags=NSECONDS data=1", false},
		{"TIMER 1 DELETE", false},
		{"TIMER 1 ENABLE", false},
		{"USER 1 ADD", false},
	} {
		for _, text := range []string{"thread\nkevent 0: %s", "setup\nkevent 0: USER 2 ADD; %s\nthread"} {
			s, err := script.Parse("s", fmt.Sprintf(text, tt.change))
			if err != nil {
				t.Errorf("%s: %v", tt.change, err)
			} else if s.Periodic() != tt.periodic {
				t.Errorf("%s: Periodic() = %t, want %t", tt.change, s.Periodic(), tt.periodic)
			}
		}
	}
}

// The numbers behind setup are those that a process gives out.
func TestStringNumbers(t *testing.T) {
	s, err := script.Parse("s", "setup\nkqueue\npipe\nclose 1\nprobe\ndup2 0 5\ndup 9\nclose 0\npipe\ndup 2\nsocketpair stream\naccept 6\naccept 42\nreopen 6 read\nepoll\nlisten 6 1 1\nthread")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(s.String()) {
		if _, n, ok := strings.Cut(line, "# "); ok {
			got = append(got, strings.TrimSpace(n))
		}
	}
	if diff := cmp.Diff([]string{"0", "1 2", "1", "0 3", "4", "6 7", "8", "9", "10"}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"# doc\nseed 7\nsetup cpu=1\n kqueue # 0\n pipe\n kevent 0: READ 1 ADD|CLEAR udata=1\nthread\n kevent 0 room=8 wait=forever\nthread cpu=1\n write 2 5\n close 1\n",
		"thread\n dup2 1 -1\n set 0 -9223372036854775808\n kevent 0: TIMER 1 ADD|ONESHOT data=-1; USER 1 0 fflags=FFCOPY|TRIGGER|0x1\n",
		"thread\n kevent 0: TIMER 1 ADD fflags=USECONDS data=20; TIMER 2 ADD; TIMER 3 ADD fflags=ABSTIME|NSECONDS data=1\n",
		"thread\n probe blocks|unsafe\n probe unsafe # and more\n",
		"seed 1\nsometimes 1.1 => events READ 1 data=5; USER 2 and 2.1 has EOF and reached here # why\nsometimes under=x 1.1 => pending\nthread\n kevent 0 room=2\nthread\n close 1\n",
		"sometimes and\nsometimes 1.1 has and\nsometimes reached and reached\nthread\nprobe\n",
		"thread\nclose 1\nschedule strategy=a placement=drawn spurious=2\n 1 2\n",
		"#\n#\n\n#\nthread\nprobe#\n", "seed 1\nthread cpu=", "setup\nthread\n kevent 0: ;", "thread\nclose \"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := script.Parse("fuzzed", text)
		if err != nil {
			var e *script.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Line > strings.Count(text, "\n")+2 || e.Text == "" {
				t.Fatalf("%q: error %#v has no place in it", text, err)
			}
			return
		}
		again, err := script.Parse("written", s.String())
		if err != nil {
			t.Fatalf("%q is written\n%s\nwhich does not parse: %v", text, s, err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("%q is written\n%s\nwhich is another: %s", text, s, diff)
		}
	})
}

// A schedule is read back as it was written, however long it is.
func TestSchedule(t *testing.T) {
	s, err := script.Parse("s", "thread\nclose 1\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 3, 50} {
		s.Schedule = &script.Schedule{Strategy: "pcpu", Turns: []string{}}
		for i := range n {
			s.Schedule.Turns = append(s.Schedule.Turns, fmt.Sprintf("%d@2.%d.unlock.kq-token", i, i))
		}
		back, err := script.Parse("s", s.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.Schedule, back.Schedule); diff != "" {
			t.Errorf("of %d turns: %s", n, diff)
		}
	}
	for _, n := range []int{0, 1, 40, 41, 1000} {
		s.Schedule = &script.Schedule{Strategy: "pcpu", Choices: script.Choices{Placement: n%2 == 1, Spurious: n % 3}}
		for i := range n {
			s.Schedule.Decisions = append(s.Schedule.Decisions, i*i)
		}
		back, err := script.Parse("s", s.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("%d decisions: %s", n, diff)
		}
	}
}
