# shellcheck shell=bash disable=SC2154
# Postfix with Cyrus SASL's database of passwords.

postfix_packages() { echo postfix sasl2-bin libsasl2-modules openssl socat; }
postfix_mechanisms() { echo PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256; }

postfix_run() {
    local address transport
    addresses | while read -r address; do
        printf '%s' "$password" | saslpasswd2 -p -c -u "${address#*@}" "${address%@*}"
    done
    chown postfix /etc/sasldb2
    install -d /etc/postfix/sasl
    cat >/etc/postfix/sasl/smtpd.conf <<EOF
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: $(postfix_mechanisms)
EOF
    addresses | sed 's|\(.*\)@\(.*\)|\1@\2 \2/\1/Maildir/|' >/etc/postfix/mailboxes
    case $delivery in lmtp) transport=lmtp:inet:$host:$lmtp ;; *) transport=virtual: ;; esac
    cat >/etc/postfix/main.cf <<EOF
compatibility_level = 3.6
maillog_file = $root/log/postfix.log
maillog_file_prefixes = $root/log
myhostname = mail.$site
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks =
disable_dns_lookups = yes
biff = no
virtual_mailbox_domains = $site, $center
virtual_mailbox_base = $root/mail
virtual_mailbox_maps = texthash:/etc/postfix/mailboxes
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_transport = $transport
default_transport = error:no mail leaves this test site
relay_domains =
recipient_delimiter = +
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_sasl_type = cyrus
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = $root/tls/server.key, $root/tls/server.pem
smtpd_tls_security_level = may
message_size_limit = 52428800
virtual_mailbox_limit = 0
minimal_backoff_time = 5s
maximal_backoff_time = 20s
queue_run_delay = 5s
EOF
    cat >/etc/postfix/master.cf <<EOF
$host:$smtp inet n - n - - smtpd
$host:$smtps inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
pickup unix n - n 60 1 pickup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
EOF
    # The machine's own Postfix may have left its queue below this layer.
    rm -rf /var/spool/postfix /var/lib/postfix; install -d -o postfix /var/lib/postfix; mkdir /var/spool/postfix
    postfix start
}
