//! `center-manager certificate`: checks what `center-manager rollout certificate` wrote. Needs no home when it is told whom to
//! believe.

use super::print::{self, Format};
use super::{Context, Exit, WrongUse};
use crate::certificate::{Believed, CheckError, Checked, OCTETS_MAX, check};
use crate::keys;
use crate::roots::read_chain;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Check a certificate, offline and without a database, and say what it proves. Exit code 1 when it does not hold.
    ///
    /// Example: center-manager certificate check verdict.json --root roots.json
    #[command(verbatim_doc_comment)]
    Check(CheckArgs),
}

/// What to check, and whom to believe.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The certificate.
    pub file: PathBuf,
    /// The center's chain of roots, trusted from root 1; keys/roots.json of the home if neither this nor --key is given.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub root: Option<PathBuf>,
    /// The public half of the center's command key.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The answer for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Holds {
        valid: bool,
        #[serde(flatten)]
        checked: &'a Checked,
    },
    Not {
        valid: bool,
        reason: String,
        fields: &'a [String],
    },
}

pub(super) fn run(
    command: &CertificateCommand,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let CertificateCommand::Check(args) = command;
    let octets = read(&args.file)?;
    let result = match &args.key {
        Some(file) => check(&octets, Believed::Key(&keys::read_public(file)?)),
        None => check(&octets, Believed::Roots(&read_chain(&roots_file(args, context)?)?)),
    };
    match (result, args.format) {
        (Ok(checked), Format::Json) => {
            print::json(out, &Answer::Holds { valid: true, checked: &checked })?;
            Ok(Exit::Done)
        }
        (Ok(checked), Format::Text) => {
            let record = &checked.record;
            writeln!(
                out,
                "VALID: {} in rollout {} of center {}",
                record.agent, record.rollout, record.center
            )?;
            writeln!(out, "What it proves:")?;
            checked.proves.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            writeln!(out, "What it leaves open:")?;
            checked.leaves_open.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            Ok(Exit::Done)
        }
        (Err(error), Format::Json) => {
            let reason = format!("{:#}", anyhow::Error::msg(error.to_string()));
            let fields = if let CheckError::Altered { fields } = &error { fields.as_slice() } else { &[] };
            print::json(out, &Answer::Not { valid: false, reason, fields })?;
            Ok(Exit::Failed)
        }
        (Err(error), Format::Text) => {
            Err(anyhow::Error::from(error).context(format!("{}", args.file.display())))
        }
    }
}

fn roots_file(args: &CheckArgs, context: &Context) -> Result<PathBuf, WrongUse> {
    if let Some(file) = &args.root {
        return Ok(file.clone());
    }
    let own = context.home.roots_file();
    if own.exists() {
        return Ok(own);
    }
    Err(WrongUse(
        "say whom to believe: --root FILE with the center's roots, or --key FILE with its public command key"
            .to_owned(),
    ))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let most = u64::try_from(OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(most).read_to_end(&mut octets))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(octets)
}
