//! `monitor-appliance setup`: takes flags, asks for what is missing when somebody sits at the terminal.

use super::Output;
use super::device::parse_entry;
use anyhow::{Context as _, bail};
use dialoguer::{Input, Password as PasswordPrompt, Select};
use mailbox::{AccountSettings, Protocol, Security, Server};
use mailfmt::{Introduction, ModuleVersion, SoftwareVersion};
use monitor_appliance::settings::{DeviceEntry, is_mail_address};
use monitor_appliance::setup::{Answers, Done, Existing, FirstRelease, set_up};
use monitor_appliance::{Layout, Settings};
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most octets read of an introduction file.
const INTRODUCTION_OCTETS_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file that the center wrote for this appliance. It holds a secret: delete it afterwards.
    #[arg(long, value_name = "FILE")]
    introduction: Option<PathBuf>,
    /// This appliance's mail address.
    #[arg(long)]
    address: Option<String>,
    /// Login name at the mail servers; the mail address if not given.
    #[arg(long)]
    user: Option<String>,
    /// File whose first line is the password; it is copied. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Server for sending.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host)]
    smtp: Option<Host>,
    /// Server for fetching by POP3.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host, conflicts_with = "imap")]
    pop3: Option<Host>,
    /// Server for fetching by IMAP.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host)]
    imap: Option<Host>,
    /// How the connections are protected; tls if not given.
    #[arg(long, value_enum)]
    security: Option<Protection>,
    /// How the connection for sending is protected, where it differs.
    #[arg(long, value_enum)]
    smtp_security: Option<Protection>,
    /// The server for sending takes mail without a login.
    #[arg(long)]
    no_smtp_login: bool,
    /// Certificate authorities to trust besides the system's, PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A device to watch; may be given several times. SNMPv1 and SNMPv3 are written into appliance.toml.
    #[arg(long = "device", value_name = "ADDRESS[,COMMUNITY]", value_parser = parse_entry)]
    devices: Vec<DeviceEntry>,
    /// Folder of the programs of the first release; the folder of this program if not given.
    #[arg(long, value_name = "DIR")]
    from_release: Option<PathBuf>,
    /// Software version of the first release, where the folder has no release.json.
    #[arg(long, value_parser = parse_software, default_value = concat!(env!("CARGO_PKG_VERSION"), "-1"))]
    software_version: SoftwareVersion,
    /// Version of the base image, where the folder has no release.json; the system's own if not given.
    #[arg(long, value_parser = parse_module)]
    rom_version: Option<ModuleVersion>,
    /// Put no programs in place.
    #[arg(long, conflicts_with = "from_release")]
    no_release: bool,
    /// Replace what is there: the credential, the identity, the running release.
    #[arg(long)]
    replace: bool,
    /// Never ask; fail where something is missing.
    #[arg(long)]
    no_questions: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Protection {
    /// TLS from the first octet.
    Tls,
    /// STARTTLS or STLS before the login.
    Starttls,
    /// None: only for a server on this machine or a closed network.
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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: String,
    port: u16,
}

fn parse_host(text: &str) -> Result<Host, String> {
    let wrong = || "write HOST:PORT, an IPv6 address in brackets".to_owned();
    let (name, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if name.is_empty() || name.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err(wrong());
    }
    Ok(Host { name: name.to_owned(), port: port.parse().map_err(|_| wrong())? })
}

fn parse_software(text: &str) -> Result<SoftwareVersion, String> {
    SoftwareVersion::new(text).map_err(|error| error.to_string())
}

fn parse_module(text: &str) -> Result<ModuleVersion, String> {
    ModuleVersion::new(text).map_err(|error| error.to_string())
}

/// What was set up.
#[derive(Debug, serde::Serialize)]
pub(super) struct SetUp {
    root: PathBuf,
    #[serde(flatten)]
    done: Done,
}

pub(super) fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<SetUp> {
    let layout = Layout::new(root);
    let first_time = !layout.settings_file().exists();
    let may_ask = !arguments.no_questions && std::io::stdin().is_terminal();
    let existing = if arguments.replace { Existing::Replace } else { Existing::Keep };
    let answers = Answers {
        introduction: introduction(arguments, first_time, may_ask)?,
        account: account(arguments, &layout, first_time, may_ask)?,
        password: password(arguments, first_time, may_ask)?,
        devices: devices(arguments, first_time, may_ask)?,
        release: release(arguments)?,
    };
    let done = set_up(&layout, &answers, existing)?;
    Ok(SetUp { root: root.to_owned(), done })
}

