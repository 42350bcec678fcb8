package redirect

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/route"
)

// maxData is the greatest length of a redirection file or an included one.
const maxData = 1 << 20

// work is one run of the router.
type work struct {
	*route.Run
	c  *settings
	id route.Identity
	// what is "redirect data", "filter file" and so on, for messages.
	source string
	// tainted says that the data is.
	tainted bool
}

func run(r *route.Run) route.Outcome {
	w := &work{Run: r, c: route.Settings[settings](r.Router.Instance), source: "data"}
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	var ok bool
	var outcome route.Outcome
	if w.id, ok, outcome = r.Identity(); !ok {
		return outcome
	}
	text, ok, outcome := w.data()
	if !ok {
		return outcome
	}
	if name := filterKind(text); name != "" {
		return w.filter(name)
	}
	p := w.parser()
	_, err := p.parse(text)
	w.reportSkipped(p.skipped, err == nil && len(p.items) > 0)
	if err != nil {
		return r.Postpone(mail.ErrnoBadRedirect, "error in redirect %s: %s", w.source, err)
	}
	return w.act(p)
}

// data gets the text of the data or file option. ok is false when the router is to return the outcome.
func (w *work) data() (text string, ok bool, outcome route.Outcome) {
	source := string(w.c.data)
	isFile := w.c.file != ""
	if isFile {
		source = string(w.c.file)
	}
	v, err := w.Scope.Engine.Expand(w.Scope, source)
	switch {
	case errors.Is(err, expand.ErrForced):
		return "", false, route.Decline
	case err != nil:
		return "", false, w.Postpone(mail.ErrnoExpandFail, "failed to expand \"%s\": %s", source, err)
	}
	w.TraceExpanded(v.S)
	switch {
	case !isFile:
		w.tainted = v.Tainted
		return v.S, true, route.Accepted
	}
	w.source = "file"
	switch {
	case !strings.HasPrefix(v.S, "/"):
		return "", false, w.Postpone(0, "\"%s\" is not an absolute path", v.S)
	case w.Scope.Untrusted(v, "Tainted name '%s' for file read not permitted", v.S):
		return "", false, w.Postpone(0, "Tainted name '%s' for file read not permitted\n", v.S)
	}
	return w.readFile(v.S)
}

// readFile reads the file of the file option and checks who owns it.
func (w *work) readFile(name string) (text string, ok bool, outcome route.Outcome) {
	data, info, err := w.ReadFile(w.id, name, maxData)
	switch {
	case info != nil && !info.Mode().IsRegular():
		return "", false, w.Postpone(mail.ErrnoNotRegular, "%s is not a regular file", name)
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		if w.c.ignoreENOTDIR {
			return "", false, route.Decline
		}
		return "", false, w.missing(name)
	case errors.Is(err, syscall.ENOTDIR) && w.c.ignoreENOTDIR, errors.Is(err, fs.ErrPermission) && w.c.ignoreEACCES:
		return "", false, route.Decline
	case info != nil && info.Size() > maxData:
		return "", false, w.Postpone(0, "%s is too big (max %d)", name, maxData)
	default:
		return "", false, w.Postpone(0, "failed to open %s: %s", name, route.Reason(err))
	}
	if problem := w.ownership(name, info); problem != "" {
		return "", false, w.Postpone(0, "%s", problem)
	}
	return string(data), true, route.Accepted
}

// missing decides about a file that is not there: if its directory is not there either, something is not mounted.
func (w *work) missing(name string) route.Outcome {
	dir := path.Dir(name)
	dir = strings.TrimSuffix(dir, "/") + "/."
	if _, err := w.Stat(w.id, dir); err != nil {
		if errors.Is(err, fs.ErrPermission) && w.c.ignoreEACCES {
			return route.Decline
		}
		return w.Postpone(0, "failed to stat %s (%s)", dir, route.Reason(err))
	}
	return route.Decline
}

// ownership checks mode, owner and group of the file (spec 22.10) and returns what is wrong.
func (w *work) ownership(name string, info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	if bad := uint32(st.Mode) & uint32(w.c.modemask); bad != 0 {
		return fmt.Sprintf("bad mode (0%o) for %s: 0%o bit(s) unexpected", st.Mode, name, bad)
	}
	local := w.LocalUser != nil
	if enabled(w.c.checkOwner, w.c.ownerByDefault(local)) && !(local && int(st.Uid) == w.LocalUser.UID) && !w.c.owners.Has(int(st.Uid)) {
		return "bad owner for " + name
	}
	if enabled(w.c.checkGroup, w.c.groupByDefault(local)) && !(local && int(st.Gid) == w.LocalUser.GID) && !w.c.owngroups.HasAny(int(st.Gid)) {
		return "bad group for " + name
	}
	return ""
}

func enabled(option *bool, byDefault bool) bool {
	if option != nil {
		return *option
	}
	return byDefault
}

