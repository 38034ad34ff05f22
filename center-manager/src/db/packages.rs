//! Packages that the center knows.

use super::columns::{At, count, json, parsed, time, uncount};
use super::{Db, DbError};
use jiff::Timestamp;
use mailfmt::package::{Manifest, PackageId};
use rusqlite::{Row, params};
use std::path::{Path, PathBuf};

/// A package as the database knows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StoredPackage {
    /// Its id: the SHA-256 of its manifest.
    pub id: PackageId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Octets of its file.
    pub octets: u64,
    /// Where its file lies.
    pub path: PathBuf,
    /// Ids of the keys that it says it was signed by, separated by spaces; empty while it is not signed.
    pub signers: String,
    /// When it was added.
    pub added: Timestamp,
}

const COLUMNS: &str = "id, manifest, octets, path, signers, added";

fn read_package(row: &Row<'_>) -> rusqlite::Result<StoredPackage> {
    Ok(StoredPackage {
        id: parsed(row, 0)?,
        manifest: json(row, 1)?,
        octets: uncount(row.get(2)?),
        path: PathBuf::from(row.get::<_, String>(3)?),
        signers: row.get(4)?,
        added: time(row, 5)?,
    })
}

impl Db {
    /// Files a package, or its file after it was signed once more.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn put_package(&mut self, package: &StoredPackage) -> Result<(), DbError> {
        let manifest = serde_json::to_string(&package.manifest).unwrap_or_default();
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO package (id, target, manifest, octets, path, signers, added)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET octets = excluded.octets, path = excluded.path,
                     signers = excluded.signers",
                params![
                    package.id.to_string(),
                    package.manifest.target.as_str(),
                    manifest,
                    count(package.octets),
                    path_text(&package.path),
                    package.signers,
                    At(package.added),
                ],
            )?;
            Ok(())
        })
    }

    /// One package by its id or by the beginning of it (at least 6 digits, and only one package begins so).
    ///
    /// # Errors
    /// [`DbError::NoSuchPackage`] or [`DbError::Sql`].
    pub fn package(&self, id: &str) -> Result<StoredPackage, DbError> {
        let unknown = || DbError::NoSuchPackage { package: id.chars().take(80).collect() };
        if id.len() < 6 || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let mut statement = self
            .read()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM package WHERE id LIKE ?1 || '%' LIMIT 2"))?;
        let mut found = statement.query_map([id], read_package)?.collect::<Result<Vec<_>, _>>()?;
        match (found.pop(), found.is_empty()) {
            (Some(package), true) => Ok(package),
            _ => Err(unknown()),
        }
    }

    /// All packages, newest last.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn packages(&self) -> Result<Vec<StoredPackage>, DbError> {
        let mut statement =
            self.read().prepare_cached(&format!("SELECT {COLUMNS} FROM package ORDER BY added, id"))?;
        let rows = statement.query_map([], read_package)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The greatest release counter of all packages, 0 when there is none.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn greatest_release_counter(&self) -> Result<u64, DbError> {
        Ok(self.packages()?.iter().map(|package| package.manifest.release_counter).max().unwrap_or(0))
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
