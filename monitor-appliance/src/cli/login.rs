//! `monitor-appliance account login`: how a mail account logs in.

use super::Output;
use super::doctor::{Findings, examine_account};
use anyhow::Context as _;
use mailbox::login_arguments::{LoginArguments, PrepareError, first_line};
use mailbox::oauth::{self, Flow};
use mailbox::{Account, Limits, Login};
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::{Context, mail_agent};
use std::io::Write as _;
use std::path::{Path, PathBuf};

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

/// Tells a person where to sign in, and takes a refresh token over, where the flags say so.
pub(super) async fn prepare(
    login: &LoginArguments,
    account: &Account,
    limits: &Limits,
) -> anyhow::Result<()> {
    let tell = |line: &str| writeln!(std::io::stderr(), "{line}");
    login.prepare(account, limits, tell).await.map_err(|error| match error {
        PrepareError::Token(error) => with_advice(error),
        other => other.into(),
    })
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
    prepare(&arguments.login, account, limits).await?;
    let mut findings = Findings::default();
    examine_account(&mut findings, account, limits, context.now(), false).await;
    Ok(Changed { account: account.settings.name.clone(), findings })
}
