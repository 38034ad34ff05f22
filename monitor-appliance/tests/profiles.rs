//! What the profiles read of machines of which no recording is at hand: walks written from the makers' MIBs
//! (`profiles/NAME.snmprec`), and all that is to be read of them, neither less nor more (`profiles/NAME.json`).

#![expect(clippy::unwrap_used, reason = "a file that cannot be read ends the test")]

use monitor_appliance::device::{Document, Walk, interpret, parse_recording};
use monitor_appliance::profile::{Profile, Profiles};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

fn read(walk: &str, profiles: &Profiles) -> Json {
    let walk: Walk = parse_recording(walk).unwrap().into_iter().collect();
    serde_json::to_value(Document::of(&interpret(&walk, profiles), &|_| (None, None))).unwrap()
}

/// The fields of `wanted` alone.
fn only(object: &Json, wanted: &[&str]) -> Json {
    let object = object.as_object().unwrap();
    let kept = object.iter().filter(|(key, _)| wanted.contains(&key.as_str()));
    Json::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

/// Reads a machine of this folder, and compares.
fn machine(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles");
    let text = |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).unwrap();
    let expected: Json = serde_json::from_str(&text("json")).unwrap();
    let found = read(&text("snmprec"), &Profiles::built_in());
    assert_eq!(
        only(&found["identity"], &["vendor", "model", "serial", "firmware"]),
        expected["identity"],
        "{name}"
    );
    for section in ["counters", "parts"] {
        let all = |from: &Json| from.get(section).cloned().unwrap_or_else(|| json!({}));
        assert_eq!(all(&found), all(&expected), "{name}: {section}");
    }
    if let Some(supplies) = expected.get("supplies") {
        let rows = found["supplies"].as_array().unwrap().iter();
        let rows: Vec<Json> = rows.map(|row| only(row, &["description", "percent", "state"])).collect();
        assert_eq!(Json::Array(rows), *supplies, "{name}");
    }
}

#[test]
fn every_profile_that_the_program_carries_is_in_use() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".toml") {
            Profiles::parse_file(&file, &std::fs::read_to_string(&path).unwrap()).unwrap();
            names.push(name.to_owned());
        }
    }
    names.sort();
    let built_in = Profiles::built_in();
    assert_eq!(built_in.iter().map(Profile::name).collect::<Vec<_>>(), names);
}

#[test]
fn lexmark_tells_pages_by_function_and_format_and_scans_by_way() {
    machine("lexmark-mx611");
}

#[test]
fn an_old_lexmark_without_the_table_of_pages_tells_black_and_colour() {
    machine("lexmark-x654");
}

#[test]
fn xerox_names_its_counters_itself() {
    machine("xerox-workcentre-7845");
}

#[test]
fn where_names_of_counters_are_in_another_language_their_numbers_count() {
    machine("fuji-xerox-by-number");
}

#[test]
fn a_ricoh_under_another_brand_and_in_german_is_read_by_the_types_of_its_counters() {
    machine("ricoh-mpc4504-german");
}

#[test]
fn ricoh_levels_that_are_no_numbers_stay_states() {
    machine("ricoh-private-toner");
}

#[test]
fn konica_minolta_counts_by_colour_and_function_and_says_minus_one_for_what_it_cannot() {
    machine("konica-minolta-bizhub-c258");
}

#[test]
fn canon_counts_a_large_sheet_once_where_the_name_of_the_counter_ends_in_1() {
    machine("canon-ir-adv-c5535");
}

#[test]
fn toshiba_rows_are_category_and_colour() {
    machine("toshiba-e-studio-2555c");
}

#[test]
fn samsung_rows_of_all_sizes_and_sides_add_up_and_sheets_do_not_count_as_pages() {
    machine("samsung-clx-6260");
}

#[test]
fn oki_tells_its_pages_privately_where_the_standard_count_is_missing() {
    machine("oki-mc562");
}

#[test]
fn pantum_objects_stand_without_an_instance() {
    machine("pantum-m7100");
}

#[test]
fn hp_texts_begin_with_a_symbol_set_and_scans_of_both_sources_add_up() {
    machine("hp-laserjet-mfp");
}

#[test]
fn a_kyocera_of_another_brand_tells_functions_colours_and_formats() {
    machine("utax-p-c3062i");
}

#[test]
fn brother_records_and_tables_tell_pages_by_function_and_lives_of_parts() {
    machine("brother-mfc-l8690cdw");
}

#[test]
fn epson_black_pages_of_a_function_are_what_is_not_colour() {
    machine("epson-wf-c5790");
}

#[test]
fn sharp_rows_are_function_and_colour() {
    machine("sharp-mx-3570n");
}

#[test]
fn a_dell_of_samsung_make_says_all_in_its_description() {
    machine("dell-of-samsung-make");
}

#[test]
fn a_label_printer_tells_who_it_is_in_zebra_objects() {
    machine("zebra-zt411");
}

/// The service codes in an alert of a machine of a maker.
fn codes(maker: &str, alert: &str) -> Json {
    let walk = format!(
        "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.{maker}\n1.3.6.1.2.1.43.18.1.1.2.1.1|2|3\n\
         1.3.6.1.2.1.43.18.1.1.4.1.1|2|5\n1.3.6.1.2.1.43.18.1.1.8.1.1|4|{alert}\n"
    );
    read(&walk, &Profiles::built_in())["status"].get("service_codes").cloned().unwrap_or_else(|| json!([]))
}

