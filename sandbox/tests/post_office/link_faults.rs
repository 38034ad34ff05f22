//! What the script of faults does to connections.

use std::time::{Duration, Instant};

use sandbox::post_office::{Fault, Outage, PostOffice, PostOfficeError, Rule, Service};
use tokio::net::TcpStream;

use super::client::Client;
use super::{ALICE, BOB, SECRET, office};

fn outage(outage: Outage) -> Rule {
    Rule::always(Fault::Outage(outage))
}

async fn refused(port: u16) -> bool {
    let connected = TcpStream::connect(("127.0.0.1", port)).await;
    connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn an_outage_refuses_cuts_and_ends_on_the_same_port() {
    let office = office().await;
    let ports = office.ports();
    let mut pop3 = Client::open(ports.pop3).await;
    pop3.pop3_login(ALICE).await;
    let mut imap = Client::open(ports.imap).await;
    imap.imap_login(ALICE).await;
    office.set_faults(vec![outage(Outage::Refuse).on(Service::Pop3)]);
    assert_eq!(pop3.until_closed().await, b"", "open sessions are cut");
    assert!(refused(ports.pop3).await);
    assert!(refused(ports.pop3s).await);
    imap.imap("A0002 NOOP").await;
    office.set_faults(vec![outage(Outage::Refuse)]);
    for port in [ports.smtp, ports.smtps, ports.imap, ports.imaps] {
        assert!(refused(port).await);
    }
    office.set_faults(Vec::new());
    assert!(!refused(ports.pop3).await);
    assert!(!refused(ports.imaps).await);
    let mut pop3 = Client::open(ports.pop3).await;
    pop3.pop3_login_when_free(ALICE).await;
    office.stop().await;
}

#[tokio::test]
async fn a_hanging_service_goes_on_when_the_outage_is_over() {
    let office = office().await;
    let mut old = Client::open(office.ports().imap).await;
    old.imap_login(ALICE).await;
    office.set_faults(vec![outage(Outage::Hang)]);
    let mut new = Client::open(office.ports().smtp).await;
    old.send("A0002 NOOP\r\n").await;
    let silent = Duration::from_millis(200);
    assert!(tokio::time::timeout(silent, new.try_line()).await.is_err(), "no greeting");
    assert!(tokio::time::timeout(silent, old.try_line()).await.is_err(), "no answer");
    office.set_faults(Vec::new());
    assert!(new.line().await.starts_with("220 "));
    assert_eq!(old.line().await, "A0002 OK NOOP completed");
    office.stop().await;
}

#[tokio::test]
async fn a_service_that_breaks_midway_gives_half_a_mail_and_takes_none() {
    let office = office().await;
    let mail = "0123456789".repeat(20_000);
    office.inject(ALICE, mail.as_bytes());
    office.set_faults(vec![outage(Outage::Midway)]);
    let ports = office.ports();
    let mut pop3 = Client::open(ports.pop3).await;
    pop3.pop3_login(ALICE).await;
    pop3.expect("RETR 1", "+OK").await;
    let half = pop3.until_closed().await;
    assert!(mail.as_bytes().starts_with(&half) && (90_000..110_000).contains(&half.len()), "{}", half.len());
    let mut imap = Client::open(ports.imap).await;
    imap.imap_login(ALICE).await;
    imap.imap("A0002 SELECT INBOX").await;
    imap.expect("A0003 UID FETCH 1 (BODY.PEEK[])", "* 1 FETCH (UID 1 BODY[] {200000}").await;
    let half = imap.until_closed().await;
    assert!(mail.as_bytes().starts_with(&half) && (90_000..110_000).contains(&half.len()), "{}", half.len());
    let mut smtp = Client::open(ports.smtp).await;
    smtp.smtp_login(ALICE).await;
    assert_eq!(smtp.smtp_mail(ALICE, BOB, "Subject: x\r\n\r\ny\r\n").await, None);
    assert_eq!((office.mailbox_len(ALICE), office.mailbox_len(BOB)), (1, 0));
    office.stop().await;
}

#[tokio::test]
async fn a_connection_drops_after_so_many_octets_and_the_next_one_too() {
    let office = office().await;
    office.inject(ALICE, "0123456789\r\n".repeat(1000).as_bytes());
    office.inject(BOB, b"short\r\n");
    let drop_after = Rule::always(Fault::DropAfter { octets: 5000 });
    office.set_faults(vec![drop_after.clone().to(ALICE), drop_after.sent_by(ALICE).on(Service::Smtp)]);
    for _ in 0..2 {
        let mut pop3 = Client::open(office.ports().pop3).await;
        let mut seen = pop3.line().await.len() + 2;
        // The session before may not have given the mailbox back yet.
        loop {
            seen += pop3.ask(&format!("USER {ALICE}")).await.len() + 2;
            let answer = pop3.ask(&format!("PASS {SECRET}")).await;
            seen += answer.len() + 2;
            if answer.starts_with("+OK") {
                break;
            }
        }
        pop3.send("RETR 1\r\n").await;
        seen += pop3.until_closed().await.len();
        assert_eq!(seen, 5000);
    }
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(BOB).await;
    assert_eq!(pop3.pop3_lines("RETR 1").await, "short\r\n");
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    assert_eq!(smtp.smtp_mail(ALICE, BOB, &"0123456789\r\n".repeat(1000)).await, None);
    assert_eq!(office.mailbox_len(BOB), 1);
    office.stop().await;
}

async fn time_to_fetch(office: &PostOffice, octets: usize) -> Duration {
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(ALICE).await;
    let begin = Instant::now();
    assert_eq!(pop3.pop3_lines("RETR 1").await.len(), octets);
    pop3.expect("QUIT", "+OK").await;
    pop3.until_closed().await;
    begin.elapsed()
}

#[tokio::test]
async fn a_slow_connection_keeps_its_rate() {
    let office = office().await;
    office.inject(ALICE, "0123456789\r\n".repeat(1000).as_bytes());
    office.set_faults(vec![
        Rule::always(Fault::Slow { octets_per_second: 24_000 }).to(ALICE).on(Service::Pop3),
    ]);
    let slow = time_to_fetch(&office, 12_000).await;
    assert!(slow >= Duration::from_millis(450), "{slow:?}");
    office.stop().await;
}

#[tokio::test]
async fn a_stopped_office_closes_every_connection_and_frees_its_ports() {
    let office = office().await;
    let ports = office.ports();
    let mut clients = Vec::new();
    for port in [ports.smtp, ports.pop3, ports.imap] {
        let mut client = Client::open(port).await;
        client.line().await;
        clients.push(client);
    }
    assert_eq!(office.connections(), 3);
    office.stop().await;
    for client in &mut clients {
        assert_eq!(client.until_closed().await, b"");
    }
    for port in [ports.smtp, ports.smtps, ports.pop3, ports.pop3s, ports.imap, ports.imaps] {
        assert!(refused(port).await);
    }
    let settings = sandbox::post_office::Settings { ports, ..Default::default() };
    let again = PostOffice::start(settings.clone()).await.expect("the same ports again");
    assert_eq!(again.ports(), ports);
    let third = PostOffice::start(settings).await;
    assert!(matches!(third, Err(PostOfficeError::Listen { port, .. }) if port == ports.smtp), "{third:?}");
    again.stop().await;
}
