package catalog

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/bounce"
	"exigo/internal/config"
	"exigo/internal/deliver"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/queue"
	"exigo/internal/retry"
	"exigo/internal/rewrite"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
	"exigo/internal/spool"
	"exigo/internal/steward"
	"exigo/internal/submit"
	"exigo/internal/tlspolicy"
	"exigo/internal/transport"
)

// Request says which configuration is to be put to work.
type Request struct {
	World *outside.World
	// Catalog is what there is; nil: Default.
	Catalog *Catalog
	// Path is a file or a search path; Alternate says that -C gave it.
	Path      string
	Alternate bool
	Macros    []config.Macro
	// MacroUsed is told of each macro that is replaced in a line of the configuration; may be nil.
	MacroUsed func(name, value string)
	// TraceRouting is told each step of routing (-d+route), a line without its end; nil: nobody is.
	TraceRouting func(line string)
	// Advise is told what to use instead of tainted data that was refused; nil: nobody is.
	Advise func(text string)
	// Stderr receives copies of panic log lines, and warnings.
	Stderr io.Writer
	// Fatal, if set, ends the process after a log could not be written; a daemon leaves it nil.
	Fatal func()
	// Unprivileged runs everything as the present user, even root (the demonstration).
	Unprivileged bool
}

// Server is a configuration at work: everything is compiled and connected. It is immutable but for what its parts guard themselves.
type Server struct {
	World   *outside.World
	Catalog Catalog
	Config  *config.Config
	Main    *config.Main
	Engine  *expand.Engine
	Log     *eventlog.Log
	Spool   *spool.Spool
	Hints   *hints.DB
	ACL     *acl.Program
	Routes  *route.Engine
	Rules   *retry.Rules
	Rewrite *rewrite.Rules
	TLS     *tlspolicy.Policy
	// Raise tells of the events of the main program; nil: nobody listens.
	Raise expand.Raise

	Transports     map[string]*transport.Transport
	Authenticators []*auth.Authenticator
	Deliverer      *deliver.Deliverer
	Runner         *queue.Runner
	Index          *queue.Index
	SMTP           *smtpserver.Server
	Pool           *smtpclient.Pool
	// Steward is set by GiveUpRoot; before it, everything is done by this process.
	Steward steward.Steward
	// Identity is exim_user and exim_group.
	Identity transport.Identity

	Receiver *submit.Receiver
	// Delivery is what is done with messages that come in (-od options); DontDeliver is -N.
	Delivery    submit.Delivery
	DontDeliver bool
	// NotDelivered is why the last message of this process was not delivered (mua_wrapper).
	NotDelivered string

	// DebugPrint gets what debug_print in routers says (-bt, -d); may be nil.
	DebugPrint func(text string)

	// NoCallouts has all callouts succeed without being made (-bh).
	NoCallouts bool

	noRetries quiet
	armed     armory // sessions whose trace waits for a line in the panic log
	// system says that this is the system's daemon.
	system      bool
	request     Request
	logSettings eventlog.Settings
	tags        []eventlog.Tag // of all features
}

// maxDeliveries is how many messages are delivered at the same time by one process.
const maxDeliveries = 100

// poolIdle is how long an outgoing connection waits for another message, poolSize how many wait at most.
const (
	poolIdle = 2 * time.Second
	poolSize = 200
)

