package lint

import (
	"go/ast"
	"go/token"
)

// known are methods that an interface of the standard library explains.
var known = map[string]bool{"String": true, "Error": true, "Unwrap": true}

// checkDocs is the doc rule: every package has a package comment, and every
// exported identifier of a package that can be imported has a doc comment.
func checkDocs(files []*file) (out []finding) {
	const rule = "doc rule"
	for _, pkg := range packages(files) {
		var first *file
		explained := false
		for _, f := range pkg {
			if f.test() {
				continue
			}
			if first == nil || f.name < first.name {
				first = f
			}
			explained = explained || f.ast.Doc.Text() != ""
			if !f.main() {
				out = append(out, f.docs(rule)...)
			}
		}
		if first != nil && !explained {
			out = append(out, first.found(first.ast.Package, rule, "package %s has no package comment", first.ast.Name.Name))
		}
	}
	return out
}

func (f *file) docs(rule string) (out []finding) {
	need := func(name *ast.Ident, what string, docs ...*ast.CommentGroup) {
		for _, d := range docs {
			if d.Text() != "" {
				return
			}
		}
		if name.IsExported() {
			out = append(out, f.found(name.Pos(), rule, "%s %s has no doc comment", what, name.Name))
		}
	}
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				need(d.Name, "function", d.Doc)
			} else if receiver(d.Recv.List[0].Type).IsExported() && !known[d.Name.Name] {
				need(d.Name, "method", d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					doc := s.Doc
					if !d.Lparen.IsValid() {
						doc = d.Doc
					}
					need(s.Name, "type", doc, s.Comment)
					if i, ok := s.Type.(*ast.InterfaceType); ok && s.Name.IsExported() {
						for _, m := range i.Methods.List {
							for _, name := range m.Names {
								need(name, "method", m.Doc, m.Comment)
							}
						}
					}
				case *ast.ValueSpec:
					what := "variable"
					if d.Tok == token.CONST {
						what = "constant"
					}
					for _, name := range s.Names {
						need(name, what, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
	return out
}

// receiver returns the name of a method's type.
func receiver(t ast.Expr) *ast.Ident {
	for {
		switch x := t.(type) {
		case *ast.Ident:
			return x
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		default:
			return ast.NewIdent("_")
		}
	}
}
