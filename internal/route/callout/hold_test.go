package callout

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
	"exigo/internal/testkit"
)

// TestHold follows the connection of a recipient callout from one recipient to the next.
func TestHold(t *testing.T) {
	const first = hello + "C: MAIL FROM:<me@other.ex> BODY=8BITMIME\nS: 250 OK\nC: RCPT TO:<a@y.ex> NOTIFY=NEVER\nS: 250 OK\n"
	const quit = "C: QUIT\nS: 221 bye"
	for _, test := range []struct {
		name, script string
		cutthrough   bool // in place of the option hold
		together     bool
		unfit        bool // not for this transport
		second       mail.Result
		count        int
	}{
		{"two", first + "C: RCPT TO:<b@y.ex> NOTIFY=NEVER\nS: 250 OK\n" + quit, false, true, false, mail.Delivered, 2},
		{"by the control", first + "C: RCPT TO:<b@y.ex> NOTIFY=NEVER\nS: 250 OK\n" + quit, true, true, false, mail.Delivered, 2},
		{"second refused", first + "C: RCPT TO:<b@y.ex> NOTIFY=NEVER\nS: 550 no\n" + quit, false, true, false, mail.Failed, 0},
		{"second later", first + "C: RCPT TO:<b@y.ex> NOTIFY=NEVER\nS: 450 no\n" + quit, false, true, false, mail.Deferred, 0},
		{"another delivery", first + quit, false, false, false, mail.Deferred, 0},
		{"no delivery", hello + "C: MAIL FROM:<me@other.ex>\nS: 250 OK\nC: RCPT TO:<a@y.ex>\nS: 250 OK\n" + quit, false, true, true, mail.Deferred, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			m := b.s.Message
			m.Controls.Cutthrough = test.cutthrough
			address, done := testkit.NewScripted(t, test.script)
			at := netip.MustParseAddrPort(address)
			k := &Caller{DB: b.db, Transport: func(context.Context, *expand.Scope, string, *mail.Address) (*Transport, error) {
				return &Transport{
					Parameters: func(context.Context, *mail.Host, *smtpclient.Conn) (string, string, bool) {
						return " BODY=8BITMIME", " NOTIFY=NEVER", !test.unfit
					},
					Together: func([]*mail.Address, *mail.Address) bool { return test.together },
					Connect: func(ctx context.Context, h *mail.Host, _, _ time.Duration) (*smtpclient.Conn, error) {
						return smtpclient.Open(ctx, &smtpclient.Settings{World: b.world.World, Host: h.Name, Address: at.Addr(), Port: int(at.Port()), DSCP: -1,
							HelloName: func(netip.AddrPort) (string, error) { return "myhost.test.ex", nil }})
					}}, nil
			}}
			ask := func(address string) route.CalloutResult {
				a := to(address)
				a.Domain = "y.ex"
				r := k.Call(t.Context(), b.s, route.Callout{Address: a, Transport: "smtp", Hosts: []mail.Host{{Name: "mx.ex", Address: at.Addr(), MX: -1}},
					Options: route.CalloutOptions{UseSender: true, Hold: !test.cutthrough, Timeout: 20 * time.Second, Connect: 20 * time.Second, Overall: time.Minute}})
				if r.Result == mail.Delivered {
					m.Recipients = append(m.Recipients, mail.Recipient{Address: address})
				}
				return r
			}
			if r := ask("a@y.ex"); r.Result != mail.Delivered || Count(m) != 1 == !test.unfit {
				t.Fatalf("%+v, %d held", r, Count(m))
			}
			if r := ask("b@y.ex"); r.Result != test.second {
				t.Errorf("second: %+v", r)
			}
			if Count(m) != test.count {
				t.Errorf("%d held, want %d", Count(m), test.count)
			}
			Drop(m)
			Drop(m)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClientCode(t *testing.T) {
	for in, want := range map[int]int{421: 451, 450: 450, 550: 550} {
		if got := ClientCode(in); got != want {
			t.Errorf("%d: %d", in, got)
		}
	}
}
