//! Puts many mails into a mailbox: by LMTP without the queue where the site has a door for it, else by SMTP.

use mailbox::{Limits, OutgoingMail, RecipientOutcome, Submission};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::site::{self, Way, port, setting};

const CONNECTIONS: usize = 8;

/// Mails of about 2 kB. They are in the mailbox, or on their way there, when this is done.
pub(crate) async fn fill(user: &'static str, way: Way, count: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..CONNECTIONS.min(count) {
        let share = count / CONNECTIONS + usize::from(nth < count % CONNECTIONS);
        if port("MAILSERVER_LMTP_PORT").is_some() {
            tasks.spawn(by_lmtp(site::address(user), share));
        } else {
            tasks.spawn(by_smtp(user, way, share));
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

fn mail() -> String {
    let body = "A line of fifty octets, to fill up the two kB..\r\n".repeat(38);
    format!("From: a@site.example\r\nSubject: one of many\r\nX-Number: 1\r\n\r\n{body}")
}

async fn by_smtp(user: &'static str, way: Way, count: usize) {
    let account = site::account(user, way);
    let mut submission = Submission::connect(&account, &Limits::default()).await.unwrap();
    let mail = OutgoingMail {
        return_path: Some(site::address(user)),
        recipients: vec![site::address(user)],
        raw: mail().into_bytes().into(),
    };
    for _ in 0..count {
        assert_eq!(submission.send(&mail).await.unwrap()[0].1, RecipientOutcome::Accepted);
    }
    submission.quit().await.unwrap();
}

/// RFC 2033.
async fn by_lmtp(address: String, count: usize) {
    let port = port("MAILSERVER_LMTP_PORT").unwrap();
    let tcp = TcpStream::connect((setting("MAILSERVER_HOST"), port)).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut tcp = BufReader::new(tcp);
    expect(&mut tcp, "220").await;
    tcp.write_all(b"LHLO test.example\r\n").await.unwrap();
    expect(&mut tcp, "250").await;
    for _ in 0..count {
        let commands = format!("MAIL FROM:<>\r\nRCPT TO:<{address}>\r\nDATA\r\n");
        tcp.write_all(commands.as_bytes()).await.unwrap();
        for code in ["250", "250", "354"] {
            expect(&mut tcp, code).await;
        }
        tcp.write_all(format!("{}.\r\n", mail()).as_bytes()).await.unwrap();
        expect(&mut tcp, "250").await;
    }
    tcp.write_all(b"QUIT\r\n").await.unwrap();
    expect(&mut tcp, "221").await;
}

async fn expect(tcp: &mut BufReader<TcpStream>, code: &str) {
    loop {
        let mut line = String::new();
        tcp.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(code), "{line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}