#[test]
fn service_codes_are_found_in_alerts_and_what_only_looks_like_one_is_left_alone() {
    for (maker, alert, code) in [
        ("11.2.3.9.1", "49.FF04 Error", "49.FF04"),
        ("641.2.1", "Service fuser error 920.07", "920.07"),
        ("367.1.1", "Functional Problem: SC899-01", "SC899"),
        ("18334.1.2.1", "Malfunction C-2557", "C2557"),
        ("1602.4.7", "Turn main power OFF/ON. E197-0000", "E197"),
        ("1129.1.1", "Call for service. Error code: CF10", "CF10"),
        ("236.11.5.1", "Error: #U1-2320: Fuser Unit Failure", "U1-2320"),
        ("2001.1.1", "Service call 182:Error", "182"),
        ("1347.41", "Error occurred. Call service person :C0180", "C0180"),
        ("2385.3.1", "Call for service. Code:F2-40", "F2-40"),
    ] {
        let found = codes(maker, alert);
        let found = found
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap_or_else(|| code["code"].as_str().unwrap()));
        assert_eq!(found.collect::<Vec<_>>(), [code], "{alert}");
    }
    for (maker, alert) in [
        ("11.2.3.9.1", "Tray 1 empty"),
        ("641.2.1", "Load tray 1 with A4"),
        ("367.1.1", "Scanner ready 2"),
        ("1602.4.7", "E-mail sending error"),
        ("236.11.5.1", "Tray #1 is empty"),
        ("1347.41", "Add paper to cassette 1"),
    ] {
        assert_eq!(codes(maker, alert), json!([]), "{alert}");
    }
}

const HEAD: &str =
    "#= test.toml\nvendor = \"Test\"\nsources = [\"this test\"]\n[match]\ndescriptions = [\"Test *\"]\n";

/// The counters of a machine with rows `JOB COLOUR VALUE` under 1.3.6.1.4.1.99999.1.{1,2,3}.
fn counters(model: &str, rules: &str, rows: &[(i64, i64, i64)]) -> Json {
    let mut walk = format!("1.3.6.1.2.1.1.1.0|4|Test {model}\n");
    for (index, (job, colour, value)) in rows.iter().enumerate() {
        for (column, value) in [(1, job), (2, colour), (3, value)] {
            walk += &format!("1.3.6.1.4.1.99999.1.{column}.{index}|2|{value}\n");
        }
    }
    read(&walk, &Profiles::parse(&format!("{HEAD}{rules}")).unwrap())["counters"].clone()
}

const TABLE: &str = "[[table]]\nvalue = \"1.3.6.1.4.1.99999.1.3\"\n";
const TWO_CODES: &str = "code = [\"1.3.6.1.4.1.99999.1.1\", \"1.3.6.1.4.1.99999.1.2\"]\n";

#[test]
fn a_star_in_a_code_of_two_columns_stands_for_every_number_and_differing_rows_of_one_code_for_none() {
    let rules = format!(
        "{TABLE}{TWO_CODES}[[table.counter]]\nname = \"print_total\"\ncodes = [\"1.*\"]\nsum = true\n"
    );
    let rows = [(1, 1, 10), (1, 3, 20), (2, 3, 40)];
    assert_eq!(counters("One", &rules, &rows), json!({ "print_total": 30 }));
    assert_eq!(counters("One", &rules, &[(1, 1, 10), (1, 1, 11)]), json!({}));
}

#[test]
fn a_row_that_says_minus_one_is_no_row() {
    let one = format!(
        "{TABLE}code = \"1.3.6.1.4.1.99999.1.1\"\n[[table.counter]]\nname = \"color\"\ncodes = [1, 2]\n"
    );
    let rows = [(1, 0, -1), (2, 0, 20)];
    assert_eq!(counters("One", &one, &rows), json!({ "color": 20 }));
    assert_eq!(counters("One", &format!("{one}sum = true\n"), &rows), json!({ "color": 20 }));
    assert_eq!(counters("One", &format!("{one}sum = true\nall = true\n"), &rows), json!({}));
}

#[test]
fn a_condition_can_leave_models_out() {
    let rule = "[[counter]]\nname = \"total\"\nobject = \"1.3.6.1.4.1.99999.1.3.0\"\n";
    let rule = format!("{rule}when = [{{ not-model = [\"*-J*\", \"*-T*\"] }}, {{ model = \"MFC*\" }}]\n");
    let rows = [(1, 1, 5)];
    assert_eq!(counters("MFC-L8690", &rule, &rows), json!({ "total": 5 }));
    assert_eq!(counters("MFC-J1300", &rule, &rows), json!({}));
    assert_eq!(counters("HL-5000", &rule, &rows), json!({}));
}

#[test]
fn a_code_of_the_wrong_length_is_a_mistake_that_is_told() {
    let rules = format!("{HEAD}{TABLE}{TWO_CODES}[[table.counter]]\nname = \"total\"\ncodes = [1]\n");
    let problem = Profiles::parse(&rules).unwrap_err().to_string();
    assert!(problem.contains("test.toml, line 5") && problem.contains("`total`"), "{problem}");
}
