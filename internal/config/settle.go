package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/regex"
)

// settle fills in what the main section leaves open and expands what is fixed from now on (spec chapter 14).
func (r *reader) settle() error {
	m := option.Of[Main](r.cfg.Main)
	if m.PrimaryHostname == "" {
		m.PrimaryHostname = r.hostname()
	}
	if m.QualifyDomain == "" {
		m.QualifyDomain = m.PrimaryHostname
	}
	if m.QualifyRecipient == "" {
		m.QualifyRecipient = m.QualifyDomain
	}
	if _, set := r.cfg.set["smtputf8_advertise_hosts"]; !set && r.request.World.Quirks.NoSMTPUTF8 {
		m.SMTPUTF8AdvertiseHosts = ""
	}
	if _, set := r.cfg.set["headers_charset"]; !set && r.request.World.Quirks.HeadersCharset != "" {
		m.HeadersCharset = r.request.World.Quirks.HeadersCharset
	}
	if err := r.settleUser(m); err != nil {
		return err
	}
	if err := r.settlePaths(m); err != nil {
		return err
	}
	m.RetryIntervalMax = min(m.RetryIntervalMax, maxRetryInterval)
	if m.EximVersion == "" {
		m.EximVersion = r.request.World.Version
	}
	if _, set := r.cfg.set["uucp_from_pattern"]; set {
		if err := checkPattern(m.UUCPFromPattern); err != nil {
			return err
		}
	}
	for _, limit := range []string{m.SMTPRateLimitMail, m.SMTPRateLimitRcpt} {
		if limit != "" && !validRateLimit(limit) {
			return &Error{Bare: true, Text: "malformed ratelimit data: " + limit}
		}
	}
	return r.settleNumber(m)
}

// maxRetryInterval is the most that retry_interval_max can be (spec 14).
const maxRetryInterval = 24 * time.Hour

// hostname is the machine's name; where it has no dot, the name that the hosts file or else the DNS knows it by.
func (r *reader) hostname() string {
	w := r.request.World
	name := w.Hostname()
	if strings.Contains(name, ".") || name == "" {
		return name
	}
	if full, ok := fromHosts(r.request.HostsFile, name); ok {
		return full
	}
	if w.DNS == nil {
		return name
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	a, err := w.DNS.Lookup(ctx, outside.Question{Name: name, Type: outside.TypeA, Search: true, Qualify: true})
	if err == nil && strings.Contains(a.Canonical, ".") {
		return strings.ToLower(a.Canonical)
	}
	return name
}

// fromHosts finds the canonical name of a host in a hosts file: the first name of a line that has the name.
func fromHosts(path, name string) (string, bool) {
	if path == "" {
		path = "/etc/hosts"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) > 1 && slices.ContainsFunc(fields[1:], func(f string) bool { return strings.EqualFold(f, name) }) {
			return strings.ToLower(fields[1]), true
		}
	}
	return "", false
}

// settleUser finds the user and group that the program gives up root for.
func (r *reader) settleUser(m *Main) error {
	users := r.request.World.Users
	if m.EximUser == "" {
		names := r.request.Users
		if names == nil {
			names = []string{"exim", "Debian-exim", "exigo"}
		}
		m.EximUser = option.UserID(strconv.Itoa(r.request.World.Caller.UID))
		for _, name := range names {
			if _, found, err := users.ByName(name); err == nil && found {
				m.EximUser = option.UserID(name)
				break
			}
		}
	}
	if m.EximGroup != "" {
		return nil
	}
	u, found, err := findUser(users, string(m.EximUser))
	switch {
	case err != nil:
		return &Error{Text: err.Error()}
	case found:
		m.EximGroup = option.GroupID(strconv.Itoa(u.GID))
	case r.cfg.IsSet("exim_user"):
		return &Error{Text: "exim_group must be set when exim_user is not in the password file"}
	default:
		m.EximGroup = option.GroupID(strconv.Itoa(r.request.World.Caller.GID))
	}
	return nil
}

// settlePaths expands the paths that are fixed when the file is read.
func (r *reader) settlePaths(m *Main) error {
	r.settled = true
	for _, p := range []struct {
		name  string
		value *option.Expanded
	}{
		{"spool_directory", &m.SpoolDirectory}, {"pid_file_path", &m.PIDFilePath},
	} {
		text, err := r.expand(p.name, string(*p.value))
		if err != nil {
			return err
		}
		*p.value = option.Expanded(text)
	}
	if m.LogFilePath == "" && !r.cfg.IsSet("log_file_path") {
		m.LogFilePath = option.StringList(defaultLogPath(string(m.SpoolDirectory)))
	}
	logs, err := r.expand("log_file_path", string(m.LogFilePath))
	if err != nil {
		return err
	}
	m.LogFilePath = option.StringList(logs)
	if m.ProcessLogPath == "" {
		m.ProcessLogPath = string(m.SpoolDirectory) + "/exim-process.info"
	}
	return checkLogPaths(logs)
}

// defaultLogPath is where logs go unless log_file_path says otherwise: beside a spool in its usual place, else in it.
func defaultLogPath(spool string) string {
	if name, ok := strings.CutPrefix(spool, "/var/spool/"); ok && !strings.Contains(name, "/") {
		return "/var/log/" + name + "/%slog"
	}
	return spool + "/log/%slog"
}

