use super::*;
use crate::db::{Db, LAYOUTS};
use crate::sample::{agent, fleet};
use mailfmt::SoftwareVersion;
use rusqlite::params;

const FIRST: RolloutId = RolloutId(1);

fn at(seconds: i64) -> Timestamp {
    // Not whole seconds: nothing may be lost of the milliseconds.
    Timestamp::from_millisecond(1_767_225_600_000 + seconds * 1_000 + 123).unwrap()
}

fn message(octet: u8) -> MessageId {
    MessageId::from_bytes([octet; 16])
}

fn order(transport: Transport, progress: Progress) -> Order {
    Order {
        message: message(1),
        at: at(1),
        transport,
        progress,
        parts: None,
        recalled: None,
        settle_secs: None,
        mail_delay_secs: None,
    }
}

fn ask(transport: Transport) -> Ask {
    Ask { message: message(2), nonce: Nonce::from_bytes([3; 16]), at: at(2), transport }
}

/// Every state, every rung of both ladders, and every verdict, once.
fn shapes() -> Vec<TargetState> {
    let words = || "552 5.2.2 \"mailbox\" full".to_owned();
    let queued = || Transport::Queued { since: at(3) };
    let transports = [
        queued(),
        Transport::Accepted { at: at(4) },
        Transport::Delayed { accepted: at(4), reason: words() },
        Transport::Bounced { at: at(5), reason: words() },
        Transport::Heard { accepted: at(4), at: at(6) },
    ];
    let progresses = [
        Progress::Ordered,
        Progress::Waiting { reason: words(), at: at(7) },
        Progress::InstalledSaid { at: at(7), created: at(6) },
        Progress::Refused { reason: words(), at: at(7) },
        Progress::Undone { reason: words(), at: at(7) },
    ];
    let failures = [
        Failure::Silent,
        Failure::OtherVersion { version: SoftwareVersion::new("1.0.01").unwrap() },
        Failure::MixedModules { modules: vec!["watch".parse().unwrap()] },
        Failure::Refused { reason: words() },
        Failure::Undone { reason: words() },
        Failure::Undeliverable { reason: words() },
        Failure::Suspended,
    ];
    let mut states = vec![TargetState::Planned];
    for transport in transports {
        states.push(TargetState::Ordered { order: order(transport.clone(), Progress::Ordered) });
        states.push(TargetState::Asked { order: order(queued(), Progress::Ordered), ask: ask(transport) });
    }
    for progress in progresses {
        let mut order = order(queued(), progress);
        order.parts = Some(PartsSent { of: 9, sent: 4, at: at(8) });
        order.recalled = Some(at(9));
        states.push(TargetState::Ordered { order });
    }
    let verdicts = failures.map(Verdict::from).into_iter().chain([Verdict::Updated]);
    for verdict in verdicts {
        let (order, ask) = (order(queued(), Progress::Ordered), ask(queued()));
        states.push(TargetState::Decided { order: Some(order), ask: Some(ask), verdict, at: at(10) });
    }
    states.push(TargetState::Decided {
        order: None,
        ask: None,
        verdict: Failure::Suspended.into(),
        at: at(11),
    });
    states
}

fn targets() -> Vec<Target> {
    let findings = [
        Finding::Same,
        Finding::OtherVersion { version: SoftwareVersion::new("1.0.01").unwrap() },
        Finding::MixedModules { modules: vec!["watch".parse().unwrap(), "agent".parse().unwrap()] },
    ];
    let answer = |finding: &Finding| Answer {
        finding: finding.clone(),
        created: at(20),
        received: at(21),
        asked: true,
    };
    let answers = std::iter::once(None).chain(findings.iter().map(|finding| Some(answer(finding)))).cycle();
    let make = |((number, state), (nth, answer)): ((u32, TargetState), (usize, Option<Answer>))| Target {
        wave: number % 3,
        attempt: 1 + number % 2,
        first_ordered: (number % 2 == 0).then(|| at(30)),
        nonces: [7, 8].map(|octet| Nonce::from_bytes([octet; 16])).into_iter().take(nth % 3).collect(),
        newest_report: (number % 3 == 0).then(|| at(31)),
        answer,
        removed: number % 7 == 0,
        suspended: number % 5 == 0,
        whole: number % 4 == 0,
        state,
        ..Target::new(agent(number), 0)
    };
    (1..).zip(shapes()).zip(answers.enumerate()).map(make).collect()
}

