//! The proven supervisor: a copy, outside all releases, of the last one whose release was kept.
//!
//! The service manager starts this file, so that a power cut in the middle of a trial never leaves the box to a
//! supervisor that has shown nothing yet. It is replaced by one rename, after the new one has run through its trial; the
//! one before stays beside it.
//!
//! One that has passed its trial may still fail later, when the service manager starts it. So that notes every start in
//! `supervisor.starts`; a supervisor that has run well for a while removes the note. When there are too many, the service
//! manager puts the one before back and keeps the other as `supervisor.rejected`
//! (`scripts/systemd/supervisor.service`). That one is not proven again.

use super::{
    ReleaseError, Releases, SUPERVISOR, copy_durably, hash_file, io_error, remove_tree, sync_folder,
};
use mailfmt::{Digest, ModuleName};
use std::path::{Path, PathBuf};

/// What became of the proven supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// It is that of the running release, as before.
    Same,
    /// There was none yet; now there is.
    New,
    /// It was another one, and is now that of the running release.
    Replaced,
    /// That of the running release failed after its trial; the one before it stays.
    Rejected,
    /// The running release has no supervisor of its own.
    None,
}

/// SHA-256 and length of a file.
type FileHash = (Digest, u64);

impl Releases {
    /// The file that the service manager starts.
    #[must_use]
    pub fn proven_supervisor(&self) -> PathBuf {
        self.root.join(SUPERVISOR)
    }

    /// The one that failed when the service manager started it, if there is one.
    #[must_use]
    pub fn rejected_supervisor(&self) -> PathBuf {
        self.root.join("supervisor.rejected")
    }

    /// The one that failed may be tried again.
    ///
    /// # Errors
    /// [`ReleaseError`] when the file cannot be removed.
    pub fn forget_rejected_supervisor(&self) -> Result<(), ReleaseError> {
        remove_file(&self.rejected_supervisor())
    }

    /// The supervisor runs well, or ends because it was asked to: its starts so far are no sign of trouble.
    ///
    /// # Errors
    /// [`ReleaseError`] when the note cannot be removed.
    pub fn forget_supervisor_starts(&self) -> Result<(), ReleaseError> {
        remove_file(&self.root.join("supervisor.starts"))
    }

    /// Makes the supervisor of the running release the proven one. Harmless when it is already.
    ///
    /// # Errors
    /// [`ReleaseError`]; the proven one is then the one before, whole.
    pub fn prove_supervisor(&self) -> Result<Proven, ReleaseError> {
        let Some((name, wanted)) = self.supervisor_of_current()? else { return Ok(Proven::None) };
        let before = self.proven_file();
        if before == Some(wanted) {
            return Ok(Proven::Same);
        }
        if hash_file(&self.rejected_supervisor()).ok() == Some(wanted) {
            return Ok(Proven::Rejected);
        }
        if before.is_some() {
            self.keep_before()?;
        }
        self.put_proven(name, wanted)?;
        // What others did before is not held against it.
        self.forget_supervisor_starts()?;
        self.forget_rejected_supervisor()?;
        Ok(if before.is_some() { Proven::Replaced } else { Proven::New })
    }

    /// SHA-256 and length of the proven supervisor; `None` where there is none.
    #[must_use]
    pub fn proven_file(&self) -> Option<(Digest, u64)> {
        hash_file(&self.proven_supervisor()).ok()
    }

    /// Puts the supervisor of the running release in the place of the proven one if that is not `before` any more. Returns
    /// whether it was not.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn mend_supervisor(&self, before: Option<(Digest, u64)>) -> Result<bool, ReleaseError> {
        if self.proven_file() == before {
            return Ok(false);
        }
        match self.supervisor_of_current()? {
            Some((name, wanted)) => self.put_proven(name, wanted)?,
            None => remove_tree(&self.proven_supervisor())?,
        }
        Ok(true)
    }

    /// Name, SHA-256 and length of the running release's own supervisor.
    fn supervisor_of_current(&self) -> Result<Option<(ModuleName, FileHash)>, ReleaseError> {
        let mut modules = self.current()?.1.modules.into_iter();
        let module = modules.find(|module| module.name.as_str() == SUPERVISOR);
        Ok(module.map(|module| (module.name, (module.sha256, module.octets))))
    }

    fn put_proven(&self, name: ModuleName, wanted: (Digest, u64)) -> Result<(), ReleaseError> {
        let (proven, fresh) = (self.proven_supervisor(), self.root.join("supervisor.new"));
        remove_tree(&fresh)?;
        copy_durably(&self.current()?.0.join(SUPERVISOR), &fresh, 0o755)?;
        if hash_file(&fresh)? != wanted {
            remove_tree(&fresh)?;
            return Err(ReleaseError::Altered { name });
        }
        std::fs::rename(&fresh, &proven).map_err(io_error("replace", &proven))?;
        sync_folder(&self.root)
    }

    /// Gives the proven supervisor its second name, under which it stays when it is replaced.
    fn keep_before(&self) -> Result<(), ReleaseError> {
        let proven = self.proven_supervisor();
        let (before, fresh) = (self.root.join("supervisor.before"), self.root.join("supervisor.before.new"));
        remove_file(&fresh)?;
        if std::fs::hard_link(&proven, &fresh).is_err() {
            // A file system without second names.
            copy_durably(&proven, &fresh, 0o755)?;
        }
        std::fs::rename(&fresh, &before).map_err(io_error("replace", &before))?;
        // A rename between two names of one file leaves both (rename(2)): so it is when a predecessor was killed here.
        remove_file(&fresh)?;
        sync_folder(&self.root)
    }
}

fn remove_file(path: &Path) -> Result<(), ReleaseError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}
