use super::*;
use crate::rollout::Failure;
use crate::sample::{Numbers, agent, center, later, now};
use mailfmt::trust::{Role, Root, SignedRoot};
use mailfmt::{ModuleName, SoftwareVersion, VersionReport};

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Numbers::new(seed))
}

fn modules(octet: u8) -> BTreeMap<ModuleName, Digest> {
    ["abcd.exe", "bbb.lib"]
        .into_iter()
        .map(|name| (ModuleName::new(name).unwrap(), Digest::of(format!("{octet} {name}").as_bytes())))
        .collect()
}

fn version(text: &str) -> SoftwareVersion {
    SoftwareVersion::new(text).unwrap()
}

fn told(modules: BTreeMap<ModuleName, Digest>) -> VersionReportMessage {
    let table = "Software Version    1.0.02-0\nROM Version         1.5.08\nModules\n\
                 abcd.exe            1.0.00    2002/01/01\nbbb.lib             1.3.05    2002/11/29\n";
    let table = VersionReport::try_from(table.to_owned()).unwrap();
    VersionReportMessage {
        nonce: Some(Nonce::from_bytes([5; 16])),
        table,
        hashes: modules,
        boot_id: "boot".to_owned(),
    }
}

/// A success, as it is collected.
fn record() -> Record {
    let sent = |octet, secs| Sent {
        message: MessageId::from_bytes([octet; 16]),
        written: later(secs),
        handed_in: Some(later(secs + 1)),
        called_back: None,
    };
    let line = |secs, what: &str| HistoryLine {
        at: later(secs),
        attempt: 1,
        what: what.to_owned(),
        detail: String::new(),
    };
    let deed = |number, who: &str, what: &str| Deed {
        number,
        at: later(0),
        who: who.to_owned(),
        what: what.to_owned(),
        subject: "rollout 7".to_owned(),
        detail: "1.0.02-0 to 40 appliances".to_owned(),
        hash: Digest::of(what.as_bytes()),
    };
    Record {
        center: center(),
        made: later(900),
        agent: agent(4),
        rollout: RolloutId(7),
        started: now(),
        finished: None,
        deeds: vec![deed(3, "anna", "start"), deed(4, "bert", "approve")],
        package: Digest::of(b"package"),
        release: Release { version: version("1.0.02-0"), modules: modules(1) },
        attempt: 1,
        order: Some(sent(1, 2)),
        question: Some(sent(2, 600)),
        nonces: vec![Nonce::from_bytes([5; 16])],
        answer: Some(Answered {
            finding: Finding::Same,
            created: later(700),
            received: later(705),
            number: Some(12),
            message: Some(MessageId::from_bytes([3; 16])),
            report: Some(told(modules(1))),
        }),
        verdict: Some(Verdict::Updated),
        decided: Some(later(706)),
        history: vec![line(2, "ordered"), line(600, "asked"), line(706, "updated")],
        audit_rows: 9,
        audit_head: Digest::of(b"head"),
    }
}

fn written(record: Record) -> String {
    Certificate::sign(record, &key(3)).unwrap().write().unwrap()
}

fn by_key(text: &str) -> Result<Checked, CheckError> {
    check(text.as_bytes(), Believed::Key(&key(3).public()))
}

