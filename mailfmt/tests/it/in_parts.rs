//! A package that comes in parts: its order, a part, and the question for missing ones.

use crate::samples::counting;
use mailfmt::crypto::ContentKey;
use mailfmt::message::report::PartsMissingReport;
use mailfmt::message::{PackagePart, UpdateOrder};
use mailfmt::parts::{Parity, Parts};
use mailfmt::{Command, Digest, Limits, Message, Report, SoftwareVersion};

pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    let package = Digest::of(b"a manifest");
    let whole: Vec<u8> = (0..1_300u16).map(|at| at.to_be_bytes()[1]).collect();
    let parts = Parts::cut(&whole, 512, Some(Parity { group: 8, extra: 1 }), &Limits::default()).unwrap();
    let enclosure = Digest::of(&whole);
    vec![
        (
            "command-update-in-parts",
            Message::Command(Command::Update(UpdateOrder {
                package,
                target: SoftwareVersion::new("1.0.02-0").unwrap(),
                enclosure,
                enclosure_octets: 1_300,
                content_key: ContentKey::generate(&mut counting()),
                permit: None,
                parts: Some(parts.cutting().clone()),
                approval: None,
            })),
        ),
        (
            "command-part",
            Message::Command(Command::Part(PackagePart {
                enclosure,
                number: 3,
                of: 4,
                sha256: parts.cutting().hash(3).unwrap(),
            })),
        ),
        (
            "report-parts-missing",
            Message::Report(Report::PartsMissing(PartsMissingReport {
                package,
                here: 5,
                of: 7,
                missing: vec![3, 6],
            })),
        ),
    ]
}
