package smtpserver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"exigo/internal/eventlog"
)

// maxIdent is the longest identity that is kept.
const maxIdent = 127

// askIdent asks the client's machine who is on the other end of the connection (RFC 1413, spec: rfc1413_hosts).
func (s *Session) askIdent() {
	if s.main.RFC1413QueryTimeout <= 0 || s.io.base == nil || s.noun.Port == 0 || !s.matches(string(s.main.RFC1413Hosts)) {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.main.RFC1413QueryTimeout)
	defer cancel()
	answer, err := s.identAnswer(ctx)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			if s.svc.Log.Has(eventlog.IdentTimeout) {
				s.logMain("ident connection to " + eventlog.Address(s.noun.Host) + " timed out")
			}
		}
		return
	}
	s.noun.Ident = parseIdent(answer, s.noun.Port, s.noun.InterfacePort)
}

func (s *Session) identAnswer(ctx context.Context) (string, error) {
	conn, err := s.svc.World.Dial.Dial(ctx, "tcp", s.noun.Interface, net.JoinHostPort(s.noun.Host.String(), "113"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte(strconv.Itoa(s.noun.Port) + " , " + strconv.Itoa(s.noun.InterfacePort) + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReaderSize(conn, 1024).ReadSlice('\n')
	return string(line), err
}

// parseIdent reads "6193, 25 : USERID : UNIX : user"; "" when it does not answer the question.
func parseIdent(answer string, remote, local int) string {
	fields := strings.SplitN(answer, ":", 4)
	if len(fields) < 4 || strings.TrimSpace(fields[1]) != "USERID" {
		return ""
	}
	ports := strings.Split(fields[0], ",")
	if len(ports) != 2 || strings.TrimSpace(ports[0]) != strconv.Itoa(remote) || strings.TrimSpace(ports[1]) != strconv.Itoa(local) {
		return ""
	}
	ident := strings.Trim(fields[3], " \t\r\n")
	clean := make([]byte, 0, len(ident))
	for i := 0; i < len(ident) && len(clean) < maxIdent; i++ {
		if c := ident[i]; c >= ' ' && c < 0x7f {
			clean = append(clean, c)
		}
	}
	return string(clean)
}
