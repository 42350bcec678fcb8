// Package eventlog writes Exim's main, reject and panic log, to files and to syslog, and builds the lines of
// receptions and deliveries (spec chapter "Log files"). Which optional items appear is decided by Selectors.
//
// Trust: writes text of outsiders; every control character is made visible before it reaches a log.
package eventlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"exigo/internal/mail"
	"exigo/internal/outside"
)

// Stream is a set of logs to write to.
type Stream uint8

// The logs.
const (
	Main Stream = 1 << iota
	Reject
	Panic
	debug // the files of control = debug
)

// Settings are the options that govern logging, expanded.
type Settings struct {
	// Path is the expanded value of log_file_path, or "" for the default under SpoolDirectory.
	Path string
	// DefaultPath is what an empty item of Path means (the build's LOG_FILE_PATH), "" for SpoolDirectory/log/%slog.
	DefaultPath string
	// SpoolDirectory is the expanded spool_directory.
	SpoolDirectory string
	// Selectors is the parsed log_selector.
	Selectors Set
	// Location is the value of the timezone option; nil keeps the clock's zone. Timezone is log_timezone.
	Location *time.Location
	Timezone bool
	// WriteReject is write_rejectlog; PrintTopBit print_topbitchars.
	WriteReject, PrintTopBit bool
	// SyslogFacility, SyslogProcessName, SyslogPID, SyslogTimestamp and SyslogDuplication are the syslog_ options.
	SyslogFacility, SyslogProcessName             string
	SyslogPID, SyslogTimestamp, SyslogDuplication bool
	// UID and GID own log files that root creates; -1 leaves them.
	UID, GID int
	// Stderr receives a copy of panic entries; nil in a daemon.
	Stderr io.Writer
	// Fatal, if set, is called after a log could not be written: a process that does one thing ends with status 1 then. A daemon leaves it nil.
	Fatal func()
	// Panicked, if set, is called when something was written to the panic log. It must not log.
	Panicked func()
	// Divert, if set, receives every entry in place of the files (-bh, -bt, -be and the like). Text has no time stamp.
	Divert func(to Stream, id, text string)
}

// Entry is one thing to log.
type Entry struct {
	To Stream
	// ID is the message's id, "" for entries that belong to none.
	ID string
	// Text is the line without time stamp and id. Control characters are escaped when it is written; bytes
	// above 127 are not, as logs of internationalised mail need them (see Printable).
	Text string
	// Continued lets line ends through that a space or tab follows, or nothing (the program's own texts of two lines).
	Continued bool
	// Rejected, if set, adds the envelope and headers of the message to the reject log (rejected_header).
	Rejected *mail.Message
	// PID overrides the process id that +pid shows; 0 means ours.
	PID int
}

// Log writes entries. It is safe for concurrent use.
type Log struct {
	world *outside.World

	mu       sync.Mutex
	settings Settings
	files    map[Stream]*file
	targets  targets
	buffer   []byte
	second   int64 // of the cached stamp
	stamp    []byte
	syslog   *syslogConn
}

// Open makes a log of the settings. Nothing is opened before the first entry. An error in the path list is
// logged as a panic, as Exim does, and the first usable item serves.
func Open(world *outside.World, s Settings) *Log {
	l := &Log{world: world}
	l.Configure(s)
	return l
}

// Configure puts other settings in force, after the configuration was read again.
func (l *Log) Configure(s Settings) {
	l.mu.Lock()
	l.closeLocked()
	l.settings = s
	var problem error
	l.targets, problem = parsePaths(s)
	l.mu.Unlock()
	if problem != nil {
		l.Write(Entry{To: Main | Panic, Text: problem.Error()})
	}
}

// Selectors returns the set in force.
func (l *Log) Selectors() Set {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settings.Selectors
}

// Has tells whether the selector is on.
func (l *Log) Has(sel Selector) bool { return l.Selectors().Has(sel) }

// Reopen closes the files, so that the next entry opens them by name (SIGHUP).
func (l *Log) Reopen() { l.Close() }

// Close closes all files. A later entry opens them again.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}

func (l *Log) closeLocked() {
	for _, f := range l.files {
		f.close()
	}
	l.files = make(map[Stream]*file)
	l.syslog.close()
	l.syslog = nil
	l.second = 0
}

// Mainf writes a formatted entry to the main log. id is "" for entries that belong to no message.
func (l *Log) Mainf(id, format string, args ...any) {
	l.Write(Entry{To: Main, ID: id, Text: fmt.Sprintf(format, args...)})
}

// Rejectf writes a formatted entry to the main and the reject log, and with m set its headers to the reject log.
func (l *Log) Rejectf(id string, m *mail.Message, format string, args ...any) {
	l.Write(Entry{To: Main | Reject, ID: id, Rejected: m, Text: fmt.Sprintf(format, args...)})
}

// Panicf writes a formatted entry to the main and the panic log.
func (l *Log) Panicf(id, format string, args ...any) {
	l.Write(Entry{To: Main | Panic, ID: id, Text: fmt.Sprintf(format, args...)})
}

