package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// kernelDirs is what must run on any back end of the machine: there the kernel
// may wait, race and tell the time only through the machine's primitives. What
// else it did a virtual machine would not see.
var kernelDirs = []string{"model/kqueue", "model/proc", "model/device", "model/poll", "model/catalog", "model/spec"}

// barred are packages that the kernel must not use, with all below them.
var barred = []string{"sync", "os", "net", "unsafe", "math/rand", "runtime", "context", "iter", "testing", "log"}

// partly are packages of which the kernel may use these names only.
var partly = map[string]*regexp.Regexp{
	"time":    regexp.MustCompile(`^(Duration|Nanosecond|Microsecond|Millisecond|Second|Minute|Hour)$`),
	"syscall": regexp.MustCompile(`^(Errno|E[A-Z0-9]+|Signal|SIG[A-Z0-9]+)$`),
}

func inKernel(dir string) bool {
	for _, k := range kernelDirs {
		if below(dir, k) {
			return true
		}
	}
	return strategy(dir)
}

// checkPrimitives is the rule that the kernel uses the machine's primitives.
func checkPrimitives(files []*file) (out []finding) {
	for _, f := range files {
		if inKernel(f.dir) && !f.test() {
			out = append(out, f.primitives()...)
		}
	}
	return out
}

func (f *file) primitives() (out []finding) {
	const rule = "primitives rule"
	report := func(pos token.Pos, format string, args ...any) {
		out = append(out, f.found(pos, rule, format, args...))
	}
	limited := map[string]string{} // local name of an import -> its path
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		for _, b := range barred {
			if below(p, b) {
				report(spec.Pos(), "the kernel must not import %s", p)
			}
		}
		name := p[strings.LastIndexByte(p, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if partly[p] != nil {
			limited[name] = p
		}
		if name == "." || name == "_" || p == "C" {
			report(spec.Pos(), "the kernel must not import %s as %s", p, name)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n.Pos(), "go statement; the machine starts threads (Machine.Go)")
		case *ast.ChanType:
			report(n.Pos(), "channel type; use machine.WaitChan or machine.Inbox")
		case *ast.SelectStmt:
			report(n.Pos(), "select statement")
		case *ast.SendStmt:
			report(n.Pos(), "send on a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				report(n.Pos(), "receive from a channel")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok || x.Obj != nil { // a variable of that name
				break
			}
			if p := limited[x.Name]; p != "" && !partly[p].MatchString(n.Sel.Name) {
				report(n.Pos(), "%s.%s; of package %s the kernel may use %s only", p, n.Sel.Name, p, strings.Trim(partly[p].String(), "^$"))
			}
		}
		return true
	})
	return out
}
