//! A supervisor that failed after its trial, and was replaced by the one before: the center is told, and told again when
//! it is over.

use crate::context::Context;
use crate::release::Releases;
use crate::store::{Moment, Store, StoreError};
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::report::AlarmReport;
use std::time::Duration;

/// Name of the alarm.
const ALARM: &str = "supervisor-before";
/// How long a supervisor has to run until its start counts as a good one.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(300);

/// What the center is to be told; `None` when it knows already. `told` is since when it knows that the one before is
/// back.
fn alarm(rejected: bool, told: Option<Timestamp>, now: Timestamp) -> Option<AlarmReport> {
    let told = told.filter(|at| *at != Timestamp::UNIX_EPOCH);
    let (description, since, over) = match (rejected, told) {
        (true, None) => (
            "the supervisor of the release that runs failed at every start after its trial; the one before it runs in \
             its place until an update brings another",
            now,
            false,
        ),
        (false, Some(since)) => {
            ("the supervisor of the release that runs is in its place again", since, true)
        }
        (true, Some(_)) | (false, None) => return None,
    };
    Some(AlarmReport { alarm: ALARM.to_owned(), description: description.to_owned(), since, over })
}

/// Tells the center at the start of a supervisor, once.
///
/// # Errors
/// [`StoreError`].
pub(super) fn tell(context: &Context, store: &mut Store, releases: &Releases) -> Result<(), StoreError> {
    let now = context.now();
    let told = store.moment(Moment::SupervisorBefore)?;
    let Some(alarm) = alarm(releases.rejected_supervisor().exists(), told, now) else { return Ok(()) };
    tracing::error!(alarm.over, "{}", alarm.description);
    let noted = if alarm.over { Timestamp::UNIX_EPOCH } else { now };
    let report = context.outgoing(Report::Alarm(alarm), None);
    store.change(|change| {
        change.note(Moment::SupervisorBefore, noted)?;
        change.enqueue(&report)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_one_before_is_back_is_told_once_and_once_that_it_is_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let over = |rejected, told| alarm(rejected, told, at(50)).map(|alarm| (alarm.over, alarm.since));
        assert_eq!(over(false, None), None);
        assert_eq!(over(true, None), Some((false, at(50))));
        assert_eq!(over(true, Some(at(40))), None);
        assert_eq!(over(false, Some(at(40))), Some((true, at(40))));
        assert_eq!(over(false, Some(Timestamp::UNIX_EPOCH)), None);
        assert_eq!(over(true, Some(Timestamp::UNIX_EPOCH)), Some((false, at(50))));
    }
}