// Load reads a configuration, compiles everything in it, and connects the parts. A mistake is a *config.Error.
func Load(ctx context.Context, r Request) (*Server, error) {
	s := &Server{World: r.World, request: r, Index: queue.NewIndex(maxDeliveries), Pool: smtpclient.NewPool(poolIdle, poolSize)}
	s.Catalog = Default()
	if r.Catalog != nil {
		s.Catalog = *r.Catalog
	}
	if err := s.compile(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the configuration again, as Load did, and makes a server that shares what must outlive a configuration: connections
// under way, the index of deliveries, the steward.
func (s *Server) Reload(ctx context.Context) (*Server, error) {
	fresh := &Server{World: s.World, request: s.request, system: s.system, Index: s.Index, Pool: s.Pool, Catalog: s.Catalog, Steward: s.Steward,
		Delivery: s.Delivery, DontDeliver: s.DontDeliver}
	if err := fresh.compile(ctx); err != nil {
		return nil, err
	}
	fresh.Deliverer.Steward = fresh.deliverySteward()
	return fresh, nil
}

func (s *Server) compile(ctx context.Context) error {
	var err error
	world := *s.request.World // the options change it for this configuration only
	s.World = &world
	if s.Engine, err = expand.New(s.World, s.Catalog.words(), s.hooks()); err != nil {
		return err
	}
	r := s.request
	s.Config, err = config.Read(config.Request{Path: r.Path, Alternate: r.Alternate, Macros: r.Macros, MacroUsed: r.MacroUsed, Registry: s.Catalog.Registry(),
		World: s.World, Expand: func(c *config.Config, text string) (string, error) {
			v, err := s.Engine.Expand(s.Engine.NewScope(ctx, c, nil, nil), text)
			return v.S, err
		}})
	if err != nil {
		return err
	}
	s.Main = option.Of[config.Main](s.Config.Main)
	s.settleWorld()
	if err := s.identify(); err != nil {
		return err
	}
	if err := s.openLog(); err != nil {
		return err
	}
	for _, f := range s.Catalog.Features {
		s.tags = append(s.tags, f.Tags...)
	}
	s.openState()
	for _, step := range []func() error{s.compileACLs, s.compileRouters, s.compileTransports, s.listen, s.compileRules, s.compileTLS} {
		if err := step(); err != nil {
			return err
		}
	}
	s.connect()
	return nil
}

// identify finds the numbers of exim_user and exim_group.
func (s *Server) identify() error {
	if s.request.Unprivileged {
		s.Identity = transport.Identity{UID: os.Geteuid(), GID: os.Getegid()}
		return nil
	}
	uid, err := s.userID(string(s.Main.EximUser))
	if err != nil {
		return err
	}
	gid, err := s.groupID(string(s.Main.EximGroup))
	if err != nil {
		return err
	}
	s.Identity = transport.Identity{UID: uid, GID: gid}
	return nil
}

func (s *Server) userID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	u, found, err := s.World.Users.ByName(name)
	if err != nil || !found {
		return 0, &config.Error{Text: fmt.Sprintf("user %s was not found", name)}
	}
	return u.UID, nil
}

func (s *Server) groupID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	g, found, err := s.World.Users.GroupByName(name)
	if err != nil || !found {
		return 0, &config.Error{Text: fmt.Sprintf("group %s was not found", name)}
	}
	return g.GID, nil
}

func (s *Server) openLog() error {
	m := s.Main
	selectors, err := eventlog.ParseSet(m.LogSelector)
	if err != nil {
		return &config.Error{Text: err.Error()}
	}
	uid, gid := s.owner()
	settings := eventlog.Settings{
		Path: string(m.LogFilePath), SpoolDirectory: string(m.SpoolDirectory), Selectors: selectors, Timezone: m.LogTimezone,
		WriteReject: m.WriteRejectLog, PrintTopBit: m.PrintTopBitChars, SyslogFacility: m.SyslogFacility, SyslogProcessName: m.SyslogProcessName,
		SyslogPID: m.SyslogPID, SyslogTimestamp: m.SyslogTimestamp, SyslogDuplication: m.SyslogDuplication, UID: uid, GID: gid,
		Stderr: s.request.Stderr, Fatal: s.request.Fatal, Panicked: s.armed.fire, Location: config.Zone(m.Timezone),
	}
	s.logSettings = settings
	s.Log = eventlog.Open(s.World, settings)
	return nil
}

// owner is who owns files that root makes; -1 leaves them.
func (s *Server) owner() (uid, gid int) {
	if s.request.Unprivileged || os.Geteuid() != 0 {
		return -1, -1
	}
	return s.Identity.UID, s.Identity.GID
}

func (s *Server) openState() {
	uid, gid := s.owner()
	var fields []spool.Field
	for _, f := range s.Catalog.Features {
		fields = append(fields, f.Fields...)
	}
	dir := string(s.Main.SpoolDirectory)
	s.Spool = spool.Open(dir, spool.Options{Split: s.Main.SplitSpoolDirectory, LocalhostNumber: s.Main.LocalhostID, ShortIDs: s.Main.ShortMessageIDs, UID: uid, GID: gid, Fields: fields,
		NoSync: s.Main.DisableFsync})
	s.Hints = hints.New(hints.Options{SpoolDirectory: dir, Clock: s.World.Clock, UID: uid, GID: gid})
}

// Format builds log lines with the rooms' fields.
func (s *Server) Format(on eventlog.Set) eventlog.Format {
	return eventlog.Format{Selectors: on, Tags: s.tags, TopBit: s.Main.PrintTopBitChars, Ports: s.Main.LogPorts}
}

func (s *Server) compileACLs() (err error) {
	s.ACL, err = acl.Compile(s.Config, s.Catalog.aclWords(), s.aclServices())
	return mistake(err)
}

func (s *Server) compileRouters() error {
	instances := make([]*route.Instance, 0, len(s.Config.Routers))
	for _, i := range s.Config.Routers {
		instances = append(instances, &route.Instance{Name: i.Name, Driver: i.Driver, Options: i.Options, Set: i.Set, File: i.File, Line: i.Line})
	}
	var err error
	s.Routes, err = route.Compile(instances, s.Catalog.Routers, s.routeServices())
	return mistake(err)
}

