package cli

import (
	"fmt"
	"strings"

	"exigo/internal/mail"
)

// target is what a line "set name = value" or "set,t name = value" of -be sets; ",t" taints.
type target struct {
	name    string
	tainted bool
}

// assignment splits such a line. For others the target is nil and the text is returned as it is.
func assignment(line string) (*target, string) {
	if !strings.HasPrefix(line, "set") {
		return nil, line
	}
	head, value, ok := strings.Cut(line, "=")
	words := strings.Fields(head)
	if !ok || len(words) != 2 || words[0] != "set" && words[0] != "set,t" {
		return nil, line
	}
	return &target{words[1], words[0] == "set,t"}, strings.TrimSpace(value)
}

// set sets an ACL variable of the message or its session and returns its name without "acl_".
func (t *target) set(m *mail.Message, v mail.Value) (string, error) {
	v.Tainted = v.Tainted || t.tainted
	name, ok := strings.CutPrefix(t.name, "acl_")
	if !ok || len(name) < 2 || name[0] != 'c' && name[0] != 'm' || name[1] != '_' && (name[1] < '0' || name[1] > '9') {
		return "", fmt.Errorf("variable %s cannot be set", t.name)
	}
	vars := &m.Vars
	if name[0] == 'c' {
		if m.Session == nil {
			m.Session = &mail.Session{}
		}
		vars = &m.Session.Vars
	}
	if *vars == nil {
		*vars = map[string]mail.Value{}
	}
	(*vars)[name[1:]] = v
	return name, nil
}
