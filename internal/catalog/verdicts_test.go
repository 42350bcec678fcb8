package catalog

// The snippets of Exim's experimental features document for DCC and Brightmail, as they stand there; names of lists and of a transport are added.
const (
	dccSnippets = `
  dccifd_address = /usr/local/dcc/var/dccifd
  dcc_direct_add_header = true
acl_smtp_data = check_data
begin acl
check_data:
  warn    set acl_m_dcc_override_client_ip = \
    ${lookup{$sender_helo_name}nwildlsearch{/etc/mail/multipleip_sites}{$value}{}}
          condition = ${if def:acl_m_dcc_override_client_ip}
          log_message = dbg: acl_m_dcc_override_client_ip set to \
                        $acl_m_dcc_override_client_ip
  warn    set acl_m_dcc_add_header = X-Virus-Scanned: yes
  defer   !dcc = *
  warn    dcc = */defer_ok
          logwrite = $dcc_result $dcc_header
`
	brightmailSnippets = `
  bmi_config_file = /opt/brightmail/etc/brightmail.cfg
domainlist local_domains = mydomain.com
domainlist relay_to_domains = thatdomain.com
acl_smtp_rcpt = acl_check_rcpt
begin acl
acl_check_rcpt:
  accept  domains       = +local_domains
          endpass
          verify        = recipient
          control       = bmi_run

  accept  domains       = +relay_to_domains
          endpass
          verify        = recipient
          bmi_optin     = ${lookup{$local_part@$domain}lsearch{/etc/exim/bmi_optin_data}}
          control       = bmi_run
begin routers
        # don't deliver messages handled by the BMI server
        bmi_blackhole:
          driver = redirect
          bmi_dont_deliver
          data = :blackhole:

        # special router for BMI rule #5, #8 and #11
        bmi_rule_redirect:
          driver = redirect
          bmi_rule = 5:8:11
          data = postmaster@mydomain.com

      alternate:
        driver = accept
        bmi_deliver_alternate
        headers_add = $bmi_alt_location
        transport = local_delivery

      localuser:
        driver = accept
        check_local_user
        bmi_deliver_default
        condition = $bmi_deliver
        headers_add = X-Brightmail-Verdict: $bmi_base64_verdict
        headers_add = X-Brightmail-Tracker: $bmi_base64_tracker_verdict
        transport = local_delivery
begin transports
local_delivery:
  driver = appendfile
  file = /var/mail/$local_part_data
`
)
