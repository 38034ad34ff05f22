//! `center-manager root`: who may sign what. Making and signing roots needs no home, so it can be done on a machine
//! without network; bringing a root in and sending it to the fleet is done on the center.

mod make;

use super::ask::ask;
use super::print::{self, Format};
use super::which::Which;
use super::{Context, Exit};
use crate::keys::{self, RoleName};
use crate::report::minute;
use crate::roots::{read_chain, read_trusted, write_chain};
use crate::system::now;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use mailfmt::message::command::TrustRoots;
use mailfmt::trust::{Root, RootError, SignedRoot, TrustedRoot};
use mailfmt::{AgentId, Command, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// Make root 1. Needs no home.
    Create(Box<make::CreateArgs>),
    /// Show the roots of this center, or of a file.
    Show(ShowArgs),
    /// Make the next root: add and drop keys, revoke packages, extend its life. Needs no home when --from is given.
    Rotate(Box<make::RotateArgs>),
    /// Add further signatures to the newest root of a file. Needs no home.
    Sign(make::SignArgs),
    /// Check a chain of roots as an appliance would.
    Check(CheckArgs),
    /// Bring newer roots to this center; from then on new appliances are given them.
    Add(AddArgs),
    /// Send the roots to appliances.
    Send(SendArgs),
    /// List which root each appliance trusts.
    Fleet(FleetArgs),
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// File with roots; keys/roots.json of the home if not given.
    pub file: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// File with roots.
    pub file: PathBuf,
    /// Check as an appliance would that trusts the newest root of this file; without it, one that is given root 1.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// What to bring in.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// File with the roots, as `root create`, `root rotate` or `root sign` wrote it.
    pub file: PathBuf,
}

/// How to list.
#[derive(Debug, Args)]
pub struct FleetArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Whom to send to.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Whom.
    #[command(flatten)]
    pub which: Which,
    /// Of these only those that have not told yet that they trust the newest root; of all if nobody is named.
    #[arg(long)]
    pub behind: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A root as it is shown.
#[derive(Debug, serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    root: Root,
    expired: bool,
    /// Root keys of this root that validly signed it.
    signed_by: Vec<String>,
}

/// A chain as it is shown.
#[derive(Debug, serde::Serialize)]
struct ShownChain {
    file: PathBuf,
    /// Why an appliance would not follow it, if so.
    fault: Option<String>,
    roots: Vec<Shown>,
}

pub(super) fn run(command: &RootCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        RootCommand::Create(args) => make::create(args, out),
        RootCommand::Show(args) => show(args, context, out),
        RootCommand::Rotate(args) => make::rotate(args, context, out),
        RootCommand::Sign(args) => make::sign(args, out),
        RootCommand::Check(args) => check(args, out),
        RootCommand::Add(args) => add(args, context, out),
        RootCommand::Send(args) => send(args, context, out),
        RootCommand::Fleet(args) => fleet(args, context, out),
    }
}

fn show(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let file = args.file.clone().unwrap_or_else(|| context.home.roots_file());
    let chain = read_chain(&file)?;
    let fault = TrustedRoot::first(&chain).err();
    let mut roots = Vec::new();
    for signed in &chain {
        let root = signed.peek()?;
        let signed_by = signed.signers_of(&root.root)?.iter().map(ToString::to_string).collect();
        roots.push(Shown { expired: root.is_expired(now()), signed_by, root });
    }
    let shown = ShownChain { file, fault: fault.map(|error| error.to_string()), roots };
    match args.format {
        Format::Json => print::json(out, &shown)?,
        Format::Text => {
            let rows = shown.roots.iter().map(|shown| {
                let role = |role: RoleName| {
                    let of =
                        |role: &mailfmt::trust::Role| format!("{} of {}", role.threshold, role.keys.len());
                    role.of(&shown.root).map_or_else(|| "-".to_owned(), of)
                };
                vec![
                    shown.root.version.to_string(),
                    minute(shown.root.created),
                    minute(shown.root.expires),
                    role(RoleName::Root),
                    role(RoleName::Release),
                    role(RoleName::Command),
                    role(RoleName::Approval),
                    shown.root.revoked_packages.len().to_string(),
                ]
            });
            print::table(
                out,
                &[
                    "root",
                    "made",
                    "expires",
                    "root keys",
                    "release keys",
                    "command keys",
                    "approval keys",
                    "revoked packages",
                ],
                rows,
            )?;
            if let Some(newest) = shown.roots.last() {
                write_newest(newest, out)?;
            }
            match &shown.fault {
                None => writeln!(out, "An appliance that is given root 1 follows to the newest.")?,
                Some(fault) => writeln!(out, "No appliance would follow: {fault}")?,
            }
        }
    }
    Ok(if shown.fault.is_none() { Exit::Done } else { Exit::Failed })
}

