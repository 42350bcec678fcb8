// Package spam is the room of the ACL condition spam (spec 45.2, 45.3): SpamAssassin's spamd or rspamd says how much a message looks like
// spam, and variables say what it said.
//
// Trust: the message goes to the daemon as a stream. Daemons are the administrator's, but their reports quote messages: they are bounded, and
// tainted.
package spam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/scan"
	"exigo/internal/spool"
	"exigo/internal/submit"
)

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "spam", Doc: "Asks SpamAssassin or rspamd whether a message is spam.",
		Conditions: []acl.Condition{{Name: "spam", Phases: acl.Phases(acl.PRDR, acl.Data, acl.NotSMTP), Expand: true, Check: check,
			Doc: "Asks spamd, for a user, whether the message is spam; :true makes it true in any case, /defer_ok makes it false where no daemon answers."}},
		Variables: []expand.Variable{
			variable("spam_action", "What the daemon recommends: reject, no action, add header ...", func(v *verdict) mail.Value { return mail.Clean(v.action) }),
			variable("spam_bar", "A + or a - for each full point of the spam score, at most 50; / for none.", func(v *verdict) mail.Value { return mail.Clean(v.bar) }),
			variable("spam_report", "The report about the message, of several lines.", func(v *verdict) mail.Value { return mail.Taint(v.report) }),
			variable("spam_score", "The spam score with one decimal place.", func(v *verdict) mail.Value { return mail.Clean(v.score) }),
			variable("spam_score_int", "The spam score times ten.", func(v *verdict) mail.Value { return mail.Clean(v.scoreInt) }),
		},
		Fields: []spool.Field{
			field("spam_bar", "$spam_bar", func(v *verdict) *string { return &v.bar }),
			field("spam_score", "$spam_score", func(v *verdict) *string { return &v.score }),
			field("spam_score_int", "$spam_score_int", func(v *verdict) *string { return &v.scoreInt }),
		},
		Reception: []submit.Room{scan.Room()},
	}
}

// verdict is what a daemon said about a message.
type verdict struct {
	// known says that the condition may use it again for the user.
	known  bool
	user   string
	isSpam bool

	score, scoreInt, bar, action, report string
}

func variable(name, doc string, get func(*verdict) mail.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (mail.Value, error) {
		if s.Message != nil {
			if v := mail.Peek[verdict](&s.Message.Bag); v != nil {
				return get(v), nil
			}
		}
		return mail.Value{}, nil
	}}
}

func field(name, doc string, at func(*verdict) *string) spool.Field {
	return spool.Field{Name: name, Doc: doc,
		Write: func(m *mail.Message) (string, bool) {
			v := mail.Peek[verdict](&m.Bag)
			if v == nil {
				return "", false
			}
			text := *at(v)
			return text, text != ""
		},
		Read: func(m *mail.Message, text string) error {
			*at(mail.State[verdict](&m.Bag)) = text
			return nil
		}}
}

// check is the condition: user[:true][/defer_ok].
func check(r *acl.Run, argument mail.Value) acl.Verdict {
	user, always, deferOK := parse(argument.S)
	if r.Scope.Message == nil || user == "" && !always || user == "0" || strings.EqualFold(user, "false") {
		return acl.Fail
	}
	v := mail.State[verdict](&r.Scope.Message.Bag)
	if !v.known || v.user != user {
		if !ask(r, v, user) {
			if deferOK {
				return acl.Fail
			}
			return r.Deferred("")
		}
	}
	if v.isSpam || always {
		return acl.OK
	}
	return acl.Fail
}

// parse takes the argument apart.
func parse(argument string) (user string, always, deferOK bool) {
	first, rest, _ := strings.Cut(argument, "/")
	for word := range strings.SplitSeq(rest, "/") {
		deferOK = deferOK || strings.EqualFold(strings.TrimSpace(word), "defer_ok")
	}
	user, suffix, _ := strings.Cut(strings.TrimSpace(first), ":")
	return strings.TrimSpace(user), strings.EqualFold(suffix, "true"), deferOK
}

