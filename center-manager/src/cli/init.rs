//! `center-manager init`.

use super::{Context, Exit, WrongUse};
use crate::db::Db;
use crate::home::{self, Home};
use crate::keys;
use crate::roots;
use crate::settings::SettingsFile;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;
use mailbox::provider::Provider;
use mailbox::{AccountSettings, Password, Protocol, Security, Server};
use mailfmt::CenterId;
use mailfmt::trust::{Role, Root, SignedRoot, SigningKey};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// Days until the root of a quick start expires.
const ROOT_DAYS: i64 = 730;

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
    /// The mail provider, by its name: what it is known for fills in the servers that are not given. `mail providers list` names
    /// them.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// SMTP server, HOST or HOST:PORT; the usual port of its protection if none is given.
    #[arg(long, value_name = "HOST[:PORT]", required_unless_present = "provider")]
    pub smtp: Option<String>,
    /// IMAP server to fetch from; this or --pop3.
    #[arg(long, value_name = "HOST[:PORT]", required_unless_present_any = ["pop3", "provider"], conflicts_with = "pop3")]
    pub imap: Option<String>,
    /// POP3 server to fetch from.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub pop3: Option<String>,
    /// How the connections are protected.
    #[arg(long, value_enum, default_value_t = Security::Tls)]
    pub security: Security,
    /// How the connection for sending is protected, where it differs.
    #[arg(long, value_enum)]
    pub smtp_security: Option<Security>,
    /// `password` for the strongest mechanism that the server offers, or one that it must offer: scram-sha-256, scram-sha-1,
    /// cram-md5, plain, login. For access tokens: `account login` afterwards.
    #[arg(long, value_name = "MECHANISM", value_parser = mailbox::Login::by_password, default_value = "password")]
    pub login: mailbox::Login,
    /// The SMTP server takes mail without a login.
    #[arg(long)]
    pub no_smtp_login: bool,
    /// Further certificate authorities to trust, PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Seconds between two looks for mail.
    #[arg(long, value_name = "SECONDS")]
    pub poll_secs: Option<u64>,
    /// Make no root and release keys, only the command key; a root that names it is brought later with `root add`.
    #[arg(long, conflicts_with = "root")]
    pub no_release_key: bool,
    /// Begin with these roots, made by `root create` on another machine; no root and release keys are made.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// The command key that the roots name; a new one is made if not given.
    #[arg(long, value_name = "FILE", requires = "root")]
    pub command_key: Option<PathBuf>,
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
    let trust = Trust::of(args)?;
    home.create_folders()?;
    if let Some(octets) = password {
        let password = home.password_file(1);
        home::write_secret(&password, &octets)?;
        // Read back at once: a wrong file is better found now than by the daemon.
        Password::from_file(&password)?;
    }
    Db::create(&home.database())?;
    let mut told = Vec::new();
    trust.put(home, &args.center, &mut told)?;
    // The settings come last: a home with settings is a whole one.
    home::write_whole(&home.settings_file(), text.as_bytes())?;
    writeln!(out, "Made {}", home.root().display())?;
    if args.password_file.is_none() {
        writeln!(out, "Now write the mail password into {} (chmod 600)", home.password_file(1).display())?;
    }
    out.write_all(&told)?;
    writeln!(out, "Then: center-manager doctor")?;
    Ok(Exit::Done)
}

