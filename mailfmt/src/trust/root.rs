//! Roots: which keys have which role. Each root is signed by the one before it and by itself, so that an appliance
//! that trusts one can follow to the newest, however many it missed.

use super::document::{self, DocumentError, Kind, Parts};
use super::role::{Role, RoleError, Signature};
use super::{KeyId, SignedRoot, SigningKey};
use crate::digest::Digest;
use crate::ids::CenterId;
use crate::package::PackageId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most roots in one chain. A root a week makes twenty years.
pub const ROOTS_MAX: usize = 1_024;

/// Who may do what, from this version on until the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// 1 for the first; each following is one more.
    pub version: u64,
    /// The center that it is for; the same in the whole chain.
    pub center: CenterId,
    /// When it was made.
    pub created: Timestamp,
    /// After this no package is installed under it. A newer root is accepted all the same, so nobody is locked out.
    pub expires: Timestamp,
    /// Signs roots. Kept offline.
    pub root: Role,
    /// Signs packages and permits to go back.
    pub release: Role,
    /// Signs what the center says every day: commands and receipts.
    pub command: Role,
    /// Packages that are not installed any more, whoever signed them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub revoked_packages: BTreeSet<PackageId>,
    /// Sets the release counter of appliances back to at most this when they take this root: the way out when a thief of
    /// a release key has driven it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_counter_reset: Option<u64>,
    /// Approves what the center orders to install ([`Approval`](super::Approval)); without this role nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Role>,
}

/// A root, or a chain of them, that is not trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// No root at all.
    #[error("this is no root")]
    Document(#[from] DocumentError),
    /// One of its roles cannot be.
    #[error("root {version}: the {role} role cannot be")]
    Role {
        /// The root.
        version: u64,
        /// The role.
        role: &'static str,
        /// What is wrong with it.
        source: RoleError,
    },
    /// A mail carries one signature, so more could never be had.
    #[error("root {version}: one command key must be enough, not {threshold}: a mail carries one signature")]
    CommandThreshold {
        /// The root.
        version: u64,
        /// How many it asks for.
        threshold: u32,
    },
    /// The center's everyday key could sign packages or roots.
    #[error(
        "root {version}: command key {id} has another role too; whoever steals the center would have that role"
    )]
    CommandKey {
        /// The root.
        version: u64,
        /// The key.
        id: KeyId,
    },
    /// Who makes packages or roots could approve them, too.
    #[error(
        "root {version}: approval key {id} has another role too; approving is for a second person with a key of his own"
    )]
    ApprovalKey {
        /// The root.
        version: u64,
        /// The key.
        id: KeyId,
    },
    /// Not signed by so many as must.
    #[error("root {version} is signed by {valid} root keys of root {by}, {threshold} must")]
    Signatures {
        /// The root.
        version: u64,
        /// The root whose keys must sign: the one before, or itself.
        by: u64,
        /// Those keys that validly signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// No root was given, or too many.
    #[error("{found} roots were given, from 1 to {ROOTS_MAX} can be")]
    Count {
        /// How many.
        found: usize,
    },
    /// One is missing in between.
    #[error("root {wanted} is missing: {found} comes where it should be")]
    Gap {
        /// The missing one.
        wanted: u64,
        /// What was there.
        found: u64,
    },
    /// All of it is older than what is trusted already.
    #[error("the newest root given is {found}, root {trusted} is trusted already")]
    Older {
        /// The newest given.
        found: u64,
        /// The one that is trusted.
        trusted: u64,
    },
    /// Two different roots of one version: somebody else signs roots too.
    #[error(
        "another root {version} is trusted already: two different ones were signed, so a root key is in wrong hands"
    )]
    Forked {
        /// The version.
        version: u64,
    },
    /// For another center.
    #[error("root {version} is for center {found}, not for {center}")]
    AnotherCenter {
        /// The root.
        version: u64,
        /// Its center.
        found: CenterId,
        /// The center expected.
        center: CenterId,
    },
}

impl Root {
    /// Whether its roles can be.
    ///
    /// # Errors
    /// [`RootError::Role`], [`RootError::CommandThreshold`], [`RootError::CommandKey`] or [`RootError::ApprovalKey`].
    pub fn check(&self) -> Result<(), RootError> {
        let version = self.version;
        let roles = [(&self.root, "root"), (&self.release, "release"), (&self.command, "command")];
        for (role, name) in roles.into_iter().chain(self.approval.iter().map(|role| (role, "approval"))) {
            role.check().map_err(|source| RootError::Role { version, role: name, source })?;
        }
        if self.command.threshold != 1 {
            return Err(RootError::CommandThreshold { version, threshold: self.command.threshold });
        }
        let ids = self.command.keys.iter().map(super::PublicKey::id);
        match ids.into_iter().find(|id| self.root.key(*id).or(self.release.key(*id)).is_some()) {
            Some(id) => Err(RootError::CommandKey { version, id }),
            None => self.check_approvers(),
        }
    }

    fn check_approvers(&self) -> Result<(), RootError> {
        let others = [&self.root, &self.release, &self.command];
        let mut ids = self.approval.iter().flat_map(|role| &role.keys).map(super::PublicKey::id);
        match ids.find(|id| others.iter().any(|role| role.key(*id).is_some())) {
            Some(id) => Err(RootError::ApprovalKey { version: self.version, id }),
            None => Ok(()),
        }
    }

    /// Whether it has expired: told to people, and nothing is installed under it.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires < now
    }
}

