package builtin

import (
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// hookItems are items whose work is done by higher layers or cannot be done.
func hookItems() []expand.Item {
	return []expand.Item{
		{
			Name: "acl", Doc: "Runs an ACL and gives its message.", Min: 1, Max: 10,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				accepted, text, err := runACL(s, args)
				_ = accepted // the message is the result either way
				return text, err
			},
			Examples: []expand.Example{{In: `${acl}`, Err: "Not enough arguments for 'acl' (min is 1)"}},
		},
		{
			Name: "authresults", Doc: "Gives an Authentication-Results header field of all that was verified.", Min: 1, Max: 1,
			Eval: evalAuthResults,
		},
		{
			Name: "perl", Doc: "Embedded Perl is not supported: it has no place in this program.", Min: 1, Max: 9,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				if s.Extra["forbid_perl"].S != "" {
					return expand.Value{}, expand.Fail("Perl calls are not permitted")
				}
				return expand.Value{}, expand.Fail("\"${perl\" encountered, but this facility is not included in this binary")
			},
			Examples: []expand.Example{{In: `${perl{foo}}`, Err: `"${perl" encountered, but this facility is not included in this binary`}},
		},
		{
			Name: "dlfunc", Doc: "Dynamically loaded functions are not supported: they are C.", Min: 2, Max: 10,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				return expand.Value{}, expand.Fail("\"${dlfunc\" encountered, but this facility is not included in this binary")
			},
			Examples: []expand.Example{{In: `${dlfunc{/x}{y}}`, Err: `"${dlfunc" encountered, but this facility is not included in this binary`}},
		},
		{
			Name: "imapfolder", Doc: "Makes a Maildir name of an IMAP folder.", Min: 1, Max: 3, Eval: evalImapFolder,
			Examples: []expand.Example{
				{In: `${imapfolder{a/b}}`, Out: "a.b"}, {In: `${imapfolder{Entw\xc3\xbcrfe}}`, Out: "Entw&APw-rfe"},
				{In: `${imapfolder{a.b/c}{/}{.}}`, Out: "a&AC4-b.c"}, {In: `${imapfolder{a.b}}`, Err: "imapfolder: illegal character '.'"},
			},
		},
	}
}

// runACL calls the hook with $acl_arg1 and so on set.
func runACL(s *expand.Scope, args []expand.Value) (bool, expand.Value, error) {
	name := args[0]
	if name.S == "" {
		return false, expand.Value{}, nil
	}
	if s.Engine.Hooks.ACL == nil {
		return false, expand.Value{}, expand.Fail("ERROR from acl \"%s\"", name.S)
	}
	if name.Tainted {
		s.Panic("attempt to use tainted ACL text \"%s\"", name.S)
		return false, expand.Value{}, expand.Fail("ERROR from acl \"%s\"", name.S)
	}
	saved := s.ACLArguments
	s.ACLArguments = args[1:]
	defer func() { s.ACLArguments = saved }()
	return s.Engine.Hooks.ACL(s, name.S, args[1:])
}

func testACL(s *expand.Scope, args []expand.Value) (bool, error) {
	accepted, text, err := runACL(s, args)
	s.Value = text
	return accepted, err
}

// evalAuthResults writes what is known of the message as RFC 8601 says: the client's name and its authentication, which are the
// session's, then the verdicts of features in their order, each on a line of its own.
func evalAuthResults(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	var b strings.Builder
	b.WriteString("Authentication-Results: ")
	b.WriteString(args[0].S)
	verdicts := sessionVerdicts(s)
	if s.Message != nil {
		verdicts = append(verdicts, s.Message.Verdicts...)
	}
	for _, v := range verdicts {
		b.WriteString(";\n\t" + v.Method + "=" + v.Result)
		if v.Comment != "" {
			b.WriteString(" (" + v.Comment + ")")
			if v.Method == "dkim" {
				b.WriteString("\n\t\t")
			}
		}
		if v.Reason != "" {
			b.WriteString(" reason=\"" + quoter.Replace(v.Reason) + "\"")
		}
		for _, p := range v.Properties {
			b.WriteString(" " + p.Type + "." + p.Name + "=" + p.Value)
		}
	}
	return expand.Value{S: b.String(), Tainted: len(verdicts) > 0 || args[0].Tainted}, nil
}

// sessionVerdicts gives iprev and auth.
func sessionVerdicts(s *expand.Scope) (list []mail.Verdict) {
	c := s.Session
	if c == nil {
		return nil
	}
	if c.Host.IsValid() && c.NameLookup != mail.NameNotTried {
		v := mail.Verdict{Method: "iprev", Result: "pass", Comment: c.HostName, Properties: []mail.Property{{Type: "smtp", Name: "remote-ip", Value: c.Host.Unmap().String()}}}
		switch c.NameLookup {
		case mail.NameFailed:
			v.Result = "fail"
		case mail.NameDeferred:
			v.Result = "temperror"
		}
		list = append(list, v)
	}
	if c.Authenticator != "" {
		v := mail.Verdict{Method: "auth", Result: "pass", Comment: lower(c.AuthPublicName)}
		kind := "smtp"
		if v.Comment == "tls" {
			kind = "x509"
		}
		if c.AuthID != "" {
			v.Properties = []mail.Property{{Type: kind, Name: "auth", Value: c.AuthID}}
		}
		list = append(list, v)
	}
	return list
}
