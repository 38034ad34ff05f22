//! Writing the certificate of one verdict.

use super::number;
use crate::certificate::{Certificate, collect};
use crate::cli::{Context, Exit};
use crate::db::Db;
use crate::home;
use crate::keys;
use crate::rollout::RolloutId;
use crate::system::now;
use anyhow::Context as _;
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;
use std::path::PathBuf;

/// Of whom, and where to.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// The appliance.
    #[arg(long, value_name = "AGENT")]
    pub agent: AgentId,
    /// Into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub(super) fn certify(
    args: &CertifyArgs,
    context: &Context,
    db: &Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let center = context.settings()?.center;
    let path = context.home.command_key();
    let key = keys::read_private(&path)?.open(None).with_context(|| path.display().to_string())?;
    let record = collect(db, &center, id, &args.agent, now())?;
    let text = Certificate::sign(record, &key)?.write()?;
    let Some(path) = &args.output else {
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Done);
    };
    home::write_whole(path, text.as_bytes())?;
    writeln!(out, "{}: signed by key {}", path.display(), key.public().id())?;
    let roots = context.home.roots_file();
    writeln!(
        out,
        "Whoever has the roots checks it: center-manager certificate check {} --root {}",
        path.display(),
        roots.display()
    )?;
    Ok(Exit::Done)
}
