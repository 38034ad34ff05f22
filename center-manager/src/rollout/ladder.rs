//! The two ladders of a target: what became of a mail, and what the installer said. They tell why there is no success.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The ladder of one mail. Times are the center's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "transport", rename_all = "kebab-case")]
pub enum Transport {
    /// In our outbox.
    Queued {
        /// Since when.
        since: Timestamp,
    },
    /// Our mail server took it; nothing heard since.
    Accepted {
        /// When.
        at: Timestamp,
    },
    /// A mail server on the way still tries.
    Delayed {
        /// When our mail server took it.
        accepted: Timestamp,
        /// What that server said.
        reason: String,
    },
    /// It came back.
    Bounced {
        /// When.
        at: Timestamp,
        /// What the mail server said.
        reason: String,
    },
    /// The appliance answered it, so it arrived.
    Heard {
        /// When our mail server took it.
        accepted: Timestamp,
        /// When the answer arrived.
        at: Timestamp,
    },
}

/// How many parts of a package our mail server took, where it does not fit into one mail. Times are the center's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsSent {
    /// How many there are.
    pub of: u32,
    /// How many were taken; fewer again while missing ones are sent once more.
    pub sent: u32,
    /// When that last changed.
    pub at: Timestamp,
}

/// What the installer said. It explains; it proves nothing. Times are the center's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "kebab-case")]
pub enum Progress {
    /// Nothing yet.
    Ordered,
    /// Not done yet.
    Waiting {
        /// For what.
        reason: String,
        /// When we heard it.
        at: Timestamp,
    },
    /// It says that the target version is in place.
    InstalledSaid {
        /// When we heard it.
        at: Timestamp,
        /// When it was said, by the appliance's clock.
        created: Timestamp,
    },
    /// It did not take the package.
    Refused {
        /// Why.
        reason: String,
        /// When we heard it.
        at: Timestamp,
    },
    /// It took the package and went back.
    Undone {
        /// Why.
        reason: String,
        /// When we heard it.
        at: Timestamp,
    },
}

/// What a mail server says about one mail to one appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportOutcome {
    /// Our mail server took it (SMTP reply 250 for this recipient).
    Accepted,
    /// A mail server on the way still tries (RFC 3464 `delayed`).
    Delayed {
        /// Its words.
        reason: String,
    },
    /// It will not arrive: refused for good, or bounced (RFC 3464 `failed`).
    Bounced {
        /// The mail server's words.
        reason: String,
    },
}

impl Transport {
    /// When our mail server took the mail; `None` while it did not, or when it came back.
    #[must_use]
    pub fn accepted_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { .. } | Self::Bounced { .. } => None,
            Self::Accepted { at } => Some(*at),
            Self::Delayed { accepted, .. } | Self::Heard { accepted, .. } => Some(*accepted),
        }
    }

    pub(super) fn hear(&mut self, outcome: &TransportOutcome, now: Timestamp) {
        // An answer proves more than any mail server's word, and a mail that is sent again keeps its first time.
        *self = match (&*self, outcome) {
            (Self::Heard { .. }, _) => return,
            (Self::Queued { .. } | Self::Bounced { .. }, TransportOutcome::Accepted) => {
                Self::Accepted { at: now }
            }
            (Self::Accepted { .. } | Self::Delayed { .. }, TransportOutcome::Accepted) => return,
            (Self::Bounced { .. }, TransportOutcome::Delayed { .. }) => return,
            (transport, TransportOutcome::Delayed { reason }) => {
                Self::Delayed { accepted: transport.accepted_at().unwrap_or(now), reason: reason.clone() }
            }
            (_, TransportOutcome::Bounced { reason }) => Self::Bounced { at: now, reason: reason.clone() },
        };
    }

    pub(super) fn heard(&mut self, now: Timestamp) {
        if !matches!(self, Self::Heard { .. }) {
            *self = Self::Heard { accepted: self.accepted_at().unwrap_or(now), at: now };
        }
    }
}