// checkPattern compiles a regular expression to see whether it is one.
func checkPattern(pattern string) error {
	_, err := regex.Compile(pattern, 0)
	var syntax *regex.SyntaxError
	if errors.As(err, &syntax) {
		return &Error{Bare: true, Text: fmt.Sprintf("regular expression error: %s at offset %d while compiling %s", syntax.Message, syntax.Offset, pattern)}
	}
	return err
}

// checkLogPaths looks for the %s that a path of log_file_path must have; %D and %M may stand in it too (spec 53.3).
func checkLogPaths(list string) error {
	for _, item := range option.SplitList(list) {
		if item == "" || item == "syslog" {
			continue
		}
		_, rest, ok := strings.Cut(item, "%s")
		if !ok {
			return &Error{Bare: true, Text: fmt.Sprintf("log_file_path \"%s\" does not contain \"%%s\"", item)}
		}
		rest = strings.TrimPrefix(strings.ReplaceAll(rest, "%M", "%D"), "")
		if strings.Count(rest, "%") != strings.Count(rest, "%D") {
			return &Error{Bare: true, Text: fmt.Sprintf("log_file_path \"%s\" contains unexpected \"%%\" character", item)}
		}
	}
	return nil
}

func (r *reader) expand(name, text string) (string, error) {
	if r.request.Expand == nil || !strings.ContainsAny(text, "$\\") {
		return text, nil
	}
	out, err := r.request.Expand(r.cfg, text)
	if err != nil {
		return "", &Error{Bare: true, Text: fmt.Sprintf("failed to expand %s \"%s\": %v", name, text, err)}
	}
	return out, nil
}

// maxLocalhostNumber is the largest localhost_number.
const maxLocalhostNumber = 16

func (r *reader) settleNumber(m *Main) error {
	if m.LocalhostID = -1; m.LocalhostNumber == "" {
		return nil
	}
	text, err := r.expand("localhost_number", string(m.LocalhostNumber))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.Trim(text, spaces))
	if err != nil || n < 0 {
		return &Error{Text: "localhost_number value is not a number: " + text}
	}
	if n > maxLocalhostNumber {
		return &Error{Text: fmt.Sprintf("localhost_number is greater than the maximum allowed value (%d)", maxLocalhostNumber)}
	}
	m.LocalhostID = n
	return nil
}

// validRateLimit checks "threshold,delay,factor,maximum" of smtp_ratelimit_mail and smtp_ratelimit_rcpt.
func validRateLimit(text string) bool {
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return false
	}
	for i := range parts {
		parts[i] = strings.Trim(parts[i], spaces)
	}
	_, delay := parseFractionalTime(parts[1])
	_, maximum := parseFractionalTime(parts[3])
	threshold, err1 := strconv.Atoi(parts[0])
	factor, err2 := strconv.ParseFloat(parts[2], 64)
	return err1 == nil && threshold >= 0 && delay && err2 == nil && factor >= 0 && maximum
}

// parseFractionalTime reads a time that may have a fraction before its last unit ("0.5s").
func parseFractionalTime(text string) (time.Duration, bool) {
	if d, ok := option.ParseTime(text); ok {
		return d, true
	}
	if n := len(text); n > 1 && strings.IndexByte("smhdw", text[n-1]) >= 0 {
		unit, _ := option.ParseTime("1" + text[n-1:])
		f, err := strconv.ParseFloat(text[:n-1], 64)
		if err == nil && f >= 0 && f < 1e6 {
			return time.Duration(f * float64(unit)), true
		}
	}
	return 0, false
}

// resolve looks up the users and groups of an option when it is read. Names with a dollar are expanded when used, except in
// lists, which are expanded now.
func (r *reader) resolve(field any, text string) error {
	users := r.request.World.Users
	switch f := field.(type) {
	case *option.UserID:
		if strings.Contains(text, "$") || text == "" {
			return nil
		}
		_, err := userID(users, text)
		return err
	case *option.GroupID:
		if strings.Contains(text, "$") || text == "" {
			return nil
		}
		_, err := groupID(users, text)
		return err
	case *option.UserList:
		return r.resolveList(text, &f.IDs, func(item string) (int, error) { return userID(users, item) })
	case *option.GroupList:
		return r.resolveList(text, &f.IDs, func(item string) (int, error) { return groupID(users, item) })
	}
	return nil
}

func (r *reader) resolveList(text string, to *[]int, find func(string) (int, error)) error {
	text, err := r.expand("list", text)
	if err != nil {
		return err
	}
	*to = nil
	for _, item := range option.SplitList(text) {
		id, err := find(item)
		if err != nil {
			return err
		}
		*to = append(*to, id)
	}
	return nil
}

// findUser finds an account by name or number.
func findUser(users outside.Users, text string) (outside.User, bool, error) {
	if n, err := strconv.Atoi(text); err == nil {
		return users.ByUID(n)
	}
	return users.ByName(text)
}

func userID(users outside.Users, text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return n, nil
	}
	u, found, err := users.ByName(text)
	if err != nil || !found {
		return 0, fmt.Errorf("user %s was not found", text)
	}
	return u.UID, nil
}

func groupID(users outside.Users, text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return n, nil
	}
	g, found, err := users.GroupByName(text)
	if err != nil || !found {
		return 0, fmt.Errorf("group %s was not found", text)
	}
	return g.GID, nil
}
