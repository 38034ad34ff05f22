use super::*;
use crate::sample::{Posting, agent, counters, credential, jam, keyring, later, now, version};
use mailfmt::Command;
use mailfmt::crypto::Direction;
use mailfmt::mail::returned::Kind;
use proptest::prelude::*;

fn verdict(raw: &[u8]) -> Verdict {
    judge(raw, &keyring(2), &Limits::default(), now())
}

fn discarded(raw: &[u8]) -> Discard {
    match verdict(raw) {
        Verdict::Discarded(reason) => reason,
        other => panic!("not thrown away: {other:?}"),
    }
}

#[test]
fn an_authentic_report_is_opened_and_kept_as_it_came() {
    let posting = Posting::of(1, jam("e1"));
    let Verdict::Report(arrived) = verdict(&posting.raw()) else { panic!("not accepted") };
    assert_eq!((arrived.agent, arrived.message, arrived.sequence), (agent(1), posting.id, 1));
    assert_eq!(arrived.report, jam("e1"));
    assert_eq!(Message::parse(Family::Report, arrived.payload.as_bytes()).unwrap(), posting.message);
}

#[test]
fn a_mail_that_is_none_of_ours_is_junk() {
    let raw = b"From: a@b\r\nTo: c@d\r\nSubject: Win a prize\r\n\r\nClick here\r\n";
    assert_eq!(discarded(raw), Discard::Junk(JunkReason::Foreign));
    let small = Limits { mail_octets: 10, ..Limits::default() };
    assert_eq!(
        judge(raw, &keyring(1), &small, now()),
        Verdict::Discarded(Discard::Junk(JunkReason::TooLarge))
    );
}

#[test]
fn an_out_of_office_note_is_no_report() {
    let raw = b"From: a@b\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away\r\n";
    let Verdict::Returned(returned) = verdict(raw) else { panic!("not told from a report") };
    assert_eq!(returned.kind, Kind::AutoReply);
}

#[test]
fn a_sender_that_nobody_introduced_is_unknown() {
    assert_eq!(discarded(&Posting::of(77, jam("e1")).raw()), Discard::UnknownSender);
}

#[test]
fn a_forged_sender_has_not_the_key() {
    let mut posting = Posting::of(1, jam("e1"));
    posting.credential = credential(&agent(2));
    assert_eq!(discarded(&posting.raw()), Discard::WrongKey);
}

#[test]
fn an_appliance_cannot_report_in_the_name_of_another_under_its_own_key() {
    // Sealed by 2 with its own channel, then relabelled as coming from 1.
    let honest = Posting::of(2, jam("e1"));
    let mut sealed = honest.sealed();
    let at = sealed.windows(12).position(|window| window == b"AGENT0000002").unwrap();
    sealed[at + 11] = b'1';
    assert_eq!(discarded(&honest.around(&sealed)), Discard::WrongKey);
}

#[test]
fn our_own_mail_sent_back_to_us_is_not_accepted() {
    let mut posting = Posting::of(1, jam("e1"));
    posting.direction = Direction::ToAppliance;
    assert_eq!(discarded(&posting.raw()), Discard::WrongKey);
}

#[test]
fn a_command_under_an_appliances_key_is_no_report() {
    let mut posting = Posting::of(1, jam("e1"));
    posting.message = Message::Command(Command::Ping(Default::default()));
    assert_eq!(discarded(&posting.raw()), Discard::NotAReport);
}

#[test]
fn a_report_past_its_expiry_is_not_acted_upon() {
    let mut posting = Posting::of(1, jam("e1"));
    posting.expires = later(-1);
    assert_eq!(discarded(&posting.raw()), Discard::Expired);
}

#[test]
fn a_report_of_a_clock_that_runs_ahead_counts_as_made_when_it_came() {
    let mut posting = Posting::of(1, jam("e1"));
    (posting.created, posting.expires) = (later(86_400), later(2 * 86_400));
    let Verdict::Report(arrived) = verdict(&posting.raw()) else { panic!("not accepted") };
    assert_eq!(arrived.created, now());
}

