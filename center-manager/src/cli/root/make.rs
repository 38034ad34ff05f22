//! Making and signing roots, on whatever machine the keys are.

use super::write_out;
use crate::cli::passphrase::Passphrases;
use crate::cli::{Context, Exit, WrongUse};
use crate::keys::{self, RoleName};
use crate::roots::{read_chain, read_trusted};
use crate::system::now;
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::SignedDuration;
use mailfmt::CenterId;
use mailfmt::package::PackageId;
use mailfmt::trust::{Role, Root, SignedRoot, SigningKey};
use std::io::Write;
use std::path::PathBuf;

/// A key with its role, as `ROLE=FILE`.
#[derive(Debug, Clone)]
pub struct RoleKey {
    role: RoleName,
    file: PathBuf,
}

impl std::str::FromStr for RoleKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (role, file) = text.split_once('=').ok_or("give ROLE=FILE, such as release=release.pub")?;
        let role = role.parse().map_err(|error: keys::RoleNameError| error.to_string())?;
        Ok(Self { role, file: file.into() })
    }
}

/// How many keys of a role must sign, as `ROLE=NUMBER`.
#[derive(Debug, Clone, Copy)]
pub struct Threshold {
    role: RoleName,
    number: u32,
}

impl std::str::FromStr for Threshold {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (role, number) = text.split_once('=').ok_or("give ROLE=NUMBER, such as root=2")?;
        let role = role.parse().map_err(|error: keys::RoleNameError| error.to_string())?;
        let number = number.parse().map_err(|_| format!("{number:?} is no number"))?;
        Ok(Self { role, number })
    }
}

/// What root 1 says.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The center that it is for, as given to `init`.
    #[arg(long, default_value = "CENTER")]
    pub center: CenterId,
    /// A key by its public half: root=FILE.pub, release=FILE.pub, command=FILE.pub or approval=FILE.pub; several
    /// times. With an approval key, no rollout begins before its holder approves it.
    #[arg(long = "key", value_name = "ROLE=FILE", required = true)]
    pub keys: Vec<RoleKey>,
    /// How many keys of a role must sign, such as root=2; 1 if not given.
    #[arg(long = "threshold", value_name = "ROLE=N")]
    pub thresholds: Vec<Threshold>,
    /// Days until it expires; a newer root must have reached the appliances by then, or they install nothing.
    #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub days: u32,
    /// Private root key to sign it with; several times. More can be added with `root sign`.
    #[arg(long = "sign", value_name = "KEYFILE")]
    pub sign: Vec<PathBuf>,
    /// File with the passphrases of the key files, one per line, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File to write it to.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What the next root changes.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// File with the roots so far; keys/roots.json of the home if not given.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Add a key by its public half: root=FILE.pub, release=FILE.pub, command=FILE.pub or approval=FILE.pub; several
    /// times. With an approval key, no rollout begins before its holder approves it.
    #[arg(long = "add-key", value_name = "ROLE=FILE")]
    pub add: Vec<RoleKey>,
    /// Take a key out of all roles, by its id or the beginning of it; several times.
    #[arg(long = "drop-key", value_name = "KEY")]
    pub drop: Vec<String>,
    /// How many keys of a role must sign, such as root=2.
    #[arg(long = "threshold", value_name = "ROLE=N")]
    pub thresholds: Vec<Threshold>,
    /// Let rollouts begin without anybody's approval again: no approval key is named any more.
    #[arg(long)]
    pub no_approval: bool,
    /// A package that nobody shall install any more, by its whole id; several times.
    #[arg(long = "revoke-package", value_name = "PACKAGE")]
    pub revoke: Vec<PackageId>,
    /// Set the release counter of the fleet back to at most this: after a thief of a release key has driven it up.
    #[arg(long, value_name = "N")]
    pub reset_counter: Option<u64>,
    /// Days from now until it expires.
    #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub days: u32,
    /// Private root key to sign it with; several times. More can be added with `root sign`.
    #[arg(long = "sign", value_name = "KEYFILE")]
    pub sign: Vec<PathBuf>,
    /// File with the passphrases of the key files, one per line, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File to write all roots to, the old and the new.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What to sign with.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// File with roots; its newest one is signed.
    pub file: PathBuf,
    /// Private root key; several times.
    #[arg(long = "sign", value_name = "KEYFILE", required = true)]
    pub sign: Vec<PathBuf>,
    /// File with the passphrases of the key files, one per line, or `-`; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

