//! The mail account, by flags or by questions: the same for `setup` and `enrol`.

use super::mail_servers::MailServers;
use super::questions::Questions;
use anyhow::{Context as _, bail};
use mailbox::login_arguments::LoginArguments;
use mailbox::provider::Provider;
use mailbox::{AccountSettings, Protocol, Security, Server};
use monitor_appliance::settings::is_mail_address;
use std::io::Read as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

const ADDRESS: &str = "Mail address of this appliance";

#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct AccountArguments {
    /// This appliance's mail address.
    #[arg(long)]
    pub(super) address: Option<String>,
    /// Login name at the mail servers; the mail address if not given.
    #[arg(long)]
    pub(super) user: Option<String>,
    /// File whose first line is the password, or the client secret for --oauth; it is copied. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// The mail provider, by its name: what it is known for fills in the servers that are not given. `mail providers list` names
    /// them.
    #[arg(long, value_name = "NAME", value_parser = known_provider)]
    pub(super) provider: Option<String>,
    /// Server for sending.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host)]
    pub(super) smtp: Option<Host>,
    /// Server for fetching by POP3.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host, conflicts_with = "imap")]
    pub(super) pop3: Option<Host>,
    /// Server for fetching by IMAP.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host)]
    pub(super) imap: Option<Host>,
    /// How the connections are protected; tls if not given.
    #[arg(long, value_enum)]
    pub(super) security: Option<Security>,
    /// How the connection for sending is protected, where it differs.
    #[arg(long, value_enum)]
    pub(super) smtp_security: Option<Security>,
    /// The server for sending takes mail without a login.
    #[arg(long)]
    pub(super) no_smtp_login: bool,
    /// Certificate authorities to trust besides the system's, PEM.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) login: LoginArguments,
}

/// The usual ports: sending, IMAP, POP3.
fn ports(security: Security) -> (u16, u16, u16) {
    match security {
        Security::Tls => (465, 993, 995),
        Security::StartTls | Security::Plain => (587, 143, 110),
    }
}

/// A server as it is given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Host {
    name: String,
    port: u16,
}

impl TryFrom<String> for Host {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_host(&text)
    }
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

fn known_provider(name: &str) -> Result<String, String> {
    let unknown = || "`mail providers list` names the known ones".to_owned();
    mailbox::provider::named(name).map(|provider| provider.name.clone()).ok_or_else(unknown)
}

/// A check for questions: whether it is a mail address.
pub(super) fn check_mail_address(text: &str) -> Result<(), String> {
    is_mail_address(text).then_some(()).ok_or_else(|| "write local@domain".to_owned())
}

impl AccountArguments {
    fn is_given(&self) -> bool {
        self.address.is_some()
            || self.user.is_some()
            || self.provider.is_some()
            || self.smtp.is_some()
            || self.pop3.is_some()
            || self.imap.is_some()
    }

    /// Whether a server, its protection, or a login is named: then nothing is guessed.
    pub(super) fn names_servers(&self) -> bool {
        self.user.is_some()
            || self.provider.is_some()
            || self.smtp.is_some()
            || self.pop3.is_some()
            || self.imap.is_some()
            || self.security.is_some()
            || self.smtp_security.is_some()
            || self.no_smtp_login
    }

    /// Counts what was typed as flags.
    pub(super) fn note_flags(&self, questions: &Questions) {
        let servers = [&self.smtp, &self.pop3, &self.imap].into_iter().filter(|host| host.is_some()).count();
        let names = [&self.address, &self.user].into_iter().filter(|name| name.is_some()).count();
        (0..servers + names).for_each(|_| questions.note_typed());
    }

    /// These flags for another try with questions: what did not work is asked for again.
    pub(super) fn for_another_try(&self, tried: &AccountSettings) -> Self {
        let mixed = tried.smtp.security != tried.fetch_server.security;
        Self {
            smtp_security: if mixed { Some(tried.smtp.security) } else { self.smtp_security },
            no_smtp_login: self.no_smtp_login,
            ca_file: self.ca_file.clone(),
            login: self.login.clone(),
            ..Self::default()
        }
    }

    /// This appliance's mail address: the one given, else asked for.
    pub(super) fn mail_address(&self, questions: &Questions) -> anyhow::Result<String> {
        match &self.address {
            Some(address) => Ok(address.clone()),
            None => questions.ask(ADDRESS, check_mail_address),
        }
    }

