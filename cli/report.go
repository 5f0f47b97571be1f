package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/bench"
)

// A folder is where a report goes. The zero folder takes nothing.
type folder struct {
	path string
	made bool // by us, and empty so far
}

// openReport makes the folder, and makes sure that a file can be written
// there, before anything is measured. An empty path is no report.
func (a *app) openReport(cmd *cobra.Command, path string) (*folder, error) {
	d := &folder{path: path}
	if path == "" {
		return d, nil
	}
	refuse := func(err error) error {
		d.abandon()
		return usage(cmd.CommandPath(), "--out: a report cannot be written to %s: %v", path, reason(err))
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		d.made = true
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		d.made = false
		return nil, refuse(err)
	}
	for _, name := range []string{pageName, resultsName, benchName, verdictsName} {
		p := filepath.Join(path, name)
		if info, err := os.Stat(p); err == nil && !info.Mode().IsRegular() {
			return nil, refuse(fmt.Errorf("%s is there and is not a plain file", name))
		} else if err == nil {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return nil, refuse(err)
			}
			f.Close()
		}
	}
	f, err := os.CreateTemp(path, "probe-*")
	if err != nil {
		return nil, refuse(err)
	}
	f.Close()
	return d, os.Remove(f.Name())
}

// reason leaves out of an error the path, which the message has already.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// abandon removes the folder if nothing has been written to it.
func (d *folder) abandon() {
	if d.made {
		os.Remove(d.path)
	}
}

func (d *folder) index() string { return filepath.Join(d.path, pageName) }

// The files of a report.
const (
	pageName     = "index.html"
	resultsName  = "results.jsonl"
	benchName    = "bench.txt"
	verdictsName = "verdicts.jsonl"
)

// A filling is what goes into a folder: a writer for each file.
type filling map[string]func(io.Writer) error

// write fills the folder with a report of what was tried and measured.
func (d *folder) write(r *result) error {
	files := newFilling(r.verdicts)
	files[resultsName] = func(w io.Writer) error { return bench.WriteJSON(w, r.records) }
	files[benchName] = func(w io.Writer) error { return bench.WriteBench(w, r.records) }
	files[pageName] = r.writePage
	return d.fill(files)
}

// newFilling has the verdicts, a line each. What a process printed when it was
// caught is kept whole; the verdict has a line of it.
func newFilling(verdicts []*verdict) filling {
	files := filling{verdictsName: func(w io.Writer) error { return writeLines(w, verdicts) }}
	for _, v := range verdicts {
		if v.Caught != "" && len(v.output) > 0 {
			files[v.outputName()] = func(w io.Writer) error {
				_, err := w.Write(v.output)
				return err
			}
		}
	}
	return files
}

// fill writes the files.
func (d *folder) fill(files filling) error {
	if d.path == "" {
		return nil
	}
	d.made = false
	// Those of an earlier report would be taken for this one's.
	there, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, f := range there {
		if stale, _ := filepath.Match(outputPrefix+"*.txt", f.Name()); stale {
			if err := os.Remove(filepath.Join(d.path, f.Name())); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
	}
	for name, write := range files {
		var buf bytes.Buffer
		if err := write(&buf); err != nil {
			return fmt.Errorf("report: %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(d.path, name), buf.Bytes(), 0o666); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// outputPrefix begins the names of files with what a process printed.
const outputPrefix = "output-"

// outputName is the file of a report that has what the process printed.
func (v *verdict) outputName() string { return outputPrefix + v.Strategy + ".txt" }
