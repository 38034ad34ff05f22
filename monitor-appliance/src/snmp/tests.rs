mod agent;
mod known;

use super::{DeviceTarget, ReadError, ReadLimits, Secret, SnmpCredential, SnmpReader};
use crate::device::{Level, Part, Reading, interpret, oids};
use agent::{Agent, Manner};
use async_snmp::Value;
use std::time::{Duration, Instant};

fn text(text: &str) -> Value {
    Value::OctetString(text.as_bytes().to_vec().into())
}

/// A small colour printer with a jam.
fn printer() -> Vec<(&'static str, Value)> {
    vec![
        ("1.3.6.1.2.1.1.1.0", text("Lexmark T640 version NS.NP.N219 kernel 2.6.6 All-N-1")),
        (
            "1.3.6.1.2.1.1.2.0",
            Value::ObjectIdentifier(async_snmp::Oid::parse("1.3.6.1.4.1.641.1.71106749").unwrap()),
        ),
        ("1.3.6.1.2.1.1.3.0", Value::TimeTicks(123_400)),
        ("1.3.6.1.2.1.1.5.0", text("lex1")),
        ("1.3.6.1.2.1.2.2.1.6.1", Value::OctetString(vec![0, 4, 0, 1, 2, 3].into())),
        ("1.3.6.1.2.1.25.3.2.1.3.1", text("Lexmark T640")),
        ("1.3.6.1.2.1.25.3.2.1.5.1", Value::Integer(5)),
        ("1.3.6.1.2.1.25.3.5.1.1.1", Value::Integer(1)),
        ("1.3.6.1.2.1.25.3.5.1.2.1", Value::OctetString(vec![4].into())),
        ("1.3.6.1.2.1.43.5.1.1.17.1", text("7930XYZ")),
        ("1.3.6.1.2.1.43.10.2.1.3.1.1", Value::Integer(7)),
        ("1.3.6.1.2.1.43.10.2.1.4.1.1", Value::Counter32(4191)),
        ("1.3.6.1.2.1.43.11.1.1.6.1.1", text("Black Cartridge")),
        ("1.3.6.1.2.1.43.11.1.1.6.1.2", text("Cyan Cartridge")),
        ("1.3.6.1.2.1.43.11.1.1.8.1.1", Value::Integer(100)),
        ("1.3.6.1.2.1.43.11.1.1.8.1.2", Value::Integer(100)),
        ("1.3.6.1.2.1.43.11.1.1.9.1.1", Value::Integer(42)),
        ("1.3.6.1.2.1.43.11.1.1.9.1.2", Value::Integer(-3)),
        ("1.3.6.1.2.1.43.18.1.1.2.1.9", Value::Integer(3)),
        ("1.3.6.1.2.1.43.18.1.1.4.1.9", Value::Integer(13)),
        ("1.3.6.1.2.1.43.18.1.1.7.1.9", Value::Integer(8)),
        ("1.3.6.1.2.1.43.18.1.1.8.1.9", text("Paper jam")),
    ]
}

fn target(agent: &Agent, credential: SnmpCredential) -> DeviceTarget {
    DeviceTarget { address: agent.address.to_string(), credential }
}

fn v2c(community: &str) -> SnmpCredential {
    SnmpCredential::V2c { community: Secret::new(community) }
}

fn v1() -> SnmpCredential {
    SnmpCredential::V1 { community: Secret::new("public") }
}

/// Patient enough for a loaded machine.
fn limits() -> ReadLimits {
    ReadLimits { request_timeout: Duration::from_secs(10), ..ReadLimits::default() }
}

/// For printers that do not answer: short, so that the test is.
fn impatient() -> ReadLimits {
    ReadLimits { request_timeout: Duration::from_millis(400), retries: 1, ..ReadLimits::default() }
}

fn check_printer(reading: &Reading) {
    assert_eq!(reading.identity.vendor.as_deref(), Some("Lexmark"));
    assert_eq!(reading.identity.model.as_deref(), Some("T640"));
    assert_eq!(reading.identity.serial.as_deref(), Some("7930XYZ"));
    assert_eq!(reading.identity.mac.as_deref(), Some("00:04:00:01:02:03"));
    assert_eq!(reading.uptime_secs, Some(1234));
    assert!(!reading.counters.is_empty() && reading.counters.iter().all(|counter| counter.value == 4191));
    let levels: Vec<_> = reading.supplies.iter().filter_map(|supply| supply.level).collect();
    assert_eq!(levels, [Level::Units(42), Level::SomeRemains]);
    assert_eq!(reading.alerts.iter().map(|alert| alert.code).collect::<Vec<_>>(), [Some(8)]);
    assert_eq!(reading.incomplete, []);
}

