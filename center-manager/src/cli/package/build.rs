//! `center-manager package build`.

use super::{Exit, inspected, show, take_in};
use crate::cli::Context;
use crate::cli::passphrase::Passphrases;
use crate::cli::print::Format;
use crate::home;
use crate::release::{Older, Source, read_release};
use crate::system::now;
use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;
use mailfmt::package::{
    Applies, DailyWindow, PackageDraft, Rules, When, build, build_deltas, carried_files, sign,
};
use mailfmt::{Limits, ModuleVersion, SoftwareVersion};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An install script that has nothing to do: modules are put in place by the installer itself.
const EMPTY_SCRIPT: &[u8] = b"#!/bin/sh\nexit 0\n";

/// What to build.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Release folder: release.json and one file per module.
    #[arg(long, value_name = "DIR", required_unless_present = "modules", conflicts_with = "modules")]
    pub release: Option<PathBuf>,
    /// Module list, TOML.
    #[arg(long, value_name = "FILE")]
    pub modules: Option<PathBuf>,
    /// Install script, POSIX shell; one that does nothing if not given.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Software version after the update; as the folder or list says if not given.
    #[arg(long, value_name = "VERSION")]
    pub target: Option<SoftwareVersion>,
    /// Version of the base image after the update; as the folder or list says if not given.
    #[arg(long, value_name = "VERSION")]
    pub rom: Option<ModuleVersion>,
    /// Greater than that of every earlier release; one more than the greatest known here if not told anywhere.
    #[arg(long, value_name = "NUMBER")]
    pub release_counter: Option<u64>,
    /// Folder of the release that appliances run now: only modules that differ from it travel.
    #[arg(long, value_name = "DIR")]
    pub from_release: Option<PathBuf>,
    /// Release that appliances run now, a folder or the version of packages of this center: modules travel as differences
    /// from it where that is shorter. May be given several times. A second package with whole files is built beside it, for
    /// appliances on which no difference fits; a rollout sends that by itself.
    #[arg(long, value_name = "VERSION|DIR", conflicts_with = "from_release")]
    pub from: Vec<String>,
    /// May follow on this version only; may be given several times.
    #[arg(long, value_name = "VERSION")]
    pub applies_from: Vec<SoftwareVersion>,
    /// For this hardware only, such as x86_64; may be given several times.
    #[arg(long, value_name = "CLASS")]
    pub hardware: Vec<String>,
    /// Days until no appliance installs it any more.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub expires_days: u16,
    /// Seconds after which the script is killed.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub script_time_limit_secs: u32,
    /// Seconds that the center waits before it asks for the version.
    #[arg(long, default_value_t = Rules::default().settle_secs)]
    pub settle_secs: u32,
    /// Seconds to wait for busy modules before the appliance tells what it waits for.
    #[arg(long, default_value_t = Rules::default().wait_limit_secs)]
    pub wait_limit_secs: u32,
    /// Hours of the day in which it may begin, in the site's time, such as 22:00-05:00; else the site's own settings.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    pub window: Option<DailyWindow>,
    /// First pause, in seconds, before a script that ended with exit code 75 is run again; else the site's own settings.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub retry_secs: Option<u32>,
    /// Seconds that the new release must run well before it is kept.
    #[arg(long, default_value_t = Rules::default().trial_secs)]
    pub trial_secs: u32,
    /// Begin right after the next restart of the appliance.
    #[arg(long)]
    pub at_next_restart: bool,
    /// Drop what modules keep in shared memory or caches.
    #[arg(long)]
    pub drop_shared_data: bool,
    /// Restart the appliance afterwards.
    #[arg(long)]
    pub reboot_after: bool,
    /// Send a version report afterwards without being asked.
    #[arg(long)]
    pub report_by_itself: bool,
    /// Sign it with keys/release.pem of the home.
    #[arg(long)]
    pub sign: bool,
    /// Write it to this file only, and leave the home alone.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(args: &BuildArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut source = match (&args.release, &args.modules) {
        (Some(folder), _) => Source::from_folder(folder)?,
        (None, Some(list)) => Source::from_list(list)?,
        (None, None) => bail!("give --release or --modules"),
    };
    let mut applies = Applies { from: args.applies_from.clone(), hardware: args.hardware.clone() };
    if let Some(folder) = &args.from_release {
        let release = read_release(folder)?;
        source.carry_changes_since(&release);
        // What is left out must be there already.
        if applies.from.is_empty() {
            applies.from.push(release.software);
        }
    }
    let older = older(&args.from, context)?;
    if !args.from.is_empty() && applies.from.is_empty() {
        // Differences fit these only.
        applies.from = older.versions();
    }
    let key = args.sign.then(|| Passphrases::read(None)?.open(&context.home.release_key())).transpose()?;
    let limits = Limits::default();
    let finish = |package: Vec<u8>, file: Option<PathBuf>| -> anyhow::Result<(Vec<u8>, PathBuf)> {
        let package = match &key {
            Some(key) => sign(&package, key, &limits)?,
            None => package,
        };
        let path = match file {
            Some(file) => {
                home::write_whole(&file, &package)?;
                file
            }
            None => take_in(&package, context)?,
        };
        Ok((package, path))
    };
    let mut draft = draft(args, source, applies, context)?;
    let (package, path) = if args.from.is_empty() {
        finish(build(&draft, &limits)?, args.output.clone())?
    } else {
        let whole = build(&draft, &limits)?;
        let mut files = older.files();
        files.whole = Some(inspected(&whole)?.id);
        older.leave_out_what_all_have(&mut draft.modules);
        let file = args.output.as_ref().map(|file| file.with_added_extension("whole"));
        finish(whole, file)?;
        finish(build_deltas(&draft, &files, &limits)?, args.output.clone())?
    };
    show(&inspected(&package)?, &package, &path, args.format, out)
}

