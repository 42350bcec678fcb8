// Package cli has one file for each mode of the program: -bd, -bt, -bP, -be, -bh, -M.. and the exi* utilities. It reads the
// command line, asks the catalog for a server made of the configuration, and runs the mode.
//
// Trust: the command line is the caller's, who may be any local user.
package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Mode is what a call of the program is for.
type Mode string

// The modes (spec 5.3, named by their option).
const (
	ModeNone     Mode = ""
	ModeSubmit   Mode = "-bm"
	ModeDaemon   Mode = "-bd"
	ModeSMTP     Mode = "-bs"
	ModeBatch    Mode = "-bS"
	ModeHost     Mode = "-bh"
	ModeTest     Mode = "-bt"
	ModeVerify   Mode = "-bv"
	ModePrint    Mode = "-bP"
	ModeList     Mode = "-bp"
	ModeVersion  Mode = "-bV"
	ModeExpand   Mode = "-be"
	ModeRetry    Mode = "-brt"
	ModeRewrite  Mode = "-brw"
	ModeRebuild  Mode = "-bi"
	ModeInfo     Mode = "-bI"
	ModeMessage  Mode = "-M"
	ModeQueueRun Mode = "-q"
	ModeLogLine  Mode = "-z"
	ModeWait     Mode = "-bw"
	ModeFetch    Mode = "-atrn"
	ModeScan     Mode = "-bmalware"
	ModeHelp     Mode = "--help"
)

// Arguments is a call of the program, read from its command line (spec chapter 5).
type Arguments struct {
	// Program is the last element of argv[0], Path the whole of it.
	Program, Path string
	Mode          Mode
	// Sub is the rest of the mode's word: "ra" of -bpra, "s" of -bvs, "c" of -bhc, "rm" of -Mrm, "f" of -bdf.
	Sub string
	// Words is the whole command line without argv[0].
	Words []string
	// Operands are the words that are no options.
	Operands []string

	ConfigFile string            // -C
	Macros     []MacroDefinition // -D
	Debug      bool              // -d or -v
	DebugSpec  string            // after -d
	Verbose    bool              // -v
	NoDelivery bool              // -N
	ScanFile   string            // -bmalware
	NoNames    bool              // -n

	Submission Submission
	Queue      QueueRun

	HostAddress   string // -bh; -atrn
	Domains       string // -atrn
	ExpandMessage string // -bem
	PIDFile       string // -oP
	PIDFileRemove bool   // -oPX
	Ports         string // -oX
	TLSOnConnect  bool
	LogLine       string // -z
	Info          string // -bI:
	AliasFile     string // -oA
	InetdWait     string // -bw
	QueueTimes    []time.Duration
	Tag           string // -L
	Perl          string // -ps, -pd: "s", "d"
	MessageSet    string // -Mset
	MoveTo        string // -MG
}

// stays tells whether the process is to be a daemon.
func (a *Arguments) stays() bool {
	return a.Mode == ModeDaemon || a.Mode == ModeWait || a.Mode == ModeQueueRun && a.Queue.Interval > 0
}

// Debugs tells whether -d asks for a debugging selector; byDefault says whether -d alone does.
func (a *Arguments) Debugs(selector string, byDefault bool) bool {
	on := a.Debug && byDefault
	rest := a.DebugSpec
	for rest != "" {
		sign := rest[0]
		rest = rest[1:]
		end := strings.IndexAny(rest, "+-")
		if end < 0 {
			end = len(rest)
		}
		if word := rest[:end]; word == selector || word == "all" {
			on = sign == '+'
		}
		rest = rest[end:]
	}
	return on
}

// MacroDefinition is one -D.
type MacroDefinition struct{ Name, Value string }

// Submission is everything that says how a message comes in and what happens to it.
type Submission struct {
	Sender            string // -f
	SenderGiven       bool
	FullName          string // -F
	ExtractRecipients bool   // -t
	DotEnds           bool   // without -i
	NoQualify         bool   // -bnq
	ErrorMode         byte   // 'm', 'p', 'e', 'q', 'w' after -oe
	Delivery          Delivery
	Host, HostPort    string // -oMa
	AuthName, AuthID, AuthSender,
	Interface, MessageReference, Protocol, HostName, Ident string // -oMaa -oMai -oMas -oMi -oMm -oMr -oMs -oMt
	ReceiveTimeout time.Duration // -or
	SMTPTimeout    time.Duration // -os
	Mua            bool          // -U
	NotesGateway   bool          // -G
	QueueName      string        // -MCG
}

