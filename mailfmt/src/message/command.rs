//! Commands: center to appliance.

use super::device::DeviceId;
use super::kinds;
use crate::conditions::Conditions;
use crate::crypto::ContentKey;
use crate::digest::Digest;
use crate::exchange::EphemeralPublic;
use crate::ids::{MessageId, Nonce};
use crate::package::PackageId;
use crate::parts::Cutting;
use crate::trust::{SignedApproval, SignedPermit, SignedRoot};
use crate::version::SoftwareVersion;
use serde::{Deserialize, Serialize};

kinds! {
    /// What a center may ask of an appliance. Open-ended: new kinds come later.
    ///
    /// Source: JP 2003-435644 [0045-0046], [0059-0073].
    Command {
        /// Say that you are there.
        Ping(PingRequest) = "ping",
        /// Send the counters that you have stored.
        Counters(CounterRequest) = "counter-request",
        /// Say which version of everything you run.
        Version(VersionRequest) = "version-request",
        /// Install the package that follows the envelope, or comes in parts.
        Update(UpdateOrder) = "update",
        /// The same, but not at once: an appliance that does not know of conditions must not begin.
        UpdateWhen(ConditionalOrder) = "update-when",
        /// Keep the part of a package that follows the envelope.
        Part(PackagePart) = "part",
        /// Do not install what was ordered, unless it has begun.
        Recall(RecallOrder) = "recall",
        /// Agree on a new formal credential.
        RotateCredential(RotateRequest) = "rotate-credential",
        /// Trust these newer roots.
        TrustRoots(TrustRoots) = "trust-roots",
    }
}

/// Asks for a sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingRequest {}

/// Asks for stored counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRequest {
    /// Which devices; empty means all.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
}

/// Asks for a version report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRequest {
    /// Given back in the report.
    pub nonce: Nonce,
}

/// Orders the installation of the package that follows this envelope in the same attachment, or comes in parts.
///
/// The order comes under the appliance's own key; the package itself is signed by a release key that need not live
/// on the center. Both must agree before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOrder {
    /// Which package.
    pub package: PackageId,
    /// The software version that the appliance will have afterwards.
    pub target: SoftwareVersion,
    /// SHA-256 of the encrypted package, whole.
    pub enclosure: Digest,
    /// Its length in octets.
    pub enclosure_octets: u64,
    /// The key to the encrypted package.
    pub content_key: ContentKey,
    /// Permit to go back below the greatest release counter installed, signed by the release role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<SignedPermit>,
    /// How the encrypted package is cut, where it is larger than one mail may be: then nothing follows this envelope, and
    /// each part comes behind an envelope of its own ([`PackagePart`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Cutting>,
    /// What people with approval keys signed about this order; an appliance whose root names such keys takes no order without
    /// it ([`Root::check_approval`](crate::trust::Root::check_approval)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<SignedApproval>,
}

/// An [`UpdateOrder`] that is kept until its conditions allow it to begin, in the appliance's own time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionalOrder {
    /// The order.
    pub order: UpdateOrder,
    /// When it may begin.
    pub conditions: Conditions,
}

impl Command {
    /// The order to update, if it is one, with conditions or without.
    #[must_use]
    pub fn update_order(&self) -> Option<&UpdateOrder> {
        match self {
            Self::Update(order) | Self::UpdateWhen(ConditionalOrder { order, .. }) => Some(order),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn update_order_mut(&mut self) -> Option<&mut UpdateOrder> {
        match self {
            Self::Update(order) | Self::UpdateWhen(ConditionalOrder { order, .. }) => Some(order),
            _ => None,
        }
    }
}

/// Brings one part of an encrypted package; the part follows this envelope in the same attachment. It may come before
/// its order, twice, or after a later one. It is never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagePart {
    /// SHA-256 of the encrypted package, whole, as in the order.
    pub enclosure: Digest,
    /// Which part, from 1.
    pub number: u32,
    /// How many parts there are.
    pub of: u32,
    /// SHA-256 of this part, as in the order.
    pub sha256: Digest,
}

/// Calls update orders back: one that has not begun to change the appliance ends refused, and one that has not come yet
/// is refused when it comes. One that has begun goes on to its end. Answered by a health report; what became of an order
/// tells its own answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecallOrder {
    /// The messages of the orders.
    pub orders: Vec<MessageId>,
}

/// Begins the rotation of the formal credential. The answer is a [`RotationAnswer`](super::report::RotationAnswer)
/// under the old credential; from then on both sides take either, until each has heard the other under the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Names this rotation.
    pub rotation: Nonce,
    /// The center's half of the exchange.
    pub center_key: EphemeralPublic,
}

/// Roots newer than the appliance's own, in order of their versions without a gap; each is signed by the one before.
/// Answered by a health report, which tells the root's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRoots {
    /// The chain.
    pub roots: Vec<SignedRoot>,
}
