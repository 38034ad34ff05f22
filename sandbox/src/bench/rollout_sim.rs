//! `rollout-sim`: a rollout to ten thousand appliances over a post office that loses a fifth of all mails and delays some for days, in
//! virtual time over the real code of both sides. See [`sandbox::rollout_sim`].
//!
//! `ROLLOUT_SIM_SITES` plays another number of appliances, `ROLLOUT_SIM_SEED` a seed again.

use super::{Figure, in_memory, seed};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::rollout_sim::{Findings, Play};
use std::time::{Duration, Instant};

/// Appliances without another number.
const SITES: usize = 10_000;

/// Plays.
///
/// # Errors
/// When the rollout comes to no end, or a database fails. What is told wrongly is a figure.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let sites = std::env::var("ROLLOUT_SIM_SITES").map_or(Ok(SITES), |count| count.parse())?;
    let play = Play { seed: seed("ROLLOUT_SIM_SEED"), sites };
    let bar = ProgressBar::new(u64::try_from(sites)?)
        .with_style(ProgressStyle::with_template("  {bar:30} {human_pos} of {human_len} decided, {msg}")?);
    let begun = Instant::now();
    let findings = play.run(&in_memory(), |virtual_time, decided| {
        bar.set_position(decided);
        bar.set_message(format!("day {:.1}", virtual_time.as_secs_f64() / 86_400.0));
    })?;
    bar.finish_and_clear();
    for story in &findings.stories {
        eprintln!("  {story}");
    }
    Ok(figures(&findings, play.seed, begun.elapsed()))
}

fn figures(findings: &Findings, seed: u64, time: Duration) -> Vec<Figure> {
    let figure =
        |figure, value, unit, against: String| Figure { bench: "rollout-sim", figure, value, unit, against };
    let kinds: Vec<String> =
        findings.mails_by_kind.iter().map(|(kind, mails)| format!("{kind} {mails}")).collect();
    vec![
        figure(
            "false_success",
            count(findings.false_success),
            "appliances told to be updated that ran something else then",
            format!(
                "limit: 0; ROLLOUT_SIM_SEED={seed}, {} appliances, {:.0} s, {:.1} days of virtual time until the rollout ended",
                findings.sites,
                time.as_secs_f64(),
                findings.took.as_secs_f64() / 86_400.0
            ),
        ),
        figure(
            "false_failure",
            count(findings.false_failure),
            "appliances that stand as failed in the end, are updated and could say so in time",
            "limit: 0".to_owned(),
        ),
        figure(
            "decided_percent",
            percent(findings.decided, findings.sites),
            "% of the appliances with a verdict at the deadline",
            "limit: 100".to_owned(),
        ),
        figure(
            "reached_percent",
            percent(findings.reached, findings.reachable),
            "% of the reachable that stand as updated after three automatic rounds",
            format!("limit: 99.9; {} of {} reachable", findings.reached, findings.reachable),
        ),
        figure(
            "mails_ratio",
            count(findings.mails) / findings.least_mails,
            "mails of both sides / the fewest that so lossy a post office allows",
            format!(
                "limit: 1.5; {} mails, at least {:.0}: {}",
                findings.mails,
                findings.least_mails,
                kinds.join(", ")
            ),
        ),
        figure(
            "double_effects",
            count(findings.double_effects),
            "installations beyond one for each order, or of what ran already",
            "limit: 0".to_owned(),
        ),
    ]
}

fn percent(part: u64, of: u64) -> f64 {
    100.0 * count(part) / count(of.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(value: u64) -> f64 {
    value as f64
}
