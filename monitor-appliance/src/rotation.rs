//! Rotation of the formal credential, the appliance's side. Pure: which credentials are held, and what a mail makes of them.
//!
//! ```text
//! current            a request of the center: the next one is stored, then answered under the current one
//! current and next   both are taken; the first mail under the next one makes it the current one
//! current
//! ```
//! Each arrow is one file replaced at once, so a power cut leaves the state before or after it; and in each state the
//! appliance takes every credential that the center can be using by then.

use mailfmt::Nonce;
use mailfmt::crypto::{Credential, Random};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves, WeakKey};
use mailfmt::message::command::RotateRequest;
use mailfmt::message::report::RotationAnswer;
use serde::{Deserialize, Serialize};

/// The credentials that this appliance holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it seals with.
    pub current: Credential,
    /// What it takes besides: agreed on, but the center has not yet used it.
    pub next: Option<Next>,
}

/// A credential that was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The rotation in which.
    pub rotation: Nonce,
    /// Number of the command that asked for it: a later one replaces it, an earlier one that was late does not.
    pub sequence: u64,
    /// This appliance's half, so that the same request gets the same answer.
    pub appliance_key: EphemeralPublic,
    /// The credential.
    pub credential: Credential,
}

/// A rotation that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationRefused {
    /// The center's half is no proper key.
    #[error(transparent)]
    Weak(#[from] WeakKey),
    /// A newer rotation was answered already.
    #[error("a newer rotation was begun meanwhile")]
    Overtaken,
}

impl Held {
    /// The credential that a request leads to; the one that is held already when it is the same rotation. It is stored
    /// before [`Next::answer`] is sent.
    ///
    /// # Errors
    /// [`RotationRefused`]; then nothing changes.
    pub fn agree(
        &self,
        request: &RotateRequest,
        sequence: u64,
        random: &mut impl Random,
    ) -> Result<Next, RotationRefused> {
        match &self.next {
            Some(next) if next.rotation == request.rotation => return Ok(next.clone()),
            Some(next) if next.sequence > sequence => return Err(RotationRefused::Overtaken),
            _ => {}
        }
        let own = EphemeralSecret::generate(random);
        let halves = Halves { appliance: own.public(), center: request.center_key };
        let credential =
            mailfmt::rotation::next(&request.rotation, &self.current, &own, &request.center_key, halves)?;
        Ok(Next { rotation: request.rotation, sequence, appliance_key: own.public(), credential })
    }

    /// The center has used the next credential: it is the current one from now on, and the old one is forgotten.
    #[must_use]
    pub fn settled(self) -> Self {
        Self { current: self.next.map_or(self.current, |next| next.credential), next: None }
    }
}

impl Next {
    /// What the center is told.
    #[must_use]
    pub fn answer(&self) -> RotationAnswer {
        RotationAnswer { rotation: self.rotation, appliance_key: self.appliance_key }
    }
}

#[cfg(test)]
mod tests;
