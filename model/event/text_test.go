package event_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/event"
)

func ExampleParseKevent() {
	kev, err := event.ParseKevent("READ 3 ADD|CLEAR fflags=LOWAT data=5 udata=7")
	fmt.Println(kev.Ident, kev.Flags&event.Clear != 0, kev.Data, err)
	fmt.Println(kev)
	// Output:
	// 3 true 5 <nil>
	// READ 3 ADD|CLEAR fflags=LOWAT data=5 udata=7
}

func TestKeventString(t *testing.T) {
	for _, tt := range []struct {
		kev  event.Kevent
		want string
	}{
		{event.Kevent{Filter: event.Read, Ident: 3}, "READ 3"},
		{event.Kevent{Filter: event.User, Ident: 1, Flags: event.Add, Fflags: event.NoteFFCopy | event.NoteTrigger | 0x12}, "USER 1 ADD fflags=FFCOPY|TRIGGER|0x12"},
		{event.Kevent{Filter: event.User, Ident: 1, Fflags: event.NoteFFOr}, "USER 1 fflags=FFOR"},
		{event.Kevent{Filter: event.User, Ident: 1, Fflags: event.NoteFFAnd | 1}, "USER 1 fflags=FFAND|0x1"},
		{event.Kevent{Filter: event.Timer, Ident: 9, Flags: event.Add | event.OneShot, Fflags: event.NoteUSeconds, Data: 10}, "TIMER 9 ADD|ONESHOT fflags=USECONDS data=10"},
		{event.Kevent{Filter: event.Proc, Ident: 1, Fflags: event.NoteExit}, "PROC 1 fflags=EXIT"},
		{event.Kevent{Filter: event.Proc, Ident: 1, Fflags: event.NoteTrack | event.NoteChild | 8}, "PROC 1 fflags=TRACK|CHILD|0x8"},
		{event.Kevent{Filter: event.Vnode, Ident: 3, Fflags: event.NoteWrite | event.NoteExtend | event.NoteRevoke}, "VNODE 3 fflags=WRITE|EXTEND|REVOKE"},
		{event.Kevent{Filter: event.Write, Ident: 4, Flags: event.EOF | event.HUP | 0x2100, Data: -1}, "WRITE 4 HUP|EOF|0x2100 data=-1"},
		{event.Kevent{Filter: event.Read, Ident: 4, Flags: event.Error, Data: 2, Udata: 1 << 63}, "READ 4 ERROR data=ENOENT udata=9223372036854775808"},
		{event.Kevent{Filter: event.Read, Ident: 4, Flags: event.Error, Data: 9999}, "READ 4 ERROR data=9999"},
		{event.Kevent{Filter: event.Read, Ident: 4, Flags: event.EOF, Fflags: 104}, "READ 4 EOF fflags=ECONNRESET"},
		{event.Kevent{Filter: event.Write, Ident: 4, Fflags: 3}, "WRITE 4 fflags=LOWAT|OOB"},
		{event.Kevent{Filter: event.Read, Ident: 4, Fflags: 200}, "READ 4 fflags=0xc8"},
		{event.Kevent{Filter: event.Except, Ident: 4, Fflags: event.NoteOOB, Data: 111}, "EXCEPT 4 fflags=OOB data=ECONNREFUSED"},
		{event.Kevent{Filter: 77, Ident: 1<<64 - 1}, "77 18446744073709551615"},
		{event.Kevent{}, "0 0"},
	} {
		if got := tt.kev.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
		back, err := event.ParseKevent(tt.want)
		if err != nil || back != tt.kev {
			t.Errorf("ParseKevent(%q) = %+v, %v, want the record itself", tt.want, back, err)
		}
	}
}

// Every message names the word at fault and what would have been right.
func TestParseKeventErrors(t *testing.T) {
	for _, tt := range []struct{ text, word, want string }{
		{"", `""`, "a filter and an ident"},
		{"READ", `"READ"`, "a filter and an ident"},
		{"REED 3", `"REED"`, "READ, WRITE"},
		{"40000 3", `"40000"`, "from -32768 to 32767"},
		{"READ three", `"three"`, "a number from 0"},
		{"READ -1", `"-1"`, "a number from 0"},
		{"READ 3 ADD|CLAER", `"CLAER"`, "CLEAR"},
		{"READ 3 0x10000", `"0x10000"`, "16 bits"},
		{"READ 3 ADD|", `""`, "CLEAR"},
		{"READ 3 ADD CLEAR", `"CLEAR"`, "fflags="},
		{"READ 3 ADD fflags=TRIGGER", `"TRIGGER"`, "LOWAT"},
		{"USER 3 ADD fflags=LOWAT", `"LOWAT"`, "FFCOPY"},
		{"USER 3 ADD fflags=EIO", `"EIO"`, "FFCOPY"},
		{"READ 3 ADD data=EIO", `"EIO"`, "after ERROR"},
		{"SIGNAL 3 ADD fflags=EXIT", `"EXIT"`, "a number of 32 bits"},
		{"READ 3 ADD data=five", `"five"`, "a number from -2^63"},
		{"READ 3 ADD data=ENOENT", `"ENOENT"`, "after ERROR"},
		{"READ 3 ADD udata=-7", `"-7"`, "a number from 0"},
		{"READ 3 ADD data=1 data=2", `"data=2"`, "each once"},
		{"READ 3 ADD size=1", `"size="`, "udata="},
	} {
		kev, err := event.ParseKevent(tt.text)
		if err == nil {
			t.Errorf("ParseKevent(%q) = %v, want an error", tt.text, kev)
		} else if s := err.Error(); !strings.Contains(s, tt.word) || !strings.Contains(s, tt.want) {
			t.Errorf("ParseKevent(%q): %q, want %s and %q in it", tt.text, s, tt.word, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"READ 3 ADD|CLEAR fflags=LOWAT data=5 udata=7", "USER 0x10 ADD fflags=FFCOPY|TRIGGER|0x12", "TIMER 9 0x3000 fflags=ABSTIME|0x100",
		"-300 1 ERROR data=ENOENT", "READ 4 ERROR data=-9223372036854775808", "FS 0 0", "WRITE 1 fflags=OOB|LOWAT", "X", "READ 3 =",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kev, err := event.ParseKevent(s)
		if err != nil {
			return
		}
		text := kev.String()
		if strings.ContainsAny(text, "\n\r") {
			t.Fatalf("%q is not one line", text)
		}
		back, err := event.ParseKevent(text)
		if err != nil || back != kev {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, kev, text, back, err)
		}
	})
}

// The record and its text are two views of the same: any record, not only such
// as the parser makes, comes back.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(3), int16(-1), uint16(0x21), uint32(1), int64(5), uint64(7))
	f.Add(uint64(3), int16(-9), uint16(0x4000), uint32(0xc1000001), int64(2), uint64(0))
	f.Fuzz(func(t *testing.T, ident uint64, filter int16, flags uint16, fflags uint32, data int64, udata uint64) {
		kev := event.Kevent{Ident: ident, Filter: event.Filter(filter), Flags: event.Flags(flags), Fflags: event.Fflags(fflags), Data: data, Udata: udata}
		back, err := event.ParseKevent(kev.String())
		if err != nil || back != kev {
			t.Fatalf("%+v is written %q, which is %+v, %v", kev, kev.String(), back, err)
		}
	})
}
