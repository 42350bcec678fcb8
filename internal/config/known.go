package config

import "strings"

// knownOptions are the names of Exim's options by scope ("main", the kinds, the drivers). An option that is known but that nothing
// obeys is refused by name, with a text of its own.
var knownOptions = map[string]string{
	"appendfile": `
		allow_fifo allow_symlink batch_id batch_max check_group check_owner check_string create_directory create_file directory directory_file directory_mode
		escape_string file file_format file_must_exist lock_fcntl_timeout lock_flock_timeout lock_interval lock_retries lockfile_mode lockfile_timeout
		mailbox_filecount mailbox_size maildir_format maildir_quota_directory_regex maildir_retries maildir_tag maildir_use_size_file
		maildirfolder_create_regex mailstore_format mailstore_prefix mailstore_suffix mbx_format message_prefix message_suffix mode mode_fail_narrower
		notify_comsat quota quota_directory quota_filecount quota_is_inclusive quota_size_regex quota_warn_message quota_warn_threshold use_bsmtp use_crlf
		use_fcntl_lock use_flock_lock use_lockfile use_mbx_lock`,
	"authenticators": `
		client_condition client_set_id driver public_name server_advertise_condition server_condition server_debug_print server_mail_auth_condition
		server_set_id`,
	"autoreply": `
		bcc cc file file_expand file_optional from headers log mode never_mail once once_file_size once_repeat reply_to return_message subject text to`,
	"cram_md5": `
		client_name client_secret server_secret`,
	"cyrus_sasl": `
		server_hostname server_mech server_realm server_service`,
	"dnslookup": `ipv4_only ipv4_prefer
		check_secondary_mx check_srv fail_defer_domains mx_domains mx_fail_domains qualify_single rewrite_headers same_domain_copy_routing search_parents
		srv_fail_domains widen_domains`,
	"dovecot": `
		server_socket`,
	"external": `
		client_send server_param2 server_param3`,
	"gsasl": `
		client_authz client_channelbinding client_password client_spassword client_username server_channelbinding server_hostname server_key server_mech
		server_password server_realm server_scram_iter server_scram_salt server_service server_skey`,
	"heimdal_gssapi": `
		server_hostname server_keytab server_service`,
	"iplookup": `
		hosts optional port protocol query reroute response_pattern timeout`,
	"lmtp": `
		batch_id batch_max command ignore_quota socket timeout`,
	"main": `
		accept_8bitmime acl_data_smtp_prdr acl_not_smtp acl_not_smtp_mime acl_not_smtp_start acl_smtp_auth acl_smtp_connect acl_smtp_data acl_smtp_data_prdr
		acl_smtp_dkim acl_smtp_etrn acl_smtp_expn acl_smtp_helo acl_smtp_mail acl_smtp_mailauth acl_smtp_mime acl_smtp_notquit acl_smtp_predata acl_smtp_quit
		acl_smtp_rcpt acl_smtp_starttls acl_smtp_vrfy add_environment admin_groups allow_domain_literals allow_mx_to_ip allow_utf8_domains
		auth_advertise_hosts auto_thaw av_scanner bi_command bmi_config_file bounce_message_file bounce_message_text bounce_return_body
		bounce_return_linesize_limit bounce_return_message bounce_return_size_limit bounce_sender_authentication callout_domain_negative_expire
		callout_domain_positive_expire callout_negative_expire callout_positive_expire callout_random_local_part check_log_inodes check_log_space
		check_rfc2047_length check_spool_inodes check_spool_space chunking_advertise_hosts commandline_checks_require_admin daemon_smtp_ports
		daemon_startup_retries daemon_startup_sleep dcc_direct_add_header dccifd_address debug_store delay_warning delay_warning_condition
		deliver_drop_privilege deliver_queue_load_max delivery_date_remove disable_fsync disable_ipv6 dkim_verify_hashes dkim_verify_keytypes
		dkim_verify_minimal dkim_verify_signers dmarc_forensic_sender dmarc_history_file dmarc_tld_file dns_again_means_nonexist dns_check_names_pattern
		dns_cname_loops dns_csa_search_limit dns_csa_use_reverse dns_dnssec_ok dns_ipv4_lookup dns_retrans dns_retry dns_trust_aa dns_use_edns0 drop_cr
		dsn_advertise_hosts dsn_from envelope_to_remove errors_copy errors_reply_to event_action exim_group exim_path exim_user exim_version
		extra_local_interfaces extract_addresses_remove_arguments finduser_retries freeze_tell gecos_name gecos_pattern gnutls_allow_auto_pkcs11
		gnutls_compat_mode header_line_maxsize header_maxsize headers_charset helo_accept_junk_hosts helo_allow_chars helo_lookup_domains
		helo_try_verify_hosts helo_verify_hosts hold_domains host_lookup host_lookup_order host_reject_connection hosts_connection_nolog hosts_proxy
		hosts_require_alpn hosts_require_helo hosts_treat_as_local hosts_xclient ibase_servers ignore_bounce_errors_after ignore_fromline_hosts
		ignore_fromline_local keep_environment keep_malformed ldap_ca_cert_dir ldap_ca_cert_file ldap_cert_file ldap_cert_key ldap_cipher_suite
		ldap_default_servers ldap_require_cert ldap_start_tls ldap_version local_from_check local_from_prefix local_from_suffix local_interfaces
		local_scan_path local_scan_timeout local_sender_retain localhost_number log_file_path log_selector log_timezone lookup_open_max max_username_length
		message_body_newlines message_body_visible message_id_header_domain message_id_header_text message_logs message_size_limit move_frozen_messages
		mua_wrapper mysql_servers never_users oracle_servers percent_hack_domains perl_at_start perl_startup perl_taintmode pgsql_servers pid_file_path
		pipelining_advertise_hosts pipelining_connect_advertise_hosts prdr_enable preserve_message_logs primary_hostname print_topbitchars process_log_path
		prod_requires_admin proxy_protocol_timeout proxy_required_hosts qualify_domain qualify_recipient queue_domains queue_fast_ramp
		queue_list_requires_admin queue_only queue_only_file queue_only_load queue_only_load_latch queue_only_override queue_run_in_order queue_run_max
		queue_smtp_domains receive_timeout received_header_text received_headers_max recipient_unqualified_hosts recipients_max recipients_max_reject
		redis_servers remote_max_parallel remote_sort_domains retry_data_expire retry_interval_max return_path_remove return_size_limit rfc1413_hosts
		rfc1413_query_timeout sender_unqualified_hosts slow_lookup_log smtp_accept_keepalive smtp_accept_max smtp_accept_max_nonmail
		smtp_accept_max_nonmail_hosts smtp_accept_max_per_connection smtp_accept_max_per_host smtp_accept_queue smtp_accept_queue_per_connection
		smtp_accept_reserve smtp_active_hostname smtp_backlog_monitor smtp_banner smtp_check_spool_space smtp_connect_backlog smtp_enforce_sync
		smtp_etrn_command smtp_etrn_serialize smtp_load_reserve smtp_max_synprot_errors smtp_max_unknown_commands smtp_ratelimit_hosts smtp_ratelimit_mail
		smtp_ratelimit_rcpt smtp_receive_timeout smtp_reserve_hosts smtp_return_error_details smtputf8_advertise_hosts spamd_address spf_guess
		spf_smtp_comment_template split_spool_directory spool_directory spool_wireformat sqlite_dbfile sqlite_lock_timeout srs_config srs_hashlength
		srs_hashmin srs_maxage srs_secrets srs_usehash srs_usetimestamp strict_acl_vars strip_excess_angle_brackets strip_trailing_dot syslog_duplication
		syslog_facility syslog_pid syslog_processname syslog_timestamp system_filter system_filter_directory_transport system_filter_file_transport
		system_filter_group system_filter_pipe_transport system_filter_reply_transport system_filter_user tcp_nodelay timeout_frozen_after timezone
		tls_advertise_hosts tls_advertise_requiretls tls_alpn tls_certificate tls_crl tls_dh_max_bits tls_dhparam tls_eccurve tls_ocsp_file
		tls_on_connect_ports tls_privatekey tls_remember_esmtp tls_require_ciphers tls_resumption_hosts tls_try_verify_hosts tls_verify_certificates
		tls_verify_hosts trusted_groups trusted_users unknown_login unknown_username untrusted_set_sender uucp_from_pattern uucp_from_sender warn_message_file
		write_rejectlog`,
	"manualroute": `
		host_all_ignored host_find_failed hosts_randomize route_data route_list same_domain_copy_routing`,
	"pipe": `
		allow_commands batch_id batch_max check_string command environment escape_string force_command freeze_exec_fail freeze_signal ignore_status
		log_defer_output log_fail_output log_output max_output message_prefix message_suffix path permit_coredump pipe_as_creator restrict_to_path
		return_fail_output return_output temp_errors timeout timeout_defer umask use_bsmtp use_classresources use_crlf use_shell`,
	"plaintext": `
		client_ignore_invalid_base64 client_send server_prompts`,
	"queryprogram": `
		command command_group command_user current_directory timeout`,
	"redirect": `
		allow_defer allow_fail allow_filter allow_freeze check_ancestor check_group check_owner data directory_transport file file_transport
		filter_prepend_home forbid_blackhole forbid_exim_filter forbid_file forbid_filter_dlfunc forbid_filter_existstest forbid_filter_logwrite
		forbid_filter_lookup forbid_filter_perl forbid_filter_readfile forbid_filter_readsocket forbid_filter_reply forbid_filter_run forbid_include
		forbid_pipe forbid_sieve_filter forbid_smtp_code hide_child_in_errmsg ignore_eacces ignore_enotdir include_directory modemask one_time owners
		owngroups pipe_transport qualify_domain qualify_preserve_domain repeat_use reply_transport rewrite sieve_subaddress sieve_useraddress
		sieve_vacation_directory skip_syntax_errors syntax_errors_text syntax_errors_to`,
	"routers": `
		address_data address_test cannot_route_message caseful_local_part check_local_user condition debug_print disable_logging dnssec_request_domains
		dnssec_require_domains domains driver dsn_lasthop errors_to expn fail_verify fail_verify_recipient fail_verify_sender fallback_hosts group headers_add
		headers_remove ignore_target_hosts initgroups local_part_prefix local_part_prefix_optional local_part_suffix local_part_suffix_optional local_parts
		log_as_local more pass_on_timeout pass_router redirect_router require_files retry_use_local_part router_home_directory self senders set
		translate_ip_address transport transport_current_directory transport_home_directory unseen user verify verify_only verify_recipient verify_sender`,
	"smtp": `
		address_retry_include_sender allow_localhost authenticated_sender authenticated_sender_force command_timeout connect_timeout connection_max_messages
		dane_require_tls_ciphers data_timeout delay_after_cutoff dkim_canon dkim_domain dkim_hash dkim_identity dkim_private_key dkim_selector
		dkim_sign_headers dkim_strict dkim_timestamps dns_qualify_single dns_search_parents dnssec_request_domains dnssec_require_domains dscp fallback_hosts
		final_timeout gethostbyname gnutls_compat_mode helo_data host_name_extract hosts hosts_avoid_esmtp hosts_avoid_pipelining hosts_avoid_tls
		hosts_max_try hosts_max_try_hardlimit hosts_nopass_tls hosts_noproxy_tls hosts_override hosts_pipe_connect hosts_randomize hosts_request_ocsp
		hosts_require_alpn hosts_require_auth hosts_require_dane hosts_require_ocsp hosts_require_tls hosts_try_auth hosts_try_chunking hosts_try_dane
		hosts_try_fastopen hosts_try_prdr hosts_verify_avoid_tls interface keepalive lmtp_ignore_quota max_rcpt message_linelength_limit multi_domain port
		protocol retry_include_ip_address serialize_hosts size_addition socks_proxy tls_alpn tls_certificate tls_crl tls_dh_min_bits tls_privatekey
		tls_require_ciphers tls_resumption_hosts tls_sni tls_tempfail_tryclear tls_try_verify_hosts tls_verify_cert_hostnames tls_verify_certificates
		tls_verify_hosts utf8_downconvert`,
	"spa": `
		client_domain client_password client_username server_password`,
	"tls": `
		server_param1 server_param2 server_param3`,
	"transports": `
		body_only current_directory debug_print delivery_date_add disable_logging driver envelope_to_add event_action group headers_add headers_only
		headers_remove headers_rewrite home_directory initgroups max_parallel message_size_limit rcpt_include_affixes retry_use_local_part return_path
		return_path_add shadow_condition shadow_transport transport_filter transport_filter_timeout user`,
}

// known tells whether Exim has an option of this name in the target's scopes.
func known(t settingTarget, name string) bool {
	for _, scope := range [...]string{string(t.scope), string(t.private)} {
		if _, driver, ok := strings.Cut(scope, " "); ok {
			scope = driver
		}
		for _, prefix := range [...]string{"", "no_", "not_"} {
			if plain, ok := strings.CutPrefix(name, prefix); ok && hasWord(knownOptions[scope], plain) {
				return true
			}
		}
	}
	return false
}

func hasWord(text, word string) bool {
	for w := range strings.FieldsSeq(text) {
		if w == word {
			return true
		}
	}
	return false
}
