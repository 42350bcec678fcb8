package builtin

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// outsideItems reach out of the process.
func outsideItems() []expand.LazyItem {
	return []expand.LazyItem{
		{
			Name: "run", Doc: "Runs a command; $value is its output, $runrc its exit code.",
			Shape: syntax.Shape{Form: syntax.FormRun}, Eval: evalRun,
			Examples: []expand.Example{
				{In: `${run{/bin/sh -c "exit 3"}{y}{n}}$runrc`, Out: "n3"}, {In: `${run{/no/such}{y}{n}}$runrc`, Out: "n127"},
				{In: `${run{/bin/echo ${lc:A}${uc:b} "c d"}}`, Out: "aB c d\n"}, {In: `${run,foo{/bin/echo}}`, Err: "bad option 'foo' for run"},
			},
		},
		{
			Name: "readfile", Doc: "Gives the content of a file, its newlines replaced by a string.",
			Shape: syntax.Shape{Form: syntax.FormArgs, Min: 1, Max: 2}, Eval: evalReadFile,
			Examples: []expand.Example{{In: `${readfile{/no/such}}`, Err: "failed to open /no/such: No such file or directory"}},
		},
		{
			Name: "readsocket", Doc: "Sends a request to a socket and gives the answer.",
			Shape: syntax.Shape{Form: syntax.FormSocket, Min: 2, Max: 5}, Eval: evalReadSocket,
			Examples: []expand.Example{
				{In: `${readsocket{/no/such}{x}}`, Err: "failed to connect to socket /no/such: No such file or directory"},
				{In: `${readsocket{/no/such}{x}{}{}{fail string}}`, Out: "fail string"},
			},
		},
		{
			Name: "certextract", Doc: "Takes a field out of a certificate.",
			Shape: syntax.Shape{Form: syntax.FormNamedArgs, Min: 2, ArgNames: []string{"field arg", "cert variable arg"}}, Eval: evalCertExtract,
			Examples: []expand.Example{
				{In: `${certextract{version}{$tod_log}}`, Err: `"tod_log" is not a certificate`},
				{In: `${certextract{a}{b}}`, Err: `second argument of "certextract" must be a certificate variable`},
				{In: `${certextract{subject}{$tls_in_peercert}{y}{n}}`, Out: "n"},
			},
		},
	}
}

// outsideOperators ask the file system.
func outsideOperators() []expand.Operator {
	return []expand.Operator{{
		Name: "stat", Doc: "Gives what stat(2) says of a file.", Apply: applyStat,
		Examples: []expand.Example{{In: `${stat:/no/such}`, Err: "stat(/no/such) failed: No such file or directory"}},
	}}
}

// maxFile is the largest file or answer that readfile, readsocket and run take in.
const maxFile = 32 << 20

// forbidden tells whether a word is locked out (forbid_filter_* sets Extra "forbid_NAME").
func forbidden(s *expand.Scope, name, what string) error {
	if s.Extra["forbid_"+name].S == "" {
		return nil
	}
	return expand.Fail("%s", what)
}

func evalReadFile(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	args, err := s.Texts(it.Args)
	if err != nil {
		return expand.Value{}, err
	}
	if err := forbidden(s, "readfile", "file insertions are not permitted"); err != nil {
		return expand.Value{}, err
	}
	path := args[0].S
	if s.Untrusted(args[0], "Tainted filename '%s'", path) {
		s.Panic("Tainted filename '%s'", path)
		return expand.Value{}, expand.Fail("failed to open %s: Permission denied%s", path, identity(s))
	}
	data, err := s.ReadFile(s.Ctx, path)
	switch {
	case errors.Is(err, syscall.EISDIR):
		return expand.Value{}, nil
	case errors.Is(err, syscall.EACCES):
		return expand.Value{}, expand.Fail("failed to open %s: Permission denied%s", path, identity(s))
	case err != nil:
		return expand.Value{}, expand.Fail("failed to open %s: %s", path, reason(err))
	case len(data) > maxFile:
		return expand.Value{}, expand.Fail("failed to read %s: file is too large", path)
	}
	return expand.Value{S: endLines(upToZero(string(data)), args[1:])}, nil
}

// identity is what Exim adds to a refused permission.
func identity(s *expand.Scope) string {
	return fmt.Sprintf(" (euid=%d egid=%d)", os.Geteuid(), os.Getegid())
}

// reason gives the system's words for an error, as strerror(3) has them.
func reason(err error) string {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return err.Error()
	}
	text := number.Error()
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// upToZero cuts a text at its first zero byte: strings of the language have none.
func upToZero(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return text
}

// endLines replaces newlines by the end-of-line string, if one is given.
func endLines(text string, eol []expand.Value) string {
	if len(eol) == 0 {
		return text
	}
	return strings.ReplaceAll(text, "\n", eol[0].S)
}

func applyStat(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	if err := forbidden(s, "exists", "Use of the stat() expansion is not permitted"); err != nil {
		return expand.Value{}, err
	}
	var st syscall.Stat_t
	if err := syscall.Stat(subject.S, &st); err != nil {
		return expand.Value{}, expand.Fail("stat(%s) failed: %s", subject.S, reason(err))
	}
	return expand.Value{S: fmt.Sprintf("mode=%04o smode=%s inode=%d device=%d links=%d uid=%d gid=%d size=%d atime=%d mtime=%d ctime=%d",
		st.Mode&0o77777, symbolicMode(st.Mode), st.Ino, st.Dev, st.Nlink, st.Uid, st.Gid, st.Size, st.Atim.Sec, st.Mtim.Sec, st.Ctim.Sec)}, nil
}

// symbolicMode writes a mode as ls(1) does.
func symbolicMode(mode uint32) string {
	kinds := map[uint32]byte{syscall.S_IFDIR: 'd', syscall.S_IFCHR: 'c', syscall.S_IFBLK: 'b', syscall.S_IFREG: '-', syscall.S_IFIFO: 'p', syscall.S_IFLNK: 'l', syscall.S_IFSOCK: 's'}
	out := []byte("?rwxrwxrwx")
	if k := kinds[mode&syscall.S_IFMT]; k != 0 {
		out[0] = k
	}
	for i := range 9 {
		if mode&(1<<(8-i)) == 0 {
			out[1+i] = '-'
		}
	}
	for i, bit := range []uint32{syscall.S_ISUID, syscall.S_ISGID, syscall.S_ISVTX} {
		if mode&bit == 0 {
			continue
		}
		at, letters := 3+3*i, "sS"
		if i == 2 {
			letters = "tT"
		}
		if out[at] == 'x' {
			out[at] = letters[0]
		} else {
			out[at] = letters[1]
		}
	}
	return string(out)
}