/// The text of `center.toml`, checked as it will be checked when it is read.
fn settings(args: &InitArgs) -> anyhow::Result<String> {
    let provider = match args.provider.as_deref().map(|name| (name, mailbox::provider::named(name))) {
        Some((name, None)) => {
            let text =
                format!("no mail provider is called {name:?}; `mail providers list` names the known ones");
            return Err(WrongUse(text).into());
        }
        Some((_, found)) => found,
        None => None,
    };
    let missing = |flags: &str| WrongUse(format!("give {flags}"));
    let fetch = match (&args.imap, &args.pop3) {
        (Some(_), _) => Protocol::Imap,
        (None, Some(_)) => Protocol::Pop3,
        (None, None) => {
            provider.and_then(Provider::preferred_fetch).ok_or_else(|| missing("--imap or --pop3"))?.0
        }
    };
    let smtp_security = args.smtp_security.unwrap_or(args.security);
    let smtp_port = match smtp_security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::Plain => 25,
    };
    let fetch_port = match (fetch, args.security) {
        (Protocol::Pop3, Security::Tls) => 995,
        (Protocol::Pop3, _) => 110,
        (Protocol::Imap, Security::Tls) => 993,
        (Protocol::Imap, _) => 143,
    };
    let account = AccountSettings {
        name: "main".to_owned(),
        address: args.address.clone(),
        username: args.user.clone().unwrap_or_else(|| args.address.clone()),
        smtp: match &args.smtp {
            Some(smtp) => server(smtp, smtp_port, smtp_security)?,
            None => provider.and_then(|known| known.smtp.clone()).ok_or_else(|| missing("--smtp"))?,
        },
        fetch,
        fetch_server: match args.imap.as_ref().or(args.pop3.as_ref()) {
            Some(given) => server(given, fetch_port, args.security)?,
            None => provider
                .and_then(|known| known.fetch(fetch).cloned())
                .ok_or_else(|| missing("--imap or --pop3"))?,
        },
        ca_file: args.ca_file.as_ref().map(std::path::absolute).transpose()?,
        hello_name: None,
        smtp_login: !args.no_smtp_login,
        mail_octets_max: None,
        provider: args.provider.clone(),
        limits: Default::default(),
        login: args.login.clone(),
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

fn server(text: &str, usual_port: u16, security: Security) -> Result<Server, WrongUse> {
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
    Ok(Server { host: host.to_owned(), port, security })
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

/// Which keys a new home begins with.
enum Trust {
    /// All of them: a quick start.
    Quick,
    /// A command key only; the roots are made elsewhere and come later.
    CommandKeyOnly,
    /// Roots that were made elsewhere, and perhaps the command key that they name.
    Brought(Vec<SignedRoot>, Option<Box<SigningKey>>),
}

impl Trust {
    fn of(args: &InitArgs) -> anyhow::Result<Self> {
        let key = args.command_key.as_deref().map(read_command_key).transpose()?;
        let Some(file) = &args.root else {
            return Ok(if args.no_release_key { Self::CommandKeyOnly } else { Self::Quick });
        };
        let (chain, trusted) = roots::read_trusted(file)?;
        let root = trusted.root();
        if root.center != args.center {
            return Err(WrongUse(format!("these roots are for center {}: --center {0}", root.center)).into());
        }
        if let Some(key) = &key
            && root.command.key(key.public().id()).is_none()
        {
            bail!("root {} does not name the command key {}", root.version, key.public().id());
        }
        Ok(Self::Brought(chain, key.map(Box::new)))
    }

    fn put(self, home: &Home, center: &CenterId, out: &mut dyn Write) -> anyhow::Result<()> {
        let make = |path: PathBuf| -> anyhow::Result<SigningKey> {
            let key = SigningKey::generate(&mut SystemRandom);
            keys::write_pair(&path, &key, None, &mut SystemRandom)?;
            Ok(key)
        };
        let public = keys::public_file(&home.command_key());
        match self {
            Self::Quick => {
                let (root_key, release, command) =
                    (make(home.root_key())?, make(home.release_key())?, make(home.command_key())?);
                let root = first_root(center, &root_key, &release, &command)?;
                roots::write_chain(&home.roots_file(), &[root])?;
                writeln!(out, "{QUICK_START}")?;
                writeln!(
                    out,
                    "    center-manager --home {} key move-out /media/STICK --passphrase",
                    home.root().display()
                )?;
            }
            Self::CommandKeyOnly => {
                make(home.command_key())?;
                writeln!(
                    out,
                    "Carry {} to the machine with the root key, name it there in a root (`root create --key command=...`),\n\
                     and bring the root here: center-manager root add FILE. Until then no appliance can be added.",
                    public.display()
                )?;
            }
            Self::Brought(chain, key) => {
                roots::write_chain(&home.roots_file(), &chain)?;
                match key {
                    Some(key) => keys::write_pair(&home.command_key(), &key, None, &mut SystemRandom)?,
                    None => {
                        make(home.command_key())?;
                        writeln!(
                            out,
                            "The roots do not name this center's new command key yet. On the machine with the root key:\n    \
                             center-manager root rotate --from FILE --add-key command={} --sign KEYFILE --out NEWFILE",
                            public.display()
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Said after a quick start.
const QUICK_START: &str = "\
WARNING: for a quick start, the private root and release keys lie in keys/ of this center. Whoever breaks into it can
put programs on the whole fleet. Before real appliances trust it, move them to a stick that lies in a safe:";

fn first_root(
    center: &CenterId,
    root_key: &SigningKey,
    release: &SigningKey,
    command: &SigningKey,
) -> anyhow::Result<SignedRoot> {
    let created = now();
    let root = Root {
        version: 1,
        center: center.clone(),
        created,
        expires: created.checked_add(SignedDuration::from_hours(24 * ROOT_DAYS))?,
        root: Role::of(root_key.public()),
        release: Role::of(release.public()),
        command: Role::of(command.public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    Ok(SignedRoot::unsigned(&root)?.sign(root_key)?)
}

/// The daemon uses it when nobody is there, so it can have no passphrase.
fn read_command_key(path: &Path) -> anyhow::Result<SigningKey> {
    let file = keys::read_private(path)?;
    file.open(None).with_context(|| format!("{} can be no command key", path.display()))
}
