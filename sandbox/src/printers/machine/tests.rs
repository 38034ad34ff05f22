use super::*;

const SMALL: &str = "1.3.6.1.2.1.1.3.0|67|1000\n1.3.6.1.2.1.2.2.1.6.1|4x|0011223344ff\n\
    1.3.6.1.2.1.25.3.2.1.5.1|2|2\n1.3.6.1.2.1.25.3.5.1.1.1|2|3\n1.3.6.1.2.1.25.3.5.1.2.1|4x|20\n\
    1.3.6.1.2.1.43.5.1.1.17.1|4|AB1\n1.3.6.1.2.1.43.5.1.1.18.1|65|4\n1.3.6.1.2.1.43.5.1.1.19.1|65|9\n\
    1.3.6.1.2.1.43.10.2.1.4.1.1|65|500\n1.3.6.1.2.1.43.10.2.1.5.1.1|65|20\n\
    1.3.6.1.2.1.43.11.1.1.8.1.1|2|3000\n1.3.6.1.2.1.43.11.1.1.8.1.2|2|-2\n\
    1.3.6.1.2.1.43.11.1.1.9.1.1|2|1500\n1.3.6.1.2.1.43.11.1.1.9.1.2|2|-3\n\
    1.3.6.1.2.1.43.18.1.1.2.1.7|2|5\n1.3.6.1.2.1.43.18.1.1.8.1.7|4|Door\n\
    1.3.6.1.4.1.9.1|2|500\n1.3.6.1.4.1.9.2|2|501\n1.3.6.1.4.1.9.3|4|AB1\n";

fn machine(text: &str) -> Machine {
    Machine::new(Arc::new(Recording::parse(text, "small").unwrap()))
}

fn value(machine: &Machine, oid: &str) -> Option<Value> {
    machine.objects.get(&Oid::parse(oid).unwrap(), 0)
}

fn state(machine: &Machine) -> (Option<Value>, Option<Value>, Vec<u8>) {
    let [device, printer, errors] =
        ["1.3.6.1.2.1.25.3.2.1.5.1", "1.3.6.1.2.1.25.3.5.1.1.1", "1.3.6.1.2.1.25.3.5.1.2.1"]
            .map(|oid| value(machine, oid));
    (device, printer, errors.as_ref().and_then(Value::as_bytes).unwrap_or_default().to_vec())
}

#[test]
fn pages_grow_every_counter_of_all_pages_and_no_other_number() {
    let mut machine = machine(SMALL);
    machine.print_pages(3, 0).unwrap();
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.10.2.1.4.1.1"), Some(Value::Counter32(503)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.10.2.1.5.1.1"), Some(Value::Counter32(23)));
    assert_eq!(value(&machine, "1.3.6.1.4.1.9.1"), Some(Value::Integer(503)));
    assert_eq!(value(&machine, "1.3.6.1.4.1.9.2"), Some(Value::Integer(501)));
}

#[test]
fn brothers_record_of_all_pages_grows() {
    let text = "1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5.10.0|4x|010104000000050001040000ffffff\n";
    let mut machine = machine(text);
    machine.print_pages(2, 0).unwrap();
    let grown = value(&machine, "1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5.10.0").unwrap();
    assert_eq!(grown.as_bytes().unwrap(), [1, 1, 4, 0, 0, 0, 5, 0, 1, 4, 0, 1, 0, 1, 0xff]);
}

#[test]
fn a_printer_without_counters_says_so() {
    let refused = machine("1.3.6.1.2.1.1.3.0|67|1\n").print_pages(1, 0);
    assert_eq!(refused, Err(MachineError::NoCounter("small".into())));
}

#[test]
fn a_jam_shows_in_table_state_and_event_counts_and_leaves_no_trace_but_those() {
    let mut machine = machine(SMALL);
    let calm = state(&machine);
    let index = machine.jam(50);
    assert_eq!(index, 8, "counts on from the recorded row 7");
    assert_eq!(machine.jam(60), index, "one jam at a time");
    assert_eq!(state(&machine), (Some(Value::Integer(5)), Some(Value::Integer(1)), vec![0x24]));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.18.1.1.7.1.8"), Some(Value::Integer(8)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.18.1.1.9.1.8"), Some(Value::TimeTicks(1050)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.5.1.1.18.1"), Some(Value::Counter32(5)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.5.1.1.19.1"), Some(Value::Counter32(10)));
    assert_eq!(machine.clear_jam(70), 1);
    assert_eq!(state(&machine), calm);
    assert_eq!(machine.summary().alerts, [(7, "Door".to_owned())]);
    assert_eq!(machine.jam(80), 9, "an index is never used again");
}

