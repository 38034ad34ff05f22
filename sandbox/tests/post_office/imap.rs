//! Reading mail in place, with the commands that async-imap and Python's imaplib send.

use super::client::Client;
use super::{ALICE, SECRET, SOON, office};

const MAIL: &str = "From: a@b\r\nSubject: x\r\n\r\n.\r\n)\r\nA0002 OK\r\n\u{e4}\r\n";

#[tokio::test]
async fn a_mail_is_read_marked_and_removed() {
    let office = office().await;
    for number in 1..=3 {
        office.inject(ALICE, format!("X-Number: {number}\r\n{MAIL}").as_bytes());
    }
    let length = MAIL.len() + 13;
    let mut imap = Client::open(office.ports().imap).await;
    imap.imap_login(ALICE).await;
    let selected = imap.imap("A0002 SELECT \"INBOX\"").await;
    for wanted in
        ["* 3 EXISTS", "* 3 RECENT", "* OK [UNSEEN 1] First unseen", "* OK [UIDNEXT 4] Predicted next UID"]
    {
        assert!(selected.contains(&wanted.to_owned()), "{wanted} in {selected:?}");
    }
    imap.send("A0003 UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[])\r\n").await;
    for number in 1..=3 {
        let head =
            format!("* {number} FETCH (UID {number} RFC822.SIZE {length} FLAGS () BODY[] {{{length}}}");
        assert_eq!(imap.line().await, head);
        assert_eq!(imap.octets(length).await, format!("X-Number: {number}\r\n{MAIL}").as_bytes());
        assert_eq!(imap.octets(3).await, b")\r\n");
    }
    assert_eq!(imap.line().await, "A0003 OK FETCH completed");

    assert_eq!(
        imap.imap("A0004 UID STORE 2 +FLAGS (\\Deleted)").await,
        ["* 2 FETCH (UID 2 FLAGS (\\Deleted))"]
    );
    assert_eq!(imap.imap("A0005 UID STORE 3 +FLAGS.SILENT (\\Deleted \\Seen)").await, [""; 0]);
    assert_eq!(imap.imap("A0006 UID SEARCH DELETED UNSEEN").await, ["* SEARCH 2"]);
    assert_eq!(imap.imap("A0007 UID EXPUNGE 1:2").await, ["* 2 EXPUNGE"]);
    assert_eq!(imap.imap("A0008 NOOP").await, [""; 0]);
    assert_eq!(imap.imap("A0009 UID FETCH 3 (FLAGS)").await, ["* 2 FETCH (UID 3 FLAGS (\\Deleted \\Seen))"]);
    assert_eq!(imap.imap("A0010 EXPUNGE").await, ["* 2 EXPUNGE"]);
    assert_eq!(imap.imap("A0011 SEARCH ALL").await, ["* SEARCH 1"]);
    assert_eq!(imap.imap("A0012 LOGOUT").await, ["* BYE Logging out"]);
    assert_eq!(imap.until_closed().await, b"");
    assert_eq!(office.mailbox_len(ALICE), 1);
    office.stop().await;
}

#[tokio::test]
async fn a_great_mail_comes_in_pieces() {
    let office = office().await;
    let mail: Vec<u8> = (0..100_000_u32).map(|number| u8::try_from(number % 251).expect("small")).collect();
    office.inject(ALICE, &mail);
    let mut imap = Client::open_tls(office.ports().imaps, &office).await;
    imap.imap_login(ALICE).await;
    imap.imap("A0002 SELECT \"INBOX\"").await;
    let mut whole = Vec::new();
    for (first, length) in [(0, 65_536), (65_536, 34_464), (131_072, 0)] {
        imap.send(format!("A0003 UID FETCH 1 (UID BODY.PEEK[]<{first}.65536>)\r\n")).await;
        assert_eq!(imap.line().await, format!("* 1 FETCH (UID 1 BODY[]<{first}> {{{length}}}"));
        whole.extend(imap.octets(length).await);
        assert_eq!(imap.octets(3).await, b")\r\n");
        assert_eq!(imap.line().await, "A0003 OK FETCH completed");
    }
    assert!(whole == mail);
    // Not by peeking, hence seen from now on.
    imap.send("A0004 FETCH 1 BODY[]<0.2>\r\n").await;
    assert_eq!(imap.line().await, "* 1 FETCH (FLAGS (\\Seen) BODY[]<0> {2}");
    assert_eq!(imap.octets(5).await, b"\0\x01)\r\n");
    assert_eq!(imap.line().await, "A0004 OK FETCH completed");
    office.stop().await;
}

#[tokio::test]
async fn idle_tells_of_new_and_vanished_mail() {
    let office = office().await;
    office.inject(ALICE, MAIL.as_bytes());
    let mut imap = Client::open(office.ports().imap).await;
    imap.imap_login(ALICE).await;
    imap.imap("A0002 SELECT \"INBOX\"").await;
    imap.expect("A0003 IDLE", "+ idling").await;
    office.inject(ALICE, MAIL.as_bytes());
    assert_eq!(imap.line().await, "* 2 EXISTS");
    assert_eq!(imap.line().await, "* 1 RECENT");
    let mut other = Client::open(office.ports().pop3).await;
    other.pop3_login(ALICE).await;
    other.send("DELE 1\r\nQUIT\r\n").await;
    assert_eq!(imap.line().await, "* 1 EXPUNGE");
    assert_eq!(imap.ask("DONE").await, "A0003 OK IDLE completed");
    // What comes between is told with the next command.
    office.inject(ALICE, MAIL.as_bytes());
    assert_eq!(imap.imap("A0004 NOOP").await, ["* 2 EXISTS", "* 1 RECENT"]);
    imap.expect("A0005 IDLE", "+ idling").await;
    assert_eq!(imap.ask("stop").await, "A0005 BAD Expected DONE");
    office.stop().await;
}