    /// The account on servers that were found by its address, which is its login too.
    pub(super) fn on_servers(
        &self,
        address: String,
        servers: &MailServers,
    ) -> anyhow::Result<AccountSettings> {
        Ok(AccountSettings {
            name: "main".to_owned(),
            username: address.clone(),
            address,
            smtp: servers.smtp.clone(),
            fetch: servers.fetch,
            fetch_server: servers.fetch_server.clone(),
            ca_file: self.ca_file()?,
            hello_name: None,
            smtp_login: true,
            mail_octets_max: None,
            provider: None,
            limits: Default::default(),
            login: self.login.login()?.unwrap_or_default(),
        })
    }

    fn ca_file(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(file) = &self.ca_file else { return Ok(None) };
        let unreadable = || format!("cannot read the certificate authorities {}", file.display());
        std::fs::File::open(file).with_context(unreadable)?;
        Ok(Some(std::path::absolute(file).with_context(unreadable)?))
    }

    /// The account: what is given, else what was set up before, else what is asked for; `tried` is what did not work just
    /// now, to be corrected. `None` if nothing of it is given and it is not needed.
    pub(super) fn account(
        &self,
        before: Option<&AccountSettings>,
        tried: Option<&AccountSettings>,
        needed: bool,
        questions: &Questions,
    ) -> anyhow::Result<Option<AccountSettings>> {
        let asked = needed && questions.possible();
        if !self.is_given() && !asked {
            return Ok(None);
        }
        let known = self.address.clone().or_else(|| before.map(|account| account.address.clone()));
        let address = match (known, tried) {
            (Some(known), _) => known,
            (None, Some(tried)) if questions.possible() => {
                questions.ask_or(ADDRESS, &tried.address, check_mail_address)?
            }
            (None, _) if questions.possible() => questions.ask(ADDRESS, check_mail_address)?,
            (None, _) => bail!("--address is missing"),
        };
        let username = match (&self.user, before) {
            (Some(user), _) => user.clone(),
            (None, Some(before)) => before.username.clone(),
            (None, None) if asked => {
                let usual = tried.map_or(&address, |tried| &tried.username);
                questions.ask_or("Login name at the mail servers", usual, |_| Ok(()))?
            }
            (None, None) => address.clone(),
        };
        let security = match self.security {
            Some(security) => security,
            None if asked && before.is_none() && self.provider.is_none() => ask_protection(questions)?,
            None => Security::Tls,
        };
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let smtp = self.smtp_server(before, tried, security, domain, questions)?;
        let (fetch, fetch_server) = self.fetch_server(before, tried, security, domain, questions)?;
        let ca_file = match self.ca_file()? {
            Some(file) => Some(file),
            None => before.and_then(|account| account.ca_file.clone()),
        };
        Ok(Some(AccountSettings {
            name: before.map_or_else(|| "main".to_owned(), |account| account.name.clone()),
            address,
            username,
            smtp,
            fetch,
            fetch_server,
            ca_file,
            hello_name: before.and_then(|account| account.hello_name.clone()),
            smtp_login: !self.no_smtp_login && before.is_none_or(|account| account.smtp_login),
            mail_octets_max: None,
            provider: self.provider.clone().or_else(|| before.and_then(|account| account.provider.clone())),
            limits: before.map(|account| account.limits.clone()).unwrap_or_default(),
            login: match self.login.login()? {
                Some(login) => login,
                None => before.map(|account| account.login.clone()).unwrap_or_default(),
            },
        }))
    }

