//! Describing a folder of freshly built programs: from files to `release.json`.

use super::{ReleaseError, read};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mailfmt::package::ModuleKind;
use mailfmt::release::{RELEASE_FILE, Release, ReleaseModule};
use mailfmt::{Digest, ModuleName, ModuleVersion, SoftwareVersion};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The modules of an appliance that run all the time.
const RESIDENTS: [&str; 3] = ["supervisor", "device-watch", "mail-agent"];

/// What the files themselves do not tell.
#[derive(Debug, Clone)]
pub struct Description {
    /// Version of the whole.
    pub software: SoftwareVersion,
    /// Version of every module that is new or changed.
    pub module: ModuleVersion,
    /// Version of the base image.
    pub rom: ModuleVersion,
    /// Greater than that of every earlier release.
    pub release_counter: u64,
}

/// A file of the folder, as far as it decides what is written of it.
#[derive(Debug, Clone)]
struct Found {
    name: ModuleName,
    sha256: Digest,
    octets: u64,
    written: Date,
    executable: bool,
    /// Begins with `#!`.
    is_script: bool,
}

/// Describes every file of `folder` as a module. What `before` has unchanged keeps its version and date, and a module
/// that it knows keeps its kind.
///
/// # Errors
/// [`ReleaseError::Read`], [`ReleaseError::NoModule`] for a file whose name is none, [`ReleaseError::Empty`].
pub fn describe(
    folder: &Path,
    description: &Description,
    before: Option<&Release>,
) -> Result<Release, ReleaseError> {
    let mut modules: Vec<_> =
        find(folder)?.into_iter().map(|found| module(found, &description.module, before)).collect();
    if modules.is_empty() {
        return Err(ReleaseError::Empty { folder: folder.into() });
    }
    modules.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(Release {
        software: description.software.clone(),
        rom: description.rom.clone(),
        release_counter: description.release_counter,
        modules,
    })
}

fn module(found: Found, version: &ModuleVersion, before: Option<&Release>) -> ReleaseModule {
    let known = before.and_then(|release| release.modules.iter().find(|module| module.name == found.name));
    let kind = known.map_or_else(|| guess_kind(&found), |known| known.kind);
    let Found { name, sha256, octets, written, .. } = found;
    match known.filter(|known| known.sha256 == sha256) {
        Some(known) => {
            ReleaseModule { name, version: known.version.clone(), date: known.date, kind, sha256, octets }
        }
        None => ReleaseModule { name, version: version.clone(), date: written, kind, sha256, octets },
    }
}

fn guess_kind(found: &Found) -> ModuleKind {
    let name = found.name.as_str();
    if RESIDENTS.contains(&name) {
        ModuleKind::Resident
    } else if found.is_script {
        ModuleKind::Script
    } else if name.ends_with(".so") || name.ends_with(".lib") {
        ModuleKind::Library
    } else if found.executable {
        ModuleKind::OnDemand
    } else {
        ModuleKind::Data
    }
}

fn find(folder: &Path) -> Result<Vec<Found>, ReleaseError> {
    let failed = |source| ReleaseError::Read { path: folder.into(), source };
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let about =
            std::fs::metadata(&path).map_err(|source| ReleaseError::Read { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == RELEASE_FILE {
            continue;
        }
        let not_one = || ReleaseError::NoModule { path: path.clone() };
        if !about.is_file() {
            return Err(not_one());
        }
        let name = ModuleName::new(&name).map_err(|_| not_one())?;
        let content = read(&path)?;
        let written = about.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        all.push(Found {
            name,
            sha256: Digest::of(&content),
            octets: about.len(),
            written: written.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date(),
            executable: about.permissions().mode() & 0o111 != 0,
            is_script: content.starts_with(b"#!"),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn description(software: &str, module: &str) -> Description {
        Description {
            software: SoftwareVersion::new(software).unwrap(),
            module: ModuleVersion::new(module).unwrap(),
            rom: ModuleVersion::new("1.5.08").unwrap(),
            release_counter: 2,
        }
    }

    #[test]
    fn what_did_not_change_keeps_its_version_and_its_kind() {
        let first = folder(&[("mail-agent", "one"), ("profiles", "printers")]);
        let mut before = describe(first.path(), &description("1.0.00-1", "1.0.00"), None).unwrap();
        before.modules[1].kind = ModuleKind::Library;
        let second = folder(&[("mail-agent", "two"), ("profiles", "printers"), (RELEASE_FILE, "stale")]);
        let release = describe(second.path(), &description("1.0.02-0", "1.0.02"), Some(&before)).unwrap();
        let shown: Vec<_> = release
            .modules
            .iter()
            .map(|module| (module.name.as_str(), module.version.as_str(), module.kind))
            .collect();
        assert_eq!(
            shown,
            [("mail-agent", "1.0.02", ModuleKind::Resident), ("profiles", "1.0.00", ModuleKind::Library)]
        );
    }

    #[test]
    fn scripts_libraries_and_data_are_told_apart() {
        let folder = folder(&[("time_shell.sh", "#!/bin/sh\n"), ("bbb.lib", "code"), ("profiles", "text")]);
        let release = describe(folder.path(), &description("1.0.00-1", "1.0.00"), None).unwrap();
        let kinds: Vec<_> = release.modules.iter().map(|module| module.kind).collect();
        assert_eq!(kinds, [ModuleKind::Library, ModuleKind::Data, ModuleKind::Script]);
    }

    #[test]
    fn what_can_be_no_module_is_named() {
        let folder = folder(&[("a name", "text")]);
        let error = describe(folder.path(), &description("1.0.00-1", "1.0.00"), None).unwrap_err();
        assert!(error.to_string().contains("a name"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(
            describe(empty.path(), &description("1.0.00-1", "1.0.00"), None),
            Err(ReleaseError::Empty { .. })
        ));
    }
}
