// Package helper runs local deliveries as the recipient's user. The engine holds a Client for each helper process;
// the process serves one job at a time and is reused for the next job of the same user, and of no other.
//
// Trust: the helper obeys the engine; the engine reads from the helper only outcomes, log lines and questions,
// bounded in size, since a user's own program may have taken the helper over.
package helper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// Client is the engine's end of one helper. It is used by one goroutine at a time; Release gives it back.
type Client struct {
	link *link
	conn *net.UnixConn
	// local runs jobs in this process instead.
	local   []*transport.Driver
	world   *outside.World
	broken  bool
	release func(c *Client, broken bool)
}

// NewClient makes the client of a connection whose other end Serve reads. release is called by Release.
func NewClient(conn *net.UnixConn, release func(c *Client, broken bool)) *Client {
	return &Client{link: &link{conn: conn}, conn: conn, release: release}
}

// NewLocal makes a client that does the jobs in this process, as its user.
func NewLocal(drivers []*transport.Driver, world *outside.World) *Client {
	return &Client{local: drivers, world: world}
}

// Calls are what a job may ask of the engine while it runs.
type Calls struct {
	Answer     func(question string, arguments map[string]string) (string, error)
	Log, Panic func(line string)
}

// Release gives the client back to where it came from.
func (c *Client) Release() {
	if c.release != nil {
		c.release(c, c.broken)
	}
}

// Close ends the helper.
func (c *Client) Close() error {
	if c.link == nil {
		return nil
	}
	return c.conn.Close()
}

// Result is the end of a job: one outcome for each recipient, or the name of the transport that is to do it instead.
type Result struct {
	Outcomes            []mail.Outcome
	SwitchTo, SwitchWhy string
	// Output is text of a command that the sender is to see.
	Output []byte
}

// Execute has the job done. An error means that the helper is gone or ctx
// ended, and that nothing is known of the delivery.
func (c *Client) Execute(ctx context.Context, job *Job, header []byte, body *os.File, calls Calls) (Result, error) {
	if c.local != nil {
		return c.here(ctx, job, header, body, calls), nil
	}
	stop := c.cancelWith(ctx)
	defer stop()
	if err := c.sendJob(job, header, body); err != nil {
		return Result{}, c.fail(ctx, err)
	}
	for {
		var q question
		var line logLine
		var done result
		k, _, _, err := c.link.receive(func(k kind) any {
			switch k {
			case kindAsk:
				return &q
			case kindLog:
				return &line
			case kindOutcomes:
				return &done
			}
			return nil
		})
		if err != nil {
			return Result{}, c.fail(ctx, err)
		}
		switch k {
		case kindAsk:
			err = c.answer(q, calls)
		case kindLog:
			logFrom(line, calls)
		case kindOutcomes:
			if len(done.Outcomes) != len(job.Recipients) && done.SwitchTo == "" {
				return Result{}, c.fail(ctx, fmt.Errorf("helper: %d outcomes for %d addresses", len(done.Outcomes), len(job.Recipients)))
			}
			return Result{fromWire(done.Outcomes), done.SwitchTo, done.SwitchWhy, done.Output}, nil
		}
		if err != nil {
			return Result{}, c.fail(ctx, err)
		}
	}
}

// shortBody is the size up to which a body travels beside the job: passing a descriptor, and reading and closing it over there, costs more than
// copying so much.
const shortBody = 32 << 10

// sendJob writes the frame of a job.
func (c *Client) sendJob(job *Job, header []byte, body *os.File) error {
	job.HeaderSize, job.BodySize = len(header), 0
	l := c.link
	short := body != nil && job.Size > 0 && job.Size <= shortBody
	if short {
		job.BodySize = int(job.Size)
	}
	if err := l.begin(kindExecute, job); err != nil {
		return err
	}
	l.out = append(l.out, header...)
	if !short {
		return l.flush(body)
	}
	at := len(l.out)
	l.out = slices.Grow(l.out, job.BodySize)[:at+job.BodySize]
	if _, err := body.ReadAt(l.out[at:], job.Offset); err == nil {
		return l.flush(nil)
	}
	// The helper finds the error and reports it as one of the delivery.
	job.BodySize = 0
	if err := l.begin(kindExecute, job); err != nil {
		return err
	}
	l.out = append(l.out, header...)
	return l.flush(body)
}

// here does the job in this process.
func (c *Client) here(ctx context.Context, job *Job, header []byte, body *os.File, calls Calls) Result {
	job.HeaderSize, job.BodySize = len(header), 0
	e := execution(job, header, body, c.world)
	e.Ask = func(q string, a map[string]string) (string, error) {
		if calls.Answer == nil {
			return "", errors.New("nothing can be asked")
		}
		return calls.Answer(q, a)
	}
	e.Log = func(line string) { logFrom(logLine{Text: line}, calls) }
	e.PanicLog = func(line string) { logFrom(logLine{Text: line, Panic: true}, calls) }
	outcomes := run(ctx, c.local, e, job.Driver)
	return Result{outcomes, e.SwitchTo, e.SwitchWhy, e.Output}
}

func (c *Client) answer(q question, calls Calls) error {
	var a answer
	if calls.Answer == nil {
		a.Error = "nothing can be asked"
	} else if text, err := calls.Answer(q.Question, q.Arguments); err != nil {
		a.Error = err.Error()
		if a.Error == "" {
			a.Error = "failed"
		}
	} else {
		a.Text = text
	}
	return c.link.send(kindAnswer, a, nil)
}

