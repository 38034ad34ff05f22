//! Where an enrolment lies until it is over: one file that only its owner can read, wiped at the end.

use super::attempt::Attempt;
use crate::layout::Layout;
use crate::release::{ReleaseError, sync_folder};
use crate::replace_file::replace_file;
use crate::settings::{DeviceEntry, RangeEntry};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Octets of the file: thousands of devices and a long chain of roots.
const OCTETS_MAX: u64 = 16 << 20;

/// What becomes of the appliance once it is admitted, besides what the center says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The mail account; its password lies in its own file.
    pub account: mailbox::AccountSettings,
    /// What stands for the box's own hardware, where it is not what the box tells.
    pub machine: Option<String>,
    /// Devices given by hand.
    #[serde(with = "devices_text")]
    pub devices: Vec<DeviceEntry>,
    /// Where devices are looked for.
    #[serde(with = "ranges_text")]
    pub ranges: Vec<RangeEntry>,
}

/// Everything that is kept of an enrolment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// How far it is.
    pub attempt: Attempt,
    /// What becomes of the appliance.
    pub site: Site,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// The disk.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Writing it durably.
    #[error("the enrolment cannot be stored")]
    Write(#[from] ReleaseError),
    /// It is not what we wrote.
    #[error("{} cannot be understood (line {line}); begin anew with `enrol --restart`", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where the reader stopped. Its own words could quote a secret.
        line: usize,
    },
    /// Two at once would disturb each other.
    #[error("another `monitor-appliance enrol` is at work on {}", path.display())]
    Busy {
        /// The appliance's folder of secrets.
        path: PathBuf,
    },
}

/// The file, held by one process at a time.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    _lock: File,
}

impl StateFile {
    /// Takes hold of it; makes the folders above it where they are missing.
    ///
    /// # Errors
    /// [`StateFileError::Busy`] while another process holds it, or the disk.
    pub fn hold(layout: &Layout) -> Result<Self, StateFileError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = layout.secrets_dir();
        let io = |action, source| StateFileError::Io { action, path: folder.clone(), source };
        if !folder.is_dir() {
            std::fs::create_dir_all(layout.root()).map_err(|error| io("create", error))?;
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("create", error)),
                _ => {}
            }
        }
        let lock = File::open(&folder).map_err(|error| io("open", error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => StateFileError::Busy { path: folder.clone() },
            other => io("lock", other.into()),
        })?;
        Ok(Self { path: layout.enrolment_file(), _lock: lock })
    }

    /// What lies there, if anything.
    ///
    /// # Errors
    /// [`StateFileError`].
    pub fn load(&self) -> Result<Option<Stored>, StateFileError> {
        let io = |source| StateFileError::Io { action: "read", path: self.path.clone(), source };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut text = Zeroizing::new(Vec::new());
        file.take(OCTETS_MAX).read_to_end(&mut text).map_err(io)?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| StateFileError::Shape { path: self.path.clone(), line: error.line() })
    }

    /// Replaces what lies there, durably.
    ///
    /// # Errors
    /// [`StateFileError`].
    ///
    /// # Panics
    /// Never: what is stored has text keys and no failing serializers.
    pub fn store(&self, stored: &Stored) -> Result<(), StateFileError> {
        let text = Zeroizing::new(serde_json::to_vec(stored).expect("text keys and no failing serializers"));
        Ok(replace_file(&self.path, &text, 0o600)?)
    }

    /// Overwrites and removes the file. A disk that writes elsewhere (flash) may keep the old octets: they open only
    /// mails of this one exchange.
    ///
    /// # Errors
    /// [`StateFileError::Io`].
    pub fn wipe(&self) -> Result<(), StateFileError> {
        wipe(&self.path)
    }
}

/// Overwrites and removes a file that held a secret; one that is not there is no error.
///
/// # Errors
/// [`StateFileError::Io`].
pub fn wipe(path: &Path) -> Result<(), StateFileError> {
    let io = |action: &'static str| {
        let path = path.to_owned();
        move |source| StateFileError::Io { action, path, source }
    };
    let mut file = match File::options().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("overwrite")(error)),
    };
    let octets = file.metadata().map_err(io("overwrite"))?.len().min(OCTETS_MAX);
    let zeros = vec![0; usize::try_from(octets).unwrap_or(0)];
    file.write_all(&zeros).and_then(|()| file.sync_all()).map_err(io("overwrite"))?;
    std::fs::remove_file(path).map_err(io("remove"))?;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(())
}

mod devices_text {
    use super::DeviceEntry;
    use crate::settings::SnmpAccess;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Entry {
        address: String,
        access: SnmpAccess,
    }

    pub(super) fn serialize<S: Serializer>(entries: &[DeviceEntry], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            entries
                .iter()
                .map(|entry| Entry { address: entry.address.clone(), access: entry.access.clone() }),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<DeviceEntry>, D::Error> {
        let entries = Vec::<Entry>::deserialize(from)?;
        Ok(entries.into_iter().map(|Entry { address, access }| DeviceEntry { address, access }).collect())
    }
}

mod ranges_text {
    use super::RangeEntry;
    use crate::discovery::AddressRange;
    use crate::settings::SnmpAccess;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Entry {
        range: AddressRange,
        excludes: Vec<AddressRange>,
        credentials: Vec<SnmpAccess>,
    }

    pub(super) fn serialize<S: Serializer>(entries: &[RangeEntry], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(entries.iter().map(|entry| Entry {
            range: entry.range.clone(),
            excludes: entry.excludes.clone(),
            credentials: entry.credentials.clone(),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RangeEntry>, D::Error> {
        let entries = Vec::<Entry>::deserialize(from)?;
        Ok(entries
            .into_iter()
            .map(|Entry { range, excludes, credentials }| RangeEntry {
                excludes,
                credentials,
                ..RangeEntry::new(range)
            })
            .collect())
    }
}
