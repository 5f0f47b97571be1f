package lint

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	typed "golang.org/x/tools/go/packages"
)

// The notification rule: nothing but [kqueue.Source.Post] wakes who waits for an
// event, and nothing but a filter says whether there is one. So outside of
// Post's path no function wakes a wait channel, none has a wait channel to be
// woken on, and no file has a second way to be asked for readiness, as
// f_poll was beside f_kqfilter until 2010.
//
// It is decided by what names mean, not by how they are written: go/types finds
// a wakeup that is taken as a method value, or under another import's name.
const notification = "notification rule"

// doors are what wakes a thread. Each is a function, by its full name without
// the module's path; what may refer to it the table allowed says.
var doors = map[string]string{
	"(*model/machine.Thread).Wakeup":    "wakes a wait channel",
	"(*model/machine.Thread).WakeupOne": "wakes a wait channel",
	"(*model/machine.Thread).Unsleep":   "wakes a thread",
	"model/kqueue.Activate":             "activates a knote past its source",
	"model/kqueue.activate":             "activates a knote past its source",
	"(*model/kqueue.queueHalf).arrive":  "puts a knote on its queue's list",
	"(*model/kqueue.queueHalf).enlist":  "puts a knote on its queue's list",
	"(*model/kqueue.Knote).Receive":     "activates a knote past its source",
	"(*model/kqueue.Knote).Mail":        "gives the message that activates a knote",
	"(model/kqueue.Domain).Deliver":     "activates a knote past its source",
}

// inside are the functions of machine that may refer to a door there, to wake,
// which both come by, or to what that does on a virtual machine.
var inside = map[string]string{
	"(*Thread).Wakeup":      "a door",
	"(*Thread).WakeupOne":   "a door",
	"(*Thread).Unsleep":     "a door",
	"(*Thread).wake":        "where the first two end",
	"(*WaitChan).unsleep":   "where the third ends",
	"(*Thread).setRunnable": "where all end",
	"(*Callout).fire":       "who waits for a callout to have ended: a drain, not an event",
}

// allowed are the places that may wake, or have a wait channel, each with the
// reason why that is no second notification path: a function, a variable or a
// field of a type, after its package.
var allowed = map[string]string{
	"model/kqueue activate":            "the notification path: Post ends here",
	"model/kqueue (*Source).Post":      "the notification path: it begins here",
	"model/kqueue (*Queue).Close":      "the queue is no more, which its waiters are to learn",
	"model/kqueue (*Source).deliver":   "the notification path: Post goes on",
	"model/kqueue Activate":            "the notification path: Post goes on",
	"model/kqueue (*watched).activate": "the notification path: on a virtual machine",
	"model/kqueue (*Knote).Receive":    "the notification path: a delivery has come by mail",
	"model/kqueue clean":               "who closes a queue waits for its last cleaner",
	"model/kqueue (*Source).wake":      "a busy knote is free, or a gone one done: a lock",
	"model/kqueue (*pass).settle":      "a claim is settled: a lock",
	"model/kqueue Queue.waiters":       "where kevent waits",
	"model/kqueue Queue.settled":       "a claim: a lock",
	"model/kqueue Queue.cleaned":       "the last cleaner of a closed queue",
	"model/kqueue Source.wait":         "a busy knote, or a gone one: a lock",
	"model/device (*gate).pass":        "tells a test how many threads stand in a probe's filter",
	"model/device (*gate).let":         "a test opens the gate inside of a probe's filter",
	"model/device door.open":           "the gate inside of a probe's filter",
	"model/device door.more":           "a test waits for threads to stand there",
	"model/device naps":                "a probe's filter that lets go of its domain; nobody wakes it",
	"model/device Probe.nap":           "a probe's filter that lets go of its domain; nobody wakes it",
	"model/proc (*Description).Drop":   "who closes the last descriptor waits for calls that work with the file: a lock",
	"model/proc Description.idle":      "the last of the calls that work with a file: a lock",
	"model/proc (*Lwp).flag":           "a signal ends the wait, and is no event",
	"model/host (*File).poll":          "asks Linux, on behalf of a filter",
	"model/host (*watchedSignal).post": "a goroutine has ended, which the host's close waits for; what it tells of signals goes through Post",
	"model/host (*signals).close":      "ends the goroutines that take signals from Go's runtime",
}

// A readiness is a method name under which files used to be asked, or told who
// wants to know, besides their filters.
var readiness = regexp.MustCompile(`(?i)^(f?o?_?poll|poll_?events|poll_?mask|is_?ready|ready|readable|writable|readiness|revents|sel_?record|sel_?wakeup|select)$`)

// fileMethods is all that the core, and so anybody, can ask a file.
var fileMethods = []string{"Release", "Source", "Sources"}

