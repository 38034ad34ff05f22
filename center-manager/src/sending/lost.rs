//! Which commands an appliance must have lost: mail servers took them, it has emptied its mailbox since, and does not have
//! them. A provider that deletes what is not fetched in time, or a person who tidies up, leaves nothing behind that could
//! tell; so the appliance tells what it has. Pure.

use crate::db::outbox::OutboxId;
use jiff::{SignedDuration, Timestamp};
use mailfmt::MessageId;
use mailfmt::message::report::HealthReport;

/// So long a mail may be on its way although a later one has come: mail overtakes mail.
const OVERTAKING: SignedDuration = SignedDuration::from_secs(30);

/// So long a mail may be on its way at all before it is sent again: greylisting and the sender's own pauses take less. It may
/// still come; then it is told by its id.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_hours(1);

/// A command that was handed in and is neither answered nor expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedIn {
    /// Its place in the outbox.
    pub outbox: OutboxId,
    /// Its id.
    pub message: MessageId,
    /// Its number in the channel to the appliance.
    pub sequence: u64,
    /// When a mail server took it.
    pub at: Timestamp,
}

/// Which of them to send again, after a health report that was made at `made` and came at `received`.
#[must_use]
pub fn lost(
    handed_in: &[HandedIn],
    report: &HealthReport,
    made: Timestamp,
    received: Timestamp,
) -> Vec<OutboxId> {
    // An older program does not tell what it has.
    let (Some(held), Some(fetch)) = (&report.commands, report.last_fetch) else { return Vec::new() };
    // By our own clock: the appliance's may be wrong, but not about how long ago it was.
    let fetched = received.saturating_sub(made.duration_since(fetch).max(SignedDuration::ZERO));
    let Ok(fetched) = fetched else { return Vec::new() };
    let is_lost = |command: &&HandedIn| {
        let waited = fetched.duration_since(command.at);
        let overtaken = report.sequence_seen > command.sequence && waited >= OVERTAKING;
        // What is older than the list goes back may well have come.
        let told = held.since.is_none_or(|since| since < command.at);
        told && !held.ids.contains(&command.message) && (overtaken || waited >= ON_ITS_WAY)
    };
    handed_in.iter().filter(is_lost).map(|command| command.outbox).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailfmt::message::report::CommandsHeld;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn command(nth: u8, handed_in: i64) -> HandedIn {
        HandedIn {
            outbox: OutboxId(i64::from(nth)),
            message: MessageId::from_bytes([nth; 16]),
            sequence: u64::from(nth),
            at: at(handed_in),
        }
    }

    fn report(held: &[u8], seen: u64, last_fetch: i64) -> HealthReport {
        HealthReport {
            software: "1.0.00-1".parse().unwrap(),
            uptime_secs: 1,
            boot_id: String::new(),
            devices: 0,
            devices_answering: 0,
            reports_waiting: 0,
            reports_expired: 0,
            junk: 0,
            sequence_seen: seen,
            last_fetch: Some(at(last_fetch)),
            standing: None,
            mangled: Default::default(),
            commands: Some(CommandsHeld {
                ids: held.iter().map(|nth| MessageId::from_bytes([*nth; 16])).collect(),
                since: None,
            }),
        }
    }

    fn ids(lost: &[OutboxId]) -> Vec<i64> {
        lost.iter().map(|outbox| outbox.0).collect()
    }

    #[test]
    fn what_the_appliance_has_is_never_sent_again() {
        let all = [command(1, 0), command(2, 0)];
        let found = lost(&all, &report(&[1, 2], 9, 100_000), at(100_000), at(100_001));
        assert!(found.is_empty());
    }

    #[test]
    fn what_a_later_message_has_overtaken_for_long_is_lost() {
        let all = [command(1, 0), command(2, 980)];
        let found = lost(&all, &report(&[], 3, 1_000), at(1_000), at(1_000));
        assert_eq!(ids(&found), [1], "the other one may still be on its way");
        assert!(lost(&all, &report(&[], 0, 1_000), at(1_000), at(1_000)).is_empty(), "nothing later came");
    }

    #[test]
    fn what_did_not_come_within_an_hour_is_lost_although_nothing_later_came() {
        let found = lost(&[command(5, 0)], &report(&[], 2, 3_600), at(3_600), at(3_700));
        assert_eq!(ids(&found), [5]);
    }

    #[test]
    fn an_appliance_that_has_not_looked_since_has_lost_nothing() {
        let found = lost(&[command(1, 5_000)], &report(&[], 9, 4_000), at(9_000), at(9_000));
        assert!(found.is_empty());
    }

    #[test]
    fn an_appliance_whose_clock_is_years_wrong_loses_nothing_by_it() {
        let (made, fetch) = (1_000_000_000, 999_999_990);
        let told = HealthReport { last_fetch: Some(at(fetch)), ..report(&[], 9, 0) };
        assert!(lost(&[command(1, 0)], &told, at(made), at(20)).is_empty(), "it looked ten seconds before");
        assert_eq!(ids(&lost(&[command(1, 0)], &told, at(made), at(100))), [1]);
    }

    #[test]
    fn what_is_older_than_the_list_of_the_appliance_is_left_alone() {
        let mut told = report(&[7], 9, 90_000);
        told.commands = told.commands.map(|held| CommandsHeld { since: Some(at(50)), ..held });
        let found = lost(&[command(1, 0), command(2, 60)], &told, at(90_000), at(90_000));
        assert_eq!(ids(&found), [2]);
    }

    #[test]
    fn an_appliance_of_an_older_version_is_taken_at_its_silence() {
        let old = HealthReport { commands: None, ..report(&[], 9, 90_000) };
        assert!(lost(&[command(1, 0)], &old, at(90_000), at(90_000)).is_empty());
    }
}
