package catalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/helper"
	"exigo/internal/hints"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
	"exigo/internal/queue"
	"exigo/internal/retry"
	"exigo/internal/rewrite"
	"exigo/internal/route"
	"exigo/internal/smtpserver"
	"exigo/internal/steward"
	"exigo/internal/transport"
	"exigo/internal/transport/smtp"
)

// mistake makes an error of a compiler a configuration error, whatever its type.
func mistake(err error) error {
	var done *config.Error
	var inACL *acl.SyntaxError
	var inRouter *route.ConfigError
	switch {
	case err == nil || errors.As(err, &done):
		return err
	case errors.As(err, &inACL):
		return &config.Error{File: inACL.File, Line: inACL.Line, Text: inACL.Text}
	case errors.As(err, &inRouter):
		e := &config.Error{Text: inRouter.Text, For: inRouter.For}
		if inRouter.Located {
			e.File, e.Line = inRouter.Instance.File, inRouter.Instance.Line
		}
		return e
	}
	return &config.Error{Text: err.Error()}
}

// id is the message id of a scope, "" for none.
func id(s *expand.Scope) string {
	if s == nil || s.Message == nil {
		return ""
	}
	return s.Message.ID
}

func (s *Server) mainLog(sc *expand.Scope, line string)  { s.Log.Mainf(id(sc), "%s", line) }
func (s *Server) panicLog(sc *expand.Scope, line string) { s.Log.Panicf(id(sc), "%s", line) }

// hooks give the expansion language what higher layers do.
func (s *Server) hooks() expand.Hooks {
	return expand.Hooks{
		Resolver: s.resolver,
		ACL: func(sc *expand.Scope, name string, arguments []expand.Value) (bool, expand.Value, error) {
			return s.ACL.Nested(sc, name, arguments)
		},
		Log:    func(id, line string) { s.Log.Mainf(id, "%s", line) },
		Panic:  func(id, line string) { s.Log.Panicf(id, "%s", line) },
		Advise: s.request.Advise,
		LogSelected: func(selector, id, line string) {
			if set, err := eventlog.ParseSet("-all +" + selector); err == nil && s.Log.Selectors()&set != 0 {
				s.Log.Mainf(id, "%s", line)
			}
		},
	}
}

// aclServices connect ACLs with routing, logs and hints.
func (s *Server) aclServices() acl.Services {
	return acl.Services{
		VerifyAddress: s.verifyForACL, PercentHack: route.PercentHack,
		VerifyHELO: func(ctx context.Context, sc *expand.Scope) (bool, error) {
			return smtpserver.VerifyHELO(ctx, sc, smtpserver.FindHostName)
		},
		HostName: smtpserver.FindHostName,
		Log: func(sc *expand.Scope, targets acl.LogTargets, line string) {
			s.Log.Write(eventlog.Entry{To: streams(targets), ID: id(sc), Text: eventlog.Printable(line, s.Main.PrintTopBitChars)})
		},
		HostAndIdent: func(sc *expand.Scope) string {
			if sc.Session == nil {
				return ""
			}
			return s.Format(s.Log.Selectors()).HostAndIdent(sc.Session)
		},
		Debug:         s.debugControl,
		Delay:         smtpserver.Delay,
		Flush:         smtpserver.Flush,
		SetDSCP:       smtpserver.SetDSCP,
		Hints:         s.Hints,
		Lists:         aclLists,
		LogsSkipped:   func(*expand.Scope) bool { return s.Log.Has(eventlog.ACLWarnSkipped) },
		ReadFile:      os.ReadFile,
		EnsureVerdict: s.EnsureVerdict,
		SendReport:    s.sendACLReport,
		Queued: func(ctx context.Context, name string, wanted func(address string) bool) (bool, error) {
			return queue.Holds(ctx, s.Spool, name, wanted)
		},
	}
}