func logFrom(line logLine, calls Calls) {
	if line.Panic && calls.Panic != nil {
		calls.Panic(line.Text)
	} else if !line.Panic && calls.Log != nil {
		calls.Log(line.Text)
	}
}

// cancelWith breaks the connection when ctx ends: the helper sees its end and stops.
func (c *Client) cancelWith(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

func (c *Client) fail(ctx context.Context, err error) error {
	c.broken = true
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ReadFile reads a regular file as the helper's user; a file above limit bytes is an error.
func (c *Client) ReadFile(ctx context.Context, path string, limit int64) ([]byte, FileInfo, error) {
	return c.file(ctx, kindRead, fileRequest{Path: path, Limit: limit})
}

// Stat looks at a file as the helper's user; link asks about a symbolic link itself.
func (c *Client) Stat(ctx context.Context, path string, link bool) (FileInfo, error) {
	_, info, err := c.file(ctx, kindStat, fileRequest{Path: path, Link: link})
	return info, err
}

func (c *Client) file(ctx context.Context, k kind, r fileRequest) ([]byte, FileInfo, error) {
	if c.local != nil {
		if k == kindStat {
			reply := statFile(r)
			return nil, reply.Stat, reply.err(r.Path)
		}
		data, reply := readFile(r)
		return data, reply.Stat, reply.err(r.Path)
	}
	stop := c.cancelWith(ctx)
	defer stop()
	if err := c.link.send(k, r, nil); err != nil {
		return nil, FileInfo{}, c.fail(ctx, err)
	}
	var reply fileReply
	_, data, _, err := c.link.receive(func(k kind) any {
		if k == kindFile {
			return &reply
		}
		return nil
	})
	if err != nil {
		return nil, FileInfo{}, c.fail(ctx, err)
	}
	return data, reply.Stat, reply.err(r.Path)
}

// maxSwitches bounds how often a transport may hand over to another one.
const maxSwitches = 4

// Deliver runs a local transport for run's addresses through the client, and leaves the outcomes in them. When the
// transport hands over to another one (file_format), that one is run, and is run.Transport afterwards.
func (c *Client) Deliver(ctx context.Context, r *transport.Run) error {
	begun := r.Now()
	for range maxSwitches {
		done, err := c.deliver(ctx, r)
		if err != nil {
			return err
		}
		if done.SwitchTo == "" {
			c.take(r, done, r.Now().Sub(begun))
			return nil
		}
		var next *transport.Transport
		if r.Services.Find != nil {
			next = r.Services.Find(done.SwitchTo)
		}
		if next == nil || next.Driver.Local == nil {
			return transport.Defer(mail.ErrnoBadTransport, "%s transport (for %s format) not found", done.SwitchTo, done.SwitchWhy)
		}
		r.Switch(next)
	}
	return transport.Panic(mail.ErrnoBadTransport, "%s transport: transports hand over to one another in a circle", r.Transport.Name)
}

// take puts the outcomes into the addresses.
func (c *Client) take(r *transport.Run, done Result, took time.Duration) {
	further := false
	for i, a := range r.Addresses {
		keys := a.Outcome.RetryKeys
		a.Outcome = done.Outcomes[i]
		a.Outcome.RetryKeys = append(keys, done.Outcomes[i].RetryKeys...)
		a.Outcome.DeliveryTime = took
		if a.Outcome.Result == mail.Delivered {
			a.Outcome.Further, further = further, true
		}
		if r.ReturnPath != r.Message.Sender {
			path := r.ReturnPath
			a.Outcome.ReturnPath = &path
		}
	}
	if len(done.Output) == 0 || r.Services.KeepOutput == nil {
		return
	}
	path, err := r.Services.KeepOutput(r.Message.ID, done.Output)
	if err != nil {
		r.Services.Panic("failed to keep the output of the " + r.Transport.Name + " transport: " + err.Error())
		return
	}
	r.Addresses[0].Outcome.ReturnFile = path
}

func (c *Client) deliver(ctx context.Context, r *transport.Run) (Result, error) {
	local := r.Transport.Driver.Local
	if local == nil {
		return Result{}, errors.New("helper: " + r.Transport.Driver.Name + " is no local transport")
	}
	prepared, err := local.Prepare(r)
	if err != nil {
		return Result{}, err
	}
	text, err := transport.Pack(prepared)
	if err != nil {
		return Result{}, err
	}
	header, filter, err := r.Compose()
	if err != nil {
		return Result{}, err
	}
	g := r.Transport.Generic
	job := &Job{
		Driver: r.Transport.Driver.Name, Transport: r.Transport.Name, Job: text, MessageID: r.Message.ID, Sender: r.ReturnPath,
		Recipients: r.Recipients(), Home: r.Home, Current: r.Current, Identity: r.Identity,
		Offset: r.Body.Offset, Size: r.Body.Size, Lines: r.Body.Lines, LongestLine: r.Body.LongestLine,
		HeadersOnly: g.HeadersOnly, BodyOnly: g.BodyOnly, Filter: filter,
	}
	calls := Calls{Log: r.Services.Log, Panic: r.Services.Panic}
	if local.Answer != nil {
		calls.Answer = func(q string, a map[string]string) (string, error) { return local.Answer(r, q, a) }
	}
	done, err := c.Execute(ctx, job, header, r.Body.File, calls)
	if err != nil {
		return done, transport.Defer(mail.ErrnoUnknown, "%s transport process ended unexpectedly: %v", r.Transport.Driver.Name, err)
	}
	return done, nil
}
