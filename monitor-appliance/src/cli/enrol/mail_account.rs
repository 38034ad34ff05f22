//! The mail account of the new appliance: found, asked for, tried out.

use super::super::account::AccountArguments;
use super::super::doctor::{Findings, examine_account};
use super::super::login::{needs_no_secret, prepare};
use super::super::mail_servers::{MailServers, look_for};
use super::super::questions::Questions;
use super::super::{Code, Output as _};
use anyhow::{Context as _, bail};
use mailbox::{Account, AccountSettings, TlsTime};
use monitor_appliance::clock::Known;
use monitor_appliance::context::system_clock;
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::{Layout, Settings};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the password lies until there are settings that say so.
const PASSWORD_FILE: &str = "secrets/mail-1.password";

/// The mail account, tried out. Its password is stored here, so that the enrolment can go on after a power cut.
/// `keep_trying` takes one that does not work: for whoever is alone there the network may come up later.
pub(super) async fn account(
    layout: &Layout,
    arguments: &AccountArguments,
    given: Option<Zeroizing<String>>,
    keep_trying: bool,
    questions: &Questions,
) -> anyhow::Result<AccountSettings> {
    let mut before = Settings::load(&layout.settings_file())
        .ok()
        .and_then(|settings| settings.accounts.into_iter().next())
        .map(|entry| entry.account);
    arguments.note_flags(questions);
    let mut arguments = arguments.clone();
    let mut found = match before.is_none() && questions.possible() && !arguments.names_servers() {
        true => found_by_address(&mut arguments, questions).await?,
        false => None,
    };
    let path = layout.resolve(Path::new(PASSWORD_FILE));
    let mut tried: Option<AccountSettings> = None;
    loop {
        let settings = match found.take() {
            Some(found) => found,
            None => arguments
                .account(before.as_ref(), tried.as_ref(), before.is_none(), questions)?
                .or_else(|| before.clone())
                .context("--address is missing")?,
        };
        let without_secret = needs_no_secret(&settings.login);
        let needed = !without_secret && (before.is_none() || !path.exists());
        let password = match &given {
            Some(password) => Some(password.clone()),
            None => arguments.password(needed, questions)?,
        };
        match password {
            Some(password) => replace_file(&path, password.as_bytes(), 0o600)?,
            None if path.exists() || without_secret => {}
            None => bail!("--password-file is missing"),
        }
        let account = opened(layout, settings.clone())?;
        if let Err(error) = prepare(&arguments.login, &account, &mailbox::Limits::default()).await {
            eprintln!("{error:#}");
        }
        let mut findings = Findings::default();
        eprintln!("Trying the mail account ...");
        examine_account(&mut findings, &account, &mailbox::Limits::default(), system_clock().wall, false)
            .await;
        eprint!("{}", findings.text());
        if findings.code() == Code::Done || keep_trying {
            return Ok(settings);
        }
        if !questions.possible() || !questions.confirm("Try again with other answers?", true)? {
            bail!("the mail account does not work; nothing was sent to the center");
        }
        arguments = arguments.for_another_try(&settings);
        (before, tried) = (None, Some(settings));
    }
}

/// Asks for the mail address only, and looks for its servers; with the address known, the rest is asked for if there are none.
async fn found_by_address(
    arguments: &mut AccountArguments,
    questions: &Questions,
) -> anyhow::Result<Option<AccountSettings>> {
    let address = arguments.mail_address(questions)?;
    arguments.address = Some(address.clone());
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    // An address at a known provider needs no looking around.
    if let Some(provider) = mailbox::provider::guess(&address) {
        eprintln!("{domain} is {}.", provider.title);
        provider.notes.iter().for_each(|note| eprintln!("  {note}"));
        arguments.provider = Some(provider.name.clone());
        return arguments.account(None, None, true, questions);
    }
    eprintln!("Looking for the mail servers of {domain} ...");
    let Some(servers) = look_for(domain).await else {
        eprintln!("None stand at the usual names: please name them.");
        return Ok(None);
    };
    let MailServers { smtp, fetch_server, .. } = &servers;
    eprintln!("Found {}:{} and {}:{}.", fetch_server.host, fetch_server.port, smtp.host, smtp.port);
    arguments.on_servers(address, &servers).map(Some)
}

/// The account with its password. No word of the center has told the time yet, so the box's clock is not relied on.
pub(super) fn opened(layout: &Layout, settings: AccountSettings) -> anyhow::Result<Account> {
    let account = Account::open(settings, &layout.resolve(Path::new(PASSWORD_FILE)))?;
    Ok(account.with_clock(Arc::new(|| {
        let clock = Known::default().state(&system_clock());
        TlsTime { now: clock.now.into(), floor: Some(clock.earliest.into()), proven: clock.is_credible() }
    })))
}
