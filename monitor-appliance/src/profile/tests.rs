use super::{ProfileError, Profiles, edge};
use crate::device::{
    CounterName, Oid, Reading, Source, Value, Walk, interpret, interpret_pinned, parse_recording,
};
use std::collections::BTreeMap;

/// A walk of a device of the maker of enterprise 9999, with these objects below it (`E.`).
fn walk(objects: &str) -> Walk {
    let text =
        format!("1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.9999.1\n{objects}").replace("E.", "1.3.6.1.4.1.9999.");
    parse_recording(&text).unwrap().into_iter().collect()
}

/// The one profile of that maker, with these rules.
fn profiles(rules: &str) -> Profiles {
    Profiles::parse(&format!("#= maker.toml\n{}", profile(rules))).unwrap()
}

fn profile(rules: &str) -> String {
    let head = "vendor = \"Maker\"\nsources = [\"its MIB\"]\n[match]\nobject-ids = [\"E.1\"]\n";
    format!("{head}{rules}").replace("E.", "1.3.6.1.4.1.9999.")
}

fn read(rules: &str, objects: &str) -> Reading {
    interpret(&walk(objects), &profiles(rules))
}

/// Value and source of a counter, the maker's tree as `E.`.
fn counter(reading: &Reading, name: &str) -> Option<(u64, String)> {
    let counter = reading.counters.iter().find(|counter| counter.name.as_str() == name)?;
    Some((counter.value, counter.source.to_string().replace("1.3.6.1.4.1.9999.", "E.")))
}

fn found(value: u64, source: &str) -> Option<(u64, String)> {
    Some((value, source.to_owned()))
}

#[test]
fn every_profile_that_comes_with_the_program_is_free_of_mistakes() {
    let parsed = Profiles::parse(Profiles::built_in_bundle()).unwrap();
    assert_eq!(parsed.iter().count(), Profiles::built_in().iter().count());
    for maker in [
        "HP",
        "Canon",
        "Ricoh",
        "Konica Minolta",
        "Kyocera",
        "Xerox",
        "Lexmark",
        "Brother",
        "Epson",
        "Samsung",
    ] {
        assert!(parsed.iter().any(|profile| profile.vendor() == Some(maker)), "{maker}");
    }
}

#[test]
fn the_first_rule_that_gives_a_value_counts_and_is_the_source() {
    let rules = "[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\n[[table]]\nvalue = \"E.3\"\n\
        [[table.counter]]\nname = \"total\"\nrows = [\"7\"]\n[[counter]]\nname = \"total\"\nobject = \"E.4.0\"\n";
    assert_eq!(counter(&read(rules, "E.2.0|2|-2\nE.3.7|65|10\nE.4.0|65|20\n"), "total"), found(10, "E.3.7"));
    assert_eq!(counter(&read(rules, "E.4.0|65|20\n"), "total"), found(20, "E.4.0"));
    assert_eq!(counter(&read(rules, "E.2.0|2|5\nE.3.7|65|10\n"), "total"), found(5, "E.2.0"));
    assert_eq!(counter(&read(rules, "E.9.0|65|20\n"), "total"), None);
}

#[test]
fn sums_and_differences_name_all_their_objects_and_need_them() {
    let rules = "[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\nplus = [\"E.3.0\"]\n\
        [[counter]]\nname = \"black\"\nobject = \"E.2.0\"\nminus = [\"E.3.0\"]\n";
    let reading = read(rules, "E.2.0|65|30\nE.3.0|65|10\n");
    assert_eq!(counter(&reading, "total"), found(40, "E.2.0 + E.3.0"));
    assert_eq!(counter(&reading, "black"), found(20, "E.2.0 - E.3.0"));
    let reading = read(rules, "E.2.0|65|30\n");
    assert_eq!((counter(&reading, "total"), counter(&reading, "black")), (None, None));
    assert_eq!(counter(&read(rules, "E.2.0|65|3\nE.3.0|65|10\n"), "black"), None, "below 0 is no count");
}

#[test]
fn a_zero_of_an_object_that_is_not_used_is_passed_over() {
    let rules = "[[counter]]\nname = \"copy_total\"\nobject = \"E.2.0\"\nzero = false\n[[counter]]\nname = \"copy_total\"\nobject = \"E.3.0\"\n";
    assert_eq!(counter(&read(rules, "E.2.0|65|0\nE.3.0|65|8\n"), "copy_total"), found(8, "E.3.0"));
    assert_eq!(counter(&read(rules, "E.2.0|65|0\nE.3.0|65|0\n"), "copy_total"), found(0, "E.3.0"));
}

