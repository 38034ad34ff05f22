//! Devices that are known: few requests, and whatever contradicts what is known is noticed.

use super::agent::{Agent, Manner};
use super::{limits, printer, target, text, v1, v2c};
use crate::device::{Oid, Part, Reading, interpret, oids};
use crate::snmp::{
    Acquaintance, Depth, Manner as Treatment, ReadError, ReadLimits, SnmpCredential, SnmpReader, Wish, Wishes,
};
use async_snmp::Value;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The printer of the other tests, with the objects by which changes show.
fn counting() -> Vec<(&'static str, Value)> {
    let mut objects = printer();
    objects.push(("1.3.6.1.2.1.43.5.1.1.1.1", Value::Counter32(3)));
    objects.push(("1.3.6.1.2.1.43.5.1.1.19.1", Value::Counter32(7)));
    objects
}

fn begin() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().unwrap()
}

struct Visitor {
    reader: SnmpReader,
    agent: Agent,
    credential: SnmpCredential,
    known: Acquaintance,
    now: Timestamp,
}

impl Visitor {
    async fn new(objects: &[(&str, Value)], manner: Manner, credential: SnmpCredential) -> Self {
        let reader = SnmpReader::bind().await.unwrap();
        let agent = Agent::start(objects, manner).await;
        Self { reader, agent, credential, known: Acquaintance::default(), now: begin() }
    }

    /// A visit half a minute after the one before; gives its requests and octets, too.
    async fn visit(&mut self, depth: Depth) -> (Reading, u32, u32) {
        self.now = self.now.saturating_add(SignedDuration::from_secs(30)).unwrap();
        let _ = self.agent.spent();
        let target = target(&self.agent, self.credential.clone());
        let walk =
            self.reader.read_known(&target, &limits(), depth, &mut self.known, self.now).await.unwrap();
        let (requests, octets) = self.agent.spent();
        (interpret(&walk, &crate::profile::Profiles::built_in()), requests, octets)
    }

    async fn everything(&mut self) -> (Reading, u32) {
        let (reading, requests, _) = self.visit(Depth::Everything).await;
        (reading, requests)
    }

    async fn look(&mut self) -> (Reading, u32) {
        let (reading, requests, _) = self.visit(Depth::Faults).await;
        (reading, requests)
    }
}

/// A visitor who knows the printer, alerts and all.
async fn acquainted(credential: SnmpCredential) -> Visitor {
    let mut visitor = Visitor::new(&counting(), Manner::Well, credential).await;
    visitor.everything().await;
    visitor.look().await;
    visitor
}

fn alert_codes(reading: &Reading) -> Vec<Option<i32>> {
    reading.alerts.iter().map(|alert| alert.code).collect()
}

#[tokio::test]
async fn a_known_printer_is_read_in_few_requests_and_tells_the_same() {
    for credential in [v2c("public"), v1()] {
        let mut visitor = Visitor::new(&counting(), Manner::Well, credential).await;
        let (learned, walked) = visitor.everything().await;
        visitor.look().await;
        let (read, requests) = visitor.everything().await;
        assert!(walked > 10 && requests <= 2, "{requests} requests instead of {walked}");
        assert_eq!(read, learned);
    }
}

#[tokio::test]
async fn a_look_is_one_request_of_at_most_400_octets() {
    for credential in [v2c("public"), v1()] {
        let mut visitor = acquainted(credential).await;
        let (reading, requests, octets) = visitor.visit(Depth::Faults).await;
        assert_eq!(requests, 1);
        assert!(octets <= 400, "{octets} octets");
        assert_eq!(alert_codes(&reading), [Some(8)]);
        assert_eq!(reading.alerts[0].description.as_deref(), Some("Paper jam"));
        assert!(reading.status[0].errors.is_some());
        assert!(reading.is_complete(Part::Alerts));
    }
}

