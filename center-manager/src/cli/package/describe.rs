//! `center-manager package describe`.

use crate::cli::Exit;
use crate::cli::print::{self, Format};
use crate::home;
use crate::release::{Description, describe, read_release};
use anyhow::Context as _;
use clap::Args;
use mailfmt::release::{RELEASE_FILE, Release};
use mailfmt::{ModuleVersion, SoftwareVersion};
use std::io::Write;
use std::path::PathBuf;

/// What to describe.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Folder with the files of the release, one per module.
    pub folder: PathBuf,
    /// Software version of the release, such as 1.0.02-0.
    #[arg(long, value_name = "VERSION")]
    pub software: SoftwareVersion,
    /// Folder of the release before it: what did not change keeps its version.
    #[arg(long, value_name = "DIR")]
    pub from_release: Option<PathBuf>,
    /// Version of every new or changed module; the part of the software version before the `-` if not given.
    #[arg(long, value_name = "VERSION")]
    pub module_version: Option<ModuleVersion>,
    /// Version of the base image; that of the release before, or 0, if not given.
    #[arg(long, value_name = "VERSION")]
    pub rom: Option<ModuleVersion>,
    /// Release counter; one more than that of the release before, or 1, if not given.
    #[arg(long, value_name = "NUMBER")]
    pub release_counter: Option<u64>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(args: &DescribeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let before = args.from_release.as_deref().map(read_release).transpose()?;
    let description = description(args, before.as_ref())?;
    let release = describe(&args.folder, &description, before.as_ref())?;
    let file = args.folder.join(RELEASE_FILE);
    home::write_whole(&file, &release.write())?;
    if args.format == Format::Json {
        print::json(out, &release)?;
        return Ok(Exit::Done);
    }
    writeln!(
        out,
        "{}: {}, release counter {}, base image {}",
        file.display(),
        release.software,
        release.release_counter,
        release.rom
    )?;
    let rows = release.modules.iter().map(|module| {
        vec![
            module.name.to_string(),
            module.version.to_string(),
            module.date.to_string(),
            super::kind(module.kind),
            module.octets.to_string(),
        ]
    });
    print::table(out, &["module", "version", "date", "kind", "octets"], rows)?;
    Ok(Exit::Done)
}

fn description(args: &DescribeArgs, before: Option<&Release>) -> anyhow::Result<Description> {
    let common = args.software.as_str().split('-').next().unwrap_or_default();
    Ok(Description {
        software: args.software.clone(),
        module: match &args.module_version {
            Some(version) => version.clone(),
            None => ModuleVersion::new(common)?,
        },
        rom: match args.rom.as_ref().or(before.map(|release| &release.rom)) {
            Some(rom) => rom.clone(),
            None => ModuleVersion::new("0")?,
        },
        release_counter: match args.release_counter {
            Some(counter) => counter,
            None => before
                .map_or(0, |release| release.release_counter)
                .checked_add(1)
                .context("there is no greater release counter")?,
        },
    })
}
