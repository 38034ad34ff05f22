use super::*;
use proptest::prelude::*;

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

/// A printer with one supply and two devices, of which only one is the printer.
pub(in super::super) fn printer() -> Walk {
    let objects = [
        ("1.3.6.1.2.1.1.1.0", Value::Octets(b"Example 100".to_vec())),
        ("1.3.6.1.2.1.1.3.0", Value::Ticks(1_000)),
        ("1.3.6.1.2.1.25.3.2.1.5.1", Value::Integer(2)),
        ("1.3.6.1.2.1.25.3.2.1.5.2", Value::Integer(2)),
        ("1.3.6.1.2.1.25.3.5.1.1.1", Value::Integer(3)),
        ("1.3.6.1.2.1.25.3.5.1.2.1", Value::Octets(vec![0])),
        ("1.3.6.1.2.1.43.5.1.1.1.1", Value::Unsigned(3)),
        ("1.3.6.1.2.1.43.5.1.1.17.1", Value::Octets(b"S1".to_vec())),
        ("1.3.6.1.2.1.43.10.2.1.4.1.1", Value::Unsigned(70_000)),
        ("1.3.6.1.2.1.43.11.1.1.6.1.1", Value::Octets(b"Toner".to_vec())),
        ("1.3.6.1.2.1.43.11.1.1.8.1.1", Value::Integer(100)),
        ("1.3.6.1.2.1.43.11.1.1.9.1.1", Value::Integer(40)),
        ("1.3.6.1.2.1.43.18.1.1.2.1.9", Value::Integer(3)),
        ("1.3.6.1.2.1.43.18.1.1.7.1.9", Value::Integer(8)),
    ];
    objects.into_iter().map(|(name, value)| (oid(name), value)).collect()
}

pub(in super::super) fn layout() -> Layout {
    Layout::learn(&printer(), &Wish::default(), 7, 1_000, at(0)).unwrap()
}

fn role_of(layout: &Layout, object: &str) -> Option<Role> {
    layout.entry(oid(object).arcs()).map(|entry| entry.role)
}

#[test]
fn what_does_not_change_is_remembered_and_the_rest_is_asked_for() {
    let layout = layout();
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.1.1.0"), Some(Role::Steady));
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.43.10.2.1.4.1.1"), Some(Role::Asked));
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.43.5.1.1.17.1"), Some(Role::Same));
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.43.11.1.1.9.1.1"), Some(Role::Level));
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.43.18.1.1.7.1.9"), None, "alerts are looked at, not learned");
    assert_eq!(role_of(&layout, "1.3.6.1.2.1.25.3.2.1.5.1"), Some(Role::Asked));
    assert_eq!(
        role_of(&layout, "1.3.6.1.2.1.25.3.2.1.5.2"),
        Some(Role::Steady),
        "the state of the other device"
    );
}

#[test]
fn a_layout_is_good_for_a_day_and_not_for_a_time_before_it() {
    let layout = layout();
    assert_eq!(layout.age(at(0)), Ok(()));
    assert_eq!(layout.age(at(24 * 3600 - 1)), Ok(()));
    assert_eq!(layout.age(at(24 * 3600)), Err(Doubt::Old));
    assert_eq!(layout.age(at(-1)), Err(Doubt::Old));
}

#[test]
fn an_uptime_that_falls_is_a_restart_and_one_that_leaps_another_device() {
    let goes_on = |before, secs, ticks| uptime_goes_on(before, at(0), ticks, at(secs));
    assert_eq!(goes_on(50_000, 60, 56_000), Ok(()));
    assert_eq!(goes_on(50_000, 60, 50_100), Ok(()), "it slept");
    assert_eq!(goes_on(50_000, 60, 49_999), Err(Doubt::Restarted));
    assert_eq!(goes_on(50_000, 60, 9_000_000), Err(Doubt::OtherDevice));
    assert_eq!(goes_on(u32::MAX - 10, 60, 5_990), Ok(()), "497 days are over");
    assert_eq!(goes_on(50_000, -60, 50_000), Ok(()), "our clock was set back");
}

