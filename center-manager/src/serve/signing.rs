//! What the daemon signs with, and what it vouches for: read again whenever another process has changed something.

use crate::db::alarms::NewAlarm;
use crate::db::{Db, DbError};
use crate::home::Home;
use crate::latest::{Offer, latest};
use crate::serve::{ServeError, chain};
use crate::system::now;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::receipt::Latest;
use mailfmt::package::PackageId;
use mailfmt::trust::{KeyFile, Root, SigningKey, TrustedRoot};
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The command key, and the releases that there are.
#[derive(Debug, Default)]
pub(super) struct Signing {
    pub(super) key: Option<Arc<SigningKey>>,
    offers: Vec<Offer>,
    revoked: BTreeSet<PackageId>,
    hardware: HashMap<AgentId, String>,
    /// What was told the last time, so that it is told once.
    told: Option<[(&'static str, Option<String>); 2]>,
    refreshed: Option<Instant>,
}

/// Even where nothing changes, time goes on: so often the roots are looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// Below so many hours the newest root is called about to expire: time for a new one to reach a box that is seldom on.
const ROOT_HOURS_MIN: i64 = 60 * 24;

/// The command key of the home; `None` when there is no such file.
fn read_key(home: &Home) -> Result<Option<SigningKey>, ServeError> {
    let path = home.command_key();
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => {
            let key = KeyFile::parse(&text).and_then(|file| file.open(None));
            key.map(Some).map_err(|source| ServeError::CommandKey { path, source })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ServeError::CommandKeyFile { path, source }),
    }
}

/// What a person should do something about, by the kind of its alarm; `None` where all is well.
fn faults(
    root: Result<&Root, &str>,
    key: Option<&SigningKey>,
    now: Timestamp,
) -> [(&'static str, Option<String>); 2] {
    let root = match root {
        Ok(root) => root,
        Err(error) => {
            return [("command-key", None), ("roots", Some(format!("the roots cannot be used: {error}")))];
        }
    };
    let key = match key {
        None => Some(
            "there is no command key: nothing is signed, and no appliance takes it; see `doctor`".to_owned(),
        ),
        Some(key) if root.command.key(key.public().id()).is_none() => Some(format!(
            "root {} does not name our command key {}: appliances that trust it take nothing from us; see `doctor`",
            root.version,
            key.public().id()
        )),
        Some(_) => None,
    };
    let left = root.expires.duration_since(now).as_hours();
    let expiry = match left {
        _ if root.is_expired(now) => Some(format!(
            "root {} expired at {}: appliances install nothing until they get a newer one (`root rotate`, `root send`)",
            root.version, root.expires
        )),
        ..ROOT_HOURS_MIN => Some(format!(
            "root {} expires at {}; make a newer one with `root rotate` and send it with `root send`",
            root.version, root.expires
        )),
        _ => None,
    };
    [("command-key", key), ("roots", expiry)]
}

impl Signing {
    /// Reads the command key. Without one the daemon works, but appliances that trust a root take nothing from it.
    pub(super) fn of(home: &Home) -> Result<Self, ServeError> {
        Ok(Self { key: read_key(home)?.map(Arc::new), ..Self::default() })
    }

    /// Whether it is time to look again although nothing has changed.
    pub(super) fn is_due(&self) -> bool {
        self.refreshed.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// Reads again what another process or a person may have changed, and raises an alarm where something is wrong with
    /// the key or the roots.
    pub(super) fn refresh(&mut self, home: &Home, db: &mut Db) -> Result<(), DbError> {
        self.refreshed = Some(Instant::now());
        self.offers = db.packages()?.iter().filter_map(Offer::of).collect();
        self.hardware =
            db.appliances()?.into_iter().map(|appliance| (appliance.agent, appliance.hardware)).collect();
        match read_key(home) {
            Ok(key) => self.key = key.map(Arc::new),
            Err(error) => {
                tracing::error!(error = chain(&error), "the command key cannot be used; the one before is");
            }
        }
        let trusted = home.roots().map(|(_, trusted)| trusted).map_err(|error| chain(&error));
        let root = trusted.as_ref().map(TrustedRoot::root).map_err(String::as_str);
        if let Ok(root) = root {
            self.revoked = root.revoked_packages.clone();
        }
        let found = faults(root, self.key.as_deref(), now());
        if self.told.as_ref() != Some(&found) {
            tell(&found, db)?;
            self.told = Some(found);
        }
        Ok(())
    }

    /// What is the newest release for this appliance now.
    pub(super) fn latest(&self, agent: &AgentId) -> Latest {
        let hardware = self.hardware.get(agent).map_or("", String::as_str);
        latest(&self.offers, &self.revoked, hardware, now())
    }
}

fn tell(faults: &[(&'static str, Option<String>)], db: &mut Db) -> Result<(), DbError> {
    for (kind, fault) in faults {
        match fault {
            Some(description) => {
                tracing::error!(kind, "{description}");
                let since = now();
                let alarm = NewAlarm { agent: None, kind, subject: "", description, since, reported: false };
                db.raise_alarm(&alarm, since)?;
            }
            None => db.end_alarm(None, kind, "", now())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Numbers, later, now};
    use mailfmt::trust::Role;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut Numbers::new(seed))
    }

    fn root() -> Root {
        Root {
            version: 3,
            center: crate::sample::center(),
            created: now(),
            expires: later(365 * 86_400),
            root: Role::of(key(1).public()),
            release: Role::of(key(2).public()),
            command: Role::of(key(3).public()),
            revoked_packages: BTreeSet::new(),
            release_counter_reset: None,
            approval: None,
        }
    }

    fn kinds(root: &Root, key: Option<&SigningKey>, at: Timestamp) -> Vec<&'static str> {
        faults(Ok(root), key, at)
            .into_iter()
            .filter(|(_, fault)| fault.is_some())
            .map(|(kind, _)| kind)
            .collect()
    }

    #[test]
    fn a_command_key_that_the_root_does_not_name_is_told() {
        assert_eq!(kinds(&root(), Some(&key(3)), now()), Vec::<&str>::new());
        assert_eq!(kinds(&root(), Some(&key(4)), now()), ["command-key"]);
        assert_eq!(kinds(&root(), None, now()), ["command-key"]);
    }

    #[test]
    fn a_root_is_told_of_two_months_before_it_expires_and_after() {
        for (days, told) in [(300, false), (306, true), (364, true), (366, true)] {
            assert_eq!(!kinds(&root(), Some(&key(3)), later(days * 86_400)).is_empty(), told, "{days} days");
        }
        assert_eq!(
            faults(Err("there are none"), None, now())
                .into_iter()
                .filter(|(_, fault)| fault.is_some())
                .count(),
            1
        );
    }
}