#[tokio::test]
async fn a_printer_is_read_in_few_requests() {
    let agent = Agent::start(&printer(), Manner::Well).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_full(&target(&agent, v2c("public")), &limits()).await.unwrap();
    check_printer(&interpret(&walk, &crate::profile::Profiles::built_in()));
    assert!(agent.requests() <= 20, "{} requests", agent.requests());
}

#[tokio::test]
async fn an_old_printer_is_read_over_version_1() {
    let agent = Agent::start(&printer(), Manner::Well).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_full(&target(&agent, v1()), &limits()).await.unwrap();
    check_printer(&interpret(&walk, &crate::profile::Profiles::built_in()));
    assert!(agent.requests() <= 80, "{} requests", agent.requests());
}

#[tokio::test]
async fn looking_for_faults_takes_a_handful_of_requests() {
    let agent = Agent::start(&printer(), Manner::Well).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_faults(&target(&agent, v2c("public")), &limits()).await.unwrap();
    let reading = interpret(&walk, &crate::profile::Profiles::built_in());
    assert_eq!(reading.alerts[0].description.as_deref(), Some("Paper jam"));
    assert_eq!(reading.status.len(), 1);
    assert!(reading.supplies.is_empty());
    assert!(agent.requests() <= 5, "{} requests", agent.requests());
}

#[tokio::test]
async fn a_printer_that_cannot_send_much_at_once_is_asked_for_less() {
    let agent = Agent::start(&printer(), Manner::TooBigAbove(3)).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_full(&target(&agent, v2c("public")), &limits()).await.unwrap();
    check_printer(&interpret(&walk, &crate::profile::Profiles::built_in()));
}

