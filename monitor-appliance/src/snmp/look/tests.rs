use super::*;
use crate::snmp::layout::tests::{layout, printer};

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

/// The answer of a device that is as it was.
fn answer(look: &Look<'_>, rows: &[(&str, i64)]) -> Vec<(Oid, Cell)> {
    let singles = look.entries.iter().map(|entry| (entry.oid.clone(), Cell::Value(entry.value.clone())));
    let rows = rows.iter().map(|(name, code)| (oid(name), Cell::Value(Value::Integer(*code))));
    let behind = (oid("1.3.6.1.2.1.43.18.1.1.8.1.9"), Cell::Value(Value::Octets(b"Jam".to_vec())));
    singles.chain(rows).chain([behind]).collect()
}

fn signs_of(layout: &Layout) -> Vec<(Oid, Value)> {
    let look = Look::new(layout, None).unwrap();
    look.entries.iter().map(|entry| (entry.oid.clone(), entry.value.clone())).collect()
}

const JAM: (&str, i64) = ("1.3.6.1.2.1.43.18.1.1.7.1.9", 8);

#[test]
fn a_look_asks_from_just_before_each_object() {
    assert_eq!(just_before(&oid("1.3.6.1.2.1.1.3.0")), oid("1.3.6.1.2.1.1.3"));
    assert_eq!(just_before(&oid("1.3.5.1.2.1")), oid("1.3.5.1.2.0"));
    let layout = layout();
    let alerts = Alerts::of(&printer(), &signs_of(&layout));
    let look = Look::new(&layout, Some(&alerts)).unwrap();
    assert_eq!(look.starts(Form::Bulk).len() + 1, look.starts(Form::Next).len());
    assert_eq!(look.repetitions().1, 2, "one row, and what is behind it");
    assert!(look.covers(&oid("1.3.6.1.2.1.1.3.0")) && !look.covers(&oid("1.3.6.1.2.1.1.1.0")));
}

#[test]
fn alerts_are_known_only_as_long_as_nothing_about_them_changes() {
    let layout = layout();
    let alerts = Alerts::of(&printer(), &signs_of(&layout));
    let look = Look::new(&layout, Some(&alerts)).unwrap();
    let known = |rows: &[(&str, i64)]| look.judge(answer(&look, rows)).unwrap().alerts_are_known;
    assert!(known(&[JAM]));
    assert!(!known(&[]), "it is over");
    assert!(!known(&[(JAM.0, 9)]), "another code in its place");
    assert!(!known(&[("1.3.6.1.2.1.43.18.1.1.7.1.10", 8)]), "another row");
    assert!(!known(&[JAM, ("1.3.6.1.2.1.43.18.1.1.7.1.10", 8)]), "one more");
    let mut cut = answer(&look, &[JAM]);
    cut.pop();
    assert!(!look.judge(cut).unwrap().alerts_are_known, "whether there are more rows nobody knows");
    let mut stopped = answer(&look, &[JAM]);
    let state =
        stopped.iter_mut().find(|(name, _)| name.arcs().starts_with(oids::HR_PRINTER_STATUS)).unwrap();
    state.1 = Cell::Value(Value::Integer(1));
    assert!(!look.judge(stopped).unwrap().alerts_are_known, "the printer's state is another one");
}

#[test]
fn an_object_that_is_gone_and_an_answer_to_something_else_are_told_apart() {
    let layout = layout();
    let look = Look::new(&layout, None).unwrap();
    let mut gone = answer(&look, &[]);
    gone[1].0 = oid("1.3.6.1.2.1.25.3.2.1.6.1");
    assert_eq!(look.judge(gone), Err(Doubt::Gone));
    let mut ended = answer(&look, &[]);
    ended[1].1 = Cell::End;
    assert_eq!(look.judge(ended), Err(Doubt::Gone));
    let mut other = answer(&look, &[]);
    other[1].0 = oid("1.3.6.1.2.1.1.3.0");
    assert_eq!(look.judge(other), Err(Doubt::Malformed));
    assert_eq!(look.judge(Vec::new()), Err(Doubt::Malformed));
}

#[test]
fn what_is_useful_is_left_out_when_many_alerts_take_the_room() {
    let layout = layout();
    let short = Look::new(&layout, None).unwrap();
    let mut walk = printer();
    for row in 10..22 {
        walk.insert(Oid::new(&[oids::PRT_ALERT_CODE, &[1, row]].concat()), Value::Integer(8));
        walk.insert(Oid::new(&[oids::PRT_ALERT_SEVERITY_LEVEL, &[1, row]].concat()), Value::Integer(3));
    }
    let alerts = Alerts::of(&walk, &[]);
    let long = Look::new(&layout, Some(&alerts)).unwrap();
    let life_count = oid("1.3.6.1.2.1.43.10.2.1.4.1.1");
    assert!(short.covers(&life_count) && !long.covers(&life_count));
    assert!(long.covers(&oid("1.3.6.1.2.1.25.3.5.1.2.1")), "but never the error bits");
}