fn introduction(
    arguments: &Arguments,
    first_time: bool,
    may_ask: bool,
) -> anyhow::Result<Option<Introduction>> {
    let path = match &arguments.introduction {
        Some(path) => path.clone(),
        None if first_time && may_ask => {
            PathBuf::from(ask("Introduction, the file from the center", |text| {
                match Path::new(text).is_file() {
                    true => Ok(()),
                    false => Err("there is no such file".to_owned()),
                }
            })?)
        }
        None => return Ok(None),
    };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(&path)
        .and_then(|file| file.take(INTRODUCTION_OCTETS_MAX).read_to_string(&mut text))
        .with_context(|| format!("cannot read the introduction {}", path.display()))?;
    // The parser's own message would quote the line, and with it the secret.
    toml::from_str(&text).map(Some).map_err(|error| {
        let message = error.message().to_owned();
        anyhow::anyhow!("{} is not an introduction written by the center: {message}", path.display())
    })
}

fn account(
    arguments: &Arguments,
    layout: &Layout,
    first_time: bool,
    may_ask: bool,
) -> anyhow::Result<Option<AccountSettings>> {
    let before = Settings::load(&layout.settings_file())
        .ok()
        .and_then(|settings| settings.accounts.into_iter().next())
        .map(|entry| entry.account);
    let given = arguments.address.is_some()
        || arguments.user.is_some()
        || arguments.smtp.is_some()
        || arguments.pop3.is_some()
        || arguments.imap.is_some();
    let asked = first_time && may_ask;
    if !given && !asked {
        return Ok(None);
    }
    let known = arguments.address.clone().or_else(|| before.as_ref().map(|account| account.address.clone()));
    let address = match known {
        Some(known) => known,
        None if may_ask => ask("Mail address of this appliance", |text| {
            is_mail_address(text).then_some(()).ok_or_else(|| "write local@domain".to_owned())
        })?,
        None => bail!("--address is missing"),
    };
    let username = match (&arguments.user, &before) {
        (Some(user), _) => user.clone(),
        (None, Some(before)) => before.username.clone(),
        (None, None) if asked => Input::new()
            .with_prompt("Login name at the mail servers")
            .default(address.clone())
            .interact_text()?,
        (None, None) => address.clone(),
    };
    let server = |host: Host, protection: Protection| Server {
        host: host.name,
        port: host.port,
        security: protection.into(),
    };
    let ask_host = |prompt: &str| -> anyhow::Result<Host> {
        let text = ask(prompt, |text| parse_host(text).map(|_| ()))?;
        parse_host(&text).map_err(|error| anyhow::anyhow!("{error}"))
    };
    let security = match arguments.security {
        Some(security) => security,
        None if asked => ask_protection()?,
        None => Protection::Tls,
    };
    let smtp_security = arguments.smtp_security.unwrap_or(security);
    let smtp = match (&arguments.smtp, &before) {
        (Some(host), _) => server(host.clone(), smtp_security),
        (None, Some(before)) => before.smtp.clone(),
        (None, None) if may_ask => server(ask_host("Server for sending (SMTP), HOST:PORT")?, smtp_security),
        (None, None) => bail!("--smtp is missing"),
    };
    let (fetch, fetch_server) = match (&arguments.pop3, &arguments.imap, &before) {
        (Some(host), _, _) => (Protocol::Pop3, server(host.clone(), security)),
        (None, Some(host), _) => (Protocol::Imap, server(host.clone(), security)),
        (None, None, Some(before)) => (before.fetch, before.fetch_server.clone()),
        (None, None, None) if may_ask => {
            let protocols = [Protocol::Imap, Protocol::Pop3];
            let choice =
                Select::new().with_prompt("Fetching by").items(["IMAP", "POP3"]).default(0).interact()?;
            let protocol = protocols.get(choice).copied().unwrap_or(Protocol::Imap);
            (protocol, server(ask_host("Server for fetching, HOST:PORT")?, security))
        }
        (None, None, None) => bail!("--pop3 or --imap is missing"),
    };
    let ca_file = match &arguments.ca_file {
        Some(file) => {
            let unreadable = || format!("cannot read the certificate authorities {}", file.display());
            std::fs::File::open(file).with_context(unreadable)?;
            Some(std::path::absolute(file).with_context(unreadable)?)
        }
        None => before.as_ref().and_then(|account| account.ca_file.clone()),
    };
    Ok(Some(AccountSettings {
        name: before.as_ref().map_or_else(|| "main".to_owned(), |account| account.name.clone()),
        address,
        username,
        smtp,
        fetch,
        fetch_server,
        ca_file,
        hello_name: before.as_ref().and_then(|account| account.hello_name.clone()),
        smtp_login: !arguments.no_smtp_login && before.as_ref().is_none_or(|account| account.smtp_login),
    }))
}

