//! `latency`: how long an emergency report waits for its receipt, and a command for its answer, over a real Postfix and
//! Dovecot: with both sides on IMAP IDLE, and with POP3 at the usual intervals; and how many logins the one costs.
//!
//! Two mail sites with a center and appliances of real processes each run side by side: while the POP3 side waits for its
//! intervals, the IDLE side is first timed and then watched at rest.

mod bare;
mod office;

use super::Figure;
use anyhow::{Context as _, ensure};
use mailbox::Protocol;
use office::{Office, Way};
use std::time::{Duration, Instant};

/// Round trips of each way that are timed over IDLE, if nobody says otherwise.
const ROUNDS: u32 = 100;
/// Sites whose appliance fetches by IMAP.
const IDLE_SITES: u32 = 4;
/// Sites whose appliance fetches by POP3: each gives few samples, since each waits for its intervals.
const POP3_SITES: u32 = 24;
/// How long the POP3 side is timed for every hundred rounds of the other.
const POP3_TIME: Duration = Duration::from_secs(480);
/// A POP3 side shorter than this would not see one whole interval.
const POP3_TIME_MIN: Duration = Duration::from_secs(240);
/// Rounds of the bare client.
const BARE_ROUNDS: usize = 50;

const P95_SECONDS_MAX: u32 = 2;
const LOGINS_MAX: u32 = 6;

/// Times round trips: [`ROUNDS`] of each way over IDLE, or as many as `LATENCY_ROUNDS` says.
///
/// # Errors
/// When the mail site cannot run here, when a program is missing, and when a receipt or an answer does not come.
pub(super) fn run(runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    let rounds = match std::env::var("LATENCY_ROUNDS") {
        Ok(rounds) => rounds.parse().context("LATENCY_ROUNDS is no number of rounds")?,
        Err(_) => ROUNDS,
    };
    let pop3_time = POP3_TIME.saturating_mul(rounds) / ROUNDS;
    let pop3_time = pop3_time.clamp(POP3_TIME_MIN, POP3_TIME);
    eprintln!(
        "  {rounds} emergencies and {rounds} commands over IDLE; POP3 with {POP3_SITES} sites takes {} min ...",
        pop3_time.as_secs().div_ceil(60)
    );
    let idle = Office::open(IDLE_SITES, Protocol::Imap, runtime)?;
    let bare = runtime.block_on(bare::measure(idle.site(), BARE_ROUNDS))?;
    let pop3 = Office::open(POP3_SITES, Protocol::Pop3, runtime)?;
    let (idle, pop3) = std::thread::scope(|scope| {
        let pop3 = scope.spawn(|| pop3.at_random(pop3_time));
        let idle = time_idle(&idle, rounds, pop3_time);
        let pop3 = pop3.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the POP3 side panicked")));
        idle.and_then(|idle| pop3.map(|pop3| (idle, pop3)))
    })?;
    figures(&idle, &pop3, &bare)
}

/// What the IDLE side came to.
struct Idle {
    receipts: Vec<Duration>,
    answers: Vec<Duration>,
    /// How long it was watched at rest, and the logins of each account in that time.
    rest: Duration,
    logins: Vec<(String, usize)>,
}

fn time_idle(office: &Office, rounds: u32, at_most: Duration) -> anyhow::Result<Idle> {
    let begun = Instant::now();
    let receipts = office.in_turn(Way::Emergency, rounds)?;
    let answers = office.in_turn(Way::Command, rounds)?;
    // The last connections by which mail was handed in end.
    std::thread::sleep(Duration::from_secs(1));
    let (before, rest_begun) = (office.logins()?, Instant::now());
    let rest = at_most.saturating_sub(begun.elapsed()).max(Duration::from_secs(60));
    eprintln!("  the IDLE side is watched at rest for {} s ...", rest.as_secs());
    std::thread::sleep(rest);
    let rest = rest_begun.elapsed();
    let logins = office.logins()?.into_iter().map(|(account, logins)| {
        let before = before.iter().find(|(known, _)| *known == account).map_or(0, |(_, logins)| *logins);
        (account, logins.saturating_sub(before))
    });
    let logins: Vec<_> = logins.collect();
    ensure!(office.is_noticed_at_once()?, "somebody does not wait by IDLE");
    Ok(Idle { receipts, answers, rest, logins })
}

fn figures(idle: &Idle, pop3: &office::Samples, bare: &[Duration]) -> anyhow::Result<Vec<Figure>> {
    let figure = |figure, value, unit, against| Figure { bench: "latency", figure, value, unit, against };
    let peer = format!(
        "a round trip has two such ways: SMTP 250 to IDLE's EXISTS of a bare client at the same server, p50 {:.3} s, p95 {:.3} s each",
        at(bare, 50)?,
        at(bare, 95)?
    );
    let both = |percent| -> anyhow::Result<(f64, String)> {
        let (receipt, answer) = (at(&idle.receipts, percent)?, at(&idle.answers, percent)?);
        let text = format!(
            "the slower of {} emergencies to their receipt ({receipt:.3} s) and {} commands to their answer ({answer:.3} s)",
            idle.receipts.len(),
            idle.answers.len()
        );
        Ok((receipt.max(answer), text))
    };
    let mut figures = Vec::new();
    for (name, percent) in [("idle_p50_s", 50), ("idle_p95_s", 95), ("idle_p99_s", 99)] {
        let (value, text) = both(percent)?;
        let limit = if percent == 95 { format!("limit: {P95_SECONDS_MAX}; ") } else { String::new() };
        figures.push(figure(name, value, "s", format!("{limit}{text}; {peer}")));
    }
    let (receipt, answer) = (at(&pop3.receipts, 95)?, at(&pop3.answers, 95)?);
    figures.push(figure(
        "pop3_p95_s",
        receipt.max(answer),
        "s",
        format!(
            "the intervals themselves, 30 s after an emergency, 180 s else, 10 s at the center; the slower of {} emergencies ({receipt:.1} s) \
             and {} commands at random times ({answer:.1} s), {} sites",
            pop3.receipts.len(),
            pop3.answers.len(),
            POP3_SITES
        ),
    ));
    let most = idle.logins.iter().max_by_key(|(_, logins)| *logins).context("no account")?;
    let total: usize = idle.logins.iter().map(|(_, logins)| logins).sum();
    let hours = idle.rest.as_secs_f64() / 3600.0;
    figures.push(figure(
        "logins_per_hour",
        super::octets_f64(most.1) / hours,
        "logins of the account that had most, by the servers' logs",
        format!(
            "limit: {LOGINS_MAX}; {total} logins to fetch or to send of {} accounts in {:.0} s at rest; POP3 at these intervals: {:.1} of one \
             appliance",
            idle.logins.len(),
            idle.rest.as_secs_f64(),
            pop3.logins_per_hour
        ),
    ));
    Ok(figures)
}

/// The time that so many per cent of the samples did not exceed, in seconds.
fn at(samples: &[Duration], percent: usize) -> anyhow::Result<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map(Duration::as_secs_f64).context("nothing was timed")
}
