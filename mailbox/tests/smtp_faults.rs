//! Submission against a small scripted server on loopback: refusals, faults, hangs and deaths at the worst moment.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use std::{sync::Arc, time::Duration};

use mailbox::{
    Account, AccountSettings, ConnectError, Limits, OutgoingMail, Password, Protocol, RecipientOutcome,
    Security, SendError, Server, Submission, accounts::Failure, smtp, smtp::NullPath,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
};

/// How the server behaves. The first that fits the start of a command line answers it; an empty answer hangs, `DIE` closes.
type Rules = &'static [(&'static str, &'static str)];

const EHLO: (&str, &str) =
    ("EHLO", "250-test.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n");
const STEPWISE: (&str, &str) = ("EHLO", "250-test.example\r\n250 AUTH PLAIN\r\n");
const REST: &[(&str, &str)] = &[
    ("AUTH", "235 2.7.0 in\r\n"),
    ("MAIL", "250 2.1.0 ok\r\n"),
    ("RCPT", "250 2.1.5 ok\r\n"),
    ("DATA", "354 go\r\n"),
    (".", "250 2.0.0 taken\r\n"),
    ("RSET", "250 ok\r\n"),
    ("QUIT", "221 bye\r\n"),
    ("EHLO", "250-test.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n"),
    ("STARTTLS", "220 go\r\n"),
];

/// Everything the server was told, line by line, DATA content included.
type Heard = mpsc::UnboundedReceiver<String>;

