// Package dkim is DomainKeys Identified Mail: RFC 6376 with the updates of RFC 8301 (algorithms and key sizes) and RFC 8463 (Ed25519).
// Verifier and Signer see a message's header section and its body as it streams by; nothing of the body is kept. The parts that ARC
// (RFC 8617) has in common with DKIM are exported: canonicalisation, tag lists, key records, header selection and the raw signatures.
//
// Header fields are complete texts with name, colon, folding and final line end; LF and CRLF do equally as line ends.
//
// Trust: signatures and header fields are the words of whoever sent the message, key records those of the domain they name. The number of
// signatures and tags, key sizes and the time for the DNS are bounded.
package dkim

import (
	"context"
	"errors"
)

// TXT asks for the TXT records of a name: one text a record, its strings joined. ErrNoRecord (wrapped or not) says that there is no such
// name or no such record; any other error is temporary.
type TXT func(ctx context.Context, name string) ([]string, error)

// ErrNoRecord is TXT's error for "does not exist".
var ErrNoRecord = errors.New("no such record")
