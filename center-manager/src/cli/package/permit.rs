//! `center-manager package permit`: lets named appliances go back to an older release, for a while.

use super::{Context, Exit, find, read};
use crate::cli::WrongUse;
use crate::cli::passphrase::Passphrases;
use crate::home;
use crate::report::minute;
use crate::system::now;
use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;
use mailfmt::package::{PackageId, inspect};
use mailfmt::trust::{DowngradePermit, SignedPermit};
use mailfmt::{AgentId, CenterId, Limits, SoftwareVersion};
use std::io::Write;
use std::path::PathBuf;

/// What to permit to whom.
#[derive(Debug, Args)]
pub struct PermitArgs {
    /// The appliances, separated by commas.
    #[arg(long = "agents", value_name = "AGENTS", value_delimiter = ',', required_unless_present = "add_to")]
    pub agents: Vec<AgentId>,
    /// The package that they may go back to: a file, its id or the beginning of it; with --to also the whole id of one
    /// that is not here.
    #[arg(long, value_name = "FILE|ID", required_unless_present = "add_to")]
    pub package: Option<String>,
    /// The version that they run.
    #[arg(long, value_name = "VERSION", required_unless_present = "add_to")]
    pub from: Option<SoftwareVersion>,
    /// The version of the package; read from the package if not given.
    #[arg(long, value_name = "VERSION")]
    pub to: Option<SoftwareVersion>,
    /// Days until it permits nothing more.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
    /// The center of the appliances; that of the home if not given.
    #[arg(long)]
    pub center: Option<CenterId>,
    /// Release key; several times where several must sign. keys/release.pem of the home if not given.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// File with the passphrases of the key files, one per line, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Add signatures to this permit instead of making a new one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agents", "package", "from", "to", "center"])]
    pub add_to: Option<PathBuf>,
    /// File to write it to.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

pub(super) fn run(args: &PermitArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut signed = match &args.add_to {
        Some(file) => SignedPermit::from_octets(read(file)?),
        None => SignedPermit::unsigned(&permit(args, context)?)?,
    };
    let permit = signed.peek()?;
    let keys = if args.keys.is_empty() { vec![context.home.release_key()] } else { args.keys.clone() };
    for key in Passphrases::read(args.passphrase_file.as_deref())?.open_all(&keys)? {
        signed = signed.sign(&key)?;
    }
    home::write_whole(&args.out, signed.as_octets())?;
    let s = if permit.agents.len() == 1 { "" } else { "s" };
    writeln!(
        out,
        "{}: {} appliance{s} may go back from {} to {} (package {:.12}) until {}\n\
         Use it: center-manager rollout start --package {:.12} --permit {} --agents ...",
        args.out.display(),
        permit.agents.len(),
        permit.from,
        permit.to,
        permit.package.to_string(),
        minute(permit.expires),
        permit.package.to_string(),
        args.out.display()
    )?;
    Ok(Exit::Done)
}

fn permit(args: &PermitArgs, context: &Context) -> anyhow::Result<DowngradePermit> {
    let center = match &args.center {
        Some(center) => center.clone(),
        None => context.settings().context("without a home, give --center")?.center,
    };
    let (package, to) = package(args, context)?;
    Ok(DowngradePermit {
        center,
        agents: args.agents.clone(),
        package,
        from: args.from.clone().context("give --from")?,
        to,
        expires: now().checked_add(SignedDuration::from_hours(24 * i64::from(args.days)))?,
    })
}

/// The package, and the version that it leads to.
fn package(args: &PermitArgs, context: &Context) -> anyhow::Result<(PackageId, SoftwareVersion)> {
    let given = args.package.as_deref().context("give --package")?;
    if let (Some(to), Ok(id)) = (&args.to, PackageId::try_from(given.to_owned())) {
        return Ok((id, to.clone()));
    }
    let inspection = inspect(&read(&find(given, context)?)?, &Limits::default())?;
    let target = inspection.manifest.target;
    match &args.to {
        Some(to) if *to != target => {
            Err(WrongUse(format!("the package leads to {target}, not to {to}")).into())
        }
        _ => Ok((inspection.id, target)),
    }
}
