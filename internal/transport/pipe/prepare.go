package pipe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/transport"
)

// job is what the helper must know.
type job struct {
	Argv        []string
	Environment []string
	// Path is searched for Argv[0] when it holds no slash.
	Path                                                                string
	Prefix, Suffix, Check, Escape                                       string
	CRLF, BSMTP                                                         bool
	Umask                                                               uint32
	Timeout                                                             time.Duration
	MaxOutput                                                           int64
	TimeoutDefer, IgnoreStatus, FreezeExecFail, FreezeSignal, Coredump  bool
	LogOutput, LogFailOutput, LogDeferOutput, ReturnOutput, ReturnFails bool
	// AllTemporary and Temporary are temp_errors.
	AllTemporary bool
	Temporary    []int
	// Address stands in log lines about output.
	Address string
}

// prepare does all expansions.
func prepare(r *transport.Run) (any, error) {
	j, err := expanded(r)
	var te *transport.Error
	if errors.As(err, &te) {
		discreet(&te.Outcome)
	}
	return j, err
}

func expanded(r *transport.Run) (*job, error) {
	s := option.Of[settings](r.Transport.Instance.Options)
	toSender := r.Sender != "" && !r.Shadow
	j := &job{
		CRLF: s.useCRLF, BSMTP: s.useBSMTP, Umask: uint32(s.umask), Timeout: s.timeout, MaxOutput: int64(s.maxOutput), TimeoutDefer: s.timeoutDefer,
		IgnoreStatus: s.ignoreStatus, FreezeExecFail: s.freezeExecFail, FreezeSignal: s.freezeSignal, Coredump: s.permitCoredump,
		LogOutput: s.logOut, LogFailOutput: s.logFailOutput, LogDeferOutput: s.logDeferOutput,
		ReturnOutput: s.returnOutput && toSender, ReturnFails: s.returnFailOutput && toSender,
		AllTemporary: len(s.tempErrors) == 1 && s.tempErrors[0] == "*", Address: r.Addresses[0].Address,
	}
	for _, n := range s.tempErrors {
		if k, err := strconv.Atoi(n); err == nil {
			j.Temporary = append(j.Temporary, k)
		}
	}
	path, err := r.Must(string(s.path), "\"path\" option")
	if err != nil {
		return nil, err
	}
	j.Path = path.S
	if j.Argv, err = arguments(r, s); err != nil {
		return nil, err
	}
	if err := permitted(r, s, j); err != nil {
		return nil, err
	}
	if j.Environment, err = environment(r, s, j.Path); err != nil {
		return nil, err
	}
	return j, texts(r, s, j)
}

// arguments works out the command (spec 29.3).
func arguments(r *transport.Run, s *settings) ([]string, error) {
	a := r.Addresses[0]
	text, expandIt := string(s.command), true
	redirected := ""
	if a.Kind == mail.KindPipe {
		redirected = strings.TrimLeft(strings.TrimPrefix(a.Address, "|"), " \t\n")
		if !s.forceCommand {
			text, expandIt = redirected, a.AllowExpand
		}
	}
	if s.useShell {
		return shell(r, text, expandIt)
	}
	parts := transport.SplitCommand(text)
	if len(parts) == 0 || len(parts) == 1 && parts[0] == "" {
		return nil, transport.Defer(0, "no command specified for %s transport", r.Transport.Name)
	}
	var argv []string
	for _, part := range parts {
		switch {
		case part == "$pipe_addresses":
			for _, one := range r.Addresses {
				argv = append(argv, one.Address)
			}
			continue
		case part == "$address_pipe" && s.forceCommand && redirected != "":
			argv = append(argv, transport.SplitCommand(redirected)...)
			continue
		case !expandIt:
			argv = append(argv, part)
			continue
		}
		v, err := r.Scope.Engine.Expand(r.Scope, part)
		if err != nil {
			return nil, transport.Panic(0, "Expansion of \"%s\" from command \"%s\" in %s transport failed: %s", part, text, r.Transport.Name, why(err))
		}
		if r.Scope.Untrusted(v, "Tainted arg %d for %s transport command: '%s'", len(argv), r.Transport.Name, v.S) {
			return nil, transport.Fail("Tainted arg %d for %s transport command: '%s'", len(argv), r.Transport.Name, v.S)
		}
		argv = append(argv, v.S)
	}
	return argv, nocontrol(r, argv)
}

func why(err error) string {
	if errors.Is(err, expand.ErrForced) {
		return "forced failure"
	}
	return err.Error()
}

// nocontrol refuses what an argument vector cannot hold.
func nocontrol(r *transport.Run, argv []string) error {
	for _, a := range argv {
		if strings.IndexByte(a, 0) >= 0 {
			return transport.Fail("binary zero in an argument of the command of %s transport", r.Transport.Name)
		}
	}
	return nil
}

