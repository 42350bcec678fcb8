package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// Argument is the first argument of a helper process.
const Argument = "--helper"

// Main is the helper process: it serves jobs on descriptor 3 until the engine closes the connection, and
// returns the exit status. It was started by the steward under the identity it keeps, with an empty environment.
func Main(drivers []*transport.Driver, world *outside.World) int {
	if os.Getuid() == 0 || os.Geteuid() == 0 {
		fmt.Fprintln(os.Stderr, "exigo: helpers are started by the program itself")
		return 1
	}
	os.WriteFile("/proc/self/comm", []byte("exigo-helper"), 0) // for ps; the name would be that of /proc/self/exe
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 1
	}
	unix.CloseRange(4, 1<<30, unix.CLOSE_RANGE_CLOEXEC)
	syscall.Umask(0)
	debug.SetMemoryLimit(256 << 20)
	// One job at a time is done here. The second processor of the runtime stays idle: without one, its monitor would take the first away in
	// each system call that takes longer than 20 microseconds, and never rest.
	runtime.GOMAXPROCS(2)
	const connection = 3
	unix.CloseOnExec(connection)
	if err := Serve(socket{connection}, drivers, world); err != nil {
		return 1
	}
	return 0
}

// Serve does jobs, one at a time, until the other end closes the connection (nil) or breaks the protocol.
func Serve(conn stream, drivers []*transport.Driver, world *outside.World) error {
	l := &link{conn: conn, accepts: true}
	yielded := time.Now()
	for {
		// To the runtime's monitor a goroutine that does not yield for 10 milliseconds is one that runs for too long, even in system calls.
		if now := time.Now(); now.Sub(yielded) > 5*time.Millisecond {
			runtime.Gosched()
			yielded = now
		}
		var job Job
		var file fileRequest
		k, text, body, err := l.receive(func(k kind) any {
			switch k {
			case kindExecute:
				return &job
			case kindRead, kindStat:
				return &file
			}
			return nil
		})
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch k {
		case kindExecute:
			if job.HeaderSize < 0 || job.HeaderSize+job.BodySize != len(text) {
				return errors.New("helper: parts of a job do not fit")
			}
			e, outcomes := execute(context.Background(), l, drivers, world, &job, text, body)
			err = l.send(kindOutcomes, result{toWire(outcomes), e.SwitchTo, e.SwitchWhy, e.Output}, nil)
		case kindRead:
			data, reply := readFile(file)
			err = l.send(kindFile, reply, data)
		case kindStat:
			err = l.send(kindFile, statFile(file), nil)
		}
		if body != nil {
			body.Close()
		}
		if err != nil {
			return err
		}
	}
}

// execute runs a driver; a panic in it defers the addresses.
func execute(ctx context.Context, l *link, drivers []*transport.Driver, world *outside.World, job *Job, text []byte, body *os.File) (*transport.Execution, []mail.Outcome) {
	e := execution(job, text, body, world)
	e.Ask = l.ask
	e.Log = func(line string) { l.send(kindLog, logLine{Text: line}, nil) }
	e.PanicLog = func(line string) { l.send(kindLog, logLine{Text: line, Panic: true}, nil) }
	return e, run(ctx, drivers, e, job.Driver)
}

// execution makes what the driver sees; text is the header block and a short body.
func execution(job *Job, text []byte, body *os.File, world *outside.World) *transport.Execution {
	header, short := text[:job.HeaderSize:job.HeaderSize], text[job.HeaderSize:]
	return &transport.Execution{
		Job: job.Job, Transport: job.Transport, MessageID: job.MessageID, Sender: job.Sender, Recipients: job.Recipients,
		Home: job.Home, Current: job.Current, Identity: job.Identity, World: world,
		Message: &transport.Message{Header: header, HeadersOnly: job.HeadersOnly, BodyOnly: job.BodyOnly, Filter: job.Filter,
			Body: transport.Body{File: body, Text: short, Offset: job.Offset, Size: job.Size, Lines: job.Lines, LongestLine: job.LongestLine}},
	}
}

func run(ctx context.Context, drivers []*transport.Driver, e *transport.Execution, name string) (out []mail.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			e.PanicLog(fmt.Sprintf("panic in the %s transport: %v\n%s", e.Transport, p, debug.Stack()))
			out = e.All(mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoUnknown, Message: "internal error in the " + e.Transport + " transport"})
		}
	}()
	for _, d := range drivers {
		if d.Name == name && d.Local != nil {
			out = d.Local.Execute(ctx, e)
			if len(out) != len(e.Recipients) && e.SwitchTo == "" {
				panic(fmt.Sprintf("%d outcomes for %d addresses", len(out), len(e.Recipients)))
			}
			return out
		}
	}
	return e.All(mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoBadTransport, Message: "transport driver " + name + " is not known to the helper"})
}

// ask puts a question to the engine and waits for the answer.
func (l *link) ask(text string, arguments map[string]string) (string, error) {
	if err := l.send(kindAsk, question{text, arguments}, nil); err != nil {
		return "", err
	}
	var a answer
	if _, _, _, err := l.receive(func(k kind) any {
		if k == kindAnswer {
			return &a
		}
		return nil
	}); err != nil {
		return "", err
	}
	if a.Error != "" {
		return "", errors.New(a.Error)
	}
	return a.Text, nil
}