#[test]
fn a_report_of_a_kind_from_the_future_is_kept() {
    let unknown = Report::Unknown { kind: "weather".to_owned(), body: serde_json::json!({"rain": true}) };
    let Verdict::Report(arrived) = verdict(&Posting::of(1, unknown.clone()).raw()) else {
        panic!("not kept")
    };
    assert_eq!(arrived.report, unknown);
}

#[test]
fn a_known_kind_whose_body_changed_shape_is_kept_like_an_unknown_one() {
    let unknown = Report::Unknown { kind: "fault".to_owned(), body: serde_json::json!({"new": "shape"}) };
    let Verdict::Report(arrived) = verdict(&Posting::of(1, unknown.clone()).raw()) else {
        panic!("not kept")
    };
    assert_eq!(arrived.report, unknown);
}

#[test]
fn a_bounce_tells_which_of_our_messages_came_back() {
    let raw = b"From: MAILER-DAEMON@mail.example\r\nSubject: failed\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\
        --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.example\r\n\r\n\
        Final-Recipient: rfc822; agent1@site.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
        --b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
        Message-ID: <0102030405060708090a0b0c0d0e0f10.1@center.example>\r\n--b--\r\n";
    let Verdict::Returned(bounce) = verdict(raw) else { panic!("no bounce") };
    assert_eq!(bounce.recipients[0].address, "agent1@site.example");
    assert_eq!(bounce.messages.len(), 1);
}

#[test]
fn a_report_cut_anywhere_is_refused() {
    let posting = Posting::of(1, version("1.0.00-1", None));
    let sealed = posting.sealed();
    for length in (0..sealed.len()).step_by(7) {
        let verdict = verdict(&posting.around(&sealed[..length]));
        assert!(
            matches!(verdict, Verdict::Discarded(_) | Verdict::Mangled(_)),
            "cut at {length}: {verdict:?}"
        );
    }
}

#[test]
fn each_credential_that_counts_is_taken_and_told_apart() {
    let (present, before, admitted) = (credential(&agent(1)), credential(&agent(50)), credential(&agent(60)));
    let standing = KeyStanding::Admitted { exchange: 4 };
    let keys = ApplianceKeys {
        agent: agent(1),
        present: present.clone(),
        others: vec![(KeyStanding::Before, before.clone()), (standing, admitted.clone())],
        suspended: false,
    };
    let keyring = Keyring::of(&crate::sample::center(), &[keys]);
    for (credential, expected) in
        [(present, KeyStanding::Present), (before, KeyStanding::Before), (admitted, standing)]
    {
        let mut posting = Posting::of(1, jam("e1"));
        posting.credential = credential;
        let verdict = judge(&posting.raw(), &keyring, &Limits::default(), now());
        let Verdict::Report(arrived) = verdict else { panic!("not accepted: {verdict:?}") };
        assert_eq!(arrived.key, expected);
    }
    let Verdict::Report(arrived) = verdict(&Posting::of(1, jam("e1")).raw()) else { panic!("not accepted") };
    assert_eq!(arrived.key, KeyStanding::Only);
}

proptest! {
    #[test]
    fn a_report_with_any_flipped_bit_is_refused(bit in 0usize..(400 * 8)) {
        let posting = Posting::of(1, counters(4711, now()));
        let mut sealed = posting.sealed();
        let bit = bit % (sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        let verdict = verdict(&posting.around(&sealed));
        prop_assert!(matches!(verdict, Verdict::Discarded(_) | Verdict::Mangled(_)), "{:?}", verdict);
    }

    #[test]
    fn every_octet_string_gets_a_verdict_and_none_is_a_report(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(!matches!(verdict(&raw), Verdict::Report(_)));
    }
}
