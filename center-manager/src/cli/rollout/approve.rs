//! `center-manager rollout approve` and `deny`: the word of another person than the one who started it.

use super::{choose, number};
use crate::cli::passphrase::Passphrases;
use crate::cli::print::{self, Format};
use crate::cli::{Context, Exit, operator};
use crate::db::Db;
use crate::home;
use crate::report::{Comparison, minute};
use crate::rollout::{self, Consent, Rollout, RolloutId};
use crate::system::now;
use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;
use mailfmt::trust::{Root, SignedApproval};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Which rollout, and what to sign with.
#[derive(Debug, Args)]
#[command(after_help = "Example, with the key on a stick:\n\
    \x20 center-manager rollout approve 7 --key /media/stick/approval.pem\n\
    Example, with a key that never comes near the center:\n\
    \x20 center-manager rollout approve 7 --write rollout-7.approval\n\
    \x20 center-manager key approve rollout-7.approval --key approval.pem      (on the other machine)\n\
    \x20 center-manager rollout approve 7 --signed rollout-7.approval --by bert")]
pub struct ApproveArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Your private approval key.
    #[arg(long, value_name = "KEYFILE", required_unless_present_any = ["write", "signed"])]
    pub key: Option<PathBuf>,
    /// File with the passphrase of the key file, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Only write what is to be signed into this file, for `key approve` on another machine.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "signed"])]
    pub write: Option<PathBuf>,
    /// Bring in what `key approve` has signed on another machine.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub signed: Option<PathBuf>,
    /// Days until the approval expires, at the latest with the package; the first one who approves says so.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
    /// Who approves; the user of this system, if not given. Must be another person than the one who started it.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Approve without being asked once more.
    #[arg(long, short)]
    pub yes: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which rollout, and why not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n\x20 center-manager rollout deny 7 --reason \"not before the inventory\"")]
pub struct DenyArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Why, for the audit log and whoever started it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Who says so; the user of this system, if not given.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// A rollout and who approved it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    rollout: RolloutId,
    approved: bool,
    #[serde(flatten)]
    consent: &'a Consent,
}

pub(super) fn approve(
    args: &ApproveArgs,
    context: &Context,
    db: &mut Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let (_, trusted) = context.home.roots()?;
    let (root, rollout) = (trusted.root(), db.rollout(id)?);
    let expires = now().saturating_add(SignedDuration::from_hours(24 * i64::from(args.days)))?;
    let document = rollout::to_sign(&rollout, root, expires, now())?;
    if let Some(file) = &args.write {
        home::write_whole(file, document.as_octets())?;
        writeln!(out, "{}: sign it with: center-manager key approve FILE --key KEYFILE", file.display())?;
        return Ok(Exit::Done);
    }
    let signed = match &args.signed {
        Some(file) => {
            let octets = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            SignedApproval::from_octets(octets)
        }
        None => {
            let Some(signed) = sign(args, &rollout, root, &document, db, out)? else {
                writeln!(out, "nothing was approved")?;
                return Ok(Exit::Failed);
            };
            signed
        }
    };
    let consent = rollout::approve(db, id, root, &signed, &operator(args.by.as_deref()), now())?;
    if args.format == Format::Json {
        print::json(out, &Shown { rollout: id, approved: consent.is_given(), consent: &consent })?;
        return Ok(Exit::Done);
    }
    let next = if consent.is_given() {
        format!("follow it with: center-manager rollout watch {id}")
    } else {
        format!("the next one gives it with: center-manager rollout approve {id} --key FILE")
    };
    writeln!(out, "rollout {id} {}; {next}", consent.in_words())?;
    Ok(Exit::Done)
}

/// Shows what is approved, asks, and signs; none where the answer was no.
fn sign(
    args: &ApproveArgs,
    rollout: &Rollout,
    root: &Root,
    document: &SignedApproval,
    db: &Db,
    out: &mut dyn Write,
) -> anyhow::Result<Option<SignedApproval>> {
    let file = args.key.as_ref().context("give the key with --key FILE")?;
    if args.format == Format::Text {
        let started = rollout.consent.as_ref().map_or("unknown", |consent| consent.asked_by.as_str());
        writeln!(
            out,
            "rollout    {}, started {} by {started}\nupdate to  {}, package {:.12}\nappliances {}, course {}\n\
             approval   until {}; appliances that are added before then are covered by it",
            rollout.id,
            minute(rollout.started),
            rollout.release.version,
            rollout.order.package.to_string(),
            db.rollout_counts(rollout.id)?.0.total,
            rollout.course.name,
            minute(document.peek()?.expires),
        )?;
    }
    if !args.yes && !choose::agreed("Approve it?", out)? {
        return Ok(None);
    }
    let key = Passphrases::read(args.passphrase_file.as_deref())?.open(file)?;
    Ok(Some(rollout::sign(document, root, &key)?))
}

pub(super) fn deny(args: &DenyArgs, db: &mut Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    rollout::deny(db, id, &operator(args.by.as_deref()), &args.reason, now())?;
    writeln!(out, "rollout {id} is denied: nothing of it is sent")?;
    Ok(Exit::Done)
}

/// The lines of `rollout status` about who approved it.
pub(super) fn write_consent(consent: &Consent, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}", consent.in_words())?;
    for given in &consent.given {
        writeln!(out, "  {} by {} with key {}", minute(given.at), given.who, given.key)?;
    }
    if let Some(expires) = consent.expires {
        writeln!(out, "  until {}", minute(expires))?;
    }
    Ok(())
}

/// A rollout's report with who approved it.
#[derive(Debug, Serialize)]
pub(super) struct Standing<'a> {
    #[serde(flatten)]
    report: &'a Comparison,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a Consent>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(report: &'a Comparison, rollout: &'a Rollout) -> Self {
        Self { report, approval: rollout.consent.as_ref() }
    }
}
