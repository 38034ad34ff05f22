//! `center-manager package`.

mod build;
mod describe;
mod permit;

use super::passphrase::Passphrases;
use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::packages::StoredPackage;
use crate::home;
use crate::system::now;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use mailfmt::Limits;
use mailfmt::package::{Inspection, Manifest, ModuleKind, inspect, sign};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum PackageCommand {
    /// Write the release.json of a folder of newly built files; needs no home.
    Describe(describe::DescribeArgs),
    /// Build a package from a release folder or a module list.
    Build(Box<build::BuildArgs>),
    /// Sign a package with a release key; needs no home when file and key are given.
    Sign(SignArgs),
    /// Let named appliances go back to an older release, for a while; needs no home when files and --center are given.
    Permit(Box<permit::PermitArgs>),
    /// Show what a package says about itself.
    Inspect(InspectArgs),
    /// Take in a package file that was built or signed elsewhere.
    Add(AddArgs),
    /// List the packages of this center.
    List(ListArgs),
}

/// What to sign, with what.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// A package of this center by its id or the beginning of it, or a package file.
    pub package: String,
    /// Release key; several times where several must sign. keys/release.pem of the home if not given.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// File with the passphrases of the key files, one per line, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to show.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A package of this center by its id or the beginning of it, or a package file.
    pub package: String,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to take in.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The package file.
    pub file: PathBuf,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A package as it is shown.
#[derive(serde::Serialize)]
struct Shown<'a> {
    id: String,
    target: &'a str,
    octets: u64,
    signers: Vec<String>,
    path: &'a Path,
    carried: usize,
    manifest: &'a Manifest,
}

pub(super) fn run(command: &PackageCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        PackageCommand::Describe(args) => describe::run(args, out),
        PackageCommand::Build(args) => build::run(args, context, out),
        PackageCommand::Sign(args) => sign_package(args, context, out),
        PackageCommand::Permit(args) => permit::run(args, context, out),
        PackageCommand::Inspect(args) => {
            let path = find(&args.package, context)?;
            let octets = read(&path)?;
            show(&inspected(&octets)?, &octets, &path, args.format, out)
        }
        PackageCommand::Add(args) => {
            let octets = read(&args.file)?;
            let path = take_in(&octets, context)?;
            show(&inspected(&octets)?, &octets, &path, args.format, out)
        }
        PackageCommand::List(args) => list(args, context, out),
    }
}

fn sign_package(args: &SignArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let path = find(&args.package, context)?;
    let keys = if args.keys.is_empty() { vec![context.home.release_key()] } else { args.keys.clone() };
    let mut signed = read(&path)?;
    for key in Passphrases::read(args.passphrase_file.as_deref())?.open_all(&keys)? {
        signed = sign(&signed, &key, &Limits::default())?;
    }
    let inspection = inspected(&signed)?;
    let path = if path == context.home.package(&inspection.id) {
        take_in(&signed, context)?
    } else {
        home::write_whole(&path, &signed)?;
        path
    };
    show(&inspection, &signed, &path, args.format, out)
}

fn list(args: &ListArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let packages = context.db()?.packages()?;
    let names = ["package", "target", "counter", "modules", "octets", "signed by", "expires"];
    let rows = packages.iter().map(|package| {
        vec![
            short(&package.id.to_string()),
            package.manifest.target.to_string(),
            package.manifest.release_counter.to_string(),
            package.manifest.modules.len().to_string(),
            package.octets.to_string(),
            if package.signers.is_empty() { "nobody".to_owned() } else { package.signers.clone() },
            crate::report::minute(package.manifest.expires),
        ]
    });
    match args.format {
        Format::Text => print::table(out, &names, rows)?,
        Format::Json => print::json(out, &packages)?,
    }
    Ok(Exit::Done)
}

/// A package file, or a package of this center.
fn find(package: &str, context: &Context) -> anyhow::Result<PathBuf> {
    let path = Path::new(package);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    Ok(context.db()?.package(package)?.path)
}

/// Stores a package file in the home and in the database; answers where it lies.
fn take_in(octets: &[u8], context: &Context) -> anyhow::Result<PathBuf> {
    let Inspection { id, manifest, signers } = inspected(octets)?;
    let mut db = context.db()?;
    let path = context.home.package(&id);
    home::write_whole(&path, octets)?;
    let signers = signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let octets = u64::try_from(octets.len())?;
    db.put_package(&StoredPackage { id, manifest, octets, path: path.clone(), signers, added: now() })?;
    Ok(path)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn inspected(octets: &[u8]) -> anyhow::Result<Inspection> {
    Ok(inspect(octets, &Limits::default())?)
}

/// The word for a kind that stands in `release.json`.
fn kind(kind: ModuleKind) -> String {
    let value = serde_json::to_value(kind).ok();
    value.and_then(|kind| kind.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn show(
    inspection: &Inspection,
    octets: &[u8],
    path: &Path,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let manifest = &inspection.manifest;
    let shown = Shown {
        id: inspection.id.to_string(),
        target: manifest.target.as_str(),
        octets: u64::try_from(octets.len())?,
        signers: inspection.signers.iter().map(ToString::to_string).collect(),
        path,
        carried: manifest.modules.iter().filter(|module| module.carried).count(),
        manifest,
    };
    if format == Format::Json {
        print::json(out, &shown)?;
        return Ok(Exit::Done);
    }
    let signers = if shown.signers.is_empty() { "nobody".to_owned() } else { shown.signers.join(" ") };
    writeln!(out, "Package          {}", shown.id)?;
    writeln!(out, "Target           {}", manifest.target)?;
    writeln!(out, "Release counter  {}", manifest.release_counter)?;
    writeln!(out, "Octets           {}", shown.octets)?;
    writeln!(out, "Says signed by   {signers}")?;
    writeln!(out, "Expires          {}", crate::report::minute(manifest.expires))?;
    writeln!(out, "Settle time      {} s", manifest.rules.settle_secs)?;
    writeln!(out, "File             {}", path.display())?;
    let rows = manifest.modules.iter().map(|module| {
        vec![
            module.name.to_string(),
            module.version.to_string(),
            module.date.to_string(),
            kind(module.kind),
            module.octets.to_string(),
            if module.carried { "yes" } else { "no" }.to_owned(),
        ]
    });
    print::table(out, &["module", "version", "date", "kind", "octets", "carried"], rows)?;
    Ok(Exit::Done)
}
