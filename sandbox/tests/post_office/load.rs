//! Many at once.

use std::time::Instant;

use super::client::Client;
use super::{ALICE, BOB, SOON, office};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_connections_are_held_at_once() {
    let office = office().await;
    // Both ends of every connection are files of this process.
    let wanted = 3000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let highest = limit.maximum.unwrap_or(u64::MAX).min(65_536);
    let raised = rustix::process::Rlimit { current: Some(highest), maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("the limit may be raised");
    assert!(highest > 2 * wanted + 100, "the system allows {highest} files");

    let mut clients = Vec::new();
    for number in 0..wanted {
        let mut imap = Client::open(office.ports().imap).await;
        imap.imap_login(&format!("box{number}@demand.example")).await;
        clients.push(imap);
    }
    assert_eq!(office.connections() as u64, wanted);
    assert_eq!(office.stats().logins.imap, wanted);
    for client in clients.iter_mut().step_by(100) {
        assert!(client.imap("A0002 SELECT \"INBOX\"").await.contains(&"* 0 EXISTS".to_owned()));
    }
    drop(clients);
    let begin = Instant::now();
    while office.connections() > 0 {
        assert!(begin.elapsed() < SOON, "{} connections left", office.connections());
        tokio::task::yield_now().await;
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_three_thousand_mails_goes_through_one_connection_and_out_again() {
    let office = office().await;
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    let count = 3000;
    let body = "0123456789 0123456789 0123456789\r\n".repeat(30);
    for batch in 0..count / 50 {
        let mut lines = String::new();
        for number in batch * 50..(batch + 1) * 50 {
            lines.push_str("MAIL FROM:<alice@site.example>\r\nRCPT TO:<bob@site.example>\r\nDATA\r\n");
            smtp.send(&lines).await;
            lines.clear();
            for code in ["250", "250", "354"] {
                assert!(smtp.line().await.starts_with(code));
            }
            smtp.send(format!("Subject: {number}\r\n\r\n{body}.\r\n")).await;
            assert!(smtp.line().await.starts_with("250"));
        }
    }
    assert_eq!(office.mailbox_len(BOB), count);
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(BOB).await;
    for number in 1..=count {
        let text = pop3.pop3_lines(&format!("RETR {number}")).await;
        assert!(text.ends_with(&format!("\r\nSubject: {}\r\n\r\n{body}", number - 1)));
        pop3.expect(&format!("DELE {number}"), "+OK").await;
    }
    pop3.expect("QUIT", "+OK").await;
    assert_eq!(office.mailbox_len(BOB), 0);
    office.stop().await;
}

#[tokio::test]
async fn garbage_on_every_port_harms_nobody() {
    let office = office().await;
    let ports = office.ports();
    // The same octets every time, of all values, with and without line ends.
    let mut state = 7_u32;
    let mut garbage = vec![0_u8; 200_000];
    for octet in &mut garbage {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *octet = state.to_be_bytes()[0];
    }
    for port in [ports.smtp, ports.smtps, ports.pop3, ports.pop3s, ports.imap, ports.imaps] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("an open port");
        let (mut read, mut write) = stream.split();
        let talk = async {
            // The server may hang up on it at any time.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &garbage).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
        };
        let mut answers = Vec::new();
        let listen = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answers);
        let both = tokio::time::timeout(SOON, async { tokio::join!(talk, listen) }).await;
        both.expect("an end in time").1.ok();
        assert!(answers.len() < garbage.len() * 10, "{} octets of answers", answers.len());
    }
    let mut pop3 = Client::open(ports.pop3).await;
    pop3.pop3_login(ALICE).await;
    assert_eq!((office.stats().accepted, office.stats().broken_sessions), (0, 0));
    office.stop().await;
}
