//! `center-manager key`: making, looking at, encrypting and taking away key files.

mod approve;

use super::passphrase::{Passphrases, new_passphrase};
use super::print::{self, Format};
use super::{Context, Exit, WrongUse};
use crate::home;
use crate::keys::{self, RoleName};
use crate::system::SystemRandom;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use mailfmt::trust::{KeyFile, Root, SigningKey};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key: FILE with the private half, and beside it the public half, NAME.pub. Needs no home.
    New(NewArgs),
    /// Approve a rollout with a key that never comes near the center: sign what `rollout approve --write` wrote. Needs no home.
    Approve(approve::ApproveArgs),
    /// List the keys of this center and those that its newest root names.
    List(ListArgs),
    /// Show the public half of a key file and what it may do.
    Show(ShowArgs),
    /// Give a key file another passphrase, or take it away. Needs no home.
    ChangePassphrase(ChangeArgs),
    /// Copy the private root, release and approval keys to a folder, such as a stick, and remove them from the center.
    MoveOut(MoveArgs),
}

/// What to make.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// What it will sign.
    #[arg(long, value_enum)]
    pub role: RoleName,
    /// File for the private half, such as root.pem.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Ask for a passphrase to encrypt it with.
    #[arg(long)]
    pub passphrase: bool,
    /// File with the passphrase, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
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

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A private or public key file.
    pub file: PathBuf,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to change.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The private key file.
    pub file: PathBuf,
    /// File with the present passphrase, or `-` for standard input; asked for if needed.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the new passphrase; asked for if not given.
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Leave it without a passphrase.
    #[arg(long)]
    pub no_passphrase: bool,
}

/// Where to.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The folder; it must exist and hold no files of these names.
    pub folder: PathBuf,
    /// Ask for a passphrase to encrypt the copies with.
    #[arg(long)]
    pub passphrase: bool,
    /// File with the passphrase of the copies, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A key as it is shown.
#[derive(Debug, serde::Serialize)]
struct Shown {
    id: String,
    public: String,
    /// What the newest root of the home lets it do.
    roles: Vec<RoleName>,
    /// Where the private half lies; absent if it is not on this center.
    file: Option<PathBuf>,
    /// Whether the private half has a passphrase.
    encrypted: Option<bool>,
}

pub(super) fn run(command: &KeyCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::New(args) => new(args, out),
        KeyCommand::Approve(args) => approve::run(args, out),
        KeyCommand::List(args) => list(args, context, out),
        KeyCommand::Show(args) => show(args, context, out),
        KeyCommand::ChangePassphrase(args) => change_passphrase(args, out),
        KeyCommand::MoveOut(args) => move_out(args, context, out),
    }
}

fn new(args: &NewArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let wants = args.passphrase || args.passphrase_file.is_some();
    if args.role == RoleName::Command && wants {
        let why = "a command key can have no passphrase: the daemon signs with it when nobody is there";
        return Err(WrongUse(why.to_owned()).into());
    }
    let public = keys::public_file(&args.out);
    ensure!(
        args.out != public,
        "{}: the private half needs another name, such as NAME.pem",
        args.out.display()
    );
    ensure!(!public.exists(), "{} is there already; choose another --out", public.display());
    let passphrase = new_passphrase(args.passphrase, args.passphrase_file.as_deref())?;
    let key = SigningKey::generate(&mut SystemRandom);
    keys::write_pair(&args.out, &key, passphrase.as_ref().map(|text| text.as_str()), &mut SystemRandom)?;
    let shown = Shown {
        id: key.public().id().to_string(),
        public: key.public().to_string(),
        roles: Vec::new(),
        file: Some(args.out.clone()),
        encrypted: Some(passphrase.is_some()),
    };
    if args.format == Format::Json {
        print::json(out, &shown)?;
        return Ok(Exit::Done);
    }
    writeln!(out, "Made {} key {}", args.role, shown.id)?;
    writeln!(
        out,
        "Secret  {}: keep it where nobody else gets at it, and a copy elsewhere",
        args.out.display()
    )?;
    writeln!(out, "Public  {}: goes into a root (`root create`, `root rotate`)", public.display())?;
    if args.role != RoleName::Command && passphrase.is_none() {
        writeln!(out, "note: it has no passphrase; `key change-passphrase` gives it one")?;
    }
    Ok(Exit::Done)
}

fn list(args: &ListArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let root = newest_root(context);
    let mut shown = Vec::new();
    for path in keys::private_files(&context.home.keys())? {
        shown.push(describe(&path, root.as_ref())?);
    }
    let named = root.iter().flat_map(|root| RoleName::ALL.map(|role| (root, role)));
    for (root, key) in named.flat_map(|(root, role)| role.keys_in(root).iter().map(move |key| (root, key))) {
        let id = key.id().to_string();
        if !shown.iter().any(|shown| shown.id == id) {
            let roles = RoleName::held_by(key, root);
            shown.push(Shown { id, public: key.to_string(), roles, file: None, encrypted: None });
        }
    }
    match args.format {
        Format::Json => print::json(out, &shown)?,
        Format::Text => {
            let rows = shown.iter().map(|key| {
                vec![
                    key.id.clone(),
                    roles(&key.roles),
                    key.file
                        .as_ref()
                        .map_or_else(|| "not here".to_owned(), |file| file.display().to_string()),
                    match key.encrypted {
                        None => "-",
                        Some(true) => "yes",
                        Some(false) => "no",
                    }
                    .to_owned(),
                ]
            });
            print::table(out, &["key", "may sign as", "private half", "passphrase"], rows)?;
        }
    }
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let shown = describe(&args.file, newest_root(context).as_ref())?;
    if args.format == Format::Json {
        print::json(out, &shown)?;
        return Ok(Exit::Done);
    }
    writeln!(out, "Key          {}", shown.id)?;
    writeln!(out, "Public half  {}", shown.public)?;
    writeln!(out, "May sign as  {}", roles(&shown.roles))?;
    let private = match shown.encrypted {
        None => "not in this file",
        Some(true) => "in this file, with a passphrase",
        Some(false) => "in this file, without a passphrase",
    };
    writeln!(out, "Private half {private}")?;
    Ok(Exit::Done)
}

