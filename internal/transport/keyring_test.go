package transport

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/proto/dkim"
)

func TestKeyring(t *testing.T) {
	const one, two = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=" // RFC 8032 section 7.1
	file := filepath.Join(t.TempDir(), "key")
	write := func(text string, age time.Duration) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(file, time.Time{}, time.Now().Add(-age))
	}
	var k Keyring
	get := func(v mail.Value) *dkim.PrivateKey {
		key, err := k.Get(v)
		if err != nil {
			t.Errorf("%+v: %v", v, err)
		}
		return key
	}
	write(one, time.Hour)
	first := get(mail.Clean(file))
	if get(mail.Clean(file)) != first {
		t.Error("read twice")
	}
	write(two, time.Minute)
	if second := get(mail.Clean(file)); second == first {
		t.Error("not read again")
	}
	if a, b := get(mail.Clean(one)), get(mail.Clean(one)); a != b {
		t.Error("a key in the option is read twice")
	}
	for _, v := range []mail.Value{mail.Clean(file + "x"), mail.Clean(filepath.Dir(file)), mail.Taint(file)} {
		if _, err := k.Get(v); err == nil || errors.Is(err, dkim.ErrPrivateKey) {
			t.Errorf("%s: %v", v.S, err)
		}
	}
	write("nonsense", 0)
	for _, text := range []string{file, "?"} {
		if _, err := k.Get(mail.Clean(text)); !errors.Is(err, dkim.ErrPrivateKey) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
