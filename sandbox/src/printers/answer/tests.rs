use std::sync::Arc;

use async_snmp::{PduBody, StandardPduType};

use super::*;
use crate::printers::recording::Recording;

const TEXT: &str = "1.3.6.1.1.1|2|1\n1.3.6.1.1.2|70|9\n1.3.6.1.1.3|2|3\n1.3.6.1.2.1|4|last\n";

fn oid(text: &str) -> Oid {
    Oid::parse(text).unwrap()
}

fn standard(pdu_type: StandardPduType, oids: &[&str]) -> Pdu {
    let bindings = oids.iter().map(|text| VarBind::null(oid(text))).collect();
    Pdu::from_raw_parts(7, PduBody::Standard { pdu_type, error_status: 0, error_index: 0 }, bindings)
}

fn bulk(non_repeaters: u32, max_repetitions: u32, oids: &[&str]) -> Pdu {
    let bindings = oids.iter().map(|text| VarBind::null(oid(text))).collect();
    Pdu::from_raw_parts(7, PduBody::GetBulk { non_repeaters, max_repetitions }, bindings)
}

fn ask_with(behaviour: Behaviour, room: usize, version: Version, request: &Pdu) -> Pdu {
    let objects = Objects::new(Arc::new(Recording::parse(TEXT, "x").unwrap()));
    let view = View { objects: &objects, now: 0, behaviour, room };
    answer(version, request, &view).unwrap().into_raw()
}

fn ask(version: Version, request: &Pdu) -> Pdu {
    ask_with(Behaviour::Normal, 1400, version, request)
}

fn names(pdu: &Pdu) -> Vec<String> {
    pdu.varbinds().iter().map(|binding| binding.oid.to_string()).collect()
}

#[test]
fn what_is_missing_is_an_exception_in_v2c_and_an_error_in_v1() {
    let request = standard(StandardPduType::GetRequest, &["1.3.6.1.1.1", "1.3.6.1.1.9", "1.3.6.1.7.0"]);
    let answered = ask(Version::V2c, &request);
    let values: Vec<&Value> = answered.varbinds().iter().map(|binding| &binding.value).collect();
    assert_eq!(values, [&Value::Integer(1), &Value::NoSuchInstance, &Value::NoSuchObject]);
    let refused = ask(Version::V1, &request);
    assert_eq!(refused.error_fields(), Some((2, 2)));
    assert_eq!(refused.varbinds().len(), 3, "the variables come back");
}

#[test]
fn v1_passes_over_a_counter_of_64_bits() {
    let request = standard(StandardPduType::GetNextRequest, &["1.3.6.1.1.1"]);
    assert_eq!(names(&ask(Version::V1, &request)), ["1.3.6.1.1.3"]);
    assert_eq!(names(&ask(Version::V2c, &request)), ["1.3.6.1.1.2"]);
}

#[test]
fn bulk_gives_the_single_ones_once_and_ends_at_the_end() {
    let answered = ask(Version::V2c, &bulk(1, 9, &["1.3.6.1.1", "1.3.6.1.1.3"]));
    assert_eq!(names(&answered), ["1.3.6.1.1.1", "1.3.6.1.2.1", "1.3.6.1.2.1"]);
    assert_eq!(answered.varbinds()[2].value, Value::EndOfMibView);
}

#[test]
fn bulk_stops_where_the_room_ends() {
    let answered = ask_with(Behaviour::Normal, 26, Version::V2c, &bulk(0, 9, &["1.3.6.1.1"]));
    assert_eq!(answered.varbinds().len(), 2);
    let none = ask_with(Behaviour::Normal, 5, Version::V2c, &bulk(0, 9, &["1.3.6.1.1"]));
    assert_eq!(none.error_fields(), Some((1, 0)));
}

#[test]
fn nothing_can_be_written() {
    let request = standard(StandardPduType::SetRequest, &["1.3.6.1.1.1"]);
    assert_eq!(ask(Version::V2c, &request).error_fields(), Some((17, 1)));
    assert_eq!(ask(Version::V1, &request).error_fields(), Some((2, 1)));
}

#[test]
fn odd_behaviour_is_as_named() {
    let next = standard(StandardPduType::GetNextRequest, &["1.3.6.1.1.3"]);
    let odd = |behaviour, request: &Pdu| ask_with(behaviour, 1400, Version::V2c, request);
    assert_eq!(names(&odd(Behaviour::Loop, &next)), ["1.3.6.1.1.3"]);
    assert_eq!(names(&odd(Behaviour::EndlessTree, &next)), ["1.3.6.1.1.4"]);
    assert_eq!(odd(Behaviour::WrongRequestId, &next).request_id(), 8);
    assert_eq!(odd(Behaviour::TooBig, &bulk(0, 9, &["1.3"])).error_fields(), Some((1, 0)));
    assert_eq!(odd(Behaviour::TooBig, &next).error_fields(), Some((0, 0)), "one object is not too big");
}
