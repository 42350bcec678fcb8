// Package queryprogram is the router that asks an external program (spec chapter 21).
//
// Trust: the command is the administrator's and runs as the user he names; its one line of output is parsed as untrusted text.
package queryprogram

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
)

type settings struct {
	command          option.Expanded
	commandGroup     option.GroupID
	commandUser      option.UserID
	currentDirectory string
	timeout          time.Duration
}

var options = option.Table[settings]{Scope: "router queryprogram", Rows: []option.Row[settings]{
	{Name: "command", Field: func(c *settings) any { return &c.command }, Doc: "The command and its arguments, which are expanded separately."},
	{Name: "command_group", Field: func(c *settings) any { return &c.commandGroup }, Doc: "The group the command runs as."},
	{Name: "command_user", Field: func(c *settings) any { return &c.commandUser }, Doc: "The user the command runs as."},
	{Name: "current_directory", Default: "/", Field: func(c *settings) any { return &c.currentDirectory }, Doc: "The directory the command runs in."},
	{Name: "timeout", Default: "1h", Field: func(c *settings) any { return &c.timeout }, Doc: "How long the command may take."},
}}

// maxLine is the length of the output that is read.
const maxLine = 1023

// Driver returns the queryprogram router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "queryprogram", Doc: "Asks a program where the address goes.",
		Options: options, Check: check, Run: run, Transport: route.TransportOptional,
	}
}

func check(i *route.Instance) error {
	c := route.Settings[settings](i)
	if c.command == "" {
		return errors.New("a command specification is required")
	}
	if c.commandUser == "" {
		return errors.New("command_user must be specified")
	}
	return nil
}

func run(r *route.Run) route.Outcome {
	c := route.Settings[settings](r.Router.Instance)
	id, ok, outcome := identity(r, c)
	if !ok {
		return outcome
	}
	arguments, err := split(r, string(c.command))
	if err != nil {
		return r.Postpone(mail.ErrnoExpandFail, "%s", err)
	}
	output, err := r.Command(route.Command{
		Identity: id, Arguments: arguments, Directory: c.currentDirectory, Timeout: c.timeout, Limit: maxLine,
	})
	if err != nil {
		return failed(r, c, err)
	}
	if len(output) == 0 {
		return r.Postpone(0, "%s router: command returned an empty line", r.Router.Name)
	}
	line := string(output)
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	return obey(r, strings.TrimSpace(line))
}

// failed words the ways in which running a command can go wrong.
func failed(r *route.Run, c *settings, err error) route.Outcome {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r.Address.Outcome.Freeze = true
		return r.Postpone(0, "%s router: command timed out", r.Router.Name)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return r.Postpone(0, "%s router: command returned non-zero code %d", r.Router.Name, exit.ExitCode())
	case errors.As(err, &exit):
		r.Address.Outcome.Freeze = true
		return r.Postpone(0, "%s router: command killed by signal", r.Router.Name)
	}
	return r.Postpone(0, "%s router couldn't create child process: %s", r.Router.Name, route.Reason(err))
}

// identity works out who the command runs as.
func identity(r *route.Run, c *settings) (id route.Identity, ok bool, outcome route.Outcome) {
	users := r.Scope.Engine.World.Users
	user, err := r.Scope.Engine.Expand(r.Scope, string(c.commandUser))
	if err != nil {
		return id, false, r.Postpone(mail.ErrnoExpandFail, "Failed to expand user string \"%s\" for the %s router: %s", c.commandUser, r.Router.Name, err)
	}
	if n, err := strconv.Atoi(user.S); err == nil {
		id.UID, id.UIDSet = n, true
	} else {
		u, found, err := users.ByName(user.S)
		if err != nil || !found {
			return id, false, r.Postpone(mail.ErrnoExpandFail, "Failed to find user \"%s\" from expanded string \"%s\" for the %s router", user.S, c.commandUser, r.Router.Name)
		}
		id.UID, id.GID, id.UIDSet, id.GIDSet = u.UID, u.GID, true, true
	}
	if c.commandGroup != "" {
		group, err := r.Scope.Engine.Expand(r.Scope, string(c.commandGroup))
		if err != nil {
			return id, false, r.Postpone(mail.ErrnoExpandFail, "Failed to expand group string \"%s\" for the %s router: %s", c.commandGroup, r.Router.Name, err)
		}
		if n, err := strconv.Atoi(group.S); err == nil {
			id.GID, id.GIDSet = n, true
		} else {
			g, found, err := users.GroupByName(group.S)
			if err != nil || !found {
				return id, false, r.Postpone(mail.ErrnoExpandFail, "Failed to find group \"%s\" from expanded string \"%s\" for the %s router", group.S, c.commandGroup, r.Router.Name)
			}
			id.GID, id.GIDSet = g.GID, true
		}
	}
	if !id.GIDSet {
		return id, false, r.Postpone(mail.ErrnoBadUGID, "command_user set without command_group for %s router", r.Router.Name)
	}
	return id, true, route.Accepted
}

