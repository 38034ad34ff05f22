//! The database is put back to an old backup.

use super::super::book::Book;
use super::super::site::copy_database;
use super::Center;
use anyhow::Context as _;
use mailfmt::{AgentId, MessageId};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;

/// A copy of the database.
pub(super) struct Backup {
    file: PathBuf,
    reports: i64,
    outbox: i64,
}

impl Center {
    /// Keeps a copy of the database, as a backup would.
    pub(crate) fn back_up(&mut self) -> anyhow::Result<()> {
        let last = |watch: &Connection, table: &str, column: &str| -> anyhow::Result<i64> {
            let text = format!("SELECT ifnull(max({column}), 0) FROM {table}");
            Ok(watch.query_row(&text, (), |row| row.get(0))?)
        };
        let watch = self.watch()?;
        let (reports, outbox) = (last(watch, "report", "number")?, last(watch, "outbox", "id")?);
        self.live = None;
        self.watch = None;
        let file = self.file.with_extension("backup");
        copy_database(&self.file, &file)?;
        self.backup = Some(Backup { file, reports, outbox });
        Ok(())
    }

    /// The database is put back to the last backup. False if there is none.
    pub(crate) fn restore(&mut self, book: &mut Book) -> anyhow::Result<bool> {
        let Some(backup) = self.backup.take() else { return Ok(false) };
        let (now, places) = (self.clock.now(), Arc::clone(&self.places));
        let watch = self.watch()?;
        let mut forgotten: Vec<([u8; 16], String)> = Vec::new();
        for (text, since) in [
            ("SELECT message, agent FROM report WHERE number > ?1", backup.reports),
            (
                "SELECT o.message, r.agent FROM outbox o JOIN outbox_recipient r ON r.outbox = o.id
                 WHERE o.id > ?1 AND o.family = 'command'",
                backup.outbox,
            ),
        ] {
            let mut statement = watch.prepare(text)?;
            let rows = statement.query_map((since,), |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                forgotten.push(row?);
            }
        }
        for (message, agent) in forgotten {
            let place = *places.get(&AgentId::new(&agent)?).context("it is in the fleet")?;
            book.forget_at_center(MessageId::from_bytes(message), place, now);
        }
        self.crash();
        self.watch = None;
        copy_database(&backup.file, &self.file)?;
        Ok(true)
    }
}
