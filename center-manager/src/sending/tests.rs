use super::retry::TRIES_OF_A_REFUSED_MAIL;
use super::*;
use crate::sample::{Numbers, agent, center, credential, later, now};
use crate::settings::Settings;
use mailbox::RecipientOutcome;
use mailbox::smtp::ServerReply;
use mailfmt::conditions::Conditions;
use mailfmt::crypto::{ContentKey, Direction};
use mailfmt::mail::{Classified, Form, Parcel, classify};
use mailfmt::message::{ConditionalOrder, UpdateOrder};
use mailfmt::trust::Role;
use mailfmt::{MessageId, SoftwareVersion};
use proptest::prelude::*;

fn settings() -> Settings {
    Settings::parse(
        r#"
center = "CENTER"
address = "center@center.example"
retry_pause_secs = 30
retry_pause_max_secs = 600
[[account]]
name = "main"
address = "center@center.example"
username = "center"
fetch = "imap"
smtp = { host = "localhost", port = 465, security = "tls" }
fetch_server = { host = "localhost", port = 993, security = "tls" }
"#,
    )
    .unwrap()
}

fn due(outbox: i64, number: u32) -> Due {
    Due {
        outbox: OutboxId(outbox),
        agent: agent(number),
        address: format!("agent{number}@site.example"),
        sequence: u64::from(number),
        attempts: 0,
        form: Form::Opaque,
    }
}

fn outgoing(message: &Message) -> Outgoing {
    Outgoing {
        outbox: OutboxId(1),
        id: MessageId::from_bytes([3; 16]),
        family: message.family(),
        payload: String::from_utf8(message.write()).unwrap(),
        in_reply_to: None,
        package: None,
        created: now(),
        expires: later(3600),
        sendings: 0,
        cut: None,
        part: None,
    }
}

fn with_keys(dues: impl IntoIterator<Item = Due>) -> Vec<(Due, ChannelKey)> {
    let key = |due: &Due| credential(&due.agent).channel(Direction::ToAppliance, &due.agent, &center());
    dues.into_iter().map(|due| (due.clone(), key(&due))).collect()
}

fn from<'a>(center: &'a CenterId) -> From<'a> {
    From {
        center,
        address: "center@center.example",
        signer: None,
        follows: None,
        begins: None,
        date: now(),
        latest: None,
        slot: None,
    }
}

proptest! {
    #[test]
    fn every_recipient_is_in_exactly_one_mail_of_its_message(
        groups in proptest::collection::vec(1u32..40, 0..6),
        at_most in 1usize..15,
    ) {
        let mut all = Vec::new();
        for (message, size) in (0i64..).zip(&groups) {
            all.extend((0..*size).map(|number| due(message, number)));
        }
        let plans = plan(&all, at_most);
        for plan in &plans {
            prop_assert!(!plan.recipients.is_empty() && plan.recipients.len() <= at_most);
            prop_assert!(plan.recipients.iter().all(|due| due.outbox == plan.outbox));
        }
        let planned: Vec<_> =
            plans.iter().flat_map(|plan| &plan.recipients).map(|due| (due.outbox, due.agent.clone())).collect();
        let wanted: Vec<_> = all.iter().map(|due| (due.outbox, due.agent.clone())).collect();
        prop_assert_eq!(planned, wanted);
    }

    #[test]
    fn pauses_grow_and_have_an_end(attempts in 0u32..200) {
        let settings = settings();
        let pause = |attempts| next_try(now(), attempts, &settings).duration_since(now());
        prop_assert!(pause(attempts) <= pause(attempts + 1));
        prop_assert!(pause(attempts) >= settings.retry_pause && pause(attempts) <= settings.retry_pause_max);
    }
}

