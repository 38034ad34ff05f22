//! Orders whose packages come in parts, for as long as the parts come.

use super::updates::NewUpdateOrder;
use super::{Change, Store, StoreError, row};
use crate::update::{Collection, UpdateState};
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::UpdateOrder;
use mailfmt::{Digest, MessageId};
use rusqlite::OptionalExtension as _;

/// Longer than any command is valid: then no part of it can come any more.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(120 * 24);

/// What is known of an encrypted package by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// An order waits for its parts.
    Now,
    /// Its orders are over.
    NoMore,
    /// No order was heard of.
    Unheard,
}

impl Store {
    /// The order that a command gave, as long as its parts are waited for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn order_in_parts(&self, command: MessageId) -> Result<Option<UpdateOrder>, StoreError> {
        let order: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT update_order FROM update_parts WHERE command = ?1 AND update_order <> ''",
            )?
            .query_row((command.to_string(),), |row| row.get(0))
            .optional()?;
        let damaged = |_| StoreError::Damaged { what: "order of a package in parts" };
        order.map(|order| serde_json::from_str(&order).map_err(damaged)).transpose()
    }

    /// The commands that gave orders whose parts are waited for, each with the hash of its encrypted package.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn orders_in_parts(&self) -> Result<Vec<(MessageId, Digest)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT command, enclosure FROM update_parts WHERE update_order <> '' ORDER BY received_ms LIMIT 100",
        )?;
        let rows = statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let damaged = || StoreError::Damaged { what: "order of a package in parts" };
        rows.map(|row| {
            let (command, enclosure) = row?;
            Ok((row::id(&command)?, Digest::try_from(enclosure).map_err(|_| damaged())?))
        })
        .collect()
    }

    /// Whether parts of this encrypted package are waited for.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn parts_wanted(&self, enclosure: Digest) -> Result<Wanted, StoreError> {
        let now: Option<bool> = self
            .connection
            .prepare_cached("SELECT max(update_order <> '') FROM update_parts WHERE enclosure = ?1")?
            .query_row((enclosure.to_string(),), |row| row.get(0))?;
        Ok(match now {
            Some(true) => Wanted::Now,
            Some(false) => Wanted::NoMore,
            None => Wanted::Unheard,
        })
    }

    /// Whether an answer of this kind to a command still waits for its receipt.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn answer_waits(&self, command: MessageId, kind: &str) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM outbox WHERE in_reply_to = ?1 AND kind = ?2 AND state = 'waiting'",
            )?
            .exists((command.to_string(), kind))?)
    }
}

impl Change<'_> {
    /// Stores an order whose package comes in parts. False, and nothing stored, if the same command stored it before.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn order_update_in_parts(
        &self,
        new: &NewUpdateOrder,
        order: &UpdateOrder,
        parts: Collection,
    ) -> Result<bool, StoreError> {
        let stored = self.order_update_as(new, &UpdateState::Collecting { parts })?;
        if stored {
            let text =
                serde_json::to_string(order).expect("an order has text keys and no failing serializers");
            self.transaction
                .prepare_cached(
                    "INSERT INTO update_parts (command, enclosure, update_order, received_ms)
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (command) DO NOTHING",
                )?
                .execute((
                    new.command.to_string(),
                    order.enclosure.to_string(),
                    text,
                    new.received.as_millisecond(),
                ))?;
        }
        Ok(stored)
    }

    /// The parts of an order are not waited for any more; its content key is forgotten.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn end_parts(&self, command: MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE update_parts SET update_order = '' WHERE command = ?1")?
            .execute((command.to_string(),))?;
        let long_ago = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        self.transaction
            .prepare_cached("DELETE FROM update_parts WHERE update_order = '' AND received_ms < ?1")?
            .execute((long_ago.as_millisecond(),))?;
        Ok(())
    }
}
