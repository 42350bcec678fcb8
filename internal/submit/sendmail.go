package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/address"
	"exigo/internal/spool"
)

// Caller is the local user on whose behalf a message comes in. The kernel has said who that is.
type Caller struct {
	UID, GID int
	Groups   []int
	// Login is found by Identify when it is "".
	Login string
	// Trusted callers may say where a message comes from; Admin is for the session's noun.
	Trusted, Admin bool
}

// Call is one call of the sendmail interface: exim [options] recipients <message (spec 5).
type Call struct {
	Caller Caller
	// Sender is -f; SenderGiven tells "-f ”" from no -f.
	Sender      string
	SenderGiven bool
	// FullName is -F.
	FullName string
	// Extract is -t; Dots says that a line of one dot ends the message (no -i); NoQualify is -bnq.
	Extract, Dots, NoQualify bool
	// ErrorMode is the letter of -oe: 'm' (the default), 'p', 'e', 'q', 'w'.
	ErrorMode byte
	Delivery  Delivery
	QueueName string
	// Timeout is -or; negative: receive_timeout.
	Timeout time.Duration
	// Host to Ident are the -oM options, which count for trusted callers only. Reference is -oMm.
	Host                         netip.Addr
	Port                         int
	Interface                    netip.Addr
	InterfacePort                int
	HostName, Ident, Protocol    string
	AuthName, AuthID, AuthSender string
	Reference                    string
	// Recipients are the operands.
	Recipients []string
	Stdin      io.Reader
	Stderr     io.Writer
}

// Identify fills in what is known of a caller: login name, and whether he is trusted (spec 5.2).
func (r *Receiver) Identify(c Caller) Caller {
	main := r.s.Main
	if u, found, err := r.s.World.Users.ByUID(c.UID); err == nil && found {
		c.Login = u.Name
	}
	if main.UnknownLogin != "" && (c.Login == "" || r.s.World.Quirks.On) {
		s := r.s.Engine.NewScope(context.Background(), r.s.Config, nil, nil)
		if v, err := r.s.Engine.Expand(s, string(main.UnknownLogin)); err == nil && v.S != "" {
			c.Login = v.S
		}
	}
	if c.Login == "" {
		c.Login = "uid" + itoa(c.UID)
	}
	c.Trusted = c.Trusted || r.trusted(c)
	return c
}

// trusted tells whether root, the exim user, trusted_users or trusted_groups include the caller.
func (r *Receiver) trusted(c Caller) bool {
	main := r.s.Main
	users := r.s.World.Users
	if c.UID == 0 || c.UID == userID(users, string(main.EximUser)) {
		return true
	}
	return main.TrustedUsers.Has(c.UID) || main.TrustedGroups.HasAny(append([]int{c.GID}, c.Groups...)...)
}

func userID(users outside.Users, name string) int {
	if n, ok := decimal(name); ok {
		return n
	}
	if u, found, err := users.ByName(name); found && err == nil {
		return u.UID
	}
	return -1
}

func decimal(s string) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		n = n*10 + int(c-'0')
	}
	return n, true
}

// OwnAddress is the address of a caller: his login name at qualify_domain.
func (r *Receiver) OwnAddress(c Caller) string {
	return address.QuoteLocalPart(c.Login) + "@" + r.s.Main.QualifyDomain
}

// LocalSession makes the session of a caller who submits by -bm, -bs or -bS.
func (r *Receiver) LocalSession(call *Call) *mail.Session {
	c := call.Caller
	s := &mail.Session{Started: r.now(), ConnectionID: r.connectionID(), Local: true, CallerUID: c.UID, CallerGID: c.GID, Login: c.Login,
		Trusted: c.Trusted, Admin: c.Admin, Ident: c.Login, AuthID: c.Login, AuthSender: c.Login + "@" + r.s.Main.QualifyDomain}
	if !c.Trusted {
		return s
	}
	if call.Host.IsValid() {
		s.Host, s.Port = call.Host, call.Port
		s.AuthID, s.AuthSender = "", ""
	}
	s.Interface, s.InterfacePort = call.Interface, call.InterfacePort
	if call.HostName != "" {
		s.HostName, s.NameLookup = call.HostName, mail.NameFound
	}
	if call.Ident != "" {
		s.Ident = call.Ident
	}
	s.Authenticator = call.AuthName
	if call.AuthID != "" {
		s.AuthID = call.AuthID
	}
	if call.AuthSender != "" {
		s.AuthSender = call.AuthSender
	}
	return s
}

