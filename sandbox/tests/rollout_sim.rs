//! A rollout over very bad mail in short: nobody is told what is not so, and nobody is lost. `scripts/bench rollout-sim` plays ten
//! thousand appliances.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sandbox::rollout_sim::{Findings, Play};
use std::path::Path;

fn play(seed: u64) -> Findings {
    let memory = Path::new("/dev/shm");
    let room = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let findings = Play { seed, sites: 60 }.run(&room, |_, _| ()).unwrap();
    println!("seed {seed}: {findings:#?}");
    findings
}

fn nobody_is_told_what_is_not_so(seed: u64) {
    let findings = play(seed);
    let wrong = (findings.false_success, findings.false_failure, findings.double_effects);
    assert_eq!(wrong, (0, 0, 0), "{}", findings.stories.join("\n"));
    assert_eq!(findings.decided, findings.sites, "{findings:#?}");
    assert_eq!(findings.reached, findings.reachable, "{}", findings.stories.join("\n"));
    // The mail was as bad as it should have been: more than one mail of each kind for each appliance was needed.
    assert!(findings.reachable > 40 && findings.mails > 6 * findings.sites, "{findings:#?}");
}

#[test]
fn nobody_is_told_what_is_not_so_under_the_first_seed() {
    nobody_is_told_what_is_not_so(1);
}

#[test]
fn nobody_is_told_what_is_not_so_under_the_second_seed() {
    nobody_is_told_what_is_not_so(20_261_122);
}
