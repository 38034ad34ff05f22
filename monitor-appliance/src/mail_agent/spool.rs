//! Large mails: what is fetched is condensed as it comes, and the attachment lies in a file until it is filed.
//!
//! There is one such file at a time, below `spool/`, mode 0600. It is worth nothing after a kill: the mail is still in the
//! mailbox, so the folder is emptied at each start.

use crate::context::Context;
use crate::release::{ReleaseError, Space, create_folder, remove_tree};
use mailbox::fetch::Sink;
use mailfmt::mail::{Condensed, Condenser};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Mails above this, in octets as announced, are read this way. Below, the whole mail in memory is the smaller burden.
pub(super) const LARGE_OCTETS: u64 = 4 << 20;

/// Largest mail, in octets, that is read whole where the condensed mail does not tell what it is.
pub(super) const WHOLE_OCTETS_MAX: u64 = 12 << 20;

/// Files that filing a mail makes at most, with their folders.
const FILES: u64 = 16;

/// A large mail on its way in.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    condenser: Condenser<BufWriter<File>>,
}

/// A large mail that is here.
#[derive(Debug)]
pub(super) struct Spooled {
    path: PathBuf,
    /// What is left of the mail.
    pub(super) condensed: Condensed,
}

impl Spool {
    /// Removes what a killed predecessor left.
    pub(super) fn clean(context: &Context) -> Result<(), ReleaseError> {
        remove_tree(&context.layout.spool_dir())
    }

    /// Begins with an empty file; whatever was there before is gone.
    pub(super) fn begin(context: &Context) -> Result<Self, ReleaseError> {
        let folder = context.layout.spool_dir();
        create_folder(&folder)?;
        let path = folder.join("attachment");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file =
            file.map_err(|source| ReleaseError::Io { action: "create", path: path.clone(), source })?;
        Ok(Self { path, condenser: Condenser::new(BufWriter::with_capacity(64 << 10, file)) })
    }

    /// Takes the next octets of the mail.
    pub(super) fn sink(&mut self) -> Box<Sink<'_>> {
        Box::new(|octets| self.condenser.push(octets))
    }

    /// The mail is whole.
    pub(super) fn finish(self) -> io::Result<Spooled> {
        let (condensed, mut file) = self.condenser.finish()?;
        file.flush()?;
        Ok(Spooled { path: self.path, condensed })
    }
}

impl Spooled {
    /// Where attachments lie.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Nothing depends on it: the next mail begins with an empty file, and each start with an empty folder.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a mail of so many octets takes on the disk while it is read and filed: its attachment as it came, and the package
/// or part that is made of it; and the reserve still stays free.
pub(super) fn room_for(context: &Context, mail_octets: u64) -> Result<(), ReleaseError> {
    let decoded = mail_octets / 4 * 3;
    let octets = decoded.saturating_mul(2).saturating_add(context.settings.update.disk_reserve);
    Space { octets, files: FILES }.check(context.layout.root())
}
