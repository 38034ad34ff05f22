//! How full the mailboxes are, as their servers told last ([`mailbox::record::quota`]).

use super::{Change, StoreError};
use jiff::Timestamp;
use mailbox::quota::{Fullness, Quota};
use mailbox::record::quota;

impl Change<'_> {
    /// Notes what an account's server told of its mailbox.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_quota(&self, account: &str, told: Quota, now: Timestamp) -> Result<(), StoreError> {
        quota::note(self.transaction, account, told, now)?;
        Ok(())
    }

    /// How full the mailbox of an account is; `None` before it was asked.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn fullness(&self, account: &str) -> Result<Option<Fullness>, StoreError> {
        Ok(quota::fullness(self.transaction, account)?)
    }
}