// Submit obeys a call of the sendmail interface and returns its exit status.
func (r *Receiver) Submit(ctx context.Context, call *Call) int {
	call.Caller = r.Identify(call.Caller)
	drop := droppedOf(ctx)
	if drop != nil {
		call.ErrorMode = 'm' // nobody reads the standard error any more
	}
	if !r.spaceLeft() {
		drop.settle(true)
		fmt.Fprint(call.Stderr, "exim: insufficient disk space\n")
		return 1
	}
	m, in, err := r.prepare(ctx, call)
	if err != nil {
		fmt.Fprintf(call.Stderr, "exim: %s\n", err)
		return 1
	}
	moaner := &moaner{r: r, ctx: ctx, call: call, m: m}
	if !call.Extract {
		if failure := r.commandLineRecipients(call, m); failure != nil {
			return moaner.failed(*failure)
		}
	}
	timer := &deadline{in: call.Stdin, limit: r.receiveTimeout(call), world: r.s.World}
	source := NewLocalReader(timer, call.Dots)
	in.Source = source
	moaner.source = source
	result := r.Receive(ctx, in)
	if result.Accepted || result.ReadError != nil {
		drop.settle(!result.Accepted)
	}
	if len(result.Ignored) > 0 {
		if status, abandoned := moaner.ignored(result); abandoned {
			return status
		}
	}
	switch {
	case result.Accepted && len(m.Recipients) == 0:
		return 1
	case result.Accepted && len(result.Ignored) > 0 && call.ErrorMode != 'e':
		return 1
	case result.Accepted:
		return 0
	case errors.Is(result.ReadError, errReadTimeout):
		fmt.Fprint(call.Stderr, "exim: timed out while reading - message abandoned\n")
		r.s.Log.Write(eventlog.Entry{To: eventlog.Main, ID: m.ID, Text: "timed out while reading local message"})
		return 1
	case result.ReadError != nil:
		fmt.Fprintf(call.Stderr, "exim: error while reading: %v - message abandoned\n", result.ReadError)
		return 1
	case result.Refused != nil:
		return moaner.refused(*result.Refused)
	}
	return moaner.failed(*result.Failure)
}

func (r *Receiver) receiveTimeout(call *Call) time.Duration {
	if call.Timeout >= 0 {
		return call.Timeout
	}
	return r.s.Main.ReceiveTimeout
}

// prepare makes message and input of a call.
func (r *Receiver) prepare(ctx context.Context, call *Call) (*mail.Message, *Input, error) {
	c := call.Caller
	main := r.s.Main
	own := r.OwnAddress(c)
	session := r.LocalSession(call)
	m := &mail.Message{Session: session, Received: r.now(), Protocol: "local", Sender: own, SenderSet: true,
		OriginatorUID: c.UID, OriginatorGID: c.GID, OriginatorLogin: c.Login,
		AllowUnqualifiedSender: !call.NoQualify, AllowUnqualifiedRecipient: !call.NoQualify, Queue: call.QueueName}
	m.SenderLocal = !session.Host.IsValid()
	if c.Trusted && call.Protocol != "" {
		m.Protocol = call.Protocol
	}
	s := r.s.Engine.NewScope(ctx, r.s.Config, session, m)
	in := &Input{Message: m, Scope: s, SizeLimit: -1, Delivery: call.Delivery, FullName: call.FullName, OwnAddress: own,
		Extract: call.Extract, Arguments: call.Recipients, FromLine: true, TrustFromLine: c.Trusted && !call.SenderGiven, Reference: call.Reference}
	if call.Reference != "" && !spool.IsID(call.Reference) {
		return nil, nil, errors.New("-oMm must be a valid message ID")
	}
	if call.SenderGiven {
		sender, err := r.givenSender(call)
		if err != nil {
			return nil, nil, err
		}
		if c.Trusted || sender == "" || r.maySet(s, sender) {
			m.Sender = sender
		}
	}
	m.RawSender = m.Sender
	if main.MessageSizeLimit != "" {
		in.SizeLimit = r.sizeLimit(s)
	}
	return m, in, nil
}

