use super::*;
use crate::device::{Alert, AlertGroup, AlertSeverity};
use crate::faults::{FaultClass, Severity, classify};
use proptest::prelude::*;

/// The registered codes with their names, subunit and condition apart.
fn registered_codes() -> Vec<(i32, String)> {
    let text = include_str!("../../../../testdata/registries/prt-alert-codes.csv");
    let line = |line: &str| {
        let (code, name) = line.split_once(',').unwrap();
        (code.parse().unwrap(), name.to_owned())
    };
    text.lines().skip(1).map(line).collect()
}

fn registered_keywords() -> Vec<&'static str> {
    include_str!("../../../../testdata/registries/printer-state-reasons.txt").lines().collect()
}

fn row(code: i32) -> Alert {
    Alert {
        device_index: 1,
        index: 1,
        severity: Some(AlertSeverity::Critical),
        training: None,
        group: Some(AlertGroup::GeneralPrinter),
        group_index: None,
        location: None,
        code: Some(code),
        description: None,
        time_ticks: None,
    }
}

/// `markerTonerEmpty` as IPP would spell it: `marker-toner-empty`.
fn hyphenated(name: &str) -> String {
    let mut spelled = String::new();
    let mut before = ' ';
    for character in name.replace("NMSReset", "NmsReset").chars() {
        if character.is_ascii_uppercase() && before.is_ascii_alphanumeric() {
            spelled.push('-');
        }
        spelled.push(if character == '.' { '-' } else { character.to_ascii_lowercase() });
        before = character;
    }
    spelled
}

#[test]
fn every_registered_alert_code_is_classified() {
    let table = FaultClasses::built_in();
    let codes = registered_codes();
    assert_eq!(codes.iter().filter(|(code, _)| *code < 30_000).count(), 95);
    assert_eq!(codes.len(), 95 + 17 * 36);
    for (code, name) in &codes {
        assert!(table.knows_alert(*code), "{code} {name}");
        let own = hyphenated(name);
        assert_eq!(table.alert_name(*code), own, "{code}");
    }
    assert_eq!(table.alerts.len(), 95, "no code is classified that nobody registered");
}

#[test]
fn every_registered_state_reason_is_classified() {
    let table = FaultClasses::built_in();
    let keywords = registered_keywords();
    assert_eq!(keywords.len(), 885);
    for keyword in &keywords {
        assert!(table.reasons.contains_key(&keyword.to_ascii_lowercase()), "{keyword}");
    }
    assert_eq!(table.reasons.len(), keywords.len(), "no keyword is classified that nobody registered");
}

#[test]
fn a_code_and_a_keyword_of_the_same_name_are_of_the_same_class() {
    let table = FaultClasses::built_in();
    let mut pairs = 0;
    for (code, name) in registered_codes() {
        let spelled = hyphenated(&name);
        let short = spelled.replace("subunit-", "");
        let Some(keyword) = [spelled.as_str(), short.as_str()]
            .into_iter()
            .find(|keyword| table.reasons.contains_key(*keyword))
        else {
            continue;
        };
        pairs += 1;
        let by_code = table.alert(&row(code)).map(|found| found.class);
        let by_keyword = table.reason(&format!("{keyword}-error")).map(|found| found.class);
        assert_eq!(by_code, by_keyword, "{code} {keyword}");
    }
    assert_eq!(pairs, 672);
}

#[test]
fn the_suffix_of_a_keyword_says_only_how_grave_it_is() {
    let table = FaultClasses::built_in();
    for (keyword, class, severity) in [
        ("media-jam-error", FaultClass::UserClearable, Severity::Critical),
        ("media-jam-warning", FaultClass::UserClearable, Severity::Warning),
        ("media-jam", FaultClass::UserClearable, Severity::Critical),
        ("toner-low-report", FaultClass::Consumable, Severity::Warning),
        ("Toner-Empty-error", FaultClass::Consumable, Severity::Critical),
        ("opc-near-eol", FaultClass::PartReplacement, Severity::Warning),
        ("subunit-timing-Failure", FaultClass::ServiceRequired, Severity::Critical),
        ("output-media-tray-feed-error", FaultClass::UserClearable, Severity::Critical),
        ("output-media-tray-feed-error-warning", FaultClass::UserClearable, Severity::Warning),
        ("com.maker-strange-error", FaultClass::UserClearable, Severity::Critical),
    ] {
        let found = table.reason(keyword).unwrap_or_else(|| panic!("{keyword} is no fault"));
        assert_eq!((found.class, found.severity), (class, severity), "{keyword}");
    }
    for nothing in ["none", "paused", "com.maker-strange-report", "other-warning", ""] {
        assert_eq!(table.reason(nothing), None, "{nothing}");
    }
}

