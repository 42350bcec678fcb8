// Package catalog is the explicit list of rooms and drivers, in order. It merges and checks them, reads a configuration with them, and
// makes the Server: everything compiled and connected that a mode of the program needs.
//
// Trust: lists and wiring; what outsiders send is handled in the packages that are wired.
package catalog

import (
	"slices"

	"exigo/internal/auth"
	"exigo/internal/auth/crammd5"
	"exigo/internal/auth/external"
	"exigo/internal/auth/plaintext"
	"exigo/internal/feature"
	"exigo/internal/feature/arc"
	"exigo/internal/feature/atrn"
	"exigo/internal/feature/brightmail"
	"exigo/internal/feature/contentregex"
	"exigo/internal/feature/dcc"
	"exigo/internal/feature/dkim"
	"exigo/internal/feature/dmarc"
	"exigo/internal/feature/events"
	"exigo/internal/feature/malware"
	"exigo/internal/feature/mime"
	"exigo/internal/feature/pam"
	"exigo/internal/feature/perl"
	"exigo/internal/feature/prdr"
	"exigo/internal/feature/proxyprotocol"
	"exigo/internal/feature/requiretls"
	"exigo/internal/feature/resumption"
	"exigo/internal/feature/spam"
	"exigo/internal/feature/spf"
	"exigo/internal/feature/srs"
	"exigo/internal/lookup"
	"exigo/internal/lookup/absent"
	"exigo/internal/lookup/cdb"
	"exigo/internal/lookup/dbm"
	"exigo/internal/lookup/dnsdb"
	"exigo/internal/lookup/dsearch"
	"exigo/internal/lookup/iplsearch"
	"exigo/internal/lookup/json"
	"exigo/internal/lookup/ldap"
	"exigo/internal/lookup/lmdb"
	"exigo/internal/lookup/lsearch"
	"exigo/internal/lookup/mysql"
	"exigo/internal/lookup/passwd"
	"exigo/internal/lookup/pgsql"
	"exigo/internal/lookup/psl"
	"exigo/internal/lookup/redis"
	"exigo/internal/lookup/sqlite"
	"exigo/internal/route"
	"exigo/internal/route/accept"
	"exigo/internal/route/dnslookup"
	"exigo/internal/route/ipliteral"
	"exigo/internal/route/iplookup"
	"exigo/internal/route/manualroute"
	"exigo/internal/route/queryprogram"
	"exigo/internal/route/redirect"
	"exigo/internal/transport"
	"exigo/internal/transport/appendfile"
	"exigo/internal/transport/autoreply"
	"exigo/internal/transport/lmtp"
	"exigo/internal/transport/pipe"
	"exigo/internal/transport/smtp"
)

// Catalog is a choice of rooms and drivers. Default is all of them; tests make smaller ones.
type Catalog struct {
	Features       []*feature.Feature
	Lookups        []*lookup.Driver
	Routers        []*route.Driver
	Transports     []*transport.Driver
	Authenticators []*auth.Driver
}

// Default is everything that exigo has. The order is that of -bV and, for features, of EHLO lines, log tags and hooks.
func Default() Catalog {
	return Catalog{
		Features: []*feature.Feature{
			proxyprotocol.Feature(),
			requiretls.Feature(),
			resumption.Feature(),
			spf.Feature(),
			dkim.Feature(),
			arc.Feature(),   // behind dkim, whose signatures it seals
			dmarc.Feature(), // behind dkim, as on log lines
			srs.Feature(),
			ldap.Feature(),
			dcc.Feature(),
			brightmail.Feature(),
			pam.Feature(),
			perl.Feature(),
			atrn.Feature(),
			mime.Feature(), // behind those that look at the message before its parts
			contentregex.Feature(),
			malware.Feature(),
			spam.Feature(),
			events.Feature(),
			prdr.Feature(), // behind those that check messages
		},
		Lookups: slices.Concat(lsearch.Drivers(), dbm.Drivers(), psl.Drivers(), []*lookup.Driver{
			iplsearch.Driver(),
			cdb.Driver(),
			dnsdb.Driver(),
			dsearch.Driver(),
			json.Driver(),
			lmdb.Driver(),
			mysql.Driver(),
			passwd.Driver(),
			pgsql.Driver(),
			redis.Driver(),
			sqlite.Driver(),
		}, absent.Drivers(), testLookups()),
		Routers: []*route.Driver{
			accept.Driver(),
			dnslookup.Driver(),
			ipliteral.Driver(),
			iplookup.Driver(),
			manualroute.Driver(),
			queryprogram.Driver(),
			redirect.Driver(),
		},
		Transports: []*transport.Driver{
			appendfile.Driver(),
			autoreply.Driver(),
			lmtp.Driver(),
			pipe.Driver(),
			smtp.Driver(),
		},
		Authenticators: []*auth.Driver{
			crammd5.Driver(),
			external.Driver(),
			plaintext.Driver(),
		},
	}
}