// givenSender reads the address of -f.
func (r *Receiver) givenSender(call *Call) (string, error) {
	text := strings.TrimSpace(call.Sender)
	if text == "" || text == "<>" {
		return "", nil
	}
	o := r.addressOptions()
	o.AllowNull, o.AllowLiterals = true, true
	a, err := address.Extract(text, o)
	if err != nil {
		return "", fmt.Errorf("bad -f address \"%s\": %s", call.Sender, err)
	}
	if a.Domain == 0 && a.Address != "" {
		return a.Address + "@" + r.s.Main.QualifyDomain, nil
	}
	return a.Address, nil
}

// maySet tells whether untrusted_set_sender lets anybody use the sender.
func (r *Receiver) maySet(s *expand.Scope, sender string) bool {
	patterns := string(r.s.Main.UntrustedSetSender)
	if patterns == "" || r.s.MatchAddress == nil {
		return false
	}
	ok, err := r.s.MatchAddress(s, patterns, sender)
	return ok && err == nil
}

// commandLineRecipients reads the operands; each may hold several addresses.
func (r *Receiver) commandLineRecipients(call *Call, m *mail.Message) *Failure {
	limit := r.recipientsMax(m)
	for _, operand := range call.Recipients {
		if r.s.Main.RecipientsMax != "" && strings.TrimSpace(operand) == "" {
			continue
		}
		for rest := operand; rest != ""; {
			end := address.FindEnd(rest, false)
			text := rest[:end]
			rest = strings.TrimLeft(rest[end:], ", \t")
			if strings.TrimSpace(text) == "" {
				continue
			}
			o := r.addressOptions()
			o.AllowNull, o.AllowLiterals = false, true
			a, err := address.Extract(strings.TrimSpace(text), o)
			switch {
			case err != nil:
				return &Failure{Kind: BadRecipients, Addresses: []BadAddress{{operand, err.Error()}}}
			case a.Domain == 0 && !m.AllowUnqualifiedRecipient:
				return &Failure{Kind: BadRecipients, Addresses: []BadAddress{{operand, "unqualified recipient address not allowed"}}}
			}
			full := a.Address
			if a.Domain == 0 {
				x := &reception{r: r, m: m}
				full = x.qualifyRecipient(full)
			}
			if limit > 0 && len(m.Recipients) >= limit {
				return &Failure{Kind: TooManyRecipients}
			}
			m.Recipients = append(m.Recipients, mail.Recipient{Address: full, Given: a.Address, Parent: -1})
		}
	}
	return nil
}

// recipientsMax expands recipients_max; 0 is no limit.
func (r *Receiver) recipientsMax(m *mail.Message) int {
	s := r.s.Engine.NewScope(context.Background(), r.s.Config, m.Session, m)
	n, err := r.s.Engine.ExpandInt(s, string(r.s.Main.RecipientsMax))
	if err != nil || n < 0 {
		return 0
	}
	return int(n)
}

var errReadTimeout = errors.New("timed out")

// deadline reads with an overall limit.
type deadline struct {
	in      io.Reader
	limit   time.Duration
	world   *outside.World
	started bool
	pieces  chan piece
	expired <-chan time.Time
	rest    []byte
	err     error
}

type piece struct {
	data []byte
	err  error
}

// Read implements io.Reader. Without a limit it reads directly.
func (d *deadline) Read(p []byte) (int, error) {
	if d.limit <= 0 {
		return d.in.Read(p)
	}
	if f, ok := d.in.(*os.File); ok && !d.started {
		// Pipes and sockets can be told; files never keep one waiting.
		if f.SetReadDeadline(d.world.Clock.Now().Add(d.limit)) == nil {
			d.limit = 0
			d.in = &timedFile{f}
			return d.in.Read(p)
		}
	}
	if !d.started {
		d.started = true
		d.pieces = make(chan piece)
		d.expired = d.world.Clock.After(d.limit)
		go d.pump()
	}
	if len(d.rest) == 0 && d.err == nil {
		select {
		case got := <-d.pieces:
			d.rest, d.err = got.data, got.err
		case <-d.expired:
			d.err = errReadTimeout
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// pump reads in the background; it ends with the input, or stays behind in a read that never returns when time is up.
func (d *deadline) pump() {
	for {
		b := make([]byte, 16<<10)
		n, err := d.in.Read(b)
		d.pieces <- piece{b[:n], err}
		if err != nil {
			return
		}
	}
}

// timedFile turns the system's timeout into ours.
type timedFile struct{ *os.File }

// Read implements io.Reader.
func (t *timedFile) Read(p []byte) (int, error) {
	n, err := t.File.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errReadTimeout
	}
	return n, err
}
