use super::*;
use mailfmt::crypto::{Credential, Direction};
use mailfmt::envelope::{Addressee, Extras, Header, seal_with};
use mailfmt::mail::{Letter, compose};
use mailfmt::message::command::TrustRoots;
use mailfmt::message::report::RefusedReport;
use mailfmt::message::{CounterRequest, VersionRequest};
use mailfmt::trust::{Role, Root, SignedRoot, SigningKey};
use mailfmt::{AgentId, Nonce, Report};
use proptest::prelude::*;
use std::convert::Infallible;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-01-02T03:04:05Z")
}

fn agent() -> AgentId {
    AgentId::new("AGENT0000001").unwrap()
}

fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

fn key(secret: u8, direction: Direction, agent: &AgentId) -> ChannelKey {
    Credential::from_bytes([secret; 32]).channel(direction, agent, &center())
}

/// A mail as the center writes it, with everything that a test may want to get wrong.
struct Draft {
    message: Message,
    key: ChannelKey,
    from: &'static str,
    sender: CenterId,
    sequence: u64,
    created: Timestamp,
    expires: Timestamp,
    enclosure: Vec<u8>,
    signer: Option<SigningKey>,
}

fn draft() -> Draft {
    Draft {
        message: Message::Command(Command::Counters(CounterRequest::default())),
        key: key(7, Direction::ToAppliance, &agent()),
        from: "center@center.example",
        sender: center(),
        sequence: 5,
        created: at("2026-01-02T00:00:00Z"),
        expires: at("2026-01-03T00:00:00Z"),
        enclosure: Vec::new(),
        signer: None,
    }
}

const ID: MessageId = MessageId::from_bytes([0xcd; 16]);

impl Draft {
    fn mail(&self) -> Vec<u8> {
        let header = Header::new(&self.message, self.sender.clone().into(), ID, self.created, self.expires);
        let mut filling = 0u8;
        let mut random = |buffer: &mut [u8]| {
            filling = filling.wrapping_add(1);
            buffer.fill(filling);
        };
        let addressee = Addressee { key: &self.key, sequence: self.sequence };
        let extras = Extras { signer: self.signer.as_ref(), follows: Some(4), begins: None, slot: None };
        let mut attachment = seal_with(&header, &self.message, &[addressee], &extras, &mut random).unwrap();
        attachment.extend(&self.enclosure);
        let letter = Letter {
            from: self.from,
            to: Some("agent@site.example"),
            header: &header,
            date: header.created,
            sending: 1,
        };
        compose(&letter, &attachment)
    }
}

fn verdict_with(raw: &[u8], seen: Seen) -> Verdict {
    verdict_of(raw, seen, None)
}

