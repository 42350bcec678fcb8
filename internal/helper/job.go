package helper

import (
	"io/fs"
	"time"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// Job is one delivery as it goes to a helper. The header block travels beside it, and behind that the body, if it is short; else the body's
// descriptor does.
type Job struct {
	Driver, Transport string
	// Job is what the driver prepared, packed by transport.Pack.
	Job               []byte
	MessageID, Sender string
	Recipients        []string
	Home, Current     string
	Identity          transport.Identity
	// Offset, Size and Lines describe the body in the descriptor.
	Offset, Size          int64
	Lines, LongestLine    int
	HeadersOnly, BodyOnly bool
	Filter                *transport.Filter
	// HeaderSize and BodySize are the parts of what travels beside the job. They are Execute's to set.
	HeaderSize, BodySize int
}

// outcome is the part of mail.Outcome that local transports fill.
type outcome struct {
	Result       mail.Result
	Message      string
	UserMessage  string
	LogOnly      bool
	Diagnosis    string
	Errno        int
	MoreErrno    int
	Freeze       bool
	Confirmation string
	ReturnFile   string
	DeliveryTime time.Duration
	Size         int64
	FreezeText   string
	RetryKeys    []mail.RetryUpdate
}

// result is the end of a job: outcomes, or the name of the transport that is to do it.
type result struct {
	Outcomes            []outcome
	SwitchTo, SwitchWhy string
	Output              []byte
}

func toWire(all []mail.Outcome) []outcome {
	out := make([]outcome, len(all))
	for i, o := range all {
		out[i] = outcome{o.Result, o.Message, o.UserMessage, o.LogOnly, o.Diagnosis, o.Errno, o.MoreErrno, o.Freeze, o.Confirmation, o.ReturnFile, o.DeliveryTime, o.Size, o.FreezeText, o.RetryKeys}
	}
	return out
}

func fromWire(all []outcome) []mail.Outcome {
	out := make([]mail.Outcome, len(all))
	for i, o := range all {
		out[i] = mail.Outcome{Result: o.Result, Message: o.Message, UserMessage: o.UserMessage, LogOnly: o.LogOnly, Diagnosis: o.Diagnosis, Errno: o.Errno,
			MoreErrno: o.MoreErrno, Freeze: o.Freeze, Confirmation: o.Confirmation, ReturnFile: o.ReturnFile, DeliveryTime: o.DeliveryTime, Size: o.Size,
			FreezeText: o.FreezeText, RetryKeys: o.RetryKeys}
	}
	return out
}

type question struct {
	Question  string
	Arguments map[string]string
}

type answer struct {
	Text  string
	Error string
}

type logLine struct {
	Text  string
	Panic bool
}

type fileRequest struct {
	Path  string
	Limit int64
	Link  bool
}

type fileReply struct {
	Stat  FileInfo
	Errno int
	Error string
}

// FileInfo is what Stat says of a file.
type FileInfo struct {
	Mode     fs.FileMode
	UID, GID int
	Size     int64
	Modified time.Time
}
