//! Every attack that does not need all programs as processes, against the real code. `scripts/bench attacks` runs the others too.

use sandbox::attacks::{Attack, all, carry_out, prove_the_measure};

fn all_hold(chosen: impl Fn(usize, &Attack) -> bool) {
    let tried: Vec<_> =
        all().into_iter().enumerate().filter(|(place, attack)| chosen(*place, attack)).collect();
    assert!(!tried.is_empty());
    let broken: Vec<String> = tried
        .iter()
        .map(|(_, attack)| carry_out(attack))
        .filter(|line| !line.held())
        .map(|line| line.to_string())
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn code_that_runs_is_seen_by_the_measure() {
    assert!(prove_the_measure().expect("a field") > 0);
}

#[test]
fn every_threat_has_an_attack_of_its_own() {
    let mut threats: Vec<_> = all().iter().map(|attack| attack.threat).collect();
    threats.sort_unstable();
    let count = threats.len();
    threats.dedup();
    assert_eq!(threats.len(), count);
    assert!(count >= 38, "{count}");
}

#[test]
fn no_attack_of_the_first_half_achieves_anything() {
    all_hold(|place, attack| !attack.is_slow() && place % 2 == 0);
}

#[test]
fn no_attack_of_the_second_half_achieves_anything() {
    all_hold(|place, attack| !attack.is_slow() && place % 2 == 1);
}

#[test]
fn what_nobody_approved_is_not_installed() {
    all_hold(|_, attack| attack.threat == "orders that nobody approved");
}
