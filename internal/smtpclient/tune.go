package smtpclient

import (
	"net"
	"strconv"
	"strings"
	"syscall"

	"exigo/internal/proto/smtp"
)

func parseExtensions(r smtp.Reply) smtp.Extensions { return smtp.ParseExtensions(r) }

// tune sets the options of the socket.
func tune(raw net.Conn, s *Settings) {
	t, ok := raw.(*net.TCPConn)
	if !ok {
		return
	}
	t.SetKeepAlive(s.Keepalive)
	if s.DSCP < 0 {
		return
	}
	if control, err := t.SyscallConn(); err == nil {
		control.Control(func(fd uintptr) {
			if s.Address.Is4() || s.Address.Is4In6() {
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, s.DSCP<<2)
			} else {
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, s.DSCP<<2)
			}
		})
	}
}

// dscpNames are the names of traffic classes (RFC 2474, 2597, 3246) and of the old type-of-service bits.
var dscpNames = []struct {
	name  string
	value int
}{
	{"cs0", 0}, {"cs1", 8}, {"cs2", 16}, {"cs3", 24}, {"cs4", 32}, {"cs5", 40}, {"cs6", 48}, {"cs7", 56},
	{"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18}, {"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30},
	{"af41", 34}, {"af42", 36}, {"af43", 38}, {"ef", 46},
	{"lowcost", 0}, {"lowdelay", 4}, {"mincost", 0}, {"reliability", 1}, {"throughput", 2},
}

// DSCP reads the value of the dscp option: a name of -bI:dscp or a number from 0 to 0x3F. ok is false for others.
func DSCP(text string) (value int, ok bool) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 0, 32); err == nil {
		return int(n), n >= 0 && n <= 0x3f
	}
	for _, row := range dscpNames {
		if strings.EqualFold(row.name, text) {
			return row.value, true
		}
	}
	return 0, false
}
