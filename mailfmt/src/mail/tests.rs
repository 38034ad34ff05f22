use super::returned::{Cause, Kind, Standing};
use super::*;
use crate::crypto::{Credential, Direction};
use crate::envelope::{Addressee, Header, seal};
use crate::ids::{AgentId, CenterId, MessageId};
use crate::message::{Message, Report, report::RefusedReport};
use jiff::Timestamp;
use proptest::prelude::*;

const ID: [u8; 16] = [0xab; 16];

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn letter_and_attachment() -> (Header, Vec<u8>) {
    let agent = AgentId::new("AGENT0000001").unwrap();
    let key = Credential::from_bytes([7; 32]).channel(
        Direction::ToCenter,
        &agent,
        &CenterId::new("CENTER").unwrap(),
    );
    let message =
        Message::Report(Report::Refused(RefusedReport { kind: "dance".into(), reason: "no legs".into() }));
    let header = Header::new(&message, agent.into(), MessageId::from_bytes(ID), now(), now());
    let mut random = |buffer: &mut [u8]| buffer.fill(3);
    let sealed = seal(&header, &message, &[Addressee { key: &key, sequence: 1 }], &mut random).unwrap();
    (header, sealed)
}

fn mail() -> (Vec<u8>, Vec<u8>) {
    let (header, attachment) = letter_and_attachment();
    let letter = Letter {
        from: "agent@site.example",
        to: Some("center@center.example"),
        header: &header,
        date: header.created,
        sending: 1,
    };
    (compose(&letter, &attachment), attachment)
}

fn classified(raw: &[u8]) -> Classified {
    classify(raw, &Limits::default())
}

fn came_back(raw: &[u8]) -> returned::Returned {
    match classified(raw) {
        Classified::Returned(returned) => *returned,
        other => panic!("did not come back: {other:?}"),
    }
}

#[test]
fn our_mail_is_readable_and_gives_its_attachment_back() {
    let (raw, attachment) = mail();
    let text = String::from_utf8(raw.clone()).unwrap();
    assert!(text.contains("Subject: Device monitor report\r\n"));
    assert!(text.contains("Auto-Submitted: auto-generated\r\n"));
    assert!(text.contains("Nothing needs to be done."));
    assert!(text.lines().all(|line| line.len() <= 78), "no line is longer than a mail line should be");
    assert!(raw.is_ascii() && !raw.contains(&0), "7-bit safe");
    assert!(!text.contains("AGENT0000001"), "no id outside the attachment");
    assert_eq!(classified(&raw), Classified::Ours { attachment });
}

#[test]
fn the_date_is_that_of_the_writing_in_utc_and_each_sending_has_a_message_id_of_its_own() {
    let (header, attachment) = letter_and_attachment();
    let later = now() + jiff::SignedDuration::from_hours(50);
    let letter = |sending| {
        let (from, to) = ("agent@site.example", Some("center@center.example"));
        let raw = compose(&Letter { from, to, header: &header, date: later, sending }, &attachment);
        String::from_utf8(raw).unwrap()
    };
    assert!(letter(1).contains("\r\nDate: Sun, 04 Jan 2026 05:04:05 +0000\r\n"), "{}", letter(1));
    let id =
        |sending| letter(sending).lines().find(|line| line.starts_with("Message-ID:")).map(ToOwned::to_owned);
    assert_eq!(id(3).unwrap(), format!("Message-ID: <{}.3@site.example>", header.message));
    assert_ne!(id(3), id(4));
}

#[test]
fn a_mail_to_many_names_none_of_them_and_is_not_addressed_to_nobody() {
    let (header, attachment) = letter_and_attachment();
    let letter = Letter { from: "center@center.example", to: None, header: &header, date: now(), sending: 1 };
    let text = String::from_utf8(compose(&letter, &attachment)).unwrap();
    assert!(text.contains("\r\nTo: Device monitors:;\r\n"));
    assert!(!text.to_lowercase().contains("undisclosed"));
    let mail = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
    assert!(
        mail.to().is_some_and(|to| to.iter().all(|address| address.address().is_none())),
        "{:?}",
        mail.to()
    );
}