pub(super) fn create(args: &CreateArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    ensure!(!args.out.exists(), "{} is there already; `root rotate` makes the next root", args.out.display());
    let created = now();
    let empty = || Role { threshold: 1, keys: Vec::new() };
    let mut root = Root {
        version: 1,
        center: args.center.clone(),
        created,
        expires: created.checked_add(SignedDuration::from_hours(24 * i64::from(args.days)))?,
        root: empty(),
        release: empty(),
        command: empty(),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    add_keys(&mut root, &args.keys)?;
    set_thresholds(&mut root, &args.thresholds);
    for role in [RoleName::Root, RoleName::Release, RoleName::Command] {
        if role.keys_in(&root).is_empty() {
            return Err(WrongUse(format!("give a {role} key: --key {role}=FILE.pub")).into());
        }
    }
    root.check()?;
    let keys = Passphrases::read(args.passphrase_file.as_deref())?.open_all(&args.sign)?;
    let signed = signed(SignedRoot::unsigned(&root)?, None, &keys)?;
    write_out(&[signed], &args.out, out)
}

pub(super) fn rotate(args: &RotateArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let from = args.from.clone().unwrap_or_else(|| context.home.roots_file());
    let (mut chain, trusted) = read_trusted(&from)?;
    let before = trusted.root();
    let mut root = before.clone();
    root.version = before.version.checked_add(1).context("there is no later version")?;
    root.created = now();
    root.expires = root.created.checked_add(SignedDuration::from_hours(24 * i64::from(args.days)))?;
    root.release_counter_reset = args.reset_counter;
    root.revoked_packages.extend(args.revoke.iter().copied());
    for id in &args.drop {
        drop_key(&mut root, id)?;
    }
    if args.no_approval {
        root.approval = None;
    }
    add_keys(&mut root, &args.add)?;
    set_thresholds(&mut root, &args.thresholds);
    root.check()?;
    let keys = Passphrases::read(args.passphrase_file.as_deref())?.open_all(&args.sign)?;
    chain.push(signed(SignedRoot::unsigned(&root)?, Some(before), &keys)?);
    write_out(&chain, &args.out, out)
}

pub(super) fn sign(args: &SignArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut chain = read_chain(&args.file)?;
    let newest = chain.pop().with_context(|| format!("{} holds no root", args.file.display()))?;
    let before = chain.last().map(SignedRoot::peek).transpose()?;
    let keys = Passphrases::read(args.passphrase_file.as_deref())?.open_all(&args.sign)?;
    chain.push(signed(newest, before.as_ref(), &keys)?);
    write_out(&chain, &args.file, out)
}

/// Signs with every key; one that is a root key neither of the old nor of the new root is a mistake.
fn signed(mut root: SignedRoot, before: Option<&Root>, keys: &[SigningKey]) -> anyhow::Result<SignedRoot> {
    let new = root.peek()?;
    for key in keys {
        let id = key.public().id();
        let counts = new.root.key(id).is_some() || before.is_some_and(|before| before.root.key(id).is_some());
        ensure!(
            counts,
            "key {id} is no root key of root {} or the one before it: its signature counts for nothing",
            new.version
        );
        root = root.sign(key)?;
    }
    Ok(root)
}

fn add_keys(root: &mut Root, keys: &[RoleKey]) -> anyhow::Result<()> {
    for RoleKey { role, file } in keys {
        let key = keys::read_public(file)?;
        let role = role.of_mut(root);
        if !role.keys.contains(&key) {
            role.keys.push(key);
        }
    }
    Ok(())
}

fn set_thresholds(root: &mut Root, thresholds: &[Threshold]) {
    for Threshold { role, number } in thresholds {
        role.of_mut(root).threshold = *number;
    }
}

fn drop_key(root: &mut Root, id: &str) -> anyhow::Result<()> {
    ensure!(id.len() >= 4, "{id:?}: give at least 4 digits of the key's id");
    let mut found: Vec<String> = RoleName::ALL
        .iter()
        .flat_map(|role| role.keys_in(root).iter().map(|key| key.id().to_string()))
        .filter(|known| known.starts_with(id))
        .collect();
    found.sort();
    found.dedup();
    let [key] = found.as_slice() else {
        let how = if found.is_empty() { "no key" } else { "several keys" };
        anyhow::bail!(
            "{how} of root {} begin with {id}; `root show` lists them",
            root.version.saturating_sub(1)
        );
    };
    for role in RoleName::ALL.into_iter().filter(|role| role.of(root).is_some()).collect::<Vec<_>>() {
        role.of_mut(root).keys.retain(|known| known.id().to_string() != *key);
    }
    Ok(())
}