func (s *Server) compileTransports() (err error) {
	if s.Transports, err = transport.Compile(s.Config.Transports, s.Catalog.Transports); err != nil {
		return mistake(err)
	}
	s.Authenticators, err = auth.Compile(s.Config.Authenticators, s.Catalog.Authenticators)
	return mistake(err)
}

// compileRules reads the retry and rewrite sections.
func (s *Server) compileRules() error {
	var rules []retry.Rule
	for _, line := range s.Config.Retry {
		rule, err := retry.Parse(line.Text)
		if err != nil {
			return &config.Error{File: line.File, Line: line.Line, Text: err.Error()}
		}
		rules = append(rules, rule)
	}
	s.Rules = retry.New(rules)
	var err error
	s.Rewrite, err = rewrite.Compile(s.Config.Rewrite)
	return mistake(err)
}

// connect makes the parts of the program of what was compiled.
func (s *Server) connect() {
	if s.Steward == nil {
		s.Steward = &steward.Local{Drivers: s.Catalog.Transports, World: s.World}
	}
	services := s.transportServices()
	bouncer := &bounce.Writer{World: s.World, Main: s.Main, Engine: s.Engine, Submit: s.submitReport,
		Panic: func(id, line string) {
			s.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Panic, ID: id, Text: line, Continued: true})
		}}
	for _, f := range s.Catalog.Features {
		bouncer.Fields = append(bouncer.Fields, f.Bounce...)
	}
	s.Deliverer = &deliver.Deliverer{World: s.World, Config: s.Config, Main: s.Main, Engine: s.Engine, Spool: s.Spool, Log: s.Log,
		Routes: s.Routes, Transports: s.Transports, Services: services, Rules: s.Rules, Hints: s.retryHints(), Steward: s.Steward,
		Format: s.Format, Bouncer: bouncer, Waiting: s.waitForHosts, Finished: s.handOn, Raise: s.Raise}
	s.Runner = &queue.Runner{World: s.World, Main: s.Main, Spool: s.Spool, Log: s.Log, Deliver: s.Deliverer.Message, Workers: s.workers(), RouteFirst: s.World.Quirks.On}
	s.Receiver = submit.New(s.submitServices())
	s.SMTP = smtpserver.New(s.smtpServices(), nil)
}

// workers is how many messages a queue run tries at the same time.
func (s *Server) workers() int {
	if s.World.Quirks.On || s.Main.QueueRunInOrder {
		return 1
	}
	return 20
}

// QueueRunMax is how many queue runs the daemon makes at the same time.
func (s *Server) QueueRunMax() int {
	n, err := s.Engine.ExpandInt(s.Engine.NewScope(context.Background(), s.Config, nil, nil), string(s.Main.QueueRunMax))
	if err != nil || n <= 0 {
		return 5
	}
	return int(n)
}

// RunQueue makes one queue run, of several perhaps that the process has under way. It has a thread of its own, whose number tells its lines in the
// log from those of the others, as a process's would.
func (s *Server) RunQueue(ctx context.Context, sel queue.Selection) {
	done := make(chan error)
	go func() {
		if s.World.Thread != nil {
			runtime.LockOSThread() // the thread ends with the run
			sel.PID = s.World.Thread()
		}
		done <- s.Runner.Run(ctx, sel)
	}()
	if err := <-done; err != nil {
		s.Log.Panicf("", "queue run: %v", err)
	}
}

// IsAdmin tells whether a caller is an administrator (spec 5.2).
func (s *Server) IsAdmin(c outside.Caller) bool {
	if c.UID == 0 || c.UID == s.Identity.UID {
		return true
	}
	groups := append([]int{c.GID}, c.Groups...)
	return slices.Contains(groups, s.Identity.GID) || s.Main.AdminGroups.HasAny(groups...)
}

// IsTrusted tells whether a caller may set senders and the like (spec 5.2).
func (s *Server) IsTrusted(c outside.Caller) bool {
	return c.UID == 0 || c.UID == s.Identity.UID || s.Main.TrustedUsers.Has(c.UID) ||
		s.Main.TrustedGroups.HasAny(append([]int{c.GID}, c.Groups...)...)
}

// Scope makes a scope for expansions that belong to no session.
func (s *Server) Scope(ctx context.Context, m *mail.Message) *expand.Scope {
	return s.Engine.NewScope(ctx, s.Config, nil, m)
}

// Close ends what the server started.
func (s *Server) Close() {
	s.Pool.Close()
	s.Hints.Close()
	s.Steward.Close()
	s.Log.Close()
}
