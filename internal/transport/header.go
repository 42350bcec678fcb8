package transport

import (
	"errors"
	"slices"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Compose returns the header block of this delivery, LF line ends and without the empty line, and the expanded transport_filter
// (nil for none). Order as in Exim: Return-path, Envelope-to and Delivery-date, then the message's own header lines less those removed,
// then those that routers and at last the transport add (spec 48.17).
func (r *Run) Compose() (header []byte, filter *Filter, err error) {
	if header, err = r.Header(); err != nil {
		return nil, nil, err
	}
	filter, err = r.Filter()
	return header, filter, err
}

// Header is Compose without the filter. The block is kept for later calls.
func (r *Run) Header() ([]byte, error) {
	if r.header != nil {
		return r.header, nil
	}
	g, a := r.Transport.Generic, r.Addresses[0]
	removed, err := r.removals()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 2048)
	if g.ReturnPathAdd {
		out = append(out, "Return-path: <"+r.ReturnPath+">\n"...)
	}
	if g.EnvelopeToAdd {
		out = append(out, "Envelope-to: "+strings.Join(r.originals(), ",\n ")+"\n"...)
	}
	if g.DeliveryDateAdd {
		out = append(out, "Delivery-date: "+r.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700")+"\n"...)
	}
	for _, h := range r.Message.Headers {
		if h.Type == '*' || removed.has(h) {
			continue
		}
		if g.HeadersRewrite != "" {
			if h, err = r.rewrite(h); err != nil {
				return nil, err
			}
		}
		out = append(out, h.Text...)
	}
	for _, text := range a.ExtraHeaders {
		out = appendHeader(out, text)
	}
	if out, err = r.additions(out); err != nil {
		return nil, err
	}
	r.header = out
	return out, nil
}

func appendHeader(out []byte, text string) []byte {
	if text == "" {
		return out
	}
	out = append(out, text...)
	if text[len(text)-1] != '\n' {
		out = append(out, '\n')
	}
	return out
}

// originals are the envelope recipients that caused this delivery: those of duplicates first, the last duplicate ahead of the others.
func (r *Run) originals() []string {
	var out []string
	seen := make(map[*mail.Address]bool)
	var visit func(a *mail.Address)
	visit = func(a *mail.Address) {
		if seen[a] {
			return
		}
		seen[a] = true
		for _, d := range slices.Backward(a.Duplicates) {
			visit(d)
		}
		if a.Parent != nil {
			visit(a.Parent)
		} else {
			out = append(out, a.Address)
		}
	}
	for _, a := range r.Addresses {
		visit(a)
	}
	return out
}

// names are header names to remove; those ending in * are prefixes.
type names []string

func (n names) has(h mail.Header) bool {
	for _, name := range n {
		if p, prefix := strings.CutSuffix(name, "*"); prefix {
			if got := h.Name(); len(got) >= len(p) && strings.EqualFold(got[:len(p)], p) {
				return true
			}
		} else if h.Is(name) {
			return true
		}
	}
	return false
}

func (r *Run) removals() (names, error) {
	out := names(r.Addresses[0].RemoveHeaders)
	for _, item := range SplitList(string(r.Transport.Generic.HeadersRemove), ':') {
		v, err := r.Expand(item, "\"headers_remove\" setting")
		if errors.Is(err, expand.ErrForced) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if name := strings.TrimRight(v.S, " \t\n:"); name != "" {
			out = append(out[:len(out):len(out)], name)
		}
	}
	return out, nil
}

func (r *Run) additions(out []byte) ([]byte, error) {
	for _, item := range SplitList(string(r.Transport.Generic.HeadersAdd), '\n') {
		v, err := r.Expand(item, "\"headers_add\" setting")
		if errors.Is(err, expand.ErrForced) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = appendHeader(out, strings.ReplaceAll(strings.ReplaceAll(v.S, "\x00", ""), "\r", ""))
	}
	return out, nil
}

func (r *Run) rewrite(h mail.Header) (mail.Header, error) {
	if r.Services.Rewrite == nil {
		return h, Panic(mail.ErrnoExpandFail, "headers_rewrite is not available")
	}
	out, err := r.Services.Rewrite(r.Scope, r.Transport.Generic.HeadersRewrite, h)
	if err != nil {
		return h, Defer(mail.ErrnoHeaderFail, "%v", err)
	}
	return out, nil
}

// Recipients are the addresses in the form for RCPT: without the affixes that routers removed, unless
// rcpt_include_affixes is set.
func (r *Run) Recipients() []string {
	out := make([]string, len(r.Addresses))
	for i, a := range r.Addresses {
		out[i] = r.Recipient(a)
	}
	return out
}

// Recipient is one of Recipients.
func (r *Run) Recipient(a *mail.Address) string {
	at := strings.LastIndexByte(a.Address, '@')
	if r.Transport.Generic.RcptIncludeAffixes || a.Prefix == "" && a.Suffix == "" || at < 0 {
		return a.Address
	}
	local := a.Address[:at]
	if len(local) >= len(a.Prefix) && strings.EqualFold(local[:len(a.Prefix)], a.Prefix) {
		local = local[len(a.Prefix):]
	}
	if n := len(local) - len(a.Suffix); n >= 0 && strings.EqualFold(local[n:], a.Suffix) {
		local = local[:n]
	}
	return local + a.Address[at:]
}

// SplitList splits a list without expanding it (spec 6.21): sep separates unless the list begins with "<" and another separator; a doubled
// separator is the character itself.
func SplitList(text string, sep byte) []string {
	trimmed := strings.TrimLeft(text, " \t\n")
	if len(trimmed) > 1 && trimmed[0] == '<' && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\n\t", trimmed[1]) >= 0 {
		sep, text = trimmed[1], trimmed[2:]
	}
	var out []string
	var item []byte
	flush := func() {
		if s := strings.Trim(string(item), " \t"); s != "" {
			out = append(out, strings.Trim(s, " \t\n"))
		}
		item = item[:0]
	}
	for i := 0; i < len(text); i++ {
		if text[i] != sep {
			item = append(item, text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == sep {
			item = append(item, sep)
			i++
			continue
		}
		flush()
	}
	flush()
	return out
}
