package arc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/proto/arc"
	"exigo/internal/proto/dkim"
	"exigo/internal/transport"
)

// settings are the room's options of the smtp transport.
type settings struct{ sign option.Expanded }

func wanted(r *transport.Run) bool {
	return option.Of[settings](r.Transport.Instance.Options).sign != ""
}

// defaultExpiry is that of "expire" without value: a month.
const defaultExpiry = 30 * 24 * time.Hour

// maxNames is how many fields a message signature covers at most.
const maxNames = 200

// errNothing: the option says that there is nothing to do.
var errNothing = errors.New("nothing to do")

// signer seals messages; it remembers keys.
type signer struct{ keys transport.Keyring }

// sign makes the set for a message. A message that cannot be sealed goes out without a set, and a line in the log says why.
func (s *signer) sign(ctx context.Context, r *transport.Run, m *transport.Message) (string, error) {
	seal, err := s.read(r)
	if err == nil {
		set, err := makeSet(ctx, r, m, seal)
		switch {
		case err == nil:
			return set, nil
		case errors.Is(err, transport.ErrSpool), ctx.Err() != nil:
			return "", err
		}
		r.Services.Log("ARC: " + err.Error())
		return "", nil
	}
	if !errors.Is(err, errNothing) {
		r.Services.Panic("ARC: " + err.Error())
	}
	return "", nil
}

// read reads arc_sign: domain : selector : key [: options].
func (s *signer) read(r *transport.Run) (*arc.Seal, error) {
	v, err := r.Scope.Engine.Expand(r.Scope, string(option.Of[settings](r.Transport.Instance.Options).sign))
	switch {
	case errors.Is(err, expand.ErrForced):
		return nil, errNothing
	case err != nil:
		return nil, fmt.Errorf("failed to expand arc_sign for %s transport: %w", r.Transport.Name, err)
	case strings.TrimSpace(v.S) == "":
		return nil, errNothing
	}
	_, items := expand.SplitList(v.S)
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	if len(items) < 3 || items[0] == "" || items[1] == "" || items[2] == "" {
		return nil, fmt.Errorf("bad signing-specification in arc_sign for %s transport: identifier, selector and private key are needed", r.Transport.Name)
	}
	out := &arc.Seal{Domain: items[0], Selector: items[1], Header: dkim.Relaxed, Body: dkim.Simple, Random: r.Services.World.Random}
	for _, w := range items[:2] {
		if strings.ContainsAny(w, " \t\r\n;\x00") {
			return nil, fmt.Errorf("bad signing-specification in arc_sign for %s transport: unusable \"%s\"", r.Transport.Name, w)
		}
	}
	if len(items) > 3 {
		if err := options(out, items[3], r.Now()); err != nil {
			return nil, fmt.Errorf("arc_sign for %s transport: %w", r.Transport.Name, err)
		}
	}
	key := expand.Value{S: items[2], Tainted: v.Tainted}
	if strings.HasPrefix(key.S, "/") {
		key.Tainted = r.Scope.Untrusted(key, "Tainted filename '%s'", key.S)
	}
	if out.Key, err = s.keys.Get(key); err != nil {
		return nil, fmt.Errorf("arc_sign for %s transport: %w", r.Transport.Name, err)
	}
	return out, nil
}

// options reads the comma-separated options.
func options(out *arc.Seal, text string, now time.Time) error {
	for _, item := range strings.Split(text, ",") {
		name, value, has := strings.Cut(strings.TrimSpace(item), "=")
		switch {
		case name == "" && !has:
		case name == "timestamps" && !has:
			out.Time = now
		case name == "expire" && !has:
			out.Expiry = now.Add(defaultExpiry)
		case name == "expire":
			offset, relative := strings.CutPrefix(value, "+")
			n, err := strconv.ParseUint(offset, 10, 40)
			if err != nil {
				return fmt.Errorf("bad value for option expire: \"%s\"", value)
			}
			if out.Expiry = time.Unix(int64(n), 0); relative {
				out.Expiry = now.Add(time.Duration(n) * time.Second)
			}
		default:
			return fmt.Errorf("unknown option \"%s\"", item)
		}
	}
	return nil
}

// makeSet makes the set.
func makeSet(ctx context.Context, r *transport.Run, m *transport.Message, seal *arc.Seal) (string, error) {
	list := split(m.Header)
	host := ""
	if c := r.Message.Session; c != nil && c.Host.IsValid() {
		host = c.Host.Unmap().String()
	}
	var ok bool
	if seal.Results, seal.Status, ok = arc.Combine(list, seal.Domain, host); !ok {
		return "", fmt.Errorf("no Authentication-Results header for signing")
	}
	seal.Names = arc.SignedNames(list, signedNames(), maxNames)
	w, hash := seal.NewBody(true)
	if err := m.WriteBody(ctx, w); err != nil {
		return "", err
	}
	w.Close()
	set, err := seal.Set(list, hash.Sum())
	if err != nil {
		return "", fmt.Errorf("no set added: %w", err)
	}
	return set, nil
}

// signedNames are the fields that a message signature covers.
func signedNames() []string {
	list := append(dkim.DefaultNames(), "DKIM-Signature")
	for i := range list {
		list[i] = strings.ToLower(list[i])
	}
	return list
}

// split makes fields of a header block.
func split(header []byte) (list []string) {
	start := 0
	for i := 0; i < len(header); {
		n := bytes.IndexByte(header[i:], '\n')
		if n < 0 {
			break
		}
		if i += n + 1; i == len(header) || header[i] != ' ' && header[i] != '\t' {
			list = append(list, string(header[start:i]))
			start = i
		}
	}
	if start < len(header) {
		list = append(list, string(header[start:])+"\n")
	}
	return list
}
