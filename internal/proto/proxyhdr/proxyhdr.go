// Package proxyhdr reads the header that a proxy sends before a client's data: the PROXY protocol, versions 1 and 2
// (www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
//
// Trust: the header comes from whoever connects; a caller reads one only from hosts configured as proxies. Lengths are bounded,
// and no byte beyond the header is read.
package proxyhdr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Header is what a proxy says about a connection.
type Header struct {
	// Version is 1 or 2.
	Version int
	// Local says that the proxy connected for itself, or does not know for whom (LOCAL, UNKNOWN, address families other than
	// IP): the connection's own addresses count, and the fields below are unset.
	Local bool
	// Source and Destination are the ends of the client's connection to the proxy.
	Source, Destination netip.AddrPort
}

// ErrMalformed says that the bytes are no header; errors of Read wrap it. Errors of the connection come as they are.
var ErrMalformed = errors.New("malformed PROXY header")

const (
	signature   = "\r\n\r\n\x00\r\nQUIT\n"
	maxV1       = 107 // section 2.1: the longest line, with CRLF
	familyInet  = 1
	familyInet6 = 2
	streamProto = 1
	datagram    = 2
)

// Read reads one header of either version. A caller bounds the time by a deadline on the connection.
func Read(r io.Reader) (Header, error) {
	var start [len(signature)]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return Header{}, err
	}
	if string(start[:]) == signature {
		return readV2(r)
	}
	if bytes.HasPrefix(start[:], []byte("PROXY ")) {
		return readV1(r, start[:])
	}
	return Header{}, malformed("unknown signature")
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// fill reads all of b; the header has begun, so its end is never in order.
func fill(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readV1 reads the rest of a line a byte at a time, so as not to touch what follows it.
func readV1(r io.Reader, start []byte) (Header, error) {
	line := append(make([]byte, 0, maxV1), start...)
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		return Header{}, malformed("line too short")
	}
	for line[len(line)-1] != '\n' {
		if len(line) == maxV1 {
			return Header{}, malformed("line too long")
		}
		line = append(line, 0)
		if err := fill(r, line[len(line)-1:]); err != nil {
			return Header{}, err
		}
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return Header{}, malformed("no CRLF")
	}
	return parseV1(text)
}

// parseV1 reads "PROXY TCP4 source destination port port" (section 2.1).
func parseV1(line string) (Header, error) {
	words := strings.Split(line, " ")
	if len(words) >= 2 && words[1] == "UNKNOWN" {
		return Header{Version: 1, Local: true}, nil
	}
	if len(words) != 6 {
		return Header{}, malformed("wrong number of words")
	}
	source, err1 := parseEndpoint(words[1], words[2], words[4])
	destination, err2 := parseEndpoint(words[1], words[3], words[5])
	if err := errors.Join(err1, err2); err != nil {
		return Header{}, err
	}
	return Header{Version: 1, Source: source, Destination: destination}, nil
}

func parseEndpoint(family, ip, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Zone() != "" || family != "TCP4" && family != "TCP6" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, malformed("bad address")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, malformed("bad port")
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// readV2 reads what follows the signature (section 2.2). TLVs after the addresses are skipped.
func readV2(r io.Reader) (Header, error) {
	var fixed [4]byte
	if err := fill(r, fixed[:]); err != nil {
		return Header{}, err
	}
	if fixed[0]>>4 != 2 {
		return Header{}, malformed("unknown version")
	}
	length := int64(binary.BigEndian.Uint16(fixed[2:]))
	var addresses [2*16 + 4]byte
	body := addresses[:min(length, int64(len(addresses)))]
	if err := fill(r, body); err != nil {
		return Header{}, err
	}
	if _, err := io.CopyN(io.Discard, r, length-int64(len(body))); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Header{}, err
	}
	h := Header{Version: 2}
	switch fixed[0] & 15 {
	case 0: // LOCAL
		h.Local = true
		return h, nil
	case 1: // PROXY
	default:
		return Header{}, malformed("unknown command")
	}
	family, protocol := fixed[1]>>4, fixed[1]&15
	size := 0
	switch {
	case protocol != streamProto && protocol != datagram && protocol != 0:
		return Header{}, malformed("unknown protocol")
	case protocol == streamProto && family == familyInet:
		size = 4
	case protocol == streamProto && family == familyInet6:
		size = 16
	default: // unspecified, datagrams, Unix sockets
		h.Local = true
		return h, nil
	}
	if len(body) < 2*size+4 {
		return Header{}, malformed("addresses missing")
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(body[2*size:]))
	h.Destination = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(body[2*size+2:]))
	return h, nil
}