#[test]
fn one_mail_is_opened_by_each_of_its_recipients_and_names_none_of_them() {
    let message = Message::Command(Command::Ping(Default::default()));
    let recipients = with_keys((1..=3).map(|number| due(1, number)));
    let center = center();
    let mail =
        write_mail(&outgoing(&message), 1, &recipients, from(&center), Behind::Nothing, &mut Numbers::new(1))
            .unwrap();
    assert_eq!(mail.recipients.len(), 3);
    let text = String::from_utf8(mail.raw.to_vec()).unwrap();
    assert!(!text.contains("agent1@") && !text.contains("AGENT"), "{text}");
    let Classified::Ours { attachment } = classify(&mail.raw, &Limits::default()) else { panic!("not ours") };
    for (due, key) in &recipients {
        let opened = envelope::open(&attachment, key, &Limits::default(), now()).unwrap();
        assert_eq!(opened.message().unwrap(), message);
        assert_eq!(opened.sequence(), due.sequence);
    }
}

#[test]
fn the_package_travels_behind_the_envelope_as_it_was_ordered() {
    let package = vec![42; 100_000];
    let key = ContentKey::generate(&mut Numbers::new(5));
    let enclosed = mailfmt::package::enclose(&package, &key);
    let order_of = |outgoing: &Outgoing| order(outgoing).unwrap();
    let update = |octets: u64| {
        Message::Command(Command::Update(UpdateOrder {
            package: Digest::of(b"manifest"),
            target: SoftwareVersion::new("1.0.02-0").unwrap(),
            enclosure: Digest::of(&enclosed),
            enclosure_octets: octets,
            content_key: key.clone(),
            permit: None,
            parts: None,
            approval: None,
        }))
    };
    let good = outgoing(&update(enclosed.len() as u64));
    let behind = enclosure(&order_of(&good), &package).unwrap();
    let recipients = with_keys([due(1, 1)]);
    let center = center();
    let mail =
        write_mail(&good, 1, &recipients, from(&center), Behind::Octets(&behind), &mut Numbers::new(1))
            .unwrap();
    let Classified::Ours { attachment } = classify(&mail.raw, &Limits::default()) else { panic!("not ours") };
    let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
    assert_eq!(mailfmt::package::unwrap(parcel.enclosure, &key, &Limits::default()).unwrap(), package);

    assert!(
        matches!(enclosure(&order_of(&good), &package[1..]), Err(ComposeError::Enclosure)),
        "another file"
    );
    let wrong_length = outgoing(&update(7));
    assert!(matches!(enclosure(&order_of(&wrong_length), &package), Err(ComposeError::Enclosure)));
    assert!(!format!("{good:?}").contains(&key.expose_hex()), "the key is not printed");
    let ping = outgoing(&Message::Command(Command::Ping(Default::default())));
    assert!(matches!(order(&ping), Err(ComposeError::NotAnOrder)));
}

#[test]
fn a_message_sent_again_has_another_message_id_outside_and_the_same_inside() {
    let message = Message::Command(Command::Ping(Default::default()));
    let recipients = with_keys([due(1, 1)]);
    let center = center();
    let id_line = |sending| {
        let mail = write_mail(
            &outgoing(&message),
            sending,
            &recipients,
            from(&center),
            Behind::Nothing,
            &mut Numbers::new(1),
        )
        .unwrap();
        let text = String::from_utf8(mail.raw.to_vec()).unwrap();
        text.lines().find(|line| line.starts_with("Message-ID")).unwrap().to_owned()
    };
    assert_ne!(id_line(1), id_line(2));
    assert!(id_line(1).contains(&MessageId::from_bytes([3; 16]).to_string()));
}

fn reply(code: u16) -> ServerReply {
    ServerReply { code, enhanced: None, text: "words".to_owned() }
}

fn plan_of(recipients: Vec<Due>) -> MailPlan {
    MailPlan { outbox: OutboxId(1), recipients }
}

