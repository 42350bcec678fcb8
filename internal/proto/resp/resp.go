// Package resp speaks RESP version 2, the protocol of Redis and its kin (redis.io, "Redis serialization protocol specification"), as a
// client: one command, one reply.
//
// Trust: the server's replies are data from the network; what they may take of memory and stack is bounded.
package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Kind is the type of a reply: the byte that it begins with.
type Kind byte

// The types of replies.
const (
	Status  Kind = '+'
	Error   Kind = '-'
	Integer Kind = ':'
	Bulk    Kind = '$'
	Array   Kind = '*'
)

// Reply is what a server answers. Text is that of a status, an error, an integer (in decimal) or a bulk string. Null is the absence of a
// bulk string or an array.
type Reply struct {
	Kind  Kind
	Text  string
	Null  bool
	Items []Reply
}

// What a reply may be at most: all its bytes, all its items, how deep it nests, and a line.
const (
	MaxBytes = 16 << 20
	MaxItems = 1 << 18
	maxDepth = 16
	maxLine  = 64 << 10
)

// ErrTooLarge says that a reply exceeds the bounds.
var ErrTooLarge = errors.New("the reply is too large")

// Command is a command with its arguments, as it goes over the wire: an array of bulk strings.
func Command(arguments []string) []byte {
	size := 16
	for _, a := range arguments {
		size += len(a) + 16
	}
	b := append(make([]byte, 0, size), '*')
	b = append(strconv.AppendInt(b, int64(len(arguments)), 10), "\r\n"...)
	for _, a := range arguments {
		b = append(b, '$')
		b = append(strconv.AppendInt(b, int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// Read reads one reply. After an error the connection is of no more use.
func Read(r *bufio.Reader) (Reply, error) {
	d := decoder{r: r, bytes: MaxBytes, items: MaxItems}
	return d.reply(0)
}

type decoder struct {
	r            *bufio.Reader
	bytes, items int // what is left
}

func (d *decoder) reply(depth int) (Reply, error) {
	if d.items--; d.items < 0 || depth > maxDepth {
		return Reply{}, ErrTooLarge
	}
	line, err := d.line()
	if err != nil && depth > 0 {
		err = unexpected(err)
	}
	if err != nil {
		return Reply{}, err
	}
	if line == "" {
		return Reply{}, errors.New("an empty reply")
	}
	r := Reply{Kind: Kind(line[0]), Text: line[1:]}
	switch r.Kind {
	case Status, Error:
		return r, nil
	case Integer:
		if _, err := strconv.ParseInt(r.Text, 10, 64); err != nil {
			return Reply{}, fmt.Errorf("malformed integer in reply: %q", r.Text)
		}
		return r, nil
	case Bulk, Array:
		return d.sized(r, depth)
	}
	return Reply{}, fmt.Errorf("unknown type of reply: %q", line[0])
}

// sized reads the rest of a bulk string or an array.
func (d *decoder) sized(r Reply, depth int) (Reply, error) {
	size, err := strconv.ParseInt(r.Text, 10, 64)
	switch {
	case err != nil || size < -1:
		return Reply{}, fmt.Errorf("malformed length in reply: %q", r.Text)
	case size == -1:
		return Reply{Kind: r.Kind, Null: true}, nil
	case r.Kind == Array && size > int64(d.items), r.Kind == Bulk && size > int64(d.bytes):
		return Reply{}, ErrTooLarge
	}
	r.Text = ""
	if r.Kind == Array {
		for range size {
			item, err := d.reply(depth + 1)
			if err != nil {
				return Reply{}, err
			}
			r.Items = append(r.Items, item)
		}
		return r, nil
	}
	d.bytes -= int(size)
	var text strings.Builder // grows with what arrives, not with what is announced
	if _, err := io.CopyN(&text, d.r, size); err != nil {
		return Reply{}, unexpected(err)
	}
	var end [2]byte
	if _, err := io.ReadFull(d.r, end[:]); err != nil {
		return Reply{}, unexpected(err)
	}
	if string(end[:]) != "\r\n" {
		return Reply{}, errors.New("a bulk string does not end where it should")
	}
	r.Text = text.String()
	return r, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line reads a line without its CRLF.
func (d *decoder) line() (string, error) {
	var line []byte
	for {
		part, err := d.r.ReadSlice('\n')
		if len(line)+len(part) > maxLine || len(part) > d.bytes {
			return "", ErrTooLarge
		}
		d.bytes -= len(part)
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull:
		case err != nil && len(line) > 0:
			return "", unexpected(err)
		case err != nil:
			return "", err
		case len(line) < 2 || line[len(line)-2] != '\r':
			return "", errors.New("a line of the reply does not end with CRLF")
		default:
			return string(line[:len(line)-2]), nil
		}
	}
}
