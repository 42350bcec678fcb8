package eventlog

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Severities of RFC 3164 that the logs are mapped to (spec 53.4).
const (
	severityAlert    = 1
	severityCritical = 2
	severityNotice   = 5
	severityInfo     = 6
)

// maxSyslog is the length of text in one syslog line; longer ones are split.
const maxSyslog = 870

// syslogConn is a connection to the local syslog daemon.
type syslogConn struct{ conn net.Conn }

func (s *syslogConn) close() {
	if s != nil && s.conn != nil {
		s.conn.Close()
	}
}

// Facility returns the number of a value of syslog_facility, with or without "log_" before it.
func Facility(name string) (int, error) {
	numbers := map[string]int{"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7,
		"uucp": 8, "cron": 9, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
		"local6": 22, "local7": 23}
	if name == "" {
		return 2, nil
	}
	n, ok := numbers[strings.TrimPrefix(strings.ToLower(name), "log_")]
	if !ok {
		return 2, fmt.Errorf("syslog_facility value \"%s\" not recognized", name)
	}
	return n, nil
}

func (l *Log) writeSyslog(to Stream, text []byte) {
	severity := severityInfo
	switch to {
	case Reject:
		severity = severityNotice
	case Panic:
		severity = severityAlert
	}
	l.writeSyslogAt(severity, text)
}

func (l *Log) writeSyslogAt(severity int, text []byte) {
	for _, part := range splitSyslog(strings.TrimSuffix(string(text), "\n")) {
		if l.world.Quirks.SyslogToStderr {
			fmt.Fprintf(os.Stderr, "SYSLOG: '%s'\n", part)
			continue
		}
		l.sendSyslog(severity, part)
	}
}

// sendSyslog sends one datagram; a lost connection is tried once more. Syslog is not reliable, so that is all.
func (l *Log) sendSyslog(severity int, text string) {
	facility, _ := Facility(l.settings.SyslogFacility) // checked when the configuration was read
	name := l.settings.SyslogProcessName
	if name == "" {
		name = "exim"
	}
	if l.settings.SyslogPID {
		name = fmt.Sprintf("%s[%d]", name, l.world.PID)
	}
	packet := fmt.Sprintf("<%d>%s %s: %s", facility<<3|severity, l.world.Clock.Now().Format(time.Stamp), name, text)
	for range 2 {
		if l.syslog == nil {
			conn, err := net.Dial("unixgram", "/dev/log")
			if err != nil {
				return
			}
			l.syslog = &syslogConn{conn}
		}
		if _, err := l.syslog.conn.Write([]byte(packet)); err == nil {
			return
		}
		l.syslog.close()
		l.syslog = nil
	}
}

// splitSyslog splits an entry at its line ends and after 870 bytes. Each part of a split entry begins with
// [n/m], or [n\m] when the part was split off by a line end.
func splitSyslog(text string) []string {
	type part struct {
		text    string
		newline bool
	}
	var parts []part
	for rest := text; ; {
		line, more, newline := strings.Cut(rest, "\n")
		if len(line) > maxSyslog {
			parts = append(parts, part{line[:maxSyslog], false})
			rest = rest[maxSyslog:]
			continue
		}
		parts = append(parts, part{line, newline})
		if !newline {
			break
		}
		rest = more
	}
	if len(parts) == 1 {
		return []string{text}
	}
	out := make([]string, len(parts))
	for i, p := range parts {
		mark := byte('/')
		if p.newline {
			mark = '\\'
		}
		out[i] = fmt.Sprintf("[%d%c%d] %s", i+1, mark, len(parts), p.text)
	}
	return out
}
