package lint

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"strings"
	"unicode"
)

const (
	maxLines     = 500 // of a file that is not a test
	strategyFile = 80  // lines of the one file of a strategy
)

// vague are words that say nothing of what a thing is.
var vague = map[string]bool{"manager": true, "helper": true, "helpers": true, "util": true, "utils": true, "base": true}

// checkFormat is the format rule: gofmt, files of readable length, names that
// say something, and a strategy in one file of two minutes.
func checkFormat(files []*file) (out []finding) {
	const rule = "format rule"
	for _, f := range files {
		if want, err := format.Source(f.text); err != nil || !bytes.Equal(want, f.text) {
			out = append(out, f.found(f.firstDifference(want), rule, "not as gofmt writes it"))
		}
		if f.test() {
			continue
		}
		if n := f.lines(); n > maxLines {
			out = append(out, f.found(f.ast.Package, rule, "%d lines, at most %d", n, maxLines))
		}
		out = append(out, f.names(rule)...)
	}
	for dir, pkg := range packages(files) {
		if !strategy(dir) {
			continue
		}
		var own []*file
		for _, f := range pkg {
			if !f.test() {
				own = append(own, f)
			}
		}
		for i, f := range own {
			if len(own) > 1 {
				out = append(out, f.found(f.ast.Package, rule, "file %d of %d of a strategy, which is one file", i+1, len(own)))
			}
			if n := f.lines(); n > strategyFile {
				out = append(out, f.found(f.ast.Package, rule, "%d lines, a strategy has at most %d", n, strategyFile))
			}
		}
	}
	return out
}

// firstDifference returns where the file's text stops being want.
func (f *file) firstDifference(want []byte) token.Pos {
	i := 0
	for i < len(want) && i < len(f.text) && want[i] == f.text[i] {
		i++
	}
	tf := f.set.File(f.ast.FileStart)
	return tf.Pos(min(i, tf.Size()))
}

// names reports vague words in the names of the package, the file and what is
// declared outside functions.
func (f *file) names(rule string) (out []finding) {
	look := func(pos token.Pos, what, name string) {
		for _, w := range split(name) {
			if vague[w] {
				out = append(out, f.found(pos, rule, "%s %s: %q says nothing", what, name, w))
			}
		}
	}
	look(f.ast.Package, "package", f.ast.Name.Name)
	look(f.ast.Package, "file", strings.TrimSuffix(f.name, ".go"))
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			look(n.Name.Pos(), "function", n.Name.Name)
			return false
		case *ast.TypeSpec:
			look(n.Name.Pos(), "type", n.Name.Name)
		case *ast.ValueSpec:
			for _, name := range n.Names {
				look(name.Pos(), "name", name.Name)
			}
		case *ast.Field:
			for _, name := range n.Names {
				look(name.Pos(), "field", name.Name)
			}
		}
		return true
	})
	return out
}

// split returns the words of a name, in lower case: MixedCaps, under_scores.
func split(name string) []string {
	var words []string
	start := true
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case r == '_' || r == '-' || r == '.':
			start = true
			continue
		case unicode.IsUpper(r) && (i > 0 && unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			start = true
		}
		if start {
			words = append(words, "")
			start = false
		}
		words[len(words)-1] += string(unicode.ToLower(r))
	}
	return words
}

// checkTests is the file rule: every package of the model, and every one below
// strategies, has a test.
func checkTests(files []*file) (out []finding) {
	for dir, pkg := range packages(files) {
		if !below(dir, "model") && !below(dir, "strategies") {
			continue
		}
		var code *file
		tested := false
		for _, f := range pkg {
			tested = tested || f.test()
			if !f.test() && (code == nil || f.name < code.name) {
				code = f
			}
		}
		if code != nil && !tested {
			out = append(out, code.found(code.ast.Package, "file rule", "package %s has no test", code.ast.Name.Name))
		}
	}
	return out
}
