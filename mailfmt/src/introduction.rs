//! What an appliance must know of its center before the first mail; carried over by hand in one secret file.

use crate::crypto::Credential;
use crate::ids::{AgentId, CenterId};
use crate::trust::SignedRoot;
use serde::{Deserialize, Serialize};

/// Written by the center for one appliance, read by the appliance at set-up. Holds the formal credential, so the
/// file is readable by its owner only and is deleted after set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The appliance's id.
    pub agent: AgentId,
    /// The center's id.
    pub center: CenterId,
    /// The center's mail address.
    pub center_address: String,
    /// The shared secret.
    pub credential: Credential,
    /// Every root of the center from the first on; the appliance trusts the last one.
    pub roots: Vec<SignedRoot>,
}
