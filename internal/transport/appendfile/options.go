// Package appendfile is the transport that puts messages into files: mbox files with their locks, maildirs, mailstores and
// directories of single files (spec chapter 26).
//
// Trust: paths come from expansions and are refused when tainted; the files belong to the user it runs as, who may
// change them at any moment.
package appendfile

import (
	"errors"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/option"
	"exigo/internal/transport"
)

type settings struct {
	allowFIFO, allowSymlink, checkGroup, checkOwner, createDirectory, fileMustExist bool
	batchID                                                                         option.Expanded
	batchMax                                                                        int
	checkString, escapeString                                                       string
	createFile                                                                      string
	directory, directoryFile, file                                                  option.Expanded
	directoryMode, lockfileMode, mode                                               option.Octal
	fileFormat                                                                      string
	lockFcntlTimeout, lockFlockTimeout, lockInterval, lockfileTimeout               time.Duration
	lockRetries                                                                     int
	mailboxFilecount, mailboxSize                                                   option.Expanded
	maildirFormat                                                                   bool
	maildirQuotaDirectoryRegex                                                      string
	maildirRetries                                                                  int
	maildirTag                                                                      option.Expanded
	maildirUseSizeFile                                                              option.ExpandedBool
	maildirfolderCreateRegex                                                        string
	mailstoreFormat                                                                 bool
	mailstorePrefix, mailstoreSuffix                                                option.Expanded
	mbxFormat                                                                       bool
	messagePrefix, messageSuffix                                                    option.Expanded
	modeFailNarrower, notifyComsat                                                  bool
	quota, quotaDirectory, quotaFilecount                                           option.Expanded
	quotaIsInclusive                                                                bool
	quotaSizeRegex                                                                  string
	quotaWarnMessage, quotaWarnThreshold                                            option.Expanded
	useBSMTP, useCRLF                                                               bool
	useFcntlLock, useFlockLock, useLockfile, useMBXLock                             *bool
}

