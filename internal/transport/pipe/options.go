// Package pipe is the transport that gives a message to a command on its standard input (spec chapter 29).
//
// Trust: the command comes from the configuration or a user's file and is refused when tainted; its output is untrusted
// and bounded. The command runs as the recipient's user in a process group of its own.
package pipe

import (
	"errors"
	"strconv"
	"time"

	"exigo/internal/config"
	"exigo/internal/option"
	"exigo/internal/transport"
)

type settings struct {
	allowCommands                                       option.StringList
	batchID                                             option.Expanded
	batchMax                                            int
	checkString, escapeString                           string
	command, environment, path                          option.Expanded
	forceCommand, freezeExecFail, freezeSignal          bool
	ignoreStatus, logDeferOutput, logFailOutput, logOut bool
	maxOutput                                           option.Size
	messagePrefix, messageSuffix                        option.Expanded
	permitCoredump, pipeAsCreator, restrictToPath       bool
	returnFailOutput, returnOutput                      bool
	tempErrors                                          []string
	timeout                                             time.Duration
	timeoutDefer, useBSMTP, useClassresources, useCRLF  bool
	useShell                                            bool
	umask                                               option.Octal
}

var options = option.Table[settings]{Scope: "transport pipe", Rows: []option.Row[settings]{
	{Name: "allow_commands", Field: func(s *settings) any { return &s.allowCommands }, Doc: "Commands that may be run."},
	{Name: "batch_id", Field: func(s *settings) any { return &s.batchID }, Doc: "Only addresses with the same expansion share a run."},
	{Name: "batch_max", Default: "1", Field: func(s *settings) any { return &s.batchMax }, Doc: "Largest number of addresses in one run."},
	{Name: "check_string", Field: func(s *settings) any { return &s.checkString }, Doc: "Start of lines that is replaced by escape_string."},
	{Name: "command", Field: func(s *settings) any { return &s.command }, Doc: "Command to run, split into arguments that are expanded one by one."},
	{Name: "environment", Field: func(s *settings) any { return &s.environment }, Doc: "Further variables of the command's environment."},
	{Name: "escape_string", Field: func(s *settings) any { return &s.escapeString }, Doc: "Replacement for check_string."},
	{Name: "force_command", Field: func(s *settings) any { return &s.forceCommand }, Doc: "The option command is used even when a redirection names one."},
	{Name: "freeze_exec_fail", Field: func(s *settings) any { return &s.freezeExecFail }, Doc: "The message is frozen when the command cannot be run."},
	{Name: "freeze_signal", Field: func(s *settings) any { return &s.freezeSignal }, Doc: "The message is frozen when the command ends by a signal."},
	{Name: "ignore_status", Field: func(s *settings) any { return &s.ignoreStatus }, Doc: "The command's exit status does not matter."},
	{Name: "log_defer_output", Field: func(s *settings) any { return &s.logDeferOutput }, Doc: "The first line of output is logged when the delivery is deferred."},
	{Name: "log_fail_output", Field: func(s *settings) any { return &s.logFailOutput }, Doc: "The first line of output is logged when the delivery fails."},
	{Name: "log_output", Field: func(s *settings) any { return &s.logOut }, Doc: "The first line of output is logged."},
	{Name: "max_output", Default: "20K", Field: func(s *settings) any { return &s.maxOutput }, Doc: "The command is killed when it writes more than this."},
	{Name: "message_prefix", Field: func(s *settings) any { return &s.messagePrefix }, Doc: "Text before the message; a From line unless set."},
	{Name: "message_suffix", Field: func(s *settings) any { return &s.messageSuffix }, Doc: "Text after the message; a newline unless set."},
	{Name: "path", Default: "/bin:/usr/bin", Field: func(s *settings) any { return &s.path }, Doc: "Where the command is looked for, and its PATH."},
	{Name: "permit_coredump", Field: func(s *settings) any { return &s.permitCoredump }, Doc: "The command may leave a core dump."},
	{Name: "pipe_as_creator", Field: func(s *settings) any { return &s.pipeAsCreator }, Doc: "The command runs as the user who submitted the message."},
	{Name: "restrict_to_path", Field: func(s *settings) any { return &s.restrictToPath }, Doc: "The command's name may hold no slash."},
	{Name: "return_fail_output", Field: func(s *settings) any { return &s.returnFailOutput }, Doc: "Output is returned to the sender when the delivery fails."},
	{Name: "return_output", Field: func(s *settings) any { return &s.returnOutput }, Doc: "Output makes the delivery fail and is returned to the sender."},
	{Name: "temp_errors", Default: "75:73", Field: func(s *settings) any { return &s.tempErrors }, Doc: "Exit statuses that defer the delivery; * for all."},
	{Name: "timeout", Default: "1h", Field: func(s *settings) any { return &s.timeout }, Doc: "The command is killed after this time; zero is never."},
	{Name: "timeout_defer", Field: func(s *settings) any { return &s.timeoutDefer }, Doc: "A timeout defers the delivery instead of failing it."},
	{Name: "umask", Default: "022", Field: func(s *settings) any { return &s.umask }, Doc: "The command's umask."},
	{Name: "use_bsmtp", Field: func(s *settings) any { return &s.useBSMTP }, Doc: "The message is written as batch SMTP."},
	{Name: "use_classresources", Field: func(s *settings) any { return &s.useClassresources }, Doc: "Login classes of other systems; refused here."},
	{Name: "use_crlf", Field: func(s *settings) any { return &s.useCRLF }, Doc: "Lines end with CRLF."},
	{Name: "use_shell", Field: func(s *settings) any { return &s.useShell }, Doc: "The command is run by /bin/sh -c."},
}}

