package appendfile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/transport"
)

// format of what is written.
type format int

const (
	mbox      format = iota // append to a file
	single                  // a new file in a directory
	maildir                 // a new file in a maildir
	mailstore               // an .env and a .msg file
)

// job is everything that the helper must know; see settings for what the fields mean.
type job struct {
	Path   string
	Format format
	// Null: the file is /dev/null, nothing is to be done.
	Null           bool
	Prefix, Suffix string
	Check, Escape  string
	CRLF, BSMTP    bool

	Mode, DirectoryMode, LockfileMode                              uint32
	AllowFIFO, AllowSymlink, CheckOwner, CheckGroup                bool
	CreateDirectory, FileMustExist, ModeFailNarrower, NotifyComsat bool
	// Within is the directory in which files may be created, "" for anywhere; Below adds the check against "..".
	Within string
	Below  bool

	Lockfile, Fcntl, Flock                                            bool
	LockFcntlTimeout, LockFlockTimeout, LockInterval, LockfileTimeout time.Duration
	LockRetries                                                       int
	// Formats are pairs of file start and transport name.
	Formats []string

	// AskTag, AskName, AskStore: the engine expands maildir_tag, directory_file and the mailstore texts when the file is there.
	AskTag                 bool
	FolderRegex            string
	SizeFile               bool
	QuotaDirectory         string
	DirectoryRegex         string
	SizeRegex              string
	Quota, QuotaFiles      limit
	QuotaExclusive         bool
	Threshold              int64
	MailboxSize, Filecount int64 // -1: to be measured
	MessageSize            int64
	// QuotaOnly: nothing is delivered, only the quota is looked at.
	QuotaOnly bool
	Hostname  string
	LocalPart string
}

// limit is a quota: Value 0 is none; NoCheck only counts.
type limit struct {
	Value   int64
	NoCheck bool
}

func (l limit) exceeded(n int64) bool { return l.Value > 0 && !l.NoCheck && n > l.Value }

// prepare does all expansions.
func prepare(r *transport.Run) (any, error) {
	s := option.Of[settings](r.Transport.Instance.Options)
	j := &job{
		Mode: uint32(s.mode), DirectoryMode: uint32(s.directoryMode), LockfileMode: uint32(s.lockfileMode),
		AllowFIFO: s.allowFIFO, AllowSymlink: s.allowSymlink, CheckOwner: s.checkOwner, CheckGroup: s.checkGroup,
		CreateDirectory: s.createDirectory, FileMustExist: s.fileMustExist, ModeFailNarrower: s.modeFailNarrower, NotifyComsat: s.notifyComsat,
		LockFcntlTimeout: s.lockFcntlTimeout, LockFlockTimeout: s.lockFlockTimeout, LockInterval: s.lockInterval,
		LockfileTimeout: s.lockfileTimeout, LockRetries: max(s.lockRetries, 1), Formats: option.SplitList(s.fileFormat),
		AskTag: s.maildirTag != "", FolderRegex: s.maildirfolderCreateRegex, SizeRegex: s.quotaSizeRegex,
		QuotaExclusive: !s.quotaIsInclusive, MessageSize: r.Message.Size, MailboxSize: -1, Filecount: -1, QuotaOnly: r.QuotaOnly,
		Hostname: r.Scope.Settings().PrimaryHostname, LocalPart: r.Scope.Address.LocalPart, CRLF: s.useCRLF, BSMTP: s.useBSMTP,
	}
	j.Lockfile, j.Fcntl, j.Flock = s.locks()
	if err := place(r, s, j); err != nil {
		return nil, err
	}
	if j.Null {
		return j, nil
	}
	if err := quotas(r, s, j); err != nil {
		return nil, err
	}
	return j, texts(r, s, j)
}