fn change_passphrase(args: &ChangeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let key = Passphrases::read(args.passphrase_file.as_deref())?.open(&args.file)?;
    let new = match args.no_passphrase {
        true => None,
        false => new_passphrase(true, args.new_passphrase_file.as_deref())?,
    };
    let text = KeyFile::new(&key, new.as_ref().map(|text| text.as_str()), &mut SystemRandom).expose_pem();
    home::replace_secret(&args.file, text.as_bytes())?;
    let how = if new.is_some() { "a new passphrase" } else { "no passphrase any more" };
    writeln!(out, "{} has {how}", args.file.display())?;
    Ok(Exit::Done)
}

/// What was moved.
#[derive(Debug, serde::Serialize)]
struct Moved {
    key: String,
    roles: Vec<RoleName>,
    from: PathBuf,
    to: PathBuf,
}

fn move_out(args: &MoveArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (_, trusted) = context.home.roots()?;
    let found = keys::dangerous(&context.home.keys(), trusted.root())?;
    ensure!(
        !found.is_empty(),
        "no private root, release or approval key lies in {}",
        context.home.keys().display()
    );
    ensure!(args.folder.is_dir(), "{} is no folder", args.folder.display());
    let here = std::fs::canonicalize(context.home.root())?;
    if std::fs::canonicalize(&args.folder)?.starts_with(&here) {
        bail!("{} is part of the center; take a stick or another machine", args.folder.display());
    }
    let mut moves = Vec::new();
    for (from, roles) in found {
        let to = args.folder.join(from.file_name().context("a key file has a name")?);
        ensure!(!to.exists(), "{} is there already", to.display());
        moves.push((from, to, roles));
    }
    let passphrase = new_passphrase(args.passphrase, args.passphrase_file.as_deref())?;
    let open = Passphrases::read(None)?;
    let mut moved = Vec::new();
    for (from, to, roles) in moves {
        let key = copy(&open, &from, &to, passphrase.as_ref().map(|text| text.as_str()))?;
        moved.push(Moved { key, roles, from, to });
    }
    // All copies are whole before the first original goes.
    for Moved { from, .. } in &moved {
        std::fs::remove_file(from).with_context(|| format!("cannot remove {}", from.display()))?;
    }
    if args.format == Format::Json {
        print::json(out, &moved)?;
        return Ok(Exit::Done);
    }
    let rows = moved
        .iter()
        .map(|moved| vec![moved.key.clone(), roles(&moved.roles), moved.to.display().to_string()]);
    print::table(out, &["key", "may sign as", "now only in"], rows)?;
    writeln!(
        out,
        "Make a second copy and keep it elsewhere: without the root keys nobody can ever change whom the fleet trusts.\n\
         Backups of this center may still hold the keys; destroy those, or rotate the keys."
    )?;
    Ok(Exit::Done)
}

/// Copies a private key file and reads the copy back.
fn copy(open: &Passphrases, from: &Path, to: &Path, passphrase: Option<&str>) -> anyhow::Result<String> {
    let public = match passphrase {
        None => {
            let text = keys::read_private(from)?.expose_pem();
            home::write_secret(to, text.as_bytes())?;
            home::write_whole(&keys::public_file(to), format!("{}\n", keys::read_public(from)?).as_bytes())?;
            let (copied, original) = (keys::read_private(to)?.expose_pem(), text);
            ensure!(copied == original, "{} is not what was written into it", to.display());
            keys::read_public(from)?
        }
        Some(passphrase) => {
            let key = open.open(from)?;
            keys::write_pair(to, &key, Some(passphrase), &mut SystemRandom)?;
            let copied = keys::read_private(to)?.open(Some(passphrase))?.public();
            ensure!(copied == key.public(), "{} is not what was written into it", to.display());
            copied
        }
    };
    Ok(public.id().to_string())
}

fn describe(path: &Path, root: Option<&Root>) -> anyhow::Result<Shown> {
    let public = keys::read_public(path)?;
    let private = keys::read_private(path).ok();
    Ok(Shown {
        id: public.id().to_string(),
        public: public.to_string(),
        roles: root.map(|root| RoleName::held_by(&public, root)).unwrap_or_default(),
        encrypted: private.as_ref().map(KeyFile::is_encrypted),
        file: private.map(|_| path.to_owned()),
    })
}

fn newest_root(context: &Context) -> Option<Root> {
    context.home.roots().ok().map(|(_, trusted)| trusted.root().clone())
}

fn roles(roles: &[RoleName]) -> String {
    match roles {
        [] => "-".to_owned(),
        roles => roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
