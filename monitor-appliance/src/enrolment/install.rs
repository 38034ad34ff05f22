//! From an admission to a set-up appliance: the same way as an introduction by hand.

use super::attempt::Stage;
use super::state_file::{StateFile, StateFileError, Stored};
use crate::clock::{Evidence, Reading};
use crate::context::Context;
use crate::layout::Layout;
use crate::settings::SettingsError;
use crate::setup::{Answers, Done, Existing, FirstRelease, SetupError, set_up};
use crate::store::StoreError;
use jiff::Timestamp;
use mailfmt::Introduction;
use mailfmt::message::enrolment::Admission;
use mailfmt::trust::{RootFingerprint, SignedRoot};

/// What an enrolment came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// The appliance's id.
    pub agent: String,
    /// The center's id.
    pub center: String,
    /// Where mail to the center goes.
    pub center_address: String,
    /// What the center says about the devices.
    pub remarks: Vec<String>,
    /// Its newest root, for people to compare.
    pub root_fingerprint: Option<RootFingerprint>,
    /// What was written.
    #[serde(flatten)]
    pub done: Done,
}

/// An admission that cannot be installed. It stays stored; the installation can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is none.
    #[error("the center has not admitted this appliance yet")]
    NotAdmitted,
    /// The files.
    #[error("admitted, but the appliance cannot be set up; remove the cause and run `enrol --resume`")]
    SetUp(#[from] SetupError),
    /// The settings that were just written.
    #[error("the settings cannot be read back")]
    Settings(#[from] SettingsError),
    /// The store.
    #[error("the store cannot be written")]
    Store(#[from] StoreError),
    /// The file of the enrolment.
    #[error(transparent)]
    State(#[from] StateFileError),
}

/// Sets the appliance up by the admission and wipes the enrolment. Done again after a kill, it comes to the same.
///
/// # Errors
/// [`InstallError`].
pub fn finish(
    layout: &Layout,
    file: &StateFile,
    stored: &Stored,
    release: Option<FirstRelease>,
    reading: &Reading,
) -> Result<Installed, InstallError> {
    let Stage::Admitted { admission, .. } = stored.attempt.stage() else {
        return Err(InstallError::NotAdmitted);
    };
    let answers = Answers {
        introduction: Some(introduction(admission)),
        // What cannot be kept must not hinder the rest; the first one counts.
        further_center_addresses: admission.center_addresses.iter().skip(1).take(8).cloned().collect(),
        account: Some(stored.site.account.clone()),
        password: None,
        devices: stored.site.devices.clone(),
        ranges: stored.site.ranges.clone(),
        machine: stored.site.machine.clone(),
        first_settings: admission.settings.clone(),
        release,
    };
    // The person confirmed that this box is enrolled anew before the first mail went out.
    let done = set_up(layout, &answers, Existing::Replace)?;
    let context = Context::load(layout.root())?;
    if let Some(created) = stored.attempt.admitted_at() {
        learn_time(&context, created, reading)?;
    }
    file.wipe()?;
    Ok(Installed {
        agent: admission.agent.to_string(),
        center: admission.center.to_string(),
        center_address: context.settings.center_address.clone(),
        remarks: admission.remarks.clone(),
        root_fingerprint: admission.roots.last().and_then(SignedRoot::fingerprint),
        done,
    })
}

/// The admission is the first authentic word of the center: it is later than when it was made.
fn learn_time(context: &Context, created: Timestamp, reading: &Reading) -> Result<(), StoreError> {
    let mut store = context.open_store()?;
    store.change(|change| {
        // Another center's clock may have been another.
        change.forget_time()?;
        change.learn_time(&Evidence::Message { created }, reading).map(drop)
    })
}

fn introduction(admission: &Admission) -> Introduction {
    Introduction {
        agent: admission.agent.clone(),
        center: admission.center.clone(),
        center_address: admission.center_addresses.first().cloned().unwrap_or_default(),
        credential: admission.credential.clone(),
        roots: admission.roots.clone(),
    }
}
