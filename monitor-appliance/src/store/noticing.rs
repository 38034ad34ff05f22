//! How new mail is noticed, and how often mail servers were asked to let us in ([`mailbox::record`]).

use super::{Change, Store, StoreError};
use jiff::Timestamp;
use mailbox::inbox::{Noticing, Standing};
use mailbox::record::{self, Purpose};

impl Store {
    /// How new mail of an account is noticed; see [`record::noticing`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn noticing(
        &self,
        account: &str,
        every_secs: u64,
        logins_allowed: u32,
        now: Timestamp,
    ) -> Result<Noticing, StoreError> {
        Ok(record::noticing(&self.connection, account, |_| every_secs, logins_allowed, now)?)
    }

    /// The logins to fetch of an account within the hour before `now`, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn logins_to_fetch(&self, account: &str, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        Ok(record::logins(&self.connection, account, Purpose::Fetch, now)?)
    }
}

impl Change<'_> {
    /// Counts logins; see [`record::note_logins`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_logins(
        &self,
        account: &str,
        purpose: Purpose,
        logins: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(record::note_logins(self.transaction, account, purpose, logins, now)?)
    }

    /// Notes how new mail of an account is noticed; its beginning is kept as long as nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_standing(&self, account: &str, standing: Standing, now: Timestamp) -> Result<(), StoreError> {
        Ok(record::note_standing(self.transaction, account, standing, now)?)
    }
}