// EnsureVerdict asks the features for the verdict of a method on the scope's message.
func (s *Server) EnsureVerdict(ctx context.Context, sc *expand.Scope, method string) {
	for _, f := range s.Catalog.Features {
		for _, v := range f.Verdicts {
			if v.Method == method {
				v.Ensure(ctx, sc)
			}
		}
	}
}

func streams(t acl.LogTargets) eventlog.Stream {
	var out eventlog.Stream
	if t&acl.LogMain != 0 {
		out |= eventlog.Main
	}
	if t&acl.LogReject != 0 {
		out |= eventlog.Reject
	}
	if t&acl.LogPanic != 0 {
		out |= eventlog.Panic
	}
	return out
}

// verifyForACL routes an address for verify = sender and recipient.
func (s *Server) verifyForACL(ctx context.Context, sc *expand.Scope, address string, o acl.VerifyOptions) acl.Verified {
	ro := route.VerifyOptions{Sender: o.Sender, SuccessOnRedirect: o.SuccessOnRedirect, Quota: o.Quota, QuotaPositive: o.QuotaPositive, QuotaNegative: o.QuotaNegative}
	if c := o.Callout; c != nil {
		ro.Callout = &route.CalloutOptions{Timeout: c.Timeout, Connect: c.Connect, Overall: c.Overall, DeferOK: c.DeferOK, NoCache: c.NoCache,
			Random: c.Random, UseSender: c.UseSender, UsePostmaster: c.UsePostmaster, Hold: c.Hold, FullPostmaster: c.FullPostmaster,
			Postmaster: c.Postmaster, PostmasterMailFrom: c.PostmasterMailFrom, MailFrom: c.MailFrom, HeaderSender: o.HeaderSender}
	}
	v := s.Routes.Verify(ctx, sc, address, ro)
	out := acl.Verified{Address: v.Address, UserMessage: v.UserMessage, LogMessage: v.Message, Failure: v.Failure, AddressData: v.AddressData,
		DomainData: v.DomainData, LocalPartData: v.LocalPartData, NoDetails: o.NoDetails}
	switch v.Result {
	case mail.Delivered:
		out.Result = acl.OK
	case mail.Failed:
		out.Result = acl.Fail
	default:
		out.Result = acl.Defer
	}
	return out
}

// routeServices connect routers with files, programs, rewriting and logs.
func (s *Server) routeServices() route.Services {
	rewriter := sync.OnceValue(s.Rewriter) // its rules are read after the routers
	return route.Services{
		ReadFile: func(ctx context.Context, who route.Identity, path string, limit int64) ([]byte, fs.FileInfo, error) {
			data, info, err := s.Steward.ReadAs(ctx, s.identityOf(who), path, limit)
			return data, fileInfo{path, info}, err
		},
		Stat: func(ctx context.Context, who route.Identity, path string) (fs.FileInfo, error) {
			info, err := s.Steward.StatAs(ctx, s.identityOf(who), path, false)
			return fileInfo{path, info}, err
		},
		Command: s.command,
		Callout: s.callout,
		Quota:   s.quota,
		Debug: func(line string) {
			if s.DebugPrint != nil {
				s.DebugPrint(line)
			}
		},
		Trace: s.request.TraceRouting,
		RewriteAddress: func(sc *expand.Scope, address string, sender bool) (string, error) {
			return rewriter().Address(sc, address, sender), nil
		},
		RewriteHeaders: func(sc *expand.Scope, oldDomain, newDomain string) {
			if sc.Message != nil {
				sc.Message.Headers = rewriter().Headers(sc, sc.Message.Headers, rewrite.HeaderOptions{OldDomain: oldDomain, NewDomain: newDomain})
			}
		},
		Log:        s.mainLog,
		Panic:      s.panicLog,
		Report:     s.reportSkipped,
		Extensions: s.Catalog.routing(),
		Transport: func(name string) (route.TransportInfo, bool) {
			t, ok := s.Transports[name]
			if !ok {
				return route.TransportInfo{}, false
			}
			info := route.TransportInfo{Name: name, Local: t.Driver.Local != nil, SMTP: t.Driver.Name == "smtp"}
			if info.SMTP {
				info.OverridesHosts = smtp.Of(t.Instance).HostsOverride
			}
			return info, true
		},
	}
}

