// Package lint holds the rules of this module that no compiler knows: who may
// import whom, what the kernel may be made of, that everything public is
// explained. Its tests apply each rule to the whole module, and to small files
// in testdata that break it, which must be reported.
package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// modulePath is the import path of the module's root.
const modulePath = "github.com/kqlab/kqlab"

// A file is one parsed Go file of the module.
type file struct {
	dir  string // slashes, relative to the module's root; "." is the root
	name string // without the directory
	text []byte
	set  *token.FileSet
	ast  *ast.File
}

func (f *file) test() bool { return strings.HasSuffix(f.name, "_test.go") }
func (f *file) main() bool { return f.ast.Name.Name == "main" }

// lines is how many lines the file has.
func (f *file) lines() int { return strings.Count(string(f.text), "\n") }

// A finding is one breach of a rule.
type finding struct {
	file string
	line int
	rule string
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.file, f.line, f.rule, f.text) }

// found reports a breach at pos.
func (f *file) found(pos token.Pos, rule, format string, args ...any) finding {
	line := 1
	if pos.IsValid() {
		line = f.set.Position(pos).Line
	}
	return finding{path.Join(f.dir, f.name), line, rule, fmt.Sprintf(format, args...)}
}

// parse parses one file.
func parse(dir, name string, text []byte) (*file, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path.Join(dir, name), text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &file{dir: dir, name: name, text: text, set: set, ast: tree}, nil
}

// load parses every Go file below root. It passes over testdata, what starts
// with a dot or an underscore, and modules inside the module.
func load(root string) ([]*file, error) {
	var files []*file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p == root {
				return nil
			}
			_, err := os.Stat(filepath.Join(p, "go.mod"))
			if err == nil || name == "testdata" || name[0] == '.' || name[0] == '_' {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(dir), name, text)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// below reports whether dir is root or lies below it.
func below(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

// packages groups files by directory.
func packages(files []*file) map[string][]*file {
	m := map[string][]*file{}
	for _, f := range files {
		m[f.dir] = append(m[f.dir], f)
	}
	return m
}
