package lint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func moduleRoot(t *testing.T) string {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestNotification applies the notification rule to the model.
func TestNotification(t *testing.T) {
	root := moduleRoot(t)
	pkgs, err := loadTyped(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sorted(checkNotification(root, pkgs)) {
		t.Error(f)
	}
}

// TestNotificationControls plants files in packages of the model, each of which
// wakes somebody past the sources, or lets itself be asked past its filters. They
// must be reported, and nothing else.
func TestNotificationControls(t *testing.T) {
	root := moduleRoot(t)
	files, want := unpack(t, filepath.Join("testdata", "notification", "planted.txt"))
	overlay := map[string][]byte{}
	for _, f := range files {
		overlay[filepath.Join(root, f.dir, f.name)] = f.text
	}
	pkgs, err := loadTyped(root, overlay)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range checkNotification(root, pkgs) {
		at := fmt.Sprintf("%s:%d", f.file, f.line)
		got[at] += f.String() + "\n"
	}
	for at, re := range want {
		if !re.MatchString(got[at]) {
			t.Errorf("%s: reported %q, want a match of %q", at, got[at], re)
		}
		delete(got, at)
	}
	for _, text := range got {
		t.Errorf("reported, and should not be: %s", text)
	}
}

// A fourth method of File is a fourth question to ask a file, and what is listed
// without need would pass for an exception that somebody has thought about.
func TestNotificationTables(t *testing.T) {
	root := moduleRoot(t)
	kernel := filepath.Join(root, "model", "kqueue", "kernel.go")
	text, err := os.ReadFile(kernel)
	if err != nil {
		t.Fatal(err)
	}
	with := bytes.Replace(text, []byte("type File interface {\n"), []byte("type File interface {\nPoll(events int) int\n"), 1)
	if bytes.Equal(with, text) {
		t.Fatal("kernel.go has no interface File")
	}
	pkgs, err := loadTyped(root, map[string][]byte{kernel: with})
	if err == nil {
		t.Error("every file has a method Poll")
	}
	allowed["model/device (*gone).wake"] = "a control"
	defer delete(allowed, "model/device (*gone).wake")
	out := sorted(checkNotification(root, pkgs))
	for _, want := range []string{
		"a File has Poll, Release, Source, Sources, want Release, Source, Sources",
		"model/device (*gone).wake is listed, and nothing needs it",
	} {
		if !slices.ContainsFunc(out, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("reported %q, want %q", out, want)
		}
	}
}
