package bounce

import (
	"errors"
	"io/fs"
	"syscall"
)

// errnoText is the C library's text of an errno: upper case, as logs show it.
func errnoText(n int) string { return capital(syscall.Errno(n).Error()) }

// osText is the system's part of an error of package os.
func osText(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return capital(err.Error())
}

func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