#[tokio::test]
async fn another_sessions_flags_are_told_once() {
    let office = office().await;
    office.inject(ALICE, MAIL.as_bytes());
    let mut one = Client::open(office.ports().imap).await;
    let mut two = Client::open(office.ports().imap).await;
    for imap in [&mut one, &mut two] {
        imap.imap_login(ALICE).await;
        imap.imap("A0002 SELECT INBOX").await;
    }
    one.imap("A0003 STORE 1 +FLAGS (\\Flagged)").await;
    assert_eq!(two.imap("A0003 NOOP").await, ["* 1 FETCH (UID 1 FLAGS (\\Flagged))"]);
    assert_eq!(two.imap("A0004 NOOP").await, [""; 0]);
    assert_eq!(one.imap("A0004 NOOP").await, [""; 0], "who changed it knows");
    assert_eq!(one.imap("A0005 STORE 1 -FLAGS (\\Flagged)").await, ["* 1 FETCH (FLAGS ())"]);
    assert_eq!(one.imap("A0006 STORE 1 FLAGS \\Seen").await, ["* 1 FETCH (FLAGS (\\Seen))"]);
    office.stop().await;
}

#[tokio::test]
async fn logins_work_by_literal_by_sasl_and_over_starttls() {
    let office = office().await;
    let mut imap = Client::open(office.ports().imap).await;
    assert!(imap.line().await.contains(" STARTTLS]"));
    imap.expect("a SELECT INBOX", "a BAD").await;
    imap.expect("a LOGIN alice@site.example wrong", "a NO [AUTHENTICATIONFAILED]").await;
    imap.expect("a LOGIN {18}", "+ ").await;
    imap.expect("alice@site.example {6}", "+ ").await;
    imap.expect(SECRET, "a OK").await;
    imap.expect("a LOGIN x y", "a BAD").await;
    imap.imap("b LOGOUT").await;

    let mut imap = Client::open(office.ports().imap).await;
    imap.line().await;
    imap.expect("a STARTTLS", "a OK").await;
    let mut imap = imap.into_tls(&office).await.expect("TLS");
    assert!(!imap.imap("b CAPABILITY").await[0].contains("STARTTLS"));
    imap.expect("c AUTHENTICATE PLAIN", "+ ").await;
    imap.expect("AGFsaWNlQHNpdGUuZXhhbXBsZQBzM2NyZXQ=", "c OK").await;
    imap.imap("d LOGOUT").await;

    let mut imap = Client::open(office.ports().imap).await;
    imap.line().await;
    imap.expect("a AUTHENTICATE PLAIN AGFsaWNlQHNpdGUuZXhhbXBsZQBzM2NyZXQ=", "a OK").await;
    assert_eq!((office.stats().logins.imap, office.stats().failed_logins.imap), (3, 1));
    office.stop().await;
}

#[tokio::test]
async fn the_commands_around_reading_are_answered() {
    let office = office().await;
    let mut imap = Client::open(office.ports().imap).await;
    imap.imap_login(ALICE).await;
    assert_eq!(imap.imap("a ID NIL").await, ["* ID NIL"]);
    assert_eq!(imap.imap("b LIST \"\" \"*\"").await, ["* LIST () \"/\" \"INBOX\""]);
    imap.expect("c SELECT \"Trash\"", "c NO").await;
    imap.expect("d UID FETCH 1 FLAGS", "d BAD").await;
    imap.expect("e APPEND INBOX (\\Seen) {8}", "+ ").await;
    imap.expect("a: b\r\n\r\n", "e OK [APPENDUID ").await;
    assert_eq!(
        imap.imap("f STATUS INBOX (MESSAGES UNSEEN UIDNEXT)").await,
        ["* STATUS \"INBOX\" (MESSAGES 1 UNSEEN 0 UIDNEXT 2)"]
    );
    imap.imap("g EXAMINE INBOX").await;
    imap.expect("h STORE 1 +FLAGS (\\Deleted)", "h NO [READ-ONLY]").await;
    imap.imap("i CLOSE").await;
    imap.expect("j FETCH 1 FLAGS", "j BAD").await;
    imap.imap("k SELECT INBOX").await;
    imap.imap("l STORE 1 +FLAGS.SILENT \\Deleted").await;
    imap.imap("m CLOSE").await;
    assert_eq!(office.mailbox_len(ALICE), 0);
    imap.expect("n COPY 1 Trash", "n NO").await;
    imap.expect("o CREATE Trash", "o NO").await;
    imap.expect("", "* BAD").await;
    office.stop().await;
}

#[tokio::test]
async fn the_waiting_for_mail_ends_with_the_mail_or_in_time() {
    let office = office().await;
    assert!(!office.wait_for_mails(ALICE, 1, std::time::Duration::from_millis(10)).await);
    let (waited, ()) = tokio::join!(office.wait_for_mails(ALICE, 2, SOON), async {
        office.inject(ALICE, b"one\r\n");
        office.inject(ALICE, b"two\r\n");
    });
    assert!(waited);
    assert!(!office.inject("nobody@site.example", b"x"));
    office.stop().await;
}
