# shellcheck shell=bash disable=SC2154
# Cyrus: POP3, IMAP, and LMTP to take mail in; passwords in Cyrus SASL's own database.

cyrus_packages() { echo cyrus-imapd cyrus-pop3d sasl2-bin libsasl2-modules openssl socat; }
cyrus_offers() { echo pop3 pop3s imap imaps; }
cyrus_delivery() { echo lmtp; }
cyrus_mechanisms() { echo PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256; }

cyrus_run() {
    local address
    addresses | while read -r address; do
        printf '%s' "$password" | saslpasswd2 -p -c -u "${address#*@}" "${address%@*}"
    done
    chown cyrus:sasl /etc/sasldb2
    install -d -o cyrus -g mail -m 700 /etc/cyrus-tls
    install -o cyrus -g mail -m 600 "$root/tls/server.key" "$root/tls/server.pem" /etc/cyrus-tls/
    install -d -o cyrus -g mail /run/cyrus /run/cyrus/{proc,lock,socket}
    # A later line wins. Debian's own wait of a minute between two POP3 logins of one mailbox is for people.
    sed -i -E '/^(popminpoll|altnamespace|unixhierarchysep|autocreate_quota|sasl_|allowplaintext|tls_)/d' /etc/imapd.conf
    cat >>/etc/imapd.conf <<EOF
popminpoll: 0
virtdomains: userid
defaultdomain: local.example
altnamespace: yes
unixhierarchysep: yes
autocreate_quota: 0
autocreate_post: yes
allowplaintext: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: $(cyrus_mechanisms)
tls_server_cert: /etc/cyrus-tls/server.pem
tls_server_key: /etc/cyrus-tls/server.key
EOF
    cat >/etc/cyrus.conf <<EOF
START {
    recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}
SERVICES {
    imap  cmd="imapd" listen="$host:$imap" proto="tcp4" prefork=0 maxchild=100
    imaps cmd="imapd -s" listen="$host:$imaps" proto="tcp4" prefork=0 maxchild=100
    pop3  cmd="pop3d" listen="$host:$pop3" proto="tcp4" prefork=0 maxchild=100
    pop3s cmd="pop3d -s" listen="$host:$pop3s" proto="tcp4" prefork=0 maxchild=100
    lmtp  cmd="lmtpd -a" listen="$host:$lmtp" proto="tcp4" prefork=0 maxchild=40
}
DAEMON {
    idled cmd="idled"
}
EVENTS {
    checkpoint cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30
}
EOF
    cyrmaster -d -l 32 -C /etc/imapd.conf -M /etc/cyrus.conf
}
