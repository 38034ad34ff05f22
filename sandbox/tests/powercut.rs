//! The power goes in the middle of an update, at a few moments in two ways. `scripts/bench powercut` does it at all of them.

use sandbox::powercut::{ApplianceCuts, End, Kind, Outcome, both_ways, make, spread};

/// Runs at the same time: each waits most of the time.
const AT_ONCE: usize = 12;

#[test]
fn an_appliance_whose_power_goes_while_it_installs_data_is_wholly_old_or_wholly_new() {
    let points = std::env::var("POINTS").ok().and_then(|points| points.parse().ok()).unwrap_or(8);
    let cuts = ApplianceCuts::prepare(Kind::Data).unwrap();
    let recording = cuts.record().unwrap();
    let changes = recording.changes();
    assert!(changes > 100, "an update took only {changes} durable changes");
    assert!(recording.images() > 100, "its cuts leave only {} images", recording.images());
    let tell = |cut, outcome: &Outcome| match &outcome.end {
        End::Broken(why) => println!("{why}"),
        end => println!("{cut:?}: found {:?}, ended {end:?} after {:?}", outcome.found, outcome.recovered),
    };
    let from_image = |cut| {
        let image = recording.cuts().iter().find(|(known, _)| *known == cut).map(|(_, image)| *image);
        cuts.recover(&recording, image.unwrap(), cut)
    };
    let tally = make(&both_ways(&spread(changes, points)), AT_ONCE, from_image, tell);
    assert_eq!((tally.broken, tally.lost, tally.doubled), (0, 0, 0), "{tally:?}");
    assert!(tally.found_old > 0 && tally.new > 0, "{tally:?}");
    // In earnest, each beside its image.
    let tally = make(&both_ways(&spread(changes, points / 4)), AT_ONCE, |cut| cuts.cut(cut), tell);
    assert_eq!((tally.broken, tally.lost, tally.doubled), (0, 0, 0), "{tally:?}");
}
