//! What every module of one appliance is given: where things lie, the settings, the clock and random numbers.

use crate::clock::{self, ClockState, Known, Reading};
pub use crate::clock::{Clock, system_clock};
use crate::layout::Layout;
use crate::settings::{Settings, SettingsError};
use crate::store::{Outgoing, Store, StoreError};
use jiff::Timestamp;
use mailfmt::crypto::{Credential, Direction};
use mailfmt::{MessageId, Report};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The surroundings of one appliance. Cheap to clone; several appliances may live in one process.
#[derive(Clone)]
pub struct Context {
    /// Where things lie.
    pub layout: Layout,
    /// The checked settings.
    pub settings: Arc<Settings>,
    clock: Clock,
    time: Arc<clock::Shared>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("layout", &self.layout)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The credential file cannot be used. Its content never appears here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It cannot be read.
    #[error("cannot read the credential {}; run `monitor-appliance setup` with the file from the center", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not 64 hex digits.
    #[error("the credential {} is not 64 hex digits; ask the center for a new file", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What was expected.
        source: mailfmt::digest::HexError,
    },
}

/// The keys of both directions between this appliance and its center.
#[derive(Debug, Clone)]
pub struct ChannelKeys {
    /// For what comes in.
    pub to_appliance: mailfmt::crypto::ChannelKey,
    /// For what goes out.
    pub to_center: mailfmt::crypto::ChannelKey,
}

impl Context {
    /// Reads the settings below `root`; the clock is the system's.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(root: impl Into<PathBuf>) -> Result<Self, SettingsError> {
        let layout = Layout::new(root);
        let settings = Settings::load(&layout.settings_file())?;
        Ok(Self::new(layout, settings, Arc::new(system_clock)))
    }

    /// Puts the parts together.
    #[must_use]
    pub fn new(layout: Layout, settings: Settings, clock: Clock) -> Self {
        Self { layout, settings: Arc::new(settings), clock, time: Arc::default() }
    }

    /// The time, as far as it is known: see [`crate::clock`]. The one place where the modules read it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock_state().now
    }

    /// The time, and how far it can be relied on.
    #[must_use]
    pub fn clock_state(&self) -> ClockState {
        self.time.known(&self.layout.store_file()).state(&self.reading())
    }

    /// What the box's own clocks say.
    #[must_use]
    pub fn reading(&self) -> Reading {
        (self.clock)()
    }

    /// From now on this process goes by what [`crate::store::Change::learn_time`] gave.
    pub fn learned_time(&self, known: Known) {
        self.time.learned(known);
    }

    /// Opens the store; every module has a connection of its own.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_store(&self) -> Result<Store, StoreError> {
        Store::open(&self.layout.store_file())
    }

    /// A report ready for [`crate::store::Change::enqueue`]: with a fresh id, and an expiry by the settings.
    #[must_use]
    pub fn outgoing(&self, report: Report, in_reply_to: Option<MessageId>) -> Outgoing {
        let now = self.now();
        Outgoing {
            id: MessageId::generate(&mut system_random),
            center: self.settings.center.clone(),
            report,
            in_reply_to,
            created: now,
            expires: now.saturating_add(self.settings.retention.report_unreceipted).unwrap_or(Timestamp::MAX),
        }
    }

    /// Reads the credential and derives the channel keys.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn channel_keys(&self) -> Result<ChannelKeys, CredentialError> {
        Ok(self.keys_of(&self.credential()?))
    }

    /// Reads the credential.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn credential(&self) -> Result<Credential, CredentialError> {
        let path = self.layout.credential_file();
        let text = std::fs::read_to_string(&path)
            .map(Zeroizing::new)
            .map_err(|source| CredentialError::Read { path: path.clone(), source })?;
        Credential::from_hex(&text).map_err(|source| CredentialError::Shape { path, source })
    }

    /// The channel keys of a credential.
    #[must_use]
    pub fn keys_of(&self, credential: &Credential) -> ChannelKeys {
        let key = |direction| credential.channel(direction, &self.settings.agent, &self.settings.center);
        ChannelKeys { to_appliance: key(Direction::ToAppliance), to_center: key(Direction::ToCenter) }
    }
}

/// The system's random numbers, as a [`mailfmt::crypto::Random`].
///
/// # Panics
/// If the kernel gives none: nothing may be sealed then.
pub fn system_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the kernel gives random numbers once it has booted");
}
