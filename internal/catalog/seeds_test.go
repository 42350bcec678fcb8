package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// authenticationSnippets are the pieces of configuration that the experimental features documents of Exim show for sender authentication, as they
// stand there but for white space and for what they leave to the reader (in angle brackets, or "lookup"), each with the session in which it runs.
// What is left out does not run anywhere: "$domain_used_domain" in an older DMARC example, a variable that never was.
var authenticationSnippets = []struct{ what, script, text string }{
	{"SPF: forged senders", "spf/seeds", `deny message = $sender_host_address is not allowed to send mail from ${if def:sender_address_domain {$sender_address_domain}{$sender_helo_name}}. \
		Please see http://www.openspf.org/Why?scope=${if def:sender_address_domain {mfrom}{helo}};identity=${if def:sender_address_domain {$sender_address}{$sender_helo_name}};ip=$sender_host_address
		spf = fail`},
	{"SPF: one domain", "spf/seeds", "deny message = AOL sender, but not from AOL-approved relay. sender_domains = aol.com spf = fail:neutral"},
	{"SPF: best guess", "spf/seeds", "deny message = $sender_host_address doesn't look trustworthy to me spf_guess = fail"},
	{"SPF: another guess", "spf/seeds", "spf_guess = v=spf1 a/16 mx/16 ptr ?all"},
	{"SPF: $spf_received at the top", "spf/session", "add_header = :at_start:$spf_received"},
	{"SPF: $spf_smtp_comment in a reply", "spf/session", "message = $spf_smtp_comment"},
	{"SPF: $spf_header_comment, older results", "spf/session", "spf = err_temp message = $spf_header_comment"},
	{"DMARC: not for some", "dmarc/session", "warn domains = +local_domains hosts = +local_hosts control = dmarc_disable_verify"},
	{"DMARC: failure reports", "dmarc/session", "warn !domains = +screwed_up_dmarc_records control = dmarc_enable_forensic"},
	{"DMARC: failure reports, older", "dmarc/older", "control = dmarc_forensic_enable"},
	{"DMARC: mailing lists (lookup)", "dmarc/session", "set acl_m_mailing_list = 1"},
	{"DMARC: log", "dmarc/session", "warn dmarc_status = accept : none : off !authenticated = * log_message = DMARC DEBUG: $dmarc_status $dmarc_used_domain"},
	{"DMARC: log, older", "dmarc/older", "warn dmarc_status = accept : none : off !authenticated = * log_message = DMARC DEBUG: $dmarc_status $dmarc_used_domain add_header = $dmarc_ar_header"},
	{"DMARC: log the rest", "dmarc/session", "warn dmarc_status = !accept !authenticated = * log_message = DMARC DEBUG: '$dmarc_status' for $dmarc_used_domain"},
	{"DMARC: quarantine", "dmarc/session", "warn dmarc_status = quarantine !authenticated = * set $acl_m_quarantine = 1 # Do something in a transport with this flag variable"},
	{"DMARC: policy and lists", "dmarc/session", "deny condition = ${if eq{$dmarc_domain_policy}{reject}} condition = ${if eq{$acl_m_mailing_list}{1}} message = Messages from $dmarc_used_domain break mailing lists"},
	{"DMARC: refuse", "dmarc/session", "deny dmarc_status = reject !authenticated = * message = Message from $dmarc_used_domain failed sender's DMARC policy, REJECT"},
	{"DMARC: results", "dmarc/session", "warn add_header = :at_start:${authresults {$primary_hostname}}"},
	{"DMARC: history", "dmarc/session", "dmarc_history_file = $DIR/mail/history"},
	{"DMARC: sender of reports", "dmarc/older", "dmarc_forensic_sender = Reports <dmarc@$primary_hostname>"},
	{"ARC: validation", "arc/session", "verify = arc/none:fail:pass add_header = :at_start:${authresults {lists.example}}"},
	{"ARC: who changed it", "arc/session", `logwrite = oldest-p-ams: <${reduce {$lh_ARC-Authentication-Results:} \ {} \ {${if = {$arc_oldest_pass} \ {${extract {i}{${extract {1}{;}{$item}}}}} \ {$item} {$value}}} \ }>`},
	{"ARC: sealing, with every option", "arc/session", "arc_sign = lists.example : sel : nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A= : timestamps, expire"},
	{"SRS (native): outbound", "srs/forward", "return_path = ${srs_encode {SRS_SECRET} {$return_path} {$original_domain}}"},
	{"SRS (native): inbound", "srs/forward", "condition = ${if inbound_srs {$local_part} {SRS_SECRET}} data = $srs_recipient"},
	{"SRS (libsrs_alt): one option", "srs/options", "srs_config = "},
	{"SRS (libsrs_alt): options", "srs/redirect", "srs_hashlength = |srs_hashmin = |srs_maxage = |srs_secrets = |srs_usehash|srs_usetimestamp"},
	{"SRS (libsrs_alt): router", "srs/redirect", "srs = |srs_alias = |srs_condition = |srs_dbinsert = |srs_dbselect = "},
	{"SRS (libsrs_alt): variables", "srs/redirect", "$srs_db_address|$srs_db_key|$srs_orig_recipient|$srs_orig_sender|$srs_recipient|$srs_status"},
	{"SRS (libsrs_alt): log lines", "srs/redirect", " SRS=<"},
	{"SRS: the macro", "srs/redirect", ".ifdef _HAVE_SRS"},
}

// TestAuthenticationSnippets: each snippet stands in its session, which TestScripts plays.
func TestAuthenticationSnippets(t *testing.T) {
	scripts := map[string]string{}
	squeeze := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	for _, x := range authenticationSnippets {
		if scripts[x.script] == "" {
			data, err := os.ReadFile(filepath.Join("../../test/scripts", x.script+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			scripts[x.script] = squeeze(string(data))
		}
		parts := []string{x.text}
		if strings.HasPrefix(x.what, "SRS (libsrs_alt)") {
			parts = strings.Split(x.text, "|")
		}
		for _, part := range parts {
			if !strings.Contains(scripts[x.script], squeeze(part)) {
				t.Errorf("%s: %s has no %q", x.what, x.script, part)
			}
		}
	}
}
