//! Setting an appliance up: from answers to files. Asking for the answers is the command line's business.
//!
//! Everything is written so that a set-up that is broken off can simply be run again; what is there already is kept
//! unless the caller says otherwise.

mod first_release;
mod first_settings;

pub use first_release::{FIRST_MODULES, FirstRelease, FirstReleaseError};

use crate::context::Context;
use crate::layout::Layout;
use crate::release::ReleaseError;
use crate::replace_file::replace_file;
use crate::settings::{
    AccountEntry, DeviceEntry, Discovery, LedgerSettings, RangeEntry, Retention, Settings, SettingsError,
    Timers,
};
use crate::store::StoreError;
use crate::trust::{self, TrustError};
use mailfmt::Introduction;
use mailfmt::message::enrolment::FirstSettings;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What to do where something is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Keep it.
    Keep,
    /// Put the new in its place.
    Replace,
}

/// What the service person brings. What is `None` or empty is kept as it is.
#[derive(Debug, Default)]
pub struct Answers {
    /// The center's file for this appliance; needed the first time.
    pub introduction: Option<Introduction>,
    /// Further addresses of the center; those of the settings stay if there are none and no introduction.
    pub further_center_addresses: Vec<String>,
    /// The mail account; needed the first time.
    pub account: Option<mailbox::AccountSettings>,
    /// Its password; needed the first time, if it has one.
    pub password: Option<Zeroizing<String>>,
    /// Devices to add; one that is there already under the same address is replaced.
    pub devices: Vec<DeviceEntry>,
    /// Ranges in which to look for devices; one that is there already is replaced.
    pub ranges: Vec<RangeEntry>,
    /// What stands for the box's own hardware.
    pub machine: Option<String>,
    /// What the center gives to a new appliance.
    pub first_settings: FirstSettings,
    /// Where the programs of the first release come from.
    pub release: Option<FirstRelease>,
}

/// What a set-up did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// Files and folders that were written.
    pub written: Vec<PathBuf>,
    /// What was there already and was kept.
    pub kept: Vec<PathBuf>,
    /// Settings of the center that are out of their range here and were left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<String>,
}