fn write_newest(shown: &Shown, out: &mut dyn Write) -> anyhow::Result<()> {
    let Shown { root, expired, signed_by } = shown;
    writeln!(
        out,
        "Newest root {} of center {}{}",
        root.version,
        root.center,
        if *expired { ", EXPIRED" } else { "" }
    )?;
    for (name, role) in RoleName::ALL.iter().filter_map(|name| Some((name, name.of(root)?))) {
        let keys: Vec<_> = role.keys.iter().map(|key| key.id().to_string()).collect();
        writeln!(out, "  {name:8} {} of  {}", role.threshold, keys.join(" "))?;
    }
    for package in &root.revoked_packages {
        writeln!(out, "  revoked  package {package}")?;
    }
    if let Some(counter) = root.release_counter_reset {
        writeln!(out, "  sets release counters back to {counter}")?;
    }
    let signers = if signed_by.is_empty() { "nobody".to_owned() } else { signed_by.join(" ") };
    writeln!(out, "  signed by {signers}")?;
    Ok(())
}

fn check(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let trusted = match &args.from {
        None => read_trusted(&args.file)?.1,
        Some(from) => read_trusted(from)?.1.advance(&read_chain(&args.file)?)?,
    };
    let root = trusted.root();
    writeln!(
        out,
        "good: leads to root {} of center {}, which expires {}",
        root.version,
        root.center,
        minute(root.expires)
    )?;
    if root.is_expired(now()) {
        writeln!(out, "note: it has expired, so nothing would be installed under it")?;
    }
    Ok(Exit::Done)
}

fn add(args: &AddArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let given = read_chain(&args.file)?;
    let file = context.home.roots_file();
    let (chain, trusted) = if file.exists() {
        let (chain, before) = context.home.roots()?;
        let trusted = before.advance(&given)?;
        (grown(chain, &given, before.root().version, trusted.root().version)?, trusted)
    } else {
        let trusted = TrustedRoot::first(&given)?;
        (given, trusted)
    };
    let (root, center) = (trusted.root(), context.settings()?.center);
    ensure!(root.center == center, "these roots are for center {}, this is {center}", root.center);
    write_chain(&file, &chain)?;
    writeln!(out, "This center has root {} now; new appliances are given it.", root.version)?;
    notes(root, context, out)?;
    writeln!(out, "Send it to the others: center-manager root send --all")?;
    Ok(Exit::Done)
}

/// The longer chain; checked as a whole, so that what is stored can be followed from root 1.
fn grown(
    mut chain: Vec<SignedRoot>,
    given: &[SignedRoot],
    before: u64,
    after: u64,
) -> anyhow::Result<Vec<SignedRoot>> {
    let added = usize::try_from(after.saturating_sub(before))?;
    chain.extend(given.iter().skip(given.len().saturating_sub(added)).cloned());
    TrustedRoot::first(&chain)?;
    Ok(chain)
}

/// What an operator may not have meant.
fn notes(root: &Root, context: &Context, out: &mut dyn Write) -> anyhow::Result<()> {
    match keys::read_public(&context.home.command_key()) {
        Ok(key) if root.command.key(key.id()).is_some() => {}
        Ok(key) => writeln!(
            out,
            "WARNING: it does not name this center's command key {}: appliances that get it take nothing more from here.\n\
             Rotate once more with --add-key command={}, or put a named key into {}.",
            key.id(),
            keys::public_file(&context.home.command_key()).display(),
            context.home.command_key().display()
        )?,
        Err(error) => writeln!(out, "WARNING: this center has no command key: {error}")?,
    }
    let packages = context.db()?.packages()?;
    for package in packages.iter().filter(|package| !package.signers.is_empty()) {
        let octets = std::fs::read(&package.path)
            .with_context(|| format!("cannot read {}", package.path.display()))?;
        if let Err(error) = mailfmt::package::check_signatures(&octets, root, now(), &Limits::default()) {
            writeln!(
                out,
                "note: package {:.12} ({}): {error}",
                package.id.to_string(),
                package.manifest.target
            )?;
        }
    }
    Ok(())
}

