package differential

import "strings"

// operators are all that the oracle has; some with arguments.
var operators = strings.Fields(`address addresses base32 base32d base62 base62d base64 base64d domain escape escape8bit eval eval10
	expand from_utf8 hash_3 hash_4_9 hex2b64 hexquote ipv6denorm ipv6norm lc length_2 l_0 listcount listnamed
	local_part mask md5 nhash_8 nhash_8_9 quote quote_local_part  quote_sqlite reverse_ip
	rfc2047 rfc2047d rxquote s_1 s_-2 sha1 sha2 sha2_384 sha256 sha3 sha3_512 str2b64 strlen substr_1_2 substr_-3_2 substr_0 h_5 nh_7
	time_eval time_interval uc utf8clean utf8_domain_from_alabel utf8_domain_to_alabel utf8_localpart_from_alabel
	utf8_localpart_to_alabel length substr_x hash_0 hash_99_x nhash_a lc_2 sha2_999 sha3_1 substr_ listnamed_x rxquote_1 sha2_256 mask_n`)

// subjects of operators, as they are written.
var subjects = []string{
	``, `a`, `abc`, `ABC dEf`, ` x y `, `0`, `1`, `7k`, `12 m`, `-5`, `0x1f`, `017`, `99999999999999999999`, `9223372036854775807`,
	`3w2d`, `1d1h5m`, `86461`, `1w1x`, `user@example.com`, `"a b"@example.com`, `The User <user@Example.COM> (x)`, `a@b,c@d`, `<>`, `@`,
	`.a@b`, `a@[1.2.3.4]`, `192.168.7.9`, `10.11.12.13/13`, `2001:db8::1`, `2001:db8::1/33`, `::ffff:1.2.3.4`, `1.2.3`, `::`,
	`a:b:c`, `a::b`, `<;a;b:c`, `:`, `a\tb\nc`, `\x80\xffz`, `b\xc3\xbccher.example`, `xn--bcher-kva.example`, `\xe2\x82\xac 5`, `YWJj`, `YWJ`,
	`616263`, `61626`, `zz`, `=?utf-8?Q?a=20b?=`, `=?iso-8859-1?b?5A==?= x`, `o'neill "\\\\x`, `a.b*c[d](e)+?`, `%_'`, `a b,c=d+e"f`, `\$x`,
	`1+2*3`, `(1+2)*3`, `10/3%2`, `~5 & 0xff`, `1<<40`, `5>>-1`, `1/0`, `-2--3`, `!3`, `3*`, `(3`, `3)`, `1|6^3&1`, `-9223372036854775808/-1`,
	`x\}y`, `aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccc ddddddddddddddd`,
}

// pairs are arguments of conditions and items with two of them.
var pairs = [][2]string{
	{"", ""}, {"a", ""}, {"", "a"}, {"a", "a"}, {"a", "A"}, {"abc", "b"}, {"b", "a:b:c"}, {"B", "a:b:c"}, {"", "a::b"}, {"x", "<; a;x"},
	{"1", "1"}, {"1", "01"}, {"10", "9"}, {"-1", "0"}, {"1k", "1024"}, {"2M", "2097152"}, {"1x", "1"}, {"1", "1 "}, {" 1", "1"}, {"1 k", "5"}, {"9G", "8g"},
	{"99999999999999999999", "1"}, {"9007199254740993G", "1"}, {"+5", "5"}, {"0x5", "5"}, {"a", "1"}, {"\\xe4", "\\xc4"}, {"abc", "^a"}, {"abc", "(b)(c)"}, {"abc", "("},
	{"aXb", "(?i)x"}, {"a\\nb", "a.b"}, {"user@example.com", "*@example.com"}, {"example.com", "*.com"}, {"1.2.3.4", "1.2.0.0/16"}, {"::1", "::1"},
	{"2", "<- a-b-c"}, {"-1", ":"}, {"0", "abc"}, {"3", "abcdef"}, {"yes", "no"}, {"secret", "\\{md5\\}Xr4ilOzQ4PCOq3aQ0qbuaQ=="}, {"secret", "\\{sha1\\}xx"}, {"x", "\\{crypt\\}abXYZ"},
}

// conditions with one or two arguments.
var conditions = strings.Fields(`= == < <= > >= eq eqi lt lti le lei gt gti ge gei match match_address match_domain match_ip match_local_part
	inlist inlisti crypteq bool bool_lax exists isip isip4 isip6 def first_delivery queue_running !eq !bool forany forall and or nosuch`)

// items with any number of arguments.
var items = strings.Fields(`hash length substr nhash tr sg hmac extract listextract listquote prvs prvscheck imapfolder env srs_encode sort filter map
	reduce certextract readfile authresults dlfunc acl if nosuch readsocket`)