// Write writes the entry, each log with one write(2).
func (l *Log) Write(e Entry) { _ = l.Record(e) }

// Record is Write for entries without which something must not happen: the error says that the file of one of its logs could not be written, which was
// reported as far as that is possible.
func (l *Log) Record(e Entry) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.settings
	if s.Divert != nil {
		s.Divert(e.To, e.ID, string(appendPrintable(nil, e.Text, true, e.Continued)))
		return nil
	}
	now := l.world.Clock.Now()
	b := l.appendStamp(l.buffer[:0], now)
	timestamp := len(b)
	if s.Selectors.Has(PID) {
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(l.pid(e)), 10)
		b = append(b, "] "...)
	}
	if e.ID != "" {
		b = append(append(b, e.ID...), ' ')
	}
	b = appendPrintable(b, limit(e.Text), true, e.Continued)
	b = append(b, '\n')
	if e.To&Main != 0 {
		err = l.deliver(Main, e.To, b, timestamp, now)
	}
	if e.To&Reject != 0 && s.WriteReject {
		line := len(b)
		if e.Rejected != nil && s.Selectors.Has(RejectedHeader) {
			b = appendRejected(b, e.Rejected, s.PrintTopBit)
		}
		err = errors.Join(err, l.deliver(Reject, e.To, b, timestamp, now))
		b = b[:line]
	}
	if e.To&Panic != 0 {
		if s.Stderr != nil {
			s.Stderr.Write(b) // a copy for whoever called us; nothing to do if it fails
		}
		err = errors.Join(err, l.deliver(Panic, e.To, b, timestamp, now))
		if s.Panicked != nil {
			s.Panicked()
		}
	}
	if cap(b) <= 64<<10 {
		l.buffer = b
	}
	return err
}

func (l *Log) pid(e Entry) int {
	if e.PID != 0 {
		return e.PID
	}
	return l.world.PID
}

// maxText bounds one entry, as Exim's log buffer does.
const maxText = 8192

func limit(text string) string {
	if len(text) > maxText {
		return text[:maxText]
	}
	return text
}

// appendStamp appends the time stamp and a space.
func (l *Log) appendStamp(b []byte, now time.Time) []byte {
	if l.settings.Location != nil {
		now = now.In(l.settings.Location)
	}
	if sec := now.Unix(); sec != l.second || len(l.stamp) == 0 {
		l.second = sec
		l.stamp = now.AppendFormat(l.stamp[:0], "2006-01-02 15:04:05")
	}
	b = append(b, l.stamp...)
	if l.settings.Selectors.Has(Millisec) {
		ms := now.Nanosecond() / 1e6
		b = append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	if l.settings.Timezone {
		b = now.AppendFormat(b, " -0700")
	}
	return append(b, ' ')
}

// Stamp returns the time as it stands at the start of log lines, with a space after it: message logs begin their lines with it too.
func (l *Log) Stamp(t time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.appendStamp(nil, t))
}

// deliver writes the finished text to one log's destinations. stampLength is what syslog may leave out.
func (l *Log) deliver(to, all Stream, b []byte, stampLength int, now time.Time) error {
	if l.targets.syslog && (l.settings.SyslogDuplication || to == firstOf(all)) {
		text := b
		if !l.settings.SyslogTimestamp {
			text = b[stampLength:]
		}
		l.writeSyslog(to, text)
	}
	if l.targets.path == "" {
		return nil
	}
	err := l.writeFile(to, b, now)
	if err != nil {
		l.fail(to, b, stampLength, err)
	}
	return err
}

// firstOf returns the log that stands for all of an entry when duplicates are suppressed.
func firstOf(all Stream) Stream {
	if all&Panic != 0 {
		return Panic
	}
	if all&Reject != 0 {
		return Reject
	}
	return Main
}

// fail reports a log that cannot be written: the entry and the reason go to the panic log, and if that fails too to the standard error and
// syslog. Exim's processes end then; ours ends only where Settings.Fatal says so.
func (l *Log) fail(to Stream, entry []byte, stampLength int, err error) {
	now := l.world.Clock.Now()
	reason := append(append(append([]byte(nil), entry[:stampLength]...), err.Error()...), '\n')
	if l.settings.Stderr != nil {
		l.settings.Stderr.Write(reason)
	}
	both := append(append([]byte(nil), entry...), reason...)
	if to == Panic || l.writeFile(Panic, both, now) != nil {
		last := "exim: could not open panic log - aborting: see message(s) above\n"
		stderr := l.settings.Stderr
		if stderr == nil {
			stderr = os.Stderr
		}
		stderr.Write(both)
		for _, text := range []string{string(entry), string(reason), last} {
			l.writeSyslogAt(severityCritical, []byte(text))
		}
		io.WriteString(stderr, last)
	}
	if l.settings.Fatal != nil {
		l.settings.Fatal()
	}
}
