package cli

import (
	"strconv"
	"strings"
	"time"

	"exigo/internal/option"
)

// optionRow is one option of the command line: an exact word, or a prefix with something attached.
type optionRow struct {
	word  string
	exact bool
	apply func(p *parser, word, rest string) error
}

func mode(word string, m Mode, sub string) optionRow {
	return optionRow{word, true, func(p *parser, _, _ string) error { return p.setMode(m, sub) }}
}

func flag(word string, set func(a *Arguments)) optionRow {
	return optionRow{word, true, func(p *parser, _, _ string) error { set(p.a); return nil }}
}

// text is an option whose argument is the next word.
func text(word string, set func(a *Arguments) *string) optionRow {
	return optionRow{word, true, func(p *parser, w, _ string) (err error) {
		*set(p.a), err = p.next(w)
		return err
	}}
}

func ignored(words ...string) []optionRow {
	var rows []optionRow
	for _, w := range words {
		rows = append(rows, flag(w, func(*Arguments) {}))
	}
	return rows
}

// optionRows are tried in order: longer words stand before their prefixes.
var optionRows = concat(modeRows(), messageRows(), submissionRows(), queueRows(), generalRows())

func concat(lists ...[]optionRow) []optionRow {
	var all []optionRow
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func modeRows() []optionRow {
	rows := []optionRow{
		mode("-bd", ModeDaemon, ""), mode("-bdf", ModeDaemon, "f"), mode("-be", ModeExpand, ""),
		{"-bem", true, func(p *parser, w, _ string) (err error) {
			p.a.ExpandMessage, err = p.next(w)
			if err != nil {
				return err
			}
			return p.setMode(ModeExpand, "m")
		}},
		{"-bhc", true, hostMode("c")}, {"-bh", true, hostMode("")},
		{"-atrn", true, func(p *parser, w, _ string) (err error) {
			if p.a.HostAddress, err = p.next(w); err == nil {
				p.a.Domains, err = p.next(w)
			}
			if err != nil {
				return err
			}
			return p.setMode(ModeFetch, "")
		}},
		{"-bmalware", true, func(p *parser, w, _ string) (err error) {
			if p.a.ScanFile, err = p.next(w); err != nil {
				return err
			}
			return p.setMode(ModeScan, "")
		}},
		mode("-bi", ModeRebuild, ""), mode("-bm", ModeSubmit, ""), mode("-bP", ModePrint, ""),
		mode("-brt", ModeRetry, ""), mode("-brw", ModeRewrite, ""), mode("-bS", ModeBatch, ""), mode("-bs", ModeSMTP, ""),
		mode("-bt", ModeTest, ""), mode("-bV", ModeVersion, ""), mode("-bv", ModeVerify, ""), mode("-bvs", ModeVerify, "s"),
		flag("-bnq", func(a *Arguments) { a.Submission.NoQualify = true }),
		{"-bI:", false, func(p *parser, _, rest string) error { p.a.Info = rest; return p.setMode(ModeInfo, rest) }},
		{"-bw", false, func(p *parser, _, rest string) error { p.a.InetdWait = rest; return p.setMode(ModeWait, "") }},
	}
	for _, sub := range []string{"", "a", "c", "i", "r", "ra", "ri", "ru", "rr", "u", "ai", "ui", "rai", "rui"} {
		rows = append(rows, mode("-bp"+sub, ModeList, sub))
	}
	return rows
}

func hostMode(sub string) func(p *parser, word, _ string) error {
	return func(p *parser, word, _ string) (err error) {
		if p.a.HostAddress, err = p.next(word); err != nil {
			return err
		}
		return p.setMode(ModeHost, sub)
	}
}

// messageRows are the -M options: what is done to messages on the queue.
func messageRows() []optionRow {
	var rows []optionRow
	rows = append(rows, optionRow{"-MG", true, func(p *parser, w, _ string) error {
		var err error
		if p.a.MoveTo, err = p.next(w); err != nil {
			return err
		}
		return p.setMode(ModeMessage, "G")
	}})
	rows = append(rows, optionRow{"-Mset", true, func(p *parser, w, _ string) (err error) {
		p.a.MessageSet, err = p.next(w)
		return err
	}})
	for _, sub := range []string{"", "ar", "c", "es", "f", "g", "mad", "md", "rm", "t", "vb", "vc", "vh", "vl"} {
		rows = append(rows, mode("-M"+sub, ModeMessage, sub))
	}
	return rows
}

func submissionRows() []optionRow {
	sub := func(a *Arguments) *Submission { return &a.Submission }
	rows := []optionRow{
		{"-f", false, func(p *parser, w, rest string) (err error) {
			p.a.Submission.Sender, err = p.attachedOrNext("-f", rest)
			p.a.Submission.SenderGiven = true
			return err
		}},
		{"-F", false, func(p *parser, _, rest string) (err error) {
			p.a.Submission.FullName, err = p.attachedOrNext("-F", rest)
			return err
		}},
		{"-r", true, func(p *parser, w, _ string) (err error) {
			p.a.Submission.Sender, err = p.next(w)
			p.a.Submission.SenderGiven = true
			return err
		}},
		flag("-i", func(a *Arguments) { a.Submission.DotEnds = false }),
		flag("-oi", func(a *Arguments) { a.Submission.DotEnds = false }),
		flag("-oitrue", func(a *Arguments) { a.Submission.DotEnds = false }),
		flag("-t", func(a *Arguments) { a.Submission.ExtractRecipients = true }),
		flag("-ti", func(a *Arguments) { a.Submission.ExtractRecipients, a.Submission.DotEnds = true, false }),
		flag("-odb", func(a *Arguments) { a.Submission.Delivery = DeliverBackground }),
		flag("-odf", func(a *Arguments) { a.Submission.Delivery = DeliverForeground }),
		flag("-odi", func(a *Arguments) { a.Submission.Delivery = DeliverForeground }),
		flag("-odq", func(a *Arguments) { a.Submission.Delivery = DeliverQueue }),
		flag("-odqs", func(a *Arguments) { a.Submission.Delivery = DeliverQueueSMTP }),
		text("-oA", func(a *Arguments) *string { return &a.AliasFile }),
		text("-oMaa", func(a *Arguments) *string { return &sub(a).AuthName }),
		text("-oMai", func(a *Arguments) *string { return &sub(a).AuthID }),
		text("-oMas", func(a *Arguments) *string { return &sub(a).AuthSender }),
		text("-oMa", func(a *Arguments) *string { return &sub(a).Host }),
		text("-oMi", func(a *Arguments) *string { return &sub(a).Interface }),
		text("-oMm", func(a *Arguments) *string { return &sub(a).MessageReference }),
		text("-oMr", func(a *Arguments) *string { return &sub(a).Protocol }),
		text("-oMs", func(a *Arguments) *string { return &sub(a).HostName }),
		text("-oMt", func(a *Arguments) *string { return &sub(a).Ident }),
		{"-or", false, interval(func(a *Arguments, r string) bool { return setTime(&a.Submission.ReceiveTimeout, r) })},
		{"-os", false, interval(func(a *Arguments, r string) bool { return setTime(&a.Submission.SMTPTimeout, r) })},
		{"-p", false, func(p *parser, w, rest string) error {
			if rest == "d" || rest == "s" {
				p.a.Perl = rest
				return nil
			}
			p.a.Submission.Protocol, p.a.Submission.HostName, _ = strings.Cut(rest, ":")
			return nil
		}},
		{"-MCG", true, func(p *parser, w, _ string) (err error) {
			p.a.Submission.QueueName, err = p.next(w)
			return err
		}},
		flag("-U", func(a *Arguments) { a.Submission.Mua = true }),
		flag("-G", func(a *Arguments) { a.Submission.NotesGateway = true }),
	}
	for _, m := range []byte("mpeqw") {
		set := func(a *Arguments) { a.Submission.ErrorMode = m }
		rows = append(rows, flag("-oe"+string(m), set), flag("-e"+string(m), set))
	}
	return append(rows, ignored("-om", "-oo", "-ov", "-m", "-n8bit", "-E")...)
}

func setTime(d *time.Duration, text string) (ok bool) {
	*d, ok = option.ParseTime(text)
	return ok
}

func interval(set func(a *Arguments, rest string) bool) func(p *parser, word, rest string) error {
	return func(p *parser, word, rest string) error {
		if rest == "" {
			var err error
			if rest, err = p.next(word); err != nil {
				return err
			}
		}
		if !set(p.a, rest) {
			return usagef("exim: bad time value %s: abandoned", rest)
		}
		return nil
	}
}

func queueRows() []optionRow {
	return []optionRow{
		{"-q", false, func(p *parser, w, rest string) error { return p.queueOption(w, rest) }},
		{"-R", false, selection(func(q *QueueRun) (*string, *bool) { return &q.Recipient, &q.RecipientRegexp })},
		{"-S", false, selection(func(q *QueueRun) (*string, *bool) { return &q.Sender, &q.SenderRegexp })},
	}
}

// queueOption reads -q[q][i][f[f]][l][G<name>[/<time>]][<time>] and -qR, -qS.
func (p *parser) queueOption(word, rest string) error {
	q := &p.a.Queue
	q.Wanted = true
	take := func(flag string, set *bool) {
		if strings.HasPrefix(rest, flag) {
			rest, *set = rest[len(flag):], true
		}
	}
	take("q", &q.TwoStage)
	take("i", &q.Initial)
	take("f", &q.Force)
	take("f", &q.ForceFrozen)
	take("l", &q.Local)
	if strings.HasPrefix(rest, "R") || strings.HasPrefix(rest, "S") {
		for _, row := range queueRows()[1:] {
			if rest[0] == row.word[1] {
				return row.apply(p, word, rest[1:])
			}
		}
	}
	if strings.HasPrefix(rest, "G") {
		q.Name, rest, _ = strings.Cut(rest[1:], "/")
	}
	if rest == "" {
		return nil
	}
	d, ok := option.ParseTime(rest)
	if !ok || d <= 0 {
		return usagef("exim: bad time value %s: abandoned", rest)
	}
	q.Interval = d
	return nil
}

func selection(field func(q *QueueRun) (*string, *bool)) func(p *parser, word, rest string) error {
	return func(p *parser, word, rest string) (err error) {
		q := &p.a.Queue
		q.Wanted = true
		s, re := field(q)
		switch rest {
		case "r", "rf", "rff":
			*re = true
			rest = rest[1:]
		}
		switch rest {
		case "f":
			q.SelectForce, rest = true, ""
		case "ff":
			q.SelectForce, q.SelectFrozen, rest = true, true, ""
		}
		*s, err = p.attachedOrNext(word, rest)
		return err
	}
}

func generalRows() []optionRow {
	rows := []optionRow{
		{"-C", false, func(p *parser, w, rest string) (err error) {
			p.a.ConfigFile, err = p.attachedOrNext(w, rest)
			return err
		}},
		{"-D", false, func(p *parser, w, rest string) error {
			name, value, _ := strings.Cut(rest, "=")
			name = strings.TrimSpace(name)
			if name == "" || name[0] < 'A' || name[0] > 'Z' {
				return usagef("exim: macro name set by -D must start with an upper case letter")
			}
			p.a.Macros = append(p.a.Macros, MacroDefinition{name, strings.TrimLeft(value, " \t")})
			return nil
		}},
		flag("-dropcr", func(*Arguments) {}),
		{"-d", false, func(p *parser, _, rest string) error {
			p.a.Debug, p.a.DebugSpec = true, strings.TrimPrefix(rest, "d")
			return nil
		}},
		flag("-v", func(a *Arguments) { a.Verbose = true }),
		flag("-N", func(a *Arguments) { a.NoDelivery = true }),
		flag("-n", func(a *Arguments) { a.NoNames = true }),
		flag("-oPX", func(a *Arguments) { a.PIDFileRemove = true }),
		text("-oP", func(a *Arguments) *string { return &a.PIDFile }),
		text("-oX", func(a *Arguments) *string { return &a.Ports }),
		flag("-oY", func(*Arguments) {}),
		text("-L", func(a *Arguments) *string { return &a.Tag }),
		text("-h", func(a *Arguments) *string { return new(string) }),
		text("-O", func(a *Arguments) *string { return new(string) }),
		text("-X", func(a *Arguments) *string { return new(string) }),
		flag("-tls-on-connect", func(a *Arguments) { a.TLSOnConnect = true }),
		{"-Tqt", true, func(p *parser, w, _ string) error {
			list, err := p.next(w)
			for _, t := range option.SplitList(strings.ReplaceAll(list, "/", ":")) {
				d, ok := option.ParseTime(t)
				if !ok {
					return usagef("exim: bad time value %s: abandoned", t)
				}
				p.a.QueueTimes = append(p.a.QueueTimes, d)
			}
			return err
		}},
		{"-z", true, func(p *parser, w, _ string) error {
			p.a.LogLine = strings.Join(p.args, " ")
			p.args = nil
			return p.setMode(ModeLogLine, "")
		}},
		{"-oB", false, func(p *parser, w, rest string) error {
			if rest == "" && len(p.args) > 0 {
				if _, err := strconv.Atoi(p.args[0]); err == nil {
					p.args = p.args[1:]
				}
			}
			return nil
		}},
		{"-B", false, func(*parser, string, string) error { return nil }},
		{"-x", true, func(*parser, string, string) error { return nil }},
	}
	return append(rows, ignored("-Ac", "-Am")...)
}