// Driver is the transport.
func Driver() *transport.Driver {
	return &transport.Driver{
		Name: "pipe", Doc: "Gives messages to a command.", Options: options, Check: check,
		Local: &transport.Local{Prepare: prepare, Execute: execute, Identity: identity},
		Batch: func(inst *config.Instance) (int, option.Expanded) {
			s := option.Of[settings](inst.Options)
			return s.batchMax, s.batchID
		},
		Shown: func(inst *config.Instance, name string) any {
			if text := option.Of[settings](inst.Options).defaultText(name); text != "" {
				return text
			}
			return nil
		},
	}
}

// check examines an instance when the configuration is read.
func check(inst *config.Instance) error {
	s := option.Of[settings](inst.Options)
	switch {
	case s.returnOutput && s.returnFailOutput:
		return transport.Mistake("both return_output and return_fail_output set for %s transport", inst.Name)
	case s.logOut && s.logFailOutput:
		return transport.Mistake("both log_output and log_fail_output set for the %s transport", inst.Name)
	case s.restrictToPath && s.useShell:
		return transport.Mistake("both restrict_to_path and use_shell set for %s transport", inst.Name)
	case s.allowCommands != "" && s.useShell:
		return transport.Mistake("both allow_commands and use_shell set for %s transport", inst.Name)
	case s.useClassresources:
		return errors.New("use_classresources is not available on this system")
	}
	if len(s.tempErrors) == 1 && s.tempErrors[0] == "*" {
		return nil
	}
	for _, n := range s.tempErrors {
		if _, err := strconv.Atoi(n); err != nil {
			return transport.Mistake("temp_errors must be a list of numbers or an asterisk for the %s transport", inst.Name)
		}
	}
	return nil
}

// identity is the submitter's, with pipe_as_creator.
func identity(r *transport.Run) (uid, gid int, uidSet, gidSet bool) {
	if !option.Of[settings](r.Transport.Instance.Options).pipeAsCreator {
		return 0, 0, false, false
	}
	return r.Message.OriginatorUID, r.Message.OriginatorGID, true, true
}
