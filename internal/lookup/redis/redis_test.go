package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/proto/resp"
)

type c = lookuptest.Case

func at(servers string) func(any) any {
	return func(any) any { return &settings{servers: servers} }
}

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, " \t\n": nil, "get key": {"get", "key"}, "  set\tk\n a\\ b\\\\ ": {"set", "k", "a b\\"}, `a\`: {`a\`}, `\a`: {"a"}, "set k \\\nx": {"set", "k", "\nx"}, "a\x00b": {"a\x00b"},
	} {
		if got := words(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q", in, got)
		}
	}
	d := Driver()
	for in, want := range map[string]string{"objvalue plus": `objvalue\ plus`, `a\b`: `a\\b`, "\t\n\r\v\f": "\\\t\\\n\\\r\\\v\\\f", "": ""} {
		if got, ok := d.Quote(in, ""); got != want || !ok {
			t.Errorf("%q: %q", in, got)
		}
	}
	if _, ok := d.Quote("", "x"); ok {
		t.Error("an option is taken")
	}
}

func FuzzWords(f *testing.F) {
	f.Add("set k", "a b\\ \n")
	f.Fuzz(func(t *testing.T, head, data string) {
		if strings.Trim(data, " ") == "" {
			return
		}
		quoted, _ := Driver().Quote(data, "")
		if got := words("x " + quoted + " y"); !slices.Equal(got, []string{"x", data, "y"}) {
			t.Errorf("%q: %q", data, got)
		}
		words(head)
	})
}

func TestServers(t *testing.T) {
	for in, want := range map[string]server{
		"127.0.0.1/10/": {host: "127.0.0.1", database: "10"}, "127.0.0.1//pass/word": {host: "127.0.0.1", password: "pass/word"}, "h:6380//": {host: "h", port: "6380"},
		"h": {host: "h"}, "h/2": {host: "h", database: "2"}, "(/run/redis.sock)/1/pw": {socket: "/run/redis.sock", database: "1", password: "pw"},
		"(/run/redis.sock)": {socket: "/run/redis.sock"}, "[2001:db8::1]:6380/1/": {host: "2001:db8::1", port: "6380", database: "1"},
	} {
		if got, err := parseServer(in); got != want || err != nil {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "//", "()/1/", "(/x", "(/x)y", ":1/"} {
		if got, err := parseServer(in); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestServer is the suite with a real server.
func TestServer(t *testing.T) {
	d := lookuptest.NewDaemon(t, "redis", "redis-server")
	socket := d.Dir + "/sock"
	stop := d.Start(t, "Ready to accept connections", "redis-server", "--port", strconv.Itoa(d.Port), "--bind", "127.0.0.1", "--unixsocket", socket,
		"--save", "", "--requirepass", "s/e", "--dir", d.Dir)
	tcp := fmt.Sprintf("127.0.0.1::%d", d.Port)
	q := func(key, data string) c { return c{Type: "redis,cache=no", Key: key, Data: data} }
	none := func(key string) c { return c{Type: "redis", Key: key, Missing: true} }
	fail := func(typ, key, text string) c { return c{Type: typ, Key: key, Err: text, Defer: true} }
	closed := lookuptest.Closed(t)
	driver := Driver()
	suite := lookuptest.Suite{Drivers: []*lookup.Driver{driver}, World: lookuptest.Network(), Settings: at("(" + socket + ")/3/s/e"), Cases: []c{
		q("set k a\\ b", "OK"), q("get k", "a b"), none("get nosuch"), q("set e \\", "OK"), q("strlen k", "3"), q("SET b x\\\ny", "OK"), q("GET b", "x\ny"),
		q("eval redis.call('del','l')\\ return\\ redis.call('rpush','l',1,2,'three') 0", "3"), q("lrange l 0 -1", "1\n2\nthree"), none("lrange nosuch 0 -1"), none("smembers nosuch"),
		q("mget k nosuch e", "a b\n\n\\"), none("mget x y"), q("exists k", "1"), q("exists s nosuch", "0"), none("eval redis.call('sadd','s','192.168.0.0/24')\\ redis.call('hset','h','f','v') 0"), q("smembers s", "192.168.0.0/24"),
		q("hget h f", "v"), q("hgetall h", "f\nv"), q("echo \\ ", " "), q("ping", "PONG"), q("eval return\\ {1,{2,{'x'}},false} 0", "1\n2\nx\n"),
		q("eval return\\ '' 0", ""), q("dbsize", "6"), fail("redis", "nosuch k", "REDIS: query failed: ERR unknown command 'nosuch', with args beginning with: 'k' "),
		fail("redis", "get", "REDIS: query failed: ERR wrong number of arguments for 'get' command"), fail("redis", "lpush k 1", "REDIS: query failed: WRONGTYPE Operation against a key holding the wrong kind of value"),
		fail("redis", " ", "REDIS: the query holds no command"),
		q("servers="+tcp+"/3/s/e; get k", "a b"), {Type: "redis,servers=" + tcp + "/3/s/e", Key: "get k", Data: "a b"}, {Type: "redis,servers=" + tcp + "//s/e", Key: "get k", Missing: true},
		{Type: "redis,servers=localhost::" + strconv.Itoa(d.Port) + "/3/s/e", Key: "get k", Data: "a b"},
		{Type: fmt.Sprintf("redis,servers=127.0.0.1::%d//:nosuch.example//:again.example//:%s/3/s/e", closed, tcp), Key: "get k", Data: "a b"},
		fail("redis,servers="+tcp+"//wrong", "get k", "REDIS: Authentication failed: WRONGPASS invalid username-password pair or user is disabled."),
		fail("redis,servers="+tcp+"//", "get k", "REDIS: query failed: NOAUTH Authentication required."),
		fail("redis,servers="+tcp+"/99/s/e", "get k", "REDIS: Selecting database=99 failed: ERR DB index is out of range"),
		fail(fmt.Sprintf("redis,servers=127.0.0.1::%d//pw", closed), "get k", fmt.Sprintf("REDIS connection failed: 127.0.0.1:%d: Connection refused", closed)),
		fail("redis,servers=nosuch.example//pw", "get k", "REDIS connection failed: nosuch.example: Name or service not known"),
		fail("redis,servers=h::x//pw", "get k", `REDIS connection failed: malformed port: "x"`), fail("redis,servers=(/nosuch)//", "get k", "REDIS connection failed: /nosuch: No such file or directory"),
		fail("redis", "servers=x; get k", `Redis server "x" not found in redis_servers`), fail("redis", "servers=; get k", `"servers=" defines no servers in "servers=; get k"`),
		fail("redis", "servers=x//", `missing ; after "servers=" in Redis lookup`),
	}}
	suite.Run(t)
	lookuptest.Suite{Drivers: []*lookup.Driver{driver}, World: lookuptest.Network(), Settings: at(""), Cases: []c{
		fail("redis", "get k", "no Redis servers defined (redis_servers option)")}}.Run(t)
	connections(t, d, driver, suite.Settings, stop)
}

// connections: they are used again, but not after a command that changes them, nor when the server is gone.
func connections(t *testing.T, d *lookuptest.Daemon, driver *lookup.Driver, settings func(any) any, stop func()) {
	ask := func(ctx context.Context, query string) (string, error) {
		r, _, err := driver.Find(ctx, &lookup.Request{World: lookuptest.Network(), Settings: settings, Key: query})
		return r.Data, err
	}
	id := func() string {
		text, err := ask(t.Context(), "client id")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first, _ := ask(t.Context(), "config get maxclients")
	if again, err := ask(t.Context(), "info stats"); err != nil || !strings.HasPrefix(first, "maxclients\n") || !strings.Contains(again, "total_connections_received:") {
		t.Error(first, again, err)
	}
	if one, other := id(), id(); one == other {
		t.Error("a connection is used again after a command that may have changed it")
	}
	if _, err := ask(t.Context(), "select 0"); err != nil {
		t.Error(err)
	}
	if got, err := ask(t.Context(), "get k"); got != "a b" || err != nil {
		t.Error("another database:", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(ctx, "get k"); !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	if _, err := ask(t.Context(), "client kill type normal skipme no"); err != nil {
		t.Log(err) // the connection that asked is gone too
	}
	if got, err := ask(t.Context(), "get k"); got != "a b" || err != nil {
		t.Error("after the server has closed all connections:", got, err)
	}
	stop()
	if _, err := ask(t.Context(), "get k"); err == nil || !strings.HasPrefix(err.Error(), "REDIS connection failed: "+d.Dir+"/sock: ") {
		t.Error(err)
	}
}

// script is a server that answers each command with the next of the replies.
func script(t *testing.T, replies ...string) (address string, said chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	said = make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			for r := bufio.NewReader(conn); len(replies) > 0; replies = replies[1:] {
				command, err := resp.Read(r)
				if err != nil {
					break
				}
				var words []string
				for _, w := range command.Items {
					words = append(words, w.Text)
				}
				said <- strings.Join(words, " ")
				conn.Write([]byte(replies[0]))
			}
		}
	}()
	return l.Addr().String(), said
}

func TestCluster(t *testing.T) {
	ask := func(server string) (string, error) {
		r, _, err := Driver().Find(t.Context(), &lookup.Request{World: lookuptest.Network(), Settings: at("<; " + server), Key: "get k"})
		return r.Data, err
	}
	b, said := script(t, "+OK\r\n", "+OK\r\n", "$1\r\nx\r\n")
	a, _ := script(t, "+OK\r\n", "-ASK 12182 "+b+"\r\n")
	if got, err := ask(a + "//pw"); got != "x" || err != nil {
		t.Error(got, err)
	}
	for _, want := range []string{"AUTH pw", "ASKING", "get k"} {
		if got := <-said; got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	b, _ = script(t, "*1\r\n*2\r\n:1\r\n$-1\r\n")
	_, port, _ := net.SplitHostPort(b)
	a, _ = script(t, "-MOVED 12182 :"+port+"\r\n")
	if got, err := ask(a + "//"); got != "1\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	for _, c := range []struct{ reply, want string }{
		{"-MOVED 1 127.0.0.1:x\r\n", `malformed port: "x"`}, {"-MOVED 1\r\n", "query failed: MOVED 1"}, {"-MOVED 1 x\r\n", "query failed: MOVED 1 x"},
		{"-CLUSTERDOWN Hash slot not served\r\n", "query failed: CLUSTERDOWN Hash slot not served"}, {"?\r\n", "unknown type of reply"},
	} {
		a, _ = script(t, c.reply)
		if got, err := ask(a + "//"); !errors.Is(err, lookup.ErrDefer) || !strings.Contains(err.Error(), c.want) {
			t.Error(got, err)
		}
	}
	silent, said := script(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-said; cancel() }()
	_, _, err := Driver().Find(ctx, &lookup.Request{World: lookuptest.Network(), Settings: at("<; " + silent + "//"), Key: "get k"})
	if !errors.Is(err, lookup.ErrDefer) || !strings.Contains(err.Error(), "query failed: "+silent+": cancelled") {
		t.Error(err)
	}
}
