package transport_test

import (
	"context"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

type none struct{}

func driver() *transport.Driver {
	return &transport.Driver{Name: "test", Options: option.Table[none]{Scope: "transport test"},
		Local: &transport.Local{Prepare: func(*transport.Run) (any, error) { return 0, nil },
			Execute: func(_ context.Context, e *transport.Execution) []mail.Outcome {
				return e.All(mail.Outcome{Result: mail.Delivered})
			}}}
}

const plain = "Received: by host.test\nMessage-Id: <m1@s.test>\nFrom: Some One <sender@s.test>\nSubject: hello\n"

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		change  func(r *transport.Run)
		want    string
	}{
		{name: "as it is", want: plain},
		{name: "trace fields first", options: []string{"return_path_add", "yes", "envelope_to_add", "yes", "delivery_date_add", "yes"},
			want: "Return-path: <sender@s.test>\nEnvelope-to: userx@test.ex\nDelivery-date: Tue, 02 Mar 1999 09:44:33 +0000\n" + plain},
		{name: "empty return path", options: []string{"return_path_add", "yes", "return_path", ""}, want: "Return-path: <>\n" + plain},
		{name: "added and removed", options: []string{"headers_add", "X-A: $local_part_data\nX-B: two", "headers_remove", "received : FROM:message-*"},
			want: "Subject: hello\nX-A: userx\nX-B: two\n"},
		{name: "router's changes come first", options: []string{"headers_add", "X-T: t"}, change: func(r *transport.Run) {
			r.Addresses[0].ExtraHeaders = []string{"X-R: r\n", "X-S: s"}
			r.Addresses[0].RemoveHeaders = []string{"subject"}
		}, want: strings.TrimSuffix(plain, "Subject: hello\n") + "X-R: r\nX-S: s\nX-T: t\n"},
		{name: "forced failure adds nothing", options: []string{"headers_add", "${if eq{a}{b}{X: y}fail}"}, want: plain},
		{name: "deleted headers", change: func(r *transport.Run) { r.Message.Headers[0].Type = '*' }, want: strings.TrimPrefix(plain, "Received: by host.test\n")},
		{name: "original recipients", options: []string{"envelope_to_add", "yes"}, change: func(r *transport.Run) {
			parent := transporttest.Address("alias", "test.ex")
			a, b := transporttest.Address("a", "x.y"), transporttest.Address("b", "x.y")
			a.Parent, b.Parent = parent, parent
			r.Addresses = []*mail.Address{a, b, transporttest.Address("c", "x.y")}
		}, want: "Envelope-to: alias@test.ex,\n c@x.y\n" + plain},
		{name: "rewritten", options: []string{"headers_rewrite", "a@b c@d f"}, change: func(r *transport.Run) {
			r.Services.Rewrite = func(_ *expand.Scope, rules string, h mail.Header) (mail.Header, error) {
				if h.Is("from") {
					h.Text = "From: <new@n.test>\n"
				}
				return h, nil
			}
		}, want: strings.Replace(plain, "Some One <sender@s.test>", "<new@n.test>", 1)},
	} {
		f := transporttest.New(t, driver(), c.options...)
		if c.change != nil {
			c.change(f.Run)
		}
		if err := f.Run.Begin(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := f.Run.Header()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestHeaderMistake(t *testing.T) {
	f := transporttest.New(t, driver(), "headers_add", "X: ${if eq{a}{b}")
	if o := f.Deliver(t.Context()); o.Result != mail.Deferred || !strings.HasPrefix(o.Message, `failed to expand "headers_add" setting "X: ${if eq{a}{b}" in t1 transport: `) {
		t.Errorf("%+v", o)
	}
}

func TestBegin(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		change  func(r *transport.Run)
		want    mail.Outcome
	}{
		{name: "size", options: []string{"message_size_limit", "55"}, want: mail.Outcome{Result: mail.Failed, Message: "message is too big (transport limit = 55)", LogOnly: true}},
		{name: "bad size", options: []string{"message_size_limit", "44litres"}, want: mail.Outcome{Result: mail.Deferred, Errno: -1,
			Message: `invalid message_size_limit in t1 transport: invalid integer "44litres"`}},
		{name: "unknown user", options: []string{"user", "${if eq{a}{a}{nobody-here}}", "group", "5"}, want: mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoUIDFail,
			Message: `failed to find user "nobody-here" from expanded string "${if eq{a}{a}{nobody-here}}" for the t1 transport`}},
		{name: "user without group", change: func(r *transport.Run) { r.Addresses[0].GIDSet = false }, want: mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoGIDFail,
			Message: "User set without group for t1 transport"}},
		{name: "return path", options: []string{"return_path", "${if eq{a}{b}"}, want: mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoExpandFail}},
	} {
		f := transporttest.New(t, driver(), c.options...)
		if c.change != nil {
			c.change(f.Run)
		}
		o := f.Deliver(t.Context())
		if o.Result != c.want.Result || o.Errno != c.want.Errno || c.want.Message != "" && o.Message != c.want.Message {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  []string
		change   func(f *transporttest.Fixture)
		uid, gid int
	}{
		{name: "router's", uid: 1001, gid: 1002},
		{name: "transport's group", options: []string{"group", "77"}, uid: 1001, gid: 77},
		{name: "transport's numbers", options: []string{"user", "88", "group", "77"}, uid: 88, gid: 77},
		{name: "transport's user by name", options: []string{"user", "exim"}, uid: -1},
		{name: "own", change: func(f *transporttest.Fixture) { a := f.Run.Addresses[0]; a.UIDSet, a.GIDSet = false, false }, uid: 5000, gid: 5001},
	} {
		f := transporttest.New(t, driver(), c.options...)
		a := f.Run.Addresses[0]
		a.UID, a.GID = 1001, 1002
		f.Run.Services.Identity = transport.Identity{UID: 5000, GID: 5001}
		if c.change != nil {
			c.change(f)
		}
		if err := f.Run.Begin(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.uid < 0 {
			u, _, _ := f.World.Users.ByName("exim")
			c.uid, c.gid = u.UID, u.GID
		}
		if got := f.Run.Identity; got.UID != c.uid || got.GID != c.gid {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestScope(t *testing.T) {
	f := transporttest.New(t, driver(), "home_directory", "/home/$local_part_data", "return_path", "vers-$return_path")
	if err := f.Run.Begin(); err != nil {
		t.Fatal(err)
	}
	text := "$local_part@$domain $home $return_path $transport_name $router_name"
	v, err := f.Engine.Expand(f.Run.Scope, text)
	if want := "userx@test.ex /home/userx vers-sender@s.test t1 r1"; err != nil || v.S != want {
		t.Errorf("%q, %v", v.S, err)
	}
	if f.Run.Current != "/home/userx" {
		t.Errorf("current directory %q", f.Run.Current)
	}
	f.Run.Addresses = append(f.Run.Addresses, transporttest.Address("b", "other.ex"))
	f.Run.Begin()
	if v, _ := f.Engine.Expand(f.Run.Scope, "<$local_part><$domain>"); v.S != "<><>" {
		t.Errorf("several addresses: %q", v.S)
	}
	r := f.Run
	r.Addresses[0].Address, r.Addresses[0].Prefix = "abc-xyz@test.ex", "abc-"
	if got := r.Recipients(); got[0] != "xyz@test.ex" || got[1] != "b@other.ex" {
		t.Errorf("recipients %q", got)
	}
}

func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range transport.Options.Describe() {
		if d.Doc == "" || seen[d.Name] {
			t.Errorf("row %s", d.Name)
		}
		seen[d.Name] = true
	}
	transport.Options.New()
}
