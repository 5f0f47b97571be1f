package fuzz

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// Each property that is looked for has a sentence, and no other has.
func TestSentences(t *testing.T) {
	var properties []string
	for _, of := range []struct{ file, first string }{{"run.go", "noPanic"}, {"check.go", "afterTheEnd"}, {"verify.go", "linear"}} {
		f, err := parser.ParseFile(token.NewFileSet(), of.file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			d, ok := d.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST || d.Specs[0].(*ast.ValueSpec).Names[0].Name != of.first {
				continue
			}
			for _, s := range d.Specs {
				name, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				properties = append(properties, name)
			}
		}
	}
	if len(properties) < 15 {
		t.Errorf("found %d properties: %q", len(properties), properties)
	}
	for _, p := range properties {
		if (&Finding{Property: p}).Sentence() == "" {
			t.Errorf("%s has no sentence", p)
		}
	}
	for p := range sentences {
		if !slices.Contains(properties, p) {
			t.Errorf("there is a sentence of %s, which is no property", p)
		}
	}
}
