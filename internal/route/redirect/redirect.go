// Package redirect is the router for aliases and forward files (spec chapter 22): it replaces an address by others, by files,
// pipes or nothing at all, or makes it fail.
//
// Trust: the data may be a user's own file or come from a lookup keyed by an address; it is parsed as untrusted text of
// limited size. Paths from tainted data are refused.
package redirect

import (
	"errors"

	"exigo/internal/option"
	"exigo/internal/route"
)

type settings struct {
	allowDefer, allowFail, allowFilter, allowFreeze bool
	checkAncestor                                   bool
	checkGroup, checkOwner                          *bool
	data, file                                      option.Expanded
	directoryTransport, fileTransport               option.Expanded
	pipeTransport, replyTransport                   option.Expanded
	filterPrependHome                               bool
	forbidBlackhole, forbidEximFilter, forbidFile   bool
	forbidDlfunc, forbidExists, forbidLogwrite      bool
	forbidLookup, forbidPerl, forbidReadfile        bool
	forbidReadsocket, forbidReply, forbidRun        bool
	forbidInclude, forbidPipe, forbidSieve          bool
	forbidSMTPCode                                  bool
	hideChild                                       bool
	ignoreEACCES, ignoreENOTDIR                     bool
	includeDirectory                                string
	modemask                                        option.Octal
	oneTime                                         bool
	owners                                          option.UserList
	owngroups                                       option.GroupList
	qualifyDomain                                   option.Expanded
	qualifyPreserveDomain                           bool
	repeatUse                                       bool
	rewrite                                         bool
	sieveSubaddress, sieveUseraddress               option.Expanded
	sieveVacationDirectory                          option.Expanded
	skipSyntaxErrors                                bool
	syntaxErrorsText, syntaxErrorsTo                option.Expanded
}

type row = option.Row[settings]

// Driver returns the redirect router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "redirect", Doc: "Replaces the address by others, files, pipes, or nothing.",
		Options: option.Table[settings]{Scope: "router redirect", Rows: append(rowsAtoF(), rowsFtoS()...)},
		Check:   check, Run: run, Transport: route.TransportForbidden,
		Once:  func(i *route.Instance) bool { return !route.Settings[settings](i).repeatUse },
		Shown: shown,
	}
}

// shown gives the defaults of check_owner and check_group.
func shown(i *route.Instance, name string) any {
	c, local := route.Settings[settings](i), route.Settings[route.Generic](i).CheckLocalUser
	switch name {
	case "check_owner":
		return c.ownerByDefault(local)
	case "check_group":
		return c.groupByDefault(local)
	}
	return nil
}

// ownerByDefault and groupByDefault tell whether owner and group of the file are checked where the options do not say; local is
// check_local_user.
func (c *settings) ownerByDefault(local bool) bool { return local || len(c.owners.IDs) > 0 }

func (c *settings) groupByDefault(local bool) bool {
	return local && c.modemask&0o20 == 0 || len(c.owngroups.IDs) > 0
}

func check(i *route.Instance) error {
	c, g := route.Settings[settings](i), route.Settings[route.Generic](i)
	switch {
	case c.data != "" && c.file != "":
		return errors.New("only one of \"file\" or \"data\" must be specified")
	case c.data == "" && c.file == "" && !i.Set["data"] && !i.Set["file"]:
		return errors.New("one of \"file\" or \"data\" must be specified")
	case c.oneTime && (g.HeadersAdd != "" || g.HeadersRemove != ""):
		return errors.New("\"headers_add\" and \"headers_remove\" are not permitted with \"one_time\"")
	case c.oneTime && (g.Unseen.Value || g.Unseen.Text != ""):
		return errors.New("\"unseen\" may not be used with \"one_time\"")
	case c.allowFilter && !g.CheckLocalUser && g.User == "":
		return errors.New("\"user\" or \"check_local_user\" must be set with \"allow_filter\"")
	case c.qualifyDomain != "" && c.qualifyPreserveDomain:
		return errors.New("only one of \"qualify_domain\" or \"qualify_preserve_domain\" must be set")
	}
	return nil
}

