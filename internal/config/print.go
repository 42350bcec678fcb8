package config

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"exigo/internal/option"
)

// What Print returns when something asked for is not shown. The first goes to the standard error after "exim: "; for the second
// the output has said what is missing, and only the exit status tells.
const (
	ErrPermission = constError("permission denied")
	ErrNotShown   = constError("not a known option or driver")
)

const notDisplayable = "<value not displayable>"

// printer is one call of Print.
type printer struct {
	*bufio.Writer
	c       *Config
	admin   bool
	noNames bool
	shown   *Instance // being printed
}

// Print writes what -bP asks for with the arguments (spec chapter 5, "-bP"). admin shows hidden values too; noNames (-n) leaves
// names out. Errors are ErrPermission, ErrNotShown (about the last item, as Exim's exit status) or of writing.
func Print(w io.Writer, c *Config, args []string, admin, noNames bool) error {
	p := &printer{Writer: bufio.NewWriter(w), c: c, admin: admin, noNames: noNames}
	err := p.arguments(args)
	if flushed := p.Flush(); err == nil {
		err = flushed
	}
	return err
}

func (p *printer) arguments(args []string) error {
	if len(args) == 0 {
		args = []string{"all"}
	}
	var err error
	for len(args) > 0 {
		kind := args[0]
		if len(args) > 1 && slices.Contains([]string{"router", "transport", "authenticator", "macro"}, kind) {
			if err = p.named(kind, args[1]); err == ErrPermission {
				return err
			}
			args = args[2:]
			continue
		}
		if err = p.item(kind); err == ErrPermission {
			return err
		}
		args = args[1:]
	}
	return err
}

// item prints what one word asks for.
func (p *printer) item(name string) error {
	if kind, ok := strings.CutPrefix(name, "+"); ok {
		return p.namedList(kind)
	}
	switch name {
	case "all":
		p.scope(ScopeMain, p.c.Main, p.c.set)
		return nil
	case "configure_file", "config_file":
		p.WriteString(p.c.Path + "\n")
		return nil
	case "config":
		p.config()
		return nil
	case "environment":
		variables := p.c.Environment()
		slices.Sort(variables)
		for _, v := range variables {
			if p.noNames {
				v, _, _ = strings.Cut(v, "=")
			}
			p.WriteString(v + "\n")
		}
		return nil
	case "local_scan":
		p.WriteString("local_scan() options are not supported\n")
		return nil
	case "macros", "macro_list":
		return p.macros(name)
	}
	for k := Router; k < kinds; k++ {
		switch name {
		case k.String() + "_list":
			for _, i := range p.c.Instances(k) {
				p.WriteString(i.Name + "\n")
			}
			return nil
		case k.String() + "s":
			for _, i := range p.c.Instances(k) {
				p.WriteString("\n" + i.Name + " " + k.String() + ":\n")
				p.instance(i)
			}
			return nil
		}
	}
	return p.mainOption(name)
}

// named prints a driver instance or a macro.
func (p *printer) named(kind, name string) error {
	if kind == "macro" {
		return p.macro(name)
	}
	for k := Router; k < kinds; k++ {
		if k.String() != kind {
			continue
		}
		if i := p.c.Find(k, name); i != nil {
			p.instance(i)
			return nil
		}
	}
	p.WriteString(kind + " " + name + " not found\n")
	return ErrNotShown
}

func (p *printer) macro(name string) error {
	if !p.admin {
		return ErrPermission
	}
	for _, m := range p.c.AllMacros() {
		if m.Name == name {
			p.macroLine(m)
			return nil
		}
	}
	p.WriteString("macro " + name + " not found\n")
	return ErrNotShown
}

func (p *printer) macros(how string) error {
	if !p.admin {
		return ErrPermission
	}
	for _, m := range p.c.AllMacros() {
		if how == "macro_list" {
			p.WriteString(m.Name + "\n")
		} else {
			p.macroLine(m)
		}
	}
	return nil
}

func (p *printer) macroLine(m Macro) {
	if !p.noNames {
		p.WriteString(m.Name + "=")
	}
	p.WriteString(m.Value + "\n")
}

// namedList prints the lists of the name, of whatever kind.
func (p *printer) namedList(name string) error {
	found := false
	for _, k := range [...]byte{'a', 'd', 'h', 'l'} {
		i, ok := p.c.index[listKey{k, name}]
		if !ok {
			continue
		}
		found = true
		l := p.c.Lists[i]
		text := l.Text
		if l.Hide && !p.admin {
			text = notDisplayable
		}
		if !p.noNames {
			p.WriteString(listWord(k) + " " + name + " = ")
		}
		p.WriteString(text + "\n")
	}
	if !found {
		p.WriteString("no address, domain, host, or local part list called \"" + name + "\" exists\n")
		return ErrNotShown
	}
	return nil
}

func listWord(kind byte) string {
	for _, l := range listKinds {
		if l.kind == kind {
			return l.word
		}
	}
	return ""
}