    /// What is known of the provider that was named.
    fn profile(&self) -> Option<&'static Provider> {
        mailbox::provider::named(self.provider.as_deref()?)
    }

    fn smtp_server(
        &self,
        before: Option<&AccountSettings>,
        tried: Option<&AccountSettings>,
        security: Security,
        domain: &str,
        questions: &Questions,
    ) -> anyhow::Result<Server> {
        let security = self.smtp_security.unwrap_or(security);
        match (&self.smtp, before) {
            (Some(host), _) => Ok(server(host.clone(), security)),
            (None, _) if self.profile().is_some_and(|provider| provider.smtp.is_some()) => {
                self.profile().and_then(|provider| provider.smtp.clone()).context("--smtp is missing")
            }
            (None, Some(before)) => Ok(before.smtp.clone()),
            (None, None) if questions.possible() => {
                let usual = tried
                    .map(|tried| &tried.smtp)
                    .filter(|server| server.security == security)
                    .map_or_else(|| format!("smtp.{domain}:{}", ports(security).0), written);
                Ok(server(ask_host(questions, "Server for sending (SMTP), HOST:PORT", &usual)?, security))
            }
            (None, None) => bail!("--smtp is missing"),
        }
    }

    fn fetch_server(
        &self,
        before: Option<&AccountSettings>,
        tried: Option<&AccountSettings>,
        security: Security,
        domain: &str,
        questions: &Questions,
    ) -> anyhow::Result<(Protocol, Server)> {
        match (&self.pop3, &self.imap, before) {
            (Some(host), _, _) => Ok((Protocol::Pop3, server(host.clone(), security))),
            (None, Some(host), _) => Ok((Protocol::Imap, server(host.clone(), security))),
            (None, None, _)
                if self.profile().is_some_and(|provider| provider.preferred_fetch().is_some()) =>
            {
                let found = self.profile().and_then(Provider::preferred_fetch);
                found
                    .map(|(protocol, server)| (protocol, server.clone()))
                    .context("--pop3 or --imap is missing")
            }
            (None, None, Some(before)) => Ok((before.fetch, before.fetch_server.clone())),
            (None, None, None) if questions.possible() => {
                let protocols = [(Protocol::Imap, "IMAP"), (Protocol::Pop3, "POP3")];
                let protocol = questions.choose("Fetching by", &protocols)?.unwrap_or(Protocol::Imap);
                let (_, imap, pop3) = ports(security);
                let same =
                    tried.filter(|tried| tried.fetch == protocol && tried.fetch_server.security == security);
                let usual = match (same, protocol) {
                    (Some(tried), _) => written(&tried.fetch_server),
                    (None, Protocol::Imap) => format!("imap.{domain}:{imap}"),
                    (None, Protocol::Pop3) => format!("pop.{domain}:{pop3}"),
                };
                let host = ask_host(questions, "Server for fetching, HOST:PORT", &usual)?;
                Ok((protocol, server(host, security)))
            }
            (None, None, None) => bail!("--pop3 or --imap is missing"),
        }
    }

    /// The password: from the file given, else asked for if it is needed.
    pub(super) fn password(
        &self,
        needed: bool,
        questions: &Questions,
    ) -> anyhow::Result<Option<Zeroizing<String>>> {
        let mut text = Zeroizing::new(String::new());
        let limit = u64::try_from(mailbox::Password::OCTETS_MAX + 2)?;
        match &self.password_file {
            Some(path) if path.as_os_str() == "-" => {
                std::io::stdin().take(limit).read_to_string(&mut text).context("cannot read the password")?;
            }
            Some(path) => {
                std::fs::File::open(path)
                    .and_then(|file| file.take(limit).read_to_string(&mut text))
                    .with_context(|| format!("cannot read the password file {}", path.display()))?;
            }
            None if needed && questions.possible() => {
                return questions.ask_secret("Password of the mailbox").map(Some);
            }
            None => return Ok(None),
        }
        questions.note_typed();
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            bail!("the password is empty");
        }
        Ok(Some(Zeroizing::new(line.to_owned())))
    }
}

/// As it is typed.
fn written(server: &Server) -> String {
    match server.host.contains(':') {
        true => format!("[{}]:{}", server.host, server.port),
        false => format!("{}:{}", server.host, server.port),
    }
}

fn server(host: Host, protection: Security) -> Server {
    Server { host: host.name, port: host.port, security: protection }
}

fn ask_host(questions: &Questions, prompt: &str, usual: &str) -> anyhow::Result<Host> {
    let text = questions.ask_or(prompt, usual, |text| parse_host(text).map(|_| ()))?;
    parse_host(&text).map_err(|error| anyhow::anyhow!("{error}"))
}

fn ask_protection(questions: &Questions) -> anyhow::Result<Security> {
    let choices = [
        (Security::Tls, "TLS"),
        (Security::StartTls, "STARTTLS"),
        (Security::Plain, "none (only on this machine or in a closed network)"),
    ];
    Ok(questions.choose("Protection of the connections", &choices)?.unwrap_or(Security::Tls))
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
