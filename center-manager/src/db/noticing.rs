//! How new mail is noticed, and how often mail servers were asked to let us in ([`mailbox::record`]).

use super::{Db, DbError};
use jiff::Timestamp;
use mailbox::inbox::{Manner, Noticing, Standing};
use mailbox::record::{self, Purpose};

impl Db {
    /// How new mail of an account is noticed; see [`record::noticing`].
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn noticing(
        &self,
        account: &str,
        every_secs: impl FnOnce(Option<Manner>) -> u64,
        logins_allowed: u32,
        now: Timestamp,
    ) -> Result<Noticing, DbError> {
        Ok(record::noticing(self.read(), account, every_secs, logins_allowed, now)?)
    }

    /// The logins to fetch of an account within the hour before `now`, the oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn logins_to_fetch(&self, account: &str, now: Timestamp) -> Result<Vec<Timestamp>, DbError> {
        Ok(record::logins(self.read(), account, Purpose::Fetch, now)?)
    }

    /// Counts logins to fetch, and notes how new mail of the account is noticed.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_standing(
        &mut self,
        account: &str,
        logins: u32,
        standing: Standing,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.write(|change| {
            record::note_logins(change, account, Purpose::Fetch, logins, now)?;
            Ok(record::note_standing(change, account, standing, now)?)
        })
    }

    /// Counts logins to hand mail in.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_logins_to_send(&mut self, account: &str, logins: u32, now: Timestamp) -> Result<(), DbError> {
        self.write(|change| Ok(record::note_logins(change, account, Purpose::Send, logins, now)?))
    }
}