// place works out the file or directory (spec 26.1).
func place(r *transport.Run, s *settings, j *job) error {
	text, isDirectory := string(s.file), false
	if s.directory != "" {
		text, isDirectory = string(s.directory), true
	}
	a := r.Addresses[0]
	direct := false
	var v expand.Value
	var err error
	switch {
	case text != "":
		v, err = r.Scope.Engine.Expand(r.Scope, text)
	case a.Kind == mail.KindFile:
		v, direct = mail.Clean(a.Address), true
		if a.AllowExpand {
			v, err = r.Scope.Engine.Expand(r.Scope, a.Address)
		}
	default:
		return transport.Panic(mail.ErrnoUnknown, "Mandatory file or directory option missing from %s transport", r.Transport.Name)
	}
	if err != nil {
		return failed(err, fmt.Sprintf("Expansion of \"%s\" (file or directory name for %s transport) failed: %v", text, r.Transport.Name, err))
	}
	name := v.S
	within(r, s, j)
	if !(j.Below && j.Within != "" && beneath(name, j.Within)) &&
		r.Scope.Untrusted(v, "Tainted '%s' (file or directory name for %s transport) not permitted", name, r.Transport.Name) {
		return transport.Panic(mail.ErrnoUnknown, "Tainted '%s' (file or directory name for %s transport) not permitted", name, r.Transport.Name)
	}
	if strings.IndexByte(name, 0) >= 0 || !strings.HasPrefix(name, "/") {
		return transport.Defer(mail.ErrnoNotAbsolute, "appendfile: file or directory name \"%s\" is not absolute", name)
	}
	if direct || a.Kind == mail.KindFile {
		isDirectory = isDirectory || s.maildirFormat || s.mailstoreFormat || strings.HasSuffix(name, "/") && s.file == ""
	}
	switch {
	case !isDirectory:
		j.Format = mbox
		j.Null = name == "/dev/null"
	case s.maildirFormat:
		j.Format = maildir
	case s.mailstoreFormat:
		j.Format = mailstore
	default:
		j.Format = single
	}
	if j.Path = name; isDirectory && len(name) > 1 {
		j.Path = strings.TrimRight(name, "/")
	}
	return nil
}

// within sets the directory that create_file names.
func within(r *transport.Run, s *settings, j *job) {
	switch {
	case s.createFile == "anywhere", s.createFile == "":
	case s.createFile == "inhome":
		j.Within = r.Home
	case s.createFile == "belowhome":
		j.Within, j.Below = r.Home, true
	default:
		j.Within, j.Below = s.createFile, true
	}
}

// beneath tells whether a path lies below a directory without using "..".
func beneath(name, directory string) bool {
	rest, ok := strings.CutPrefix(name, strings.TrimRight(directory, "/"))
	return ok && (rest == "" || rest[0] == '/') && !strings.Contains(rest+"/", "/../")
}

// failed makes the outcome of an expansion that failed: temporary failures defer, mistakes are for the panic log as well.
func failed(err error, text string) error {
	if expand.IsTemporary(err) {
		return transport.Defer(mail.ErrnoExpandFail, "%s", text)
	}
	return transport.Panic(mail.ErrnoUnknown, "%s", text)
}

// mboxText is the default for an mbox file of the option that separates messages in it; "" for other options.
func mboxText(option string) string {
	switch option {
	case "message_prefix":
		return transport.FromLine
	case "message_suffix":
		return "\n"
	case "check_string":
		return "From "
	case "escape_string":
		return ">From "
	}
	return ""
}

// texts expands prefix, suffix and the other texts.
func texts(r *transport.Run, s *settings, j *job) error {
	inst := r.Transport.Instance
	text := func(name, given string) string {
		if j.Format == mbox && !s.useBSMTP && !inst.Set[name] {
			return mboxText(name)
		}
		return given
	}
	prefix, suffix := text("message_prefix", string(s.messagePrefix)), text("message_suffix", string(s.messageSuffix))
	j.Check, j.Escape = text("check_string", s.checkString), text("escape_string", s.escapeString)
	if s.useBSMTP {
		j.Check, j.Escape = ".", ".."
	}
	if j.Escape == "" && !inst.Set["escape_string"] {
		j.Check = ""
	}
	for _, one := range []struct {
		into       *string
		text, what string
	}{{&j.Prefix, prefix, "message_prefix"}, {&j.Suffix, suffix, "message_suffix"}} {
		v, err := r.Scope.Engine.Expand(r.Scope, one.text)
		if err != nil {
			return failed(err, fmt.Sprintf("Expansion of \"%s\" (%s for %s transport) failed: %v", one.text, one.what, r.Transport.Name, err))
		}
		*one.into = v.S
	}
	return nil
}