#[test]
fn a_level_that_rises_much_is_another_supply() {
    let layout = layout();
    let level = layout.entry(oid("1.3.6.1.2.1.43.11.1.1.9.1.1").arcs()).unwrap();
    let check = |last: Option<i64>, now| level.check(&Value::Integer(now), last);
    assert_eq!(check(Some(40), 39), Ok(()));
    assert_eq!(check(Some(40), 42), Ok(()), "a shaken cartridge");
    assert_eq!(check(Some(40), 100), Err(Doubt::SupplyChanged));
    assert_eq!(check(Some(0), 100), Err(Doubt::SupplyChanged));
    assert_eq!(check(Some(-3), 100), Ok(()), "a state is no level");
    assert_eq!(check(None, 100), Ok(()));
}

#[test]
fn requests_are_cut_by_octets_and_by_number_and_none_is_empty() {
    let layout = layout();
    let entries: Vec<&Entry> = layout.entries.iter().collect();
    let sizes =
        |room, cells| batches(&entries, room, cells).iter().map(|batch| batch.len()).collect::<Vec<_>>();
    assert_eq!(sizes(10_000, 100), [entries.len()]);
    assert_eq!(sizes(1, 100), vec![1; entries.len()]);
    assert_eq!(sizes(10_000, 5).iter().sum::<usize>(), entries.len());
    assert!(sizes(10_000, 5).iter().all(|size| *size <= 5));
}

#[test]
fn the_octets_of_an_object_are_what_they_are_on_the_wire() {
    let cases = [
        ("1.3.6.1.2.1.1.3.0", Value::Ticks(123_456_789)),
        ("1.3.6.1.2.1.43.11.1.1.9.1.1", Value::Integer(-3)),
        ("1.3.6.1.4.1.11.2.3.9.4.2.1.4.1.2.22.0", Value::Integer(128)),
        ("1.3.6.1.4.1.18334.1.1.1", Value::Octets(vec![7; 200])),
        ("1.3.6.1.2.1.1.2.0", Value::Oid(oid("1.3.6.1.4.1.2435.2.3.9.1"))),
        ("1.3.6.1.2.1.1.9.0", Value::Other),
    ];
    for (name, value) in cases {
        let wire = match &value {
            Value::Ticks(ticks) => async_snmp::Value::TimeTicks(*ticks),
            Value::Integer(number) => async_snmp::Value::Integer(i32::try_from(*number).unwrap()),
            Value::Octets(octets) => async_snmp::Value::OctetString(octets.clone().into()),
            Value::Oid(oid) => async_snmp::Value::ObjectIdentifier(async_snmp::Oid::from_slice(oid.arcs())),
            _ => async_snmp::Value::Null,
        };
        let binding = async_snmp::VarBind::new(async_snmp::Oid::parse(name).unwrap(), wire);
        assert_eq!(binding_octets(&oid(name), &value), binding.encoded_size(), "{name}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<u32>().prop_map(Value::Ticks),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Octets),
        prop::collection::vec(any::<u32>(), 0..12).prop_map(|arcs| Value::Oid(Oid::new(&arcs))),
        any::<[u8; 4]>().prop_map(Value::Ip),
        Just(Value::Other),
    ]
}

proptest! {
    #[test]
    fn every_layout_comes_back_as_it_was_written(
        values in prop::collection::btree_map(prop::collection::vec(any::<u32>(), 1..14), (any_value(), 0..4usize), 0..30),
        retries in prop::option::of(0..9u32),
    ) {
        let roles = [Role::Steady, Role::Asked, Role::Same, Role::Level];
        let entry = |(arcs, (value, role)): (Vec<u32>, (Value, usize))| {
            Entry { oid: Oid::new(&arcs), part: Part::Vendor, role: roles[role], value }
        };
        let manner = Manner { retries, no_bulk: true, ..Manner::default() };
        let written = Layout { entries: values.into_iter().map(entry).collect(), manner, ..layout() };
        prop_assert_eq!(Layout::decode(&written.encode()), Some(written));
    }

    #[test]
    fn anything_else_is_no_layout_and_does_no_harm(
        octets in prop::collection::vec(any::<u8>(), 0..300),
        place in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let _ = Layout::decode(&octets);
        let mut damaged = layout().encode();
        let at = place.index(damaged.len());
        damaged[at] = octet;
        let _ = Layout::decode(&damaged);
        damaged.truncate(at);
        prop_assert_eq!(Layout::decode(&damaged), None);
    }
}
