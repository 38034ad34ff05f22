//! What can go wrong with a visit to a device, in words for the person who has to put it right.

use super::columns::Refusal;
use crate::device::Walk;
use std::time::Duration;

/// Why nothing could be read of a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing came back. A wrong community looks the same: devices do not answer it.
    #[error(
        "no answer from {address} within {} s: check that the device is on and at this address, that SNMP is \
         switched on in it, that the community or the SNMPv3 user is right, and that it lets this appliance in",
        waited.as_secs_f32()
    )]
    NoAnswer {
        /// The device.
        address: String,
        /// How long was waited for one answer, repetitions included.
        waited: Duration,
    },
    /// The device answers, and refuses the SNMPv3 user or the community.
    #[error(
        "{address} refuses the credential: check user name, protocols and both passwords of SNMPv3, or the access rights of the community"
    )]
    AuthenticationFailed {
        /// The device.
        address: String,
        /// What the device said, where it said anything.
        source: Option<Box<async_snmp::Error>>,
    },
    /// The device sends the same objects again and again.
    #[error("{address} answers in a loop and cannot be read: update its firmware, or take it off the list")]
    Loop {
        /// The device.
        address: String,
    },
    /// The device answers, but with nothing of the standard tables.
    #[error(
        "{address} answers, but shows nothing of what is asked: check which objects its SNMP access allows ({detail})"
    )]
    NothingToRead {
        /// The device.
        address: String,
        /// What became of the parts.
        detail: String,
    },
    /// The device got as many requests within the last hour as it may; nothing was sent.
    #[error(
        "{address} got {requests_per_hour} requests within an hour and is left in peace: ask less often (timers), or raise the limit \
         requests_per_hour"
    )]
    BudgetSpent {
        /// The device.
        address: String,
        /// The limit.
        requests_per_hour: u32,
    },
    /// The address cannot be used.
    #[error(
        "`{address}` cannot be reached as an address: write host or address, with :port where it is not 161"
    )]
    BadAddress {
        /// The device.
        address: String,
        /// Why.
        source: Box<async_snmp::Error>,
    },
    /// The credential cannot be used; nothing was sent.
    #[error("the SNMPv3 credential of user `{user}` cannot be used: {reason}")]
    BadCredential {
        /// The user name.
        user: String,
        /// Why, without any secret.
        reason: String,
    },
    /// No socket.
    #[error("cannot open a UDP socket to ask devices: check the limits and the network of this machine")]
    Socket {
        /// Why.
        source: Box<async_snmp::Error>,
    },
}

impl ReadError {
    /// The error for a visit that was refused.
    pub(super) fn of_refusal(address: &str, source: Box<async_snmp::Error>) -> Self {
        let address = address.to_owned();
        match source.kind() {
            async_snmp::ErrorKind::Closed => Self::Socket { source },
            _ => Self::AuthenticationFailed { address, source: Some(source) },
        }
    }

    /// The error for a visit in which the device answered and nothing was gained.
    pub(super) fn of_empty(address: &str, walk: &Walk) -> Self {
        let address = address.to_owned();
        if walk.failed().iter().any(|failed| failed.reason == Refusal::LOOP_TEXT) {
            return Self::Loop { address };
        }
        let parts: Vec<String> =
            walk.failed().iter().map(|failed| format!("{}: {}", failed.part, failed.reason)).collect();
        let detail = if parts.is_empty() { "every table is empty".to_owned() } else { parts.join("; ") };
        Self::NothingToRead { address, detail }
    }
}
