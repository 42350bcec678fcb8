package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxInputLine bounds a line of the testing modes' input.
const maxInputLine = 1 << 20

const prompt = "> "

// console is where the testing modes read their lines from and write their answers to, behind a prompt.
type console struct {
	in  io.Reader
	out *bufio.Writer
	// terminal is set when a person sits there: it edits the line and keeps a history.
	terminal *term.Terminal

	text   string // read, not yet handed out
	buffer []byte
}

// openConsole makes the console of a call. close must be called at the end.
func (p *Program) openConsole() (c *console, close func()) {
	c = &console{in: p.Stdin, out: bufio.NewWriterSize(p.Stdout, 32<<10)}
	in, out := file(p.Stdin), file(p.Stdout)
	if len(p.Arguments.Operands) > 0 || in == nil || out == nil || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return c, func() { c.out.Flush() }
	}
	c.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, prompt)
	c.terminal.SetBracketedPasteMode(true)
	if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		_ = c.terminal.SetSize(width, height)
	}
	return c, func() { c.out.Flush() }
}

func file(f any) *os.File {
	opened, _ := f.(*os.File)
	return opened
}

// line returns the next line without its line end and the white space before that. ok is false at the end of the input.
// What was written is sent off before anything is waited for.
func (c *console) line() (line string, ok bool, err error) {
	if c.terminal != nil {
		return c.edited()
	}
	for {
		if i := strings.IndexByte(c.text, '\n'); i >= 0 {
			line, c.text = c.text[:i], c.text[i+1:]
			return trimEnd(line), true, nil
		}
		if len(c.text) > maxInputLine {
			return "", false, fmt.Errorf("an input line is longer than %d bytes", maxInputLine)
		}
		if err := c.out.Flush(); err != nil {
			return "", false, err
		}
		if len(c.buffer) <= len(c.text) {
			c.buffer = make([]byte, max(64<<10, 2*len(c.text)))
		}
		begun := copy(c.buffer, c.text)
		n, err := c.in.Read(c.buffer[begun:])
		c.text = string(c.buffer[:begun+n])
		if n == 0 && err != nil {
			line, c.text = c.text, ""
			if !errors.Is(err, io.EOF) {
				return "", false, err
			}
			return trimEnd(line), line != "", nil
		}
	}
}

// trimEnd takes white space off the end: what strings.TrimRight does, in less time.
func trimEnd(line string) string {
	for line != "" && (line[len(line)-1] == ' ' || line[len(line)-1] >= '\t' && line[len(line)-1] <= '\r') {
		line = line[:len(line)-1]
	}
	return line
}

// edited reads a line from the terminal, which is in raw mode only as long as that takes.
func (c *console) edited() (line string, ok bool, err error) {
	if err := c.out.Flush(); err != nil {
		return "", false, err
	}
	descriptor := int(file(c.in).Fd())
	state, err := term.MakeRaw(descriptor)
	if err != nil {
		return "", false, err
	}
	line, err = c.terminal.ReadLine()
	_ = term.Restore(descriptor, state)
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	if errors.Is(err, io.EOF) {
		return "", false, nil
	}
	return trimEnd(line), err == nil, err
}

// prompt asks for a line.
func (c *console) prompt() {
	if c.terminal == nil {
		c.out.WriteString(prompt)
	}
}

// eachLine calls do for every operand, or else for every line of the standard input behind a prompt; it writes to the console's out.
// Lines that end in a backslash go on in the next one when joined is set.
func (p *Program) eachLine(c *console, joined bool, do func(text string)) error {
	if len(p.Arguments.Operands) > 0 {
		for _, text := range p.Arguments.Operands {
			do(text)
		}
		return nil
	}
	c.prompt()
	pending, more := "", false
	for {
		line, ok, err := c.line()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if more {
			line = pending + strings.TrimLeft(line, " \t")
		}
		if joined && strings.HasSuffix(line, "\\") {
			if pending, more = line[:len(line)-1], true; len(pending) > maxInputLine {
				return fmt.Errorf("an input line is longer than %d bytes", maxInputLine)
			}
			continue
		}
		more = false
		if joined || line != "" {
			do(line)
		}
		c.prompt()
	}
	return c.out.WriteByte('\n')
}
