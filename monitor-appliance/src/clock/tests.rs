use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The true time at which the box of these tests starts.
fn start() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

fn secs(time: Timestamp, secs: i64) -> Timestamp {
    time + SignedDuration::from_secs(secs)
}

/// What the box reads `uptime` seconds after its start in boot `boot`, its wall clock `ahead` seconds off the truth.
fn reading(boot: &str, uptime: u64, wall: Timestamp) -> Reading {
    Reading { wall, since_boot: Duration::from_secs(uptime), boot: Arc::from(boot) }
}

const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// A box whose wall clock is off by `ahead` seconds.
fn off_by(ahead: i64, uptime: u64) -> Reading {
    reading("one", uptime, secs(start(), ahead + i64::try_from(uptime).unwrap()))
}

fn message(created: Timestamp) -> Evidence {
    Evidence::Message { created }
}

/// A receipt that tells `received`, for a report that was handed in at `handed_in` seconds of uptime in boot `one`.
fn receipt(handed_in: u64, received: Timestamp) -> Evidence {
    let handed_in = Uptime { boot: "one".to_owned(), since_boot_ms: handed_in * 1000 };
    Evidence::Receipt { received, handed_in: Some(handed_in) }
}

fn minutes_apart(a: Timestamp, b: Timestamp) -> i64 {
    a.duration_since(b).abs().as_mins()
}

#[test]
fn a_clock_that_is_right_stays_as_it_is_and_a_receipt_proves_it() {
    let mut known = Known::default();
    known.learn(&receipt(60, secs(start(), 62)), &off_by(0, 65));
    let state = known.state(&off_by(0, 3600));
    assert_eq!((state.now, state.proven, state.told_offset()), (secs(start(), 3600), true, None));
}

#[test]
fn a_receipt_puts_a_clock_right_that_is_off_by_ten_years_in_either_direction_and_the_offset_is_told() {
    for ahead in [TEN_YEARS, -TEN_YEARS] {
        let mut known = Known::default();
        assert!(!known.state(&off_by(ahead, 60)).proven);
        known.learn(&receipt(60, secs(start(), 62)), &off_by(ahead, 65));
        for uptime in [65, 86_400, 90 * 86_400] {
            let state = known.state(&off_by(ahead, uptime));
            assert!(state.proven);
            let truth = secs(start(), i64::try_from(uptime).unwrap());
            assert!(minutes_apart(state.now, truth) < 1, "{} is not {truth}", state.now);
            assert!((state.told_offset().unwrap() - ahead).abs() < 60);
        }
    }
}

#[test]
fn a_wall_clock_that_jumps_after_the_proof_changes_nothing() {
    let mut known = Known::default();
    known.learn(&receipt(60, secs(start(), 62)), &off_by(0, 65));
    let state = known.state(&off_by(TEN_YEARS, 3600));
    assert!(minutes_apart(state.now, secs(start(), 3600)) < 1);
    assert!(state.told_offset().is_some());
}

#[test]
fn a_clock_behind_the_last_authentic_message_is_told_and_the_floor_counts_on_from_there() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    let restarted = reading("two", 600, at("1970-01-01T00:10:00Z"));
    let state = known.state(&restarted);
    assert!(!state.proven && state.told_offset().unwrap() < -TEN_YEARS);
    assert!(state.now > secs(start(), 590) && state.now <= secs(start(), 600), "{}", state.now);
}

#[test]
fn the_uptime_of_one_boot_counts_in_the_next() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    known.learn(&Evidence::Rest, &off_by(0, 86_410));
    let state = known.state(&reading("two", 0, at("1970-01-01T00:00:00Z")));
    assert!(minutes_apart(state.now, secs(start(), 86_400)) < 3);
}

#[test]
fn before_the_first_message_the_time_is_not_before_this_program() {
    let state = Known::default().state(&reading("one", 5, Timestamp::UNIX_EPOCH));
    assert_eq!((state.now, state.proven), (secs(CLOCK_FLOOR, 5), false));
}

#[test]
fn an_older_message_does_not_take_the_time_back() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(-TEN_YEARS, 10));
    assert!(!known.learn(&message(secs(start(), -86_400)), &off_by(-TEN_YEARS, 20)));
    assert!(known.state(&off_by(-TEN_YEARS, 20)).now >= start());
}

#[test]
fn a_receipt_that_was_held_back_proves_no_more_than_that_it_is_later_than_it_says() {
    let mut known = Known::default();
    let three_days = 3 * 86_400;
    known.learn(&receipt(60, secs(start(), 62)), &off_by(0, three_days));
    let state = known.state(&off_by(0, three_days));
    assert_eq!(
        (state.now, state.told_offset()),
        (secs(start(), 3 * 86_400), None),
        "the wall clock fits the proof"
    );
}

#[test]
fn a_wide_proof_does_not_replace_a_narrow_one() {
    let mut known = Known::default();
    known.learn(&receipt(100, secs(start(), 101)), &off_by(TEN_YEARS, 102));
    let narrow = known.state(&off_by(TEN_YEARS, 86_400)).now;
    known.learn(&receipt(110, secs(start(), 111)), &off_by(TEN_YEARS, 86_400));
    assert_eq!(known.state(&off_by(TEN_YEARS, 86_400)).now, narrow);
}

#[test]
fn a_receipt_for_a_report_of_an_earlier_boot_raises_the_floor_and_proves_nothing() {
    let mut known = Known::default();
    let restarted = reading("two", 100, at("1970-01-01T00:00:00Z"));
    known.learn(&receipt(60, secs(start(), 62)), &restarted);
    let state = known.state(&restarted);
    assert_eq!((state.proven, state.now), (false, secs(start(), 62)));
}

