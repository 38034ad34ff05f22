//! `monitor-appliance mail`: what is known of mail providers.

use super::Output;
use super::table::table;
use anyhow::Context as _;
use mailbox::provider::{self, LoginWay, Provider};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// What is known of mail providers: servers, ways to log in, limits.
    #[command(subcommand)]
    Providers(ProvidersCommand),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ProvidersCommand {
    /// List them.
    List,
    /// Show one: by its name, or by a mail address that lies there.
    Show {
        /// Its name, or a mail address.
        name: String,
    },
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Shown {
    List(Vec<&'static Provider>),
    One(Box<Provider>),
}

pub(super) fn run(command: &Command) -> anyhow::Result<Shown> {
    let Command::Providers(command) = command;
    Ok(match command {
        ProvidersCommand::List => Shown::List(provider::all().iter().collect()),
        ProvidersCommand::Show { name } => {
            let found = provider::named(name).or_else(|| provider::guess(name));
            let unknown =
                || format!("nothing is known of {name}; `mail providers list` names the known ones");
            Shown::One(Box::new(found.with_context(unknown)?.clone()))
        }
    })
}

impl Output for Shown {
    fn text(&self) -> String {
        match self {
            Self::One(provider) => provider.describe(),
            Self::List(providers) => {
                let number =
                    |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
                let rows = providers.iter().map(|provider| {
                    let ways: Vec<&str> = provider.login.iter().copied().map(LoginWay::as_str).collect();
                    [
                        provider.name.clone(),
                        provider.title.clone(),
                        ways.join(", "),
                        number(provider.limits.mail_octets().map(|octets| octets / 1_000_000)),
                        number(provider.limits.recipients().map(u64::from)),
                    ]
                });
                table(["Name", "Provider", "Login", "Mail MB", "Recipients"], rows)
            }
        }
    }
}