#[test]
fn a_total_or_a_colour_that_stays_at_zero_is_none_where_others_count() {
    let rules = "[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\n[[counter]]\nname = \"color\"\nobject = \"E.3.0\"\n\
        [[counter]]\nname = \"print_color\"\nobject = \"E.4.0\"\n";
    let life = "1.3.6.1.2.1.43.10.2.1.4.1.1";
    let reading = read(rules, &format!("E.2.0|65|0\nE.3.0|65|0\nE.4.0|65|6\n{life}|65|100\n"));
    assert_eq!(counter(&reading, "total"), found(100, life));
    assert_eq!(counter(&reading, "color"), None);
    let reading = read(rules, &format!("E.2.0|65|0\nE.3.0|65|0\nE.4.0|65|0\n{life}|65|0\n"));
    assert_eq!(counter(&reading, "total"), found(0, "E.2.0"), "a new machine");
    assert_eq!(counter(&reading, "color"), found(0, "E.3.0"));
}

#[test]
fn rows_are_found_by_code_then_by_label_then_by_index() {
    let rules = "[[table]]\nvalue = \"E.2\"\ncode = \"E.3\"\nlabel = \"E.4\"\n[[table.counter]]\nname = \"copy_total\"\n\
        codes = [200]\nlabels = [\"Copies*\"]\nrows = [\"1.*\"]\n";
    let rows = "E.2.1.1|65|11\nE.2.1.2|65|12\nE.2.2.1|65|13\n";
    let codes = "E.3.1.2|2|200\n";
    let labels = "E.4.2.1|4|copies (all)\n";
    assert_eq!(counter(&read(rules, &format!("{rows}{codes}{labels}")), "copy_total"), found(12, "E.2.1.2"));
    assert_eq!(counter(&read(rules, &format!("{rows}{labels}")), "copy_total"), found(13, "E.2.2.1"));
    assert_eq!(counter(&read(rules, rows), "copy_total"), None, "two rows, and nobody knows which");
    assert_eq!(counter(&read(rules, "E.2.1.1|65|11\n"), "copy_total"), found(11, "E.2.1.1"));
}

#[test]
fn rows_of_one_code_are_one_value_or_none() {
    let rules = "[[table]]\nvalue = \"E.2\"\ncode = \"E.3\"\n[[table.counter]]\nname = \"copy_color\"\ncodes = [202, 203]\nsum = true\n";
    let same = "E.2.1|65|5\nE.2.2|65|5\nE.2.3|65|7\nE.3.1|2|202\nE.3.2|2|202\nE.3.3|2|203\n";
    assert_eq!(counter(&read(rules, same), "copy_color"), found(12, "E.2.1 + E.2.3"));
    let unlike = same.replace("E.2.2|65|5", "E.2.2|65|6");
    assert_eq!(counter(&read(rules, &unlike), "copy_color"), None);
    assert_eq!(counter(&read(rules, "E.2.3|65|7\nE.3.3|2|203\n"), "copy_color"), found(7, "E.2.3"));
    let all = rules.replace("sum = true", "sum = true\nall = true");
    assert_eq!(counter(&read(&all, "E.2.3|65|7\nE.3.3|2|203\n"), "copy_color"), None);
}

#[test]
fn every_row_of_a_table_can_be_a_counter_of_its_own() {
    let rules = "[[table]]\nvalue = \"E.2\"\nlabel = \"E.3\"\neach = \"department_{label}\"\n";
    let reading =
        read(rules, "E.2.1|65|5\nE.2.2|65|6\nE.2.3|65|7\nE.3.1|4|Sales\nE.3.2|4|R & D\nE.3.3|4|r-d\n");
    assert_eq!(counter(&reading, "department_sales"), found(5, "E.2.1"));
    assert_eq!(counter(&reading, "department_r_d"), None, "two departments of one name");
}