#[test]
fn pjl_codes_go_by_their_own_line_or_by_their_category() {
    let table = FaultClasses::built_in();
    let class = |code| table.pjl(code).map(|found| (found.class, found.severity));
    assert_eq!(class(10_001), None);
    assert_eq!(class(10_006), Some((FaultClass::Consumable, Severity::Warning)));
    assert_eq!(class(40_021), Some((FaultClass::UserClearable, Severity::Critical)));
    assert_eq!(class(42_017), Some((FaultClass::UserClearable, Severity::Critical)));
    assert_eq!(table.pjl(42_017).unwrap().family.as_deref(), Some("jam"));
    assert_eq!(class(50_003), Some((FaultClass::ServiceRequired, Severity::Critical)));
    assert_eq!((class(99_999), class(0), class(u32::MAX)), (None, None, None));
}

#[test]
fn a_wrong_line_is_refused_with_file_and_line() {
    for (text, line, word) in [
        ("alert,8,jam,user-clearable\nalert,8,jam,consumable", 2, "a second time"),
        ("# a remark\n\nalert,8,jam,clearable", 3, "\"clearable\""),
        ("alert,eight,jam,user-clearable", 1, "\"eight\""),
        ("alert,+8,jam,user-clearable", 1, "\"+8\""),
        ("alert,8,jam", 1, "3 fields"),
        ("alert,8,jam,user-clearable,stays,", 1, "6 fields"),
        ("allert,8,jam,user-clearable", 1, "\"allert\""),
        ("alert,8,j\u{e4}m,user-clearable", 1, "names are of"),
        ("alert,8,jam,user-clearable,perhaps", 1, "\"perhaps\""),
        ("bit,15,moon,user-clearable", 1, "0 to 14"),
        ("bit,5,jam,user-clearable", 1, "called jammed"),
        ("reason,7,media-jam,user-clearable", 1, "no number"),
        ("pjl,4xxx,jam,user-clearable", 1, "PJL"),
        ("finisher,302,stapler,recurring", 1, "finisher"),
        ("group,10,marker,user-clearable", 1, "consumable"),
    ] {
        let error = FaultClasses::parse(text, "new.csv").unwrap_err().to_string();
        assert!(error.starts_with(&format!("new.csv, line {line}: ")) && error.contains(word), "{error}");
    }
}

#[test]
fn a_release_brings_a_table_of_its_own_or_goes_by_the_one_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CLASSES_MODULE);
    assert_eq!(FaultClasses::of_release(folder.path()).unwrap(), FaultClasses::built_in());

    let own = include_str!("../../../faults/classes.csv");
    let changed = own.replace(
        "alert,1107,marker-waste-toner-receptacle-almost-full,consumable",
        "alert,1107,marker-waste-toner-receptacle-almost-full,part-replacement",
    );
    std::fs::write(&file, format!("{changed}alert,70001,warmth,service-required\n")).unwrap();
    let table = FaultClasses::of_release(folder.path()).unwrap();
    assert_eq!(table.alert(&row(1107)).unwrap().class, FaultClass::PartReplacement);
    assert_eq!(table.alert(&row(70_001)).unwrap().class, FaultClass::ServiceRequired);
    assert_eq!(classify(&row(1107)), Some(FaultClass::Consumable), "the built-in one stays as it is");
    assert_eq!(
        table.differences(&FaultClasses::built_in()),
        [
            "alert marker-waste-toner-receptacle-almost-full: part-replacement, not consumable",
            "alert warmth: service-required, new"
        ]
    );

    std::fs::write(&file, own.replace("reason,,media-jam,recurring\n", "")).unwrap();
    let error = FaultClasses::of_release(folder.path()).unwrap_err().to_string();
    assert!(error.contains("leaves out reason media-jam"), "{error}");
    std::fs::write(&file, vec![b'#'; 2 << 20]).unwrap();
    assert!(matches!(FaultClasses::of_release(folder.path()), Err(ClassTableError::Large { .. })));
}

proptest! {
    #[test]
    fn no_text_makes_the_reading_of_a_table_panic(text in ".{0,300}", lines in "((alert|bit|pjl|reason|group|finisher),[0-9x]{0,6},[a-z-]{0,8},[a-z-]{0,16}(,[a-z ]{0,9})?\n){0,8}") {
        let _ = FaultClasses::parse(&text, "x");
        let _ = FaultClasses::parse(&lines, "x");
    }

    #[test]
    fn any_keyword_and_any_code_find_an_answer(keyword in ".{0,80}", code: u32) {
        let table = FaultClasses::built_in();
        let _ = table.reason(&keyword);
        let _ = table.pjl(code);
    }
}
