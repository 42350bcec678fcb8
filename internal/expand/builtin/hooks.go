package builtin

import (
	"exigo/internal/expand"
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
	if s.Untrusted(name, "attempt to use tainted ACL text \"%s\"", name.S) {
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