fn root(version: u64, command: u64, before: &[SigningKey]) -> SignedRoot {
    let root = Root {
        version,
        center: center(),
        created: now(),
        expires: later(86_400),
        root: Role::of(key(1).public()),
        release: Role::of(key(2).public()),
        command: Role::of(key(command).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    before.iter().fold(SignedRoot::unsigned(&root).unwrap(), |root, key| root.sign(key).unwrap())
}

#[test]
fn a_certificate_says_what_it_proves_and_what_it_does_not() {
    let checked = by_key(&written(record())).unwrap();
    let proves = checked.proves.join("\n");
    for words in [
        "anna, start",
        "bert, approve",
        "answers a question of this rollout",
        "the SHA-256 of each of its 2 modules is that of the package (compared anew)",
        "Verdict: updated",
    ] {
        assert!(proves.contains(words), "{words:?} is missing in\n{proves}");
    }
    assert!(checked.leaves_open.iter().any(|line| line.contains("audit log")));
}

#[test]
fn no_octet_of_a_certificate_can_be_changed() {
    let (text, public) = (written(record()), key(3).public());
    for place in 0..text.len() {
        let mut octets = text.clone().into_bytes();
        octets[place] ^= if place % 2 == 0 { 1 } else { 0x20 };
        let found = check(&octets, Believed::Key(&public));
        assert!(found.is_err(), "octet {place} ({:?})", &text[place.saturating_sub(20)..=place]);
    }
    for cut in [0, 1, text.len() / 2, text.len() - 1] {
        assert!(by_key(&text[..cut]).is_err());
    }
    assert!(by_key(&format!("{text} ")).is_err());
}

#[test]
fn the_field_that_was_changed_is_named() {
    let text = written(record());
    let altered = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        by_key(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(altered("\"anna\"", "\"eve\"").contains("deeds.1"));
    assert!(
        altered("\"updated\"", "\"undone\"").contains("history.3")
            || altered("\"updated\"", "\"undone\"").contains("line")
    );
    assert!(altered("\"attempt\": 1", "\"attempt\": 2").contains("attempt"));
    let nonce = Nonce::from_bytes([5; 16]).to_string();
    assert!(altered(&nonce, &Nonce::from_bytes([6; 16]).to_string()).contains("nonces.1"));
    let digest = Digest::of(b"package").to_string();
    assert!(altered(&digest, &Digest::of(b"another").to_string()).contains("package"));
    assert!(altered("  \"record\"", "   \"record\"").contains("not written as the center wrote it"));
}

#[test]
fn a_line_of_history_that_was_taken_out_is_missed() {
    let mut certificate = Certificate::sign(record(), &key(3)).unwrap();
    certificate.record.history.pop();
    let error = by_key(&certificate.write().unwrap()).unwrap_err().to_string();
    assert!(error.contains("history.3 (taken out)"), "{error}");
}

#[test]
fn digests_that_were_made_anew_have_no_signature() {
    let mut certificate = Certificate::sign(record(), &key(3)).unwrap();
    certificate.record.attempt = 2;
    certificate.digests = digests(&certificate.record).unwrap();
    assert!(matches!(by_key(&certificate.write().unwrap()), Err(CheckError::Signature)));
    let forged = Certificate::sign(certificate.record, &key(4)).unwrap().write().unwrap();
    assert!(matches!(by_key(&forged), Err(CheckError::Key { .. })));
}

#[test]
fn roots_say_whose_key_it_is_and_until_when() {
    let text = written(record());
    let by_roots = |chain: &[SignedRoot]| check(text.as_bytes(), Believed::Roots(chain));
    let first = root(1, 3, &[key(1)]);
    let newest = by_roots(std::slice::from_ref(&first)).unwrap();
    assert!(newest.proves[0].contains("under its newest root 1"), "{:?}", newest.proves);
    let rotated = by_roots(&[first.clone(), root(2, 8, &[key(1)])]).unwrap();
    assert!(rotated.proves[0].contains("under roots 1 to 1, and no longer"), "{:?}", rotated.proves);
    assert!(matches!(by_roots(&[root(1, 8, &[key(1)])]), Err(CheckError::Key { .. })));
    assert!(
        matches!(by_roots(&[root(1, 3, &[key(9)])]), Err(CheckError::Roots(_))),
        "not signed by its root key"
    );
    assert!(matches!(by_roots(&[]), Err(CheckError::Roots(_))));
}

#[test]
fn a_verdict_that_does_not_follow_from_the_evidence_is_refused_though_signed() {
    let contradicts = |change: &dyn Fn(&mut Record)| {
        let mut record = record();
        change(&mut record);
        matches!(by_key(&written(record)), Err(CheckError::Contradiction { .. }))
    };
    assert!(contradicts(&|record| record.answer = None));
    assert!(contradicts(&|record| record.answer.as_mut().unwrap().report = Some(told(modules(2)))));
    assert!(contradicts(&|record| record.verdict = Some(Failure::Silent.into())));
    assert!(!contradicts(&|record| {
        record.answer = None;
        record.verdict = Some(Failure::Silent.into());
    }));
}
