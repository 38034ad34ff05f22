//! Searches that the operator gave a name.

use super::columns::{At, json, time};
use super::{Db, DbError};
use crate::selection::Selection;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

/// A search with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavedQuery {
    /// Its name.
    pub name: String,
    /// Which appliances are meant.
    pub selection: Selection,
    /// When it was saved.
    pub saved: Timestamp,
}

impl Db {
    /// All saved searches, by name.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn queries(&self) -> Result<Vec<SavedQuery>, DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT name, selection, saved FROM query ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(SavedQuery { name: row.get(0)?, selection: json(row, 1)?, saved: time(row, 2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The search of that name, if there is one.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn query(&self, name: &str) -> Result<Option<Selection>, DbError> {
        Ok(self
            .read()
            .prepare_cached("SELECT selection FROM query WHERE name = ?1")?
            .query_row([name], |row| json(row, 0))
            .optional()?)
    }

    /// Saves a search; one of the same name is replaced.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn save_query(&mut self, name: &str, selection: &Selection, now: Timestamp) -> Result<(), DbError> {
        let text = serde_json::to_string(selection)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.write(|tx| {
            tx.prepare_cached(
                "INSERT INTO query (name, selection, saved) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET selection = excluded.selection, saved = excluded.saved",
            )?
            .execute(params![name, text, At(now)])?;
            Ok(())
        })
    }

    /// Forgets a search; whether there was one.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn forget_query(&mut self, name: &str) -> Result<bool, DbError> {
        self.write(|tx| Ok(tx.prepare_cached("DELETE FROM query WHERE name = ?1")?.execute([name])? > 0))
    }
}