// ask asks the daemons of spamd_address. What went wrong is in the log.
func ask(r *acl.Run, v *verdict, user string) bool {
	text := option.Of[config.Main](config.Of(r.Scope).Main).SpamdAddress
	expanded := strings.HasPrefix(text, "$")
	if expanded {
		value, err := r.Scope.Engine.Expand(r.Scope, text)
		if err != nil {
			panicLog(r, "spamd_address starts with $, but expansion failed: "+err.Error())
			return false
		}
		text = value.S
	}
	c, ok := scan.Of(r, "spam")
	if !ok {
		return false
	}
	servers := readServers(text, func(warning string) { scan.Log(r, acl.LogMain, "spam acl condition: "+warning) })
	if len(servers) == 0 {
		panicLog(r, "no useable spamd server addresses in spamd_address configuration option.")
		return false
	}
	*v = verdict{user: user}
	world := r.Scope.Engine.World
	for {
		chosen := choose(servers, world.Clock.Now(), world.Random.Intn)
		if chosen == nil {
			panicLog(r, "all spamd servers failed")
			return false
		}
		ok, answered := chosen.ask(r, v, c)
		if answered {
			v.known = ok && !expanded
			return ok
		}
		chosen.failed = true
	}
}

func panicLog(r *acl.Run, text string) {
	scan.Log(r, acl.LogMain|acl.LogPanic, "spam acl condition: "+text)
}

// maxReply is how much of a daemon's answer is read.
const maxReply = 32 << 10

// ask asks one daemon. answered is false when no connection could be made, so that another one may be asked.
func (d *server) ask(r *acl.Run, v *verdict, c *scan.Copy) (ok, answered bool) {
	ctx, cancel := context.WithTimeout(r.Ctx, d.timeout)
	defer cancel()
	if d.problem != nil {
		scan.Log(r, acl.LogMain, "spam acl condition: spamd: "+d.problem.Error())
		return false, false
	}
	conn, err := d.address.Dial(ctx, r.Scope)
	if err != nil {
		scan.Log(r, acl.LogMain, "spam acl condition: spamd: "+err.Error())
		return false, false
	}
	defer conn.Close()
	request := spamdRequest(v.user, c.Size())
	if d.rspamd {
		request = rspamdRequest(r, c.Size())
	}
	if _, err = io.WriteString(conn, request); err == nil {
		_, err = c.WriteTo(conn)
	}
	if err == nil && !d.rspamd {
		err = conn.CloseWrite()
	}
	reply, readErr := io.ReadAll(io.LimitReader(conn, maxReply))
	switch {
	case len(reply) == 0 && err != nil: // a daemon may refuse a message before it has read all of it
		panicLog(r, "error sending to spamd "+conn.Address+", socket: "+scan.Reason(err))
		return false, true
	case readErr != nil && !(len(reply) > 0 && err != nil):
		panicLog(r, "error reading from spamd "+conn.Address+", socket: "+scan.Reason(readErr))
		return false, true
	}
	if d.rspamd {
		err = v.readRspamd(string(reply))
	} else {
		err = v.readSpamd(string(reply))
	}
	if err != nil {
		panicLog(r, "cannot parse spamd "+conn.Address+err.Error())
		return false, true
	}
	return true, true
}

// spamdRequest is the head of a request in SpamAssassin's protocol (spamd/PROTOCOL in its documentation).
func spamdRequest(user string, size int64) string {
	return "REPORT SPAMC/1.2\r\nUser: " + line(user) + "\r\nContent-length: " + strconv.FormatInt(size, 10) + "\r\n\r\n"
}

// rspamdRequest is the head of a request in rspamd's variant of it, which has the envelope.
func rspamdRequest(r *acl.Run, size int64) string {
	m, session := r.Scope.Message, r.Scope.Session
	var b strings.Builder
	fmt.Fprintf(&b, "CHECK RSPAMC/1.3\r\nContent-length: %d\r\nQueue-Id: %s\r\nFrom: <%s>\r\nRecipient-Number: %d\r\n", size, m.ID, line(m.Sender), len(m.Recipients))
	for _, rcpt := range m.Recipients {
		b.WriteString("Rcpt: <" + line(rcpt.Address) + ">\r\n")
	}
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + line(value) + "\r\n")
		}
	}
	if session != nil {
		if session.Host.IsValid() && session.HostName == "" && session.NameLookup == mail.NameNotTried && r.Services.HostName != nil {
			if found, _, why := r.Services.HostName(r.Ctx, r.Scope); !found {
				r.Scope.LogSelected("host_lookup_failed", "%s", why)
			}
		}
		field("Helo", session.HELO)
		field("Hostname", session.HostName)
		if session.Host.IsValid() {
			field("IP", session.Host.Unmap().String())
		}
		field("User", session.AuthID)
	}
	b.WriteString("\r\n")
	return b.String()
}

