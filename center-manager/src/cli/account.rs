//! `center-manager account`: how the center logs in to its mail servers.

use super::{Context, Exit, WrongUse};
use crate::home::{self, Home};
use crate::settings::SettingsFile;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use mailbox::login_arguments::{LoginArguments, PrepareError, first_line};
use mailbox::{Account, Limits, Password};
use std::io::Write;
use std::path::PathBuf;

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
    #[command(flatten)]
    pub login: LoginArguments,
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
    if let Some(login) = args.login.login().map_err(|error| WrongUse(error.to_string()))?
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
    let tell = |line: &str| writeln!(out, "{line}").and_then(|()| out.flush());
    args.login.prepare(account, limits, tell).await.map_err(|error| match error {
        PrepareError::Token(error) => told(&error),
        other => other.into(),
    })?;
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