/// Asks until the answer is accepted.
fn ask(prompt: &str, check: impl Fn(&str) -> Result<(), String>) -> anyhow::Result<String> {
    let prompt = Input::<String>::new().with_prompt(prompt);
    Ok(prompt.validate_with(|text: &String| check(text)).interact_text()?)
}

fn ask_protection() -> anyhow::Result<Protection> {
    let choices = [Protection::Tls, Protection::Starttls, Protection::Plain];
    let choice = Select::new()
        .with_prompt("Protection of the connections")
        .items(["TLS", "STARTTLS", "none (only on this machine or in a closed network)"])
        .default(0)
        .interact()?;
    Ok(choices.get(choice).copied().unwrap_or(Protection::Tls))
}

fn password(
    arguments: &Arguments,
    first_time: bool,
    may_ask: bool,
) -> anyhow::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    let limit = u64::try_from(mailbox::Password::OCTETS_MAX + 2)?;
    match &arguments.password_file {
        Some(path) if path.as_os_str() == "-" => {
            std::io::stdin().take(limit).read_to_string(&mut text).context("cannot read the password")?;
        }
        Some(path) => {
            std::fs::File::open(path)
                .and_then(|file| file.take(limit).read_to_string(&mut text))
                .with_context(|| format!("cannot read the password file {}", path.display()))?;
        }
        None if first_time && may_ask => {
            return Ok(Some(Zeroizing::new(
                PasswordPrompt::new().with_prompt("Password of the mailbox").interact()?,
            )));
        }
        None => return Ok(None),
    }
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("the password is empty");
    }
    Ok(Some(Zeroizing::new(line.to_owned())))
}

fn devices(arguments: &Arguments, first_time: bool, may_ask: bool) -> anyhow::Result<Vec<DeviceEntry>> {
    if !arguments.devices.is_empty() || !first_time || !may_ask {
        return Ok(arguments.devices.clone());
    }
    let mut devices = Vec::new();
    loop {
        let text: String = Input::new()
            .with_prompt("A device to watch, ADDRESS or ADDRESS,COMMUNITY; empty when done")
            .allow_empty(true)
            .validate_with(|text: &String| match text.as_str() {
                "" => Ok(()),
                text => parse_entry(text).map(|_| ()),
            })
            .interact_text()?;
        if text.is_empty() {
            return Ok(devices);
        }
        devices.extend(parse_entry(&text).ok());
    }
}

fn release(arguments: &Arguments) -> anyhow::Result<Option<FirstRelease>> {
    if arguments.no_release {
        return Ok(None);
    }
    let folder = match &arguments.from_release {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()
            .ok()
            .and_then(|program| program.parent().map(Path::to_owned))
            .context("cannot tell where this program lies; use --from-release DIR")?,
    };
    Ok(Some(FirstRelease {
        folder,
        software: arguments.software_version.clone(),
        module: ModuleVersion::new(env!("CARGO_PKG_VERSION"))?,
        rom: match &arguments.rom_version {
            Some(version) => version.clone(),
            None => base_image_version()?,
        },
    }))
}

/// The version of the operating system as it names itself (os-release(5)), else 0.
fn base_image_version() -> anyhow::Result<ModuleVersion> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_ID="))
        .and_then(|version| ModuleVersion::new(version.trim_matches('"')).ok());
    version.map_or_else(|| Ok(ModuleVersion::new("0")?), Ok)
}

impl Output for SetUp {
    fn text(&self) -> String {
        let mut text = String::new();
        for path in &self.done.written {
            text += &format!("written  {}\n", path.display());
        }
        for path in &self.done.kept {
            text += &format!("kept     {}\n", path.display());
        }
        text += &format!(
            "\nNext: `monitor-appliance --root {root} doctor` says whether everything works;\n\
             {root}/current/supervisor --root {root} runs the appliance.\n",
            root = self.root.display()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::parse_host;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        assert_eq!(parse_host("mail.example:465").unwrap().port, 465);
        assert_eq!(parse_host("[::1]:995").unwrap().name, "::1");
        for wrong in ["mail.example", ":25", "mail.example:port", "mail.example:99999", "a b:1", ""] {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
    }
}
