use super::*;
use crate::sample::{cleared, counters, jam, now, version};
use mailfmt::message::report::RefusedReport;

#[test]
fn a_receipt_says_what_was_understood() {
    for (report, words) in [
        (jam("e1"), "jam in media path of Kyocera ECOSYS P2040dw VD21457943"),
        (counters(1, now()), "counters of 1 device, 1 not collected yet"),
        (version("1.0.00-1", None), "runs version 1.0.00-1, 2 modules"),
        (
            Report::Refused(RefusedReport {
                kind: "dance".to_owned(),
                reason: "not supported by version 1.0.00-1".to_owned(),
            }),
            "command dance refused: not supported by version 1.0.00-1",
        ),
    ] {
        assert_eq!(describe(&report, None), words);
    }
}

#[test]
fn a_cleared_fault_is_named_when_it_is_known() {
    let known = describe(&cleared("e1"), Some("jam in media path"));
    assert_eq!(known, "jam in media path of Kyocera ECOSYS P2040dw VD21457943 is over");
    assert_eq!(describe(&cleared("e1"), None), "fault of Kyocera ECOSYS P2040dw VD21457943 is over");
}

#[test]
fn a_fault_without_a_place_is_only_named() {
    assert_eq!(fault("cover-open", "unknown"), "cover open");
    assert_eq!(fault("", ""), "fault");
}

#[test]
fn text_from_outside_cannot_steer_a_terminal() {
    let shown = plain("jam\u{1b}[2J\r\nOK \u{202e}evil");
    assert!(!shown.contains(['\u{1b}', '\r', '\n', '\u{202e}']), "{shown:?}");
    assert!(plain(&"x".repeat(10_000)).chars().count() <= LONGEST);
}
