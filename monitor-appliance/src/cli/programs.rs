//! The programs of the first release, by flags: the same for `setup` and `enrol`.

use anyhow::Context as _;
use mailfmt::{ModuleVersion, SoftwareVersion};
use monitor_appliance::setup::FirstRelease;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct ProgramArguments {
    /// Folder of the programs of the first release; the folder of this program if not given.
    #[arg(long, value_name = "DIR")]
    from_release: Option<PathBuf>,
    /// Software version of the first release, where the folder has no release.json.
    #[arg(long, value_parser = parse_software, default_value = concat!(env!("CARGO_PKG_VERSION"), "-1"))]
    software_version: SoftwareVersion,
    /// Version of the base image, where the folder has no release.json; the system's own if not given.
    #[arg(long, value_parser = parse_module)]
    rom_version: Option<ModuleVersion>,
    /// Put no programs in place.
    #[arg(long, conflicts_with = "from_release")]
    no_release: bool,
}

fn parse_software(text: &str) -> Result<SoftwareVersion, String> {
    SoftwareVersion::new(text).map_err(|error| error.to_string())
}

fn parse_module(text: &str) -> Result<ModuleVersion, String> {
    ModuleVersion::new(text).map_err(|error| error.to_string())
}

impl ProgramArguments {
    /// Whether a folder was named.
    pub(super) fn is_given(&self) -> bool {
        self.from_release.is_some()
    }

    /// Where the first release comes from; `None` if none is to be put in place.
    pub(super) fn first_release(&self) -> anyhow::Result<Option<FirstRelease>> {
        if self.no_release {
            return Ok(None);
        }
        let folder = match &self.from_release {
            Some(folder) => folder.clone(),
            None => std::env::current_exe()
                .ok()
                .and_then(|program| program.parent().map(Path::to_owned))
                .context("cannot tell where this program lies; use --from-release DIR")?,
        };
        Ok(Some(FirstRelease {
            folder,
            software: self.software_version.clone(),
            module: ModuleVersion::new(env!("CARGO_PKG_VERSION"))?,
            rom: match &self.rom_version {
                Some(version) => version.clone(),
                None => base_image_version()?,
            },
        }))
    }
}

/// The version of the operating system as it names itself (os-release(5)), else 0.
fn base_image_version() -> anyhow::Result<ModuleVersion> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_ID="))
        .and_then(|version| ModuleVersion::new(version.trim_matches('"')).ok());
    version.map_or_else(|| Ok(ModuleVersion::new("0")?), Ok)
}
