//! `center-manager dkim`: keys for DKIM signatures, and the DNS records that tell their public halves.

use super::{Context, Exit};
use crate::dkim::{Algorithm, DkimKey, DkimSettings, Signer};
use crate::home;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// Make a key, and say what belongs into the DNS and into the settings. Nothing is signed with it before it stands there.
    Keygen(KeygenArgs),
    /// Show the DNS records of the keys that the settings name.
    Show,
}

/// What to make.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Name of the key in the DNS; another one for every key, such as monitor2026.
    #[arg(long)]
    pub selector: String,
    /// The signing domain; that of the center's address if not given.
    #[arg(long)]
    pub domain: Option<String>,
    /// Kind of the key. RSA keys are made by the program `openssl`.
    #[arg(long, value_enum, default_value = "rsa")]
    pub algorithm: Algorithm,
    /// Bits of an RSA key.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(2048..=4096))]
    pub bits: u32,
}

pub(super) fn run(command: &DkimCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        DkimCommand::Keygen(args) => keygen(args, context, out),
        DkimCommand::Show => show(context, out),
    }
}

fn keygen(args: &KeygenArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let settings = context.settings()?;
    let own = settings.address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let entry = DkimSettings {
        domain: args.domain.clone().unwrap_or_else(|| own.to_owned()),
        selector: args.selector.clone(),
        key_file: None,
    };
    if let Some(allowed) = entry.fault(&settings.address) {
        bail!("{} with selector {} is not allowed; allowed is {allowed}", entry.domain, entry.selector);
    }
    let path = context.home.dkim_key(&entry);
    ensure!(!path.exists(), "{} exists; choose another selector for a new key", path.display());
    let pem = match args.algorithm {
        Algorithm::Ed25519 => DkimKey::new_ed25519().context("the system has no random numbers")?,
        Algorithm::Rsa => new_rsa(args.bits)?,
    };
    let key = DkimKey::parse(&pem).context("what was made is no key that DKIM could use")?;
    home::write_secret(&path, pem.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(out, "The key is {}.\n\n1. Put this into the DNS:\n", path.display())?;
    write_record(&Signer::new(&entry, key), out)?;
    writeln!(
        out,
        "\n2. When it can be looked up (`dig TXT {}._domainkey.{}`), put this into {} and start `serve` again:\n\n\
         [[dkim]]\ndomain = \"{}\"\nselector = \"{}\"",
        entry.selector,
        entry.domain,
        context.home.settings_file().display(),
        entry.domain,
        entry.selector
    )?;
    Ok(Exit::Done)
}

/// RSA keys need large primes, which nothing in this program can make; openssl is on every mail server.
fn new_rsa(bits: u32) -> anyhow::Result<Zeroizing<String>> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
        .stdin(Stdio::null())
        .output();
    let made = match made {
        Ok(made) => made,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("there is no program openssl to make an RSA key; install it, or take --algorithm ed25519")
        }
        Err(error) => return Err(error).context("cannot run openssl"),
    };
    ensure!(made.status.success(), "openssl made no key: {}", String::from_utf8_lossy(&made.stderr).trim());
    let text = String::from_utf8(made.stdout).ok().context("openssl wrote no key")?;
    Ok(Zeroizing::new(text))
}

fn show(context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let settings = context.settings()?;
    if settings.dkim.is_empty() {
        writeln!(
            out,
            "Mail is not signed: there is no [[dkim]] in the settings. `dkim keygen` makes a key."
        )?;
    }
    for signer in crate::serve::signers(&context.home, &settings)? {
        write_record(&signer, out)?;
    }
    Ok(Exit::Done)
}

/// As it stands in a zone file: a text of a record is made of strings of at most 255 octets (RFC 1035 section 3.3).
fn write_record(signer: &Signer, out: &mut dyn Write) -> std::io::Result<()> {
    let record = signer.record();
    let strings: Vec<_> = record
        .as_bytes()
        .chunks(250)
        .map(|chunk| format!("\"{}\"", String::from_utf8_lossy(chunk)))
        .collect();
    writeln!(out, "{}. IN TXT ( {} )", signer.record_name(), strings.join("\n    "))
}