#[test]
fn the_state_follows_the_gravest_alert_that_is_left() {
    let mut machine = machine(SMALL);
    let low = machine.raise_alert(Alert::toner_low(1), 0);
    assert_eq!(state(&machine), (Some(Value::Integer(3)), Some(Value::Integer(3)), vec![0x20]));
    let empty = machine.raise_alert(Alert::paper_empty(1), 0);
    assert_eq!(state(&machine), (Some(Value::Integer(5)), Some(Value::Integer(1)), vec![0x60, 0x04]));
    machine.clear_alert(empty, 0).unwrap();
    assert_eq!(state(&machine).0, Some(Value::Integer(3)));
    machine.clear_alert(low, 0).unwrap();
    assert_eq!(state(&machine), (Some(Value::Integer(2)), Some(Value::Integer(3)), vec![0x20]));
    assert_eq!(
        machine.clear_alert(low, 0),
        Err(MachineError::NoAlert { printer: "small".into(), index: low })
    );
}

#[test]
fn a_recorded_alert_can_be_cleared_too() {
    let mut machine = machine(SMALL);
    machine.clear_alert(7, 0).unwrap();
    assert_eq!(machine.summary().alerts, []);
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.18.1.1.8.1.7"), None);
}

#[test]
fn state_objects_a_recording_lacks_are_added_for_the_time_of_the_alert() {
    let mut machine = machine("1.3.6.1.2.1.1.3.0|67|1\n");
    let index = machine.raise_alert(Alert::cover_open(1), 0);
    assert_eq!(state(&machine), (Some(Value::Integer(5)), Some(Value::Integer(1)), vec![0x08]));
    machine.clear_alert(index, 0).unwrap();
    assert_eq!(state(&machine), (None, None, vec![]));
}

#[test]
fn toner_is_set_in_the_unit_of_the_supply() {
    let mut machine = machine(SMALL);
    machine.set_toner_percent(1, 7, 0).unwrap();
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.11.1.1.9.1.1"), Some(Value::Integer(210)));
    machine.set_toner_percent(2, 40, 0).unwrap();
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.11.1.1.9.1.2"), Some(Value::Integer(40)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.11.1.1.8.1.2"), Some(Value::Integer(100)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.11.1.1.7.1.2"), Some(Value::Integer(19)));
    let missing = MachineError::NoSupply { printer: "small".into(), index: 3, known: vec![1, 2] };
    assert_eq!(machine.set_toner_percent(3, 40, 0), Err(missing));
    assert_eq!(machine.set_toner_percent(1, 101, 0), Err(MachineError::Percent(101)));
}

#[test]
fn two_printers_of_one_recording_have_their_own_serial_and_address() {
    let recording = Arc::new(Recording::parse(SMALL, "small").unwrap());
    let (mut one, two) = (Machine::new(Arc::clone(&recording)), Machine::new(recording));
    one.set_serial("X9", 0);
    one.set_mac([2, 0, 0, 0, 0, 9], 0);
    assert_eq!(one.summary().serial.as_deref(), Some("X9"));
    assert_eq!(
        value(&one, "1.3.6.1.4.1.9.3"),
        value(&one, "1.3.6.1.2.1.43.5.1.1.17.1"),
        "the vendor's copy too"
    );
    assert_eq!(value(&one, "1.3.6.1.2.1.2.2.1.6.1").unwrap().as_bytes().unwrap(), [2, 0, 0, 0, 0, 9]);
    assert_eq!(two.summary().serial.as_deref(), Some("AB1"));
}

#[test]
fn a_serial_is_added_where_the_recording_has_none() {
    let mut machine = machine("1.3.6.1.2.1.1.3.0|67|1\n");
    machine.set_serial("X9", 0);
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.5.1.1.17.1").unwrap().as_bytes(), Some(&b"X9"[..]));
}

#[test]
fn a_restart_counts_from_zero_and_keeps_the_life_count() {
    let mut machine = machine(SMALL);
    machine.restart();
    assert_eq!(value(&machine, "1.3.6.1.2.1.1.3.0"), Some(Value::TimeTicks(0)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.10.2.1.5.1.1"), Some(Value::Counter32(0)));
    assert_eq!(value(&machine, "1.3.6.1.2.1.43.10.2.1.4.1.1"), Some(Value::Counter32(500)));
}
