//! `center-manager key approve`: an approval of a rollout, signed on whatever machine the key is.

use crate::cli::Exit;
use crate::cli::passphrase::Passphrases;
use crate::home;
use crate::report::minute;
use crate::system::now;
use anyhow::{Context as _, ensure};
use clap::Args;
use mailfmt::trust::SignedApproval;
use std::io::Write;
use std::path::PathBuf;

/// What to sign with what.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n\x20 center-manager key approve rollout-7.approval --key approval.pem")]
pub struct ApproveArgs {
    /// The file that `rollout approve --write` wrote; the signature is added to it.
    pub file: PathBuf,
    /// Your private approval key.
    #[arg(long, value_name = "KEYFILE")]
    pub key: PathBuf,
    /// File with the passphrase of the key file, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

pub(super) fn run(args: &ApproveArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let octets = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let document = SignedApproval::from_octets(octets);
    let said = document.peek().with_context(|| format!("{} is no approval", args.file.display()))?;
    ensure!(said.expires > now(), "this approval expired at {}", said.expires);
    writeln!(out, "center     {}", said.center)?;
    for order in &said.orders {
        writeln!(out, "update to  {}, package {}", order.target, order.package)?;
    }
    writeln!(out, "until      {}", minute(said.expires))?;
    let key = Passphrases::read(args.passphrase_file.as_deref())?.open(&args.key)?;
    home::write_whole(&args.file, document.sign(&key)?.as_octets())?;
    writeln!(
        out,
        "signed with key {}; on the center: center-manager rollout approve N --signed FILE --by NAME",
        key.public().id()
    )?;
    Ok(Exit::Done)
}
