//! The signed, expiring exception that lets named appliances go back to an older release.

use super::document::{self, DocumentError, Kind, Parts};
use super::root::Root;
use super::{SignedPermit, SigningKey};
use crate::ids::{AgentId, CenterId};
use crate::package::PackageId;
use crate::version::SoftwareVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Lets exactly these appliances install exactly this package although its release counter is lower than one that they
/// have installed. Signed by the release role; whoever holds only the center cannot make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DowngradePermit {
    /// The center of these appliances: ids are given by each center anew.
    pub center: CenterId,
    /// The appliances.
    pub agents: Vec<AgentId>,
    /// The package.
    pub package: PackageId,
    /// The version that they must be running.
    pub from: SoftwareVersion,
    /// The version that the package leads to.
    pub to: SoftwareVersion,
    /// After this it permits nothing.
    pub expires: Timestamp,
}

/// What a permit is held against.
#[derive(Debug, Clone, Copy)]
pub struct Downgrade<'a> {
    /// The appliance.
    pub agent: &'a AgentId,
    /// The package.
    pub package: PackageId,
    /// The version that runs.
    pub running: &'a SoftwareVersion,
    /// The version that the package leads to.
    pub target: &'a SoftwareVersion,
    /// The time.
    pub now: Timestamp,
}

/// A permit that permits nothing here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// No permit at all.
    #[error("the permit to go back is no permit")]
    Document(#[from] DocumentError),
    /// Not signed by so many release keys as must.
    #[error("the permit to go back is signed by {valid} release keys, {threshold} must")]
    Signatures {
        /// Keys of the release role that validly signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// For another center, appliance, package or version.
    #[error("the permit to go back is for another {what}")]
    Another {
        /// What does not fit.
        what: &'static str,
    },
    /// Too old.
    #[error("the permit to go back expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
}

impl SignedPermit {
    /// A permit with no signature yet.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`] when it names too many appliances.
    pub fn unsigned(permit: &DowngradePermit) -> Result<Self, DocumentError> {
        document::unsigned(permit).map(Self)
    }

    /// With a further signature.
    ///
    /// # Errors
    /// [`DocumentError`] when this is no document.
    pub fn sign(&self, key: &SigningKey) -> Result<Self, DocumentError> {
        document::sign(&self.0, Kind::Permit, key).map(Self)
    }

    /// What it says, for showing to a person; nothing is verified.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn peek(&self) -> Result<DowngradePermit, DocumentError> {
        document::read(&self.0)
    }

    /// Checks it against the release role of `root` and against what it is used for.
    ///
    /// # Errors
    /// [`PermitError`].
    pub fn check(&self, root: &Root, downgrade: &Downgrade<'_>) -> Result<DowngradePermit, PermitError> {
        let Parts { json, signatures } = document::split(&self.0)?;
        let signers = root.release.signers(&Kind::Permit.signed_octets(json), &signatures);
        if !root.release.is_satisfied_by(&signers) {
            return Err(PermitError::Signatures { valid: signers.len(), threshold: root.release.threshold });
        }
        let permit: DowngradePermit = serde_json::from_slice(json).map_err(DocumentError::from)?;
        for (fits, what) in [
            (permit.center == root.center, "center"),
            (permit.agents.contains(downgrade.agent), "appliance"),
            (permit.package == downgrade.package, "package"),
            (permit.from == *downgrade.running, "version to come from"),
            (permit.to == *downgrade.target, "version to go to"),
        ] {
            if !fits {
                return Err(PermitError::Another { what });
            }
        }
        if permit.expires < downgrade.now {
            return Err(PermitError::Expired { expires: permit.expires });
        }
        Ok(permit)
    }
}
