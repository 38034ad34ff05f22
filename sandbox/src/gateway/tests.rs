use super::*;
use mailfmt::Limits;
use mailfmt::mail::{Classified, armour, classify};
use std::collections::BTreeSet;

const MAIL: &str = include_str!("../../../testdata/wire/command-ping.eml");

fn attachment() -> Vec<u8> {
    match classify(MAIL.as_bytes(), &Limits::default()) {
        Classified::Ours { attachment } => attachment,
        other => panic!("{other:?}"),
    }
}

/// The same message as armoured text.
fn armoured() -> Vec<u8> {
    let (head, _) = MAIL.split_once("Content-Type: multipart").unwrap();
    format!(
        "{head}Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is for people.\r\n\r\n{}",
        armour::write(&attachment())
    )
    .into_bytes()
}

#[test]
fn there_are_many_and_each_has_a_name_of_its_own() {
    let all = transforms();
    assert!(all.len() >= 100, "{}", all.len());
    let names: BTreeSet<_> = all.iter().map(|transform| transform.name).collect();
    assert_eq!(names.len(), all.len());
}

/// A mail with something for everybody who looks for something.
fn odd_mail() -> Vec<u8> {
    let long = "http://a.example/ and so on ".repeat(60);
    format!(
        "From: a@b.example\r\nSubject: a\r\n folded one\r\nContent-Type: text/plain\r\n\r\n\
         trailing \r\n.dot\r\nFrom here\r\nn\u{fc}l\0 \"quoted\" -- \r\n{long}\r\n"
    )
    .into_bytes()
}

#[test]
fn every_transform_changes_a_mail_and_none_panics() {
    for transform in transforms() {
        let changed =
            [MAIL.as_bytes(), &armoured(), &odd_mail()].iter().any(|raw| (transform.apply)(raw) != *raw);
        assert!(changed, "{}", transform.name);
        for odd in
            [&b""[..], b"\r\n", b"x", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x", &[0xff; 300]]
        {
            let _ = (transform.apply)(odd);
        }
    }
}

#[test]
fn a_mail_taken_apart_and_put_together_is_the_same() {
    let mail = mime::Entity::read(MAIL.as_bytes());
    assert_eq!(mail.write(), MAIL.as_bytes());
    let parts = mail.parts().unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1].decoded(), attachment());
    // The line end in front of a boundary belongs to the boundary; ours has none but that of the last line of base64.
    let again = mail.clone().with_parts(&parts);
    assert_eq!(again.parts().unwrap(), parts);
}

#[test]
fn what_a_gateway_leaves_is_ours_or_damage_with_a_reason_in_one_form_or_the_other() {
    let limits = Limits::default();
    for transform in transforms() {
        let arrived = |raw: &[u8]| match classify(&(transform.apply)(raw), &limits) {
            Classified::Ours { attachment: found } => found.starts_with(&attachment()),
            _ => false,
        };
        let (opaque, text) = (arrived(MAIL.as_bytes()), arrived(&armoured()));
        if opaque || text {
            continue;
        }
        let left = classify(&(transform.apply)(&armoured()), &limits);
        let is_told = match &left {
            Classified::Mangled(_) => true,
            Classified::Returned(returned) => returned.cause.is_some(),
            Classified::Ours { .. } | Classified::Junk(_) => false,
        };
        assert!(is_told, "{}: {left:?}", transform.name);
    }
}