// Delivery is when a submitted message is delivered.
type Delivery int

// The -od options.
const (
	DeliverBackground Delivery = iota // -odb
	DeliverForeground                 // -odi, -odf
	DeliverQueue                      // -odq
	DeliverQueueSMTP                  // -odqs
)

// QueueRun is a -q, -R or -S.
type QueueRun struct {
	Wanted                        bool
	TwoStage                      bool   // -qq
	Initial                       bool   // i
	Force                         bool   // f
	ForceFrozen                   bool   // ff
	Local                         bool   // l
	Name                          string // G<name>
	Interval                      time.Duration
	Start, End                    string // message ids
	Recipient, Sender             string // -R, -S
	RecipientRegexp, SenderRegexp bool
	SelectForce, SelectFrozen     bool // f, ff after -R and -S
}

// UsageError is a command line that makes no sense; the program says it and exits with 1.
type UsageError struct{ Text string }

// Error implements error.
func (e *UsageError) Error() string { return e.Text }

func usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// parser walks the command line.
type parser struct {
	a    *Arguments
	args []string // what is left
}

// ParseArguments reads a command line. argv0 decides the mode for the classic names (spec 5.1).
func ParseArguments(argv0 string, args []string) (*Arguments, error) {
	a := &Arguments{Program: filepath.Base(argv0), Path: argv0, Words: args}
	a.Submission.DotEnds = true
	switch a.Program {
	case "mailq":
		a.Mode = ModeList
	case "rsmtp":
		a.Mode = ModeBatch
	case "rmail":
		a.Submission.DotEnds, a.Submission.ErrorMode = false, 'e'
	case "runq":
		a.Queue.Wanted = true
	case "newaliases":
		a.Mode = ModeRebuild
	}
	p := &parser{a: a, args: args}
	for len(p.args) > 0 {
		word := p.args[0]
		if len(word) < 1 || word[0] != '-' || word == "-" {
			break
		}
		p.args = p.args[1:]
		if word == "--" {
			break
		}
		if err := p.option(word); err != nil {
			return a, err
		}
	}
	a.Operands = p.args
	return a, a.finish()
}

// finish settles the mode that the words imply.
func (a *Arguments) finish() error {
	if a.Mode == ModeNone {
		switch {
		case a.Queue.Wanted || a.Queue.Recipient != "" || a.Queue.Sender != "":
			a.Mode = ModeQueueRun
		case a.Submission.ExtractRecipients || len(a.Operands) > 0:
			a.Mode = ModeSubmit
		default:
			a.Mode = ModeHelp
		}
	}
	if a.Mode == ModeQueueRun && len(a.Operands) > 0 && a.Queue.Start == "" {
		a.Queue.Start = a.Operands[0]
		if len(a.Operands) > 1 {
			a.Queue.End = a.Operands[1]
		}
	}
	return nil
}

// next takes the following word as an option's argument.
func (p *parser) next(option string) (string, error) {
	if len(p.args) == 0 {
		return "", incomplete(option)
	}
	v := p.args[0]
	p.args = p.args[1:]
	return v, nil
}

// incomplete is the error of an option without its argument.
func incomplete(option string) error {
	switch {
	case strings.HasPrefix(option, "-oM"):
		return usagef("exim: data expected after %s", option)
	case option == "-Mset":
		return usagef("exim: no message ids given after -Mset option")
	}
	return usagef("exim abandoned: unknown, malformed, or incomplete option %s", option)
}

// attachedOrNext returns what is attached to the option, or the next word.
func (p *parser) attachedOrNext(option, attached string) (string, error) {
	if attached != "" {
		return attached, nil
	}
	return p.next(option)
}

func (p *parser) option(word string) error {
	if word == "--help" {
		return p.setMode(ModeHelp, "")
	}
	if word == "--version" {
		return p.setMode(ModeVersion, "")
	}
	for _, row := range optionRows {
		if row.exact && word == row.word || !row.exact && strings.HasPrefix(word, row.word) {
			return row.apply(p, word, word[len(row.word):])
		}
	}
	return usagef("exim abandoned: unknown, malformed, or incomplete option %s", word)
}

func (p *parser) setMode(m Mode, sub string) error {
	if p.a.Mode != ModeNone && p.a.Mode != m && !(p.a.Mode == ModeList && p.a.Program == "mailq") {
		return usagef("exim: incompatible command-line options or arguments")
	}
	p.a.Mode, p.a.Sub = m, sub
	return nil
}
