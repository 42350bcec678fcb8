package arch

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// The budgets: how long files and functions may be, in lines, for at least this share of them; above the hard limit a function needs a comment that
// says why ("long because").
const (
	fileBudget     = 500
	functionBudget = 60
	share          = 0.95
	functionLimit  = 150
)

func TestFileBudget(t *testing.T) {
	n, over := 0, []string{}
	for _, f := range tree(t) {
		n++
		if f.lines > fileBudget {
			over = append(over, f.path)
		}
	}
	checkShare(t, "files", n, over)
}

func TestFunctionBudget(t *testing.T) {
	n, over := 0, []string{}
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n++
			length := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			name := f.path + ": " + fn.Name.Name
			if length > functionBudget && !isTable(fn) {
				over = append(over, name)
			}
			if length > functionLimit && !isTable(fn) && !strings.Contains(fn.Doc.Text(), "ong because") {
				t.Errorf("%s has %d lines and no comment that says \"long because\"", name, length)
			}
		}
	}
	checkShare(t, "functions", n, over)
}

// isTable tells whether a function does nothing but return one composite value: a table of rows, which may be long.
func isTable(fn *ast.FuncDecl) bool {
	if len(fn.Body.List) != 1 {
		return false
	}
	r, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(r.Results) != 1 {
		return false
	}
	_, ok = r.Results[0].(*ast.CompositeLit)
	return ok
}

func checkShare(t *testing.T, what string, n int, over []string) {
	t.Helper()
	if allowed := int(float64(n) * (1 - share)); len(over) > allowed {
		t.Errorf("%d of %d %s are over budget, %d may be:\n  %s", len(over), n, what, allowed, strings.Join(over, "\n  "))
	}
}

// Every package says what it is, and its comment's last paragraph says whose input it reads.
func TestPackageComments(t *testing.T) {
	byDir, dirs := packages(tree(t))
	for _, dir := range dirs {
		text := ""
		for _, f := range byDir[dir] {
			if f.file.Doc != nil {
				text += f.file.Doc.Text()
			}
		}
		paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
		switch last := paragraphs[len(paragraphs)-1]; {
		case text == "":
			t.Errorf("package %s has no comment", dir)
		case !strings.HasPrefix(last, "Trust:"):
			t.Errorf("the comment of package %s does not end with a paragraph \"Trust:\"", dir)
		}
	}
}

// Nothing registers itself.
func TestNoInit(t *testing.T) {
	for _, f := range tree(t) {
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has init()", f.path)
			}
		}
	}
}

// TestNoGlobals refuses package variables that can change: without a value, of a type that is state by its nature, or assigned to by a function of
// the package. Tables that nobody writes to, error values, embedded files and pools of buffers may be.
func TestNoGlobals(t *testing.T) {
	byDir, dirs := packages(tree(t))
	for _, dir := range dirs {
		written := make(map[string]bool)
		for _, f := range byDir[dir] {
			for _, d := range f.file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					writes(fn, written)
				}
			}
		}
		for _, f := range byDir[dir] {
			for _, d := range f.file.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.VAR {
					continue
				}
				for _, s := range g.Specs {
					v := s.(*ast.ValueSpec)
					for _, n := range v.Names {
						if why := mutable(g, v, n.Name, written); why != "" {
							t.Errorf("%s: package variable %s %s", f.path, n.Name, why)
						}
					}
				}
			}
		}
	}
}

// mutable says why a package variable is refused, "" if it is not.
func mutable(g *ast.GenDecl, v *ast.ValueSpec, name string, written map[string]bool) string {
	if name == "_" || isEmbedded(g.Doc) || isEmbedded(v.Doc) {
		return ""
	}
	if written[name] {
		return "is written to"
	}
	if state := stateType(v.Type); state != "" {
		return "is a " + state
	}
	if len(v.Values) == 0 {
		return "has no value"
	}
	for _, e := range v.Values {
		if u, ok := e.(*ast.UnaryExpr); ok {
			e = u.X
		}
		if c, ok := e.(*ast.CompositeLit); ok {
			if state := stateType(c.Type); state != "" {
				return "is a " + state
			}
		}
	}
	return ""
}

func isEmbedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed") {
			return true
		}
	}
	return false
}

// stateType names a type of sync or sync/atomic other than sync.Pool.
func stateType(e ast.Expr) string {
	if i, ok := e.(*ast.IndexExpr); ok {
		e = i.X
	}
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Name != "sync" && x.Name != "atomic" || s.Sel.Name == "Pool" {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

// writes adds the names that a function assigns to, whole or in part, and that it does not declare itself.
func writes(fn *ast.FuncDecl, written map[string]bool) {
	local := make(map[string]bool)
	declare := func(fields *ast.FieldList) {
		if fields == nil {
			return
		}
		for _, f := range fields.List {
			for _, n := range f.Names {
				local[n.Name] = true
			}
		}
	}
	declare(fn.Recv)
	var targets []ast.Expr
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			declare(n.Params)
			declare(n.Results)
		case *ast.ValueSpec:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				targets = append(targets, n.Key, n.Value)
			}
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
				}
			}
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
				} else {
					targets = append(targets, e)
				}
			}
		case *ast.IncDecStmt:
			targets = append(targets, n.X)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "delete" {
				targets = append(targets, n.Args[0])
			}
		}
		return true
	})
	for _, e := range targets {
		if name := root(e); name != "" && !local[name] {
			written[name] = true
		}
	}
}

// root returns the variable that an assignment's left side is part of.
func root(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// TestShare keeps tests in proportion to what they test.
func TestShare(t *testing.T) {
	source, tests := 0, 0
	for _, f := range tree(t) {
		if f.test {
			tests += f.lines
		} else {
			source += f.lines
		}
	}
	t.Logf("%d lines of source, %d of tests: %.2f", source, tests, float64(tests)/float64(source))
}
