//! `center-manager mail`: what is known of mail providers.

use super::Exit;
use super::print::{self, Format};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use mailbox::provider::{self, LoginWay};
use std::io::Write;

/// What about the mail.
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// What is known of mail providers: servers, ways to log in, limits.
    #[command(subcommand)]
    Providers(ProvidersCommand),
}

/// What about the providers.
#[derive(Debug, Subcommand)]
pub enum ProvidersCommand {
    /// List them.
    List(ListArgs),
    /// Show one: by its name, or by a mail address that lies there.
    Show(ShowArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which one to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its name, or a mail address.
    pub name: String,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(command: &MailCommand, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let MailCommand::Providers(command) = command;
    match command {
        ProvidersCommand::List(args) => match args.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(provider::all())?)?,
            Format::Text => {
                let number =
                    |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
                let rows = provider::all().iter().map(|provider| {
                    let ways: Vec<&str> = provider.login.iter().copied().map(LoginWay::as_str).collect();
                    vec![
                        provider.name.clone(),
                        provider.title.clone(),
                        ways.join(", "),
                        number(provider.limits.mail_octets().map(|octets| octets / 1_000_000)),
                        number(provider.limits.recipients().map(u64::from)),
                    ]
                });
                print::table(out, &["Name", "Provider", "Login", "Mail MB", "Recipients"], rows)?;
            }
        },
        ProvidersCommand::Show(args) => {
            let found = provider::named(&args.name).or_else(|| provider::guess(&args.name));
            let unknown =
                || format!("nothing is known of {}; `mail providers list` names the known ones", args.name);
            let found = found.with_context(unknown)?;
            match args.format {
                Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(found)?)?,
                Format::Text => write!(out, "{}", found.describe())?,
            }
        }
    }
    Ok(Exit::Done)
}
