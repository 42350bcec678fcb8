package transport

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Strerror is the C library's text of an errno, as it stands in logs: "Permission denied".
func Strerror(errno int) string {
	if errno <= 0 {
		return "Success"
	}
	text := syscall.Errno(errno).Error()
	if name := unix.ErrnoName(syscall.Errno(errno)); name == "" || text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// Printable makes control characters visible: \n and its like as letters, others in octal. Bytes above 127 stay.
func Printable(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return escape(s)
		}
	}
	return s
}

func escape(s string) string {
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != 0x7f {
			b = append(b, c)
		} else if k := strings.IndexByte("\n\r\t\b\v\f", c); k >= 0 {
			b = append(b, '\\', "nrtbvf"[k])
		} else {
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return string(b)
}
