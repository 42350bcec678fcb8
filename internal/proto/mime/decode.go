package mime

import (
	"bufio"
	"io"
	"strings"
)

// Decoder decodes the body of a part. It takes what is malformed as it comes and counts it.
type Decoder struct {
	// Malformed counts what was not as RFC 2045 has it: bytes outside the alphabet, bad escapes, missing padding.
	Malformed int

	r      *bufio.Reader
	decode func(d *Decoder) error
	out    []byte
	given  int
	err    error
}

// NewDecoder returns a reader of the decoded form of r: base64 and quoted-printable (RFC 2045 section 6) are decoded, anything
// else is passed on. The encoding is compared without regard to case.
func NewDecoder(encoding string, r io.Reader) *Decoder {
	d := &Decoder{r: bufio.NewReader(r), decode: (*Decoder).plain}
	switch strings.ToLower(encoding) {
	case "base64":
		d.decode = (*Decoder).base64
	case "quoted-printable":
		d.decode = (*Decoder).quotedPrintable
	}
	return d
}

// Read gives decoded bytes.
func (d *Decoder) Read(p []byte) (int, error) {
	for d.given == len(d.out) {
		if d.err != nil {
			return 0, d.err
		}
		d.out, d.given = d.out[:0], 0
		d.err = d.decode(d)
	}
	n := copy(p, d.out[d.given:])
	d.given += n
	return n, nil
}

func (d *Decoder) plain() error {
	b, err := d.r.ReadSlice('\n')
	d.out = append(d.out, b...)
	if err == bufio.ErrBufferFull {
		err = nil
	}
	return err
}

// base64 decodes up to a few hundred groups of four digits.
func (d *Decoder) base64() error {
	var group uint32
	digits := 0
	for len(d.out) < 3*256 {
		c, err := d.r.ReadByte()
		if err != nil {
			if digits > 0 {
				d.Malformed++
				d.flushBase64(group, digits)
			}
			return err
		}
		v := base64Value(c)
		switch {
		case v >= 0:
			group = group<<6 | uint32(v)
			if digits++; digits == 4 {
				d.out = append(d.out, byte(group>>16), byte(group>>8), byte(group))
				group, digits = 0, 0
			}
		case c == '=':
			if digits > 1 {
				d.flushBase64(group, digits)
			}
			group, digits = 0, 0
		case c != ' ' && (c < '\t' || c > '\r'):
			d.Malformed++
		}
	}
	return nil
}

// flushBase64 writes the whole bytes of an unfinished group.
func (d *Decoder) flushBase64(group uint32, digits int) {
	group <<= 6 * (4 - uint(digits))
	if digits >= 2 {
		d.out = append(d.out, byte(group>>16))
	}
	if digits == 3 {
		d.out = append(d.out, byte(group>>8))
	}
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// quotedPrintable decodes one line. Of a line longer than the buffer pieces are decoded one by one; an escape that falls
// between two of them is put together.
func (d *Decoder) quotedPrintable() error {
	b, err := d.r.ReadSlice('\n')
	piece := err == bufio.ErrBufferFull
	if piece {
		err = nil
	}
	line := string(b)
	if piece {
		for range 2 {
			if i := strings.LastIndexByte(line, '='); i >= 0 && i >= len(line)-2 {
				if c, err := d.r.ReadByte(); err == nil {
					line += string([]byte{c})
				}
			}
		}
	}
	end := ""
	if !piece {
		trimmed := strings.TrimRight(line, " \t\r\n")
		if strings.HasSuffix(line, "\r\n") {
			end = "\r\n"
		} else if strings.HasSuffix(line, "\n") {
			end = "\n"
		}
		line = trimmed
		if strings.HasSuffix(line, "=") { // soft line break
			line, end = line[:len(line)-1], ""
		}
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c != '=' {
			d.out = append(d.out, c)
			continue
		}
		if i+2 < len(line) && hexValue(line[i+1]) >= 0 && hexValue(line[i+2]) >= 0 {
			d.out = append(d.out, byte(hexValue(line[i+1])<<4|hexValue(line[i+2])))
			i += 2
			continue
		}
		d.Malformed++
		d.out = append(d.out, c)
	}
	d.out = append(d.out, end...)
	return err
}
