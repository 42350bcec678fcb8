package smtpserver

import "strings"

// coreVerbs are the commands of the base protocol.
func coreVerbs() []Verb {
	always := func(*Session) bool { return true }
	return []Verb{
		{Name: "RSET", Run: (*Session).rset, Sync: SyncUnlessPipelining, NoArgument: true, Help: always},
		{Name: "HELO", Run: (*Session).helo, Sync: SyncAlways, Help: always},
		{Name: "EHLO", Run: (*Session).ehlo, Sync: SyncAlways, Help: always},
		{Name: "AUTH", Run: (*Session).authCommand, Sync: SyncNever, Help: always},
		{Name: "STARTTLS", Run: (*Session).startTLS, Sync: SyncAlways, NoArgument: true, Help: (*Session).tlsPossible},
		{Name: "MAIL FROM:", Run: (*Session).mailCommand, Mail: true, Sync: SyncUnlessPipelining, Help: always},
		{Name: "RCPT TO:", Run: (*Session).rcptCommand, Mail: true, Sync: SyncUnlessPipelining, Help: always},
		{Name: "DATA", Run: (*Session).data, Mail: true, Sync: SyncAlways, NoArgument: true, Help: always},
		{Name: "BDAT", Run: (*Session).bdat, Mail: true, Sync: SyncNever, Help: always},
		{Name: "QUIT", Run: (*Session).quitCommand, Mail: true, Sync: SyncNever, NoArgument: true, Help: always},
		{Name: "ETRN", Run: (*Session).etrn, Sync: SyncAlways, Help: func(s *Session) bool { return s.main.ACLSMTPETRN != "" }},
		{Name: "VRFY", Run: (*Session).vrfy, Sync: SyncAlways, Help: func(s *Session) bool { return s.main.ACLSMTPVRFY != "" }},
		{Name: "EXPN", Run: (*Session).expn, Sync: SyncAlways, Help: func(s *Session) bool { return s.main.ACLSMTPEXPN != "" }},
		{Name: "HELP", Run: (*Session).help, Sync: SyncNever, Help: always},
		{Name: "NOOP", Run: (*Session).noop, Sync: SyncAlways, Help: always},
	}
}

// verbTable finds commands. The first byte selects the candidates.
type verbTable struct {
	all   []Verb
	index [26][]*Verb
}

func (t *verbTable) fill(verbs []Verb) {
	t.all = verbs
	for i := range t.all {
		v := &t.all[i]
		k := v.Name[0] - 'A'
		t.index[k] = append(t.index[k], v)
	}
}

// find returns the command of a line and its argument. A command word must end at white space or the end of the line, those with
// a colon at the colon.
func (t *verbTable) find(line string) (*Verb, string) {
	if line == "" {
		return nil, ""
	}
	k := line[0] &^ 0x20
	if k < 'A' || k > 'Z' {
		return nil, ""
	}
	for _, v := range t.index[k-'A'] {
		n := len(v.Name)
		if len(line) < n || !strings.EqualFold(line[:n], v.Name) {
			continue
		}
		rest := line[n:]
		if v.Name[n-1] != ':' && rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		return v, strings.TrimLeft(rest, " \t")
	}
	return nil, ""
}

// collect gathers commands, extensions and parameters of core and rooms.
func (srv *Server) collect() {
	verbs := coreVerbs()
	srv.mailParams, srv.rcptParams = make(map[string]*Parameter), make(map[string]*Parameter)
	all := append(coreExtensions(), srv.services.Extensions...)
	for _, x := range all {
		at := len(srv.extensions)
		for at > 0 && srv.extensions[at-1].Order > x.Order {
			at--
		}
		srv.extensions = append(srv.extensions, nil)
		copy(srv.extensions[at+1:], srv.extensions[at:])
		srv.extensions[at] = x
		verbs = append(verbs, x.Commands...)
		for i := range x.Mail {
			srv.mailParams[x.Mail[i].Name] = &x.Mail[i]
		}
		for i := range x.Rcpt {
			srv.rcptParams[x.Rcpt[i].Name] = &x.Rcpt[i]
		}
	}
	srv.verbs.fill(verbs)
}
