package brightmail

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// service asks an HTTP service that speaks Rspamd's protocol (POST /checkv2: the message as body, the envelope in header fields, a JSON object
// as answer). Recipients with the same opt-in words share a scan; the first word is the Settings-ID of theirs.
type service struct{ *settings }

// servicePrefix marks verdicts of the service among those that travel.
const servicePrefix = "service."

// Bounds: of an answer, of the recipients that the service is told (others are judged like them), and of what is kept of the symbols.
const (
	maxAnswer  = 4 << 20
	maxTold    = 16 << 10
	maxSymbols = 200
	maxSymbol  = 100
)

// alternateHeader is the alternate location of messages that the service wants marked.
const alternateHeader = "X-Spam: Yes"

// serviceVerdict is what travels, in JSON and base64.
type serviceVerdict struct {
	Action     string   `json:"action"`
	Score      float64  `json:"score"`
	Required   float64  `json:"required"`
	Symbols    []string `json:"symbols,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
}

// scan implements engine: a request for each group of recipients, one after another, all in one time.
func (v *service) scan(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) (verdicts, warnings []string, err error) {
	u, err := url.Parse(v.service)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, errors.New("bmi error: bmi_service is no http URL: " + v.service)
	}
	client := newClient(s.Engine.World)
	groups := map[string][]string{}
	for i := range m.Recipients {
		word, _, _ := strings.Cut(optInOf(&m.Recipients[i]), ":")
		word = strings.TrimSpace(word)
		groups[word] = append(groups[word], m.Recipients[i].Address)
	}
	for _, word := range slices.Sorted(maps.Keys(groups)) {
		found, err := v.check(ctx, client, m, word, groups[word], body)
		if err != nil {
			warnings = append(warnings, "bmi error: "+u.Redacted()+": "+reason(err))
			if ctx.Err() != nil {
				break
			}
			continue // the other recipients' verdicts stand
		}
		found.Recipients = groups[word]
		verdicts = append(verdicts, servicePrefix+found.encode())
	}
	return verdicts, warnings, nil
}

// reason is an error without the URL, which stands before it.
func reason(err error) string {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

// newClient makes a client for a few requests; names of hosts are found as the system finds them.
func newClient(w *outside.World) *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true,
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				host, text, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				port, err := lookup.ParsePort(text, 0)
				if err != nil {
					return nil, err
				}
				conn, _, err := lookup.Dial(ctx, w, host, port)
				return conn, err
			}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// encode makes base64 of a verdict.
func (v *serviceVerdict) encode() string {
	data, _ := json.Marshal(v) // strings and numbers
	return base64.StdEncoding.EncodeToString(data)
}

// check makes one request.
func (v *service) check(ctx context.Context, client *http.Client, m *mail.Message, word string, recipients []string, body *io.SectionReader) (*serviceVerdict, error) {
	var header strings.Builder
	for _, h := range m.Headers {
		if h.Type != '*' {
			header.WriteString(h.Text)
		}
	}
	header.WriteByte('\n')
	content := io.MultiReader(strings.NewReader(header.String()), io.NewSectionReader(body, 0, body.Size()))
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, v.service, content)
	if err != nil {
		return nil, err
	}
	q.ContentLength = int64(header.Len()) + body.Size()
	envelope(q.Header, m, word, recipients)
	r, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxAnswer:
		return nil, errors.New("the answer is too long")
	case r.StatusCode != http.StatusOK:
		return nil, errors.New("it answers " + r.Status)
	}
	return parseAnswer(data)
}

// envelope tells the service where the message comes from and goes to.
func envelope(h http.Header, m *mail.Message, word string, recipients []string) {
	set := func(name, value string) {
		if value = clean(value); value != "" {
			h.Add(name, value)
		}
	}
	h.Set("Content-Type", "message/rfc822")
	h.Set("User-Agent", "exigo")
	n := m.Session
	if n.Host.IsValid() {
		set("IP", n.Host.Unmap().String())
		set("Hostname", n.HostName)
	}
	set("Helo", n.HELO)
	set("User", n.AuthID)
	set("Queue-Id", m.ID)
	set("From", "<"+m.Sender+">") // the null sender, too
	set("Settings-ID", word)
	total := 0
	for _, r := range recipients {
		if total += len(r); total > maxTold {
			break
		}
		set("Rcpt", "<"+r+">")
	}
}

// parseAnswer reads the answer of /checkv2.
func parseAnswer(data []byte) (*serviceVerdict, error) {
	var a struct {
		Action   *string                    `json:"action"`
		Score    float64                    `json:"score"`
		Required float64                    `json:"required_score"`
		Symbols  map[string]json.RawMessage `json:"symbols"`
		Error    string                     `json:"error"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("the answer is not understood: %w", err)
	}
	if a.Action == nil {
		if a.Error != "" {
			return nil, errors.New("it says: " + a.Error)
		}
		return nil, errors.New("the answer has no action")
	}
	out := &serviceVerdict{Action: *a.Action, Score: a.Score, Required: a.Required}
	for _, name := range slices.Sorted(maps.Keys(a.Symbols)) {
		if len(name) <= maxSymbol && len(out.Symbols) < maxSymbols {
			out.Symbols = append(out.Symbols, name)
		}
	}
	if len(out.Action) > maxSymbol {
		return nil, errors.New("the answer has no action")
	}
	return out, nil
}

// read implements engine. What is shown of a verdict has no recipients in it, as they need not know of each other.
func (v *service) read(_ context.Context, text string) (*verdict, error) {
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, servicePrefix))
	if err != nil {
		return nil, errors.New("bmi error: a damaged verdict in the spool")
	}
	var found serviceVerdict
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, errors.New("bmi error: a damaged verdict in the spool")
	}
	out := &verdict{recipients: found.Recipients, tracker: base64.StdEncoding.EncodeToString([]byte(strings.Join(found.Symbols, ",")))}
	switch found.Action {
	case "reject", "discard":
		out.outcome = dontDeliver
	case "add header", "rewrite subject", "quarantine":
		out.outcome, out.location = deliverAlternate, alternateHeader
	} // "no action", "greylist", "soft reject" and actions of the site's own: it is too late to put the message off
	shown := found
	shown.Recipients = nil
	out.text = shown.encode()
	out.fired = func(_ context.Context, rule string) (bool, error) { return slices.Contains(found.Symbols, rule), nil }
	return out, nil
}