impl SignedRoot {
    /// A root with no signature yet.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`].
    pub fn unsigned(root: &Root) -> Result<Self, DocumentError> {
        document::unsigned(root).map(Self)
    }

    /// With a further signature.
    ///
    /// # Errors
    /// [`DocumentError`] when this is no document.
    pub fn sign(&self, key: &SigningKey) -> Result<Self, DocumentError> {
        document::sign(&self.0, Kind::Root, key).map(Self)
    }

    /// What it says, for showing to a person; nothing is verified.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn peek(&self) -> Result<Root, DocumentError> {
        document::read(&self.0)
    }

    /// The ids of the keys that it says it was signed by; nothing is verified.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn signers(&self) -> Result<Vec<KeyId>, DocumentError> {
        Ok(document::split(&self.0)?.signatures.into_iter().map(|(id, _)| id).collect())
    }

    /// Those keys of `role` that validly signed it.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn signers_of(&self, role: &Role) -> Result<BTreeSet<KeyId>, DocumentError> {
        let Parts { json, signatures } = document::split(&self.0)?;
        Ok(role.signers(&Kind::Root.signed_octets(json), &signatures))
    }
}

/// The newest root that is trusted. Only [`TrustedRoot::first`] and [`TrustedRoot::advance`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoot {
    root: Root,
    document: Digest,
    /// Of every root passed on the way here that sets the release counter back: its version and the counter.
    resets: Vec<(u64, u64)>,
}

impl TrustedRoot {
    /// Follows a whole chain from root 1, which must have come over an authentic channel: nobody vouches for it but
    /// itself.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn first(chain: &[SignedRoot]) -> Result<Self, RootError> {
        let (first, rest) = match chain {
            [first, rest @ ..] if rest.len() < ROOTS_MAX => (first, rest),
            _ => return Err(RootError::Count { found: chain.len() }),
        };
        let (root, signed, signatures) = read(first)?;
        if root.version != 1 {
            return Err(RootError::Gap { wanted: 1, found: root.version });
        }
        signed_by(&root.root, 1, &root, &signed, &signatures)?;
        let first = Self::new(root, first, Vec::new());
        if rest.is_empty() { Ok(first) } else { first.advance(rest) }
    }

    /// Follows to the newest root of a chain: each is signed by the root keys of the one before and by its own. Roots up to
    /// the one trusted are passed over; given again, nothing changes.
    ///
    /// # Errors
    /// [`RootError`]; then what was trusted is trusted still.
    pub fn advance(&self, chain: &[SignedRoot]) -> Result<Self, RootError> {
        if chain.is_empty() || chain.len() > ROOTS_MAX {
            return Err(RootError::Count { found: chain.len() });
        }
        let mut trusted = self.clone();
        let mut newest = 0;
        for next in chain {
            let (root, signed, signatures) = read(next)?;
            newest = root.version;
            if root.version < trusted.root.version {
                continue;
            }
            if root.version == trusted.root.version {
                if document_of(next) != trusted.document {
                    return Err(RootError::Forked { version: root.version });
                }
                continue;
            }
            let before = &trusted.root;
            let wanted = before.version.saturating_add(1);
            if root.version != wanted {
                return Err(RootError::Gap { wanted, found: root.version });
            }
            if root.center != before.center {
                let (version, found, center) = (root.version, root.center, before.center.clone());
                return Err(RootError::AnotherCenter { version, found, center });
            }
            signed_by(&before.root, before.version, &root, &signed, &signatures)?;
            signed_by(&root.root, root.version, &root, &signed, &signatures)?;
            trusted = Self::new(root, next, trusted.resets);
        }
        if newest < self.root.version {
            return Err(RootError::Older { found: newest, trusted: self.root.version });
        }
        Ok(trusted)
    }

    fn new(root: Root, signed: &SignedRoot, mut resets: Vec<(u64, u64)>) -> Self {
        resets.extend(root.release_counter_reset.map(|counter| (root.version, counter)));
        Self { root, document: document_of(signed), resets }
    }

    /// What it says.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The greatest release counter that counts as installed, when `counter` was noted under root `noted_under` (0: before
    /// there was any): roots since then may have set it back.
    #[must_use]
    pub fn installed_counter(&self, counter: u64, noted_under: u64) -> u64 {
        let since = self.resets.iter().filter(|(version, _)| *version > noted_under);
        since.map(|(_, reset)| *reset).fold(counter, u64::min)
    }
}

/// The octets of the document without the signatures, which may be more or fewer.
fn document_of(signed: &SignedRoot) -> Digest {
    document::split(signed.as_octets()).map_or_else(|_| Digest::of(&[]), |parts| Digest::of(parts.json))
}

fn read(signed: &SignedRoot) -> Result<(Root, Vec<u8>, Vec<Signature>), RootError> {
    let Parts { json, signatures } = document::split(signed.as_octets())?;
    let root: Root = serde_json::from_slice(json).map_err(DocumentError::from)?;
    root.check()?;
    Ok((root, Kind::Root.signed_octets(json), signatures))
}

fn signed_by(
    role: &Role,
    by: u64,
    root: &Root,
    signed: &[u8],
    signatures: &[Signature],
) -> Result<(), RootError> {
    let signers = role.signers(signed, signatures);
    if role.is_satisfied_by(&signers) {
        return Ok(());
    }
    Err(RootError::Signatures { version: root.version, by, valid: signers.len(), threshold: role.threshold })
}
