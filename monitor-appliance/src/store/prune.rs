//! Forgetting, so that the disk never fills.

use super::{Change, StoreError};
use crate::settings::Retention;
use jiff::{SignedDuration, Timestamp};

/// A message is remembered this much longer than it can be acted on, for clocks that are set back.
const JOURNAL_MARGIN: SignedDuration = SignedDuration::from_hours(24);

impl Change<'_> {
    /// Deletes what is older than the settings say. Never: a report that waits for its receipt, an open fault, the
    /// latest reading of a device, a message that could still be acted on if it came again: by `earliest`, the time that
    /// it is at least, so that no clock that is set ahead makes old orders new.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn prune(
        &self,
        retention: &Retention,
        now: Timestamp,
        earliest: Timestamp,
    ) -> Result<usize, StoreError> {
        let before = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_millisecond();
        let mut deleted = self
            .transaction
            .prepare_cached("DELETE FROM outbox WHERE ended_ms < ?1 AND state <> 'waiting'")?
            .execute((before(retention.report_receipted),))?;
        deleted += self
            .transaction
            .prepare_cached("DELETE FROM journal WHERE expires_ms < ?1")?
            .execute((earliest.saturating_sub(JOURNAL_MARGIN).unwrap_or(Timestamp::MIN).as_millisecond(),))?;
        deleted += self.prune_recalls(earliest.saturating_sub(JOURNAL_MARGIN).unwrap_or(Timestamp::MIN))?;
        deleted += self
            .transaction
            .prepare_cached(
                "DELETE FROM reading WHERE at_ms < ?1
                 AND id < (SELECT max(newer.id) FROM reading AS newer WHERE newer.address = reading.address)",
            )?
            .execute((before(retention.reading),))?;
        deleted += self
            .transaction
            .prepare_cached("DELETE FROM fault WHERE cleared_ms < ?1")?
            .execute((before(retention.fault_cleared),))?;
        deleted += self.prune_conditions()?;
        deleted += self.prune_epochs()?;
        deleted += self.prune_acquaintances()?;
        Ok(deleted)
    }
}
