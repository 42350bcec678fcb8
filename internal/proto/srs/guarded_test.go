package srs

import (
	"strings"
	"testing"
	"time"
)

func guarded() *Guarded {
	return &Guarded{Secrets: []string{"secret"}, HashLength: 4, MaxAge: 31}
}

// TestForward: what Mail::SRS 0.31 and postsrsd 1.10 make on the same day.
func TestForward(t *testing.T) {
	for in, want := range map[string]string{
		"user@orig.example": "SRS0=XVD+=JL=orig.example=user@fwd.example", "SRS0=XVD+=JL=orig.example=user@other.example": "SRS1=NkCc=other.example==XVD+=JL=orig.example=user@fwd.example",
		"SRS0+XVD+=JL=orig.example=user@other.example":                     "SRS1=" + hash64("secret", []string{"other.example", "+XVD+=JL=orig.example=user"})[:4] + "=other.example=+XVD+=JL=orig.example=user@fwd.example",
		"SRS1=xxxx=other.example==XVD+=JL=orig.example=user@third.example": "SRS1=NkCc=other.example==XVD+=JL=orig.example=user@fwd.example",
		"": "", "user": "user", "@x.example": "@x.example", "user@FWD.example": "user@FWD.example", "SRS1=x@y.example": "SRS0=" + hash64("secret", []string{"JL", "y.example", "SRS1=x"})[:4] + "=JL=y.example=SRS1=x@fwd.example",
	} {
		if got := guarded().Forward(in, "fwd.example", now); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestReverse(t *testing.T) {
	longer := &Guarded{Secrets: []string{"new", "secret"}, HashLength: 10, HashMin: 4, MaxAge: 31}
	strict := &Guarded{Secrets: []string{"secret"}, HashLength: 6, MaxAge: 31}
	bare := &Guarded{NoHash: true, NoStamp: true}
	for _, x := range []struct {
		g           *Guarded
		local, want string
		err         error
	}{
		{guarded(), "SRS0=XVD+=JL=orig.example=user", "user@orig.example", nil}, {guarded(), "srs0=xvd+=jl=ORIG.example=User", "User@ORIG.example", nil},
		{guarded(), "SRS0+XVD+=JL=orig.example=user", "user@orig.example", nil}, {guarded(), "SRS0-XVD+=JL=orig.example=user", "user@orig.example", nil},
		{guarded(), "SRS1=NkCc=other.example==XVD+=JL=orig.example=user", "SRS0=XVD+=JL=orig.example=user@other.example", nil},
		{longer, "SRS0=XVD+=JL=orig.example=user", "user@orig.example", nil}, {strict, "SRS0=XVD+=JL=orig.example=user", "", ErrHash},
		{guarded(), "SRS0=XVD-=JL=orig.example=user", "", ErrHash}, {guarded(), "SRS0==JL=orig.example=user", "", ErrHash}, {guarded(), "SRS0=XVD+=JL=orig.example=other", "", ErrHash},
		{guarded(), "SRS1=NkCd=other.example==XVD+=JL=orig.example=user", "", ErrHash}, {guarded(), "SRS1=NkCc=other.example=XVD+=JL=orig.example=user", "", ErrForm},
		{guarded(), "user", "", ErrForm}, {guarded(), "SRS0", "", ErrForm}, {guarded(), "SRS0=", "", ErrForm}, {guarded(), "SRS0=XVD+=JL=orig.example", "", ErrForm}, {guarded(), "SRS1=NkCc=other.example", "", ErrForm},
		{guarded(), "SRS0=" + strings.Repeat("x", 2000), "", ErrForm}, {bare, "SRS0=orig.example=user", "user@orig.example", nil}, {bare, "SRS1=other.example==x=y", "SRS0=x=y@other.example", nil},
	} {
		if got, _, err := x.g.Reverse(x.local, now); got != x.want || err != x.err {
			t.Errorf("%.60s: %q %v, want %q %v", x.local, got, err, x.want, x.err)
		}
	}
	for _, g := range []*Guarded{guarded(), longer, strict, bare, {Secrets: []string{"k"}, HashLength: 99, NoStamp: true}, {Secrets: []string{"k"}, NoHash: true, MaxAge: 3}} {
		for _, sender := range []string{"a=b=c@d.example", "SRS0=aaaa=bb=c.example=d@e.example", "User.Name+x@Ex.Example"} {
			local, _, _ := strings.Cut(g.Forward(sender, "fwd.example", now), "@fwd.example")
			got, _, err := g.Reverse(local, now)
			if err != nil || got != sender {
				t.Errorf("%+v: %s: %s: %q %v", g, sender, local, got, err)
			}
		}
		if _, key, err := g.Reverse(g.Key("k3y", now), now); key != "k3y" || err != nil {
			t.Errorf("%+v: key %q %v", g, key, err)
		}
	}
}

func TestExpiry(t *testing.T) {
	for _, start := range []time.Time{now, time.Unix(1020*86400, 0)} {
		local := strings.TrimSuffix(guarded().Forward("a@b.example", "f", start), "@f")
		for days, want := range map[int]error{-2: ErrExpired, -1: nil, 0: nil, 31: nil, 32: ErrExpired, 500: ErrExpired} {
			if _, _, err := guarded().Reverse(local, start.AddDate(0, 0, days)); err != want {
				t.Errorf("after %d days: %v", days, err)
			}
		}
	}
	if _, _, err := (&Guarded{NoHash: true, MaxAge: 31}).Reverse("SRS0=11=b.example=a", now); err != ErrExpired {
		t.Error(err)
	}
}

func TestConfigure(t *testing.T) {
	g := guarded()
	if !g.Configure("other:7:8:0:1") || g.Secrets[0] != "other" || g.MaxAge != 7 || g.HashLength != 8 || !g.NoStamp || g.NoHash {
		t.Errorf("%+v", g)
	}
	g = guarded()
	if !g.Configure("other") || g.MaxAge != 31 || g.HashLength != 4 || g.Configure("x:y") || g.Configure("a:1:1:1:1:1") {
		t.Errorf("%+v", g)
	}
}

func FuzzReverse(f *testing.F) {
	f.Add("SRS0=XVD+=JL=orig.example=user", "user@orig.example")
	f.Add("SRS1=NkCc=other.example==XVD+=JL=orig.example=user", "SRS0=x=y=z=a@b")
	f.Fuzz(func(t *testing.T, local, sender string) {
		g := guarded()
		g.Reverse(local, now)
		out := g.Forward(sender, "fwd.example", now)
		if back, ok := strings.CutSuffix(out, "@fwd.example"); ok && out != sender && len(back) <= maxLocal {
			if _, _, err := g.Reverse(back, now); err != nil && err != ErrForm {
				t.Errorf("%q: %q: %v", sender, out, err)
			}
		}
	})
}
