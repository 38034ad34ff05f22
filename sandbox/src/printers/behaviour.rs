//! How a printer misbehaves.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Octets of noise for [`Behaviour::Garbage`].
pub(super) const NOISE_BYTES: usize = 64;

/// How a printer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// As the recording says.
    #[default]
    Normal,
    /// Not at all.
    Silent,
    /// With random octets.
    Garbage,
    /// With the id of another request.
    WrongRequestId,
    /// GETNEXT and GETBULK give the object asked for again and never the next one.
    Loop,
    /// Every column goes on for ever, with made-up rows after the real ones.
    EndlessTree,
    /// With the first half of the message only.
    Truncated,
    /// tooBig to every request for more than one object.
    TooBig,
    /// As the recording says, after this many milliseconds; 10 minutes at most.
    SlowMillis(u64),
}

impl Behaviour {
    const DELAY_MAX: Duration = Duration::from_secs(600);

    /// How long an answer waits.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::SlowMillis(millis) => Duration::from_millis(millis).min(Self::DELAY_MAX),
            _ => Duration::ZERO,
        }
    }

    /// What goes out in place of `message`.
    pub(super) fn distort(self, message: Bytes, noise: [u8; NOISE_BYTES]) -> Bytes {
        match self {
            Self::Garbage => Bytes::copy_from_slice(&noise),
            Self::Truncated => message.slice(..message.len() / 2),
            _ => message,
        }
    }
}
