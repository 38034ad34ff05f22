//! Starting a rollout: package, targets, preview, and the question whether to begin.

use super::course::{self, CourseArgs};
use super::hours::{self, HoursArgs};
use super::rounds::RoundsArgs;
use super::ways;
use crate::cli::which::Which;
use crate::cli::{Context, Exit, WrongUse, operator};
use crate::db::Db;
use crate::db::appliances::Appliance;
use crate::db::packages::StoredPackage;
use crate::home;
use crate::report::minute;
use crate::rollout::{self, Draft, Joining, Release, RolloutId, StartError, Timing, Verdict};
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;
use mailfmt::message::UpdateOrder;
use mailfmt::package::{Manifest, check_signatures, inspect};
use mailfmt::trust::{Downgrade, SignedPermit};
use mailfmt::{AgentId, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// The usual time between two looks of an appliance for mail, in seconds.
const LOOK_FOR_MAIL_SECS: u32 = 180;

/// What to send to whom.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The package: a file, or its id or the beginning of it.
    #[arg(long, value_name = "FILE|ID")]
    pub package: String,
    /// To whom.
    #[command(flatten)]
    pub which: Which,
    /// To these appliances, separated by commas.
    #[arg(
        long = "agents",
        id = "agent_list",
        value_name = "AGENTS",
        value_delimiter = ',',
        conflicts_with = "all"
    )]
    pub agents: Vec<AgentId>,
    /// To the failed appliances of this rollout.
    #[arg(long, value_name = "ROLLOUT", conflicts_with_all = ["all", "tags", "agents", "agent_list", "list", "query", "customers", "running", "hardware"])]
    pub failed_of: Option<RolloutId>,
    /// Seconds between sending and asking for the version; the package's own time if not given.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(0..=604_800))]
    pub settle: Option<u32>,
    /// Seconds that an appliance has to answer; silence after that is failure.
    #[arg(long, value_name = "SECS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub answer_timeout: u32,
    /// What follows by itself on a failure.
    #[command(flatten)]
    pub rounds: RoundsArgs,
    /// In which waves.
    #[command(flatten)]
    pub course: CourseArgs,
    /// Let appliances join that come to be meant while it runs, such as newly enrolled ones; it then runs until the package
    /// expires or somebody stops it.
    #[arg(long, conflicts_with = "failed_of")]
    pub joining: bool,
    /// How many may join in 24 hours.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub joining_per_day: u32,
    /// When its sites may begin.
    #[command(flatten)]
    pub hours: HoursArgs,
    /// Permit to go back to an older release, made by `package permit`.
    #[arg(long, value_name = "FILE")]
    pub permit: Option<PathBuf>,
    /// Begin without asking.
    #[arg(long, short)]
    pub yes: bool,
}