/// One server for one test, for any number of connections.
async fn server(greeting: &'static str, rules: Rules) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut tcp = BufReader::new(tcp);
                tcp.write_all(greeting.as_bytes()).await?;
                let (mut line, mut in_data) = (String::new(), false);
                while tcp.read_line(&mut line).await? > 0 {
                    let said = line.trim_end().to_owned();
                    line.clear();
                    // The test may be over already.
                    let _ = tell.send(said.clone());
                    if in_data && said != "." {
                        continue;
                    }
                    let answer = rules
                        .iter()
                        .chain(REST)
                        .find(|(start, _)| said.starts_with(start))
                        .map_or("500 what?\r\n", |rule| rule.1);
                    match answer {
                        "" => std::future::pending::<()>().await,
                        "DIE" => return Ok(()),
                        answer => tcp.write_all(answer.as_bytes()).await?,
                    }
                    in_data = said == "DATA" && answer.starts_with("354");
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    (port, heard)
}

fn account(port: u16, security: Security) -> Account {
    let server = Server { host: "127.0.0.1".into(), port, security };
    let settings = AccountSettings {
        name: "test".into(),
        address: "agent@site.example".into(),
        username: "user".into(),
        smtp: server.clone(),
        fetch: Protocol::Pop3,
        fetch_server: server,
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    Account::new(settings, Password::new("top-secret".into()))
}

/// Long enough for a busy machine; tests of hangs set the one limit that they mean.
fn patient() -> Limits {
    let long = Duration::from_secs(20);
    Limits {
        connect: long,
        operation: long,
        smtp_reply: long,
        progress: long,
        data_reply: long,
        ..Limits::default()
    }
}

const SHORT: Duration = Duration::from_millis(300);

fn mail(recipients: &[&str]) -> OutgoingMail {
    OutgoingMail {
        return_path: Some("agent@site.example".into()),
        recipients: recipients.iter().map(|recipient| (*recipient).into()).collect(),
        raw: Arc::from(&b"Subject: x\r\n\r\n.dot\r\nend\r\n"[..]),
    }
}

type Outcome = Result<Vec<(String, RecipientOutcome)>, SendError>;

async fn send(rules: Rules, recipients: &[&str]) -> (Outcome, Vec<String>) {
    send_within(&patient(), rules, recipients).await
}

async fn send_within(limits: &Limits, rules: Rules, recipients: &[&str]) -> (Outcome, Vec<String>) {
    let (port, mut heard) = server("220 test.example\r\n", rules).await;
    let outcome = smtp::send(&account(port, Security::Plain), limits, &mail(recipients)).await;
    let mut lines = Vec::new();
    while let Ok(line) = heard.try_recv() {
        lines.push(line);
    }
    (outcome, lines)
}

#[tokio::test]
async fn a_mail_goes_out_dot_stuffed_without_an_extra_line_at_its_end() {
    let (outcome, lines) = send(&[], &["a@center.example"]).await;
    assert_eq!(outcome.unwrap(), [("a@center.example".into(), RecipientOutcome::Accepted)]);
    let data = lines.iter().position(|line| line == "DATA").unwrap();
    assert_eq!(lines[data + 1..data + 6], ["Subject: x", "", "..dot", "end", "."]);
    assert!(lines.contains(&"MAIL FROM:<agent@site.example> SIZE=25".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn one_refused_recipient_of_two_does_not_stop_the_other() {
    for ehlo in [EHLO, STEPWISE] {
        let rules: Rules = if ehlo == EHLO {
            &[EHLO, ("RCPT TO:<gone", "550 5.1.1 no such user\r\n")]
        } else {
            &[STEPWISE, ("RCPT TO:<gone", "550 5.1.1 no such user\r\n")]
        };
        let (outcome, lines) = send(rules, &["gone@center.example", "here@center.example"]).await;
        let outcome = outcome.unwrap();
        let RecipientOutcome::Refused(reply) = &outcome[0].1 else { panic!("{outcome:?}") };
        assert_eq!((reply.code, reply.enhanced.as_deref()), (550, Some("5.1.1")));
        assert_eq!(outcome[1], ("here@center.example".into(), RecipientOutcome::Accepted));
        assert!(lines.contains(&"..dot".to_owned()));
    }
}

#[tokio::test]
async fn a_recipient_that_is_full_is_deferred_and_nothing_is_sent_if_it_was_the_only_one() {
    let (outcome, lines) = send(&[STEPWISE, ("RCPT", "452 4.2.2 full\r\n")], &["a@center.example"]).await;
    assert!(matches!(&outcome.unwrap()[0].1, RecipientOutcome::Deferred(reply) if reply.code == 452));
    assert!(!lines.contains(&"DATA".to_owned()));
}

#[tokio::test]
async fn many_recipients_go_in_groups_and_each_keeps_its_own_outcome() {
    let recipients: Vec<String> = (0..250)
        .map(|n| if n == 170 { "gone@x.example".into() } else { format!("r{n}@x.example") })
        .collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let (outcome, _) = send(&[EHLO, ("RCPT TO:<gone", "550 5.1.1 no\r\n")], &recipients).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.len(), 250);
    for (nth, (recipient, outcome)) in outcome.iter().enumerate() {
        assert_eq!(recipient, recipients[nth]);
        assert_eq!(matches!(outcome, RecipientOutcome::Refused(_)), nth == 170, "{recipient}");
    }
}

#[tokio::test]
async fn a_submission_broken_off_half_way_is_not_used_on() {
    let (port, _heard) = server("220 test.example\r\n", &[("MAIL", "")]).await;
    let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
    assert!(tokio::time::timeout(SHORT, submission.send(&mail(&["a@center.example"]))).await.is_err());
    assert!(matches!(submission.send(&mail(&["a@center.example"])).await, Err(SendError::Broken)));
}

#[tokio::test]
async fn when_all_are_refused_in_a_pipelined_group_the_waiting_server_gets_an_empty_mail() {
    let rules: Rules = &[EHLO, ("RCPT", "550 5.1.1 no\r\n"), (".", "554 5.5.1 no valid recipients\r\n")];
    let (outcome, lines) = send(rules, &["a@center.example", "b@center.example"]).await;
    assert!(outcome.unwrap().iter().all(|(_, outcome)| matches!(outcome, RecipientOutcome::Refused(_))));
    assert!(!lines.iter().any(|line| line.contains("Subject")) && lines.contains(&".".to_owned()));
}

#[tokio::test]
async fn a_connection_is_used_on_after_a_mail_that_nobody_took() {
    let rules: Rules = &[("RCPT TO:<gone", "550 5.1.1 no\r\n"), ("DATA", "354 go\r\n")];
    let (port, mut heard) = server("220 test.example\r\n", rules).await;
    let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
    submission.send(&mail(&["gone@center.example"])).await.unwrap();
    let outcome = submission.send(&mail(&["here@center.example"])).await.unwrap();
    assert_eq!(outcome[0].1, RecipientOutcome::Accepted);
    submission.quit().await.unwrap();
    let mut greetings = 0;
    while let Ok(line) = heard.try_recv() {
        greetings += usize::from(line.starts_with("AUTH"));
    }
    assert_eq!(greetings, 1);
}

#[tokio::test]
async fn permanent_and_transient_refusals_of_the_whole_mail_are_told_apart() {
    let (outcome, _) = send(&[("MAIL", "550 5.7.1 not you\r\n")], &["a@center.example"]).await;
    assert!(
        matches!(outcome, Err(SendError::Permanent(reply)) if reply.enhanced.as_deref() == Some("5.7.1"))
    );
    let (outcome, _) = send(&[("MAIL", "451 4.3.0 later\r\n")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Transient(reply)) if reply.code == 451));
    let (outcome, _) = send(&[(".", "554 5.6.0 content refused\r\n")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Permanent(reply)) if reply.code == 554));
    let (outcome, _) = send(&[(".", "452 4.3.1 disk full\r\n")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Transient(reply)) if reply.code == 452));
}

#[tokio::test]
async fn a_server_that_dies_after_the_final_dot_leaves_the_mail_unconfirmed() {
    let (outcome, _) = send(&[(".", "DIE")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Unconfirmed)), "{outcome:?}");
    let limits = Limits { data_reply: SHORT, ..patient() };
    let (outcome, _) = send_within(&limits, &[(".", "")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Unconfirmed)), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_hangs_or_dies_earlier_surely_has_not_taken_the_mail() {
    let hasty = Limits { operation: SHORT, smtp_reply: SHORT, ..patient() };
    let (outcome, _) = send_within(&hasty, &[("MAIL", "")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Timeout { .. })), "{outcome:?}");
    let (outcome, _) = send(&[("MAIL", "DIE")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Disconnected { .. })), "{outcome:?}");
    let (outcome, _) = send_within(&hasty, &[("EHLO", "")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Timeout { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_gave_up_is_broken() {
    let (port, _heard) = server("220 test.example\r\n", &[("MAIL", "421 4.3.2 closing\r\n")]).await;
    let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
    assert!(submission.send(&mail(&["a@center.example"])).await.is_err());
    assert!(submission.is_broken());
    assert!(matches!(submission.send(&mail(&["a@center.example"])).await, Err(SendError::Broken)));
}

#[tokio::test]
async fn a_refused_login_is_told_without_the_password_even_if_the_server_echoes_it() {
    let (outcome, _) = send(&[("AUTH", "535 5.7.8 top-secret is wrong\r\n")], &["a@center.example"]).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, SendError::LoginRefused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("top-secret"));
    let (outcome, _) = send(&[("AUTH", "454 4.7.0 later\r\n")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::Transient(_))));
    let (outcome, lines) = send(&[("EHLO", "250 test.example\r\n")], &["a@center.example"]).await;
    assert!(matches!(outcome, Err(SendError::NoLogin)) && lines.iter().all(|line| !line.starts_with("AUTH")));
}

#[tokio::test]
async fn the_size_that_the_operator_names_counts_where_it_is_less_than_the_servers() {
    for (named, limit) in [(Some(500), 500), (Some(5_000), 1_000), (None, 1_000)] {
        let (port, _) = server("220 test.example\r\n", &[]).await;
        let mut account = account(port, Security::Plain);
        account.settings.mail_octets_max = named;
        let mut submission = Submission::connect(&account, &patient()).await.unwrap();
        assert_eq!(submission.extensions().size_octets_max, Some(limit));
        let big = OutgoingMail { raw: vec![b'x'; 2_000].into(), ..mail(&["a@center.example"]) };
        let refused = submission.send(&big).await;
        assert!(matches!(refused, Err(SendError::TooLarge { limit_octets, .. }) if limit_octets == limit));
    }
}

#[tokio::test]
async fn a_mail_that_the_server_cannot_take_is_not_begun() {
    let (port, mut heard) = server("220 test.example\r\n", &[]).await;
    let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
    let big = OutgoingMail { raw: vec![b'x'; 2000].into(), ..mail(&["a@center.example"]) };
    assert!(matches!(submission.send(&big).await, Err(SendError::TooLarge { limit_octets: 1000, .. })));
    let umlaut = OutgoingMail { raw: Arc::from("ü".as_bytes()), ..mail(&["a@center.example"]) };
    assert!(matches!(submission.send(&umlaut).await, Err(SendError::EightBit)));
    for address in
        ["nonsense", "a@center.example>\r\nRCPT TO:<b@center.example", "ü@center.example", "a b@x>"]
    {
        assert!(
            matches!(submission.send(&mail(&[address])).await, Err(SendError::Address { .. })),
            "{address}"
        );
    }
    assert!(matches!(submission.send(&mail(&[])).await, Err(SendError::NoRecipients)));
    assert!(!submission.is_broken());
    while let Ok(line) = heard.try_recv() {
        assert!(!line.starts_with("MAIL"), "{line}");
    }
}

#[tokio::test]
async fn the_null_return_path_is_written_as_such() {
    let (port, mut heard) = server("220 test.example\r\n", &[]).await;
    let bounce = OutgoingMail { return_path: None, ..mail(&["a@center.example"]) };
    smtp::send(&account(port, Security::Plain), &patient(), &bounce).await.unwrap();
    let mut lines = Vec::new();
    while let Ok(line) = heard.try_recv() {
        lines.push(line);
    }
    assert!(lines.iter().any(|line| line.starts_with("MAIL FROM:<> ")), "{lines:?}");
}

#[tokio::test]
async fn gibberish_endless_lines_and_a_greeting_in_another_character_set() {
    let (port, _heard) = server("HTTP/1.1 400 Bad Request\r\n\r\n", &[]).await;
    assert!(smtp::check_login(&account(port, Security::Plain), &patient()).await.is_err());
    let endless: &'static str = Box::leak("2".repeat(200_000).into_boxed_str());
    let (port, _heard) = server(endless, &[]).await;
    assert!(smtp::check_login(&account(port, Security::Plain), &patient()).await.is_err());
    let (port, _heard) = server("220 Grüße vom Server\r\n", &[]).await;
    let report = smtp::check_login(&account(port, Security::Plain), &patient()).await.unwrap();
    assert_eq!(
        (report.server_name.as_str(), report.extensions.size_octets_max),
        ("test.example", Some(1000))
    );
}

#[tokio::test]
async fn without_an_offer_of_starttls_nothing_is_sent_in_plain() {
    let (port, mut heard) = server("220 test.example\r\n", &[]).await;
    let outcome = smtp::check_login(&account(port, Security::StartTls), &patient()).await;
    assert!(matches!(outcome, Err(SendError::Connect(ConnectError::NoStartTls))), "{outcome:?}");
    while let Ok(line) = heard.try_recv() {
        assert!(!line.starts_with("AUTH") && !line.starts_with("MAIL"), "{line}");
    }
}

#[tokio::test]
async fn plain_text_behind_the_answer_to_starttls_is_an_injection() {
    let rules: Rules = &[
        ("EHLO", "250-test.example\r\n250 STARTTLS\r\n"),
        ("STARTTLS", "220 go\r\n250-evil.example\r\n250 AUTH PLAIN\r\n"),
    ];
    let (port, _heard) = server("220 test.example\r\n", rules).await;
    let outcome = smtp::check_login(&account(port, Security::StartTls), &patient()).await;
    assert!(matches!(outcome, Err(SendError::Connect(ConnectError::Injection))), "{outcome:?}");
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error_that_names_host_and_port() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = smtp::check_login(&account(port, Security::Plain), &patient()).await.unwrap_err();
    assert!(matches!(error, SendError::Connect(ConnectError::Tcp { .. })));
    assert!(error.to_string().contains(&port.to_string()));
}

#[tokio::test]
async fn a_domain_beyond_ascii_travels_in_ascii_and_asks_nothing_of_the_server() {
    let (outcome, lines) = send(&[], &["service@müller.example"]).await;
    assert_eq!(outcome.unwrap()[0].1, RecipientOutcome::Accepted);
    assert!(lines.contains(&"RCPT TO:<service@xn--mller-kva.example>".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("SMTPUTF8") || line.contains("8BITMIME")), "{lines:?}");
}

#[tokio::test]
async fn a_local_part_beyond_ascii_goes_by_smtputf8_and_where_there_is_none_the_error_says_so() {
    const UTF8: Rules = &[("EHLO", "250-test.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN\r\n")];
    let (outcome, lines) = send(UTF8, &["δοκιμή@center.example"]).await;
    assert_eq!(outcome.unwrap()[0].1, RecipientOutcome::Accepted);
    assert!(lines.contains(&"MAIL FROM:<agent@site.example> SMTPUTF8".to_owned()), "{lines:?}");
    assert!(lines.contains(&"RCPT TO:<δοκιμή@center.example>".to_owned()), "{lines:?}");

    let (outcome, lines) = send(&[], &["δοκιμή@center.example"]).await;
    let error = outcome.unwrap_err();
    assert!(matches!(&error, SendError::Address { address } if address == "δοκιμή@center.example"));
    assert!(error.to_string().contains("SMTPUTF8"), "{error}");
    assert!(!lines.iter().any(|line| line.starts_with("MAIL")), "nothing is begun: {lines:?}");
}

#[tokio::test]
async fn a_header_beyond_ascii_needs_smtputf8_even_where_the_envelope_is_ascii() {
    const UTF8: Rules = &[("EHLO", "250-test.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN\r\n")];
    let raw = Arc::from("From: <büro@site.example>\r\n\r\nx\r\n".as_bytes());
    let mail = OutgoingMail { return_path: None, raw, ..mail(&["a@center.example"]) };
    for (rules, taken) in [(UTF8, true), (&[] as Rules, false)] {
        let (port, mut heard) = server("220 test.example\r\n", rules).await;
        let outcome = smtp::send(&account(port, Security::Plain), &patient(), &mail).await;
        assert_eq!(outcome.is_ok(), taken, "{outcome:?}");
        let mut lines = Vec::new();
        while let Ok(line) = heard.try_recv() {
            lines.push(line);
        }
        assert_eq!(lines.contains(&"MAIL FROM:<> BODY=8BITMIME SMTPUTF8".to_owned()), taken, "{lines:?}");
    }
}

#[tokio::test]
async fn where_the_null_return_path_is_refused_the_same_mail_goes_out_with_ours() {
    const NO_NULL: Rules = &[("MAIL FROM:<>", "550 5.7.1 null sender not allowed here\r\n")];
    for (rules, found) in [(NO_NULL, NullPath::Refused), (&[] as Rules, NullPath::Fine)] {
        let (port, mut heard) = server("220 test.example\r\n", rules).await;
        let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
        let (outcome, null_path) =
            submission.send_unreturned(mail(&["a@center.example"]), "agent@site.example").await;
        assert_eq!(outcome.unwrap()[0].1, RecipientOutcome::Accepted);
        assert_eq!(null_path, found);
        submission.quit().await.unwrap();
        let mut lines = Vec::new();
        while let Ok(line) = heard.try_recv() {
            lines.push(line);
        }
        let ours = lines.iter().any(|line| line.starts_with("MAIL FROM:<agent@site.example>"));
        assert_eq!(ours, found == NullPath::Refused, "{lines:?}");
        assert_eq!(
            lines.iter().filter(|line| *line == "end").count(),
            1,
            "its text goes out once: {lines:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_recipient_is_not_taken_for_a_matter_of_the_return_path() {
    let (port, mut heard) = server("220 test.example\r\n", &[("RCPT", "550 5.1.1 no such user\r\n")]).await;
    let mut submission = Submission::connect(&account(port, Security::Plain), &patient()).await.unwrap();
    let (outcome, null_path) =
        submission.send_unreturned(mail(&["a@center.example"]), "agent@site.example").await;
    assert!(matches!(outcome.unwrap()[0].1, RecipientOutcome::Refused(_)));
    assert_eq!(null_path, NullPath::Fine);
    submission.quit().await.unwrap();
    while let Ok(line) = heard.try_recv() {
        assert!(!line.starts_with("MAIL FROM:<agent"), "{line}");
    }
}

/// RFC 6761 section 6.4: no resolver knows a name below `invalid`, so it is as if the name service were gone.
#[tokio::test]
async fn a_name_that_cannot_be_found_is_named_and_works_again_as_soon_as_it_is_found() {
    let (port, _heard) = server("220 hello\r\n", &[EHLO]).await;
    let mut account = account(port, Security::Plain);
    account.settings.smtp.host = "mail.example.invalid".into();
    let error = Submission::connect(&account, &patient()).await.unwrap_err();
    assert!(error.to_string().contains("mail.example.invalid"), "{error}");
    assert_eq!(Failure::from(&error), Failure::Connection, "it is tried again soon");
    account.settings.smtp.host = "localhost".into();
    assert!(Submission::connect(&account, &patient()).await.is_ok());
}