// filterKind tells whether data is to be taken for a filter: its first line is "# Exim filter" or "# Sieve filter", without
// regard to case.
func filterKind(text string) string {
	rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n"), "#")
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, " \t")
	for _, kind := range []string{"exim", "sieve"} {
		n := len(kind)
		if len(rest) <= n || !strings.EqualFold(rest[:n], kind) {
			continue
		}
		after := strings.TrimLeft(rest[n:], " \t")
		if len(after) < len(rest[n:]) && len(after) >= 6 && strings.EqualFold(after[:6], "filter") {
			return kind
		}
	}
	return ""
}

// filter refuses filters by name, as no interpreter is part of this version.
func (w *work) filter(kind string) route.Outcome {
	text := "filtering not enabled"
	switch {
	case !w.c.allowFilter:
	case kind == "exim" && w.c.forbidEximFilter:
		text = "Exim filtering not enabled"
	case kind == "sieve" && w.c.forbidSieve:
		text = "Sieve filtering not enabled"
	case kind == "exim":
		text = "Exim filters are not supported yet"
	default:
		text = "Sieve filters are not supported yet"
	}
	return w.Postpone(mail.ErrnoBadRedirect, "error in filter %s: %s", w.source, text)
}

// parser makes a list parser with the router's options.
func (w *work) parser() *parser {
	m := option.Of[config.Main](w.Scope.Config.MainOptions())
	return &parser{
		options: address.Options{
			AllowLiterals: m.AllowDomainLiterals, AllowUTF8: m.AllowUTF8Domains,
			StripTrailingDot: m.StripTrailingDot, StripExcessAngles: m.StripExcessAngleBrackets,
		},
		allowDefer: w.c.allowDefer, allowFail: w.c.allowFail, forbidBlackhole: w.c.forbidBlackhole,
		skip: w.c.skipSyntaxErrors, include: w.include,
	}
}

// include reads a file that the list includes.
func (w *work) include(name string) (string, error) {
	dir := w.c.includeDirectory
	switch {
	case w.c.forbidInclude:
		return "", errors.New("included files not permitted")
	case !strings.HasPrefix(name, "/"):
		return "", fmt.Errorf("included file \"%s\" is not an absolute path", name)
	case w.Scope.Untrusted(mail.Value{S: name, Tainted: w.tainted}, "Tainted name '%s' for included file  not permitted", name):
		return "", fmt.Errorf("Tainted name '%s' for included file  not permitted", name)
	case dir != "" && !inside(dir, name):
		return "", fmt.Errorf("included file %s is not in directory %s", name, dir)
	}
	if dir != "" {
		if info, err := w.Lstat(w.id, name); err == nil && !info.Mode().IsRegular() {
			return "", fmt.Errorf("included file %s is not a regular file in the %s directory", name, dir)
		}
	}
	data, info, err := w.ReadFile(w.id, name, maxData)
	switch {
	case info != nil && info.IsDir():
		return "", fmt.Errorf("error while reading included file %s: Is a directory", name)
	case info != nil && !info.Mode().IsRegular():
		return "", fmt.Errorf("included file %s is not a regular file", name)
	case err != nil && info != nil && info.Size() > maxData:
		return "", fmt.Errorf("included file %s is too big (max %d)", name, maxData)
	case err != nil:
		return "", fmt.Errorf("failed to open included file %s: %s", name, route.Reason(err))
	}
	return string(data), nil
}

// inside tells whether a path stays in a directory.
func inside(dir, name string) bool {
	return strings.HasPrefix(path.Clean(name), strings.TrimSuffix(path.Clean(dir), "/")+"/")
}

// reportSkipped logs malformed items and tells syntax_errors_to. others says that the list holds good items as well.
func (w *work) reportSkipped(skipped []*syntaxError, others bool) {
	if len(skipped) == 0 {
		return
	}
	var list strings.Builder
	for _, e := range skipped {
		w.Log("%s router: skipped error: %s", w.Router.Name, e)
		fmt.Fprintf(&list, "  %s", e.reason)
		if e.item != "" {
			fmt.Fprintf(&list, " in the address\n  \"%s\"", e.item)
		}
		list.WriteString("\n\n")
	}
	if w.c.syntaxErrorsTo == "" {
		return
	}
	to, err := w.Scope.Engine.Expand(w.Scope, string(w.c.syntaxErrorsTo))
	if err != nil {
		w.Panic("%s router failed to expand \"%s\": %s", w.Router.Name, w.c.syntaxErrorsTo, err)
		return
	}
	text, err := w.Scope.Engine.Expand(w.Scope, string(w.c.syntaxErrorsText))
	if err != nil {
		w.Panic("%s router failed to expand \"%s\": %s", w.Router.Name, w.c.syntaxErrorsText, err)
	}
	if text.S != "" {
		text.S += "\n\n"
	}
	end := "No valid addresses were generated.\n"
	if others {
		end = "Other addresses were processed normally.\n"
	}
	w.Report(to.S, text.S+"The "+w.Router.Name+" router encountered the following error(s):\n\n"+list.String()+end)
}
