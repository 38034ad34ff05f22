//! Chaos in short: whatever the post office, the processes and the disks do, nothing is done twice and nothing is lost.
//! `scripts/bench chaos` plays a million deliveries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sandbox::chaos::{Findings, Play};
use std::path::Path;

/// In memory where there is such a place: the play syncs to its disk a thousand times.
fn room() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn play(seed: u64) -> Findings {
    let play = Play { seed, deliveries: 5_000, appliances: 8 };
    let findings = play.run(&room(), |deliveries| println!("{deliveries} deliveries")).unwrap();
    println!("seed {seed}: {findings:#?}");
    findings
}

fn nothing_is_doubled_or_lost(seed: u64) {
    let findings = play(seed);
    assert_eq!((findings.double_effects, findings.lost), (0, 0), "{}", findings.stories.join("\n"));
    // It was as bad as it should have been, and somebody without our habits would have had to pay for it.
    assert!(findings.deliveries >= 5_000 && findings.crashes > 50, "{findings:?}");
    assert!(findings.naive.0 > 100 && findings.naive.1 > 50, "{findings:?}");
}

#[test]
fn nothing_is_doubled_or_lost_under_the_first_seed() {
    nothing_is_doubled_or_lost(1);
}

#[test]
fn nothing_is_doubled_or_lost_under_the_second_seed() {
    nothing_is_doubled_or_lost(20_261_121);
}

/// Prints its seed: `CHAOS_SEED=...` plays it again.
#[test]
fn nothing_is_doubled_or_lost_under_a_seed_of_today() {
    let given = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let mut octets = [0; 8];
        mailfmt::crypto::Random::fill(&mut sandbox::random(), &mut octets);
        u64::from_ne_bytes(octets)
    });
    println!("CHAOS_SEED={seed}");
    nothing_is_doubled_or_lost(seed);
}
