//! The power goes in the middle of an update, at a dozen moments in two ways. `scripts/bench powercut` does it at hundreds.

use sandbox::powercut::{ApplianceCuts, End, Kind, Outcome, both_ways, make, spread};

/// Runs at the same time: each waits most of the time.
const AT_ONCE: usize = 12;

#[test]
fn an_appliance_whose_power_goes_while_it_installs_data_is_wholly_old_or_wholly_new() {
    let points = std::env::var("POINTS").ok().and_then(|points| points.parse().ok()).unwrap_or(12);
    let cuts = ApplianceCuts::prepare(Kind::Data).unwrap();
    let changes = cuts.count(AT_ONCE).unwrap();
    assert!(changes > 100, "an update took only {changes} durable changes");
    let tell = |cut, outcome: &Outcome| match &outcome.end {
        End::Broken(why) => println!("{why}"),
        end => println!("{cut:?}: found {:?}, ended {end:?} after {:?}", outcome.found, outcome.recovered),
    };
    let tally = make(&both_ways(&spread(changes, points)), AT_ONCE, |cut| cuts.cut(cut), tell);
    assert_eq!((tally.broken, tally.lost, tally.doubled), (0, 0, 0), "{tally:?}");
    assert!(tally.found_old > 0 && tally.new > 0, "{tally:?}");
}
