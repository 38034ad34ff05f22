//! Release folders: the real executables and a few modules that change from version to version, or only the latter.

use super::programs::{MODULES, Programs};
use anyhow::Context as _;
use mailfmt::package::ModuleKind;
use mailfmt::{Digest, ModuleName, ModuleVersion, SoftwareVersion};
use monitor_appliance::profile::{Profiles, edge};
use monitor_appliance::release::{RELEASE_FILE, Release, ReleaseModule};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The name of the resident module that is a shell script.
pub const SWEEPER: &str = "agent_sweeper";

/// The name of the data module.
pub const RELEASE_NOTES: &str = "release-notes.txt";

/// A folder with one release.
#[derive(Debug, Clone)]
pub struct ReleaseFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its software version.
    pub software: String,
}

impl ReleaseFolder {
    /// Makes one: all programs (as hard links, they do not change), the device profiles, and a resident script, a script and a data module whose
    /// content and version follow `build`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn make(
        programs: &Programs,
        parent: &Path,
        software: &str,
        counter: u64,
        build: u32,
    ) -> anyhow::Result<Self> {
        let path = parent.join(format!("release-{software}"));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut modules = Vec::new();
        for (name, kind) in MODULES {
            let to = path.join(name);
            // A second making must not copy a program over its own hard link: that would empty both.
            if !to.exists() && std::fs::hard_link(programs.path(name), &to).is_err() {
                std::fs::copy(programs.path(name), &to).with_context(|| format!("cannot copy {name}"))?;
            }
            modules.push(module(&path, name, "1.0.00", kind)?);
        }
        modules.push(write_module(&path, SWEEPER, ModuleKind::Resident, &sweeper(build), build)?);
        modules.push(write_module(&path, edge::MODULE, ModuleKind::Data, Profiles::built_in_bundle(), 0)?);
        Self::finish(path, software, counter, build, modules)
    }

    /// Makes one whose programs are scripts that run the real ones: small enough to travel whole in a moment.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn of_scripts(
        programs: &Programs,
        parent: &Path,
        software: &str,
        counter: u64,
        build: u32,
    ) -> anyhow::Result<Self> {
        let path = parent.join(format!("scripts-{software}"));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut modules = Vec::new();
        for (name, kind) in MODULES {
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", programs.path(name).display());
            modules.push(write_module(&path, name, kind, &script, 0)?);
        }
        modules.push(write_module(&path, SWEEPER, ModuleKind::Resident, &sweeper(build), build)?);
        Self::finish(path, software, counter, build, modules)
    }

    /// Adds a data module.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn add_data(&self, name: &str, text: &str, build: u32) -> anyhow::Result<()> {
        let mut release: Release = serde_json::from_slice(&std::fs::read(self.path.join(RELEASE_FILE))?)?;
        release.modules.push(write_module(&self.path, name, ModuleKind::Data, text, build)?);
        std::fs::write(self.path.join(RELEASE_FILE), serde_json::to_vec_pretty(&release)?)?;
        Ok(())
    }

    /// Makes one without any program, for appliances whose modules run as functions of the sandbox: only the script and
    /// the data module, a few hundred octets.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn without_programs(parent: &Path, software: &str, counter: u64, build: u32) -> anyhow::Result<Self> {
        let path = parent.join(format!("release-{software}"));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Self::finish(path, software, counter, build, Vec::new())
    }

    /// Adds what every release has, and says what is in it.
    fn finish(
        path: PathBuf,
        software: &str,
        counter: u64,
        build: u32,
        mut modules: Vec<ReleaseModule>,
    ) -> anyhow::Result<Self> {
        for (name, kind, text) in [
            (
                "time_shell.sh",
                ModuleKind::Script,
                format!("#!/bin/sh\n# build {build}\ndate -u +%Y-%m-%dT%H:%M:%SZ\n"),
            ),
            (RELEASE_NOTES, ModuleKind::Data, format!("Release {software}, build {build}.\n")),
        ] {
            modules.push(write_module(&path, name, kind, &text, build)?);
        }
        let release = Release {
            software: SoftwareVersion::new(software)?,
            rom: ModuleVersion::new("1.5.08")?,
            release_counter: counter,
            modules,
        };
        std::fs::write(path.join(RELEASE_FILE), serde_json::to_vec_pretty(&release)?)?;
        Ok(Self { path, software: software.to_owned() })
    }
}

/// Writes the file of a module that follows `build`.
fn write_module(
    folder: &Path,
    name: &str,
    kind: ModuleKind,
    text: &str,
    build: u32,
) -> anyhow::Result<ReleaseModule> {
    std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    if kind.is_executable() {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755))?;
    }
    module(folder, name, &format!("1.0.{build:02}"), kind)
}

fn module(folder: &Path, name: &str, version: &str, kind: ModuleKind) -> anyhow::Result<ReleaseModule> {
    let file = std::fs::read(folder.join(name)).with_context(|| format!("cannot read {name}"))?;
    Ok(ReleaseModule {
        name: ModuleName::new(name)?,
        version: ModuleVersion::new(version)?,
        date: jiff::civil::date(2026, 1, 1),
        kind,
        sha256: Digest::of(&file),
        octets: u64::try_from(file.len())?,
    })
}

/// A resident module in shell: keeps a small file that says which build of it runs, and ends with its supervisor.
fn sweeper(build: u32) -> String {
    format!(
        "#!/bin/sh\n# Resident: removes what is left in the updates folder after a week. Build {build}.\n\
         root=$2\nparent=$4\necho {build} > \"$root/agent_sweeper.build\"\n\
         while kill -0 \"$parent\" 2>/dev/null; do\n\
         \x20   find \"$root/updates\" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {{}} + 2>/dev/null\n\
         \x20   sleep 1\ndone\n"
    )
}