/// A rollout with nothing in it, in a database of any layout.
const ROLLOUT: &str = "INSERT INTO package (id, target, manifest, octets, path, added) VALUES ('p', '1', '{}', 0, '', 0);
    INSERT INTO rollout (package, release, update_order, settle_secs, answer_timeout_secs, delivery_limit_secs,
                         command_life_secs, retries, package_expires, started)
    VALUES ('p', '{}', '{}', 0, 0, 0, 0, 0, 0, 0);";

fn read_back(db: &Db) -> Vec<Target> {
    db.rollout_targets(FIRST).unwrap().into_values().collect()
}

#[test]
fn a_target_in_any_state_is_read_as_it_was_written() {
    let mut targets = targets();
    for (target, number) in targets.iter_mut().zip(0..) {
        let because = (number % 3 == 0).then_some(Failure::Silent);
        target.tried =
            Tried { rounds: number % 4, lost: number % 3, mails: number, reformed: number % 5 == 0, because };
        if let TargetState::Ordered { order } | TargetState::Asked { order, .. } = &mut target.state {
            (order.settle_secs, order.mail_delay_secs) = (Some(700), (number % 2 == 0).then_some(60));
        }
    }
    let db = fleet(40);
    db.read().execute_batch(ROLLOUT).unwrap();
    for target in &targets {
        insert(db.read(), FIRST, &Target::new(target.agent.clone(), 0)).unwrap();
        update(db.read(), FIRST, target).unwrap();
    }
    assert_eq!(read_back(&db), targets);
    for target in &targets {
        super::super::delete_target(db.read(), FIRST, &target.agent).unwrap();
        insert(db.read(), FIRST, target).unwrap();
    }
    assert_eq!(read_back(&db), targets);
}

#[test]
fn targets_that_stood_as_json_are_the_same_in_columns() {
    let before = LAYOUTS.iter().position(|layout| layout.contains("CREATE TABLE rollout_target_2")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let targets = targets();
    let old = Connection::open(&path).unwrap();
    for layout in &LAYOUTS[..before] {
        old.execute_batch(layout).unwrap();
    }
    old.pragma_update(None, "user_version", i64::try_from(before).unwrap()).unwrap();
    old.execute_batch(ROLLOUT).unwrap();
    for target in &targets {
        let mark = match target.verdict() {
            None => "pending",
            Some(Verdict::Updated) => "updated",
            Some(Verdict::Failed { .. }) => "failed",
        };
        old.execute(
            "INSERT INTO appliance (agent, address, added, credential) VALUES (?1, 'a@x.example', 0, zeroblob(32))",
            [target.agent.as_str()],
        )
        .unwrap();
        // What is written today reads as what was written then; see the test below for the words themselves.
        old.execute(
            "INSERT INTO rollout_target (rollout, agent, mark, state) VALUES (1, ?1, ?2, ?3)",
            params![target.agent.as_str(), mark, serde_json::to_string(target).unwrap()],
        )
        .unwrap();
    }
    drop(old);
    let db = Db::open(&path).unwrap();
    assert_eq!(read_back(&db), targets);
    assert!(db.check().unwrap().is_empty());
}

#[test]
fn the_json_of_targets_had_these_words() {
    let asked = Target {
        nonces: vec![Nonce::from_bytes([3; 16])],
        first_ordered: Some(at(1)),
        state: TargetState::Asked {
            order: order(Transport::Accepted { at: at(4) }, Progress::Ordered),
            ask: ask(Transport::Queued { since: at(3) }),
        },
        ..Target::new(agent(1), 0)
    };
    let written = r#"{"agent":"AGENT0000001","wave":0,"attempt":1,"first_ordered":"2026-01-01T00:00:01.123Z",
        "nonces":["03030303030303030303030303030303"],"newest_report":null,"answer":null,"removed":false,
        "suspended":false,"whole":false,"state":{"state":"asked","order":{"message":"01010101010101010101010101010101",
        "at":"2026-01-01T00:00:01.123Z","transport":{"transport":"accepted","at":"2026-01-01T00:00:04.123Z"},
        "progress":{"progress":"ordered"}},"ask":{"message":"02020202020202020202020202020202",
        "nonce":"03030303030303030303030303030303","at":"2026-01-01T00:00:02.123Z",
        "transport":{"transport":"queued","since":"2026-01-01T00:00:03.123Z"}}}}"#;
    assert_eq!(serde_json::from_str::<Target>(written).unwrap(), asked);
}
