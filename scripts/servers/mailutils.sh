# shellcheck shell=bash disable=SC2154
# GNU Mailutils: pop3d and imap4d over Maildirs that others deliver to; users in password files of virtual domains.

mailutils_packages() { echo mailutils-pop3d mailutils-imap4d openssl socat; }
mailutils_offers() { echo pop3 pop3s imap imaps; }
mailutils_delivery() { echo maildir; }
# Its pop3d knows USER and PASS only.
mailutils_mechanisms() { case $1 in pop3) ;; *) echo PLAIN LOGIN ;; esac; }
# Its imap4d offers IDLE, but tells nobody of new mail before the mailbox is opened anew.
mailutils_idle() { echo mute; }

mailutils_run() {
    local address crypted home
    crypted=$(openssl passwd -6 "$password")
    install -d /etc/mailutils-domains /var/lock/subsys/mail
    addresses | while read -r address; do
        home=$root/mail/${address#*@}/${address%@*}
        install -d -o 5000 -g 5000 "$home" "$home/INBOX" "$home/INBOX"/{new,cur,tmp}
        ln -s INBOX "$home/Maildir"
        printf '%s:%s:5000:5000::%s:/usr/sbin/nologin\n' "${address%@*}" "$crypted" "$home" >>"/etc/mailutils-domains/${address#*@}"
    done
    chown 5000:5000 "$root/mail"/*
    mailutils_conf pop3d "$pop3" "$pop3s"
    mailutils_conf imap4d "$imap" "$imaps"
    pop3d --config-file=/etc/pop3d.conf
    imap4d --config-file=/etc/imap4d.conf
}

mailutils_conf() { # mailutils_conf PROGRAM PORT TLS_PORT
    cat >"/etc/$1.conf" <<EOF
mode daemon;
max-children 100;
pidfile /run/$1.pid;
auth {
  authorization clear;
  authorization virtdomain;
  authentication clear;
  authentication generic;
};
virtdomain {
  passwd-dir /etc/mailutils-domains;
};
tcp-wrappers {
  enable no;
};
mailbox {
  mailbox-type maildir;
};
tls {
  ssl-certificate-file $root/tls/server.pem;
  ssl-key-file $root/tls/server.key;
};
server $host:$2 {
  tls-mode ondemand;
};
server $host:$3 {
  tls-mode connection;
};
EOF
}
