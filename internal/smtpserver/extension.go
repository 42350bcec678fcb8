package smtpserver

// Extension is an ESMTP extension: what EHLO says about it, the parameters it adds to MAIL and RCPT, and the commands it adds.
// The core's own extensions and those of rooms are rows of this type.
type Extension struct {
	// Name is the keyword of the EHLO reply.
	Name string
	// Doc is one sentence for the reference.
	Doc string
	// Order places the line in the EHLO reply; see the Order constants.
	Order int
	// Offer returns the line for the EHLO reply ("SIZE 52428800"), or offered false. It runs anew for each EHLO. May be nil.
	Offer func(s *Session) (text string, offered bool)
	// Mail and Rcpt are parameters of those commands.
	Mail, Rcpt []Parameter
	// Commands are verbs the extension adds.
	Commands []Verb
	// Protocol may change the name of the protocol ("esmtps") under which a message is received; may be nil.
	Protocol func(s *Session, name string) string
	// Begin runs when the session begins, before the banner; may be nil.
	Begin func(s *Session)
}

// Places of the EHLO lines, in Exim's order. Rooms choose a number between those of their neighbours.
const (
	OrderSize        = 10
	OrderLimits      = 20
	Order8BitMIME    = 30
	OrderDSN         = 40
	OrderETRN        = 50
	OrderVRFY        = 60
	OrderEXPN        = 70
	OrderPipelining  = 80
	OrderPipeConnect = 90
	OrderAuth        = 100
	OrderChunking    = 110
	OrderSTARTTLS    = 120
	OrderPRDR        = 130
	OrderSMTPUTF8    = 140
	OrderRoom        = 150
	OrderHELP        = 1000
)

// Parameter is an ESMTP parameter of MAIL or RCPT.
type Parameter struct {
	// Name in upper case.
	Name string
	// Offered says whether the client may use it now; nil: whenever the session is ESMTP. A parameter that is not offered is
	// treated as unknown: part of a malformed address.
	Offered func(s *Session) bool
	// Set takes the value; hasValue tells "NAME=" from "NAME". A *Refusal is the reply; nil accepts.
	Set func(s *Session, value string, hasValue bool) *Refusal
}

// Refusal is a reply that refuses a command, with what the log says about it.
type Refusal struct {
	// Code is the reply code, Text the public text.
	Code int
	Text string
	// Unknown: the parameter is treated as if it were not known.
	Unknown bool
	// Protocol says that this is an error of protocol rather than of syntax.
	Protocol bool
	// Logged says that the reason is logged already, and the refusal does not count as an error.
	Logged bool
}

// syntaxError makes the refusal of a malformed parameter.
func syntaxError(text string) *Refusal { return &Refusal{Code: 501, Text: text} }

// Verb is an SMTP command.
type Verb struct {
	// Name is the command word in upper case; "MAIL FROM:" and "RCPT TO:" include their second word.
	Name string
	// Run obeys the command; argument has no white space around it.
	Run func(s *Session, argument string)
	// Mail says that the command does not count as "nonmail" (smtp_accept_max_nonmail).
	Mail bool
	// Sync says when nothing may follow the command before its reply.
	Sync Sync
	// NoArgument refuses arguments as a syntax error.
	NoArgument bool
	// Help says whether HELP lists the command at the moment; nil: it does not.
	Help func(s *Session) bool
}

// Sync says when a client must wait for the reply to a command (RFC 2920 section 3.1, spec: smtp_enforce_sync).
type Sync int

// Rules of synchronisation.
const (
	// SyncAlways: nothing may follow before the reply.
	SyncAlways Sync = iota
	// SyncUnlessPipelining: nothing may follow unless PIPELINING was offered.
	SyncUnlessPipelining
	// SyncNever: anything may follow.
	SyncNever
)
