//! How a mail account logs in: flags for `setup` and `enrol`, and `monitor-appliance account login`.

use super::Output;
use super::doctor::{Findings, examine_account};
use anyhow::{Context as _, bail};
use mailbox::oauth::{self, AccessToken, Flow, OAuth2Settings, Provider};
use mailbox::sasl::Mechanism;
use mailbox::{Account, Limits, Login};
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::{Context, mail_agent};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Change how an account logs in, store what it needs, and try it.
    Login(Arguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of the account; the first one if not given.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// File whose first line is the password, or the client secret for --oauth; it is copied. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    login: LoginArguments,
}

/// How to log in.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct LoginArguments {
    /// `password` for the strongest mechanism that the server offers, or one that it must offer: scram-sha-256, scram-sha-1,
    /// cram-md5, plain, login.
    #[arg(long, value_name = "MECHANISM", value_parser = Login::by_password, conflicts_with = "oauth")]
    login: Option<Login>,
    /// Log in by access tokens of this provider (OAuth 2.0); the password file then holds the client secret, if there is one.
    #[arg(long, value_enum, value_name = "PROVIDER", requires = "client_id")]
    oauth: Option<TokenProvider>,
    /// Microsoft's id or domain of the organisation.
    #[arg(long, value_name = "TENANT", requires = "oauth")]
    tenant: Option<String>,
    /// The application's id at the provider.
    #[arg(long, value_name = "ID", requires = "oauth")]
    client_id: Option<String>,
    /// How a token is come by; by the client secret if not given, for Google by a refresh token.
    #[arg(long, value_enum, value_name = "FLOW", requires = "oauth")]
    flow: Option<TokenFlow>,
    /// What the token is asked for, where it is not what the provider documents for mail.
    #[arg(long, value_name = "SCOPE", requires = "oauth")]
    scope: Option<String>,
    /// The token endpoint of another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    token_url: Option<String>,
    /// Where a sign-in by code begins at another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    device_url: Option<String>,
    /// File whose first line is a refresh token; it is copied.
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
    /// Sign in by code: shows a page and a code for a browser on any machine.
    #[arg(long, conflicts_with = "refresh_token_file")]
    sign_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenProvider {
    /// Microsoft 365.
    Microsoft,
    /// Google Workspace and Gmail.
    Google,
    /// Another one; needs --token-url.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenFlow {
    /// By the application's secret alone.
    ClientCredentials,
    /// By a refresh token of a person who has signed in.
    RefreshToken,
}

impl LoginArguments {
    /// The login that the flags name, if they name one.
    pub(super) fn login(&self) -> anyhow::Result<Option<Login>> {
        let (Some(provider), Some(client_id)) = (self.oauth, &self.client_id) else {
            return Ok(self.login.clone());
        };
        let by_person =
            provider == TokenProvider::Google || self.sign_in || self.refresh_token_file.is_some();
        let usual = if by_person { TokenFlow::RefreshToken } else { TokenFlow::ClientCredentials };
        let settings = OAuth2Settings {
            provider: match provider {
                TokenProvider::Microsoft => Provider::Microsoft,
                TokenProvider::Google => Provider::Google,
                TokenProvider::Other => Provider::Other,
            },
            flow: match self.flow.unwrap_or(usual) {
                TokenFlow::ClientCredentials => Flow::ClientCredentials,
                TokenFlow::RefreshToken => Flow::RefreshToken,
            },
            client_id: client_id.clone(),
            tenant: self.tenant.clone(),
            scope: self.scope.clone(),
            token_url: self.token_url.clone(),
            device_url: self.device_url.clone(),
            mechanism: None::<Mechanism>,
        };
        settings.endpoints()?;
        Ok(Some(Login::OAuth2(Box::new(settings))))
    }

    /// What has to be done once before the first login: a refresh token is taken over, or a person signs in.
    pub(super) async fn prepare(&self, account: &Account, limits: &Limits) -> anyhow::Result<()> {
        if let Some(file) = &self.refresh_token_file {
            let token = first_line(file, AccessToken::OCTETS_MAX)?;
            account.sign_in(limits, AccessToken::new(token.to_string())).await?;
        }
        if self.sign_in {
            let prompt = oauth::device::begin(account, limits).await.map_err(with_advice)?;
            eprintln!(
                "Open {} and type the code {} (until {:.0}).",
                prompt.page, prompt.code, prompt.expires
            );
            oauth::device::finish(account, &prompt, limits).await.map_err(with_advice)?;
            eprintln!("Signed in.");
        }
        Ok(())
    }
}

