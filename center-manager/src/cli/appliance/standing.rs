//! `center-manager appliance suspend`, `readmit`, `move` and `rotate`.

use crate::cli::print::{self, Format};
use crate::cli::which::Which;
use crate::cli::{Context, Exit, WrongUse, operator};
use crate::db::Db;
use crate::db::rotations::RotationTerms;
use crate::db::standing::Move;
use crate::settings::is_mail_address;
use crate::system::{SystemRandom, now};
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Whom to shut out.
#[derive(Debug, Args)]
pub struct SuspendArgs {
    /// Agent ids.
    #[arg(required = true, value_name = "AGENT")]
    pub agents: Vec<AgentId>,
    /// Why, for whoever looks at it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// Whom to let in again.
#[derive(Debug, Args)]
pub struct ReadmitArgs {
    /// Agent ids.
    #[arg(required = true, value_name = "AGENT")]
    pub agents: Vec<AgentId>,
}

/// What changes for an appliance that went elsewhere.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// Agent id.
    pub agent: AgentId,
    /// Its new mail address; the appliance's own settings are changed on site.
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["customer", "tags"])]
    pub address: Option<String>,
    /// Its new customer, or other remarks.
    #[arg(long, value_name = "NAME")]
    pub customer: Option<String>,
    /// Tag that it gets; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

/// Whose credentials to rotate.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Whose.
    #[command(flatten)]
    pub which: Which,
    /// Who wants it; the user of this system if not given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn suspend(args: &SuspendArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    for_each(&args.agents, out, |agent, out| {
        db.suspend_appliance(agent, &args.reason, now())?;
        writeln!(
            out,
            "{agent} suspended: what it reports is neither filed nor answered, nothing is sent to it"
        )?;
        Ok(())
    })
}

pub(super) fn readmit(args: &ReadmitArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    for_each(&args.agents, out, |agent, out| {
        let was = db.readmit_appliance(agent, now())?;
        if was {
            writeln!(out, "{agent} readmitted; what it could not deliver comes by itself")?;
        } else {
            writeln!(out, "{agent} was not suspended")?;
        }
        Ok(())
    })
}

pub(super) fn relocate(args: &MoveArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    super::check_tags(&args.tags)?;
    let mut db = context.db()?;
    if let Some(address) = &args.address {
        if !is_mail_address(address) {
            return Err(WrongUse(format!("{address:?} is no mail address")).into());
        }
        one_mailbox(&db, &args.agent, address)?;
    }
    let to =
        Move { address: args.address.clone(), customer: args.customer.clone(), add_tags: args.tags.clone() };
    db.move_appliance(&args.agent, &to)?;
    let moved = db.appliance(&args.agent)?;
    writeln!(out, "{} is reached at {}, customer {:?}", moved.agent, moved.address, moved.customer)?;
    Ok(Exit::Done)
}

/// Two appliances at one mailbox would throw each other's mail away.
fn one_mailbox(db: &Db, agent: &AgentId, address: &str) -> anyhow::Result<()> {
    let owner = db
        .appliances()?
        .into_iter()
        .find(|known| known.agent != *agent && known.address.eq_ignore_ascii_case(address));
    match owner {
        Some(owner) => anyhow::bail!(
            "{address} is the mail address of {} already; each appliance needs its own mailbox",
            owner.agent
        ),
        None => Ok(()),
    }
}

pub(super) fn rotate(args: &RotateArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    let agents: Vec<AgentId> = args.which.select(&db)?.into_iter().map(|appliance| appliance.agent).collect();
    let time = now();
    let expires = time.checked_add(context.settings()?.command_expiry)?;
    let by = operator(args.by.as_deref());
    db.begin_rotations(&agents, RotationTerms { by: &by, now: time, expires }, &mut SystemRandom)?;
    match args.format {
        Format::Json => print::json(out, &agents)?,
        Format::Text => writeln!(
            out,
            "rotation of the credential of {} {} begun; `center-manager appliance show AGENT` tells how far it came",
            agents.len(),
            if agents.len() == 1 { "appliance" } else { "appliances" },
        )?,
    }
    Ok(Exit::Done)
}

/// Does the same with every appliance; one that fails does not keep the others from it.
fn for_each(
    agents: &[AgentId],
    out: &mut dyn Write,
    mut work: impl FnMut(&AgentId, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let mut done = 0usize;
    for agent in agents {
        match work(agent, out) {
            Ok(()) => done = done.saturating_add(1),
            Err(error) => writeln!(out, "{agent}: {error:#}")?,
        }
    }
    Ok(match done {
        0 => Exit::Failed,
        all if all == agents.len() => Exit::Done,
        _ => Exit::Partly,
    })
}
