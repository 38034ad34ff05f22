//! `attacks`: one attack for every threat, a line each, and what they achieved in figures.

use super::Figure;
use sandbox::attacks::{all, carry_out, prove_the_measure};

/// Carries out all attacks.
///
/// # Errors
/// When the measure itself does not work.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let control = prove_the_measure()?;
    println!("threat | adversary | tried | happened | held");
    let mut lines = Vec::new();
    for attack in all() {
        let line = carry_out(&attack);
        println!("{line}");
        lines.push(line);
    }
    let held = lines.iter().filter(|line| line.held()).count();
    let sum = |count: fn(&sandbox::attacks::Line) -> u64| lines.iter().map(count).sum::<u64>();
    let figure =
        |figure, value, unit, against: String| Figure { bench: "attacks", figure, value, unit, against };
    Ok(vec![
        figure(
            "threats",
            super::octets_f64(lines.len()),
            "threats attacked",
            format!("held: {held}; rows of the table of threats: at least 38"),
        ),
        figure(
            "code_octets_run",
            f64_of(sum(|line| line.code_octets_run)),
            "octets of attackers' scripts that ran",
            format!("limit: 0; counted of the same script with a good signature: {control}"),
        ),
        figure(
            "answers_to_unauthenticated",
            f64_of(sum(|line| line.answers_to_unauthenticated)),
            "mails that went out because of mails without a key",
            "limit: 0".to_owned(),
        ),
        figure(
            "wrong_reason",
            f64_of(sum(|line| line.wrong_reasons)),
            "refusals recorded for another reason than the real one",
            "limit: 0".to_owned(),
        ),
        figure("not_held", super::octets_f64(lines.len() - held), "threats", "limit: 0".to_owned()),
    ])
}

fn f64_of(count: u64) -> f64 {
    super::octets_f64(usize::try_from(count).unwrap_or(usize::MAX))
}
