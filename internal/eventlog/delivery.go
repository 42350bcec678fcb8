package eventlog

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
)

// Delivery is what the lines of deliveries say (spec 53.7 to 53.11).
type Delivery struct {
	// Flag is "=>", "->", ">>", "*>", "**" or "==".
	Flag    string
	Message *mail.Message
	Address *mail.Address
	// AsLocal shows a local delivery by its local part alone (log_as_local).
	AsLocal bool
	// ReturnPath is the sender as transmitted (P=); ReturnPathKnown is false where no delivery was tried.
	ReturnPath      string
	ReturnPathKnown bool
	// Size is the size of the delivered copy (S=), 0 if unknown.
	Size int64
	// Shadow is the name of a shadow transport that ran; its error is Address.Outcome.ShadowError.
	Shadow string
	// QueueTime is how long the message has been here (QT=), DeliverTime how long the attempt took (DT=).
	QueueTime, DeliverTime time.Duration
	// NoQueueTime leaves QT out (lines of failures and deferrals).
	NoQueueTime bool
	// Routing marks a deferral while routing: "routing defer" in place of "defer".
	Routing bool
}

// Delivered builds a line of a success: "=> address <original> R=router T=transport ...".
func (f Format) Delivered(d Delivery) string {
	a := d.Address
	l := f.NewLine(d.Flag)
	f.recipient(l, d)
	f.instances(l, d)
	if f.Selectors.Has(DeliverySize) && d.Size > 0 {
		l.Field("S", strconv.FormatInt(d.Size, 10))
	}
	if a.Outcome.Host != nil {
		f.host(l, d)
		f.encryption(l, d)
		f.extensions(l, d)
	} else if len(a.Hosts) > 0 && a.Outcome.Confirmation == "" {
		l.Field("H", hostNames(a.Hosts)) // a local transport that was given hosts
	}
	if f.Selectors.Has(SMTPConfirmation) && a.Outcome.Confirmation != "" {
		l.Quoted("C", Printable(a.Outcome.Confirmation, f.TopBit), true)
	}
	if d.Shadow != "" {
		l.Field("ST", d.Shadow)
		if a.Outcome.ShadowError != "" {
			l.Word("(" + a.Outcome.ShadowError + ")")
		}
	}
	if f.Selectors.Has(QueueTime) && !d.NoQueueTime {
		t := d.QueueTime
		if f.Selectors.Has(QueueTimeExclusive) && d.Message != nil {
			t -= d.Message.Completed
		}
		l.Field("QT", f.Duration(t))
	}
	f.deliverTime(l, d)
	return l.String()
}

func hostNames(hosts []mail.Host) string {
	names := make([]string, len(hosts))
	for i := range hosts {
		names[i] = hosts[i].Name
	}
	return strings.Join(names, ":")
}

// Failed builds a "**" line: the address, where it was going, and ": reason".
func (f Format) Failed(d Delivery) string {
	l := f.NewLine("**")
	d.AsLocal = false
	f.recipient(l, d)
	f.instances(l, d)
	if d.Address.Outcome.Host != nil {
		f.host(l, d)
		f.encryption(l, d)
	}
	l.Raw(" ")
	f.reason(l, d, true, true)
	f.deliverTime(l, d)
	return l.String()
}

// Deferred builds an "==" line: "== address R=router T=transport defer (errno) H=host: reason".
func (f Format) Deferred(d Delivery) string {
	o := &d.Address.Outcome
	l := f.NewLine("==")
	l.Word(f.Ancestry(d.Address, false))
	if d.Message != nil && d.Message.Queue != "" {
		l.Field("Q", d.Message.Queue)
	}
	f.instances(l, d)
	if d.Routing {
		l.Raw(" routing")
	}
	l.Raw(" defer (" + strconv.Itoa(o.Errno) + ")")
	f.reason(l, d, true, false)
	if o.Host != nil {
		f.host(l, d)
	}
	f.deliverTime(l, d)
	f.reason(l, d, false, true)
	return l.String()
}

// reason appends ": " and the system's words for a positive error number, and ": " and the message, unless that says the same.
func (f Format) reason(l *Line, d Delivery, number, message bool) {
	o := &d.Address.Outcome
	words := ""
	if o.Errno > 0 {
		words = errnoText(o.Errno)
	}
	if number && words != "" {
		l.Raw(": " + words)
	}
	if message && o.Message != "" && o.Message != words {
		l.Raw(": ").Raw(string(appendPrintable(nil, o.Message, true, false)))
	}
}

// recipient appends the address with its ancestors, and F=<sender>, Q=, P=<return path>.
func (f Format) recipient(l *Line, d Delivery) {
	l.Word(f.Ancestry(d.Address, d.AsLocal))
	if f.Selectors.Has(SenderOnDelivery) && d.Message != nil {
		l.Word("F=<" + d.Message.Sender + ">")
	}
	f.tags(l, AfterRecipient, f.delivered(d))
	if d.Message != nil && d.Message.Queue != "" {
		l.Field("Q", d.Message.Queue)
	}
	if f.Selectors.Has(ReturnPathOnDelivery) && d.ReturnPathKnown {
		l.Word("P=<" + d.ReturnPath + ">")
	}
}