#[tokio::test]
async fn a_new_alert_is_seen_by_the_next_look_whether_or_not_alerts_are_counted() {
    for counted in [true, false] {
        for credential in [v2c("public"), v1()] {
            let objects = if counted { counting() } else { printer() };
            let mut visitor = Visitor::new(&objects, Manner::Well, credential).await;
            visitor.everything().await;
            visitor.look().await;
            visitor.agent.set("1.3.6.1.2.1.43.18.1.1.2.1.12", Value::Integer(3));
            visitor.agent.set("1.3.6.1.2.1.43.18.1.1.7.1.12", Value::Integer(808));
            let (reading, requests) = visitor.look().await;
            assert_eq!(alert_codes(&reading), [Some(8), Some(808)]);
            assert!(requests > 1);
            assert_eq!(visitor.look().await.1, 1, "then the new row is known");
        }
    }
}

#[tokio::test]
async fn an_alert_that_is_over_is_seen_by_the_next_look() {
    for credential in [v2c("public"), v1()] {
        let mut visitor = acquainted(credential).await;
        for column in [2, 4, 7, 8] {
            visitor.agent.remove(&format!("1.3.6.1.2.1.43.18.1.1.{column}.1.9"));
        }
        assert_eq!(alert_codes(&visitor.look().await.0), []);
        // Behind its last object an SNMPv1 device refuses a whole request.
        let behind = ("1.3.6.1.2.1.43.30.1.0", Value::Integer(1));
        visitor.agent.set(behind.0, behind.1);
        assert_eq!(visitor.look().await.1, 1);
    }
}

#[tokio::test]
async fn an_alert_in_the_place_of_another_one_is_seen_by_the_next_look() {
    let mut visitor = acquainted(v2c("public")).await;
    visitor.agent.set("1.3.6.1.2.1.43.18.1.1.7.1.9", Value::Integer(3));
    assert_eq!(alert_codes(&visitor.look().await.0), [Some(3)]);
    // The same code again: only the count of alerts tells.
    visitor.agent.set("1.3.6.1.2.1.43.18.1.1.8.1.9", text("Front cover"));
    visitor.agent.set("1.3.6.1.2.1.43.5.1.1.19.1", Value::Counter32(8));
    assert_eq!(visitor.look().await.0.alerts[0].description.as_deref(), Some("Front cover"));
}

#[tokio::test]
async fn a_restart_is_seen_by_the_next_look_and_everything_is_learned_anew() {
    let mut visitor = acquainted(v2c("public")).await;
    visitor.agent.set("1.3.6.1.2.1.1.3.0", Value::TimeTicks(200));
    let (reading, requests) = visitor.look().await;
    assert!(requests > 1 && visitor.known.is_lost());
    assert_eq!(alert_codes(&reading), [Some(8)], "faults are looked for all the same");
    assert!(visitor.everything().await.1 > 10);
    assert!(!visitor.known.is_lost());
    visitor.look().await;
    assert_eq!(visitor.look().await.1, 1);
}

#[tokio::test]
async fn whatever_contradicts_the_layout_makes_the_same_visit_walk() {
    let changes: [(&str, &str, Option<Value>); 6] = [
        ("another device", "1.3.6.1.2.1.43.5.1.1.17.1", Some(text("OTHER1"))),
        ("another device", "1.3.6.1.2.1.1.3.0", Some(Value::TimeTicks(900_000_000))),
        ("configured", "1.3.6.1.2.1.43.5.1.1.1.1", Some(Value::Counter32(4))),
        ("a supply of another size", "1.3.6.1.2.1.43.11.1.1.8.1.1", Some(Value::Integer(200))),
        ("a fuller supply", "1.3.6.1.2.1.43.11.1.1.9.1.1", Some(Value::Integer(99))),
        ("an object is gone", "1.3.6.1.2.1.43.11.1.1.9.1.2", None),
    ];
    for (what, object, value) in changes {
        let mut visitor = acquainted(v2c("public")).await;
        visitor.everything().await;
        match value {
            Some(value) => visitor.agent.set(object, value),
            None => visitor.agent.remove(object),
        }
        // What would not be asked again by the old layout.
        visitor.agent.set("1.3.6.1.2.1.43.11.1.1.6.1.1", text("Black Cartridge XL"));
        let (reading, requests) = visitor.everything().await;
        assert!(requests > 10, "{what}: {requests} requests");
        assert_eq!(reading.supplies[0].description.as_deref(), Some("Black Cartridge XL"), "{what}");
        visitor.look().await;
        assert!(visitor.everything().await.1 <= 2, "{what}: then it is known again");
    }
}

