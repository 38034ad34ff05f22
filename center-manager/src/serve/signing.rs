//! What the daemon signs with, and what it vouches for: read again whenever another process has changed something.

use crate::db::{Db, DbError};
use crate::home::Home;
use crate::latest::{Offer, latest};
use crate::serve::{ServeError, chain};
use crate::system::now;
use mailfmt::AgentId;
use mailfmt::message::receipt::Latest;
use mailfmt::package::PackageId;
use mailfmt::trust::{KeyFile, SigningKey};
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use zeroize::Zeroizing;

/// The command key, and the releases that there are.
#[derive(Debug, Default)]
pub(super) struct Signing {
    pub(super) key: Option<SigningKey>,
    offers: Vec<Offer>,
    revoked: BTreeSet<PackageId>,
    hardware: HashMap<AgentId, String>,
}

impl Signing {
    /// Reads the command key. Without one the daemon works, but appliances that trust a root take nothing from it.
    pub(super) fn of(home: &Home) -> Result<Self, ServeError> {
        let path = home.command_key();
        let key = match std::fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => {
                let key = KeyFile::parse(&text).and_then(|file| file.open(None));
                Some(key.map_err(|source| ServeError::CommandKey { path, source })?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::error!(
                    path = %path.display(),
                    "there is no command key: nothing is signed, and no appliance will take it"
                );
                None
            }
            Err(source) => return Err(ServeError::CommandKeyFile { path, source }),
        };
        let mut signing = Self { key, ..Self::default() };
        signing.check_against(home);
        Ok(signing)
    }

    /// Whether the newest root still names our key, and what it revokes.
    fn check_against(&mut self, home: &Home) {
        match home.roots() {
            Ok((_, trusted)) => {
                let root = trusted.root();
                let named = self.key.as_ref().is_none_or(|key| root.command.key(key.public().id()).is_some());
                if !named {
                    tracing::error!(
                        root = root.version,
                        "the newest root does not name our command key: appliances that trust it take nothing from us"
                    );
                }
                self.revoked = root.revoked_packages.clone();
            }
            Err(error) => tracing::error!(error = chain(&error), "the roots cannot be used"),
        }
    }

    /// Reads again what another process may have changed.
    pub(super) fn refresh(&mut self, home: &Home, db: &Db) -> Result<(), DbError> {
        self.offers = db.packages()?.iter().filter_map(Offer::of).collect();
        self.hardware =
            db.appliances()?.into_iter().map(|appliance| (appliance.agent, appliance.hardware)).collect();
        if let Ok((_, trusted)) = home.roots() {
            self.revoked = trusted.root().revoked_packages.clone();
        }
        Ok(())
    }

    /// What is the newest release for this appliance now.
    pub(super) fn latest(&self, agent: &AgentId) -> Latest {
        let hardware = self.hardware.get(agent).map_or("", String::as_str);
        latest(&self.offers, &self.revoked, hardware, now())
    }
}
