//! Every shape in `testdata/returned` is told as its table says.

use mailfmt::Limits;
use mailfmt::mail::returned::{ReturnKey, Returned, Standing};
use mailfmt::mail::{Classified, classify};
use std::fmt::Write as _;
use std::path::PathBuf;

/// One line of `expected.csv`.
#[derive(Debug)]
struct Expected {
    file: String,
    kind: String,
    cause: String,
    is_final: bool,
    recipient: String,
    message: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/returned")
}

fn expected() -> Vec<Expected> {
    let table = std::fs::read_to_string(folder().join("expected.csv")).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.splitn(7, ',').collect();
        Expected {
            file: fields[0].to_owned(),
            kind: fields[1].to_owned(),
            cause: fields[2].to_owned(),
            is_final: fields[3] == "yes",
            recipient: fields[4].to_owned(),
            message: fields[5].to_owned(),
        }
    };
    table.lines().skip(1).map(line).collect()
}

/// The recipient that decides what the mail is.
fn recipient(returned: &Returned) -> String {
    let with = |standing| returned.recipients.iter().find(|one| one.standing == standing);
    with(Standing::Failed)
        .or_else(|| with(Standing::Delayed))
        .or_else(|| with(Standing::Delivered))
        .map_or_else(|| "-".to_owned(), |one| one.address.clone())
}

/// What is wrong with the answer for one shape; empty when nothing is.
fn wrong(expected: &Expected, raw: &[u8]) -> String {
    let returned = match classify(raw, &Limits::default()) {
        Classified::Returned(returned) => returned,
        Classified::Junk(_) if expected.kind == "junk" => return String::new(),
        Classified::Mangled(_) if expected.kind == "mangled" => return String::new(),
        other => return format!("{other:?}"),
    };
    let key = ReturnKey::from_bytes([7; 32]);
    let message = returned
        .tags
        .iter()
        .find_map(|tag| key.message(tag))
        .or_else(|| returned.messages.first().copied())
        .map_or_else(|| "-".to_owned(), |message| message.to_string());
    let cause = returned.cause.map_or("-", |cause| cause.as_str());
    let mut wrong = String::new();
    let mut compare = |what: &str, found: &str, expected: &str| {
        if found != expected {
            let _ = write!(wrong, " {what} {found}, not {expected};");
        }
    };
    compare("kind", returned.kind.as_str(), &expected.kind);
    compare("cause", cause, &expected.cause);
    compare(
        "final",
        if returned.kind.is_final_failure() { "yes" } else { "no" },
        if expected.is_final { "yes" } else { "no" },
    );
    compare("recipient", &recipient(&returned), &expected.recipient);
    compare("message", &message, &expected.message);
    if !wrong.is_empty() {
        let _ = write!(wrong, " [{}]", returned.diagnostic);
    }
    wrong
}

#[test]
fn every_shape_is_told_as_the_table_says() {
    let expected = expected();
    assert!(expected.len() >= 200, "{} shapes", expected.len());
    let mut failures = String::new();
    for line in &expected {
        let raw = std::fs::read(folder().join(format!("{}.eml", line.file))).unwrap();
        let wrong = wrong(line, &raw);
        if !wrong.is_empty() {
            let _ = writeln!(failures, "{}:{wrong}", line.file);
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn every_file_stands_in_the_table_and_the_other_way_round() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".eml").map(ToOwned::to_owned))
        .collect();
    files.sort();
    let mut named: Vec<String> = expected().into_iter().map(|line| line.file).collect();
    named.sort();
    assert_eq!(files, named);
}

#[test]
fn a_shape_cut_anywhere_or_with_bare_line_ends_is_survived() {
    for line in expected().iter().step_by(7) {
        let raw = std::fs::read(folder().join(format!("{}.eml", line.file))).unwrap();
        for cut in (0..raw.len()).step_by(97) {
            let _ = classify(&raw[..cut], &Limits::default());
        }
        let bare: Vec<u8> = raw.iter().copied().filter(|octet| *octet != b'\r').collect();
        assert!(
            line.kind == "junk"
                || line.kind == "mangled"
                || matches!(classify(&bare, &Limits::default()), Classified::Returned(_)),
            "{} with bare line feeds",
            line.file
        );
    }
}
