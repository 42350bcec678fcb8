package dmarc

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"exigo/internal/expand"
	"exigo/internal/outside"
	"exigo/internal/proto/dmarc"
	"exigo/internal/smtpserver"
)

// pretended tells whether a session is only a test (-bh).
func pretended(s *expand.Scope) bool { return smtpserver.Pretended(s) }

// Resolver asks the DNS of a world.
func Resolver(world *outside.World) dmarc.Resolver {
	missing := func(err error) bool { return errors.Is(err, outside.ErrNoHost) || errors.Is(err, outside.ErrNoData) }
	return dmarc.Resolver{
		TXT: func(ctx context.Context, name string) ([]string, error) {
			texts, err := world.Texts(ctx, name)
			if missing(err) {
				err = dmarc.ErrNoRecord
			}
			return texts, err
		},
		Exists: func(ctx context.Context, name string) (bool, error) {
			for _, kind := range []outside.RRType{outside.TypeA, outside.TypeMX, outside.TypeAAAA} {
				_, err := world.DNS.Lookup(ctx, outside.Question{Name: name, Type: kind})
				switch {
				case err == nil:
					return true, nil
				case errors.Is(err, outside.ErrNoHost):
					return false, nil
				case !missing(err):
					return false, err
				}
			}
			return false, nil
		},
	}
}

// suffixCache keeps the list that was read last, until its file changes.
type suffixCache struct {
	mu      sync.Mutex
	path    string
	changed time.Time
	size    int64
	list    *dmarc.Suffixes
}

// get returns the list in a file, or the one built in.
func (c *suffixCache) get(path string) (*dmarc.Suffixes, error) {
	if path == builtIn {
		return dmarc.BuiltIn(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if c.list != nil && c.path == path && c.changed.Equal(info.ModTime()) && c.size == info.Size() {
		return c.list, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list, err := dmarc.ReadSuffixes(file)
	if err != nil {
		return nil, err
	}
	c.path, c.changed, c.size, c.list = path, info.ModTime(), info.Size(), list
	return list, nil
}
