//! What an install script may change outside its release, kept aside before it runs: settings, secrets, the resolver.
//!
//! An undone update leaves these files as they were. What somebody else has changed since the script ended (a password
//! that the service person typed in, a name server that the network gave) stays as it is. The credential is not kept
//! aside: it is rotated by mail at any time, and going back to an older one would lock the appliance out.

use super::UpdateError;
use crate::layout::Layout;
use crate::release::{remove_tree, sync_folder, write_durably};
use crate::replace_file::replace_file;
use mailfmt::Digest;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Files kept aside at most.
const FILES_MAX: usize = 300;
/// Octets of one of them at most; anything larger is no settings file.
const FILE_OCTETS_MAX: u64 = 1 << 20;

const BEFORE: &str = "before.json";
const AFTER: &str = "after.json";

/// The files kept aside for one order.
#[derive(Debug)]
pub struct Aside {
    folder: PathBuf,
}

/// One file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    was: Look,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Look {
    Absent,
    Link { to: PathBuf },
    File { sha256: Digest, mode: u32, user: u32, group: u32 },
}

impl Aside {
    /// The place of the files of order `order`; nothing is read.
    #[must_use]
    pub fn of(layout: &Layout, order: i64) -> Self {
        Self { folder: layout.updates_dir().join(format!("order-{order}.aside")) }
    }

    /// Name of the folder in `updates/`.
    pub(super) fn name(&self) -> Option<&std::ffi::OsStr> {
        self.folder.file_name()
    }

    /// Keeps the settings, the secrets and `further` files aside, unless that was done before for the same order: what
    /// a script has changed meanwhile is not what was there before it.
    ///
    /// # Errors
    /// [`UpdateError`]; nothing is kept then.
    pub fn keep(&self, layout: &Layout, further: &[PathBuf]) -> Result<(), UpdateError> {
        if self.folder.join(BEFORE).exists() {
            return Ok(());
        }
        let mut fresh = self.folder.clone();
        fresh.add_extension("new");
        remove_tree(&fresh)?;
        std::fs::create_dir_all(&fresh).map_err(io(&fresh))?;
        let mut kept = Vec::new();
        for path in paths(layout, further)? {
            let (was, content) = look(&path)?;
            if let Some(content) = content {
                write_durably(&fresh.join(kept.len().to_string()), &content, 0o600)?;
            }
            kept.push(Kept { path, was });
        }
        write_durably(&fresh.join(BEFORE), &json(&kept), 0o600)?;
        sync_folder(&fresh)?;
        remove_tree(&self.folder)?;
        std::fs::rename(&fresh, &self.folder).map_err(io(&self.folder))?;
        Ok(sync_folder(&layout.updates_dir())?)
    }

