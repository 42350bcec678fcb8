package transport

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"exigo/internal/expand"
	"exigo/internal/proto/dkim"
)

// Keyring keeps private keys that signers have read, as reading one takes longer than signing. A file that was replaced is read again. The zero
// Keyring is ready; it is safe for concurrent use.
type Keyring struct {
	mu   sync.Mutex
	kept map[string]keptKey
}

type keptKey struct {
	key      *dkim.PrivateKey
	modified time.Time
	size     int64
}

// maxKept and maxKeyFile bound the memory for keys.
const (
	maxKept    = 100
	maxKeyFile = 64 << 10
)

// Get returns the key that an option's value is: a file when it begins with a slash, else the key's own text. Names of files must not be tainted. The error wraps dkim.ErrPrivateKey
// when there is a text that is no key.
func (k *Keyring) Get(v expand.Value) (*dkim.PrivateKey, error) {
	if !strings.HasPrefix(v.S, "/") {
		if kept, ok := k.find(v.S); ok {
			return kept.key, nil
		}
		key, err := dkim.ParsePrivateKey(v.S)
		if err == nil {
			k.keep(v.S, keptKey{key: key})
		}
		return key, err
	}
	if v.Tainted {
		return nil, errors.New("Tainted filename '" + v.S + "'")
	}
	return k.file(v.S)
}

// file returns the key in a file.
func (k *Keyring) file(path string) (*dkim.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.New("unable to open file for reading: " + path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("unable to open file for reading: " + path)
	}
	if kept, ok := k.find(path); ok && kept.modified.Equal(info.ModTime()) && kept.size == info.Size() {
		return kept.key, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, errors.New("unable to read file " + path + ": " + err.Error())
	}
	key, err := dkim.ParsePrivateKey(string(text))
	if err == nil {
		k.keep(path, keptKey{key, info.ModTime(), info.Size()})
	}
	return key, err
}

func (k *Keyring) find(name string) (keptKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, ok := k.kept[name]
	return kept, ok
}

func (k *Keyring) keep(name string, key keptKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= maxKept {
		k.kept = make(map[string]keptKey)
	}
	k.kept[name] = key
}
