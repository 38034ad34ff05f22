//! Where profiles come from: the module of the running release, else what this program carries; or files that a person names.

use super::{Profile, ProfileError, Profiles};
use crate::layout::Layout;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The data module of a release that holds the bundle.
pub const MODULE: &str = "profiles";

/// Most octets of a bundle read; all profiles together take some hundred kB.
const BUNDLE_OCTETS_MAX: u64 = 4 << 20;

/// Where the profiles in use come from.
#[derive(Debug)]
pub enum Origin {
    /// The module of the running release.
    Release,
    /// What this program carries; the release has no such module.
    BuiltIn,
    /// What this program carries, because the release's module cannot be used.
    Fallback(ProfileError),
}

/// The profiles in use below an appliance's root. A module that cannot be used keeps nobody from working: then it is what the
/// program carries, and the [`Origin`] says why.
#[must_use]
pub fn in_use(layout: &Layout) -> (Profiles, Origin) {
    let file = layout.current().join(MODULE);
    match std::fs::symlink_metadata(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Profiles::built_in(), Origin::BuiltIn),
        _ => match read_bundle(&file) {
            Ok(profiles) => (profiles, Origin::Release),
            Err(error) => (Profiles::built_in(), Origin::Fallback(error)),
        },
    }
}

/// Reads a bundle.
///
/// # Errors
/// [`ProfileError`].
pub fn read_bundle(path: &Path) -> Result<Profiles, ProfileError> {
    Profiles::parse(&read(path)?)
}

/// Reads one file of profiles, called `NAME.toml`.
///
/// # Errors
/// [`ProfileError`].
pub fn read_file(path: &Path) -> Result<Profile, ProfileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Profiles::parse_file(&name, &read(path)?)
}

/// The files of profiles in a folder, in the order of a bundle.
///
/// # Errors
/// [`ProfileError::Read`] when the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, ProfileError> {
    let error = |source| ProfileError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Puts the files of a folder together as a bundle, after checking each.
///
/// # Errors
/// [`ProfileError`] of the first that cannot be used.
pub fn bundle(folder: &Path) -> Result<String, ProfileError> {
    let mut bundle = String::new();
    for path in files(folder)? {
        let profile = read_file(&path)?;
        bundle += &format!("#= {}.toml\n{}\n", profile.name(), profile.text().trim_end());
    }
    Profiles::parse(&bundle)?;
    Ok(bundle)
}

fn read(path: &Path) -> Result<String, ProfileError> {
    let error = |source| ProfileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(error)?;
    file.take(BUNDLE_OCTETS_MAX + 1).read_to_string(&mut text).map_err(error)?;
    if text.len() as u64 > BUNDLE_OCTETS_MAX {
        return Err(ProfileError::TooLarge {
            what: path.display().to_string(),
            limit: format!("{BUNDLE_OCTETS_MAX} octets"),
        });
    }
    Ok(text)
}