fn send(args: &SendArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (chain, trusted) = context.home.roots()?;
    let newer = chain.get(1..).unwrap_or_default().to_vec();
    if newer.is_empty() {
        bail!("there is only root 1, which every appliance has; `root rotate` makes the next");
    }
    let db = context.db()?;
    let mut which = args.which.clone();
    which.all |= args.behind && which.agents.is_empty() && which.tags.is_empty();
    let mut appliances = which.select(&db)?;
    if args.behind {
        let newest = trusted.root().version;
        let told: BTreeMap<_, _> = db.root_versions()?.into_iter().collect();
        appliances
            .retain(|appliance| told.get(&appliance.agent).copied().flatten().is_none_or(|has| has < newest));
        if appliances.is_empty() {
            writeln!(out, "all of them trust root {newest} already; nothing was sent")?;
            return Ok(Exit::Done);
        }
    }
    ask(context, &appliances, Command::TrustRoots(TrustRoots { roots: newer }), args.format, out)
}

/// Which root an appliance trusts.
#[derive(Debug, serde::Serialize)]
struct Standing {
    agent: AgentId,
    /// Absent until it has told.
    root: Option<u64>,
    newest: u64,
}

fn fleet(args: &FleetArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (_, trusted) = context.home.roots()?;
    let newest = trusted.root().version;
    let told = context.db()?.root_versions()?;
    let fleet: Vec<_> = told.into_iter().map(|(agent, root)| Standing { agent, root, newest }).collect();
    match args.format {
        Format::Json => print::json(out, &fleet)?,
        Format::Text => {
            let rows = fleet.iter().map(|standing| {
                let how = match standing.root {
                    None => "has not told yet",
                    Some(root) if root < newest => "behind; root send --behind",
                    Some(root) if root > newest => "ahead: this center has lost a root",
                    Some(_) => "newest",
                };
                vec![standing.agent.to_string(), print::maybe(standing.root), how.to_owned()]
            });
            print::table(out, &["appliance", "root", ""], rows)?;
        }
    }
    Ok(Exit::Done)
}

/// What is still missing before appliances that trust `before` take `signed`, in words; empty when nothing is.
fn missing(before: Option<&Root>, signed: &SignedRoot) -> anyhow::Result<Vec<String>> {
    let root = signed.peek()?;
    let mut missing = Vec::new();
    for (by, role) in
        before.map(|before| (before.version, &before.root)).into_iter().chain([(root.version, &root.root)])
    {
        let signers: BTreeSet<_> = signed.signers_of(role)?;
        if !role.is_satisfied_by(&signers) {
            let open: Vec<_> = role
                .keys
                .iter()
                .map(mailfmt::trust::PublicKey::id)
                .filter(|id| !signers.contains(id))
                .collect();
            let open: Vec<_> = open.iter().map(ToString::to_string).collect();
            missing.push(format!(
                "root keys of root {by}: {} of {} have signed; not yet: {}",
                signers.len(),
                role.threshold,
                open.join(" ")
            ));
        }
    }
    Ok(missing)
}

/// Writes a chain whose newest root may lack signatures, and says what is next.
fn write_out(chain: &[SignedRoot], file: &Path, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let [before @ .., newest] = chain else { bail!("there is no root") };
    newest.peek()?.check()?;
    let before = before.last().map(SignedRoot::peek).transpose()?;
    let missing = missing(before.as_ref(), newest)?;
    write_chain(file, chain)?;
    let version = newest.peek()?.version;
    if missing.is_empty() {
        TrustedRoot::first(chain).map_err(|error: RootError| error)?;
        writeln!(out, "Root {version} is complete: {}", file.display())?;
        writeln!(out, "On the center: center-manager root add {}", file.display())?;
        return Ok(Exit::Done);
    }
    writeln!(out, "Root {version} is in {}, but needs more signatures:", file.display())?;
    for line in missing {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "Their holders add them: center-manager root sign {} --sign KEYFILE", file.display())?;
    Ok(Exit::Partly)
}
