//! `center-manager account`: how the center logs in to its mail servers.

use super::{Context, Exit, WrongUse};
use crate::home::{self, Home};
use crate::settings::SettingsFile;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use mailbox::oauth::{self, AccessToken, Flow, OAuth2Settings, Provider};
use mailbox::{Account, Limits, Login, Password};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Change how an account logs in, store what it needs, and try it. The daemon takes it up when it starts again.
    Login(LoginArgs),
}

/// How to log in.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Name of the account; the first one if not given.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// File whose first line is the password, or the client secret for --oauth; it is copied. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// `password` for the strongest mechanism that the server offers, or one that it must offer: scram-sha-256, scram-sha-1,
    /// cram-md5, plain, login.
    #[arg(long, value_name = "MECHANISM", value_parser = Login::by_password, conflicts_with = "oauth")]
    pub login: Option<Login>,
    /// Log in by access tokens of this provider (OAuth 2.0).
    #[arg(long, value_enum, value_name = "PROVIDER", requires = "client_id")]
    pub oauth: Option<TokenProvider>,
    /// Microsoft's id or domain of the organisation.
    #[arg(long, value_name = "TENANT", requires = "oauth")]
    pub tenant: Option<String>,
    /// The application's id at the provider.
    #[arg(long, value_name = "ID", requires = "oauth")]
    pub client_id: Option<String>,
    /// How a token is come by; by the client secret if not given, for Google by a refresh token.
    #[arg(long, value_enum, value_name = "FLOW", requires = "oauth")]
    pub flow: Option<TokenFlow>,
    /// What the token is asked for, where it is not what the provider documents for mail.
    #[arg(long, value_name = "SCOPE", requires = "oauth")]
    pub scope: Option<String>,
    /// The token endpoint of another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    pub token_url: Option<String>,
    /// Where a sign-in by code begins at another provider.
    #[arg(long, value_name = "URL", requires = "oauth")]
    pub device_url: Option<String>,
    /// File whose first line is a refresh token; it is copied.
    #[arg(long, value_name = "FILE")]
    pub refresh_token_file: Option<PathBuf>,
    /// Sign in by code: shows a page and a code for a browser on any machine.
    #[arg(long, conflicts_with = "refresh_token_file")]
    pub sign_in: bool,
}

/// Who gives out access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenProvider {
    /// Microsoft 365.
    Microsoft,
    /// Google Workspace and Gmail.
    Google,
    /// Another one; needs --token-url.
    Other,
}

/// How a token is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenFlow {
    /// By the application's secret alone.
    ClientCredentials,
    /// By a refresh token of a person who has signed in.
    RefreshToken,
}

impl LoginArgs {
    /// The login that the flags name, if they name one.
    fn named(&self) -> Result<Option<Login>, WrongUse> {
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
            mechanism: None,
        };
        settings.endpoints().map_err(|error| WrongUse(error.to_string()))?;
        Ok(Some(Login::OAuth2(Box::new(settings))))
    }
}

pub(super) fn run(command: &AccountCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let AccountCommand::Login(args) = command;
    let home = &context.home;
    let place = change(args, home)?;
    let settings = home.settings()?;
    let account = settings.accounts.get(place).context("the settings name no such account")?;
    let account = Account::open(account.clone(), &home.password_file(place + 1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(prove(args, &account, &settings.mail_limits(), out))
}

/// Writes settings and secrets; gives the account's place.
fn change(args: &LoginArgs, home: &Home) -> anyhow::Result<usize> {
    let file = home.settings_file();
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut settings: SettingsFile =
        toml::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
    let place = match &args.account {
        Some(name) => settings.accounts.iter().position(|account| account.name == *name),
        None => Some(0),
    };
    let unknown = || format!("there is no account {}", args.account.as_deref().unwrap_or("in the settings"));
    let place = place.with_context(unknown)?;
    let account = settings.accounts.get_mut(place).with_context(unknown)?;
    if let Some(login) = args.named()?
        && account.login != login
    {
        account.login = login;
        let text = toml::to_string(&settings).context("cannot write the settings")?;
        settings.check().map_err(|error| WrongUse(crate::serve::chain(&error)))?;
        home::write_whole(&file, text.as_bytes())?;
    }
    if let Some(file) = &args.password_file {
        let secret = first_line(file, Password::OCTETS_MAX)?;
        home::replace_secret(&home.password_file(place + 1), secret.as_bytes())?;
    }
    Ok(place)
}

/// Signs in where that is asked for, then logs in to both servers.
async fn prove(
    args: &LoginArgs,
    account: &Account,
    limits: &Limits,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    if let Some(file) = &args.refresh_token_file {
        let token = first_line(file, AccessToken::OCTETS_MAX)?;
        account.sign_in(limits, AccessToken::new(token.to_string())).await?;
    }
    if args.sign_in {
        let prompt = oauth::device::begin(account, limits).await.map_err(|error| told(&error))?;
        writeln!(
            out,
            "Open {} and type the code {} (until {:.0}).",
            prompt.page, prompt.code, prompt.expires
        )?;
        out.flush()?;
        oauth::device::finish(account, &prompt, limits).await.map_err(|error| told(&error))?;
        writeln!(out, "Signed in.")?;
    }
    let fetched = mailbox::fetch::check_login(account, limits).await;
    let fetched = fetched.map(|report| format!("by {}", report.login)).map_err(|error| told(&error));
    let sent = mailbox::smtp::check_login(account, limits).await;
    let sent = sent
        .map(|report| report.login.map_or_else(|| "without a login".to_owned(), |way| format!("by {way}")))
        .map_err(|error| told(&error));
    let mut works = 0;
    for (what, result) in [("fetching", fetched), ("sending", sent)] {
        match result {
            Ok(found) => {
                works += 1;
                writeln!(out, "ok      {what}  {found}")?;
            }
            Err(error) => writeln!(out, "FAILED  {what}\n        {error}")?,
        }
    }
    Ok(match works {
        2 => Exit::Done,
        0 => Exit::Failed,
        _ => Exit::Partly,
    })
}

fn told(error: &(dyn std::error::Error + 'static)) -> anyhow::Error {
    anyhow::anyhow!(super::doctor::with_advice(error))
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
