package acl

import (
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

func modifierRows() []Condition {
	rows := []Condition{
		{Name: "add_header", Phases: messagePhases, Expand: true, Check: checkAddHeader, Doc: "Adds header lines to the message."},
		{Name: "continue", Phases: AllPhases, Expand: true, Check: func(*Run, mail.Value) Verdict { return OK },
			Doc: "Is expanded for its side effects."},
		{Name: "control", Phases: AllPhases, Expand: true, Check: checkControl, Doc: "Changes what is done with the session or message."},
		{Name: "delay", Phases: except(Phases(NotQuit)), Expand: true, Check: checkDelay, Doc: "Waits."},
		{Name: "endpass", Phases: AllPhases, Doc: "Marks the conditions after which accept and discard do not pass control to the next statement."},
		{Name: "log_message", Phases: AllPhases, Doc: "Is the text for the log."},
		{Name: "log_reject_target", Phases: AllPhases, Expand: true, Check: checkLogRejectTarget, Doc: "Names the logs for rejections."},
		{Name: "logwrite", Phases: AllPhases, Expand: true, Check: checkLogWrite, Doc: "Writes to logs."},
		{Name: "message", Phases: AllPhases, Doc: "Is the text for the client."},
		{Name: "queue", Phases: except(Phases(PRDR, Data, NotSMTP)), Expand: true, Check: checkQueue, Doc: "Names the queue for the message."},
		{Name: "remove_header", Phases: messagePhases &^ Phases(DKIM), Expand: true, Check: checkRemoveHeader, Doc: "Removes header lines from the message."},
		{Name: "set", Phases: AllPhases, Expand: true, Check: checkSet, Doc: "Sets an ACL variable."},
		{Name: "udpsend", Phases: AllPhases, Expand: true, Check: checkUDPSend, Doc: "Sends a UDP packet."},
	}
	for i := range rows {
		rows[i].Modifier = true
	}
	return rows
}

func checkDelay(r *Run, argument mail.Value) Verdict {
	d, ok := option.ParseTime(argument.S)
	if !ok {
		return r.Mistake("syntax error in argument for \"delay\" modifier: \"" + argument.S + "\" is not a time value")
	}
	if r.Services.Delay != nil {
		if err := r.Services.Delay(r.Ctx, r.Scope, d); err != nil {
			return r.Deferred(err.Error())
		}
	}
	return OK
}

var logNames = map[string]LogTargets{"main": LogMain, "reject": LogReject, "panic": LogPanic}

func checkLogRejectTarget(r *Run, argument mail.Value) Verdict {
	var targets LogTargets
	for _, name := range option.SplitList(argument.S) {
		target, ok := logNames[name]
		if !ok {
			r.log(LogMain|LogReject, "unknown log name \""+name+"\" in \"log_reject_target\" in "+r.Phase.String()+" ACL")
		}
		targets |= target
	}
	r.targets = targets
	return OK
}

// checkLogWrite writes a line: "text", or ":main,reject:text".
func checkLogWrite(r *Run, argument mail.Value) Verdict {
	text := argument.S
	targets := LogMain
	if strings.HasPrefix(text, ":") {
		rest := text[1:]
		named := LogTargets(0)
		for rest != "" && rest[0] != ':' {
			end := strings.IndexAny(rest, ":,")
			if end < 0 {
				end = len(rest)
			}
			target, ok := logNames[rest[:end]]
			if !ok {
				r.log(LogMain|LogReject, "unknown log name in \""+text+"\" in \"logwrite\" in "+r.Phase.String()+" ACL")
				return OK
			}
			named |= target
			rest = strings.TrimPrefix(rest[end:], ",")
		}
		targets, text = named, strings.TrimPrefix(rest, ":")
	}
	r.log(targets, strings.TrimLeft(text, " \t\n"))
	return OK
}

func checkQueue(r *Run, argument mail.Value) Verdict {
	if strings.Contains(argument.S, "/") || argument.S == ".." || argument.S == "." || strings.ContainsAny(argument.S, "\x00\n\r") {
		return r.Mistake("Directory separator not permitted in queue name: '" + argument.S + "'")
	}
	if r.Scope.Message != nil {
		r.Scope.Message.Queue = argument.S
	}
	return OK
}

// checkSet sets an ACL variable: acl_c in the session, acl_m in the message; or a room's.
func checkSet(r *Run, argument mail.Value) Verdict {
	if r.setting != nil {
		return r.setting.Set(r, argument)
	}
	name := r.Variable
	vars := &r.Scope.Session.Vars
	if name[4] == 'm' {
		if r.Scope.Message == nil {
			return OK
		}
		vars = &r.Scope.Message.Vars
	}
	if *vars == nil {
		*vars = make(map[string]mail.Value)
	}
	(*vars)[name[5:]] = argument
	return OK
}

// checkUDPSend sends a packet to "host : port : text"; a failure to send changes nothing.
func checkUDPSend(r *Run, argument mail.Value) Verdict {
	parts := append(splitN(argument.S, 3), "", "", "")
	if parts[0] == "" {
		return r.Mistake("missing destination host in \"udpsend\" modifier")
	}
	if parts[1] == "" {
		return r.Mistake("missing destination port in \"udpsend\" modifier")
	}
	port, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil || port == 0 {
		return r.Mistake("bad destination port in \"udpsend\" modifier")
	}
	address, ok := r.lookupHost(strings.Trim(parts[0], "[]"))
	if !ok {
		return r.Deferred("DNS lookup failed in \"udpsend\" modifier")
	}
	if parts[2] == "" {
		return r.Mistake("missing datagram content in \"udpsend\" modifier")
	}
	conn, err := r.Scope.Engine.World.Dial.Dial(r.Ctx, "udp", netip.Addr{}, netip.AddrPortFrom(address, uint16(port)).String())
	if err == nil {
		_, err = conn.Write([]byte(parts[2]))
		conn.Close()
	}
	if err != nil {
		r.debug("udpsend: %v", err)
	}
	return OK
}

// lookupHost finds an address of a host, which may be an address itself.
func (r *Run) lookupHost(name string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(name); err == nil {
		return a, true
	}
	for _, t := range []outside.RRType{outside.TypeA, outside.TypeAAAA} {
		answer, err := r.Scope.DNS().Lookup(r.Ctx, outside.Question{Name: name, Type: t})
		if err != nil {
			continue
		}
		for _, record := range answer.Records {
			if a, err := netip.ParseAddr(record.Data); err == nil {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// splitN takes n items off a list; the last one is the whole rest as it stands.
func splitN(text string, n int) []string {
	text = strings.TrimLeft(text, " \t\n")
	sep := ":"
	if len(text) > 1 && text[0] == '<' {
		sep, text = text[1:2], text[2:]
	}
	var out []string
	for len(out) < n-1 {
		item, rest, ok := strings.Cut(text, sep)
		out = append(out, strings.TrimSpace(item))
		if !ok {
			return out
		}
		text = rest
	}
	return append(out, text)
}
