package autoreply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// maxFile bounds the file whose contents are sent.
const maxFile = 4 << 20

// execute looks into the user's files, has the message sent, and remembers it.
func execute(ctx context.Context, e *transport.Execution) []mail.Outcome {
	var j job
	if err := e.Decode(&j); err != nil {
		return e.All(transport.Panic(mail.ErrnoUnknown, "autoreply: %v", err).Outcome)
	}
	if j.Nothing {
		return e.All(mail.Outcome{Result: mail.Delivered})
	}
	if err := deliver(e, &j); err != nil {
		var te *transport.Error
		if !errors.As(err, &te) {
			te = transport.Defer(mail.ErrnoUnknown, "%v", err)
		}
		return e.All(te.Outcome)
	}
	return e.All(mail.Outcome{Result: mail.Delivered})
}

func deliver(e *transport.Execution, j *job) error {
	arguments := map[string]string{}
	if j.File != "" {
		text, err := readFile(j.File)
		if err != nil && !j.FileOptional {
			return system(err, "Failed to open file %s when sending message from %s transport: %s", j.File, e.Transport, reason(err))
		}
		if err == nil {
			arguments["file"] = text
		}
	}
	var memory *onceFile
	if j.Once != "" {
		var err error
		if memory, err = openOnce(j); err != nil {
			return system(err, "Failed to open \"once\" file %s when sending message from %s transport: %s", j.Once, e.Transport, reason(err))
		}
		defer memory.close()
		then, sent := memory.find(j.To)
		now := e.World.Clock.Now()
		if sent && (j.OnceRepeat == 0 || now.Sub(then) < j.OnceRepeat) {
			note(e, j, "  previously sent to "+clip(j.To)+"\n")
			return nil
		}
	}
	if _, err := e.Ask(askSubmit, arguments); err != nil {
		return transport.Defer(0, "Failed to send message from %s transport (%v)", e.Transport, err)
	}
	if memory != nil {
		if err := memory.remember(j.To, e.World.Clock.Now()); err != nil {
			e.PanicLog(fmt.Sprintf("failed to update \"once\" file %s: %v", j.Once, err))
		}
	}
	record(e, j)
	return nil
}

func clip(s string) string {
	s = transport.Printable(s)
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

func readFile(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", syscall.EINVAL
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = syscall.EFBIG
	}
	return string(data), err
}

// record writes what was sent into the log file.
func record(e *transport.Execution, j *job) {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"From", j.LogFrom}, {"To", j.To}, {"Cc", j.LogCc}, {"Bcc", j.LogBcc}, {"Subject", j.LogSubject},
	} {
		if f.value != "" {
			b.WriteString("  " + f.name + ": " + f.value + "\n")
		}
	}
	if j.LogHeaders != "" {
		b.WriteString("  " + j.LogHeaders + "\n")
	}
	note(e, j, b.String())
}

// note appends an entry to the log file. The reply has been sent by then, so a failure is told the administrator only.
func note(e *transport.Execution, j *job, text string) {
	if j.Log == "" {
		return
	}
	f, err := os.OpenFile(j.Log, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, os.FileMode(j.Mode&0o777))
	if err == nil {
		_, err = f.WriteString(e.World.Clock.Now().Format("2006-01-02 15:04:05") + "\n" + text)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		e.Log(fmt.Sprintf("Failed to write to log file %s for %s transport: %s", j.Log, e.Transport, reason(err)))
	}
}

func reason(err error) string {
	var n syscall.Errno
	if errors.As(err, &n) {
		return transport.Strerror(int(n))
	}
	return err.Error()
}

func system(err error, format string, args ...any) error {
	var n syscall.Errno
	errors.As(err, &n)
	return transport.Defer(int(n), format, args...)
}