// identityOf makes the identity for the steward; one that is not set is our own.
func (s *Server) identityOf(who route.Identity) steward.Identity {
	out := s.Identity
	if who.UIDSet {
		out.UID = who.UID
	}
	if who.GIDSet {
		out.GID = who.GID
	}
	if who.InitGroups && who.UIDSet {
		if u, found, err := s.World.Users.ByUID(who.UID); err == nil && found {
			out.Groups, _ = s.World.Users.GroupsOf(u)
		}
	}
	return out
}

// Rewriter applies the rules of the rewrite section.
func (s *Server) Rewriter() *rewrite.Rewriter {
	m := s.Main
	return &rewrite.Rewriter{Rules: s.Rewrite,
		Hooks: rewrite.Hooks{
			Match: func(sc *expand.Scope, text, address string) (bool, error) {
				r, err := list.AddressPattern(sc, text, address)
				return r.Matched, err
			},
			// What is wrong with an address in a folded header line shows its folds.
			Log: func(sc *expand.Scope, line string) {
				if t := mail.Peek[trial](&sc.Bag); t != nil && t.on {
					if s.request.Stderr != nil {
						io.WriteString(s.request.Stderr, s.Log.Stamp(s.World.Clock.Now())+line+"\n")
					}
					return
				}
				s.Log.Write(eventlog.Entry{To: eventlog.Main, ID: id(sc), Text: line, Continued: true})
			}, Panic: s.panicLog,
			LogRewrites: func(*expand.Scope) bool { return s.Log.Has(eventlog.AddressRewrite) },
		},
		Settings: rewrite.Settings{QualifyDomain: m.QualifyDomain, QualifyRecipient: m.QualifyRecipient, HeadersCharset: m.HeadersCharset,
			PrintTopbitchars: m.PrintTopBitChars, Address: address.Options{AllowLiterals: m.AllowDomainLiterals,
				StripTrailingDot: m.StripTrailingDot, StripExcessAngles: m.StripExcessAngleBrackets, AllowUTF8: m.AllowUTF8Domains}}}
}

// command runs a program for the queryprogram router. Under another identity than our own it is refused: only helpers of the
// steward may be somebody else, and they run deliveries.
func (s *Server) command(ctx context.Context, c route.Command) ([]byte, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, c.Arguments[0], c.Arguments[1:]...)
	cmd.Env, cmd.Dir = c.Environment, c.Directory
	if os.Geteuid() == 0 && c.Identity.UIDSet {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.Identity.UID), Gid: uint32(c.Identity.GID)}}
	}
	var out limitedBuffer
	out.left = c.Limit
	cmd.Stdout = &out
	err := cmd.Run()
	return out.data, err
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct {
	data []byte
	left int
}

// Write implements io.Writer; what is over the limit is dropped.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), max(b.left, 0))
	b.data = append(b.data, p[:n]...)
	b.left -= n
	return len(p), nil
}

// retryHints are the retry records in the hints database. A database that fails counts as empty.
func (s *Server) retryHints() *retry.Hints {
	table := hints.RetryTable()
	return &retry.Hints{
		Get: func(_ context.Context, key string) (retry.Record, bool) {
			if s.noRetries.holds(s.World.Clock.Now(), func() bool { return table.Empty(s.Hints) }) {
				return retry.Record{}, false
			}
			r, _, found, err := table.Get(s.Hints, key)
			if err != nil || !found {
				return retry.Record{}, false
			}
			return retry.Record{First: time.Unix(r.First, 0), Last: time.Unix(r.Last, 0), Next: time.Unix(r.Next, 0), Expired: r.Expired,
				Errno: r.Errno, MoreErrno: r.MoreErrno, Text: r.Text}, true
		},
		Put: func(_ context.Context, key string, r retry.Record) {
			s.noRetries.end()
			s.hintFailed(table.Put(s.Hints, key, hints.Retry{First: r.First.Unix(), Last: r.Last.Unix(), Next: r.Next.Unix(), Expired: r.Expired,
				Errno: r.Errno, MoreErrno: r.MoreErrno, Text: r.Text}))
		},
		Delete: func(_ context.Context, key string) { s.hintFailed(table.Delete(s.Hints, key)) },
		Expire: s.Main.RetryDataExpire, Limit: s.Main.RetryIntervalMax,
	}
}

