//! Answers that wait for their slot ([`mailfmt::slot`]).

use super::{Change, Store, StoreError, row};
use crate::clock::{Reading, Uptime};
use crate::outbox::after;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{MessageId, Report};
use rusqlite::{Connection, OptionalExtension as _};
use std::time::Duration;

/// How long holds are remembered, at least as long as any command lives.
const KEPT: SignedDuration = SignedDuration::from_hours(100 * 24);

/// How long the answer to one command waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The command.
    pub command: MessageId,
    /// When it was read, by the clock.
    pub made: Timestamp,
    /// The same by the uptime.
    pub at: Uptime,
    /// From then on.
    pub wait: Duration,
    /// How long the answer is not repeated while no receipt comes.
    pub patience: Duration,
}

impl Hold {
    /// Whether the answer may go out. In the boot in which the command was read the uptime tells what has passed. In a later one
    /// it is what the clock says, but at least the uptime: a clock that was set back holds no answer for longer than the wait.
    #[must_use]
    pub fn is_over(&self, now: Timestamp, reading: &Reading) -> bool {
        let passed = reading.since(&self.at).unwrap_or_else(|| {
            let by_clock = Duration::try_from(now.duration_since(self.made)).unwrap_or_default();
            by_clock.max(reading.since_boot)
        });
        passed >= self.wait
    }

    /// When a report that is made at `created` goes out; not later than the whole wait from then on.
    fn due(&self, created: Timestamp) -> Timestamp {
        after(self.made, self.wait).clamp(created, after(created, self.wait))
    }
}

/// Whether a report waits for the slot of the command that it answers. The word that an update is on trial does not, since it
/// proves that mail gets out; nor does a question for what is missing.
fn waits(report: &Report) -> bool {
    match report {
        Report::UpdateResult(result) => !matches!(result.outcome, UpdateOutcome::Waiting { .. }),
        // Held before it is written, so that it tells what is true then.
        Report::Version(_) => false,
        Report::PartsMissing(_) | Report::CredentialRotated(_) | Report::Alarm(_) => false,
        _ => true,
    }
}

pub(super) fn hold_of(connection: &Connection, command: MessageId) -> Result<Option<Hold>, StoreError> {
    let found: Option<(i64, String, i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT made_ms, boot, since_boot_ms, wait_ms, patience_ms FROM answer_hold WHERE command = ?1",
        )?
        .query_row((command.to_string(),), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((made, boot, since_boot, wait, patience)) = found else { return Ok(None) };
    Ok(Some(Hold {
        command,
        made: row::time(made, "hold")?,
        at: Uptime { boot, since_boot_ms: row::to_u64(since_boot) },
        wait: Duration::from_millis(row::to_u64(wait)),
        patience: Duration::from_millis(row::to_u64(patience)),
    }))
}

/// When a report that answers `command` goes out, and how long it may be put off.
pub(super) fn put_off(
    connection: &Connection,
    report: &Report,
    command: Option<MessageId>,
    created: Timestamp,
) -> Result<(Timestamp, Duration), StoreError> {
    let hold = command.map(|command| hold_of(connection, command)).transpose()?.flatten();
    Ok(match hold {
        Some(hold) if waits(report) => (hold.due(created), hold.wait.max(hold.patience)),
        Some(hold) => (created, hold.patience),
        None => (created, Duration::ZERO),
    })
}

impl Store {
    /// The hold of a command's answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hold_of(&self, command: MessageId) -> Result<Option<Hold>, StoreError> {
        hold_of(&self.connection, command)
    }
}

impl Change<'_> {
    /// Holds the answer to a command. One that is held already stays as it is: reading a mail twice begins no second wait.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn hold_answer(&self, hold: &Hold) -> Result<(), StoreError> {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let old = hold.made.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.transaction
            .prepare_cached("DELETE FROM answer_hold WHERE made_ms < ?1")?
            .execute((old.as_millisecond(),))?;
        self.transaction
            .prepare_cached(
                "INSERT INTO answer_hold (command, made_ms, boot, since_boot_ms, wait_ms, patience_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (command) DO NOTHING",
            )?
            .execute((
                hold.command.to_string(),
                hold.made.as_millisecond(),
                &hold.at.boot,
                row::from_u64(hold.at.since_boot_ms),
                millis(hold.wait),
                millis(hold.patience),
            ))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn reading(boot: &str, since_boot: u64) -> Reading {
        Reading { wall: at(0), since_boot: Duration::from_secs(since_boot), boot: Arc::from(boot) }
    }

    fn hold() -> Hold {
        Hold {
            command: MessageId::from_bytes([7; 16]),
            made: at(0),
            at: reading("first", 100).uptime(),
            wait: Duration::from_secs(600),
            patience: Duration::from_secs(9_000),
        }
    }

    #[test]
    fn a_hold_is_measured_by_the_uptime_whatever_happens_to_the_clock() {
        for clock in [-400_000_000, 0, 400_000_000] {
            assert!(!hold().is_over(at(clock), &reading("first", 699)), "clock at {clock}");
            assert!(hold().is_over(at(clock), &reading("first", 700)), "clock at {clock}");
        }
    }

    #[test]
    fn after_a_restart_of_the_box_the_clock_tells_and_one_that_was_set_back_costs_one_more_wait_at_most() {
        assert!(!hold().is_over(at(599), &reading("second", 30)));
        assert!(hold().is_over(at(600), &reading("second", 30)));
        assert!(!hold().is_over(at(-90_000), &reading("second", 599)));
        assert!(hold().is_over(at(-90_000), &reading("second", 600)));
    }

    #[test]
    fn reading_a_command_twice_begins_no_second_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let again = Hold { made: at(500), ..hold() };
        store.change(|change| change.hold_answer(&hold())).unwrap();
        store.change(|change| change.hold_answer(&again)).unwrap();
        assert_eq!(store.hold_of(hold().command).unwrap(), Some(hold()));
    }
}
