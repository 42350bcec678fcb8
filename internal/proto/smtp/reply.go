package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Reply is a server's reply (RFC 5321 section 4.2) with its enhanced status code (RFC 3463).
type Reply struct {
	// Code is the three-digit reply code.
	Code int
	// Enhanced is the enhanced status code such as "5.7.1", or "".
	Enhanced string
	// Lines are the lines of text without codes and line ends; none stands for one empty line.
	Lines []string
}

// NewReply makes a reply of a text whose lines are separated by newlines.
func NewReply(code int, enhanced, text string) Reply {
	return Reply{Code: code, Enhanced: enhanced, Lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
}

// Positive reports whether the code is 2xx or 3xx, Temporary 4xx, Permanent 5xx.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// Temporary reports whether the code is 4xx.
func (r Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent reports whether the code is 5xx.
func (r Reply) Permanent() bool { return r.Code >= 500 && r.Code < 600 }

// Text returns the text on one line, enhanced code first, lines joined with spaces.
func (r Reply) Text() string {
	t := strings.Join(r.Lines, " ")
	if r.Enhanced != "" {
		t = r.Enhanced + " " + t
	}
	return t
}

// String returns the reply on one line: "550 5.7.1 text".
func (r Reply) String() string { return fmt.Sprintf("%03d %s", r.Code, r.Text()) }

// AppendTo appends the reply as it goes over the wire: every line with the code, all but the last with a hyphen, CRLF at the
// end. Control characters in the text become question marks, so that no text can make another line.
func (r Reply) AppendTo(dst []byte) []byte {
	lines := r.Lines
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, line := range lines {
		separator := byte(' ')
		if i < len(lines)-1 {
			separator = '-'
		}
		dst = append(dst, byte('0'+r.Code/100%10), byte('0'+r.Code/10%10), byte('0'+r.Code%10), separator)
		if r.Enhanced != "" {
			dst = append(append(dst, r.Enhanced...), ' ')
		}
		for j := 0; j < len(line); j++ {
			c := line[j]
			if c < ' ' && c != '\t' || c == 0x7f {
				c = '?'
			}
			dst = append(dst, c)
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// CutEnhanced takes an enhanced status code off the start of a text (RFC 2034 section 4): class 2, 4 or 5, and two numbers of up to
// three digits. The class must be that of the reply code; with code 0 any will do.
func CutEnhanced(code int, text string) (enhanced, rest string) {
	i := 0
	if len(text) < 5 || text[1] != '.' || text[0] != '2' && text[0] != '4' && text[0] != '5' {
		return "", text
	}
	if code != 0 && int(text[0]-'0') != code/100 {
		return "", text
	}
	i = 2
	for part := 0; part < 2; part++ {
		begin := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		if i == begin || i-begin > 3 {
			return "", text
		}
		if part == 0 {
			if i >= len(text) || text[i] != '.' {
				return "", text
			}
			i++
		}
	}
	if i < len(text) && text[i] != ' ' && text[i] != '\t' {
		return "", text
	}
	return text[:i], strings.TrimLeft(text[i:], " \t")
}

// ReplyLimits bound what ReadReply takes from a server.
type ReplyLimits struct {
	// LineLength is the longest line in bytes without its line end; 0 stands for 4096.
	LineLength int
	// Lines is the largest number of lines; 0 stands for 128.
	Lines int
}

// Errors of ReadReply. A reply with the lines read until then comes with them.
var (
	ErrReplySyntax  = errors.New("malformed SMTP reply")
	ErrReplyTooLong = errors.New("SMTP reply too long")
)

// ReadReply reads one reply of a server (RFC 5321 section 4.2.1). Lines may end with LF alone. The enhanced code is left in
// the text. Errors are ErrReplySyntax for a line without code or with another code than the first (the last in Lines, as it
// is), ErrReplyTooLong (with what was read of the line), and those
// of the connection; io.EOF when it ends before anything was read, io.ErrUnexpectedEOF later.
func ReadReply(r *bufio.Reader, limits ReplyLimits) (Reply, error) {
	if limits.LineLength == 0 {
		limits.LineLength = 4093 // what Exim reads of one
	}
	if limits.Lines == 0 {
		limits.Lines = 128
	}
	var reply Reply
	for {
		line, err := readLine(r, limits.LineLength, 0)
		switch {
		case err == ErrLineTooLong:
			reply.Lines = append(reply.Lines, line)
			return reply, ErrReplyTooLong
		case err == io.EOF && len(reply.Lines) > 0:
			return reply, io.ErrUnexpectedEOF
		case err != nil:
			return reply, err
		}
		code, more, text, ok := splitReplyLine(line)
		if !ok || len(reply.Lines) > 0 && code != reply.Code {
			reply.Lines = append(reply.Lines, line)
			return reply, ErrReplySyntax
		}
		reply.Code = code
		reply.Lines = append(reply.Lines, text)
		if !more {
			return reply, nil
		}
		if len(reply.Lines) >= limits.Lines {
			return reply, ErrReplyTooLong
		}
	}
}

// splitReplyLine reads "250-text", "250 text" or "250".
func splitReplyLine(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	for i := 0; i < 3; i++ {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(line[i]-'0')
	}
	if len(line) == 3 {
		return code, false, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, "", false
	}
	return code, line[3] == '-', line[4:], true
}
