package scan

import (
	"io"

	"exigo/internal/mail"
)

// Part is the MIME part that an ACL for MIME parts is about.
type Part struct {
	// Raw reads the part without its header, as it came.
	Raw func() io.Reader
	// Decoded returns the name of the file with the decoded part, making it in the scan directory where that was not done. The error
	// is worded for logs.
	Decoded func() (string, error)
}

// slot holds the part at hand in the message's Bag.
type slot struct{ part *Part }

// SetPart says which part the ACL that runs next is about; nil: none.
func SetPart(m *mail.Message, p *Part) { mail.State[slot](&m.Bag).part = p }

// PartOf returns the part at hand, nil if no ACL for MIME parts runs.
func PartOf(m *mail.Message) *Part {
	if m != nil {
		if s := mail.Peek[slot](&m.Bag); s != nil {
			return s.part
		}
	}
	return nil
}