func (s *Server) hintFailed(err error) {
	if err != nil {
		s.Log.Panicf("", "%v", err)
	}
}

// fileInfo shows what the steward tells of a file as package fs does.
type fileInfo struct {
	path string
	info helper.FileInfo
}

func (f fileInfo) Name() string       { return f.path[strings.LastIndexByte(f.path, '/')+1:] }
func (f fileInfo) Size() int64        { return f.info.Size }
func (f fileInfo) Mode() fs.FileMode  { return f.info.Mode }
func (f fileInfo) ModTime() time.Time { return f.info.Modified }
func (f fileInfo) IsDir() bool        { return f.info.Mode.IsDir() }
func (f fileInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.info.UID), Gid: uint32(f.info.GID)} }

// matchHost, matchDomain and matchAddress test lists for those who need no data.
func matchHost(sc *expand.Scope, text, name string, address netip.Addr) (bool, error) {
	m, err := list.Host(sc, text, name, address)
	return m.Matched, err
}

func matchDomain(sc *expand.Scope, text, domain string) (bool, error) {
	m, err := list.Domain(sc, text, domain)
	return m.Matched, err
}

func matchAddress(sc *expand.Scope, text, address string) (bool, error) {
	m, err := list.Address(sc, text, address)
	return m.Matched, err
}

// transportServices are what every transport asks of the program.
func (s *Server) transportServices() *transport.Services {
	return &transport.Services{
		World: s.World, Identity: s.Identity,
		Submit: s.submitForTransport, KeepOutput: s.keepOutput,
		Find: func(name string) *transport.Transport { return s.Transports[name] },
		Rewrite: func(sc *expand.Scope, rules string, h mail.Header) (mail.Header, error) {
			compiled, err := rewrite.CompileList(rules)
			if err != nil {
				return h, err
			}
			w := s.Rewriter()
			w.Rules = compiled
			out, _ := w.Header(sc, h, rewrite.HeaderOptions{})
			return out, nil
		},
		Remote: s.remoteServices(),
	}
}

// keepOutput puts what a command wrote into a file beside the message's log, until it is returned to the sender.
func (s *Server) keepOutput(messageID string, text []byte) (path string, err error) {
	dir := filepath.Join(string(s.Main.SpoolDirectory), "msglog")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, messageID+"-*")
	if err != nil {
		return "", err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// aclLists are the list matchers as ACLs want them.
var aclLists = acl.Lists{
	Domain: func(s *expand.Scope, text, domain string) (acl.Match, error) {
		m, err := list.Domain(s, text, domain)
		return acl.Match(m), err
	},
	LocalPart: func(s *expand.Scope, text, localPart string, caseful bool) (acl.Match, error) {
		m, err := list.LocalPart(s, text, localPart, caseful)
		return acl.Match(m), err
	},
	Address: func(s *expand.Scope, text, address string) (acl.Match, error) {
		m, err := list.Address(s, text, address)
		return acl.Match(m), err
	},
	Host: func(s *expand.Scope, text, name string, address netip.Addr) (acl.Match, error) {
		m, err := list.Host(s, text, name, address)
		return acl.Match(m), err
	},
	String: func(s *expand.Scope, text, subject string) (acl.Match, error) {
		m, err := list.String(s, text, subject)
		return acl.Match(m), err
	},
}
