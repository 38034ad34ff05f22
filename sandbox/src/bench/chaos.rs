//! `chaos`: a million deliveries by the worst post office there is, with crashes of both sides at any point and disks that
//! are put back, in virtual time over the real code. See [`sandbox::chaos`].
//!
//! `--deliveries` plays another number; `CHAOS_SEED` plays a seed again.

use super::{Figure, in_memory, seed};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::chaos::{Findings, Play};
use std::time::{Duration, Instant};

/// Deliveries without another number.
const DELIVERIES: u64 = 1_000_000;

/// Appliances at one center.
const APPLIANCES: usize = 40;

/// Plays, in memory: the disk of this machine is not what is measured.
///
/// # Errors
/// When something does not drain in calm weather, or a database fails by itself. What is doubled or lost is a figure.
pub(super) fn run(deliveries: Option<u64>) -> anyhow::Result<Vec<Figure>> {
    let seed = seed("CHAOS_SEED");
    let play = Play { seed, deliveries: deliveries.unwrap_or(DELIVERIES), appliances: APPLIANCES };
    let room = in_memory();
    let bar = ProgressBar::new(play.deliveries).with_style(ProgressStyle::with_template(
        "  {bar:30} {human_pos} of {human_len} deliveries, {eta} left",
    )?);
    let begun = Instant::now();
    let findings = play.run(&room, |deliveries| bar.set_position(deliveries))?;
    bar.finish_and_clear();
    for story in &findings.stories {
        eprintln!("  {story}");
    }
    Ok(figures(&findings, seed, begun.elapsed()))
}

fn figures(findings: &Findings, seed: u64, time: Duration) -> Vec<Figure> {
    let figure =
        |figure, value, unit, against| Figure { bench: "chaos", figure, value: count(value), unit, against };
    let (naive_double, naive_lost) = findings.naive;
    vec![
        figure(
            "deliveries",
            findings.deliveries,
            "mails read by their recipients, copies and damaged ones included",
            format!(
                "limit: 1000000 or more; CHAOS_SEED={seed}, {:.0} s, {:.0} days of virtual time: {} messages, {} crashes, \
                 {} disks put back",
                time.as_secs_f64(),
                findings.took.as_secs_f64() / 86_400.0,
                findings.messages,
                findings.crashes,
                findings.restores,
            ),
        ),
        figure(
            "double_effects",
            findings.double_effects,
            "effects that stand twice",
            format!(
                "limit: 0; a peer that acts on every copy, same schedule: {naive_double}; besides, {} commands were carried out \
                 again by boxes whose disk was put back to before them",
                findings.done_again_after_restore
            ),
        ),
        figure(
            "lost",
            findings.lost,
            "messages that were durable and came to nothing",
            format!(
                "limit: 0; a peer that sends everything once, same schedule: {naive_lost}; besides, {} reports went with a disk \
                 that was put back, {} were given up by policy, {} commands expired in the storm",
                findings.forgotten, findings.given_up, findings.expired
            ),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(value: u64) -> f64 {
    value as f64
}
