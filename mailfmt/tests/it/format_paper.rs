//! Every example in FORMAT.md is decoded.

use crate::samples::{agent, center, now};
use mailfmt::crypto::{ContentKey, Credential, Direction};
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::mail::{Classified, Parcel, armour, classify};
use mailfmt::package::{Site, open, unwrap};
use mailfmt::parts::{Cutting, Parts, join};
use mailfmt::trust::Role;
use mailfmt::trust::{SignedRoot, TrustedRoot};
use mailfmt::{Limits, SoftwareVersion, VersionReport, envelope};

const PAPER: &str = include_str!("../../FORMAT.md");

/// The fenced block whose info string ends in `name`.
fn block(name: &str) -> String {
    let mut lines =
        PAPER.lines().skip_while(|line| !(line.starts_with("```") && line.ends_with(&format!(" {name}"))));
    assert!(lines.next().is_some(), "FORMAT.md has no block {name}");
    lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_mail_opens_to_the_example_payload() {
    let credential = Credential::from_hex(&block("credential")).unwrap();
    let Classified::Ours { attachment } = classify(block("mail").as_bytes(), &Limits::default()) else {
        panic!("the example mail is not ours")
    };
    let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
    let key = credential.channel(Direction::ToAppliance, &agent(), &center());
    let opened = envelope::open(parcel.envelope, &key, &Limits::default(), now()).unwrap();
    assert_eq!(opened.sequence(), 17);
    assert_eq!(String::from_utf8(opened.payload().to_vec()).unwrap(), block("payload").trim());
}

#[test]
fn the_example_attachment_is_armoured_as_the_paper_says() {
    let Classified::Ours { attachment } = classify(block("mail").as_bytes(), &Limits::default()) else {
        panic!("the example mail is not ours")
    };
    assert_eq!(armour::write(&attachment).replace("\r\n", "\n"), block("armour"));
    assert_eq!(armour::read(block("armour").as_bytes()), [Ok(attachment)]);
}

#[test]
fn the_example_enclosure_opens_to_the_example_manifest() {
    use base64::Engine as _;
    let enclosure: String = block("enclosure").split_whitespace().collect();
    let enclosure = base64::engine::general_purpose::STANDARD.decode(enclosure).unwrap();
    let key = ContentKey::try_from(block("content-key").trim().to_owned()).unwrap();
    let package = unwrap(&enclosure, &key, &Limits::default()).unwrap();
    let root = trusted_root();
    assert_eq!(root.root().release.keys, [block("release-key").parse().unwrap()]);
    let running = SoftwareVersion::new("1.0.00-1").unwrap();
    let site = Site {
        root: &root,
        agent: &agent(),
        permit: None,
        running: &running,
        hardware: "x86_64",
        installed_counter: 0,
        now: now(),
    };
    let opened = open(&package, &site, &Limits::default()).unwrap();
    assert_eq!(format!("{}\n", serde_json::to_string_pretty(opened.manifest()).unwrap()), block("manifest"));
}

fn octets(name: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text: String = block(name).split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn the_example_enclosure_is_cut_as_the_paper_says_and_its_parity_part_restores_a_lost_one() {
    let enclosure = octets("enclosure");
    let cutting: Cutting = serde_json::from_str(&block("cutting")).unwrap();
    let parts = Parts::cut(&enclosure, cutting.part_octets, cutting.parity, &Limits::default()).unwrap();
    assert_eq!(*parts.cutting(), cutting);
    let shape = cutting.check(enclosure.len() as u64, &Limits::default()).unwrap();
    let mut all: Vec<_> =
        (1..=shape.parts()).map(|number| parts.part(&enclosure, number).map(<[u8]>::to_vec)).collect();
    assert_eq!(all.last(), Some(&Some(octets("parity-part"))));
    all[0] = None;
    assert_eq!(join(&shape, &all).unwrap(), enclosure);
}

fn trusted_root() -> TrustedRoot {
    let root: String = block("signed-root").split_whitespace().collect();
    TrustedRoot::first(&[SignedRoot::try_from(root).unwrap()]).unwrap()
}

#[test]
fn the_example_root_is_trusted_and_says_what_the_paper_says() {
    let root = trusted_root();
    assert_eq!(format!("{}\n", serde_json::to_string_pretty(root.root()).unwrap()), block("root"));
}

#[test]
fn the_example_version_report_is_read_and_written() {
    let text = block("version-report");
    assert_eq!(VersionReport::parse(&text, &Limits::default()).unwrap().write(), text);
}

#[test]
fn the_example_code_has_the_example_id() {
    let code = ProvisionalCode::parse(&block("provisional-code")).unwrap();
    assert_eq!(*code.expose(), block("provisional-code").trim());
    assert_eq!(code.id().to_string(), block("code-id").trim());
}

#[test]
fn the_example_command_key_signed_the_golden_command() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/wire/signed-command.eml");
    let recorded = std::fs::read(path).unwrap();
    let Classified::Ours { attachment } = classify(&recorded, &Limits::default()) else {
        panic!("the golden command is not ours")
    };
    let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
    let credential = Credential::from_hex(&block("credential")).unwrap();
    let key = credential.channel(Direction::ToAppliance, &agent(), &center());
    let opened = envelope::open(parcel.envelope, &key, &Limits::default(), now()).unwrap();
    assert!(opened.is_signed_by(&Role::of(block("command-key").parse().unwrap())));
}
