package smtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// idleBuffer is what a session holds while it waits for a command; batches that do not fit take a pooled buffer.
const idleBuffer = 256

// readBuffer is the size of the buffers of active sessions.
const readBuffer = 16 << 10

// maxCommand is the longest command line, without its line end (Exim's command buffer).
const maxCommand = 16384 - 2

// readers are buffers for active sessions. A pool is no state: it only saves allocations.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}

// errTimeout says that the client sent nothing in time.
var errTimeout = errors.New("timeout")

// channel is the client's connection: input with a small footprint while idle, and output that waits until the session
// needs input.
type channel struct {
	conn io.ReadWriter // what carries SMTP now: the TCP connection, the TLS connection on it, or standard input and output
	base net.Conn      // the TCP connection, nil for standard input and output
	// timeout is smtp_receive_timeout, 0 for none; writing is given the same time.
	timeout time.Duration

	reader *bufio.Reader // nil while idle
	early  []byte        // read while idle, not yet given to reader
	idle   [idleBuffer]byte
	probe  [1]byte // for ahead: whether there is input at all
	out    []byte
	// writeError is the first error of a write; the session ends at the next read.
	writeError error
	// lines counts the line ends read, for batch input; lastByte is the last byte read.
	lines    int
	lastByte byte
}

// Read implements io.Reader below reader: pending replies go out before it waits for the client.
func (c *channel) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.read(p)
}

func (c *channel) read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if d, ok := c.conn.(interface{ SetReadDeadline(time.Time) error }); ok {
		deadline := time.Time{}
		if c.timeout > 0 {
			deadline = time.Now().Add(c.timeout)
		}
		d.SetReadDeadline(deadline)
	}
	n, err := c.conn.Read(p)
	if n > 0 {
		c.lines += bytes.Count(p[:n], []byte{'\n'})
		c.lastByte = p[n-1]
		return n, nil
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errTimeout
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

// input returns a reader with at least one byte in it, or the error of the connection. While it waits the session holds no
// buffer but the small one.
func (c *channel) input() (*bufio.Reader, error) {
	if c.reader != nil && c.reader.Buffered() > 0 {
		return c.reader, nil
	}
	c.release()
	if len(c.early) == 0 {
		n, err := c.read(c.idle[:])
		if err != nil {
			return nil, err
		}
		c.early = c.idle[:n]
	}
	return c.buffered(), nil
}

// take reads into p what there is: from the buffer if it holds something, else straight from the connection.
func (c *channel) take(p []byte) (int, error) {
	if c.reader != nil && c.reader.Buffered() > 0 {
		return c.reader.Read(p)
	}
	return c.Read(p)
}

// buffered returns the reader, taking one from the pool where there is none.
func (c *channel) buffered() *bufio.Reader {
	if c.reader == nil {
		c.reader = readers.Get().(*bufio.Reader)
		c.reader.Reset(c)
	}
	return c.reader
}

// release gives an empty reader back.
func (c *channel) release() {
	if c.reader == nil || c.reader.Buffered() > 0 {
		return
	}
	c.reader.Reset(nil)
	readers.Put(c.reader)
	c.reader = nil
}

// pending returns what the client has sent that nobody has read, as far as it is in our buffers.
func (c *channel) pending() []byte {
	var p []byte
	if c.reader != nil {
		if n := c.reader.Buffered(); n > 0 {
			p, _ = c.reader.Peek(n)
		}
	}
	if len(c.early) > 0 {
		p = append(append([]byte(nil), p...), c.early...)
	}
	return p
}

// line is the number of lines that the session has taken.
func (c *channel) line() int { return c.lines - bytes.Count(c.pending(), []byte{'\n'}) }

// peekLimit is how much of unexpected input is looked at.
const peekLimit = 2048

// ahead returns input that has arrived and that nobody has read: our buffers', or else the socket's, without waiting. gone is set
// when the client has closed the connection. Under TLS only our own buffer is looked at.
func (c *channel) ahead() (input []byte, gone bool) {
	if p := c.pending(); len(p) > 0 {
		return p, false
	}
	raw, ok := c.base.(syscall.Conn)
	if !ok || c.base == nil || c.conn != io.ReadWriter(c.base) {
		return nil, false
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return nil, false
	}
	n, end := peek(rc, c.probe[:])
	if n <= 0 {
		return nil, end
	}
	// Only now is there something to show: the usual client waits, and costs no buffer.
	buffer := make([]byte, peekLimit)
	if n, end = peek(rc, buffer); n <= 0 {
		return nil, end
	}
	return buffer[:n], false
}

// peek looks at what the system holds for a socket without taking it and without waiting; end says the
// other side has closed or the connection has failed.
func peek(rc syscall.RawConn, buffer []byte) (n int, end bool) {
	rc.Read(func(fd uintptr) bool {
		var err error
		n, _, err = syscall.Recvfrom(int(fd), buffer, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		end = n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
		return true
	})
	return n, end
}

// flush writes pending output.
func (c *channel) flush() error {
	if c.writeError != nil {
		return c.writeError
	}
	if len(c.out) == 0 {
		return nil
	}
	if d, ok := c.conn.(interface{ SetWriteDeadline(time.Time) error }); ok && c.timeout > 0 {
		d.SetWriteDeadline(time.Now().Add(c.timeout))
	}
	_, err := c.conn.Write(c.out)
	if cap(c.out) > 4096 {
		c.out = nil
	} else {
		c.out = c.out[:0]
	}
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errTimeout
		}
		c.writeError = err
	}
	return err
}

// readLine reads a command line without its line end, and without white space at its end. nul reports NUL characters; tooLong a
// line that did not fit, the rest of which is thrown away.
func (c *channel) readLine() (line string, nul, tooLong bool, err error) {
	r, err := c.input()
	if err != nil {
		return "", false, false, err
	}
	var long []byte
	for {
		p, err := r.ReadSlice('\n')
		for _, b := range p {
			if b == 0 {
				nul = true
				break
			}
		}
		if err == nil && long == nil {
			return string(trimRight(p)), nul, len(p) > maxCommand, nil
		}
		if len(long)+len(p) > maxCommand {
			tooLong = true
			p = p[:max(0, maxCommand-len(long))]
		}
		long = append(long, p...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == io.EOF && len(long) > 0 && !tooLong {
			return string(trimRight(long)), nul, tooLong, nil
		}
		return string(trimRight(long)), nul, tooLong, err
	}
}

func trimRight(p []byte) []byte {
	for len(p) > 0 {
		switch p[len(p)-1] {
		case ' ', '\t', '\r', '\n', '\v', '\f':
			p = p[:len(p)-1]
			continue
		}
		break
	}
	return p
}