#[tokio::test]
async fn rows_that_nothing_tells_of_are_found_within_a_day() {
    let mut visitor = acquainted(v2c("public")).await;
    visitor.agent.set("1.3.6.1.2.1.43.11.1.1.6.1.3", text("Waste box"));
    assert_eq!(visitor.everything().await.0.supplies.len(), 2);
    visitor.now = visitor.now.saturating_add(SignedDuration::from_hours(24)).unwrap();
    visitor.agent.set("1.3.6.1.2.1.1.3.0", Value::TimeTicks(123_400 + 24 * 3600 * 100));
    assert_eq!(visitor.everything().await.0.supplies.len(), 3);
}

#[tokio::test]
async fn a_layout_outlives_a_restart_of_ours() {
    let mut visitor = acquainted(v2c("public")).await;
    let stored = visitor.known.take_change().expect("it was learned").expect("and not given up");
    assert_eq!(visitor.known.take_change(), None, "it is stored once");
    visitor.known = Acquaintance::restore(Some(&stored));
    let (reading, requests) = visitor.everything().await;
    assert!(requests <= 3, "{requests} requests");
    assert_eq!(reading.supplies.len(), 2);
    assert_eq!(alert_codes(&reading), [Some(8)]);
    visitor.known = Acquaintance::restore(Some(&stored[1..]));
    assert!(visitor.everything().await.1 > 10, "what cannot be read is learned anew");
}

#[tokio::test]
async fn a_printer_that_does_not_understand_non_repeaters_is_looked_at_in_another_way() {
    let mut visitor = Visitor::new(&counting(), Manner::NoNonRepeaters, v2c("public")).await;
    visitor.everything().await;
    visitor.look().await;
    visitor.look().await;
    let (reading, requests) = visitor.look().await;
    assert_eq!((alert_codes(&reading), requests), (vec![Some(8)], 1));
}

#[tokio::test]
async fn a_printer_that_cannot_send_much_at_once_is_known_all_the_same() {
    let mut visitor = Visitor::new(&counting(), Manner::TooBigAbove(3), v2c("public")).await;
    let (learned, _) = visitor.everything().await;
    visitor.look().await;
    assert_eq!(visitor.everything().await.0, learned);
    assert_eq!(alert_codes(&visitor.look().await.0), [Some(8)]);
}

/// Wants one private object and one private table; treats the device as it is told.
struct Private(Treatment);

impl Wishes for Private {
    fn wish(&self, walk: &crate::device::Walk) -> Wish {
        let oid = |text: &str| text.parse::<Oid>().unwrap();
        if walk.scalar(oids::SYS_OBJECT_ID).is_none() {
            return Wish::default();
        }
        Wish {
            scalars: vec![oid("1.3.6.1.4.1.641.2.1.0"), oid("1.3.6.1.4.1.641.2.2.0")],
            columns: vec![oid("1.3.6.1.4.1.641.3.1"), oid("1.3.6.1.4.1.641.3.2")],
            steady: vec![oid("1.3.6.1.4.1.641.3.1")],
            identity: vec![oid("1.3.6.1.4.1.641.2.1.0")],
            skip: vec![oid("1.3.6.1.2.1.25.2")],
            manner: self.0,
        }
    }

