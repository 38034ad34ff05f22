use super::*;
use crate::snmp::Secret;
use proptest::prelude::*;

/// How long a try counts.
const HOUR: i64 = 3660;

fn at(secs: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

fn device() -> SocketAddr {
    "10.0.0.7:161".parse().unwrap()
}

fn ladder(words: &[&str]) -> Vec<Digest> {
    let name = |word: &&str| credential_name(&SnmpAccess::V2c { community: Secret::new(*word) });
    words.iter().map(name).collect()
}

fn tried(credential: Digest, secs: i64, outcome: Outcome) -> Try {
    Try { address: device(), call: false, credential, at: at(secs), outcome }
}

#[test]
fn two_wrong_ones_are_all_that_a_device_is_told_in_an_hour() {
    let ladder = ladder(&["a", "b", "c"]);
    let mut book = TryBook::default();
    assert_eq!(book.choose(device(), &ladder, at(0), at(0)), Choice::Try(0));
    book.note(tried(ladder[0], 0, Outcome::Wrong));
    assert_eq!(book.choose(device(), &ladder, at(0), at(3)), Choice::Try(1));
    book.note(tried(ladder[1], 3, Outcome::Wrong));
    assert_eq!(book.choose(device(), &ladder, at(0), at(6)), Choice::Wait(at(HOUR)));
    assert_eq!(book.choose(device(), &ladder, at(0), at(HOUR - 1)), Choice::Wait(at(HOUR)));
    assert_eq!(book.choose(device(), &ladder, at(0), at(HOUR)), Choice::Try(2));
    assert!(book.has_untried(device(), &ladder));
    book.note(tried(ladder[2], HOUR, Outcome::Wrong));
    assert!(!book.has_untried(device(), &ladder));
    assert_eq!(
        book.choose(device(), &ladder, at(0), at(HOUR + 3)),
        Choice::Done,
        "each was tried since the scan began"
    );
    assert_eq!(
        book.choose(device(), &ladder, at(8000), at(8200)),
        Choice::Try(0),
        "the longest ago comes first"
    );
}

#[test]
fn the_one_that_was_good_last_comes_first_even_after_a_silence() {
    let ladder = ladder(&["a", "b", "c"]);
    let mut book = TryBook::default();
    book.note(tried(ladder[2], 0, Outcome::Good));
    assert_eq!(book.choose(device(), &ladder, at(10), at(10)), Choice::Try(2));
    book.note(tried(ladder[2], 10, Outcome::Wrong));
    assert_eq!(book.choose(device(), &ladder, at(10), at(12)), Choice::Try(0));
    assert_eq!(book.choose(device(), &ladder, at(9000), at(9000)), Choice::Try(2));
}

#[test]
fn a_user_that_no_engine_was_told_counts_nothing() {
    let ladder = ladder(&["a", "b", "c"]);
    let mut book = TryBook::default();
    book.note(tried(ladder[0], 0, Outcome::NoEngine));
    book.note(tried(ladder[1], 1, Outcome::Wrong));
    assert_eq!(book.choose(device(), &ladder, at(0), at(2)), Choice::Try(2));
}

#[test]
fn a_general_call_counts_for_all_who_may_have_heard_it_and_for_nobody_else() {
    let ladder = ladder(&["a", "b"]);
    let call = |address: &str, secs| Try {
        address: address.parse().unwrap(),
        call: true,
        ..tried(ladder[0], secs, Outcome::Wrong)
    };
    let mut book = TryBook::default();
    book.note(call("10.0.0.255:161", 0));
    book.note(tried(ladder[0], 1, Outcome::Wrong));
    assert_eq!(book.choose(device(), &ladder, at(0), at(2)), Choice::Wait(at(HOUR)));
    let elsewhere = "10.0.9.7:161".parse().unwrap();
    assert_eq!(book.choose(elsewhere, &ladder, at(0), at(2)), Choice::Try(0));
    book.note(call("255.255.255.255:161", 2));
    book.note(call("10.0.9.255:161", 3));
    assert_eq!(book.choose(elsewhere, &ladder, at(0), at(4)), Choice::Wait(at(HOUR + 2)));
}

#[test]
fn a_general_call_is_not_made_while_somebody_who_hears_it_has_been_told_two_wrong_ones() {
    let ladder = ladder(&["a", "b"]);
    let call: SocketAddr = "10.0.0.255:161".parse().unwrap();
    let mut book = TryBook::default();
    assert_eq!(book.choose_call(call, &ladder, at(0)), Some(0));
    book.note(Try { address: call, call: true, ..tried(ladder[0], 0, Outcome::Wrong) });
    assert_eq!(book.choose_call(call, &ladder, at(5)), Some(1), "each has its turn");
    book.note(tried(ladder[1], 6, Outcome::Wrong));
    assert_eq!(book.choose_call(call, &ladder, at(7)), None);
    assert_eq!(
        book.choose_call("10.255.255.255:161".parse().unwrap(), &ladder, at(7)),
        None,
        "a broadcast may reach far"
    );
    assert_eq!(book.choose_call(call, &ladder, at(HOUR + 1)), Some(1));
}

#[test]
fn what_a_wrong_clock_has_noted_in_the_future_counts_as_made_now() {
    let ladder = ladder(&["a", "b"]);
    let noted = [tried(ladder[0], 1 << 30, Outcome::Wrong), tried(ladder[1], 1 << 31, Outcome::Wrong)];
    let book = TryBook::of(noted, at(0));
    assert_eq!(book.choose(device(), &ladder, at(1), at(1)), Choice::Wait(at(HOUR)));
    assert_eq!(book.choose(device(), &ladder, at(HOUR), at(HOUR)), Choice::Try(0));
}

#[test]
fn names_of_credentials_tell_them_apart_and_tell_nothing() {
    let names = ladder(&["public", "private"]);
    assert_ne!(names[0], names[1]);
    let older = credential_name(&SnmpAccess::V1 { community: Secret::new("public") });
    assert_ne!(older, names[0]);
    assert!(!names[0].to_string().contains("public"));
}

proptest! {
    /// Whatever is asked when, whatever is restarted: never more than two in any hour.
    #[test]
    fn no_hour_sees_a_third_wrong_one(steps in prop::collection::vec((0i64..2000, any::<bool>(), any::<bool>()), 1..60)) {
        let ladder = ladder(&["a", "b", "c", "d"]);
        let (mut book, mut now, mut since) = (TryBook::default(), 0, 0);
        let mut told: Vec<Try> = Vec::new();
        for (pause, restart, engine) in steps {
            now += pause;
            if restart {
                book = TryBook::of(told.clone(), at(now));
                since = now;
            }
            if let Choice::Try(place) = book.choose(device(), &ladder, at(since), at(now)) {
                let outcome = if engine { Outcome::Wrong } else { Outcome::NoEngine };
                let one = tried(ladder[place], now, outcome);
                book.note(one.clone());
                told.push(one);
            }
            let hour: Vec<_> = told
                .iter()
                .filter(|one| one.outcome == Outcome::Wrong && at(now).duration_since(one.at).as_secs() < 3600)
                .collect();
            prop_assert!(hour.len() <= WRONG_MAX);
        }
    }
}
