//! The proven supervisor: a copy, outside all releases, of the last one whose release was kept.
//!
//! The service manager starts this file, so that a power cut in the middle of a trial never leaves the box to a
//! supervisor that has shown nothing yet. It is replaced by one rename, after the new one has run through its trial.

use super::{
    ReleaseError, Releases, SUPERVISOR, copy_durably, hash_file, io_error, remove_tree, sync_folder,
};
use std::path::PathBuf;

/// What became of the proven supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// It is that of the running release, as before.
    Same,
    /// There was none yet; now there is.
    New,
    /// It was another one, and is now that of the running release.
    Replaced,
    /// The running release has no supervisor of its own.
    None,
}

impl Releases {
    /// The file that the service manager starts.
    #[must_use]
    pub fn proven_supervisor(&self) -> PathBuf {
        self.root.join(SUPERVISOR)
    }

    /// Makes the supervisor of the running release the proven one. Harmless when it is already.
    ///
    /// # Errors
    /// [`ReleaseError`]; the proven one is then the one before, whole.
    pub fn prove_supervisor(&self) -> Result<Proven, ReleaseError> {
        let (folder, release) = self.current()?;
        let Some(module) = release.modules.iter().find(|module| module.name.as_str() == SUPERVISOR) else {
            return Ok(Proven::None);
        };
        let (file, proven) = (folder.join(SUPERVISOR), self.proven_supervisor());
        let before = hash_file(&proven).ok();
        if before == Some((module.sha256, module.octets)) {
            return Ok(Proven::Same);
        }
        let fresh = self.root.join("supervisor.new");
        remove_tree(&fresh)?;
        copy_durably(&file, &fresh, 0o755)?;
        if hash_file(&fresh)? != (module.sha256, module.octets) {
            remove_tree(&fresh)?;
            return Err(ReleaseError::Altered { name: module.name.clone() });
        }
        std::fs::rename(&fresh, &proven).map_err(io_error("replace", &proven))?;
        sync_folder(&self.root)?;
        Ok(if before.is_some() { Proven::Replaced } else { Proven::New })
    }
}