// Ancestry shows an address with where it came from: "final <original>", with all_parents "final (parent, grandparent) <original>". The
// final address is shown as its router saw it: without affixes and quotes, in lower case as a rule; the original as it was given,
// unless both are the same. A pipe, file or reply always shows the address that asked for it. A local delivery shows the local part
// alone, and then the original always.
func (f Format) Ancestry(a *mail.Address, asLocal bool) string {
	shown := a.Address
	switch {
	case a.Kind == mail.KindReply:
		shown = ">" + replyTo(a)
	case asLocal && a.Kind == mail.KindNormal:
		shown = a.LocalPart
	case a.Kind == mail.KindNormal && a.LocalPart != "" && a.Domain != "":
		shown = a.LocalPart + "@" + a.Domain
	}
	return f.ancestry(a, shown)
}

// AncestryAsGiven is Ancestry with the final address as it was given.
func (f Format) AncestryAsGiven(a *mail.Address) string { return f.ancestry(a, a.Address) }

func (f Format) ancestry(a *mail.Address, shown string) string {
	top := a
	for top.Parent != nil {
		top = top.Parent
	}
	var b strings.Builder
	b.WriteString(shown)
	separator := " ("
	all := f.Selectors.Has(AllParents)
	for p := a.Parent; p != nil && p != top && (all || p == a.Parent && a.Kind != mail.KindNormal); p = p.Parent {
		b.WriteString(separator + p.Address)
		separator = ", "
	}
	if separator == ", " {
		b.WriteString(")")
	}
	switch {
	case top.OneTimeParent != "":
		b.WriteString(" <" + top.OneTimeParent + ">")
	case !sameAddress(shown, top.Address):
		b.WriteString(" <" + top.Address + ">")
	}
	return b.String()
}

// sameAddress compares addresses, domains without regard to case.
func sameAddress(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@')+1, strings.LastIndexByte(b, '@')+1
	return a[:i] == b[:j] && strings.EqualFold(a[i:], b[j:])
}

func replyTo(a *mail.Address) string {
	if a.Reply != nil && a.Reply.To != "" {
		return a.Reply.To
	}
	return strings.TrimPrefix(a.Address, ">")
}

func (f Format) instances(l *Line, d Delivery) {
	if d.Address.Router != "" {
		l.Field("R", d.Address.Router)
	}
	if d.Address.Transport != "" {
		l.Field("T", d.Address.Transport)
	}
}

// host appends H=name [address]:port* I=[local]:port and rooms' fields.
func (f Format) host(l *Line, d Delivery) {
	o := &d.Address.Outcome
	h := o.Host
	l.Field("H", h.Name)
	if f.Selectors.Has(DNSSEC) && h.Secure {
		l.Word("DS")
	}
	if h.Address.IsValid() {
		l.Raw(" [" + Address(h.Address) + "]")
		if f.Selectors.Has(OutgoingPort) || slices.Contains(f.Ports, strconv.Itoa(h.Port)) {
			l.Raw(":" + strconv.Itoa(h.Port))
		}
		if o.Reused {
			l.Raw("*")
		}
	}
	if f.Selectors.Has(IncomingInterface) && f.Selectors.Has(OutgoingInterface) && o.LocalAddress.IsValid() {
		l.Raw(" I=[" + Address(o.LocalAddress) + "]")
		if f.Selectors.Has(OutgoingPort) {
			l.Raw(":" + strconv.Itoa(o.LocalPort))
		}
	}
	f.tags(l, AfterHost, f.delivered(d))
	if o.TFO {
		l.Word("TFO")
	}
}

func (f Format) delivered(d Delivery) func(t *Tag) string {
	return func(t *Tag) string {
		if t.Delivered == nil {
			return ""
		}
		return t.Delivered(d.Message, d.Address, f.Selectors)
	}
}

// encryption appends PS=, X=, CV= and DN= of the connection.
func (f Format) encryption(l *Line, d Delivery) {
	if steps := d.Address.Outcome.Steps; f.Selectors.Has(ProtocolDetail) && steps != "" {
		l.Field("PS", steps)
	}
	f.tls(l, d.Address.Outcome.TLS, false)
}

// extensions appends A=, PRDR, L and K.
func (f Format) extensions(l *Line, d Delivery) {
	o := &d.Address.Outcome
	if o.AuthName != "" {
		l.Field("A", f.authField(o.AuthName, o.AuthID, o.AuthSender))
	}
	if o.PRDR {
		l.Word("PRDR")
	}
	if f.Selectors.Has(Pipelining) && o.Pipelining {
		if o.EarlyPipe {
			l.Word("L*")
		} else {
			l.Word("L")
		}
	}
	if o.Chunking {
		l.Word("K")
	}
	f.tags(l, AfterTLS, f.delivered(d))
	f.tags(l, BeforeID, f.delivered(d))
}

func (f Format) deliverTime(l *Line, d Delivery) {
	if f.Selectors.Has(DeliverTime) {
		l.Field("DT", f.Duration(d.DeliverTime))
	}
}

func formatTime(d time.Duration) string { return option.FormatTime(d) }