var options = option.Table[settings]{Scope: "transport appendfile", Rows: []option.Row[settings]{
	{Name: "allow_fifo", Field: func(s *settings) any { return &s.allowFIFO }, Doc: "Delivery to named pipes is allowed."},
	{Name: "allow_symlink", Field: func(s *settings) any { return &s.allowSymlink }, Doc: "The file may be a symbolic link of its owner."},
	{Name: "batch_id", Field: func(s *settings) any { return &s.batchID }, Doc: "Only addresses with the same expansion share a run."},
	{Name: "batch_max", Default: "1", Field: func(s *settings) any { return &s.batchMax }, Doc: "Largest number of addresses in one run."},
	{Name: "check_group", Field: func(s *settings) any { return &s.checkGroup }, Doc: "The file's group must be the delivery's."},
	{Name: "check_owner", Default: "true", Field: func(s *settings) any { return &s.checkOwner }, Doc: "The file's owner must be the delivery's user."},
	{Name: "check_string", Field: func(s *settings) any { return &s.checkString }, Doc: "Start of lines that is replaced by escape_string."},
	{Name: "create_directory", Default: "true", Field: func(s *settings) any { return &s.createDirectory }, Doc: "Missing directories are created."},
	{Name: "create_file", Default: "anywhere", Field: func(s *settings) any { return &s.createFile }, Doc: "Where files may be created: anywhere, inhome, belowhome, or below a path."},
	{Name: "directory", Field: func(s *settings) any { return &s.directory }, Doc: "Directory in which each message becomes a new file."},
	{Name: "directory_file", Default: "q${base62:$tod_epoch}-$inode", Field: func(s *settings) any { return &s.directoryFile }, Doc: "Name of a new file that is of no special format."},
	{Name: "directory_mode", Default: "0700", Field: func(s *settings) any { return &s.directoryMode }, Doc: "Mode of created directories."},
	{Name: "escape_string", Field: func(s *settings) any { return &s.escapeString }, Doc: "Replacement for check_string."},
	{Name: "file", Field: func(s *settings) any { return &s.file }, Doc: "File to which messages are appended."},
	{Name: "file_format", Field: func(s *settings) any { return &s.fileFormat }, Doc: "Pairs of the start of a file and the transport for such files."},
	{Name: "file_must_exist", Field: func(s *settings) any { return &s.fileMustExist }, Doc: "The file is not created."},
	{Name: "lock_fcntl_timeout", Default: "0s", Field: func(s *settings) any { return &s.lockFcntlTimeout }, Doc: "Wait of a blocking fcntl lock; zero locks without waiting."},
	{Name: "lock_flock_timeout", Default: "0s", Field: func(s *settings) any { return &s.lockFlockTimeout }, Doc: "Wait of a blocking flock lock; zero locks without waiting."},
	{Name: "lock_interval", Default: "3s", Field: func(s *settings) any { return &s.lockInterval }, Doc: "Time between attempts to lock."},
	{Name: "lock_retries", Default: "10", Field: func(s *settings) any { return &s.lockRetries }, Doc: "Number of attempts to lock."},
	{Name: "lockfile_mode", Default: "0600", Field: func(s *settings) any { return &s.lockfileMode }, Doc: "Mode of the lock file."},
	{Name: "lockfile_timeout", Default: "30m", Field: func(s *settings) any { return &s.lockfileTimeout }, Doc: "Age at which a lock file is taken to be left over."},
	{Name: "mailbox_filecount", Field: func(s *settings) any { return &s.mailboxFilecount }, Doc: "Number of files in the mailbox, from elsewhere."},
	{Name: "mailbox_size", Field: func(s *settings) any { return &s.mailboxSize }, Doc: "Size of the mailbox, from elsewhere."},
	{Name: "maildir_format", Field: func(s *settings) any { return &s.maildirFormat }, Doc: "The directory is a maildir."},
	{Name: "maildir_quota_directory_regex", Default: `^(?:cur|new|\..*)$`, Field: func(s *settings) any { return &s.maildirQuotaDirectoryRegex }, Doc: "Which subdirectories of a maildir count for its quota."},
	{Name: "maildir_retries", Default: "10", Field: func(s *settings) any { return &s.maildirRetries }, Doc: "Attempts to find a new name in a maildir; accepted, since names that clash are given a number at once."},
	{Name: "maildir_tag", Field: func(s *settings) any { return &s.maildirTag }, Doc: "Added to the names of maildir files when they are complete."},
	{Name: "maildir_use_size_file", Field: func(s *settings) any { return &s.maildirUseSizeFile }, Doc: "A maildirsize file is maintained."},
	{Name: "maildirfolder_create_regex", Field: func(s *settings) any { return &s.maildirfolderCreateRegex }, Doc: "In which maildirs a file maildirfolder is created."},
	{Name: "mailstore_format", Field: func(s *settings) any { return &s.mailstoreFormat }, Doc: "Each message becomes an .env and a .msg file."},
	{Name: "mailstore_prefix", Field: func(s *settings) any { return &s.mailstorePrefix }, Doc: "Text at the start of the .env file."},
	{Name: "mailstore_suffix", Field: func(s *settings) any { return &s.mailstoreSuffix }, Doc: "Text at the end of the .env file."},
	{Name: "mbx_format", Field: func(s *settings) any { return &s.mbxFormat }, Doc: "The file is in MBX format."},
	{Name: "message_prefix", Field: func(s *settings) any { return &s.messagePrefix }, Doc: "Text before each message."},
	{Name: "message_suffix", Field: func(s *settings) any { return &s.messageSuffix }, Doc: "Text after each message."},
	{Name: "mode", Default: "0600", Field: func(s *settings) any { return &s.mode }, Doc: "Mode of created files."},
	{Name: "mode_fail_narrower", Default: "true", Field: func(s *settings) any { return &s.modeFailNarrower }, Doc: "A file with a narrower mode is an error."},
	{Name: "notify_comsat", Field: func(s *settings) any { return &s.notifyComsat }, Doc: "The comsat daemon is told of deliveries."},
	{Name: "quota", Field: func(s *settings) any { return &s.quota }, Doc: "Limit of the size of the mailbox."},
	{Name: "quota_directory", Field: func(s *settings) any { return &s.quotaDirectory }, Doc: "Directory that is measured for the quota."},
	{Name: "quota_filecount", Field: func(s *settings) any { return &s.quotaFilecount }, Doc: "Limit of the number of files."},
	{Name: "quota_is_inclusive", Default: "true", Field: func(s *settings) any { return &s.quotaIsInclusive }, Doc: "The message being delivered counts for its own quota check."},
	{Name: "quota_size_regex", Field: func(s *settings) any { return &s.quotaSizeRegex }, Doc: "Captures the size of a message from its file's name."},
	{Name: "quota_warn_message", Field: func(s *settings) any { return &s.quotaWarnMessage }, Doc: "Message that is sent when quota_warn_threshold is crossed."},
	{Name: "quota_warn_threshold", Field: func(s *settings) any { return &s.quotaWarnThreshold }, Doc: "Size, or percentage of the quota, at which a warning is sent."},
	{Name: "use_bsmtp", Field: func(s *settings) any { return &s.useBSMTP }, Doc: "Messages are written as batch SMTP."},
	{Name: "use_crlf", Field: func(s *settings) any { return &s.useCRLF }, Doc: "Lines end with CRLF."},
	{Name: "use_fcntl_lock", Field: func(s *settings) any { return &s.useFcntlLock }, Doc: "The file is locked with fcntl; the default unless another lock is chosen."},
	{Name: "use_flock_lock", Field: func(s *settings) any { return &s.useFlockLock }, Doc: "The file is locked with flock."},
	{Name: "use_lockfile", Field: func(s *settings) any { return &s.useLockfile }, Doc: "A lock file is made beside the file; the default."},
	{Name: "use_mbx_lock", Field: func(s *settings) any { return &s.useMBXLock }, Doc: "The locking rules of MBX mailboxes."},
}}

