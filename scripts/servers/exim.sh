# shellcheck shell=bash disable=SC2154
# Exim 4, Debian's heavy build.

exim_packages() { echo exim4-daemon-heavy sasl2-bin libsasl2-modules openssl socat; }
exim_mechanisms() { echo PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256; }

exim_run() {
    local address
    addresses | sed "s/\$/: $password/" >/etc/exim4/passwords
    addresses | sed 's/@.*//; s/.*/&: &/' >/etc/exim4/mailboxes
    addresses | while read -r address; do
        printf '%s' "$password" | saslpasswd2 -p -c -u "${address#*@}" "${address%@*}"
    done
    chown root:Debian-exim /etc/exim4/passwords /etc/sasldb2; chmod 640 /etc/exim4/passwords /etc/sasldb2
    install -d /usr/lib/sasl2
    printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\n' >/usr/lib/sasl2/exim.conf
    install -o Debian-exim -g Debian-exim -m 600 "$root/tls/server.key" /etc/exim4/exim.key
    install -d -o Debian-exim -g Debian-exim /run/exim4
    chown Debian-exim:Debian-exim "$root/log"
    cat >/etc/exim4/exim4.conf <<EOF
primary_hostname = mail.$site
domainlist ours = $site : $center
local_interfaces = <; [$host]:$smtp ; [$host]:$smtps
tls_on_connect_ports = $smtps
tls_advertise_hosts = *
tls_certificate = $root/tls/server.pem
tls_privatekey = /etc/exim4/exim.key
auth_advertise_hosts = \${if def:tls_in_cipher{*}{}}
acl_smtp_rcpt = recipient
message_size_limit = 50M
log_file_path = $root/log/exim-%s.log
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
never_users = root
host_lookup =
rfc1413_hosts =

begin acl
recipient:
  deny domains = ! +ours
       message = no mail leaves this test site
  require verify = recipient
  accept authenticated = *
  deny message = log in first

begin routers
mailboxes:
  driver = accept
  domains = +ours
  local_parts = lsearch;/etc/exim4/mailboxes
  local_part_suffix = +*
  local_part_suffix_optional
  transport = $delivery

begin transports
maildir:
  driver = appendfile
  directory = $root/mail/\$domain_data/\$local_part_data/Maildir
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
  user = vmail
  group = vmail
lmtp:
  driver = smtp
  protocol = lmtp
  hosts = $host
  port = $lmtp
  hosts_override
  allow_localhost
  hosts_avoid_tls = *
  # Exim returns mails with lines over 998 octets that leave by SMTP; a test sends one to see what becomes of it in the store.
  message_linelength_limit = 1M
  rcpt_include_affixes

begin retry
* * F,10m,5s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if eq{\$auth3}{\${lookup{\$auth2}lsearch{/etc/exim4/passwords}{\$value}fail}}}
  server_set_id = \$auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = \${if eq{\$auth2}{\${lookup{\$auth1}lsearch{/etc/exim4/passwords}{\$value}fail}}}
  server_set_id = \$auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${lookup{\$auth1}lsearch{/etc/exim4/passwords}{\$value}fail}
  server_set_id = \$auth1
scram:
  driver = cyrus_sasl
  public_name = SCRAM-SHA-256
  server_set_id = \$auth1
EOF
    exim4 -bd -q5s
}