/// The releases that appliances run now.
fn older(from: &[String], context: &Context) -> anyhow::Result<Older> {
    let mut older = Older::default();
    for given in from {
        let folder = Path::new(given);
        if folder.is_dir() {
            older.add_folder(folder)?;
            continue;
        }
        let version: SoftwareVersion =
            given.parse().with_context(|| format!("{given} is neither a release folder nor a version"))?;
        let mut packages = context.db()?.packages()?;
        packages.retain(|package| package.manifest.target == version);
        if packages.is_empty() {
            bail!(
                "no package of this center leads to version {version}; name the folder of that release instead"
            );
        }
        for package in packages {
            let octets = super::read(&package.path)?;
            let files = carried_files(&octets, &Limits::default())
                .with_context(|| format!("{} is damaged", package.path.display()))?;
            older.add_package(&package.manifest, files);
        }
    }
    Ok(older)
}

fn draft(
    args: &BuildArgs,
    source: Source,
    applies: Applies,
    context: &Context,
) -> anyhow::Result<PackageDraft> {
    let script = match &args.script {
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => EMPTY_SCRIPT.to_vec(),
    };
    let release_counter = match args.release_counter.or(source.release_counter) {
        Some(counter) => counter,
        None => context
            .db()?
            .greatest_release_counter()?
            .checked_add(1)
            .context("there is no greater release counter")?,
    };
    let created = now();
    Ok(PackageDraft {
        target: args.target.clone().unwrap_or(source.target),
        rom: args.rom.clone().or(source.rom),
        release_counter,
        created,
        expires: created.checked_add(SignedDuration::from_hours(24 * i64::from(args.expires_days)))?,
        modules: source.modules,
        script,
        script_time_limit_secs: args.script_time_limit_secs,
        applies,
        rules: Rules {
            when: if args.at_next_restart { When::AtNextRestart } else { When::Now },
            settle_secs: args.settle_secs,
            wait_limit_secs: args.wait_limit_secs,
            window: args.window,
            retry_secs: args.retry_secs,
            trial_secs: args.trial_secs,
            drop_shared_data: args.drop_shared_data,
            reboot_after: args.reboot_after,
            report_by_itself: args.report_by_itself,
        },
    })
}
