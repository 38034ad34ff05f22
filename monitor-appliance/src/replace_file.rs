//! Replacing a file at once: whoever looks sees the old content or the new, even after a power cut.

use crate::release::{ReleaseError, sync_folder, write_durably};
use std::io::ErrorKind;
use std::path::Path;

/// Puts `content` with `mode` in place of whatever file stands at `path`, if any.
///
/// # Errors
/// [`ReleaseError::Io`].
pub fn replace_file(path: &Path, content: &[u8], mode: u32) -> Result<(), ReleaseError> {
    let io = |action, path: &Path, source| ReleaseError::Io { action, path: path.to_owned(), source };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    // A killed predecessor may have left its half of the work.
    match std::fs::remove_file(fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("remove", fresh, error)),
        _ => {}
    }
    write_durably(fresh, content, mode)?;
    std::fs::rename(fresh, path).map_err(|error| io("replace", path, error))?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::replace_file;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_new_content_replaces_the_old_whatever_a_killed_process_left() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings");
        std::fs::write(&path, "old and long").unwrap();
        std::fs::write(home.path().join("settings.new"), "half").unwrap();
        replace_file(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