#[test]
fn a_proof_of_another_boot_proves_nothing() {
    let mut known = Known::default();
    known.learn(&receipt(60, secs(start(), 62)), &off_by(0, 65));
    assert!(!known.state(&reading("two", 70, start())).proven);
}

#[test]
fn a_box_that_was_set_back_to_an_old_image_believes_the_new_receipt() {
    let mut known = Known::default();
    known.learn(&receipt(60, secs(start(), 62)), &off_by(0, 65));
    // The uptime goes on as if the year in between had never been.
    let year = 365 * 86_400;
    let after = reading("one", 105, secs(start(), year + 105));
    known.learn(&receipt(100, secs(start(), year + 102)), &after);
    let state = known.state(&after);
    assert_eq!((state.now, state.told_offset()), (secs(start(), year + 105), None));
}

#[test]
fn what_seems_expired_by_a_clock_ten_years_ahead_waits_for_the_proof() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    let ahead = |uptime| reading("two", uptime, secs(start(), TEN_YEARS));
    let (tomorrow, yesterday) = (secs(start(), 86_400), secs(start(), -86_400));
    assert_eq!(known.state(&ahead(60)).expiry(tomorrow), Expiry::Undecided);
    assert_eq!(known.state(&ahead(60)).expiry(yesterday), Expiry::Expired, "whatever time it is");
    assert_eq!(known.state(&ahead(60)).expiry(secs(start(), TEN_YEARS + 60)), Expiry::Valid);
    assert_eq!(known.state(&ahead(25 * 3600)).expiry(tomorrow), Expiry::Expired, "nothing waits for ever");
}

#[test]
fn a_clock_that_is_known_to_be_behind_makes_no_old_order_valid() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    let behind = reading("two", 60, Timestamp::UNIX_EPOCH);
    assert_eq!(known.state(&behind).expiry(secs(start(), 3600)), Expiry::Undecided);
}

#[test]
fn a_clock_that_nothing_speaks_against_decides_by_itself() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    let state = known.state(&reading("two", 60, secs(start(), 7200)));
    assert_eq!(state.expiry(secs(start(), 7000)), Expiry::Expired);
    assert_eq!(state.expiry(secs(start(), 8000)), Expiry::Valid);
    let weekend = known.state(&reading("two", 60, secs(start(), 3 * 86_400)));
    assert_eq!(weekend.expiry(secs(start(), 4 * 86_400)), Expiry::Valid);
}

#[test]
fn nothing_is_forgotten_by_a_clock_that_nothing_proves() {
    let mut known = Known::default();
    known.learn(&message(start()), &off_by(0, 10));
    let state = known.state(&reading("two", 60, secs(start(), TEN_YEARS)));
    assert!(state.for_forgetting() <= secs(start(), 60));
}

#[test]
fn a_report_that_is_to_bring_the_proof_does_not_expire_on_its_way() {
    let mut known = Known::default();
    let expires = at("2025-02-01T00:00:00Z");
    let behind = known.state(&reading("one", 60, Timestamp::UNIX_EPOCH));
    assert!(behind.expiry_on_the_way(expires) > at("2040-01-01T00:00:00Z"));
    known.learn(&receipt(60, start()), &off_by(0, 65));
    assert_eq!(known.state(&off_by(0, 65)).expiry_on_the_way(expires), expires);
}

#[test]
fn a_proof_moves_what_was_made_in_this_boot_and_keeps_all_that_waits() {
    let mut known = Known::default();
    let now = off_by(-TEN_YEARS, 600);
    known.learn(&message(secs(start(), -86_400)), &off_by(-TEN_YEARS, 1));
    let before = known.state(&now);
    known.learn(&receipt(500, secs(start(), 600)), &now);
    let correction = Correction::between(&before, &known.state(&now), &now).unwrap();
    let (from, to) = correction.made;
    assert_eq!((from, to), (secs(before.now, -600), before.now));
    assert!((correction.shift_ms - 86_400_000).abs() < 10_000, "{}", correction.shift_ms);
    assert!(correction.keep_until.unwrap() > secs(start(), 86_400));
    let proven = known.state(&now);
    assert_eq!(Correction::between(&proven, &proven, &now), None);
}

proptest! {
    #[test]
    fn the_time_is_never_before_what_was_proven_whatever_the_wall_clock_says(
        created in proptest::collection::vec((0i64..1000, 0u64..1000), 1..10),
        wall in -20 * TEN_YEARS / 10..TEN_YEARS,
        boot in prop_oneof![Just("one"), Just("two")],
    ) {
        let mut known = Known::default();
        let mut highest = start();
        for (created, uptime) in created {
            let created = secs(start(), created);
            known.learn(&message(created), &off_by(0, uptime));
            highest = highest.max(created);
        }
        let state = known.state(&reading(boot, 1000, secs(start(), wall)));
        prop_assert!(state.now >= highest && state.earliest >= highest);
    }

    #[test]
    fn an_honest_center_proves_the_true_time_within_what_its_mail_took(
        ahead in -TEN_YEARS..TEN_YEARS, sent in 1u64..100_000, out in 0u64..50_000, back in 0u64..50_000,
        later in 0u64..1_000_000,
    ) {
        let truth = |uptime: u64| secs(start(), i64::try_from(uptime).unwrap());
        let came = sent + out + back;
        let mut known = Known::default();
        known.learn(&receipt(sent, truth(sent + out)), &off_by(ahead, came));
        let state = known.state(&off_by(ahead, came + later));
        let slack = i64::try_from(out + back + later / 1000).unwrap() + OFFSET_TOLERATED.as_secs() + 1;
        prop_assert!((state.now.duration_since(truth(came + later))).abs().as_secs() <= slack);
    }
}