/// Whether an account logs in for a person, so that its application may have no secret.
pub(super) fn needs_no_secret(login: &Login) -> bool {
    matches!(login, Login::OAuth2(settings) if settings.flow == Flow::RefreshToken)
}

fn with_advice(error: oauth::TokenError) -> anyhow::Error {
    match mailbox::advice(&error) {
        Some(advice) => anyhow::Error::new(error).context(advice),
        None => error.into(),
    }
}

fn first_line(file: &Path, octets_max: usize) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let limit = u64::try_from(octets_max + 2)?;
    let read = match file == Path::new("-") {
        true => std::io::stdin().take(limit).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|opened| opened.take(limit).read_to_string(&mut text)),
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// What was changed, and whether it works.
#[derive(Debug, serde::Serialize)]
pub(super) struct Changed {
    account: String,
    #[serde(flatten)]
    findings: Findings,
}

impl Changed {
    pub(super) fn code(&self) -> super::Code {
        self.findings.code()
    }
}

impl Output for Changed {
    fn text(&self) -> String {
        format!("account {}\n{}", self.account, self.findings.text())
    }
}

pub(super) async fn change(root: &Path, arguments: &Arguments) -> anyhow::Result<Changed> {
    let mut context = Context::load(root)?;
    let names = || context.settings.accounts.iter().map(|entry| entry.account.name.as_str());
    let place = match &arguments.account {
        Some(name) => {
            names().position(|known| known == name).with_context(|| format!("there is no account {name}"))?
        }
        None => 0,
    };
    let mut settings = context.settings.as_ref().clone();
    let entry = settings.accounts.get_mut(place).context("the settings name no account")?;
    let login = arguments.login.login()?;
    let changes = login.as_ref().is_some_and(|login| *login != entry.account.login);
    if let Some(login) = login {
        entry.account.login = login;
    }
    if let Some(file) = &arguments.password_file {
        let secret = first_line(file, mailbox::Password::OCTETS_MAX)?;
        replace_file(&context.layout.resolve(&entry.password_file), secret.as_bytes(), 0o600)?;
    }
    if changes {
        replace_file(&context.layout.settings_file(), settings.write().as_bytes(), 0o600)?;
        context = Context::load(root)?;
    }
    let accounts = mail_agent::accounts(&context)?;
    let account = accounts.get(place).context("the settings name no account")?;
    let limits = &context.settings.mail_limits;
    arguments.login.prepare(account, limits).await?;
    let mut findings = Findings::default();
    examine_account(&mut findings, account, limits, context.now(), false).await;
    Ok(Changed { account: account.settings.name.clone(), findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        login: LoginArguments,
    }

    fn login(line: &str) -> Result<Option<Login>, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_ascii_whitespace()));
        line.map_err(|error| error.to_string())?.login.login().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_name_a_mechanism_or_a_provider_or_nothing() {
        assert_eq!(login(""), Ok(None));
        assert_eq!(login("--login cram-md5"), Ok(Some(Login::Mechanism(Mechanism::CramMd5))));
        assert!(login("--login gssapi").unwrap_err().contains("scram-sha-256"));
        let Ok(Some(Login::OAuth2(settings))) =
            login("--oauth microsoft --tenant contoso.example --client-id 12")
        else {
            panic!("a login by token")
        };
        assert_eq!((settings.provider, settings.flow), (Provider::Microsoft, Flow::ClientCredentials));
        let Ok(Some(Login::OAuth2(settings))) = login("--oauth google --client-id 12") else {
            panic!("a login by token")
        };
        assert_eq!(settings.flow, Flow::RefreshToken);
        assert!(login("--oauth microsoft --client-id 12").unwrap_err().contains("tenant"));
        assert!(
            login("--oauth other --client-id 12 --token-url http://id.example/")
                .unwrap_err()
                .contains("https")
        );
    }
}
