# shellcheck shell=bash disable=SC2154
# OpenSMTPD. The one of Debian 12 itself (6.8) fails at every TLS handshake since it is built with OpenSSL 3; the one of its
# backports (7.4) does not.

opensmtpd_packages() { echo opensmtpd/bookworm-backports openssl socat; }
opensmtpd_source() {
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main"
}
opensmtpd_mechanisms() { echo PLAIN LOGIN; }

opensmtpd_run() {
    local store
    addresses | sed "s|\$|\t$(openssl passwd -6 "$password")|" >/etc/site-passwords
    addresses | sed 's/$/\tvmail/' >/etc/site-mailboxes
    install -m 600 "$root/tls/server.key" /etc/site.key
    case $delivery in
        lmtp) store="lmtp \"$host:$lmtp\" rcpt-to" ;;
        *) store="maildir \"$root/mail/%{dest.domain}/%{dest.user:strip}/Maildir\"" ;;
    esac
    cat >/etc/smtpd.conf <<EOF
pki mail cert "$root/tls/server.pem"
pki mail key "/etc/site.key"
table passwords file:/etc/site-passwords
table mailboxes file:/etc/site-mailboxes
smtp max-message-size "50M"
listen on $host port $smtp tls pki mail auth <passwords> hostname mail.$site
listen on $host port $smtps smtps pki mail auth <passwords> hostname mail.$site
action "store" $store virtual <mailboxes>
match auth from any for domain { "$site", "$center" } action "store"
EOF
    smtpd -d -f /etc/smtpd.conf &
}
