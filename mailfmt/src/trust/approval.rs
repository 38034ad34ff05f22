//! What a second person signs before an update is sent: which packages may be ordered, under which terms, until when.
//!
//! Whoever has the center with its command key can order any package that was ever signed. Where the root names approval
//! keys, an appliance also asks for their holders' word about the very order that came.

use super::document::{self, DocumentError, Kind, Parts};
use super::role::Role;
use super::root::Root;
use super::{KeyId, SignedApproval, SigningKey};
use crate::conditions::Conditions;
use crate::digest::Digest;
use crate::ids::CenterId;
use crate::message::UpdateOrder;
use crate::package::PackageId;
use crate::version::SoftwareVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The fields of an order that the way to each site decides; all others are the same for every target of a rollout.
const BY_THE_WAY: [&str; 2] = ["parts", "approval"];

/// What all targets of a rollout are ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// The package.
    pub package: PackageId,
    /// The version that it leads to.
    pub target: SoftwareVersion,
    /// SHA-256 over the whole order and when it may begin, but for what the way to a site decides. A rollout encrypts its package under a key of its
    /// own, which stands in the order, so no two rollouts have the same.
    pub terms: Digest,
}

/// Lets the center order these, to whomever, until it expires. Signed by the approval role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The center that may.
    pub center: CenterId,
    /// The orders: the package, and perhaps the one with whole files for whom its differences do not fit.
    pub orders: Vec<OrderTerms>,
    /// After this it approves nothing.
    pub expires: Timestamp,
}

/// An order that was not approved. Every text begins with "not approved", by which the center knows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// It came without.
    #[error("not approved: nobody approved this order, {threshold} must")]
    Missing {
        /// How many must.
        threshold: u32,
    },
    /// No approval at all.
    #[error("not approved: what came as an approval is none")]
    Document(#[from] DocumentError),
    /// Not signed by so many approval keys as must.
    #[error("not approved: the approval is signed by {valid} approval keys, {threshold} must")]
    Signatures {
        /// Keys of the approval role that validly signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// For another center, package or rollout.
    #[error("not approved: the approval is for another {what}")]
    Another {
        /// What does not fit.
        what: &'static str,
    },
    /// Too old.
    #[error("not approved: the approval expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
}

impl UpdateOrder {
    /// What of this order is approved where it may begin at once.
    #[must_use]
    pub fn terms(&self) -> OrderTerms {
        self.terms_under(&Conditions::default())
    }

    /// What of this order is approved: all of it but how it is cut into parts and the approval itself, and when it may begin.
    ///
    /// # Panics
    /// Never: orders and conditions have text keys and no failing serializers.
    #[must_use]
    pub fn terms_under(&self, conditions: &Conditions) -> OrderTerms {
        let mut order = serde_json::to_value(self).expect("an order is always JSON");
        if let Some(fields) = order.as_object_mut() {
            fields.retain(|name, _| !BY_THE_WAY.contains(&name.as_str()));
            if !conditions.is_empty() {
                let conditions = serde_json::to_value(conditions).expect("conditions are always JSON");
                fields.insert("conditions".to_owned(), conditions);
            }
        }
        // A map's keys are sorted, so the octets do not depend on the order of the fields. The content key is among them.
        let octets = Zeroizing::new(format!("mailfmt order 1\0{order}"));
        OrderTerms {
            package: self.package,
            target: self.target.clone(),
            terms: Digest::of(octets.as_bytes()),
        }
    }
}

impl SignedApproval {
    /// An approval with no signature yet.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`].
    pub fn unsigned(approval: &Approval) -> Result<Self, DocumentError> {
        document::unsigned(approval).map(Self)
    }

    /// With a further signature.
    ///
    /// # Errors
    /// [`DocumentError`] when this is no document.
    pub fn sign(&self, key: &SigningKey) -> Result<Self, DocumentError> {
        document::sign(&self.0, Kind::Approval, key).map(Self)
    }

    /// What it says, for showing to a person; nothing is verified.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn peek(&self) -> Result<Approval, DocumentError> {
        document::read(&self.0)
    }

    /// Those keys of `role` that validly signed it.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn signers_of(&self, role: &Role) -> Result<BTreeSet<KeyId>, DocumentError> {
        let Parts { json, signatures } = document::split(&self.0)?;
        Ok(role.signers(&Kind::Approval.signed_octets(json), &signatures))
    }
}

impl Root {
    /// Whether an order may be carried out: nobody has to approve any, or enough have approved this one.
    ///
    /// # Errors
    /// [`ApprovalError`].
    pub fn check_approval(
        &self,
        approval: Option<&SignedApproval>,
        order: &OrderTerms,
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        let Some(role) = &self.approval else { return Ok(()) };
        let threshold = role.threshold;
        let signed = approval.ok_or(ApprovalError::Missing { threshold })?;
        let signers = signed.signers_of(role)?;
        if !role.is_satisfied_by(&signers) {
            return Err(ApprovalError::Signatures { valid: signers.len(), threshold });
        }
        let approval = signed.peek()?;
        let of_package: Vec<_> =
            approval.orders.iter().filter(|approved| approved.package == order.package).collect();
        for (fits, what) in [
            (approval.center == self.center, "center"),
            (!of_package.is_empty(), "package"),
            (of_package.contains(&order), "rollout"),
        ] {
            if !fits {
                return Err(ApprovalError::Another { what });
            }
        }
        if approval.expires < now {
            return Err(ApprovalError::Expired { expires: approval.expires });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
