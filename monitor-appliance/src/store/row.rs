//! From SQLite's values to ours.

use super::StoreError;
use jiff::Timestamp;
use mailfmt::MessageId;

pub(super) fn time(ms: i64, what: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|_| StoreError::Damaged { what })
}

pub(super) fn id(text: &str) -> Result<MessageId, StoreError> {
    text.parse().map_err(|_| StoreError::Damaged { what: "message id" })
}

pub(super) fn clamp_u32(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// Sequence numbers grow by one per message, so `i64::MAX` is out of reach for honest senders; a dishonest center is clamped.
pub(super) fn from_u64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn to_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
