//! Disks that are put back to an old backup.

use super::super::book::Book;
use super::Site;
use super::devices::Devices;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// A copy of an appliance's disk.
pub(super) struct Backup {
    file: PathBuf,
    last_row: i64,
    devices: Devices,
}

impl Site {
    /// Keeps a copy of the store, as a backup would.
    pub(crate) fn back_up(&mut self) -> anyhow::Result<()> {
        self.live = None;
        self.watch = None;
        let file = self.root.join("backup.db");
        copy_database(&self.root.join("store.db"), &file)?;
        self.backup = Some(Backup { file, last_row: self.last_row, devices: self.devices.clone() });
        Ok(())
    }

    /// The disk is put back to the last backup. False if there is none.
    pub(crate) fn restore(&mut self, book: &mut Book) -> anyhow::Result<bool> {
        self.enter_new(book)?;
        let (now, place) = (self.clock.now(), self.place);
        let Some(backup) = self.backup.take() else { return Ok(false) };
        self.watch()?;
        let watch = self.watch.as_ref().context("it was just opened")?;
        let mut statement = watch.prepare("SELECT message, in_reply_to FROM outbox WHERE id > ?1")?;
        let mut rows = statement.query((backup.last_row,))?;
        while let Some(row) = rows.next()? {
            let in_reply_to = row.get::<_, Option<String>>(1)?.map(|id| id.parse()).transpose()?;
            book.forget_at_site(row.get::<_, String>(0)?.parse()?, in_reply_to, place, now);
            if let Some(command) = in_reply_to {
                self.installed.remove(&command);
            }
        }
        drop(rows);
        drop(statement);
        self.watch = None;
        self.crash();
        (self.boot, self.booted) = (self.boot + 1, now);
        copy_database(&backup.file, &self.root.join("store.db"))?;
        self.last_row = backup.last_row;
        self.devices = backup.devices;
        Ok(true)
    }
}

/// A database that nobody has open, with its log where one is left.
pub(crate) fn copy_database(from: &Path, to: &Path) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(with(to));
        if suffix != "-shm" && with(from).exists() {
            std::fs::copy(with(from), with(to)).context("a database cannot be copied")?;
        }
    }
    Ok(())
}