// quotas expands the options that end up as numbers.
func quotas(r *transport.Run, s *settings, j *job) error {
	q, _, err := number(r, string(s.quota), 0)
	if err != nil {
		return err
	}
	j.Quota = q
	if j.QuotaFiles, _, err = number(r, string(s.quotaFilecount), 0); err != nil {
		return err
	}
	threshold, _, err := number(r, string(s.quotaWarnThreshold), q.Value)
	if err != nil {
		return err
	}
	j.Threshold = threshold.Value
	for _, one := range []struct {
		into *int64
		text string
	}{{&j.MailboxSize, string(s.mailboxSize)}, {&j.Filecount, string(s.mailboxFilecount)}} {
		if one.text == "" {
			continue
		}
		v, err := r.Scope.Engine.Expand(r.Scope, one.text)
		if err != nil {
			return failed(err, fmt.Sprintf("Expansion of \"%s\" in %s transport failed: %v", one.text, r.Transport.Name, err))
		}
		n, err := option.ParseInt(v.S)
		if err != nil || n < 0 || v.S == "" {
			return transport.Panic(mail.ErrnoUnknown, "Malformed value \"%s\" (expansion of \"%s\") in %s transport", v.S, one.text, r.Transport.Name)
		}
		*one.into = n
	}
	if s.quotaDirectory != "" {
		v, err := r.Must(string(s.quotaDirectory), "quota_directory")
		if err != nil {
			return err
		}
		j.QuotaDirectory = v.S
	}
	use := s.maildirUseSizeFile.Value
	if text := string(s.maildirUseSizeFile.Text); text != "" {
		if use, err = r.Scope.Engine.ExpandBool(r.Scope, text); err != nil {
			return failed(err, fmt.Sprintf("Expansion of \"%s\" in %s transport failed: %v", text, r.Transport.Name, err))
		}
	}
	if j.SizeFile = use; use || j.QuotaDirectory != "" {
		j.DirectoryRegex = s.maildirQuotaDirectoryRegex
	}
	return nil
}

// number expands a quota: decimal number, point allowed, with K, M or G, or a percentage of another value; "/no_check" may follow.
func number(r *transport.Run, text string, whole int64) (limit, bool, error) {
	if text == "" || text == "0" {
		return limit{}, false, nil
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err != nil {
		return limit{}, false, failed(err, fmt.Sprintf("Expansion of \"%s\" in %s transport failed: %v", text, r.Transport.Name, err))
	}
	main, modifiers, _ := strings.Cut(v.S, "/")
	n, ok := quantity(strings.TrimSpace(main), whole)
	noCheck := false
	for _, m := range strings.Split(modifiers, "/") {
		if m = strings.TrimSpace(m); m == "no_check" {
			noCheck = true
		} else if m != "" {
			ok = false
		}
	}
	if !ok {
		return limit{}, false, transport.Panic(mail.ErrnoUnknown, "Malformed value \"%s\" (expansion of \"%s\") in %s transport", v.S, text, r.Transport.Name)
	}
	return limit{Value: n, NoCheck: noCheck}, true, nil
}

// quantity reads "10", "1.5M", "75%". An empty text is zero.
func quantity(text string, whole int64) (int64, bool) {
	scale := 1.0
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'k', 'K':
			scale = 1 << 10
		case 'm', 'M':
			scale = 1 << 20
		case 'g', 'G':
			scale = 1 << 30
		case '%':
			scale = float64(whole) / 100
		}
		if strings.IndexByte("kKmMgG%", text[n-1]) >= 0 {
			text = text[:n-1]
		}
	}
	if text == "" {
		return 0, true
	}
	for i := 0; i < len(text); i++ {
		if (text[i] < '0' || text[i] > '9') && text[i] != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if f *= scale; err != nil || f > math.MaxInt64/2 {
		return 0, false
	}
	return int64(f), true
}

// The questions that the helper asks.
const (
	askTag     = "maildir_tag"
	askName    = "directory_file"
	askStore   = "mailstore"
	askWarning = "quota_warning"
)