// split makes the words of a command and expands each (spec 29.3).
func split(r *route.Run, command string) ([]string, error) {
	words, err := route.CommandWords(command)
	if err != nil {
		return nil, fmt.Errorf("%s router: %w", r.Router.Name, err)
	}
	for i, w := range words {
		v, err := r.Scope.Engine.Expand(r.Scope, w)
		if err != nil {
			return nil, fmt.Errorf("Expansion of \"%s\" from command \"%s\" in %s router failed: %s", w, command, r.Router.Name, err)
		}
		if i == 0 && r.Scope.Untrusted(v, "Tainted '%s' (command for %s router) not permitted", v.S, r.Router.Name) {
			return nil, fmt.Errorf("Tainted '%s' (command for %s router) not permitted", v.S, r.Router.Name)
		}
		words[i] = v.S
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("%s router: command is empty", r.Router.Name)
	}
	return words, nil
}

// obey does what the line of output says.
func obey(r *route.Run, line string) route.Outcome {
	word, rest, _ := strings.Cut(line, " ")
	if i := strings.IndexByte(word, '\t'); i >= 0 {
		word, rest = line[:i], line[i+1:]
	}
	rest = strings.TrimSpace(rest)
	switch strings.ToUpper(word) {
	case "DECLINE":
		return route.Decline
	case "PASS":
		return route.Pass
	case "FAIL":
		outcome := r.Refuse("%s", rest)
		r.Address.Outcome.UserMessage = rest
		return outcome
	case "FREEZE":
		r.Address.Outcome.Freeze = true
		return r.Postpone(0, "%s", rest)
	case "DEFER":
		return r.Postpone(0, "%s", rest)
	case "REDIRECT":
		return redirect(r, rest)
	case "ACCEPT":
		return accept(r, rest)
	}
	return r.Postpone(0, "bad command yield: %s %s", word, rest)
}

// redirect makes children of a list of addresses.
func redirect(r *route.Run, list string) route.Outcome {
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	m := option.Of[config.Main](r.Scope.Config.MainOptions())
	options := address.Options{AllowLiterals: m.AllowDomainLiterals, AllowUTF8: m.AllowUTF8Domains, StripTrailingDot: m.StripTrailingDot}
	made := false
	for list != "" {
		end := address.FindEnd(list, false)
		item := strings.TrimSpace(list[:end])
		list = strings.TrimLeft(list[min(end+1, len(list)):], " \t")
		if item == "" {
			continue
		}
		box, err := address.Extract(item, options)
		if err != nil {
			return r.Postpone(mail.ErrnoBadRedirect, "error in redirect data: %s in \"%s\"", err, item)
		}
		text := box.Address
		if box.Domain == 0 {
			text += "@" + string(m.QualifyRecipient)
		}
		r.Child(r.Rewrite(text))
		made = true
	}
	if !made {
		return route.Decline
	}
	return route.Accepted
}

// accept assigns the address to a transport, with what the line says about hosts.
func accept(r *route.Run, rest string) route.Outcome {
	values := keyed(rest)
	if data, ok := values["data"]; ok {
		r.Address.AddressData = mail.Taint(data)
	}
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	t, ok, outcome := r.Transport(string(r.Router.Generic.Transport), "transport")
	if name := values["transport"]; name != "" {
		if !r.IsTransport(name) {
			r.Panic("unknown transport name %s yielded by %s router", name, r.Router.Name)
			return r.Postpone(0, "unknown transport in queryprogram")
		}
		t, ok, outcome = r.FindTransport(name)
	}
	if !ok {
		return outcome
	}
	if hosts := values["hosts"]; hosts != "" {
		if t.Local {
			r.Address.Hosts = []mail.Host{{Name: hosts, MX: -1}}
			return r.Deliver(t)
		}
		how := route.HostLookup{FindFailed: route.OnFailDefer, AllIgnored: route.OnFailDefer}
		switch lookup := values["lookup"]; lookup {
		case "":
		case "byname":
			how.Method = hostfind.ByName
		case "bydns":
			how.Method = hostfind.ByDNS
		default:
			return r.Postpone(0, "bad lookup type \"%s\" yielded by %s router", lookup, r.Router.Name)
		}
		if ok, outcome := r.LookupHosts(option.SplitList(hosts), how); !ok {
			return outcome
		}
	}
	return r.Deliver(t)
}

// keyed reads KEY=value and KEY="value" pairs; keys come out in lower case.
func keyed(text string) map[string]string {
	out := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t")
		eq := strings.IndexByte(text, '=')
		if eq < 0 {
			return out
		}
		key := strings.ToLower(strings.TrimSpace(text[:eq]))
		text = strings.TrimLeft(text[eq+1:], " \t")
		var value strings.Builder
		if strings.HasPrefix(text, "\"") {
			i := 1
			for ; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				value.WriteByte(text[i])
			}
			text = text[min(i+1, len(text)):]
		} else {
			i := strings.IndexAny(text, " \t")
			if i < 0 {
				i = len(text)
			}
			value.WriteString(text[:i])
			text = text[i:]
		}
		out[key] = value.String()
	}
}
