package catalog

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"exigo/internal/feature"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// load makes a server of a catalog with a configuration.
func load(t *testing.T, c Catalog, text string) error {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	text = "primary_hostname = host.test\nexim_user = root\nkeep_environment =\nspool_directory = " + dir + "\n" + text
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(context.Background(), Request{World: testkit.NewWorld(t).World, Catalog: &c, Path: path, Alternate: true, Unprivileged: true})
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// usage is a configuration that uses what a room adds: it loads with the room, and is refused without it. Rooms whose words the reader of the
// configuration does not see have none.
func usage(name string) string {
	return map[string]string{
		"proxyprotocol": "proxy_required_hosts = 10.0.0.0/8 : <; 2001:db8::/32\nproxy_protocol_timeout = 5s\nhosts_proxy = 10.1.1.1\nlog_selector = +proxy\n",
		"requiretls":    "tls_advertise_requiretls = *\nacl_smtp_rcpt = r\nbegin acl\nr:\n accept control = requiretls\n logwrite = $requiretls\n",
		"spf": "spf_guess = v=spf1 a/16 mx/16 ptr ?all\nspf_smtp_comment_template = x%_%{S}\nacl_smtp_rcpt = r\nbegin acl\nr:\n" +
			" deny message = $sender_host_address is not allowed to send mail from ${if def:sender_address_domain {$sender_address_domain}{$sender_helo_name}}. \\\n" +
			"  Please see http://www.openspf.org/Why?scope=${if def:sender_address_domain {mfrom}{helo}}\n  spf = fail\n" +
			" deny message = AOL sender, but not from AOL-approved relay.\n  sender_domains = aol.com\n  spf = fail:neutral\n" +
			" deny message = $sender_host_address doesn't look trustworthy to me\n  spf_guess = fail\n accept spf = !err_temp : err_perm\n",
		"dcc":        dccSnippets,
		"brightmail": brightmailSnippets,
		"prdr":       "prdr_enable\nacl_data_smtp_prdr = accept\nbegin transports\nt:\n driver = smtp\n hosts_try_prdr = *\n",
	}[name]
}

// TestSubsets: each room alone, and all but one, make a program.
func TestSubsets(t *testing.T) {
	all := Default()
	for i, f := range all.Features {
		alone, without := all, all
		alone.Features = []*feature.Feature{f}
		without.Features = append(append([]*feature.Feature{}, all.Features[:i]...), all.Features[i+1:]...)
		if len(f.Needs) == 0 {
			if err := load(t, alone, usage(f.Name)); err != nil {
				t.Errorf("%s alone: %v", f.Name, err)
			}
		}
		if err := load(t, without, ""); err != nil && !needed(without.Features, f.Name) {
			t.Errorf("all but %s: %v", f.Name, err)
		}
		if text := usage(f.Name); text != "" && load(t, without, text) == nil {
			t.Errorf("all but %s: its words are known", f.Name)
		}
	}
	if err := load(t, Catalog{Routers: all.Routers, Transports: all.Transports, Lookups: all.Lookups, Authenticators: all.Authenticators}, ""); err != nil {
		t.Errorf("no room: %v", err)
	}
}

// needed tells whether a room needs the one of the name.
func needed(list []*feature.Feature, name string) bool {
	for _, f := range list {
		for _, n := range f.Needs {
			if n == name {
				return true
			}
		}
	}
	return false
}

// TestRooms: the rooms' rows are complete, and there is no name twice.
func TestRooms(t *testing.T) {
	if err := Default().Registry().Check(); err != nil {
		t.Error(err)
	}
	names := map[string]string{}
	once := func(kind, name, room, doc string) {
		if doc == "" {
			t.Errorf("%s: %s %s has no doc", room, kind, name)
		}
		if other := names[kind+" "+name]; other != "" {
			t.Errorf("%s %s: in %s and %s", kind, name, other, room)
		}
		names[kind+" "+name] = room
	}
	for _, f := range Default().Features {
		once("room", f.Name, f.Name, f.Doc)
		folder := filepath.Join("..", "feature", f.Name)
		if len(f.Lookups) > 1 { // a family of lookup types with a condition of its own
			folder = filepath.Join("..", "lookup", f.Name)
		}
		if _, err := os.Stat(folder); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		for _, set := range f.Options {
			for _, d := range set.Describe() {
				doc := d.Doc
				if d.AliasOf != "" {
					doc = "alias"
				}
				once("option "+string(set.At()), d.Name, f.Name, doc)
			}
			option.Bag{}.Add(set) // defaults can be read
		}
		for _, v := range f.Variables {
			once("variable", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Items {
			once("item", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Tests {
			once("test", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Lookups {
			once("lookup", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Conditions {
			once("condition", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Controls {
			once("control", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Extensions {
			once("extension", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Accept {
			once("accept", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Fields {
			once("field", v.Name, f.Name, v.Doc)
		}
		for _, v := range f.Tags {
			once("tag", v.Name, f.Name, v.Doc)
		}
	}
}

// TestMacros: configurations can ask for the rooms (spec 6.6).
func TestMacros(t *testing.T) {
	text := ""
	for _, m := range []string{"_HAVE_SPF", "_HAVE_PRDR", "_HAVE_PROXY", "_HAVE_SRS", "_HAVE_NATIVE_SRS", "_HAVE_REQUIRETLS", "_OPT_MAIN_SPF_GUESS", "_OPT_MAIN_PRDR_ENABLE",
		"_OPT_MAIN_HOSTS_PROXY", "_OPT_TRANSPORT_SMTP_HOSTS_TRY_PRDR", "_LOG_PROXY"} {
		text += ".ifndef " + m + "\n" + m + " is not defined\n.endif\n"
	}
	if err := load(t, Default(), text); err != nil {
		t.Error(err)
	}
}