#[test]
fn records_end_at_their_mark_and_at_a_cut() {
    let rules = "[[records]]\nobject = \"E.2.0\"\nlength = 7\nid = [0, 1]\nvalue = [3, 4]\nend = 255\n\
        [[records.counter]]\nname = \"total\"\nid = 0x00\n[[records.part]]\nname = \"drum_remaining_life\"\nid = 0x41\ndivide = 100\n";
    let reading = read(rules, "E.2.0|4x|00010400000102410104000026acff000104000000ff\n");
    assert_eq!(counter(&reading, "total"), found(258, "E.2.0"));
    assert_eq!(
        reading.parts.first().map(|part| (part.name.as_str(), part.value)),
        Some(("drum_remaining_life", 99))
    );
    let behind_the_end = read(rules, "E.2.0|4x|ff000104000000ff\n");
    assert_eq!(counter(&behind_the_end, "total"), None);
    let cut = read(rules, "E.2.0|4x|000104000001\n");
    assert_eq!(counter(&cut, "total"), None);
}

#[test]
fn conditions_decide_which_object_is_meant() {
    let rules = "[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\nwhen = [{ object = \"E.3.0\", is = [1, 2] }]\n\
        [[counter]]\nname = \"total\"\nobject = \"E.4.0\"\nwhen = [{ object = \"E.3.0\", not = [1, 2] }]\n\
        [[counter]]\nname = \"duplex\"\nobject = \"E.2.0\"\nwhen = [{ object = \"E.5.0\", answers = false }]\n";
    let objects = "E.2.0|65|1\nE.4.0|65|2\n";
    assert_eq!(counter(&read(rules, &format!("{objects}E.3.0|2|2\n")), "total"), found(1, "E.2.0"));
    assert_eq!(counter(&read(rules, &format!("{objects}E.3.0|2|3\n")), "total"), found(2, "E.4.0"));
    assert_eq!(counter(&read(rules, objects), "total"), None);
    assert_eq!(counter(&read(rules, objects), "duplex"), found(1, "E.2.0"));
    assert_eq!(counter(&read(rules, &format!("{objects}E.5.0|2|1\n")), "duplex"), None);
}

#[test]
fn numbers_stand_in_texts_where_the_pattern_says() {
    let rules = "[[counter]]\nname = \"printed_length_inches\"\nobject = \"E.2.0\"\ntext = \"{number:digits} INCHES*\"\n";
    let reading = read(rules, "E.2.0|4|1920 INCHES, 4876 CENTIMETERS\n");
    assert_eq!(counter(&reading, "printed_length_inches"), found(1920, "E.2.0"));
    assert_eq!(counter(&read(rules, "E.2.0|4|many INCHES\n"), "printed_length_inches"), None);
}

#[test]
fn a_counter_stays_with_the_object_that_it_was_read_from() {
    let rules = "[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\n";
    let life = "1.3.6.1.2.1.43.10.2.1.4.1.1";
    let both = walk(&format!("E.2.0|65|90\n{life}|65|100\n"));
    let only_life = walk(&format!("{life}|65|101\n"));
    let pinned = |oid: &str| BTreeMap::from([(CounterName::TOTAL, oid.parse::<Source>().unwrap())]);
    let total = |walk: &Walk, pins: &BTreeMap<CounterName, Source>| {
        counter(&interpret_pinned(walk, &profiles(rules), pins), "total").map(|(value, _)| value)
    };
    assert_eq!(total(&both, &BTreeMap::new()), Some(90));
    assert_eq!(
        total(&only_life, &pinned("1.3.6.1.4.1.9999.2.0")),
        None,
        "the private object did not answer this time"
    );
    assert_eq!(total(&both, &pinned(life)), Some(100), "the profile came later");
}

#[test]
fn private_supplies_stand_in_only_where_there_are_no_standard_ones() {
    let rules = "[[supplies]]\ndescription = \"E.2\"\nlevel = \"E.3\"\nmax = 100\nstates = { \"-100\" = \"nearly-empty\" }\n";
    let private = "E.2.1|4|Black\nE.3.1|2|-100\nE.2.2|4|Cyan\nE.3.2|2|40\n";
    let reading = read(rules, private);
    let told: Vec<_> =
        reading.supplies.iter().map(|supply| (supply.description.as_deref(), supply.percent)).collect();
    assert_eq!(told, [(Some("Black"), None), (Some("Cyan"), Some(40))]);
    let reading = read(rules, &format!("{private}1.3.6.1.2.1.43.11.1.1.9.1.1|2|-3\n"));
    assert_eq!(reading.supplies.len(), 1);
    assert!(reading.supplies.iter().all(|supply| supply.description.is_none()));
}