fn verdict_of(raw: &[u8], seen: Seen, trusted: Option<&TrustedRoot>) -> Verdict {
    let (center, to_appliance) = (center(), key(7, Direction::ToAppliance, &agent()));
    let keys = Keys { center: &center, to_appliance: &[&to_appliance], trusted };
    judge(raw, keys, |_| Ok::<_, Infallible>(seen), &Limits::default(), &ClockState::certain(now())).unwrap()
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

/// Roots 1 to `count`; the command key of root N is that of seed 100 + N.
fn chain(count: u8) -> Vec<SignedRoot> {
    let root = |version: u8| Root {
        version: u64::from(version),
        center: center(),
        created: at("2026-01-01T00:00:00Z"),
        expires: at("2036-01-01T00:00:00Z"),
        root: Role::of(signer(1).public()),
        release: Role::of(signer(2).public()),
        command: Role::of(signer(100 + version).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    (1..=count)
        .map(|version| SignedRoot::unsigned(&root(version)).unwrap().sign(&signer(1)).unwrap())
        .collect()
}

fn trusted() -> TrustedRoot {
    TrustedRoot::first(&chain(1)).unwrap()
}

fn verdict_under_root(draft: &Draft) -> Verdict {
    verdict_of(&draft.mail(), Seen::default(), Some(&trusted()))
}

#[test]
fn with_a_root_only_what_a_command_key_signed_is_acted_on() {
    let signed = Draft { signer: Some(signer(101)), ..draft() };
    assert!(matches!(verdict_under_root(&signed), Verdict::Accepted { .. }));
    for signer in [None, Some(signer(2)), Some(signer(1)), Some(signer(102))] {
        let forged = Draft { signer, ..draft() };
        assert_eq!(verdict_under_root(&forged), Verdict::Junk(JunkReason::Unsigned));
    }
}

#[test]
fn an_unsigned_receipt_settles_nothing() {
    let receipt = Receipt {
        report: MessageId::from_bytes([1; 16]),
        number: 12,
        received: now(),
        content: "fault".into(),
        description: "jam".into(),
        latest: None,
    };
    let draft = Draft { message: Message::Receipt(receipt), ..draft() };
    assert_eq!(verdict_under_root(&draft), Verdict::Junk(JunkReason::Unsigned));
    let signed = Draft { signer: Some(signer(101)), ..draft };
    assert!(matches!(verdict_under_root(&signed), Verdict::Receipt { .. }));
}

#[test]
fn roots_may_come_signed_by_the_command_key_that_they_bring() {
    let roots = |told: &[SignedRoot], seed: u8| {
        let command = Command::TrustRoots(TrustRoots { roots: told.to_vec() });
        verdict_under_root(&Draft {
            message: Message::Command(command),
            signer: Some(signer(seed)),
            ..draft()
        })
    };
    let all = chain(21);
    assert!(matches!(roots(&all[1..], 121), Verdict::Accepted { .. }), "twenty roots in one mail");
    assert!(matches!(roots(&all[1..], 101), Verdict::Accepted { .. }), "by the key known so far");
    assert_eq!(roots(&all[1..], 120), Verdict::Junk(JunkReason::Unsigned), "a key of a root in between");
    assert_eq!(roots(&all[1..], 50), Verdict::Junk(JunkReason::Unsigned), "a stranger");
    assert_eq!(
        roots(&all[2..], 121),
        Verdict::Junk(JunkReason::Unsigned),
        "a chain with a gap brings no key"
    );
    let other = Draft { signer: Some(signer(121)), ..draft() };
    assert_eq!(
        verdict_under_root(&other),
        Verdict::Junk(JunkReason::Unsigned),
        "another command under a key to come"
    );
}

#[test]
fn a_mail_under_the_next_credential_is_taken_and_known_as_such() {
    let (center, current, next) = (center(), key(6, Direction::ToAppliance, &agent()), draft().key);
    let keys = Keys { center: &center, to_appliance: &[&current, &next], trusted: None };
    let clock = ClockState::certain(now());
    let verdict =
        judge(&draft().mail(), keys, |_| Ok::<_, Infallible>(Seen::default()), &Limits::default(), &clock)
            .unwrap();
    assert_eq!(verdict.authentic().map(|authentic| authentic.key), Some(1));
    assert_eq!(verdict.authentic().and_then(|authentic| authentic.follows), Some(4));
}

fn verdict(raw: &[u8]) -> Verdict {
    verdict_with(raw, Seen::default())
}

#[test]
fn a_command_of_our_center_is_accepted() {
    let Verdict::Accepted { authentic, command, enclosure } = verdict(&draft().mail()) else {
        panic!("not accepted")
    };
    assert_eq!((authentic.message, authentic.sequence), (ID, 5));
    assert_eq!(command, Command::Counters(CounterRequest::default()));
    assert!(enclosure.is_empty());
}

#[test]
fn a_forged_sender_address_neither_helps_nor_harms() {
    let forged = Draft { from: "attacker@evil.example", ..draft() };
    assert!(matches!(verdict(&forged.mail()), Verdict::Accepted { .. }));
    let wrong_key = Draft { key: key(8, Direction::ToAppliance, &agent()), ..draft() };
    assert_eq!(verdict(&wrong_key.mail()), Verdict::Junk(JunkReason::NotForUs));
}

#[test]
fn a_mail_for_another_appliance_is_junk() {
    let other = AgentId::new("AGENT0000002").unwrap();
    let mail = Draft { key: key(7, Direction::ToAppliance, &other), ..draft() }.mail();
    assert_eq!(verdict(&mail), Verdict::Junk(JunkReason::NotForUs));
}

#[test]
fn our_own_report_sent_back_to_us_is_junk() {
    let report = Message::Report(Report::Refused(RefusedReport { kind: "x".into(), reason: "y".into() }));
    let mirrored = Draft { message: report.clone(), key: key(7, Direction::ToCenter, &agent()), ..draft() };
    assert_eq!(verdict(&mirrored.mail()), Verdict::Junk(JunkReason::NotForUs));
    let confused_center = Draft { message: report, ..draft() };
    assert_eq!(verdict(&confused_center.mail()), Verdict::Junk(JunkReason::Misdirected));
}

#[test]
fn a_center_by_another_name_is_junk_even_under_our_key() {
    let mail = Draft { sender: CenterId::new("OTHER").unwrap(), ..draft() }.mail();
    assert_eq!(verdict(&mail), Verdict::Junk(JunkReason::Misdirected));
}

#[test]
fn an_expired_command_is_not_carried_out() {
    let mail = Draft { expires: at("2026-01-02T03:04:04Z"), ..draft() }.mail();
    assert!(matches!(verdict(&mail), Verdict::Expired { authentic } if authentic.message == ID));
}

#[test]
fn a_command_that_came_before_is_a_repeat() {
    let seen = Seen { before: true, newest: None };
    assert!(matches!(verdict_with(&draft().mail(), seen), Verdict::Repeat { .. }));
}

#[test]
fn a_command_made_long_before_others_that_came_is_refused_and_a_late_one_is_not() {
    let draft = Draft { expires: at("2036-01-01T00:00:00Z"), ..draft() };
    let after = |window: SignedDuration| Seen { before: false, newest: Some(draft.created + window) };
    assert!(matches!(verdict_with(&draft.mail(), after(AGE_WINDOW)), Verdict::Accepted { .. }));
    let stale = after(AGE_WINDOW + SignedDuration::from_secs(1));
    assert!(matches!(
        verdict_with(&draft.mail(), stale),
        Verdict::Refused { reason: RefusedReason::Stale { newest }, .. } if newest == stale.newest.unwrap()
    ));
}

#[test]
fn an_unknown_kind_is_refused_with_its_name() {
    let unknown = Command::Unknown { kind: "make-tea".into(), body: serde_json::json!({"sugar": 2}) };
    let mail = Draft { message: Message::Command(unknown), ..draft() }.mail();
    let Verdict::Refused { kind, reason, .. } = verdict(&mail) else { panic!("not refused") };
    assert_eq!((kind.as_str(), reason), ("make-tea", RefusedReason::UnknownKind));
}

#[test]
fn a_known_kind_with_an_impossible_body_is_refused() {
    let odd = Command::Unknown { kind: "version-request".into(), body: serde_json::json!({"nonce": 7}) };
    let mail = Draft { message: Message::Command(odd), ..draft() }.mail();
    assert!(matches!(verdict(&mail), Verdict::Refused { reason: RefusedReason::Unreadable, .. }));
}

#[test]
fn a_receipt_is_known_as_such() {
    let receipt = Receipt {
        report: MessageId::from_bytes([1; 16]),
        number: 12,
        received: now(),
        content: "fault".into(),
        description: "jam".into(),
        latest: None,
    };
    let mail = Draft { message: Message::Receipt(receipt.clone()), ..draft() }.mail();
    let Verdict::Receipt { receipt: found, .. } = verdict(&mail) else { panic!("no receipt") };
    assert_eq!(found, receipt);
}

#[test]
fn what_follows_the_envelope_comes_along() {
    let nonce = Nonce::from_bytes([3; 16]);
    let message = Message::Command(Command::Version(VersionRequest { nonce }));
    let mail = Draft { message, enclosure: vec![9; 1000], ..draft() }.mail();
    let Verdict::Accepted { enclosure, .. } = verdict(&mail) else { panic!("not accepted") };
    assert_eq!(enclosure, vec![9; 1000]);
}

#[test]
fn a_mail_beyond_the_limit_is_junk_unread() {
    let (center, to_appliance) = (center(), key(7, Direction::ToAppliance, &agent()));
    let keys = Keys { center: &center, to_appliance: &[&to_appliance], trusted: None };
    let limits = Limits { mail_octets: 100, ..Limits::default() };
    let verdict = judge(
        &draft().mail(),
        keys,
        |_| Ok::<_, Infallible>(Seen::default()),
        &limits,
        &ClockState::certain(now()),
    )
    .unwrap();
    assert_eq!(verdict, Verdict::Junk(JunkReason::Mail(mailfmt::mail::JunkReason::TooLarge)));
}

#[test]
fn a_journal_that_cannot_be_read_gives_no_verdict() {
    let (center, to_appliance) = (center(), key(7, Direction::ToAppliance, &agent()));
    let keys = Keys { center: &center, to_appliance: &[&to_appliance], trusted: None };
    assert_eq!(
        judge(&draft().mail(), keys, |_| Err("disk"), &Limits::default(), &ClockState::certain(now())),
        Err("disk")
    );
}

proptest! {
    #[test]
    fn any_octets_get_a_verdict_and_are_never_accepted(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let accepted = matches!(verdict(&raw), Verdict::Accepted { .. });
        prop_assert!(!accepted);
    }

    #[test]
    fn a_cut_mail_is_never_acted_on(keep: proptest::sample::Index) {
        let mail = draft().mail();
        // Behind the last symbol of base64 only padding and the closing boundary are lost, and with them nothing of the message.
        let end = mail.windows(4).rposition(|window| window == b"\r\n--").unwrap();
        let end = mail[..end].iter().rposition(|octet| *octet != b'=').unwrap() + 1;
        let cut = &mail[..keep.index(end)];
        let verdict = verdict(cut);
        prop_assert!(!matches!(verdict, Verdict::Accepted { .. } | Verdict::Refused { .. } | Verdict::Repeat { .. }), "{verdict:?}");
    }

    #[test]
    fn a_changed_attachment_is_never_acted_on(place: proptest::sample::Index, bit in 0u8..8) {
        let mail = draft().mail();
        let text = String::from_utf8(mail).unwrap();
        let start = text.rfind("\r\n\r\n").unwrap() + 4;
        let end = text.rfind("\r\n--").unwrap();
        let mut octets = text.into_bytes();
        let changed = start + place.index(end - start);
        let before = octets[changed];
        octets[changed] ^= 1 << bit;
        // Line breaks and padding are not part of what base64 carries, nor are the unused bits in front of padding.
        prop_assume!(!matches!(before, b'\r' | b'\n' | b'=') && changed + 4 < end);
        let verdict = verdict(&octets);
        prop_assert!(!matches!(verdict, Verdict::Accepted { .. } | Verdict::Refused { .. } | Verdict::Repeat { .. }), "{verdict:?}");
    }
}