// Driver is the transport.
func Driver() *transport.Driver {
	return &transport.Driver{
		Name: "appendfile", Doc: "Puts messages into files: mbox, maildir, mailstore, or one file a message.",
		Options: options, Check: check, Shown: shown,
		Local: &transport.Local{Prepare: prepare, Execute: execute, Answer: answer, Quota: true},
		Batch: func(inst *config.Instance) (int, option.Expanded) {
			s := option.Of[settings](inst.Options)
			return s.batchMax, s.batchID
		},
	}
}

func isSet(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

// locks works out which locks are used (spec 26.2, use_fcntl_lock and its like).
func (s *settings) locks() (lockfile, fcntl, flock bool) {
	flock = isSet(s.useFlockLock, false)
	return isSet(s.useLockfile, true), isSet(s.useFcntlLock, !flock), flock
}

// shown gives the locks that are used by default.
func shown(inst *config.Instance, name string) any {
	s := option.Of[settings](inst.Options)
	lockfile, fcntl, flock := s.locks()
	switch name {
	case "use_lockfile":
		return lockfile
	case "use_fcntl_lock":
		return fcntl
	case "use_flock_lock":
		return flock
	}
	if text := mboxText(name); text != "" && s.directory == "" && !s.maildirFormat && !s.mailstoreFormat && !s.useBSMTP {
		return text
	}
	return nil
}

// check examines an instance when the configuration is read.
func check(inst *config.Instance) error {
	s := option.Of[settings](inst.Options)
	switch {
	case s.mbxFormat || isSet(s.useMBXLock, false):
		return errors.New("MBX mailboxes (mbx_format, use_mbx_lock) are not supported yet")
	case s.file != "" && s.directory != "":
		return errors.New("only one of \"file\" or \"directory\" can be specified")
	case s.maildirFormat && s.mailstoreFormat:
		return errors.New("only one of maildir and mailstore may be specified")
	case s.quotaFilecount != "0" && s.quotaFilecount != "" && s.quota == "":
		return errors.New("quota must be set if quota_filecount is set")
	}
	if lockfile, fcntl, flock := s.locks(); s.directory == "" && !lockfile && !fcntl && !flock {
		return errors.New("no locking configured")
	}
	switch {
	case s.createFile == "" || s.createFile == "anywhere" || s.createFile == "belowhome" || s.createFile == "inhome" || strings.HasPrefix(s.createFile, "/"):
		return nil
	}
	return transport.Mistake("invalid value given for \"create_file\" for the %s transport: '%s'", inst.Name, s.createFile)
}