pub(super) fn start(
    args: &StartArgs,
    context: &Context,
    db: &mut Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let package = stored_package(&args.package, context, db)?;
    if package.signers.is_empty() {
        bail!(
            "package {} is not signed, so no appliance would install it; `center-manager package sign` signs it",
            package.id
        );
    }
    let mut appliances = targets(args, db)?;
    if args.permit.is_none() {
        ways::keep_those_in_reach(db, &package, &mut appliances, now(), out)?;
    }
    let course = args.course.course()?;
    let joining = match args.joining {
        true => Some(Joining { selection: meant(args).selection(db)?, per_day: args.joining_per_day }),
        false => None,
    };
    let openings = args.hours.openings(&package.manifest, now())?;
    let permit = args.permit.as_deref().map(|file| read_permit(file, &package)).transpose()?;
    let settle = args.settle.unwrap_or(package.manifest.rules.settle_secs);
    writeln!(out, "{}", preview(&package, &appliances, settle, args))?;
    if !openings.is_always() {
        writeln!(out, "{}", hours::preview(&openings, &package.manifest, now()))?;
    }
    if let Some(joining) = &joining {
        writeln!(
            out,
            "joining    {} a day at most, until the package expires: {}",
            joining.per_day,
            joining.selection.in_words()
        )?;
    }
    writeln!(out, "{}", course::preview(&course, u32::try_from(appliances.len()).unwrap_or(u32::MAX)))?;
    warn(context, db, &package, &appliances, out)?;
    if let Some(permit) = &permit {
        warn_of_permit(context, permit, &package, &appliances, out)?;
    }
    if settle < LOOK_FOR_MAIL_SECS {
        writeln!(
            out,
            "note: appliances look for mail every {LOOK_FOR_MAIL_SECS} s if not set otherwise; asked after {settle} s they \
             may still run the old version, and count as failed until their installers report"
        )?;
    }
    let s = if appliances.len() == 1 { "" } else { "s" };
    if !args.yes && !agreed(&format!("Send it to {} appliance{s}?", appliances.len()), out)? {
        writeln!(out, "nothing was sent")?;
        return Ok(Exit::Failed);
    }
    let file =
        std::fs::read(&package.path).with_context(|| format!("cannot read {}", package.path.display()))?;
    let manifest = &package.manifest;
    let draft = Draft {
        release: Release::of(manifest),
        order: UpdateOrder {
            permit,
            ..rollout::enclose(&file, package.id, manifest.target.clone(), &mut SystemRandom)
        },
        whole: whole_order(manifest, db, out)?,
        timing: Timing {
            settle: SignedDuration::from_secs(settle.into()),
            answer_timeout: SignedDuration::from_secs(args.answer_timeout.into()),
            delivery_limit: Timing::DELIVERY_LIMIT,
            command_life: context.settings()?.command_expiry,
        },
        openings,
        retrying: args.rounds.policy(),
        course,
        joining,
        approvals: context.home.roots()?.1.root().approval.as_ref().map_or(0, |role| role.threshold),
        package_expires: manifest.expires,
        agents: appliances.iter().map(|appliance| appliance.agent.clone()).collect(),
    };
    let id = rollout::start(db, &draft, &operator(None), now())?;
    match db.rollout(id)?.check_consent() {
        Ok(()) => writeln!(out, "rollout {id} started; follow it with: center-manager rollout watch {id}")?,
        Err(waits) => writeln!(out, "{waits}")?,
    }
    Ok(Exit::Done)
}

/// The order for the package with whole files that stands behind one with differences.
fn whole_order(manifest: &Manifest, db: &Db, out: &mut dyn Write) -> anyhow::Result<Option<UpdateOrder>> {
    let Some(id) = manifest.whole else { return Ok(None) };
    let Some(package) = db.package(&id.to_string()).ok().filter(|package| !package.signers.is_empty()) else {
        writeln!(
            out,
            "note: the package with whole files, {:.12}, is not here or not signed; appliances on which no difference \
             fits will refuse the update",
            id.to_string()
        )?;
        return Ok(None);
    };
    let file =
        std::fs::read(&package.path).with_context(|| format!("cannot read {}", package.path.display()))?;
    Ok(Some(rollout::enclose(&file, id, manifest.target.clone(), &mut SystemRandom)))
}

/// The package that is meant; a file is filed among the center's packages.
fn stored_package(given: &str, context: &Context, db: &mut Db) -> anyhow::Result<StoredPackage> {
    let path = Path::new(given);
    if !path.is_file() {
        return Ok(db.package(given)?);
    }
    let octets = std::fs::read(path).with_context(|| format!("cannot read {given}"))?;
    let inspection =
        inspect(&octets, &Limits::default()).with_context(|| format!("{given} is no package"))?;
    let signers: Vec<_> = inspection.signers.iter().map(ToString::to_string).collect();
    let package = StoredPackage {
        id: inspection.id,
        manifest: inspection.manifest,
        octets: octets.len().try_into()?,
        path: context.home.package(&inspection.id),
        signers: signers.join(" "),
        added: now(),
    };
    // A signed package is not replaced by the same one without signatures.
    let known = db.package(&package.id.to_string()).ok();
    if known.is_none_or(|known| known.signers.is_empty() || !known.path.is_file()) {
        home::write_whole(&package.path, &octets)?;
        db.put_package(&package)?;
    }
    Ok(db.package(&package.id.to_string())?)
}

/// What was said in either way.
fn meant(args: &StartArgs) -> Which {
    let mut which = args.which.clone();
    which.agents.extend(args.agents.iter().cloned());
    which
}

