//! The first release of an appliance, made from a folder of programs.

use super::{Done, Existing};
use crate::layout::Layout;
use crate::release::{
    Proven, Release, ReleaseError, ReleaseModule, Releases, hash_file, read_release, remove_tree,
    sync_folder, write_durably,
};
use mailfmt::package::ModuleKind;
use mailfmt::{ModuleName, ModuleVersion, SoftwareVersion};
use std::path::{Path, PathBuf};

/// The programs of an appliance and what each is, as they lie side by side after a build.
pub const FIRST_MODULES: [(&str, ModuleKind); 6] = [
    ("supervisor", ModuleKind::Resident),
    ("device-watch", ModuleKind::Resident),
    ("mail-agent", ModuleKind::Resident),
    ("update-install", ModuleKind::OnDemand),
    ("version-report", ModuleKind::OnDemand),
    ("monitor-appliance", ModuleKind::OnDemand),
];

/// Where the first release comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRelease {
    /// A folder with `release.json` and the files that it names, or with [`FIRST_MODULES`].
    pub folder: PathBuf,
    /// The software version, where the folder has no `release.json`.
    pub software: SoftwareVersion,
    /// The version of each module there.
    pub module: ModuleVersion,
    /// The version of the base image there.
    pub rom: ModuleVersion,
}

/// A first release that cannot be put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstReleaseError {
    /// A program is not there.
    #[error("{} is missing; name the folder of the programs with --from-release", path.display())]
    Program {
        /// The file.
        path: PathBuf,
    },
    /// A file is not the one that `release.json` names.
    #[error("{} is not the file that release.json names", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// The disk.
    #[error("the release cannot be written")]
    Release(#[from] ReleaseError),
}

impl FirstRelease {
    /// Copies the files into `releases/VERSION` and makes it the running release. Where one runs already, it is kept
    /// unless it is to be replaced.
    ///
    /// # Errors
    /// [`FirstReleaseError`].
    pub(super) fn put_in_place(
        &self,
        layout: &Layout,
        existing: Existing,
        done: &mut Done,
    ) -> Result<(), FirstReleaseError> {
        let releases = Releases::below(layout.root());
        if existing == Existing::Keep && releases.current().is_ok() {
            done.kept.push(layout.current());
            return Ok(());
        }
        let release = self.describe()?;
        let name = release.software.to_string();
        let (folder, fresh) = (releases.folder(&name), releases.folder(&format!("{name}.new")));
        let there = read_release(&folder).is_ok_and(|there| there.is_same_as(&release));
        if !there {
            remove_tree(&fresh)?;
            self.copy(&release, &fresh)?;
            remove_tree(&folder)?;
            let replace = |source| ReleaseError::Io { action: "rename", path: fresh.clone(), source };
            std::fs::rename(&fresh, &folder).map_err(replace)?;
            sync_folder(&layout.releases_dir())?;
            done.written.push(folder);
        }
        releases.swap_to(&name)?;
        done.written.push(layout.current());
        // What the service manager starts; see `release::Proven`. A person on site may try again what failed.
        releases.forget_rejected_supervisor()?;
        if matches!(releases.prove_supervisor()?, Proven::New | Proven::Replaced) {
            done.written.push(releases.proven_supervisor());
        }
        Ok(())
    }

    /// The software version that will run.
    ///
    /// # Errors
    /// [`FirstReleaseError`].
    pub fn software(&self) -> Result<SoftwareVersion, FirstReleaseError> {
        Ok(self.describe()?.software)
    }

    /// What the release will say of itself.
    fn describe(&self) -> Result<Release, FirstReleaseError> {
        if self.folder.join(crate::release::RELEASE_FILE).exists() {
            return Ok(read_release(&self.folder)?);
        }
        let module = |(name, kind): (&str, ModuleKind)| {
            let path = self.folder.join(name);
            if !path.is_file() {
                return Err(FirstReleaseError::Program { path });
            }
            let (sha256, octets) = hash_file(&path)?;
            Ok(ReleaseModule {
                name: ModuleName::new(name).expect("the names of our programs are module names"),
                version: self.module.clone(),
                date: made_on(&path)?,
                kind,
                sha256,
                octets,
            })
        };
        Ok(Release {
            software: self.software.clone(),
            rom: self.rom.clone(),
            release_counter: 1,
            modules: FIRST_MODULES.into_iter().map(module).collect::<Result<_, FirstReleaseError>>()?,
        })
    }

    fn copy(&self, release: &Release, to: &Path) -> Result<(), FirstReleaseError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ReleaseError::Io { action, path, source }
        };
        std::fs::create_dir_all(to).map_err(io("create", to))?;
        for module in &release.modules {
            let (from, copy) = (self.folder.join(module.name.as_str()), to.join(module.name.as_str()));
            let content = std::fs::read(&from).map_err(io("read", &from))?;
            write_durably(&copy, &content, if module.kind.is_executable() { 0o755 } else { 0o644 })?;
            if hash_file(&copy)? != (module.sha256, module.octets) {
                return Err(FirstReleaseError::Altered { path: from });
            }
        }
        write_durably(&to.join(crate::release::RELEASE_FILE), &release.write(), 0o644)?;
        sync_folder(to)?;
        Ok(())
    }
}

/// The day on which a file was last written.
fn made_on(path: &Path) -> Result<jiff::civil::Date, ReleaseError> {
    let modified = std::fs::metadata(path)
        .and_then(|about| about.modified())
        .map_err(|source| ReleaseError::Io { action: "look at", path: path.to_owned(), source })?;
    let day = jiff::Timestamp::try_from(modified).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Ok(day.to_zoned(jiff::tz::TimeZone::UTC).date())
}
