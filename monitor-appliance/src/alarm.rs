//! Alarms about the appliance itself: told to the center once when they begin and once when they are over, and shown by
//! `status` in between.

use crate::context::Context;
use crate::store::{AlarmRow, Change, StoreError};
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::lineage::Fork;
use mailfmt::message::report::AlarmReport;
use mailfmt::sequence;

/// The word for a center whose history forks.
pub const CENTER_FORKED: &str = "center-forked";

/// Raises an alarm. False, and nothing told, if it is known.
///
/// # Errors
/// [`StoreError`].
pub fn raise(
    change: &Change<'_>,
    context: &Context,
    name: &str,
    description: String,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let alarm = AlarmRow { name: name.to_owned(), description, since };
    if !change.raise_alarm(&alarm)? {
        return Ok(false);
    }
    tracing::error!(alarm = name, "{}", alarm.description);
    tell(change, context, alarm, false)?;
    Ok(true)
}

/// Ends an alarm. False, and nothing told, if there was none.
///
/// # Errors
/// [`StoreError`].
pub fn end(change: &Change<'_>, context: &Context, name: &str) -> Result<bool, StoreError> {
    let Some(alarm) = change.end_alarm(name)? else { return Ok(false) };
    tracing::info!(alarm = name, "over: {}", alarm.description);
    tell(change, context, alarm, true)?;
    Ok(true)
}

/// The center's messages come from two histories. Told each time that something new about it is seen.
///
/// # Errors
/// [`StoreError`].
pub fn center_forked(change: &Change<'_>, context: &Context, fork: &Fork) -> Result<(), StoreError> {
    let since = sequence::began(fork.younger).unwrap_or_else(|| context.now());
    let alarm = AlarmRow { name: CENTER_FORKED.to_owned(), description: fork_text(fork), since };
    change.end_alarm(CENTER_FORKED)?;
    change.raise_alarm(&alarm)?;
    tracing::error!(alarm = CENTER_FORKED, "{}", alarm.description);
    tell(change, context, alarm, false)
}

fn fork_text(fork: &Fork) -> String {
    let numbers = format!(
        "it goes on after number {}, although {} had come",
        sequence::shown(fork.common),
        sequence::shown(fork.highest)
    );
    if fork.both_go_on {
        format!("two centers use the same keys: {numbers}, and both go on")
    } else {
        format!("the center has forgotten something, as after a restore from a backup: {numbers}")
    }
}

fn tell(change: &Change<'_>, context: &Context, alarm: AlarmRow, over: bool) -> Result<(), StoreError> {
    let AlarmRow { name, description, since } = alarm;
    let report = AlarmReport { alarm: name, description, since, over };
    change.enqueue(&context.outgoing(Report::Alarm(report), None))?;
    Ok(())
}