// line is a text that stays on its line.
func line(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text)
}

var errParse = errors.New(" output")

// head splits the lines before the first empty one from what follows, with LF line ends.
func head(reply string) (lines []string, rest string) {
	reply = strings.ReplaceAll(reply, "\r\n", "\n")
	before, rest, _ := strings.Cut(reply, "\n\n")
	return strings.Split(strings.TrimSuffix(before, "\n"), "\n"), rest
}

// status tells whether the first line of an answer says that all is well.
func status(line, protocol string) bool {
	words := strings.Fields(line)
	return len(words) >= 3 && strings.HasPrefix(words[0], protocol+"/") && words[1] == "0" && words[2] == "EX_OK"
}

// readSpamd reads SpamAssassin's answer: "Spam: True ; 15.3 / 5.0" in the header, and the report.
func (v *verdict) readSpamd(reply string) error {
	lines, report := head(reply)
	if !status(lines[0], "SPAMD") {
		return errParse
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		if !strings.EqualFold(name, "spam") {
			continue
		}
		_, numbers, found := strings.Cut(value, ";")
		score, threshold, ok := scores(numbers, 2)
		if !found || ok != 2 {
			return errParse
		}
		v.set(score, threshold, report)
		v.action = "no action"
		if v.isSpam {
			v.action = "reject"
		}
		return nil
	}
	return errParse
}

// readRspamd reads rspamd's answer: "Metric: default; False; 2.30 / 15.00 / 0.0" and the lines that follow. The error has the number of things
// that were understood.
func (v *verdict) readRspamd(reply string) error {
	wrong := func(n int) error { return fmt.Errorf(", output: %d", n) }
	lines, _ := head(reply)
	if reply == "" {
		return wrong(-1)
	}
	if !status(lines[0], "RSPAMD") {
		return wrong(0)
	}
	at := 1
	for at < len(lines) && !strings.HasPrefix(lines[at], "Metric: default;") {
		at++
	}
	if at == len(lines) {
		return wrong(1)
	}
	_, rest, _ := strings.Cut(lines[at], ";")
	_, numbers, found := strings.Cut(rest, ";")
	score, threshold, n := scores(numbers, 3)
	if !found || n != 3 {
		return wrong(2 + n)
	}
	lines = lines[at+1:]
	for _, l := range lines {
		if action, ok := strings.CutPrefix(l, "Action: "); ok {
			v.set(score, threshold, strings.Join(lines, "\n"))
			v.action = line(action)
			return nil
		}
	}
	return wrong(5)
}

// scores reads numbers between slashes; n is how many there are, up to want. The first two are score and threshold.
func scores(text string, want int) (score, threshold float64, n int) {
	for part := range strings.SplitSeq(text, "/") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || x != x || n == want || x > maxScore || x < -maxScore {
			break
		}
		switch n {
		case 0:
			score = x
		case 1:
			threshold = x
		}
		n++
	}
	return score, threshold, n
}

const (
	maxScore = 1e6
	maxBar   = 50
)

// set makes the texts of the variables.
func (v *verdict) set(score, threshold float64, report string) {
	v.isSpam = score >= threshold
	v.score = strconv.FormatFloat(score, 'f', 1, 64)
	v.scoreInt = strconv.Itoa(int((score + 0.001) * 10)) // sums such as 4.9999999 are meant to be 5.0
	switch points := int(score); {
	case points > 0:
		v.bar = strings.Repeat("+", min(points, maxBar))
	case points < 0:
		v.bar = strings.Repeat("-", min(-points, maxBar))
	default:
		v.bar = "/"
	}
	report = strings.Map(func(c rune) rune {
		if c == 0 || c == '\r' {
			return -1
		}
		return c
	}, report)
	v.report = strings.ReplaceAll(strings.TrimRight(report, " \t\n"), "\n", "\n ")
}
