//! What the handing in of mail reads and keeps: many messages in one go, and what an account does not take.

use super::super::columns::At;
use super::super::{Db, DbError};
use super::{OutboxId, Outgoing, read_outgoing};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use std::collections::BTreeMap;

/// So long it is believed that an account takes no null return path; then it is tried again.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24 * 30);

impl Db {
    /// Counts the mails that are about to be composed for each of these messages, in one transaction; answers the messages as
    /// they were before. One that is gone is left out.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn begin_sendings(
        &mut self,
        mails: &BTreeMap<OutboxId, u32>,
    ) -> Result<BTreeMap<OutboxId, Outgoing>, DbError> {
        self.write(|transaction| {
            let mut read = transaction.prepare_cached(
                "SELECT id, message, family, payload, in_reply_to, package, created, expires, sendings,
                        part_octets, part_parity, part_of, part_number
                 FROM outbox WHERE id = ?1",
            )?;
            let mut count =
                transaction.prepare_cached("UPDATE outbox SET sendings = sendings + ?2 WHERE id = ?1")?;
            let mut found = BTreeMap::new();
            for (outbox, sendings) in mails {
                if let Some(outgoing) = read.query_row([outbox.0], read_outgoing).optional()? {
                    count.execute(params![outbox.0, sendings])?;
                    found.insert(*outbox, outgoing);
                }
            }
            Ok(found)
        })
    }

    /// Whether this account is known to take no null return path.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn refuses_null_path(&self, account: &str, now: Timestamp) -> Result<bool, DbError> {
        let since = now.saturating_sub(BELIEVED).unwrap_or(Timestamp::MIN);
        let mut statement = self
            .read()
            .prepare_cached("SELECT 1 FROM null_path_refused WHERE account = ?1 AND learned > ?2")?;
        Ok(statement.exists(params![account, At(since)])?)
    }

    /// Notes that this account takes no null return path.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn learn_null_path_refused(&mut self, account: &str, now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO null_path_refused (account, learned) VALUES (?1, ?2)
                     ON CONFLICT (account) DO UPDATE SET learned = excluded.learned",
                )?
                .execute(params![account, At(now)])?;
            Ok(())
        })
    }
}