#[test]
fn service_codes_are_found_in_texts_and_named_as_the_maker_names_them() {
    let rules = "[[service-code]]\nin = [\"alerts\", \"E.2.0\"]\npattern = \"*SC{code:digits}*\"\nshown = \"SC{code}\"\n";
    let reading = read(
        rules,
        "E.2.0|4|Call service: SC670\n1.3.6.1.2.1.43.18.1.1.8.1.5|4|sc542-00\n1.3.6.1.2.1.43.18.1.1.7.1.5|2|1\n",
    );
    let codes: Vec<_> = reading.service_codes.iter().map(|code| code.code.as_str()).collect();
    assert_eq!(codes, ["SC542", "SC670"]);
}

#[test]
fn fragile_devices_are_named_and_everything_wanted_is_listed_once() {
    let rules = "[identity]\nserial = [\"E.5.0\"]\n[[counter]]\nname = \"total\"\nobject = \"E.5.0\"\n[[counter]]\nname = \"duplex\"\nobject = \"E.6.*\"\n\
        [[table]]\nvalue = \"E.2\"\nlabel = \"E.3\"\n[[table.counter]]\nname = \"black\"\nlabels = [\"B\"]\n[[fragile]]\nmodels = [\"Old *\"]\nbulk = false\nwhy = \"restarts\"\n";
    let chosen = profiles(rules).choose(&walk(""));
    let wanted = chosen.wanted();
    let texts = |oids: &[Oid]| {
        oids.iter().map(|oid| oid.to_string().replace("1.3.6.1.4.1.9999.", "E.")).collect::<Vec<_>>()
    };
    assert_eq!(texts(&wanted.scalars), ["E.5.0"]);
    assert_eq!(texts(&wanted.columns), ["E.2", "E.3", "E.6"]);
    assert_eq!(texts(&wanted.steady), ["E.3", "E.5.0"]);
    assert!(chosen.care(Some("Old 5"), None).no_bulk);
    assert!(!chosen.care(Some("New 5"), None).no_bulk);
}

#[test]
fn a_machine_of_one_brand_with_anothers_inside_gets_both_profiles() {
    let inside = profile("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\n");
    let brand = "vendor = \"Brand\"\nsources = [\"sysDescr\"]\n[[description]]\npattern = \"Brand {model} v{firmware:version}\"\n";
    let both = Profiles::parse(&format!("#= brand.toml\n{brand}\n#= maker.toml\n{inside}")).unwrap();
    let walk = walk("1.3.6.1.2.1.1.1.0|4|BRAND Z9 v1.2\nE.2.0|65|7\n");
    assert_eq!(both.choose(&walk).iter().map(super::Profile::name).collect::<Vec<_>>(), ["maker", "brand"]);
    let reading = interpret(&walk, &both);
    assert_eq!(reading.identity.vendor.as_deref(), Some("Brand"));
    assert_eq!(reading.identity.model.as_deref(), Some("Z9"));
    assert_eq!(reading.identity.firmware.as_deref(), Some("1.2"));
    assert_eq!(counter(&reading, "total"), found(7, "E.2.0"));
}

