//! Files and folders that are still whole after a power cut.

use super::{ReleaseError, io_error};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a new file with exactly this content and mode, on disk when it returns; its folder is not yet synced.
///
/// # Errors
/// [`ReleaseError::Io`]; also when there is a file of that name already.
pub fn write_durably(path: &Path, content: &[u8], mode: u32) -> Result<(), ReleaseError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(io_error("create", path))?;
    file.write_all(content).map_err(io_error("write", path))?;
    // The process's umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode)).map_err(io_error("set the mode of", path))?;
    file.sync_all().map_err(io_error("sync", path))
}

/// Makes a new file with the content of another, on disk when it returns; its folder is not yet synced. Where the file
/// system can, both share their blocks until one is written to.
///
/// # Errors
/// [`ReleaseError::Io`]; also when there is a file of that name already.
pub fn copy_durably(from: &Path, to: &Path, mode: u32) -> Result<(), ReleaseError> {
    let mut source = File::open(from).map_err(io_error("open", from))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(to)
        .map_err(io_error("create", to))?;
    // Between two files the standard library lets the kernel copy, or share.
    std::io::copy(&mut source, &mut file).map_err(io_error("write", to))?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(io_error("set the mode of", to))?;
    file.sync_all().map_err(io_error("sync", to))
}

/// Makes a folder and those above it that are missing, on disk when it returns: what is synced in a folder is lost with
/// the folder's own name. No error when it is there already.
///
/// # Errors
/// [`ReleaseError::Io`].
pub fn create_folder(path: &Path) -> Result<(), ReleaseError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    above.map_or(Ok(()), create_folder)?;
    match std::fs::create_dir(path) {
        // Somebody else was quicker, and may not have synced it yet.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result.map_err(io_error("create", path))?,
    }
    above.map_or(Ok(()), sync_folder)
}

/// Puts the names in a folder on disk.
///
/// # Errors
/// [`ReleaseError::Io`].
pub fn sync_folder(path: &Path) -> Result<(), ReleaseError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error("sync", path))
}

/// Removes a folder with all that is in it; no error when it is not there. It gets a name ending in `.gone` first,
/// so that a half-removed folder never passes for a whole one.
///
/// # Errors
/// [`ReleaseError::Io`].
pub fn remove_tree(path: &Path) -> Result<(), ReleaseError> {
    let mut gone = path.as_os_str().to_owned();
    if path.extension().is_none_or(|extension| extension != "gone") {
        gone.push(".gone");
    }
    let gone = Path::new(&gone);
    if gone != path {
        remove_if_there(gone)?;
        match std::fs::rename(path, gone) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result.map_err(io_error("rename", path))?,
        }
    }
    remove_if_there(gone)
}

fn remove_if_there(path: &Path) -> Result<(), ReleaseError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(io_error("remove", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_with_those_above_it_and_nothing_else_is_taken_for_one() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(home.path().join("file"), b"").unwrap();
        assert!(matches!(create_folder(&home.path().join("file")), Err(ReleaseError::Io { .. })));
        assert!(create_folder(&home.path().join("file/below")).is_err());
    }
}