    fn edition(&self) -> u64 {
        5
    }
}

fn private() -> Vec<(&'static str, Value)> {
    let mut objects = counting();
    objects.extend([
        ("1.3.6.1.4.1.641.2.1.0", Value::Counter32(10)),
        ("1.3.6.1.4.1.641.3.1.1", text("Copies")),
        ("1.3.6.1.4.1.641.3.1.2", text("Faxes")),
        ("1.3.6.1.4.1.641.3.2.1", Value::Counter32(20)),
        ("1.3.6.1.4.1.641.3.2.2", Value::Counter32(30)),
    ]);
    objects
}

#[tokio::test]
async fn private_objects_are_learned_and_asked_again_labels_are_remembered() {
    for credential in [v2c("public"), v1()] {
        let mut visitor = Visitor::new(&private(), Manner::Well, credential).await;
        visitor.reader =
            SnmpReader::bind().await.unwrap().with_wishes(Arc::new(Private(Treatment::default())));
        visitor.everything().await;
        visitor.agent.set("1.3.6.1.4.1.641.2.1.0", Value::Counter32(11));
        visitor.agent.set("1.3.6.1.4.1.641.3.2.2", Value::Counter32(31));
        visitor.agent.set("1.3.6.1.4.1.641.3.1.1", text("not asked for"));
        let target = target(&visitor.agent, visitor.credential.clone());
        let (depth, now) = (Depth::Everything, visitor.now);
        let walk =
            visitor.reader.read_known(&target, &limits(), depth, &mut visitor.known, now).await.unwrap();
        let number =
            |oid: &str| walk.get(oid.parse::<Oid>().unwrap().arcs()).and_then(crate::device::Value::as_i64);
        assert_eq!(number("1.3.6.1.4.1.641.2.1.0"), Some(11));
        assert_eq!(number("1.3.6.1.4.1.641.3.2.1"), Some(20));
        assert_eq!(number("1.3.6.1.4.1.641.3.2.2"), Some(31));
        let label = walk.get(&[1, 3, 6, 1, 4, 1, 641, 3, 1, 1]).and_then(|value| value.as_octets());
        assert_eq!(label, Some(&b"Copies"[..]));
    }
}

#[tokio::test]
async fn a_fragile_printer_is_asked_one_object_at_a_time() {
    let mut visitor = Visitor::new(&private(), Manner::OneObject, v2c("public")).await;
    let fragile = Treatment { objects_per_request: Some(1), no_bulk: true, ..Treatment::default() };
    visitor.reader = SnmpReader::bind().await.unwrap().with_wishes(Arc::new(Private(fragile)));
    let (learned, _) = visitor.everything().await;
    assert_eq!(learned.supplies.len(), 2);
    visitor.look().await;
    assert_eq!(visitor.everything().await.0, learned);
    assert_eq!(alert_codes(&visitor.look().await.0), [Some(8)]);
    assert_eq!(visitor.agent.crashes(), 1, "only by the first request, before it was known what it is");
}

#[tokio::test]
async fn no_device_gets_more_requests_in_an_hour_than_the_limit_and_they_are_counted() {
    let mut visitor = Visitor::new(&counting(), Manner::Well, v2c("public")).await;
    let limits = ReadLimits { requests_per_hour: 25, retries: 0, ..limits() };
    let target = target(&visitor.agent, visitor.credential.clone());
    let mut refused = 0;
    for _ in 0..40 {
        let depth = Depth::Faults;
        let result = visitor.reader.read_known(&target, &limits, depth, &mut visitor.known, begin()).await;
        refused += u32::from(matches!(result, Err(ReadError::BudgetSpent { .. })));
    }
    let usage = visitor.reader.usage(&target.address);
    assert_eq!((visitor.agent.spent().0, usage.requests), (25, 25));
    assert_eq!(usage.put_off, refused);
    assert!(refused > 0);
}