pub(super) fn targets(args: &StartArgs, db: &Db) -> anyhow::Result<Vec<Appliance>> {
    if let Some(id) = args.failed_of {
        db.rollout(id)?;
        let failed = db.rollout_targets(id)?;
        let failed: BTreeSet<_> = failed
            .into_iter()
            .filter(|(_, target)| matches!(target.verdict(), Some(Verdict::Failed { .. })))
            .map(|(agent, _)| agent)
            .collect();
        let mut appliances = db.appliances()?;
        appliances.retain(|appliance| failed.contains(&appliance.agent) && appliance.suspension.is_none());
        if appliances.is_empty() {
            bail!("no appliance of rollout {id} has failed");
        }
        return Ok(appliances);
    }
    let which = meant(args);
    if which.selection(db)?.is_empty() && !which.all {
        return Err(WrongUse(StartError::NoTargets.to_string()).into());
    }
    which.select(db)
}

fn preview(package: &StoredPackage, appliances: &[Appliance], settle: u32, args: &StartArgs) -> String {
    let Manifest { target, modules, .. } = &package.manifest;
    let carried = modules.iter().filter(|module| module.carried).count();
    let mut versions = BTreeMap::<&str, usize>::new();
    for appliance in appliances {
        let version =
            appliance.software.as_ref().map_or("a version not known yet", |version| version.as_str());
        *versions.entry(version).or_default() += 1;
    }
    let versions: Vec<_> = versions.iter().map(|(version, count)| format!("{count} at {version}")).collect();
    format!(
        "update to: {target}\n\
         package    {:.12}, {} octets, {carried} of {} modules carried, expires {}\n\
         appliances {}: {}\n\
         times      version asked for {settle} s after sending, answers within {} s\n\
         failed     {}",
        package.id.to_string(),
        package.octets,
        modules.len(),
        minute(package.manifest.expires),
        appliances.len(),
        versions.join(", "),
        args.answer_timeout,
        args.rounds.in_words(),
    )
}

/// What will probably fail, said before it is sent.
fn warn(
    context: &Context,
    db: &Db,
    package: &StoredPackage,
    appliances: &[Appliance],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (_, trusted) = context.home.roots()?;
    let octets =
        std::fs::read(&package.path).with_context(|| format!("cannot read {}", package.path.display()))?;
    if let Err(error) = check_signatures(&octets, trusted.root(), now(), &Limits::default()) {
        writeln!(out, "note: appliances with root {} will refuse it: {error}", trusted.root().version)?;
    }
    let from = &package.manifest.applies.from;
    let misfits = appliances
        .iter()
        .filter(|appliance| appliance.software.as_ref().is_some_and(|version| !from.contains(version)))
        .count();
    if !from.is_empty() && misfits > 0 {
        writeln!(
            out,
            "note: {misfits} of them run a version that this package may not follow on; they will refuse it"
        )?;
    }
    let agents: Vec<_> = appliances.iter().map(|appliance| appliance.agent.clone()).collect();
    let mut busy = BTreeMap::<RolloutId, usize>::new();
    for (_, id) in db.busy_in_rollouts(&agents)? {
        *busy.entry(id).or_default() += 1;
    }
    for (id, count) in busy {
        writeln!(out, "note: {count} of them have no verdict yet in rollout {id}")?;
    }
    Ok(())
}

fn read_permit(file: &Path, package: &StoredPackage) -> anyhow::Result<SignedPermit> {
    let octets = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let permit = SignedPermit::from_octets(octets);
    let said = permit.peek().with_context(|| format!("{} is no permit", file.display()))?;
    if said.package != package.id {
        bail!("{} is for package {}, not for {}", file.display(), said.package, package.id);
    }
    Ok(permit)
}

/// Which appliances would not take the permit, and why.
fn warn_of_permit(
    context: &Context,
    permit: &SignedPermit,
    package: &StoredPackage,
    appliances: &[Appliance],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (_, trusted) = context.home.roots()?;
    let from = permit.peek()?.from;
    let mut refusals = BTreeMap::<String, usize>::new();
    for appliance in appliances {
        let downgrade = Downgrade {
            agent: &appliance.agent,
            package: package.id,
            running: appliance.software.as_ref().unwrap_or(&from),
            target: &package.manifest.target,
            now: now(),
        };
        if let Err(error) = permit.check(trusted.root(), &downgrade) {
            *refusals.entry(error.to_string()).or_default() += 1;
        }
    }
    for (why, count) in refusals {
        writeln!(out, "note: {count} of them may refuse it: {why}")?;
    }
    Ok(())
}

/// Asks a person at the terminal.
pub(super) fn agreed(question: &str, out: &mut dyn Write) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(
            WrongUse("nobody is there to ask; add --yes to begin without being asked".to_owned()).into()
        );
    }
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
