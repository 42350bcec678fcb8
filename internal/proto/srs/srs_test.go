package srs

import (
	"testing"
	"time"
)

// now is a day whose stamp is "jl"; the results below are those of Debian's exim4 4.96 on that day.
var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func TestEncode(t *testing.T) {
	for _, row := range [][4]string{
		{"secret", "user@orig.example", "fwd.example", "SRS0=efd0=jl=orig.example=user@fwd.example"}, {"secret", "user@ORIG.example", "fwd.example", "SRS0=efd0=jl=ORIG.example=user@fwd.example"},
		{"secret", "User@orig.example", "x", "SRS0=efd0=jl=orig.example=User@x"}, {"", "user@orig", "fwd.example", "SRS0=06eb=jl=orig=user@fwd.example"}, {"s", "", "f", ""},
		{"s", `"a b"@orig`, "fwd.example", `"SRS0=c41a=jl=orig=a b"@fwd.example`}, {"s", "User@ORIG", "fwd.example", "SRS0=9d88=jl=ORIG=User@fwd.example"},
		{"s", "SRS0=5a8d=BC=o.ex=u@f.ex", "fwd.example", "SRS0=bab4=jl=f.ex=SRS0=5a8d=BC=o.ex=u@fwd.example"}, {"s", "a=b@c", "f", "SRS0=925a=jl=c=a=b@f"}, {"s", "<a@b>", "f", "SRS0=ec1a=jl=b=a@f"},
		{"s", "(c)a@b", "f", "SRS0=19ad=jl=b=a@f"}, {"s", "a.b@c", "F w", "SRS0=1009=jl=c=a.b@F w"}, {"s", `"a\"b"@c`, "f", `"SRS0=f79a=jl=c=a\b"@f`}, {"s", `a."b"@c`, "f", `"SRS0=92ca=jl=c=a.b"@f`},
		{"s", "a@[1.2.3.4]", "f", "SRS0=585b=jl=[1.2.3.4]=a@f"}, {"s", "é@x", "f", "SRS0=d862=jl=x=é@f"}, {"s", "É@x", "f", "SRS0=5f81=jl=x=É@f"}, {"s", `a\ b@x`, "f", `SRS0=3181=jl=x=a\ b@f`},
		{"secret", "user", "fwd.example", "SRS0=0cf4=jl==user@fwd.example"},
		{"s", "a@b@c", "f", "!malformed address: @c may not follow a@b"}, {"s", "@orig.example", "f", "!no local part"}, {"s", "@", "f", "!domain missing or malformed"},
	} {
		got, err := Encode(row[0], row[1], row[2], now)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != row[3] {
			t.Errorf("%s: got %s, want %s", row[1], got, row[3])
		}
	}
}

func TestDecode(t *testing.T) {
	for _, row := range []struct {
		secret, in, want string
		err              error
	}{
		{"secret", "SRS0=efd0=jl=orig.example=user", "user@orig.example", nil}, {"secret", "srs0=efd0=jl=ORIG.example=User", "User@ORIG.example", nil}, {"s", "SRS0=c41a=jl=orig=a b", `"a b"@orig`, nil},
		{"secret", "SRS0=EFD0=jl=orig.example=user", "user@orig.example", ErrHash}, {"secret", "SRS0=efd1=jl=orig.example=user", "user@orig.example", ErrHash}, {"s", "SRS0=92ca=jl=c=a.b", "a.b@c", ErrHash},
		{"secret", "SRS0=efd0=JL=orig.example=user", "user@orig.example", ErrExpired}, {"secret", "SRS0=efd0=jm=orig.example=user", "user@orig.example", ErrExpired}, {"secret", "SRS0=efd0=ja=orig.example=user", "user@orig.example", ErrExpired},
		{"secret", "SRS0=efd0=jb=orig.example=user", "user@orig.example", nil},
		{"", "SRS0=zzzz=aa=a=b", "b@a", nil}, {"", "SRS0=a=JL=a=", "@a", nil}, {"", "SRS0=abcd=jl=a=b c", `"b c"@a`, nil}, {"", "SRS0=abcd=jl=a=b@c", `"b@c"@a`, nil}, {"", "SRS0=efd0=jl=o=u=v", "u=v@o", nil},
		{"", `SRS0=efd0=jl=a=u"x`, `"u\"x"@a`, nil}, {"", "SRS0=abcd=jl==b", "b@", nil},
		{"", "user", "", ErrForm}, {"", "", "", ErrForm}, {"", "SRS0=", "", ErrForm}, {"", "SRS0=abcd=jl=a", "", ErrForm}, {"", "SRS0=abcd=jlx=a=b", "", ErrForm}, {"", "SRS0=abcd=j=a=b", "", ErrForm}, {"", "SRS0==jl=a=b", "", ErrForm},
		{"", "SRS0=abcd=11=a=b", "", ErrForm}, {"", "SRS0+abcd=jl=a=b", "", ErrForm}, {"", "SRS1=abcd=jl=a=b", "", ErrForm}, {"", "xSRS0=abcd=jl=a=b", "", ErrForm},
	} {
		if got, err := Decode(row.secret, row.in, now); got != row.want || err != row.err {
			t.Errorf("%s: got %q, %v, want %q, %v", row.in, got, err, row.want, row.err)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, start := range []time.Time{now, time.Unix(1023*86400, 0), time.Unix(2*1024*86400-3*86400, 0)} {
		s, err := Encode("k", "a@b", "f", start)
		if err != nil {
			t.Fatal(err)
		}
		local := s[:len(s)-2]
		for days, want := range map[int]error{-1: ErrExpired, 0: nil, 10: nil, 11: ErrExpired, 1023: ErrExpired} {
			if _, err := Decode("k", local, start.AddDate(0, 0, days)); err != want {
				t.Errorf("after %d days: %v", days, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("SRS0=efd0=jl=orig.example=user", "user@orig.example")
	f.Fuzz(func(t *testing.T, local, sender string) {
		Decode("secret", local, now)
		Decode("", local, now)
		Encode("secret", sender, "fwd.example", now)
	})
}