#[test]
fn each_recipient_has_its_own_outcome() {
    let plan = plan_of(vec![due(1, 1), due(1, 2), due(1, 3)]);
    let outcomes = [
        (String::new(), RecipientOutcome::Accepted),
        (String::new(), RecipientOutcome::Refused(reply(550))),
        (String::new(), RecipientOutcome::Deferred(reply(450))),
    ];
    let tries: Vec<_> =
        answers(&plan, &outcomes, now(), &settings()).into_iter().map(|(_, _, tried)| tried).collect();
    let expected = [
        Try::Accepted,
        Try::Refused { detail: "550 words".to_owned() },
        Try::Later { at: later(30), detail: "450 words".to_owned() },
    ];
    assert_eq!(tries, expected);
}

#[test]
fn a_mail_that_is_refused_as_a_whole_is_offered_some_more_times() {
    let error = SendError::Permanent(reply(550));
    let outcome = |attempts| {
        let plan = plan_of(vec![Due { attempts, ..due(1, 1) }]);
        failure(&plan, &error, now(), &settings()).remove(0).2
    };
    assert!(matches!(outcome(0), Try::Later { .. }));
    assert!(matches!(outcome(TRIES_OF_A_REFUSED_MAIL), Try::Refused { .. }));
}

#[test]
fn one_impossible_address_does_not_keep_the_mail_from_the_others() {
    let error = SendError::Address { address: "agent2@site.example".to_owned() };
    let tries = failure(&plan_of(vec![due(1, 1), due(1, 2)]), &error, now(), &settings());
    assert!(matches!(&tries[0].2, Try::Later { at, .. } if *at == now()), "{tries:?}");
    assert!(matches!(&tries[1].2, Try::Refused { .. }), "{tries:?}");
}

#[test]
fn a_server_that_is_away_costs_nobody_the_mail() {
    let error = SendError::Disconnected { during: "greeting" };
    let plan = plan_of(vec![Due { attempts: 50, ..due(1, 1) }]);
    assert!(matches!(failure(&plan, &error, now(), &settings())[0].2, Try::Later { .. }));
}

#[test]
fn what_goes_out_is_signed_and_tells_what_it_follows() {
    let command_key = SigningKey::generate(&mut Numbers::new(1));
    let stranger = SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(9));
    let center = center();
    let from = From { signer: Some(&command_key), follows: Some(17), begins: None, ..from(&center) };
    let message = Message::Command(Command::Ping(Default::default()));
    let recipients = with_keys([due(1, 1)]);
    let mail =
        write_mail(&outgoing(&message), 1, &recipients, from, Behind::Nothing, &mut Numbers::new(1)).unwrap();
    let opened = opened(&mail.raw, &recipients[0].1);
    assert!(opened.is_signed_by(&Role::of(command_key.public())));
    assert!(!opened.is_signed_by(&Role::of(stranger.public())));
    assert_eq!(opened.follows(), Some(17));
}

#[test]
fn a_receipt_tells_the_latest_release_as_of_now_however_old_it_is() {
    let receipt = mailfmt::Receipt {
        report: MessageId::from_bytes([4; 16]),
        number: 7,
        received: now(),
        content: "health".into(),
        description: "well".into(),
        latest: None,
    };
    let latest = Latest { at: later(1800), software: None, release_counter: 3 };
    let center = center();
    let from = From { latest: Some(&latest), ..from(&center) };
    let recipients = with_keys([due(1, 1)]);
    let outgoing = outgoing(&Message::Receipt(receipt.clone()));
    let mail = write_mail(&outgoing, 2, &recipients, from, Behind::Nothing, &mut Numbers::new(1)).unwrap();
    let told = opened(&mail.raw, &recipients[0].1).message().unwrap();
    assert_eq!(told, Message::Receipt(mailfmt::Receipt { latest: Some(latest), ..receipt }));
}

fn opened(raw: &[u8], key: &ChannelKey) -> envelope::OpenedEnvelope {
    let Classified::Ours { attachment } = classify(raw, &Limits::default()) else { panic!("not ours") };
    let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
    envelope::open(parcel.envelope, key, &Limits::default(), now()).unwrap()
}