#[test]
fn a_person_sees_who_wrote_and_an_address_beyond_ascii_stands_as_it_is() {
    let (header, attachment) = letter_and_attachment();
    let (from, to) = ("büro@xn--mller-kva.example", "δοκιμή@site.example");
    let letter = Letter { from, to: Some(to), header: &header, date: now(), sending: 1 };
    let raw = compose(&letter, &attachment);
    let mail = mail_parser::MessageParser::default().parse(&raw).unwrap();
    let sender = mail.from().unwrap().first().unwrap();
    assert_eq!((sender.name(), sender.address()), (Some("Device monitor"), Some(from)));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some(to));
    assert!(mail.message_id().unwrap().is_ascii());
    assert_eq!(classified(&raw), Classified::Ours { attachment });
}

#[test]
fn a_mail_with_the_largest_attachment_for_its_size_is_no_larger_and_hardly_smaller() {
    let (header, _) = letter_and_attachment();
    let address = format!("{}@{}.example", "a".repeat(64), "b".repeat(254 - 64 - 9));
    assert_eq!(address.len(), 254);
    let letter = Letter {
        from: &address,
        to: Some(&address),
        header: &header,
        date: header.created,
        sending: u32::MAX,
    };
    for limit in [4_096, 65_536, 100_001, 1_000_000] {
        let raw = compose(&letter, &vec![7; attachment_octets_max(limit)]);
        assert!(raw.len() <= limit && raw.len() + 2_048 > limit, "{} of {limit}", raw.len());
    }
    assert_eq!(attachment_octets_max(1_000), 0);
}

#[test]
fn a_mail_with_bare_line_feeds_is_still_ours() {
    let (raw, attachment) = mail();
    let bare: Vec<u8> = raw.into_iter().filter(|octet| *octet != b'\r').collect();
    assert_eq!(classified(&bare), Classified::Ours { attachment });
}

#[test]
fn the_parcel_splits_where_the_envelope_ends() {
    let (_, envelope) = letter_and_attachment();
    let octets = [envelope.as_slice(), b"enclosure"].concat();
    let parcel = Parcel::split(&octets, &Limits::default()).unwrap();
    assert_eq!(parcel.envelope, envelope);
    assert_eq!(parcel.enclosure, b"enclosure");
    assert_eq!(parcel.claimed.header.message, MessageId::from_bytes(ID));
}

#[test]
fn a_delivery_status_notification_names_message_recipient_and_cause() {
    let (ours, _) = mail();
    let raw = [
        b"From: MAILER-DAEMON@mail.example\r\nTo: center@center.example\r\nSubject: Undelivered\r\n\
          Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
          Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
          --b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
          --b\r\nContent-Type: message/delivery-status\r\n\r\n\
          Reporting-MTA: dns; mail.example\r\n\r\n\
          Final-Recipient: rfc822; agent@site.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
          Diagnostic-Code: smtp; 550 5.1.1 no such\r\n  mailbox\r\n\r\n\
          --b\r\nContent-Type: message/rfc822\r\n\r\n"
            .as_slice(),
        &ours,
        b"\r\n--b--\r\n",
    ]
    .concat();
    let bounce = came_back(&raw);
    assert_eq!((bounce.kind, bounce.cause), (Kind::Bounce, Some(Cause::NoSuchUser)));
    assert_eq!(bounce.messages, [MessageId::from_bytes(ID)]);
    let [recipient] = &bounce.recipients[..] else { panic!("{bounce:?}") };
    assert_eq!((recipient.address.as_str(), recipient.standing), ("agent@site.example", Standing::Failed));
    assert_eq!(recipient.status.unwrap().to_string(), "5.1.1");
    assert_eq!(bounce.diagnostic, "550 5.1.1 no such mailbox");
}