/// A set-up that cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Something is needed the first time.
    #[error("{what} is needed the first time: {how}")]
    Missing {
        /// What.
        what: &'static str,
        /// How to give it.
        how: &'static str,
    },
    /// The introduction is for another appliance or center than the one that is set up here.
    #[error("here stands {here} of center {center} already; to make it {wanted}, repeat with --replace")]
    Another {
        /// The appliance set up here.
        here: String,
        /// Its center.
        center: String,
        /// The appliance of the introduction.
        wanted: String,
    },
    /// The settings.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// The roots of the introduction.
    #[error("the introduction's roots cannot be trusted; ask the center for a new one")]
    Trust(#[from] TrustError),
    /// A file.
    #[error("a file cannot be written")]
    File(#[from] ReleaseError),
    /// The first release.
    #[error("the programs cannot be put in place")]
    Release(#[from] FirstReleaseError),
    /// The store.
    #[error("the store cannot be made")]
    Store(#[from] StoreError),
}

/// Writes everything below the root of `layout`.
///
/// # Errors
/// [`SetupError`]; what was written before it stays and is no obstacle when the set-up is run again.
pub fn set_up(layout: &Layout, answers: &Answers, existing: Existing) -> Result<Done, SetupError> {
    let before = match Settings::load(&layout.settings_file()) {
        Ok(settings) => Some(settings),
        Err(SettingsError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let mut done = Done::default();
    let settings = merge(before.as_ref(), answers, existing)?;
    let settings = first_settings::apply(settings, &answers.first_settings, &mut done);
    // What cannot be read back must not be written.
    Settings::parse(&settings.write(), &layout.settings_file())?;

    for (folder, mode) in [
        (layout.root().to_owned(), 0o755),
        (layout.secrets_dir(), 0o700),
        (layout.packages_dir(), 0o700),
        (layout.releases_dir(), 0o755),
        (layout.updates_dir(), 0o700),
    ] {
        make_folder(folder, mode, &mut done)?;
    }
    if let Some(introduction) = &answers.introduction {
        let hex = Zeroizing::new(introduction.credential.expose_hex());
        if existing == Existing::Replace {
            // One that was agreed on with the credential that goes.
            remove(&layout.next_credential_file())?;
        }
        write(layout.credential_file(), hex.as_bytes(), existing, &mut done)?;
        put_roots(layout, introduction, existing, &mut done)?;
    }
    if let (Some(password), Some(entry)) = (&answers.password, settings.accounts.first()) {
        // A new password is the reason to give one, so it always replaces the old.
        let file = layout.resolve(&entry.password_file);
        write(file, password.as_bytes(), Existing::Replace, &mut done)?;
    }
    write(layout.settings_file(), settings.write().as_bytes(), Existing::Replace, &mut done)?;
    if let Some(release) = &answers.release {
        release.put_in_place(layout, existing, &mut done)?;
    }
    let context = Context::new(layout.clone(), settings, std::sync::Arc::new(crate::context::system_clock));
    context.open_store()?;
    Ok(done)
}

/// The settings as they will be.
fn merge(before: Option<&Settings>, answers: &Answers, existing: Existing) -> Result<Settings, SetupError> {
    let mut settings = match (before, &answers.introduction) {
        (Some(before), Some(introduction)) => {
            let same = before.agent == introduction.agent && before.center == introduction.center;
            if !same && existing == Existing::Keep {
                return Err(SetupError::Another {
                    here: before.agent.to_string(),
                    center: before.center.to_string(),
                    wanted: introduction.agent.to_string(),
                });
            }
            introduce(before.clone(), introduction)
        }
        (Some(before), None) => before.clone(),
        (None, Some(introduction)) => introduce(blank(introduction), introduction),
        (None, None) => {
            return Err(SetupError::Missing {
                what: "the introduction file",
                how: "--introduction FILE, written by `center-manager appliance add`",
            });
        }
    };
    match (&answers.account, settings.accounts.first_mut()) {
        (Some(account), Some(entry)) => entry.account = account.clone(),
        (Some(account), None) => settings.accounts.push(AccountEntry {
            account: account.clone(),
            password_file: PathBuf::from("secrets/mail-1.password"),
        }),
        (None, Some(_)) => {}
        (None, None) => {
            return Err(SetupError::Missing {
                what: "the mail account",
                how: "--address, --user, --password-file, --smtp HOST:PORT, and --pop3 or --imap HOST:PORT",
            });
        }
    }
    if answers.introduction.is_some() {
        settings.further_center_addresses = answers.further_center_addresses.clone();
    }
    settings.machine = answers.machine.clone().or(settings.machine);
    for device in &answers.devices {
        match settings.devices.iter_mut().find(|entry| entry.address == device.address) {
            Some(entry) => *entry = device.clone(),
            None => settings.devices.push(device.clone()),
        }
    }
    for range in &answers.ranges {
        match settings.ranges.iter_mut().find(|entry| entry.range == range.range) {
            Some(entry) => *entry = range.clone(),
            None => settings.ranges.push(range.clone()),
        }
    }
    Ok(settings)
}

fn introduce(settings: Settings, introduction: &Introduction) -> Settings {
    Settings {
        agent: introduction.agent.clone(),
        center: introduction.center.clone(),
        center_address: introduction.center_address.clone(),
        ..settings
    }
}

fn blank(introduction: &Introduction) -> Settings {
    let limits = mailfmt::Limits::default();
    Settings {
        agent: introduction.agent.clone(),
        center: introduction.center.clone(),
        center_address: String::new(),
        further_center_addresses: Vec::new(),
        hardware: std::env::consts::ARCH.to_owned(),
        machine: None,
        reboot_command: vec!["systemctl".to_owned(), "reboot".to_owned()],
        accounts: Vec::new(),
        devices: Vec::new(),
        timers: Timers::default(),
        retention: Retention::default(),
        ledger: LedgerSettings::default(),
        limits,
        ranges: Vec::new(),
        computers: crate::settings::Computers::default(),
        update: crate::settings::UpdateSettings::default(),
        script: crate::settings::ScriptSettings::default(),
        mail: crate::settings::MailSettings::default(),
        watchdog: crate::settings::WatchdogSettings::default(),
        freshness: crate::settings::FRESHNESS_DEFAULT,
        faults: crate::settings::FaultSettings::default(),
        traps: crate::settings::TrapSettings::default(),
        second_ways: crate::settings::SecondWaySettings::default(),
        discovery: Discovery::default(),
        mail_limits: mailbox::Limits::default(),
    }
}

/// Without roots nothing is ever installed, but everything else works.
fn put_roots(
    layout: &Layout,
    introduction: &Introduction,
    existing: Existing,
    done: &mut Done,
) -> Result<(), TrustError> {
    let (path, center, roots) = (layout.trust_file(), &introduction.center, &introduction.roots);
    if roots.is_empty() {
        return Ok(());
    }
    if existing == Existing::Keep && path.exists() {
        match trust::follow(layout, center, roots) {
            // What is trusted here is newer than the introduction.
            Ok(_) | Err(TrustError::Root(mailfmt::trust::RootError::Older { .. })) => {}
            Err(error) => return Err(error),
        }
        done.kept.push(path);
        return Ok(());
    }
    trust::replace(layout, center, roots)?;
    done.written.push(path);
    Ok(())
}

fn remove(path: &std::path::Path) -> Result<(), ReleaseError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ReleaseError::Io { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn make_folder(path: PathBuf, mode: u32, done: &mut Done) -> Result<(), ReleaseError> {
    use std::os::unix::fs::PermissionsExt as _;
    let io = |action, source| ReleaseError::Io { action, path: path.clone(), source };
    if path.is_dir() {
        done.kept.push(path);
        return Ok(());
    }
    std::fs::create_dir_all(&path).map_err(|error| io("create", error))?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, permissions).map_err(|error| io("set the mode of", error))?;
    done.written.push(path);
    Ok(())
}

fn write(path: PathBuf, content: &[u8], existing: Existing, done: &mut Done) -> Result<(), ReleaseError> {
    if existing == Existing::Keep && path.exists() {
        done.kept.push(path);
        return Ok(());
    }
    replace_file(&path, content, 0o600)?;
    done.written.push(path);
    Ok(())
}

#[cfg(test)]
mod tests;