    /// Notes how the script left the files, so that later changes of others are told from its own.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn note_after(&self) -> Result<(), UpdateError> {
        let kept = self.read()?;
        let after =
            kept.iter().map(|kept| Ok(look(&kept.path)?.0)).collect::<Result<Vec<_>, UpdateError>>()?;
        Ok(replace_file(&self.folder.join(AFTER), &json(&after), 0o600)?)
    }

    /// Puts back what the script changed. Harmless when nothing was kept or all is as it was. Returns the files that
    /// were put back.
    ///
    /// # Errors
    /// [`UpdateError`]; calling it again goes on.
    pub fn put_back(&self) -> Result<Vec<PathBuf>, UpdateError> {
        let kept = self.read()?;
        let after: Option<Vec<Look>> = match std::fs::read(self.folder.join(AFTER)) {
            Ok(text) => serde_json::from_slice(&text).ok(),
            // The script did not come to its end: every change is its own.
            Err(_) => None,
        };
        let mut done = Vec::new();
        for (number, Kept { path, was }) in kept.iter().enumerate() {
            let (is, _) = look(path)?;
            if is == *was {
                continue;
            }
            if after.as_ref().is_some_and(|after| after.get(number) != Some(&is)) {
                tracing::warn!(file = %path.display(), "stays: it was changed again after the install script");
                continue;
            }
            self.restore(number, path, was)?;
            tracing::warn!(file = %path.display(), "put back as it was before the install script");
            done.push(path.clone());
        }
        Ok(done)
    }

    /// Makes the script begin with what was there before it: puts back what an earlier run of it changed.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn begin_again(&self) -> Result<(), UpdateError> {
        self.put_back()?;
        match std::fs::remove_file(self.folder.join(AFTER)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io(&self.folder)(error)),
            Ok(()) => Ok(sync_folder(&self.folder)?),
        }
    }

    fn read(&self) -> Result<Vec<Kept>, UpdateError> {
        let path = self.folder.join(BEFORE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| io(&path)(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(io(&path)(error)),
        }
    }

    fn restore(&self, number: usize, path: &Path, was: &Look) -> Result<(), UpdateError> {
        match was {
            Look::Absent => Ok(remove_tree(path)?),
            Look::Link { to } => {
                remove_tree(path)?;
                std::os::unix::fs::symlink(to, path).map_err(io(path))
            }
            Look::File { mode, user, group, .. } => {
                let copy = self.folder.join(number.to_string());
                let content = std::fs::read(&copy).map_err(io(&copy))?;
                if path.is_dir() {
                    remove_tree(path)?;
                }
                if let Err(error) = replace_file(path, &content, *mode) {
                    // A file that is mounted on its own, as in a container, cannot be replaced, only written.
                    tracing::debug!(%error, "written in place");
                    std::fs::write(path, &content).map_err(io(path))?;
                }
                let about = std::fs::metadata(path).map_err(io(path))?;
                if (about.uid(), about.gid()) != (*user, *group) {
                    chown(path, Some(*user), Some(*group)).map_err(io(path))?;
                }
                Ok(())
            }
        }
    }
}

/// What is kept aside: a link and, if it leads to a file, that file.
fn paths(layout: &Layout, further: &[PathBuf]) -> Result<Vec<PathBuf>, UpdateError> {
    let mut paths = vec![layout.settings_file()];
    let secrets = layout.secrets_dir();
    match std::fs::read_dir(&secrets) {
        Ok(entries) => {
            let rotated = [layout.credential_file(), layout.next_credential_file(), layout.enrolment_file()];
            let files = entries.flatten().map(|entry| entry.path());
            paths.extend(files.filter(|path| !rotated.contains(path)));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(&secrets)(error)),
    }
    for path in further {
        if let Ok(real) = path.canonicalize()
            && real != *path
        {
            paths.push(real);
        }
        paths.push(path.clone());
    }
    paths.sort();
    paths.dedup();
    // A folder in `secrets` or a very large file is nobody's settings.
    paths.retain(|path| {
        let about = std::fs::symlink_metadata(path);
        path.to_str().is_some()
            && about.map_or(true, |about| !about.is_dir() && about.len() <= FILE_OCTETS_MAX)
    });
    paths.truncate(FILES_MAX);
    Ok(paths)
}