#[test]
fn a_bounce_in_free_text_is_known_by_the_message_it_quotes() {
    let raw = format!(
        "From: postmaster@mail.example\r\nSubject: Mail could not be delivered\r\n\r\n\
         The mail below could not be delivered.\r\n\r\nMessage-ID: <{}.1@center.example>\r\n",
        MessageId::from_bytes(ID)
    );
    let bounce = came_back(raw.as_bytes());
    assert_eq!((bounce.kind, bounce.cause), (Kind::Bounce, Some(Cause::Unknown)));
    assert_eq!(bounce.messages, [MessageId::from_bytes(ID)]);
    assert_eq!(bounce.diagnostic, "Mail could not be delivered");
}

#[test]
fn automatic_answers_are_told_from_junk() {
    let out_of_office = b"From: a@site.example\r\nAuto-Submitted: auto-replied (vacation)\r\nSubject: away\r\n\r\nBack soon.\r\n";
    assert_eq!(came_back(out_of_office).kind, Kind::AutoReply);
    let read_receipt = b"From: a@site.example\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nread\r\n--b--\r\n";
    assert_eq!(came_back(read_receipt).kind, Kind::Read);
    let person = b"From: a@site.example\r\nAuto-Submitted: no\r\nSubject: hello\r\n\r\nHello.\r\n";
    assert_eq!(classified(person), Classified::Junk(JunkReason::Foreign));
}

#[test]
fn a_mail_over_the_limit_is_junk_unread() {
    let limits = Limits { mail_octets: 10, ..Limits::default() };
    assert_eq!(classify(&mail().0, &limits), Classified::Junk(JunkReason::TooLarge));
}

#[test]
fn nested_parts_without_end_are_survived() {
    let mut raw = b"MIME-Version: 1.0\r\n".to_vec();
    for level in 0..20_000 {
        raw.extend(
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").into_bytes(),
        );
    }
    assert!(matches!(classified(&raw), Classified::Junk(_)));
}

proptest! {
    #[test]
    fn any_octets_get_a_verdict(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let ours = matches!(classified(&raw), Classified::Ours { .. });
        prop_assert!(!ours);
    }

    #[test]
    fn a_mail_cut_anywhere_gets_a_verdict(cut in 0usize..1500) {
        let (raw, attachment) = mail();
        let cut = cut.min(raw.len());
        if let Classified::Ours { attachment: found } = classified(&raw[..cut]) {
            prop_assert!(attachment.starts_with(&found));
        }
    }
}

#[test]
fn our_mail_in_armoured_text_is_readable_and_gives_its_octets_back() {
    let (header, attachment) = letter_and_attachment();
    let letter = Letter {
        from: "agent@site.example",
        to: Some("center@center.example"),
        header: &header,
        date: now(),
        sending: 1,
    };
    let raw = compose_as(Form::Armoured, &letter, &attachment);
    let text = String::from_utf8(raw.clone()).unwrap();
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 78));
    assert!(text.contains("The lines below are encrypted") && !text.contains("attached file"));
    assert!(!text.contains("AGENT0000001"), "no id in the clear");
    assert_eq!(classified(&raw), Classified::Ours { attachment: attachment.clone() });
    assert_eq!(form_of(&raw), Form::Armoured);
    assert_eq!(form_of(&compose_as(Form::Opaque, &letter, &attachment)), Form::Opaque);
}

#[test]
fn an_armoured_mail_with_the_most_octets_for_its_size_is_no_larger() {
    let (header, _) = letter_and_attachment();
    let letter = Letter { from: "a@b.example", to: None, header: &header, date: now(), sending: 1 };
    for octets in [64 << 10, 1_000_000] {
        let most = octets_max(Form::Armoured, octets);
        let raw = compose_as(Form::Armoured, &letter, &vec![7; most]);
        assert!(raw.len() <= octets && octets - raw.len() < 4_000, "{} of {octets}", raw.len());
    }
    assert_eq!(octets_max(Form::Armoured, 50_000_000), octets_max(Form::Armoured, 6 << 20));
}