func (p *printer) mainOption(name string) error {
	w := p.c.words.options[ScopeMain][name]
	if w == nil {
		p.WriteString(name + " is not a known option\n")
		return ErrNotShown
	}
	p.option(name, w, p.c.Main, p.c.set)
	return nil
}

// instance prints the generic options of an instance, then its driver's own.
func (p *printer) instance(i *Instance) {
	p.shown = i
	defer func() { p.shown = nil }()
	p.scope(i.Kind.GenericScope(), i.Options, i.raw)
	p.scope(i.Kind.PrivateScope(i.Driver), i.Options, i.raw)
}

// rare are options that Exim's packages leave out, or those that have another TLS library: they are obeyed, but listed only where they are set. unlisted are those that
// only set others.
var (
	rare = []string{"translate_ip_address", "gnutls_compat_mode", "gnutls_allow_auto_pkcs11",
		"bmi_deliver_alternate", "bmi_deliver_default", "bmi_dont_deliver", "bmi_rule"}
	unlisted = []string{"verify", "fail_verify"}
)

// scope prints all options of a scope in alphabetical order, without older names.
func (p *printer) scope(scope option.Scope, bag option.Bag, set map[string]setting) {
	table := p.c.words.options[scope]
	names := make([]string, 0, len(table))
	for name, w := range table {
		_, given := set[name]
		if w.alias == nil && (scope == ScopeMain || !slices.Contains(unlisted, name)) && (given || !slices.Contains(rare, name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		p.option(name, table[name], bag, set)
	}
}

func (p *printer) option(name string, w *word, bag option.Bag, set map[string]setting) {
	if w.alias != nil {
		w = w.alias
	}
	if p.c.hidden[hideKey{w.scope, w.description.Name}] && !p.admin {
		p.value(name+" = ", notDisplayable)
		return
	}
	field, ok := w.set.Field(bag.Add(w.set), w.description.Name)
	if !ok {
		return
	}
	if p.shown != nil && p.shown.driver.Shown != nil && !p.shown.Set[name] {
		switch v := p.shown.driver.Shown(p.shown, name).(type) {
		case bool:
			field = &v
		case string:
			field = &v
		}
	}
	if line, ok := option.Format(name, field); ok {
		p.line(name, line)
		return
	}
	text, given := set[w.description.Name], false
	if _, given = set[w.description.Name]; !given {
		text.text = w.description.Default
	}
	p.byName(name, field, text.text, bag)
}

// line prints a formatted line, or its value only.
func (p *printer) line(name, line string) {
	if value, ok := strings.CutPrefix(line, name+" = "); ok {
		p.value(name+" = ", value)
		return
	}
	p.WriteString(line + "\n")
}

func (p *printer) value(label, text string) {
	if !p.noNames {
		p.WriteString(label)
	}
	p.WriteString(text + "\n")
}

// byName prints options whose value is shown by name: users, groups, and lists that are kept split.
func (p *printer) byName(name string, field any, text string, bag option.Bag) {
	users := p.c.world.Users
	userName := func(id int) string {
		if u, found, err := users.ByUID(id); err == nil && found {
			return u.Name
		}
		return strconv.Itoa(id)
	}
	groupName := func(id int) string {
		if g, found, err := users.GroupByGID(id); err == nil && found {
			return g.Name
		}
		return strconv.Itoa(id)
	}
	switch f := field.(type) {
	case *option.UserID:
		text = byNumber(string(*f), userName)
	case *option.GroupID:
		text = byNumber(string(*f), groupName)
		if text == "" {
			text = p.groupOfUser(bag, groupName)
		}
	case *option.UserList:
		p.ids(name, f.IDs, userName)
		return
	case *option.GroupList:
		p.ids(name, f.IDs, groupName)
		return
	}
	p.value(name+" = ", option.Printing(text))
}

func byNumber(text string, name func(int) string) string {
	if n, err := strconv.Atoi(text); err == nil {
		return name(n)
	}
	return text
}

// groupOfUser is the group that an instance without one takes from its user.
func (p *printer) groupOfUser(bag option.Bag, groupName func(int) string) string {
	for k := Router; k < kinds; k++ {
		w := p.c.words.options[k.GenericScope()]["user"]
		if w == nil || bag[w.set.Type()] == nil {
			continue
		}
		field, _ := w.set.Field(bag[w.set.Type()], "user")
		user, ok := field.(*option.UserID)
		if !ok || *user == "" || strings.Contains(string(*user), "$") {
			continue
		}
		if u, found, err := findUser(p.c.world.Users, string(*user)); err == nil && found {
			return groupName(u.GID)
		}
	}
	return ""
}

func (p *printer) ids(name string, ids []int, of func(int) string) {
	label := name + " ="
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = of(id)
	}
	if len(ids) > 0 {
		label += " "
	}
	p.value(label, strings.Join(names, ":"))
}