// answer expands what depends on the file just written, and sends quota warnings.
func answer(r *transport.Run, question string, arguments map[string]string) (string, error) {
	s := option.Of[settings](r.Transport.Instance.Options)
	sc := r.Scope.Derive()
	switch question {
	case askTag:
		m := *r.Message
		m.Size, _ = strconv.ParseInt(arguments["size"], 10, 64)
		sc.Message = &m
		v, err := sc.Engine.Expand(sc, string(s.maildirTag))
		if errors.Is(err, expand.ErrForced) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("Expansion of \"%s\" (maildir_tag for %s transport) failed: %v", s.maildirTag, r.Transport.Name, err)
		}
		return v.S, nil
	case askName:
		sc.SetExtra("inode", mail.Clean(arguments["inode"]))
		v, err := sc.Engine.Expand(sc, string(s.directoryFile))
		if err != nil {
			return "", fmt.Errorf("Expansion of \"%s\" (directory_file for %s transport) failed: %v", s.directoryFile, r.Transport.Name, err)
		}
		if v.S == "" || v.S[0] == '/' || strings.Contains("/"+v.S+"/", "/../") {
			return "", fmt.Errorf("Expansion of \"%s\" (directory_file for %s transport) gave no file name: \"%s\"", s.directoryFile, r.Transport.Name, v.S)
		}
		return v.S, nil
	case askStore:
		return storeText(r, sc, s, arguments)
	case askWarning:
		return "", warn(r, sc, s)
	}
	return "", fmt.Errorf("unknown question %q", question)
}

// storeText expands mailstore_prefix or mailstore_suffix.
func storeText(r *transport.Run, sc *expand.Scope, s *settings, arguments map[string]string) (string, error) {
	sc.SetExtra("mailstore_basename", mail.Clean(arguments["basename"]))
	text, what := string(s.mailstorePrefix), "mailstore prefix"
	if arguments["part"] == "suffix" {
		text, what = string(s.mailstoreSuffix), "mailstore suffix"
	}
	v, err := sc.Engine.Expand(sc, text)
	switch {
	case errors.Is(err, expand.ErrForced):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("Expansion of \"%s\" (%s for %s transport) failed: %v", text, what, r.Transport.Name, err)
	case v.S != "" && !strings.HasSuffix(v.S, "\n"):
		return v.S + "\n", nil
	}
	return v.S, nil
}

// defaultWarning is the default of quota_warn_message.
const defaultWarning = "To: $local_part@$domain\n" +
	"Subject: Your mailbox\n\n" +
	"This message is automatically created by mail delivery software (Exim).\n\n" +
	"The size of your mailbox has exceeded a warning threshold that is\n" +
	"set by the system administrator.\n"

// warn sends the quota warning. A mistake in it is logged; the delivery that led to it stands.
func warn(r *transport.Run, sc *expand.Scope, s *settings) error {
	text := string(s.quotaWarnMessage)
	if text == "" {
		text = defaultWarning
	}
	v, err := sc.Engine.Expand(sc, text)
	if err != nil {
		r.Services.Panic(fmt.Sprintf("Failed to expand \"%s\" (warning message for %s transport): %v", transport.Printable(text), r.Transport.Name, err))
		return nil
	}
	header, body, _ := strings.Cut(v.S, "\n\n")
	header = strings.TrimRight(header, "\n") + "\n"
	main := option.Of[config.Main](sc.Config.MainOptions())
	head := ""
	if main.ErrorsReplyTo != "" && !hasField(header, "reply-to") {
		head += "Reply-To: " + string(main.ErrorsReplyTo) + "\n"
	}
	head += "Auto-Submitted: auto-replied\n"
	if !hasField(header, "from") {
		from, err := sc.Engine.Expand(sc, string(main.DSNFrom))
		if err != nil {
			from = mail.Clean("Mail Delivery System <Mailer-Daemon@" + sc.Settings().PrimaryHostname + ">")
		}
		head += "From: " + from.S + "\n"
	}
	if r.Services.Submit == nil {
		return errors.New("no messages can be submitted")
	}
	_, err = r.Services.Submit(r.Scope.Ctx, transport.Submission{Header: head + header, Text: body, Parent: r.Message})
	return err
}

// hasField looks for a header field at the start of a line; white space may stand before the colon.
func hasField(header, name string) bool {
	for _, line := range strings.Split(header, "\n") {
		if field, _, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimRight(field, " \t"), name) {
			return true
		}
	}
	return false
}