// loadTyped loads the packages of the model with their types, those with errors
// too; overlay replaces or adds files, by absolute path.
func loadTyped(root string, overlay map[string][]byte) ([]*typed.Package, error) {
	pkgs, err := typed.Load(&typed.Config{
		Dir:     root,
		Overlay: overlay,
		Mode: typed.NeedName | typed.NeedFiles | typed.NeedImports | typed.NeedTypes |
			typed.NeedTypesInfo | typed.NeedSyntax,
	}, "./model/...")
	if err != nil {
		return nil, err
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			err = errors.Join(err, fmt.Errorf("%s: %v", p.PkgPath, e))
		}
	}
	return pkgs, err
}

// A watch looks at one package for the notification rule.
type watch struct {
	root string
	pkg  *typed.Package
	dir  string
	used map[string]bool // entries of the tables that are needed, doors that exist
	out  []finding
}

// checkNotification is the notification rule, over packages of the model below
// root. Entries of the tables that nothing needs are findings too.
func checkNotification(root string, pkgs []*typed.Package) []finding {
	used := map[string]bool{}
	var out []finding
	for _, p := range pkgs {
		dir, ok := strings.CutPrefix(p.PkgPath, modulePath+"/")
		if !ok {
			continue
		}
		w := &watch{root: root, pkg: p, dir: dir, used: used}
		for _, obj := range p.TypesInfo.Defs {
			if f, ok := obj.(*types.Func); ok && doors[short(f)] != "" {
				used[short(f)] = true
			}
		}
		switch {
		case below(dir, "model/event"), below(dir, "model/spec"), below(dir, "model/machine/sched"):
			continue // pure: no thread
		case dir == "model/machine":
			w.machine()
		default:
			w.wakers()
			w.askers()
		}
		out = append(out, w.out...)
	}
	for _, table := range []map[string]string{doors, inside, allowed} {
		for name := range table {
			if !used[name] {
				out = append(out, finding{"internal/lint/notification.go", 1, notification, fmt.Sprintf("%s is listed, and nothing needs it", name)})
			}
		}
	}
	return out
}

func (w *watch) found(pos token.Pos, format string, args ...any) {
	at := w.pkg.Fset.Position(pos)
	name, err := filepath.Rel(w.root, at.Filename)
	if err != nil {
		name = at.Filename
	}
	w.out = append(w.out, finding{filepath.ToSlash(name), at.Line, notification, fmt.Sprintf(format, args...)})
}

// allow reports whether the place has leave, by its name in this package.
func (w *watch) allow(place string) bool {
	key := w.dir + " " + place
	if allowed[key] == "" {
		return false
	}
	w.used[key] = true
	return true
}

// uses calls f for each identifier of the package that stands for an object of
// another name space: the object, and the declaration that it is in.
func (w *watch) uses(f func(id *ast.Ident, obj types.Object, place string)) {
	for _, file := range w.pkg.Syntax {
		for _, decl := range file.Decls {
			w.within(decl, f)
		}
	}
}

func (w *watch) within(decl ast.Decl, f func(*ast.Ident, types.Object, string)) {
	look := func(n ast.Node, place string) {
		ast.Inspect(n, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if obj := w.pkg.TypesInfo.Uses[id]; obj != nil {
					f(id, obj, place)
				}
			}
			return true
		})
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		look(d, funcName(d))
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				look(s, s.Names[0].Name)
			case *ast.TypeSpec:
				st, ok := s.Type.(*ast.StructType)
				if !ok {
					look(s, s.Name.Name)
					continue
				}
				for _, field := range st.Fields.List {
					name := types.ExprString(field.Type)
					if len(field.Names) > 0 {
						name = field.Names[0].Name
					}
					look(field, s.Name.Name+"."+name)
				}
			}
		}
	}
}

// funcName is a function's name as the tables have it.
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := receiver(d.Recv.List[0].Type).Name
	if _, ok := d.Recv.List[0].Type.(*ast.StarExpr); ok {
		t = "*" + t
	}
	return "(" + t + ")." + d.Name.Name
}

// short is an object's full name without the module's path.
func short(obj types.Object) string {
	name := obj.Name()
	if f, ok := obj.(*types.Func); ok {
		name = f.Origin().FullName()
	} else if obj.Pkg() != nil {
		name = obj.Pkg().Path() + "." + name
	}
	return strings.ReplaceAll(name, modulePath+"/", "")
}

// machine looks at who wakes inside of the machine: what is exported and does
// must be a door.
func (w *watch) machine() {
	w.uses(func(id *ast.Ident, obj types.Object, place string) {
		switch short(obj) {
		case "(*model/machine.Thread).wake", "(*model/machine.Thread).setRunnable", "(*model/machine.virtual).unpark":
		case "(*model/machine.WaitChan).unsleep":
		case "(*model/machine.Thread).Wakeup", "(*model/machine.Thread).WakeupOne", "(*model/machine.Thread).Unsleep":
		default:
			return
		}
		if inside[place] == "" {
			w.found(id.Pos(), "%s refers to %s: a door that the rule does not know", place, id.Name)
		}
		w.used[place] = true
	})
}