#[test]
fn the_longest_object_identifier_is_tried_first_and_objects_that_answer_tell_of_a_profile() {
    let of = |name: &str, matches: &str| {
        format!("#= {name}.toml\nvendor = \"{name}\"\nsources = [\"x\"]\n[match]\n{matches}\n")
    };
    let bundle = of("a", "object-ids = [\"1.3.6.1.4.1.9999\"]")
        + &of("b", "object-ids = [\"1.3.6.1.4.1.9999.1\"]")
        + &of("c", "answers = [\"1.3.6.1.4.1.8888.1.0\"]")
        + &of("d", "device-ids = [\"other\"]");
    let all = Profiles::parse(&bundle).unwrap();
    let walk = walk("1.3.6.1.4.1.8888.1.0|2|1\n");
    assert_eq!(all.choose(&walk).iter().map(super::Profile::name).collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_eq!(all.probes().len(), 1);
}

#[test]
fn mistakes_are_told_with_file_line_field_and_what_is_allowed() {
    let mistake = |rules: &str| Profiles::parse_file("maker.toml", &profile(rules)).unwrap_err().to_string();
    for (rules, line, words) in [
        ("[[counter]]\nname = \"totals\"\nobject = \"E.2.0\"\n", 6, "no counter is called `totals`"),
        ("[[counter]]\nname = \"total\"\nobject = \"2.0\"\n", 7, "begins with 1.3.6.1"),
        ("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\nfaktor = 2\n", 8, "unknown field `faktor`"),
        ("[[counter]]\nname = \"total\"\n", 5, "missing field `object`"),
        ("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\nunit = \"reams\"\n", 8, "reams"),
        ("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\ntext = \"INCHES\"\n", 5, "no {number}"),
        ("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\nwhen = [{ is = [1] }]\n", 5, "a condition is"),
        ("[[table]]\nvalue = \"E.2\"\n", 5, "needs [[table.counter]] or `each`"),
        (
            "[[table]]\nvalue = \"E.2\"\n[[table.counter]]\nname = \"total\"\ncodes = [1]\n",
            5,
            "no column `code`",
        ),
        ("[[table]]\nvalue = \"E.2\"\neach = \"cost_{row}\"\n", 5, "no counter is called"),
        ("[[records]]\nobject = \"E.2.0\"\nlength = 4\nid = [0, 1]\nvalue = [3, 4]\n", 5, "inside of it"),
        ("[[description]]\npattern = \"{modell} x\"\n", 5, "{modell} means nothing here"),
        ("[[service-code]]\nin = [\"alert\"]\npattern = \"{code}\"\n", 6, "`alerts`, `panel`"),
        ("[[fragile]]\nwhy = \"\"\n", 6, "say why"),
        ("[identity]\nserial = [\"hrDeviceDesc\"]\n", 6, "prtGeneralSerialNumber"),
        ("[standard]\nlife-count-is-total = \"no\"\n", 6, "boolean"),
        ("vendor = ", 5, ""),
    ] {
        let told = mistake(rules);
        assert!(told.starts_with(&format!("maker.toml, line {line}")), "{rules}: {told}");
        assert!(told.contains(words), "{rules}: {told}");
    }
    let field = mistake("[[counter]]\nname = \"total\"\nobject = \"2.0\"\n");
    assert!(field.starts_with("maker.toml, line 7, object: "), "{field}");
}

#[test]
fn a_bundle_names_the_file_of_a_mistake_and_its_line_in_that_file() {
    let good = profile("");
    let bad = profile("[[counter]]\nname = \"sum\"\nobject = \"E.2.0\"\n");
    let error = Profiles::parse(&format!("#= a.toml\n{good}\n#= b.toml\n{bad}")).unwrap_err();
    assert!(error.to_string().starts_with("b.toml, line 6, name: "), "{error}");
    let twice = Profiles::parse(&format!("#= a.toml\n{good}\n#= a.toml\n{good}"));
    assert!(matches!(twice, Err(ProfileError::Twice { .. })));
    for none in ["", "vendor = \"X\"\n", "# a remark\n#= a.toml\n"] {
        assert!(matches!(Profiles::parse(none), Err(ProfileError::NoBundle { .. })), "{none}");
    }
    assert!(matches!(Profiles::parse("#= ../x.toml\n"), Err(ProfileError::Name { .. })));
}

#[test]
fn profiles_need_a_source_and_bounds() {
    let without = profile("").replace("its MIB", " ");
    assert!(
        Profiles::parse_file("a.toml", &without)
            .unwrap_err()
            .to_string()
            .contains("where the facts come from")
    );
    let many: String =
        (0..600).map(|at| format!("[[part]]\nname = \"p{at}\"\nobject = \"E.2.{at}\"\n")).collect();
    assert!(matches!(Profiles::parse_file("a.toml", &profile(&many)), Err(ProfileError::TooLarge { .. })));
    let answers = profile("")
        .replace("[match]", "[match]\nanswers = [\"E.1.1\", \"E.1.2\", \"E.1.3\", \"E.1.4\", \"E.1.5\"]");
    let answers = answers.replace("E.", "1.3.6.1.4.1.9999.");
    assert!(Profiles::parse_file("a.toml", &answers).unwrap_err().to_string().contains("at most 4"));
}

#[test]
fn the_releases_profiles_are_used_unless_they_are_wrong() {
    let root = tempfile::tempdir().unwrap();
    let layout = crate::layout::Layout::new(root.path());
    assert!(matches!(edge::in_use(&layout), (_, edge::Origin::BuiltIn)));
    std::fs::create_dir(layout.current()).unwrap();
    let module = layout.current().join(edge::MODULE);
    std::fs::write(&module, format!("#= maker.toml\n{}", profile(""))).unwrap();
    let (profiles, origin) = edge::in_use(&layout);
    assert!(matches!(origin, edge::Origin::Release));
    assert_eq!(profiles.iter().count(), 1);
    std::fs::write(&module, "#= maker.toml\nvendor = 7\n").unwrap();
    let (profiles, origin) = edge::in_use(&layout);
    let edge::Origin::Fallback(error) = origin else { panic!("a wrong bundle is not used") };
    assert!(error.to_string().starts_with("maker.toml, line 1, vendor: "), "{error}");
    assert_eq!(profiles.iter().count(), Profiles::built_in().iter().count());
}

#[test]
fn a_folder_becomes_a_bundle_that_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.toml"), profile("")).unwrap();
    std::fs::write(folder.path().join("a.toml"), profile("")).unwrap();
    std::fs::write(folder.path().join("README.md"), "words").unwrap();
    let bundle = edge::bundle(folder.path()).unwrap();
    let names: Vec<String> =
        Profiles::parse(&bundle).unwrap().iter().map(|profile| profile.name().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    std::fs::write(folder.path().join("c.toml"), "sources = 1\n").unwrap();
    assert!(edge::bundle(folder.path()).unwrap_err().to_string().starts_with("c.toml, line 1, sources: "));
}

mod any_input {
    use super::{Oid, Profiles, Value, Walk, interpret, profile};
    use proptest::prelude::*;

    /// Pieces of which a profile that parses now and then is put together.
    fn rules() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("[[counter]]\nname = \"total\"\nobject = \"E.2.0\"\n".to_owned()),
            Just("[[counter]]\nname = \"black\"\nobject = \"E.2.*\"\nminus = [\"E.3.0\"]\n".to_owned()),
            Just("[[table]]\nvalue = \"E.2\"\nlabel = \"E.3\"\ncode = \"E.4\"\neach = \"mode_{label}\"\n".to_owned()),
            Just("[[records]]\nobject = \"E.3.0\"\nlength = 3\nid = [0, 1]\nvalue = [1, 2]\n[[records.part]]\nname = \"x\"\nid = 1\n".to_owned()),
            Just("[[supplies]]\ndescription = \"E.3\"\nlevel = \"E.2\"\nmax = \"E.4\"\n".to_owned()),
            Just("[[service-code]]\nin = [\"E.3.*\", \"alerts\"]\npattern = \"*{code:digits}*\"\n".to_owned()),
            "[a-z\\[\\]=\"{}*.0-9 \\n]{0,40}",
        ];
        proptest::collection::vec(line, 0..6).prop_map(|lines| profile(&lines.concat()))
    }

    fn walk() -> impl Strategy<Value = Walk> {
        let value = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Octets),
            Just(Value::Other),
        ];
        let object = ((1u32..6), (0u32..5), value)
            .prop_map(|(column, row, value)| (Oid::new(&[1, 3, 6, 1, 4, 1, 9999, column, row]), value));
        proptest::collection::vec(object, 0..40).prop_map(|objects| {
            let id =
                ("1.3.6.1.2.1.1.2.0".parse().unwrap(), Value::Oid("1.3.6.1.4.1.9999.1".parse().unwrap()));
            objects.into_iter().chain([id]).collect()
        })
    }

    proptest! {
        #[test]
        fn any_text_is_a_profile_or_a_mistake(text in "\\PC{0,200}", rules in rules()) {
            let _ = Profiles::parse(&text);
            let _ = Profiles::parse_file("x.toml", &rules);
        }

        #[test]
        fn any_profile_takes_any_walk(rules in rules(), walk in walk()) {
            let Ok(profiles) = Profiles::parse(&format!("#= x.toml\n{rules}")) else { return Ok(()) };
            let reading = interpret(&walk, &profiles);
            for counter in &reading.counters {
                prop_assert!(counter.source.objects().all(|oid| walk.get(oid.arcs()).is_some()));
            }
        }
    }
}
