// Package autoreply is the transport that answers a message with a new one (spec chapter 27): vacation messages and what
// filters send with their mail command.
//
// Trust: header lines of the message that is answered are untrusted; control characters in what is made of them are refused. The
// files it reads and writes belong to the user it runs as.
package autoreply

import (
	"time"

	"exigo/internal/option"
	"exigo/internal/transport"
)

type settings struct {
	bcc, cc, file            option.Expanded
	fileExpand, fileOptional bool
	from, headers, log       option.Expanded
	mode                     option.Octal
	neverMail                option.AddressList
	once                     option.Expanded
	onceFileSize             option.Size
	onceRepeat               option.ExpandedTime
	replyTo                  option.Expanded
	returnMessage            bool
	subject, text, to        option.Expanded
}

var options = option.Table[settings]{Scope: "transport autoreply", Rows: []option.Row[settings]{
	{Name: "bcc", Field: func(s *settings) any { return &s.bcc }, Doc: "Recipients of blind copies."},
	{Name: "cc", Field: func(s *settings) any { return &s.cc }, Doc: "Recipients of copies, and the Cc: header."},
	{Name: "file", Field: func(s *settings) any { return &s.file }, Doc: "File whose contents are the body, after text."},
	{Name: "file_expand", Field: func(s *settings) any { return &s.fileExpand }, Doc: "The contents of the file are expanded."},
	{Name: "file_optional", Field: func(s *settings) any { return &s.fileOptional }, Doc: "It is no error when the file cannot be read."},
	{Name: "from", Field: func(s *settings) any { return &s.from }, Doc: "The From: header."},
	{Name: "headers", Field: func(s *settings) any { return &s.headers }, Doc: "Further header lines."},
	{Name: "log", Field: func(s *settings) any { return &s.log }, Doc: "File in which every message sent is recorded."},
	{Name: "mode", Default: "0600", Field: func(s *settings) any { return &s.mode }, Doc: "Mode of the files log and once when they are created."},
	{Name: "never_mail", Field: func(s *settings) any { return &s.neverMail }, Doc: "Recipients that are left out."},
	{Name: "once", Field: func(s *settings) any { return &s.once }, Doc: "File that remembers whom a message was sent to, so that each gets one."},
	{Name: "once_file_size", Field: func(s *settings) any { return &s.onceFileSize }, Doc: "Largest size of the file once; the oldest entries are dropped."},
	{Name: "once_repeat", Field: func(s *settings) any { return &s.onceRepeat }, Doc: "Time after which a recipient gets another message; zero is never."},
	{Name: "reply_to", Field: func(s *settings) any { return &s.replyTo }, Doc: "The Reply-To: header."},
	{Name: "return_message", Field: func(s *settings) any { return &s.returnMessage }, Doc: "The message that is answered is added to the answer."},
	{Name: "subject", Field: func(s *settings) any { return &s.subject }, Doc: "The Subject: header."},
	{Name: "text", Field: func(s *settings) any { return &s.text }, Doc: "The body."},
	{Name: "to", Field: func(s *settings) any { return &s.to }, Doc: "Recipients, and the To: header."},
}}

// Driver is the transport.
func Driver() *transport.Driver {
	return &transport.Driver{Name: "autoreply", Doc: "Answers messages with new ones.", Options: options,
		Local: &transport.Local{Prepare: prepare, Execute: execute, Answer: answer}}
}

// job is what the helper must know; the message itself stays in the engine.
type job struct {
	// Nothing says that all recipients were on never_mail.
	Nothing                bool
	To                     string
	File, Log              string
	FileOptional           bool
	Once                   string
	OnceSize               int64
	OnceRepeat             time.Duration
	Mode                   uint32
	LogFrom, LogCc, LogBcc string
	LogSubject, LogHeaders string
}