#[tokio::test]
async fn a_printer_that_never_answers_is_given_up_with_advice() {
    let agent = Agent::start(&[], Manner::Silent).await;
    let reader = SnmpReader::bind().await.unwrap();
    let begun = Instant::now();
    let error = reader.read_full(&target(&agent, v2c("public")), &impatient()).await.unwrap_err();
    assert!(matches!(error, ReadError::NoAnswer { .. }), "{error:?}");
    let told = error.to_string();
    for advice in ["switched on", "community", &agent.address.to_string()] {
        assert!(told.contains(advice), "{told}");
    }
    assert!(!told.contains("public"), "{told}");
    assert_eq!(agent.requests(), 2, "one request and one repetition");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_wrong_community_looks_like_no_answer() {
    let agent = Agent::start(&printer(), Manner::Well).await;
    let reader = SnmpReader::bind().await.unwrap();
    let error = reader.read_full(&target(&agent, v2c("guessed")), &impatient()).await.unwrap_err();
    assert!(matches!(error, ReadError::NoAnswer { .. }), "{error:?}");
    assert!(!error.to_string().contains("guessed"));
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let agent = Agent::start(&[], Manner::Garbage).await;
    let reader = SnmpReader::bind().await.unwrap();
    let error = reader.read_full(&target(&agent, v2c("public")), &impatient()).await.unwrap_err();
    assert!(matches!(error, ReadError::NoAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_loop_is_refused() {
    for credential in [v2c("public"), v1()] {
        let agent = Agent::start(&[], Manner::Loop).await;
        let reader = SnmpReader::bind().await.unwrap();
        let walk = reader.read_full(&target(&agent, credential), &limits()).await;
        // The one object it repeats is a system description, so the visit is not empty; every part is marked.
        let reading = interpret(&walk.unwrap(), &crate::profile::Profiles::built_in());
        assert!(reading.supplies.is_empty());
        assert!(!reading.is_complete(Part::Supplies) && !reading.is_complete(Part::Alerts));
        assert!(agent.requests() <= 40, "{} requests", agent.requests());
    }
}

#[tokio::test]
async fn a_loop_in_every_table_and_nothing_else_is_an_error_with_advice() {
    let agent = Agent::start(&[], Manner::Loop).await;
    let reader = SnmpReader::bind().await.unwrap();
    let error = reader.read_faults(&target(&agent, v2c("public")), &limits()).await.unwrap_err();
    assert!(matches!(error, ReadError::Loop { .. }), "{error:?}");
    assert!(error.to_string().contains("loop"));
}

#[tokio::test]
async fn tables_without_end_are_cut_at_the_limit() {
    let agent = Agent::start(&[], Manner::Endless).await;
    let reader = SnmpReader::bind().await.unwrap();
    let limits = ReadLimits { rows: 40, ..limits() };
    let walk = reader.read_full(&target(&agent, v2c("public")), &limits).await.unwrap();
    assert!(walk.len() <= 40 * 60, "{} values", walk.len());
    assert!(!interpret(&walk, &crate::profile::Profiles::built_in()).is_complete(Part::Supplies));
}

#[tokio::test]
async fn the_number_of_requests_is_bounded() {
    let agent = Agent::start(&[], Manner::Endless).await;
    let reader = SnmpReader::bind().await.unwrap();
    let limits = ReadLimits { requests: 7, ..limits() };
    let walk = reader.read_full(&target(&agent, v2c("public")), &limits).await.unwrap();
    assert_eq!(agent.requests(), 7);
    assert!(
        !interpret(&walk, &crate::profile::Profiles::built_in()).is_complete(Part::Host),
        "what was not reached is marked"
    );
}

#[tokio::test]
async fn a_visit_ends_at_its_deadline() {
    let agent = Agent::start(&printer(), Manner::SilentAfter(2)).await;
    let reader = SnmpReader::bind().await.unwrap();
    let limits = ReadLimits {
        request_timeout: Duration::from_secs(60),
        deadline: Duration::from_millis(700),
        ..ReadLimits::default()
    };
    let begun = Instant::now();
    let walk = reader.read_full(&target(&agent, v2c("public")), &limits).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    let reading = interpret(&walk, &crate::profile::Profiles::built_in());
    assert_eq!(reading.identity.vendor.as_deref(), Some("Lexmark"), "what came before is kept");
    assert!(!reading.is_complete(Part::Alerts));
}

#[tokio::test]
async fn one_part_without_an_answer_does_not_lose_the_others() {
    let agent = Agent::start(&printer(), Manner::SilentBelow(oids::PRT_ALERT_SEVERITY_LEVEL)).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_full(&target(&agent, v2c("public")), &impatient()).await.unwrap();
    let reading = interpret(&walk, &crate::profile::Profiles::built_in());
    assert_eq!(reading.supplies.len(), 2);
    assert_eq!(reading.incomplete.iter().map(|failed| failed.part).collect::<Vec<_>>(), [Part::Alerts]);
}

#[tokio::test]
async fn a_printer_that_falls_silent_is_not_pestered_part_after_part() {
    let agent = Agent::start(&printer(), Manner::SilentAfter(3)).await;
    let reader = SnmpReader::bind().await.unwrap();
    let walk = reader.read_full(&target(&agent, v2c("public")), &impatient()).await.unwrap();
    let reading = interpret(&walk, &crate::profile::Profiles::built_in());
    assert_eq!(reading.identity.serial.as_deref(), Some("7930XYZ"));
    assert!(!reading.is_complete(Part::Covers));
    assert_eq!(agent.requests(), 3 + 4, "two parts are tried in vain, each twice");
}

#[tokio::test]
async fn two_visits_to_one_printer_take_turns() {
    let agent = Agent::start(&printer(), Manner::Slowly).await;
    let reader = SnmpReader::bind().await.unwrap();
    let target = target(&agent, v2c("public"));
    let limits = limits();
    let (full, faults) =
        tokio::join!(reader.read_full(&target, &limits), reader.read_faults(&target, &limits));
    check_printer(&interpret(&full.unwrap(), &crate::profile::Profiles::built_in()));
    assert_eq!(interpret(&faults.unwrap(), &crate::profile::Profiles::built_in()).alerts.len(), 1);
    assert_eq!(agent.overlaps(), 0);
}

#[tokio::test]
async fn a_printer_that_shows_nothing_is_an_error_with_advice() {
    let agent = Agent::start(&[("1.3.6.1.4.1.641.1.1.0", Value::Integer(1))], Manner::Well).await;
    let reader = SnmpReader::bind().await.unwrap();
    let error = reader.read_full(&target(&agent, v2c("public")), &limits()).await.unwrap_err();
    assert!(matches!(error, ReadError::NothingToRead { .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_that_cannot_be_one_is_told_as_such() {
    let reader = SnmpReader::bind().await.unwrap();
    let target = DeviceTarget { address: "127.0.0.1:none".to_owned(), credential: v2c("public") };
    let error = reader.read_full(&target, &limits()).await.unwrap_err();
    assert!(matches!(error, ReadError::BadAddress { .. }), "{error:?}");
}