// tables crosses words with subjects.
func tables() (list []string) {
	for _, o := range operators {
		for _, s := range subjects {
			list = append(list, "${"+o+":"+s+"}")
		}
	}
	for _, c := range conditions {
		for _, p := range pairs {
			one, two := "{"+p[0]+"}", "{"+p[0]+"}{"+p[1]+"}"
			list = append(list, "${if "+c+" "+two+"{y$value$1}{n}}")
			if p[1] == "" {
				continue
			}
			list = append(list, "${if "+c+one+"{y}{n}}")
		}
	}
	for _, it := range items {
		for i, p := range pairs {
			third := pairs[(i*7+3)%len(pairs)][0]
			list = append(list, "${"+it+"{"+p[0]+"}{"+p[1]+"}}", "${"+it+"{"+p[0]+"}{"+p[1]+"}{"+third+"}}", "${"+it+"{"+p[1]+"}{"+p[0]+"}{"+third+"}{n}}")
			if i%4 == 0 {
				list = append(list, "${"+it+"{"+p[1]+"}}", "${"+it+" {"+p[0]+"} {"+p[1]+"}{x}fail}", "${"+it+"{"+p[0]+"}{"+p[1]+"}", "${"+it+"{"+p[0]+"}{"+p[1])
			}
		}
	}
	return list
}

