//! `center-manager init`.

use super::{Context, Exit, WrongUse};
use crate::db::Db;
use crate::home::{self, Home};
use crate::roots;
use crate::settings::SettingsFile;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use mailbox::{AccountSettings, Password, Protocol, Security, Server};
use mailfmt::CenterId;
use mailfmt::trust::{Role, Root, SignedRoot, SigningKey};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// Longest password file read, in octets.
const PASSWORD_OCTETS_MAX: u64 = 4096;

/// What the new home shall be.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// This center's id, as it stands in messages.
    #[arg(long, default_value = "CENTER")]
    pub center: CenterId,
    /// Mail address that appliances write to.
    #[arg(long)]
    pub address: String,
    /// Login name at the mail servers; the address if not given.
    #[arg(long)]
    pub user: Option<String>,
    /// File with the password, or `-` for standard input; without it, write secrets/mail-1.password later.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// SMTP server, HOST or HOST:PORT; the usual port of its protection if none is given.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub smtp: String,
    /// IMAP server to fetch from; this or --pop3.
    #[arg(long, value_name = "HOST[:PORT]", required_unless_present = "pop3", conflicts_with = "pop3")]
    pub imap: Option<String>,
    /// POP3 server to fetch from.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub pop3: Option<String>,
    /// How the connections are protected.
    #[arg(long, value_enum, default_value_t = Protection::Tls)]
    pub security: Protection,
    /// How the connection for sending is protected, where it differs.
    #[arg(long, value_enum)]
    pub smtp_security: Option<Protection>,
    /// The SMTP server takes mail without a login.
    #[arg(long)]
    pub no_smtp_login: bool,
    /// Further certificate authorities to trust, PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Seconds between two looks for mail.
    #[arg(long, value_name = "SECONDS")]
    pub poll_secs: Option<u64>,
    /// Make no release key; put the public half of yours into keys/NAME.pub.
    #[arg(long)]
    pub no_release_key: bool,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protection {
    /// TLS from the first octet.
    Tls,
    /// STARTTLS or STLS before the login.
    Starttls,
    /// None: password and mail travel readable.
    Plain,
}

impl From<Protection> for Security {
    fn from(protection: Protection) -> Self {
        match protection {
            Protection::Tls => Self::Tls,
            Protection::Starttls => Self::StartTls,
            Protection::Plain => Self::Plain,
        }
    }
}

pub(super) fn run(args: &InitArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let home = &context.home;
    if home.settings_file().exists() {
        bail!(
            "{} is a center's home already; edit {}",
            home.root().display(),
            home.settings_file().display()
        );
    }
    let text = settings(args)?;
    let password = args.password_file.as_deref().map(read_password).transpose()?;
    home.create_folders()?;
    if let Some(octets) = password {
        let password = home.password_file(1);
        home::write_secret(&password, &octets)?;
        // Read back at once: a wrong file is better found now than by the daemon.
        Password::from_file(&password)?;
    }
    Db::create(&home.database())?;
    if !args.no_release_key {
        make_keys(home, &args.center)?;
    }
    // The settings come last: a home with settings is a whole one.
    home::write_whole(&home.settings_file(), text.as_bytes())?;
    writeln!(out, "Made {}", home.root().display())?;
    if args.password_file.is_none() {
        writeln!(out, "Now write the mail password into {} (chmod 600)", home.password_file(1).display())?;
    }
    if args.no_release_key {
        writeln!(out, "Now put the public half of your release key into {}/NAME.pub", home.keys().display())?;
    } else {
        writeln!(out, "Keep a copy of {} in a safe place", home.release_key().display())?;
    }
    writeln!(out, "Then: center-manager doctor")?;
    Ok(Exit::Done)
}

/// The text of `center.toml`, checked as it will be checked when it is read.
fn settings(args: &InitArgs) -> anyhow::Result<String> {
    let (fetch, fetch_server) = match (&args.imap, &args.pop3) {
        (Some(server), _) => (Protocol::Imap, server),
        (None, Some(server)) => (Protocol::Pop3, server),
        (None, None) => return Err(WrongUse("give --imap or --pop3".to_owned()).into()),
    };
    let smtp_security = args.smtp_security.unwrap_or(args.security);
    let smtp_port = match smtp_security {
        Protection::Tls => 465,
        Protection::Starttls => 587,
        Protection::Plain => 25,
    };
    let fetch_port = match (fetch, args.security) {
        (Protocol::Pop3, Protection::Tls) => 995,
        (Protocol::Pop3, _) => 110,
        (Protocol::Imap, Protection::Tls) => 993,
        (Protocol::Imap, _) => 143,
    };
    let account = AccountSettings {
        name: "main".to_owned(),
        address: args.address.clone(),
        username: args.user.clone().unwrap_or_else(|| args.address.clone()),
        smtp: server(&args.smtp, smtp_port, smtp_security)?,
        fetch,
        fetch_server: server(fetch_server, fetch_port, args.security)?,
        ca_file: args.ca_file.as_ref().map(std::path::absolute).transpose()?,
        hello_name: None,
        smtp_login: !args.no_smtp_login,
    };
    let file =
        SettingsFile { poll_secs: args.poll_secs, ..SettingsFile::new(&args.center, &args.address, account) };
    let text = toml::to_string(&file).context("cannot write the settings")?;
    file.check().map_err(|error| WrongUse(crate::serve::chain(&error)))?;
    if let Some(file) = &args.ca_file {
        std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text)
}

fn server(text: &str, usual_port: u16, security: Protection) -> Result<Server, WrongUse> {
    let (host, port) = match text.rsplit_once(':') {
        // More than one colon without brackets is a bare IPv6 address.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| WrongUse(format!("{port:?} in {text:?} is no port number")))?)
        }
        _ => (text, usual_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(WrongUse(format!("{text:?} names no host")));
    }
    Ok(Server { host: host.to_owned(), port, security: security.into() })
}

fn read_password(file: &Path) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut octets = zeroize::Zeroizing::new(Vec::new());
    if file == Path::new("-") {
        std::io::stdin()
            .take(PASSWORD_OCTETS_MAX)
            .read_to_end(&mut octets)
            .context("cannot read the password")?;
    } else {
        std::fs::File::open(file)
            .and_then(|opened| opened.take(PASSWORD_OCTETS_MAX).read_to_end(&mut octets))
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(octets)
}

fn make_keys(home: &Home, center: &CenterId) -> anyhow::Result<()> {
    let make = |path: PathBuf| -> anyhow::Result<SigningKey> {
        let key = SigningKey::generate(&mut SystemRandom);
        home::write_secret(&path, key.expose_pem().as_bytes())?;
        home::write_whole(&path.with_extension("pub"), format!("{}\n", key.public()).as_bytes())?;
        Ok(key)
    };
    let (root_key, release, command) =
        (make(home.root_key())?, make(home.release_key())?, make(home.command_key())?);
    let root = Root {
        version: 1,
        center: center.clone(),
        created: now(),
        expires: now() + SignedDuration::from_hours(24 * 730),
        root: Role::of(root_key.public()),
        release: Role::of(release.public()),
        command: Role::of(command.public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
    };
    roots::write_chain(&home.roots_file(), &[SignedRoot::unsigned(&root)?.sign(&root_key)?])?;
    Ok(())
}