// shell makes the vector of use_shell.
func shell(r *transport.Run, text string, expandIt bool) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, transport.Defer(0, "no command specified for %s transport", r.Transport.Name)
	}
	argv := []string{"/bin/sh", "-c", text}
	if !expandIt {
		return argv, nil
	}
	if strings.Contains(text, "$pipe_addresses") {
		var all []string
		for _, one := range r.Addresses {
			all = append(all, one.Address)
		}
		text = strings.ReplaceAll(text, "$pipe_addresses", `\N`+strings.Join(all, " ")+`\N`)
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err != nil {
		return nil, transport.Panic(0, "Expansion of command \"%s\" in %s transport failed: %s", text, r.Transport.Name, why(err))
	}
	argv[2] = v.S
	return argv, nocontrol(r, argv)
}

// permitted applies allow_commands and restrict_to_path.
func permitted(r *transport.Run, s *settings, j *job) error {
	if s.useShell || s.allowCommands == "" && !s.restrictToPath {
		return nil
	}
	name := j.Argv[0]
	if s.allowCommands != "" {
		items, err := list.Items(r.Scope, string(s.allowCommands))
		if err != nil {
			return transport.Defer(mail.ErrnoExpandFail, "failed to expand string \"%s\" for %s transport: %s", s.allowCommands, r.Transport.Name, why(err))
		}
		if slices.ContainsFunc(items, func(v mail.Value) bool { return v.S == name }) {
			return nil
		}
		if !s.restrictToPath {
			return transport.Fail("\"%s\" command not permitted by %s transport", name, r.Transport.Name)
		}
	}
	if strings.Contains(name, "/") {
		return transport.Fail("\"/\" found in \"%s\" (command for %s transport) - failed for security reasons", name, r.Transport.Name)
	}
	return nil
}

// maxEnvironment is how many variables a command may get.
const maxEnvironment = 49

// environment is the command's environment (spec 29.4).
func environment(r *transport.Run, s *settings, path string) ([]string, error) {
	main := option.Of[config.Main](r.Scope.Config.MainOptions())
	a := r.Scope.Address
	local := a.LocalPart
	env := []string{
		"LOCAL_PART=" + local, "LOGNAME=" + local, "USER=" + local,
		"LOCAL_PART_PREFIX=" + a.Prefix, "LOCAL_PART_SUFFIX=" + a.Suffix,
		"DOMAIN=" + a.Domain, "HOME=" + r.Home, "MESSAGE_ID=" + r.Message.ID, "PATH=" + path,
		"RECIPIENT=" + recipient(r), "QUALIFY_DOMAIN=" + string(main.QualifyDomain), "SENDER=" + r.Message.Sender, "SHELL=/bin/sh",
	}
	if hosts := r.Addresses[0].Hosts; len(hosts) > 0 {
		env = append(env, "HOST="+hosts[0].Name)
	}
	if main.Timezone != "" {
		env = append(env, "TZ="+string(main.Timezone))
	}
	if s.environment != "" {
		v, err := r.Scope.Engine.Expand(r.Scope, string(s.environment))
		if err != nil {
			return nil, transport.Panic(0, "failed to expand string \"%s\" for %s transport: %s", s.environment, r.Transport.Name, why(err))
		}
		env = append(env, transport.SplitList(v.S, ':')...)
	}
	if len(env) > maxEnvironment {
		return nil, transport.Defer(int(syscall.E2BIG), "too many environment settings for %s transport", r.Transport.Name)
	}
	for i, e := range env {
		env[i] = strings.ReplaceAll(e, "\x00", "")
	}
	return env, nil
}

// recipient is the whole address; for a pipe that an address was redirected to, that address.
func recipient(r *transport.Run) string {
	if len(r.Addresses) > 1 {
		return ""
	}
	if a := r.Addresses[0]; a.Kind == mail.KindNormal {
		return a.Address
	}
	a := r.Scope.Address
	return a.Prefix + a.LocalPart + a.Suffix + "@" + a.Domain
}

// defaultText is what stands before or after the message where message_prefix or message_suffix do not say; "" for other options.
func (s *settings) defaultText(option string) string {
	switch {
	case s.useBSMTP:
	case option == "message_prefix":
		return transport.FromLine
	case option == "message_suffix":
		return "\n"
	}
	return ""
}

// texts expands prefix and suffix.
func texts(r *transport.Run, s *settings, j *job) error {
	prefix, suffix, set := string(s.messagePrefix), string(s.messageSuffix), r.Transport.Instance.Set
	if !set["message_prefix"] {
		prefix = s.defaultText("message_prefix")
	}
	if !set["message_suffix"] {
		suffix = s.defaultText("message_suffix")
	}
	if j.Check, j.Escape = s.checkString, s.escapeString; !set["escape_string"] {
		j.Check = ""
	}
	if s.useBSMTP {
		j.Check, j.Escape = ".", ".."
	}
	for _, one := range []struct {
		into       *string
		text, what string
	}{{&j.Prefix, prefix, "message_prefix"}, {&j.Suffix, suffix, "message_suffix"}} {
		v, err := r.Scope.Engine.Expand(r.Scope, one.text)
		if err != nil {
			return transport.Panic(0, "%s", fmt.Sprintf("Expansion of \"%s\" (%s for %s transport) failed: %s", one.text, one.what, r.Transport.Name, why(err)))
		}
		*one.into = v.S
	}
	return nil
}
