package eventlog

// Onward builds the line about a message that the server to which it was passed on while it came in did not take:
// "H=client address F=<sender> verdict: R=router T=transport H=server C="reply"". The verdict is "rejected after DATA" or its like.
func (f Format) Onward(d Delivery, verdict string) string {
	l := f.NewLine(f.HostAndIdent(d.Message.Session))
	l.Word(f.Ancestry(d.Address, false))
	l.Word("F=<" + d.Message.Sender + ">")
	if f.Selectors.Has(ReturnPathOnDelivery) && d.ReturnPathKnown {
		l.Word("P=<" + d.ReturnPath + ">")
	}
	l.Word(verdict + ":")
	f.instances(l, d)
	if d.Address.Outcome.Host != nil {
		f.host(l, d)
		f.encryption(l, d)
	}
	if f.Selectors.Has(SMTPConfirmation) && d.Address.Outcome.Confirmation != "" {
		l.Quoted("C", Printable(d.Address.Outcome.Confirmation, f.TopBit), true)
	}
	return l.String()
}