func rowsAtoF() []row {
	return []row{
		{Name: "allow_defer", Field: func(c *settings) any { return &c.allowDefer }, Doc: "Permit :defer: and the filter command."},
		{Name: "allow_fail", Field: func(c *settings) any { return &c.allowFail }, Doc: "Permit :fail: and the filter command."},
		{Name: "allow_filter", Field: func(c *settings) any { return &c.allowFilter }, Doc: "Take data that begins like a filter for one."},
		{Name: "allow_freeze", Field: func(c *settings) any { return &c.allowFreeze }, Doc: "Permit the freeze command in filters."},
		{Name: "check_ancestor", Field: func(c *settings) any { return &c.checkAncestor }, Doc: "Replace a child that is the same as an ancestor by the current address."},
		{Name: "check_group", Field: func(c *settings) any { return &c.checkGroup }, Doc: "Check the group of the file; by default if owngroups is set, or check_local_user and modemask permits group write."},
		{Name: "check_owner", Field: func(c *settings) any { return &c.checkOwner }, Doc: "Check the owner of the file; by default if owners or check_local_user is set."},
		{Name: "data", Field: func(c *settings) any { return &c.data }, Doc: "The redirection list."},
		{Name: "directory_transport", Field: func(c *settings) any { return &c.directoryTransport }, Doc: "The transport for paths that end with a slash."},
		{Name: "file", Field: func(c *settings) any { return &c.file }, Doc: "The file that holds the redirection list."},
		{Name: "file_transport", Field: func(c *settings) any { return &c.fileTransport }, Doc: "The transport for paths."},
		{Name: "filter_prepend_home", Default: "true", Field: func(c *settings) any { return &c.filterPrependHome }, Doc: "Begin relative paths of save commands with the home directory."},
		{Name: "forbid_blackhole", Field: func(c *settings) any { return &c.forbidBlackhole }, Doc: "Refuse :blackhole:."},
		{Name: "forbid_exim_filter", Field: func(c *settings) any { return &c.forbidEximFilter }, Doc: "Refuse Exim filters."},
		{Name: "forbid_file", Field: func(c *settings) any { return &c.forbidFile }, Doc: "Refuse delivery to files and directories."},
		{Name: "forbid_filter_dlfunc", Field: func(c *settings) any { return &c.forbidDlfunc }, Doc: "Refuse dlfunc in filters."},
		{Name: "forbid_filter_existstest", Field: func(c *settings) any { return &c.forbidExists }, Doc: "Refuse exists and stat in filters."},
		{Name: "forbid_filter_logwrite", Field: func(c *settings) any { return &c.forbidLogwrite }, Doc: "Refuse log files of filters."},
		{Name: "forbid_filter_lookup", Field: func(c *settings) any { return &c.forbidLookup }, Doc: "Refuse lookups in filters."},
		{Name: "forbid_filter_perl", Field: func(c *settings) any { return &c.forbidPerl }, Doc: "Refuse Perl in filters."},
		{Name: "forbid_filter_readfile", Field: func(c *settings) any { return &c.forbidReadfile }, Doc: "Refuse readfile in filters."},
		{Name: "forbid_filter_readsocket", Field: func(c *settings) any { return &c.forbidReadsocket }, Doc: "Refuse readsocket in filters."},
		{Name: "forbid_filter_reply", Field: func(c *settings) any { return &c.forbidReply }, Doc: "Refuse automatic replies."},
		{Name: "forbid_filter_run", Field: func(c *settings) any { return &c.forbidRun }, Doc: "Refuse run in filters."},
	}
}

func rowsFtoS() []row {
	return []row{
		{Name: "forbid_include", Field: func(c *settings) any { return &c.forbidInclude }, Doc: "Refuse :include:."},
		{Name: "forbid_pipe", Field: func(c *settings) any { return &c.forbidPipe }, Doc: "Refuse delivery to pipes."},
		{Name: "forbid_sieve_filter", Field: func(c *settings) any { return &c.forbidSieve }, Doc: "Refuse Sieve filters."},
		{Name: "forbid_smtp_code", Field: func(c *settings) any { return &c.forbidSMTPCode }, Doc: "Ignore reply codes at the start of the texts of :fail: and :defer:."},
		{Name: "hide_child_in_errmsg", Field: func(c *settings) any { return &c.hideChild }, Doc: "Do not name the children in bounces."},
		{Name: "ignore_eacces", Field: func(c *settings) any { return &c.ignoreEACCES }, Doc: "Decline when access to the file is denied."},
		{Name: "ignore_enotdir", Field: func(c *settings) any { return &c.ignoreENOTDIR }, Doc: "Decline when a part of the file's path is no directory."},
		{Name: "include_directory", Field: func(c *settings) any { return &c.includeDirectory }, Doc: "The directory that included files must be in."},
		{Name: "modemask", Default: "022", Field: func(c *settings) any { return &c.modemask }, Doc: "Mode bits that the file must not have."},
		{Name: "one_time", Field: func(c *settings) any { return &c.oneTime }, Doc: "Make undelivered children recipients of the message, so that the redirection happens once."},
		{Name: "owners", Field: func(c *settings) any { return &c.owners }, Doc: "Users who may own the file."},
		{Name: "owngroups", Field: func(c *settings) any { return &c.owngroups }, Doc: "Groups that may own the file."},
		{Name: "pipe_transport", Field: func(c *settings) any { return &c.pipeTransport }, Doc: "The transport for pipes."},
		{Name: "qualify_domain", Field: func(c *settings) any { return &c.qualifyDomain }, Doc: "The domain for children without one."},
		{Name: "qualify_preserve_domain", Field: func(c *settings) any { return &c.qualifyPreserveDomain }, Doc: "Give children without a domain that of the address."},
		{Name: "repeat_use", Default: "true", Field: func(c *settings) any { return &c.repeatUse }, Doc: "Use the router for children of addresses that it has handled."},
		{Name: "reply_transport", Field: func(c *settings) any { return &c.replyTransport }, Doc: "The transport for automatic replies."},
		{Name: "rewrite", Default: "true", Field: func(c *settings) any { return &c.rewrite }, Doc: "Rewrite the children by the global rules."},
		{Name: "sieve_subaddress", Field: func(c *settings) any { return &c.sieveSubaddress }, Doc: "The :subaddress part for Sieve filters."},
		{Name: "sieve_useraddress", Field: func(c *settings) any { return &c.sieveUseraddress }, Doc: "The :user part for Sieve filters."},
		{Name: "sieve_vacation_directory", Field: func(c *settings) any { return &c.sieveVacationDirectory }, Doc: "Where Sieve's vacation keeps its databases."},
		{Name: "skip_syntax_errors", Field: func(c *settings) any { return &c.skipSyntaxErrors }, Doc: "Leave malformed items out."},
		{Name: "syntax_errors_text", Field: func(c *settings) any { return &c.syntaxErrorsText }, Doc: "The first lines of the message to syntax_errors_to."},
		{Name: "syntax_errors_to", Field: func(c *settings) any { return &c.syntaxErrorsTo }, Doc: "Who is told of malformed items."},
	}
}
