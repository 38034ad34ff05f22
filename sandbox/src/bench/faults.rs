//! `faults`: from a jam in a printer to the operator's table, with a trap and without, through real processes and real mail; and
//! what a flood of jams makes of tickets.

use super::Figure;
use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use monitor_appliance::device::{Oid, Value, Walk, interpret, oids};
use monitor_appliance::faults::{Attended, DeviceFaults, FaultChange, FaultClass, FaultRules, Observation};
use monitor_appliance::profile::Profiles;
use sandbox::printers::Notify;
use sandbox::world::{Fetch, PATIENCE, Pace, Part, Stage, eventually};
use std::time::{Duration, Instant};

/// Jams that are timed with a trap; one more would call a technician.
const WITH_TRAP: usize = 5;
/// Pause between two jams with a trap: longer than until the second look that follows the first, so that each is found by its own trap.
const APART: Duration = Duration::from_secs(7);
/// Faults that are timed without: each takes up to a whole pause between two looks.
const WITHOUT_TRAP: usize = 3;
/// The usual pause between two looks, in seconds.
const USUAL_POLL: u32 = 60;
/// A pause in which no look by itself can fall.
const NO_POLL: u32 = 3600;

const TRAP_SECONDS_MAX: u32 = 5;
const POLL_SECONDS_MAX: u32 = 60;

/// Jams of the flood; between two of them some pages and minutes.
const JAMS: u32 = 200;
const PAGES_BETWEEN: u64 = 5;
const MINUTES_BETWEEN: i64 = 3;

/// Times faults through an appliance and a center beside this program, and counts tickets.
///
/// # Errors
/// When a program is missing or a fault does not come through.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let trap = timed(NO_POLL, WITH_TRAP, true)?;
    let poll = timed(USUAL_POLL, WITHOUT_TRAP, false)?;
    let tickets = flood()?;
    let figure = |figure, value, unit, against| Figure { bench: "faults", figure, value, unit, against };
    let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).fold(0.0, f64::max);
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
    };
    Ok(vec![
        figure(
            "trap_seconds",
            seconds(&trap),
            "s, the longest",
            format!(
                "limit: {TRAP_SECONDS_MAX}; {} faults, median {:.2} s; no look of the usual pace falls into them; the center looks for mail \
                 every second",
                trap.len(),
                median(&trap)
            ),
        ),
        figure(
            "poll_seconds",
            seconds(&poll),
            "s, the longest",
            format!(
                "limit: {POLL_SECONDS_MAX} and the mail's way; {} faults, median {:.2} s; a look every {USUAL_POLL} s",
                poll.len(),
                median(&poll)
            ),
        ),
        figure(
            "tickets",
            f64::from(tickets.raised),
            "reports of a fault",
            format!(
                "one per event: {} for {JAMS} jams, {PAGES_BETWEEN} pages and {MINUTES_BETWEEN} minutes apart; {} of ours call a technician",
                tickets.naive, tickets.service
            ),
        ),
    ])
}

/// Lets a printer jam again and again, and times each jam until the operator's table has it.
fn timed(poll_secs: u32, faults: usize, with_trap: bool) -> anyhow::Result<Vec<Duration>> {
    let pace = Pace { fault_poll: poll_secs, counter_collect: 3600, ..Pace::default() };
    let part = Part { fetch: Fetch::Pop3, pace, ..Part::plain(1) };
    let mut stage = Stage::set(&[part], None)?;
    if with_trap {
        stage.site(1)?.hear_traps()?;
    }
    stage.start()?;
    stage.hear_from_all()?;
    let site = stage.site(1)?;
    eventually("the first look at the printer", PATIENCE, || {
        let status = site.json(&["status"])?;
        Ok(status.pointer("/devices/0/answered").is_some_and(serde_json::Value::is_string).then_some(()))
    })?;
    let port = site.trap_address()?;
    let mut times = Vec::new();
    for round in 0..faults {
        if with_trap && round > 0 {
            std::thread::sleep(APART);
        }
        // Each its own place in the path: the same one again would soon be one episode with those before.
        let known = stage.faults(1, false)?.len();
        let printer = stage.printer(1, 1)?;
        let mut alert = sandbox::printers::Alert::jam();
        alert.location = i32::try_from(times.len())?;
        let start = Instant::now();
        let row = printer.raise_alert(alert);
        if with_trap {
            printer.notify(port.context("no port for traps")?, row, Notify::TrapV2c)?;
        }
        eventually("the jam at the center", PATIENCE, || {
            Ok((stage.faults(1, false)?.len() > known).then_some(()))
        })?;
        times.push(start.elapsed());
        eprintln!(
            "  {} trap: {:.2} s",
            if with_trap { "with a" } else { "without a" },
            start.elapsed().as_secs_f64()
        );
    }
    Ok(times)
}

/// What a flood comes to.
struct Tickets {
    raised: u32,
    service: u32,
    naive: u32,
}

/// A printer that jams again and again for hours, looked at every minute: the rules that device-watch goes by, over a simulated clock.
fn flood() -> anyhow::Result<Tickets> {
    let profiles = Profiles::built_in();
    let rules = FaultRules {
        attended: Attended { zone: jiff::tz::TimeZone::UTC, ..Attended::default() },
        ..FaultRules::default()
    };
    let mut faults = DeviceFaults::new("printer");
    let mut tickets = Tickets { raised: 0, service: 0, naive: 0 };
    let (mut now, mut pages): (Timestamp, u64) = ("2026-11-23T08:00:00Z".parse()?, 12_000);
    for _ in 0..JAMS {
        for jammed in [true, false] {
            let reading = interpret(&printer(pages, jammed), &profiles);
            tickets.naive += u32::from(!reading.alerts.is_empty());
            for change in faults.observe(Observation::Answered(&reading), now, &rules) {
                if let FaultChange::Started(fault) = change {
                    tickets.raised += 1;
                    tickets.service += u32::from(fault.class == FaultClass::ServiceRequired);
                }
            }
            now += SignedDuration::from_mins(1);
        }
        pages += PAGES_BETWEEN;
        now += SignedDuration::from_mins(MINUTES_BETWEEN - 2);
    }
    ensure!(tickets.service >= 1, "a flood of jams called nobody");
    Ok(tickets)
}

/// What a printer answers: its pages, and a row of its alert table while it is jammed.
fn printer(pages: u64, jammed: bool) -> Walk {
    let mut walk = Walk::default();
    let mut put = |column: &[u32], index: &[u32], value| {
        walk.insert(Oid::new(&[column, index].concat()), value);
    };
    put(oids::PRT_MARKER_LIFE_COUNT, &[1, 1], Value::Unsigned(pages));
    if jammed {
        for (column, number) in [
            (oids::PRT_ALERT_SEVERITY_LEVEL, 3),
            (oids::PRT_ALERT_TRAINING_LEVEL, 3),
            (oids::PRT_ALERT_GROUP, 13),
            (oids::PRT_ALERT_GROUP_INDEX, 1),
            (oids::PRT_ALERT_LOCATION, 0),
            (oids::PRT_ALERT_CODE, 8),
        ] {
            put(column, &[1, 1], Value::Integer(number));
        }
    }
    walk
}