// wakers looks for what could wake a waiter past the sources.
func (w *watch) wakers() {
	w.uses(func(id *ast.Ident, obj types.Object, place string) {
		name := short(obj)
		what := doors[name]
		switch {
		case what != "":
		case name == "model/machine.WaitChan":
			what = "is a wait channel, beside that of kevent"
		case name == "sync.Cond" || name == "sync.NewCond" || name == "sync.WaitGroup":
			what = "wakes whom no kqueue knows of"
		default:
			return
		}
		if !w.allow(place) {
			w.found(id.Pos(), "%s: %s %s; only Source.Post wakes who waits for an event", place, id.Name, what)
		}
	})
	for _, file := range w.pkg.Syntax {
		for _, decl := range file.Decls {
			w.channels(decl)
		}
	}
}

// channels looks for Go's own. Most of the model may not have any, by the
// primitives rule; what touches the world outside may, but not to tell of events.
func (w *watch) channels(decl ast.Decl) {
	place := ""
	if d, ok := decl.(*ast.FuncDecl); ok {
		place = funcName(d)
	}
	ast.Inspect(decl, func(n ast.Node) bool {
		what := ""
		switch n := n.(type) {
		case *ast.SendStmt:
			what = "a send on a channel"
		case *ast.CallExpr:
			id, ok := ast.Unparen(n.Fun).(*ast.Ident)
			if !ok {
				break
			}
			if b, ok := w.pkg.TypesInfo.Uses[id].(*types.Builtin); ok && b.Name() == "close" {
				what = "a close of a channel"
			}
		}
		if what != "" && !w.allow(place) {
			w.found(n.Pos(), "%s: %s wakes whom no kqueue knows of; only Source.Post wakes who waits for an event", place, what)
		}
		return true
	})
}

// askers looks for a second way to ask whether a file is ready.
func (w *watch) askers() {
	file := w.file()
	if file == nil {
		return
	}
	scope := w.pkg.Types.Scope()
	if w.dir == "model/kqueue" {
		var methods []string
		for i := range file.NumMethods() {
			methods = append(methods, file.Method(i).Name())
		}
		slices.Sort(methods)
		if !slices.Equal(methods, fileMethods) {
			w.found(scope.Lookup("File").Pos(), "a File has %s, want %s: whether it is ready is asked through the filter of a Source",
				strings.Join(methods, ", "), strings.Join(fileMethods, ", "))
		}
	}
	for _, name := range scope.Names() {
		t, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || t.IsAlias() {
			continue
		}
		n, ok := t.Type().(*types.Named)
		if !ok || n.TypeParams().Len() > 0 {
			continue
		}
		i, isInterface := n.Underlying().(*types.Interface)
		if isInterface && n.Obj().Name() != "File" {
			for j := range i.NumMethods() {
				w.asks(i.Method(j), "interface "+name)
			}
		}
		if !isInterface && (types.Implements(n, file) || types.Implements(types.NewPointer(n), file)) {
			// With those of what it embeds.
			for m := range types.NewMethodSet(types.NewPointer(n)).Methods() {
				w.asks(m.Obj().(*types.Func), "file "+name)
			}
		}
	}
}

// asks reports a method by which a file could be asked whether it is ready.
func (w *watch) asks(m *types.Func, of string) {
	if readiness.MatchString(m.Name()) && !w.allow(methodName(m)) {
		w.found(m.Pos(), "%s has a method %s; whether a file is ready only its filters say", of, m.Name())
		return
	}
	s := m.Signature()
	for _, vars := range []*types.Tuple{s.Results(), s.Params()} {
		for v := range vars.Variables() {
			if n, ok := types.Unalias(v.Type()).(*types.Named); ok && short(n.Obj()) == "model/event.PollEvents" {
				w.found(m.Pos(), "%s has a method %s that speaks of poll events; only model/poll knows those, from what filters say", of, m.Name())
				return
			}
		}
	}
}

// methodName is a method's name as the tables have it.
func methodName(m *types.Func) string {
	t := m.Signature().Recv().Type()
	star := ""
	if p, ok := t.(*types.Pointer); ok {
		t, star = p.Elem(), "*"
	}
	if n, ok := t.(*types.Named); ok {
		return "(" + star + n.Obj().Name() + ")." + m.Name()
	}
	return m.Name()
}

// file returns the interface kqueue.File as this package sees it.
func (w *watch) file() *types.Interface {
	p := w.pkg.Types
	if w.dir != "model/kqueue" {
		i := slices.IndexFunc(p.Imports(), func(p *types.Package) bool { return p.Path() == modulePath+"/model/kqueue" })
		if i < 0 {
			return nil
		}
		p = p.Imports()[i]
	}
	f, ok := p.Scope().Lookup("File").(*types.TypeName)
	if !ok {
		return nil
	}
	i, _ := f.Type().Underlying().(*types.Interface)
	return i
}
