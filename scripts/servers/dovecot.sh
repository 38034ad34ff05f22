# shellcheck shell=bash disable=SC2154
# Dovecot: POP3, IMAP, and LMTP to take mail in.

dovecot_packages() { echo dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl socat; }
dovecot_offers() { echo pop3 pop3s imap imaps; }
dovecot_delivery() { echo lmtp; }
dovecot_mechanisms() { echo PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256; }

dovecot_run() {
    addresses | sed "s/\$/:{PLAIN}$password::::::/" >/etc/dovecot/users
    chown root:dovecot /etc/dovecot/users; chmod 640 /etc/dovecot/users
    cat >/etc/dovecot/dovecot.conf <<EOF
log_path = $root/log/dovecot.log
protocols = imap pop3 lmtp
listen = $host
ssl = yes
ssl_cert = <$root/tls/server.pem
ssl_key = <$root/tls/server.key
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
default_client_limit = 4000
mail_location = maildir:~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
mail_max_userip_connections = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
  override_fields = uid=5000 gid=5000 home=$root/mail/%Ld/%Ln
}
namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = $imaps
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $pop3
  }
  inet_listener pop3s {
    port = $pop3s
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = $lmtp
  }
}
EOF
    dovecot
}