// domainSubjects, domainItems and so on are crossed. Items over which Exim's -be crashes (files that are not there, unknown lookup types,
// malformed regular expressions) are left out.
var (
	domainSubjects = []string{"a.example", "A.Example", "x.b.example", "b.example", "x.c.example", "y.c.example", "d.example", "zz", "", "x9.example", "mail.example.com",
		"[10.1.2.3]", "x.y.z.example", "sub.x.y.z.example", "e.example", "-", "a.example.", "10.1.2.3", "at.example", "p.sub.b.example"}
	domainItems = []string{"a.example", "*.b.example", "*b.example", "^x", "^\\N^X\\d\\N", "!a.example : *", "a.example : !x.b.example : *.b.example", "+local_domains", "!+local_domains : zz",
		"+nested", "+withdefault", "+found", "+ex", "+nosuch", "+empty", "", ":", "@", "@[]", "*", "lsearch;DIR/domains", "lsearch*;DIR/domains", "partial-lsearch;DIR/domains",
		"partial1-lsearch;DIR/domains", "partial0-lsearch;DIR/domains", "partial2(.)lsearch;DIR/domains", "wildlsearch;DIR/wild", "nwildlsearch;DIR/wild",
		"+include_unknown : lsearch;DIR/none", "+ignore_unknown : lsearch;DIR/none : zz", "DIR/list", "!DIR/list : *", "<; a.example ; zz", "<;a.example", "a.example:zz:", "a.example : : zz",
		"lsearch,ret=key;DIR/domains", "lsearch,ret=full;DIR/domains", "lsearch,foo;DIR/domains", "+caseful : A.Example", "A.EXAMPLE", "*.", "*example", "*.*", "! a.example", "!", "@mx_any", "lsearch", "dsearch;DIR", "\\Na.example\\N", "a.example\n", "+", "!^a : *", "x.b.example : +local_domains", "!+nested : !+ex : *", "a.example : +include_unknown"}
	addressSubjects = []string{"joe@a.example", "JOE@A.example", "joe@b.example", "Joe@b.example", "sue@c.example", "tom@x.b.example", "fred@z.example", "", "abc", "postmaster@", "badguy@q.example", "\"a b\"@a.example", "tommy@z.example", "user@at.example", "q@def.example", "@a.example", "a@b@a.example", "root@zz"}
	addressItems    = []string{"*@a.example", "joe@b.example", "joe@*", "*@*.b.example", "^bad", "^joe@[ab]", "^a", "a.example", "*.b.example", "*", "@a.example", "+friends", "!+friends : *", "+more", "+nosuch", "", ":", "@@DIR/locals", "@@lsearch;DIR/locals", "@@lsearch*;DIR/locals",
		"lsearch;DIR/domains", "lsearch*@;DIR/domains", "lsearch*;DIR/domains", "partial-lsearch;DIR/domains", "*@lsearch;DIR/domains", "*@partial-lsearch;DIR/domains", "joe@lsearch;DIR/domains", "*@+local_domains", "j*@a.example", "*e@a.example", "joe@A.EXAMPLE", "Joe@b.example", "+caseful : Joe@b.example", "+caseful : ^Joe", "*@@", "*@[]", "DIR/list", "!joe@a.example : *@a.example", "<; joe@a.example ; x", "postmaster@", "*@", "^\\Nbad.*@\\N", "\"a b\"@a.example", "joe", "*@^a", "!nosuch"}
	hostSubjects = []string{"10.1.2.3", "192.168.1.1", "192.168.1.2", "192.168.0.7", "2001:db8::1", "2001:DB8::7", "::ffff:10.1.2.3", "127.0.0.1", "::1", "", "x", "8.8.8.8", "10.1.2.3.4", "1.2.3", "fe80::1%lo"}
	hostItems    = []string{"10.1.2.3", "10.0.0.0/8", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/x", "!10.1.2.3 : 10.0.0.0/8", "+own_hosts", "!+own_hosts : *", "+nosuch", "*", "", ":", "2001:db8::/32", "<; 2001:db8::/32", "<; 2001:db8::1 ; ::1", "2001::db8::::/32", "@", "@[]", "net24-lsearch;DIR/nets", "net-lsearch;DIR/nets", "net16-lsearch;DIR/nets", "net32-lsearch;DIR/nets", "net-iplsearch;DIR/nets", "iplsearch;DIR/nets",
		"lsearch;DIR/nets", "DIR/list", "host.example", "*.example", "^10", "<; net32-lsearch;DIR/nets", "0.0.0.0/0", "<; ::/0", "10.1.2.3/32", "10.1.2.0/24 : x", "192.168.1", "<\n 10.1.2.3", "10.1.2.3:8.8.8.8", "\"10.1.2.3\"", "net0-lsearch;DIR/nets"}
	localSubjects = []string{"root", "ROOT", "postmaster", "abuse", "Abuse-x", "news-request", "user7", "", "x", "a.example", "joe@b", "\"a b\"", "a+b"}
	localItems    = []string{"root", "Root", "+system", "!+system : *", "+nosuch", "^r", "^R", "*t", "*-request", "user*", "*", "", ":", "+caseful : Root", "+caseful : root", "lsearch;DIR/domains", "lsearch*;DIR/domains", "DIR/list", "!root : *", "<, root, x", "@", "+local_domains", "a+b", "joe@b", "!"}
	lookupKeys    = []string{"a.example", "A.EXAMPLE", "x.b.example", "p.sub.b.example", "q d", "c.example", "d.example", "e.example", "f.example", "", "nope", "x.y.z.example", "t.u.v.z.example", "user@at.example", "any@def.example", "10.1.2.3", "10.1.9.9", "2001:db8::1", "x7.example", "y.w.example", "z.dot.example", "*", "n5", "sub.plain.example", "*.b.example"}
	lookupTypes   = []string{"lsearch{DIR/domains}", "lsearch*{DIR/domains}", "lsearch*@{DIR/domains}", "partial-lsearch{DIR/domains}", "partial1-lsearch{DIR/domains}", "partial0-lsearch{DIR/domains}", "partial-lsearch*{DIR/domains}", "partial2(.)lsearch{DIR/domains}", "partial()lsearch{DIR/domains}", "lsearch,ret=key{DIR/domains}", "lsearch,ret=full{DIR/domains}", "partial-lsearch,ret=key{DIR/domains}", "lsearch*,ret=key{DIR/domains}",
		"wildlsearch{DIR/wild}", "nwildlsearch{DIR/wild}", "wildlsearch*{DIR/wild}", "partial-wildlsearch{DIR/wild}", "nwildlsearch,ret=key{DIR/wild}", "iplsearch{DIR/nets}", "iplsearch,ret=key{DIR/nets}", "iplsearch*{DIR/nets}", "lsearch{DIR/none}", "lsearch{}", "lsearch{relative}", "lsearch{DIR}", "dsearch{DIR}", "dsearch,ret=full{DIR}", "dsearch,filter=dir{DIR}", "dsearch,filter=file{DIR}", "dsearch,foo{DIR}", "dsearch{DIR/none}", "dsearch{relative}", "passwd{x}", "cdb{DIR/none}", "dbm{DIR/none}", "nosuch{DIR/x}", "partial-nosuch{DIR/x}", "partiallsearch{DIR/x}", "partial3lsearch{x}", "lsearch,{DIR/domains}", "lsearch,cache=no_rd{DIR/domains}", "lsearch,ret=key,cache=no_rd{DIR/domains}", "lsearch,ret=zzz{DIR/domains}"}
)

// listTables crosses subjects with lists, and keys with lookups.
func listTables() (list []string) {
	cross := func(condition string, subjects, items []string) {
		for _, s := range subjects {
			for _, i := range items {
				value := "" // what a match without lookup leaves in $value is the last one's with Exim
				if strings.Contains(i, ";DIR/") {
					value = "-$value"
				}
				list = append(list, "${if match_"+condition+"{"+s+"}{"+i+"}{y"+value+"}{n}}")
			}
		}
	}
	cross("domain", domainSubjects, domainItems)
	cross("address", addressSubjects, addressItems)
	cross("ip", hostSubjects, hostItems)
	cross("local_part", localSubjects, localItems)
	for _, k := range lookupKeys {
		for _, t := range lookupTypes {
			found := "{$value}"
			if strings.Contains(t, "partial") || strings.Contains(t, "*") {
				found = "{$value-$1-$2}"
			}
			list = append(list, "${lookup{"+k+"}"+t+found+"{no}}", "${lookup{"+k+"} "+strings.Replace(t, "{", " {", 1)+"}", "${lookup{"+k+"}"+t+"{$value}fail}")
		}
	}
	return list
}