/// What stands at `path` now, and the content of a file.
fn look(path: &Path) -> Result<(Look, Option<Vec<u8>>), UpdateError> {
    let about = match std::fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok((Look::Absent, None));
        }
        Err(error) => return Err(io(path)(error)),
    };
    if about.is_symlink() {
        return Ok((Look::Link { to: std::fs::read_link(path).map_err(io(path))? }, None));
    }
    let mut content = Vec::new();
    if about.is_file() {
        let file = std::fs::File::open(path).map_err(io(path))?;
        file.take(FILE_OCTETS_MAX).read_to_end(&mut content).map_err(io(path))?;
    }
    let (mode, user, group) = (about.permissions().mode() & 0o7777, about.uid(), about.gid());
    // A folder or device in the place of a file has no content and so is not what was there.
    let sha256 = if about.is_file() { Digest::of(&content) } else { Digest::from([0; 32]) };
    Ok((Look::File { sha256, mode, user, group }, Some(content)))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("paths of our own making and numbers are JSON")
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> UpdateError + use<> {
    let path = path.to_owned();
    move |source| UpdateError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(layout: &Layout) -> PathBuf {
        layout.secrets_dir().join("mail-1.password")
    }

    struct Home {
        folder: tempfile::TempDir,
        layout: Layout,
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path().join("root"));
            std::fs::create_dir_all(layout.secrets_dir()).unwrap();
            std::fs::create_dir_all(layout.updates_dir()).unwrap();
            std::fs::write(layout.settings_file(), "good").unwrap();
            std::fs::write(password(&layout), "first").unwrap();
            Self { folder, layout }
        }

        fn aside(&self) -> Aside {
            Aside::of(&self.layout, 7)
        }

        fn further(&self) -> PathBuf {
            self.folder.path().join("resolv.conf")
        }

        fn text(&self, path: &Path) -> String {
            std::fs::read_to_string(path).unwrap()
        }
    }

    #[test]
    fn what_a_script_changed_made_and_removed_is_put_back() {
        let home = Home::new();
        let (aside, layout) = (home.aside(), &home.layout);
        aside.keep(layout, &[home.further()]).unwrap();
        std::fs::write(layout.settings_file(), "bad").unwrap();
        std::fs::remove_file(password(layout)).unwrap();
        std::fs::write(home.further(), "made").unwrap();
        aside.note_after().unwrap();
        assert_eq!(aside.put_back().unwrap().len(), 3);
        assert_eq!(home.text(&layout.settings_file()), "good");
        assert_eq!(home.text(&password(layout)), "first");
        assert!(!home.further().exists());
        assert!(aside.put_back().unwrap().is_empty());
    }

    #[test]
    fn what_another_changed_after_the_script_stays() {
        let home = Home::new();
        let (aside, layout) = (home.aside(), &home.layout);
        aside.keep(layout, &[]).unwrap();
        std::fs::write(layout.settings_file(), "bad").unwrap();
        aside.note_after().unwrap();
        std::fs::write(password(layout), "rotated").unwrap();
        assert_eq!(aside.put_back().unwrap(), [layout.settings_file()]);
        assert_eq!(home.text(&password(layout)), "rotated");
    }

    #[test]
    fn a_second_run_of_the_script_begins_with_what_was_there_before_the_first() {
        let home = Home::new();
        let (aside, layout) = (home.aside(), &home.layout);
        aside.keep(layout, &[]).unwrap();
        std::fs::write(layout.settings_file(), "half").unwrap();
        // Built again: what the first run left is not kept as what was there before.
        aside.keep(layout, &[]).unwrap();
        aside.begin_again().unwrap();
        assert_eq!(home.text(&layout.settings_file()), "good");
    }

    #[test]
    fn a_link_and_the_file_behind_it_are_both_put_back() {
        let home = Home::new();
        let (aside, real) = (home.aside(), home.folder.path().join("stub-resolv.conf"));
        std::fs::write(&real, "nameserver 127.0.0.53").unwrap();
        std::os::unix::fs::symlink(&real, home.further()).unwrap();
        aside.keep(&home.layout, &[home.further()]).unwrap();
        std::fs::write(home.further(), "through the link").unwrap();
        std::fs::remove_file(home.further()).unwrap();
        std::fs::write(home.further(), "in its place").unwrap();
        aside.put_back().unwrap();
        assert_eq!(std::fs::read_link(home.further()).unwrap(), real);
        assert_eq!(home.text(&real), "nameserver 127.0.0.53");
    }

    #[test]
    fn a_credential_that_is_rotated_while_the_script_runs_stays_rotated() {
        let home = Home::new();
        let (aside, layout) = (home.aside(), &home.layout);
        std::fs::write(layout.credential_file(), "old").unwrap();
        aside.keep(layout, &[]).unwrap();
        std::fs::write(layout.credential_file(), "rotated").unwrap();
        aside.note_after().unwrap();
        aside.put_back().unwrap();
        assert_eq!(home.text(&layout.credential_file()), "rotated");
    }

    #[test]
    fn files_keep_their_mode() {
        let home = Home::new();
        let credential = password(&home.layout);
        std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o600)).unwrap();
        home.aside().keep(&home.layout, &[]).unwrap();
        std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o644)).unwrap();
        home.aside().put_back().unwrap();
        assert_eq!(std::fs::metadata(&credential).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