#[test]
fn a_refusal_for_its_size_teaches_the_limit_or_half_of_what_was_tried() {
    let too_large = SendError::TooLarge { size_octets: 9_000_000, limit_octets: 700_000 };
    assert_eq!(taught_limit(&too_large, 9_000_000), Some(700_000));
    let refused = |code, enhanced: Option<&str>, text: &str| {
        let reply = ServerReply { code, enhanced: enhanced.map(ToOwned::to_owned), text: text.to_owned() };
        taught_limit(&SendError::Permanent(reply), 9_000_000)
    };
    assert_eq!(refused(552, Some("5.3.4"), "5.3.4 too big"), Some(4_500_000));
    assert_eq!(refused(552, Some("5.2.3"), "5.2.3 length"), Some(4_500_000));
    assert_eq!(refused(552, None, "Message size exceeds fixed limit"), Some(4_500_000));
    assert_eq!(refused(552, Some("5.2.2"), "5.2.2 mailbox full"), None, "a full mailbox is no limit of size");
    assert_eq!(refused(550, None, "no such user"), None);
    let small = taught_limit(
        &SendError::Permanent(ServerReply { code: 552, enhanced: Some("5.3.4".into()), text: String::new() }),
        70_000,
    );
    assert_eq!(small, Some(MAIL_OCTETS_MIN), "nothing is cut smaller than makes sense");
}

#[test]
fn an_order_in_parts_names_them_and_each_part_follows_an_envelope_of_its_own() {
    use mailfmt::message::PackagePart;
    use mailfmt::parts::Parts;
    let key = ContentKey::generate(&mut Numbers::new(5));
    let enclosed = mailfmt::package::enclose(&vec![42; 3_000], &key);
    let parts = Parts::cut(&enclosed, 1_024, None, &Limits::default()).unwrap();
    let whole = Digest::of(&enclosed);
    let update = UpdateOrder {
        package: Digest::of(b"manifest"),
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        enclosure: whole,
        enclosure_octets: enclosed.len() as u64,
        content_key: key,
        permit: None,
        parts: None,
        approval: None,
    };
    let center = center();
    let recipients = with_keys([due(1, 1), due(1, 2)]);
    let write = |message: Message, behind: Behind<'_>| {
        let mail =
            write_mail(&outgoing(&message), 1, &recipients, from(&center), behind, &mut Numbers::new(1))
                .unwrap();
        let Classified::Ours { attachment } = classify(&mail.raw, &Limits::default()) else {
            panic!("not ours")
        };
        let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
        (opened(&mail.raw, &recipients[1].1).message().unwrap(), parcel.enclosure.to_vec())
    };
    let order = Message::Command(Command::Update(update.clone()));
    let (said, behind) = write(order, Behind::Cut(parts.cutting()));
    let told = UpdateOrder { parts: Some(parts.cutting().clone()), ..update.clone() };
    assert_eq!((said, behind.len()), (Message::Command(Command::Update(told.clone())), 0));
    let when = |order| {
        let conditions =
            Conditions { windows: vec!["20:00-06:00".parse().unwrap()], ..Conditions::default() };
        Message::Command(Command::UpdateWhen(ConditionalOrder { order, conditions }))
    };
    let (said, _) = write(when(update), Behind::Cut(parts.cutting()));
    assert_eq!(said, when(told), "conditions travel with an order whose package is cut");
    let sha256 = parts.cutting().hash(3).unwrap();
    let third = Message::Command(Command::Part(PackagePart { enclosure: whole, number: 3, of: 3, sha256 }));
    let (said, behind) = write(third.clone(), Behind::Octets(parts.part(&enclosed, 3).unwrap()));
    assert_eq!((said, Digest::of(&behind)), (third, sha256));
}

#[test]
fn recipients_with_numbers_of_different_epochs_get_mails_of_their_own() {
    let mut late = due(1, 2);
    late.sequence = (7 << 32) + 1;
    let plans = plan(&[due(1, 1), late, due(1, 3)], 50);
    assert_eq!(plans.iter().map(|plan| plan.recipients.len()).collect::<Vec<_>>(), [1, 1, 1]);
}
