# shellcheck shell=bash disable=SC2154
# Courier: POP3 and IMAP over Maildirs that others deliver to; passwords in its userdb.

courier_packages() { echo courier-imap courier-pop courier-authlib-userdb gamin openssl socat; }
courier_offers() { echo pop3 pop3s imap imaps; }
courier_delivery() { echo maildir; }
courier_mechanisms() { case $1 in pop3) echo PLAIN LOGIN CRAM-MD5 ;; *) echo PLAIN CRAM-MD5 ;; esac; }

courier_run() {
    local address plain hmac
    plain=$(openssl passwd -6 "$password")
    hmac=$(printf '%s\n%s\n' "$password" "$password" | userdbpw -hmac-md5)
    addresses | while read -r address; do
        home=$root/mail/${address#*@}/${address%@*}
        install -d -o 5000 -g 5000 "$home" "$home/Maildir" "$home/Maildir"/{new,cur,tmp}
        printf '%s\tuid=5000|gid=5000|home=%s|mail=%s/Maildir|systempw=%s|hmac-md5pw=%s\n' "$address" "$home" "$home" "$plain" "$hmac"
    done >/etc/courier/userdb
    chown 5000:5000 "$root/mail"/*
    chmod 600 /etc/courier/userdb
    makeuserdb
    echo 'authmodulelist="authuserdb"' >>/etc/courier/authdaemonrc
    # Its own tables of TLS sessions; the certificate and its key in one file that its own user reads.
    install -o courier -g courier -m 600 "$root/tls/both.pem" /etc/courier/site.pem
    cat >>/etc/courier/imapd <<EOF
ADDRESS=$host
PORT=$imap
MAXDAEMONS=200
MAXPERIP=200
IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA AUTH=CRAM-MD5 IDLE"
IMAP_CAPABILITY_TLS="\$IMAP_CAPABILITY AUTH=PLAIN"
IMAP_IDLE_TIMEOUT=10
EOF
    cat >>/etc/courier/pop3d <<EOF
ADDRESS=$host
PORT=$pop3
MAXDAEMONS=200
MAXPERIP=200
POP3AUTH="CRAM-MD5"
POP3AUTH_TLS="LOGIN PLAIN CRAM-MD5"
EOF
    printf 'SSLADDRESS=%s\nSSLPORT=%s\nTLS_CERTFILE=/etc/courier/site.pem\n' "$host" "$imaps" >>/etc/courier/imapd-ssl
    printf 'SSLADDRESS=%s\nSSLPORT=%s\nTLS_CERTFILE=/etc/courier/site.pem\n' "$host" "$pop3s" >>/etc/courier/pop3d-ssl
    install -d -m 775 -o root -g courier /run/courier
    install -d -m 750 -o courier -g courier /run/courier/authdaemon
    authdaemond start
    imapd start; imapd-ssl start; pop3d start; pop3d-ssl start
}
