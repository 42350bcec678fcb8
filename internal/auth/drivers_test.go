package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"exigo/internal/auth"
	"exigo/internal/auth/crammd5"
	"exigo/internal/auth/external"
	"exigo/internal/auth/plaintext"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/proto/sasl"
	"exigo/internal/testkit"
)

// expander knows $auth1 to $auth3, FAIL (forced), DEFER and BROKEN.
type expander struct{}

func (expander) Expand(s *expand.Scope, text string) (mail.Value, error) {
	switch text {
	case "FAIL":
		return mail.Value{}, expand.ErrForced
	case "DEFER":
		return mail.Value{}, expand.Defer("lookup deferred")
	case "BROKEN":
		return mail.Value{}, expand.Fail("missing }")
	}
	for _, name := range []string{"auth1", "auth2", "auth3"} {
		text = strings.ReplaceAll(text, "$"+name, s.Extra[name].S)
	}
	return mail.Clean(text), nil
}

// instance makes an authenticator of settings "name=value", separated by "|".
func instance(t testing.TB, driver *auth.Driver, settings string) *auth.Authenticator {
	t.Helper()
	bag := option.Bag{}
	sets := []option.Set{auth.GenericOptions(), driver.Options}
	for _, set := range sets {
		bag.Add(set)
	}
	for _, setting := range strings.Split(settings, "|") {
		name, value, _ := strings.Cut(setting, "=")
		found := false
		for _, set := range sets {
			if field, ok := set.Field(bag.Add(set), name); ok {
				found = true
				if err := option.Parse(field, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !found && name != "" {
			t.Fatalf("no option %q", name)
		}
	}
	return auth.New("it", driver, bag)
}

func b64(s string) string { return sasl.Encode([]byte(s)) }

// errLost ends scripted connections.
var errLost = errors.New("gone")

// TestClients plays servers: each exchange is "what we send < what the server answers".
func TestClients(t *testing.T) {
	const challenge = "<1896.697170952@postoffice.reston.mci.net>" // RFC 2195 section 2
	for _, c := range []struct {
		name, settings string
		driver         *auth.Driver
		exchange       []string
		result         auth.Result
		err            string
	}{
		{"PLAIN", "public_name=PLAIN|client_send=^userx^secret", plaintext.Driver(), []string{"AUTH PLAIN " + b64("\x00userx\x00secret") + " < 235 ok"}, auth.OK, ""},
		{"PLAIN refused", "public_name=PLAIN|client_send=^userx^secret", plaintext.Driver(), []string{"AUTH PLAIN " + b64("\x00userx\x00secret") + " < 535 no"}, auth.Fail, ""},
		{"PLAIN deferred", "public_name=PLAIN|client_send=^userx^secret", plaintext.Driver(), []string{"AUTH PLAIN " + b64("\x00userx\x00secret") + " < 435 later"}, auth.Defer, "435 later"},
		{"circumflex", "public_name=PLAIN|client_send=^a^^b^c^^", plaintext.Driver(), []string{"AUTH PLAIN " + b64("\x00a^b\x00c^") + " < 235 ok"}, auth.OK, ""},
		{"LOGIN", "public_name=LOGIN|client_send=: user : $auth2-x", plaintext.Driver(), []string{"AUTH LOGIN < 334 " + b64("User?"), b64("user") + " < 334 " + b64("Pass?"), b64("Pass?-x") + " < 235 ok"}, auth.OK, ""},
		{"invalid prompt", "public_name=LOGIN|client_send=: user : pw", plaintext.Driver(), []string{"AUTH LOGIN < 334 User?", "* < 501 ok"}, auth.Cancelled, `Invalid base64 string in server response "334 User?"`},
		{"invalid prompt ignored", "public_name=LOGIN|client_send=: user : pw$auth1|client_ignore_invalid_base64=yes", plaintext.Driver(),
			[]string{"AUTH LOGIN < 334 User?", b64("user") + " < 334 Password?", b64("pw") + " < 235 ok"}, auth.OK, ""},
		{"too few", "public_name=LOGIN|client_send=: user", plaintext.Driver(), []string{"AUTH LOGIN < 334 ", b64("user") + " < 334 ", "* < 501 ok"}, auth.Cancelled, "Too few items in client_send in it authenticator"},
		{"forced failure", "public_name=PLAIN|client_send=FAIL", plaintext.Driver(), nil, auth.Cancelled, ""},
		{"broken", "public_name=PLAIN|client_send=BROKEN", plaintext.Driver(), nil, auth.Defer, `expansion of "BROKEN" failed in it authenticator: missing }`},
		{"lost", "public_name=PLAIN|client_send=x", plaintext.Driver(), []string{"AUTH PLAIN " + b64("x") + " <"}, auth.Defer, "gone"},
		{"CRAM-MD5", "public_name=CRAM-MD5|client_name=tim|client_secret=tanstaaftanstaaf", crammd5.Driver(),
			[]string{"AUTH CRAM-MD5 < 334 " + b64(challenge), b64("tim b913a602c7eda7a495b4e6e7334d3890") + " < 235 ok"}, auth.OK, ""},
		{"CRAM-MD5, own name", "public_name=CRAM-MD5|client_secret=s", crammd5.Driver(),
			[]string{"AUTH CRAM-MD5 < 334 " + b64("c"), b64("host.test "+sasl.CRAMDigest("c", "s")) + " < 535 no"}, auth.Fail, ""},
		{"CRAM-MD5 refused", "public_name=CRAM-MD5|client_secret=s", crammd5.Driver(), []string{"AUTH CRAM-MD5 < 504 no"}, auth.Fail, ""},
		{"EXTERNAL", "public_name=EXTERNAL|client_send=me@example.net", external.Driver(), []string{"AUTH EXTERNAL " + b64("me@example.net") + " < 235 ok"}, auth.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := instance(t, c.driver, c.settings)
			if !a.Client || a.Server {
				t.Errorf("client %v, server %v", a.Client, a.Server)
			}
			script := c.exchange
			x := &auth.ClientExchange{Authenticator: a, World: testkit.NewWorld(t).World, Engine: expander{}, Scope: &expand.Scope{}, Hostname: "host.test"}
			x.Send = func(line string) (int, string, error) {
				if len(script) == 0 {
					t.Fatalf("unexpected %q", line)
				}
				want, reply, _ := strings.Cut(script[0], " <")
				script = script[1:]
				if line != want {
					t.Errorf("sent %q, want %q", line, want)
				}
				if reply == "" {
					return 0, "", errLost
				}
				code := int(reply[1]-'0')*100 + int(reply[2]-'0')*10 + int(reply[3]-'0')
				return code, strings.TrimPrefix(reply[4:], " "), nil
			}
			result, err := c.driver.Client(context.Background(), x)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if result != c.result || text != c.err || len(script) != 0 {
				t.Errorf("result %v, error %q, left %q", result, text, script)
			}
		})
	}
}

// TestServers plays clients: initial is what stood on the AUTH line, then follow the client's lines.
func TestServers(t *testing.T) {
	for _, c := range []struct {
		name, settings, initial string
		driver                  *auth.Driver
		lines                   []string
		prompts, values         string
		result                  auth.Result
		text                    string
	}{
		{"PLAIN at once", "server_prompts=:|server_condition=yes", b64("\x00u\x00p"), plaintext.Driver(), nil, "", "|u|p", auth.OK, ""},
		{"PLAIN prompted", "server_prompts=:|server_condition=yes", "", plaintext.Driver(), []string{b64("\x00u\x00p")}, "<>", "|u|p", auth.OK, ""},
		{"LOGIN", "server_prompts=Username:: : Password::|server_condition=$auth2", "", plaintext.Driver(), []string{b64("u"), b64("no")}, "<Username:><Password:>", "u|no", auth.Fail, ""},
		{"odd condition", "server_condition=$auth1", b64("try later"), plaintext.Driver(), nil, "", "try later", auth.Defer, "try later"},
		{"forced", "server_condition=FAIL", b64("x"), plaintext.Driver(), nil, "", "x", auth.Fail, ""},
		{"broken", "server_condition=BROKEN", b64("x"), plaintext.Driver(), nil, "", "x", auth.Defer, "missing }"},
		{"broken prompts", "server_prompts=BROKEN|server_condition=yes", "", plaintext.Driver(), nil, "", "", auth.Defer, "missing }"},
		{"cancelled", "server_prompts=:|server_condition=yes", "", plaintext.Driver(), []string{"*"}, "<>", "", auth.Cancelled, ""},
		{"no base64", "server_prompts=:|server_condition=yes", "", plaintext.Driver(), []string{"!!"}, "<>", "", auth.BadBase64, ""},
		{"no base64 at once", "server_prompts=:|server_condition=yes", "!!", plaintext.Driver(), nil, "", "", auth.BadBase64, ""},
		{"lost", "server_prompts=:|server_condition=yes", "", plaintext.Driver(), nil, "<>", "", auth.Lost, ""},
		{"empty at once", "server_condition=yes", "=", plaintext.Driver(), nil, "", "", auth.OK, ""},
		{"CRAM-MD5", "server_secret=tanstaaftanstaaf", "", crammd5.Driver(), []string{b64("tim b913a602c7eda7a495b4e6e7334d3890")}, "<<1896.697170952@postoffice.reston.mci.net>>", "tim", auth.OK, ""},
		{"CRAM-MD5, wrong", "server_secret=other", "", crammd5.Driver(), []string{b64("tim b913a602c7eda7a495b4e6e7334d3890")}, "<<1896.697170952@postoffice.reston.mci.net>>", "tim", auth.Fail, ""},
		{"CRAM-MD5, unknown", "server_secret=FAIL", "", crammd5.Driver(), []string{b64("tim b913a602c7eda7a495b4e6e7334d3890")}, "<<1896.697170952@postoffice.reston.mci.net>>", "tim", auth.Fail, ""},
		{"CRAM-MD5, deferred", "server_secret=DEFER", "", crammd5.Driver(), []string{b64("tim b913a602c7eda7a495b4e6e7334d3890")}, "<<1896.697170952@postoffice.reston.mci.net>>", "tim", auth.Defer, "lookup deferred"},
		{"CRAM-MD5, condition", "server_secret=tanstaaftanstaaf|server_condition=no", "", crammd5.Driver(), []string{b64("tim b913a602c7eda7a495b4e6e7334d3890")}, "<<1896.697170952@postoffice.reston.mci.net>>", "tim", auth.Fail, ""},
		{"CRAM-MD5, initial", "server_secret=x", b64("x"), crammd5.Driver(), nil, "", "", auth.Unexpected, ""},
		{"EXTERNAL", "server_param2=2$auth1|server_condition=yes", b64("me"), external.Driver(), nil, "", "me|2me", auth.OK, ""},
		{"EXTERNAL, third", "server_param3=3|server_condition=yes", "", external.Driver(), []string{b64("me")}, "<>", "me||3", auth.OK, ""},
		{"EXTERNAL, forced", "server_param2=FAIL|server_condition=yes", b64("me"), external.Driver(), nil, "", "me", auth.Fail, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := testkit.NewWorld(t).World
			world.Quirks = outside.Quirks{CRAMChallenge: "<1896.697170952@postoffice.reston.mci.net>"}
			lines, prompts := c.lines, ""
			a := instance(t, c.driver, c.settings)
			if !a.Server || a.Client {
				t.Errorf("server %v, client %v", a.Server, a.Client)
			}
			x := &auth.ServerExchange{Authenticator: a, World: world, Engine: expander{}, Scope: &expand.Scope{}, Initial: c.initial, Hostname: "host.test",
				Challenge: func(text []byte) (string, error) {
					prompts += "<" + string(text) + ">"
					if len(lines) == 0 {
						return "", auth.ErrLost
					}
					line := lines[0]
					lines = lines[1:]
					return line, nil
				}}
			result, text := c.driver.Server(context.Background(), x)
			if values := strings.Join(x.Values(), "|"); result != c.result || text != c.text || prompts != c.prompts || values != c.values {
				t.Errorf("result %v %q, prompts %q, values %q", result, text, prompts, values)
			}
			auth.ClearValues(x.Scope)
			if len(x.Scope.Extra) != 0 || len(x.Scope.Numbers) != 0 {
				t.Error("values stay")
			}
		})
	}
}

// TestUsable has client_condition and client_set_id.
func TestUsable(t *testing.T) {
	for condition, want := range map[string]bool{"": true, "yes": true, "1": true, "no": false, "0": false, "false": false, "FAIL": false, "BROKEN": false} {
		x := &auth.ClientExchange{Authenticator: instance(t, plaintext.Driver(), "client_send=x|client_set_id=id-$auth1|client_condition="+condition), Engine: expander{}, Scope: &expand.Scope{}}
		if ok, err := x.Usable(); ok != want || err != nil {
			t.Errorf("%q: %v %v", condition, ok, err)
		}
		if id := x.ClientID(); id != "id-" {
			t.Error(id)
		}
	}
	x := &auth.ClientExchange{Authenticator: instance(t, plaintext.Driver(), "client_send=x|client_condition=DEFER"), Engine: expander{}, Scope: &expand.Scope{}}
	if _, err := x.Usable(); err == nil {
		t.Error("a deferred condition is no error")
	}
}
