//! The ledger of readings: what an appliance read of its devices for billing, entry after entry, each chained to the one before.
//!
//! An entry travels as the text that its digest was made over, so that a center of another version checks the same
//! octets. Nothing in a ledger is ever changed: whoever changes an entry, takes one out or puts one in breaks the chain.

use super::device::DeviceId;
use crate::digest::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Entries of one device, as part of a counter report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPart {
    /// Names the ledger, 32 hex digits: a box that is set up anew begins another one.
    pub ledger: String,
    /// Entries in the order of their numbers.
    pub entries: Vec<SealedEntry>,
}

/// One entry as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedEntry {
    /// Its number in the ledger, from 1, without gaps; one ledger holds all devices of an appliance.
    pub sequence: u64,
    /// Digest of the entry before; of the ledger's name for the first one.
    pub previous: Digest,
    /// A [`LedgerEntry`] as JSON.
    pub body: String,
    /// Digest over number, `previous` and `body`.
    pub digest: Digest,
}

/// An entry that cannot be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Text, number or predecessor are not those that the digest was made over.
    #[error("entry {sequence} of the ledger was changed after it was written")]
    Altered {
        /// Its number.
        sequence: u64,
    },
    /// The text is no entry.
    #[error("entry {sequence} of the ledger cannot be read")]
    Unreadable {
        /// Its number.
        sequence: u64,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
}

impl SealedEntry {
    /// Chains an entry to the one before.
    #[must_use]
    pub fn seal(sequence: u64, previous: Digest, entry: &LedgerEntry) -> Self {
        let body = serde_json::to_string(entry).expect("an entry has text keys and no failing serializers");
        let digest = digest(sequence, &previous, &body);
        Self { sequence, previous, body, digest }
    }

    /// What stands before the first entry of a ledger.
    #[must_use]
    pub fn beginning(ledger: &str) -> Digest {
        Digest::of_pieces(&[b"device ledger 1\0", ledger.as_bytes()])
    }

    /// The entry, if it is as it was written.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(&self) -> Result<LedgerEntry, LedgerError> {
        let sequence = self.sequence;
        if !self.is_sound() {
            return Err(LedgerError::Altered { sequence });
        }
        serde_json::from_str(&self.body).map_err(|source| LedgerError::Unreadable { sequence, source })
    }

    /// Whether number, predecessor and text are those that its digest was made over.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.digest == digest(self.sequence, &self.previous, &self.body)
    }

    /// Whether it stands directly behind `before` in the same ledger.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        before.sequence.checked_add(1) == Some(self.sequence) && before.digest == self.previous
    }
}

fn digest(sequence: u64, previous: &Digest, body: &str) -> Digest {
    let sequence = sequence.to_be_bytes();
    Digest::of_pieces(&[b"device ledger entry 1\0", previous.as_bytes(), &sequence, body.as_bytes()])
}

/// What was read of one device at one time, and what follows from it for billing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Which device.
    pub device: DeviceId,
    /// Its address on the customer's LAN.
    #[serde(default)]
    pub address: String,
    /// When it was read, by the appliance's trusted time; of an estimate: the time that is estimated for.
    pub at: Timestamp,
    /// Whether that time can be relied on.
    #[serde(default)]
    pub clock_sure: bool,
    /// Seconds since the device started (`sysUpTime`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_secs: Option<u64>,
    /// Who the device was.
    pub epoch: LedgerEpoch,
    /// Why there is an entry: `first`, `routine`, `last-day`, `month-end`, `before` (the reading before one that was
    /// flagged), `flagged`, `estimate`.
    pub mode: String,
    /// The month that it closes, such as `2026-11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<String>,
    /// Of an estimate: the two entries between which it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<(u64, u64)>,
    /// The meters. One that the device does not tell is absent.
    pub meters: Vec<LedgerMeter>,
    /// What was found out of the ordinary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<LedgerFinding>,
}

/// Who a device was while its meters went on. Another serial number, hardware address or model begins another epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEpoch {
    /// Counts the epochs of this device on this appliance, from 1.
    pub number: u32,
    /// Serial number, where the device tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Hardware address, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Model, where the device tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// One meter: one count of one epoch from one object. Another object, or another epoch, is another meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMeter {
    /// Its number among the meters of the device, from 1; never used again.
    pub number: u32,
    /// What is counted, such as `total`.
    pub name: String,
    /// The object it is read from, dotted, without leading dot.
    pub source: String,
    /// Unit by its RFC 3805 name.
    pub unit: String,
    /// The count as read (of an estimate: as interpolated).
    pub value: u64,
    /// What was surely counted since the meter was opened, over wraps and without counting anything twice.
    pub sure: u64,
    /// How many findings of this meter somebody has to review, since it was opened.
    #[serde(default)]
    pub doubts: u32,
    /// Whether this meter stands for its name; false for one that is read beside it from another object.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub leads: bool,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

/// Something out of the ordinary between two readings of a meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFinding {
    /// The meter.
    pub meter: u32,
    /// What happened, such as `wobble`, `wrap`, `reset`, `swap`, `board`, `source`, `clock`, `too-fast`, `invalid`.
    pub class: String,
    /// Whether it counts only as far as somebody says so.
    pub review: bool,
    /// The reading before.
    pub from: LedgerPoint,
    /// The reading that showed it.
    pub to: LedgerPoint,
    /// What was counted for this step all the same.
    pub sure: u64,
    /// What it would be if the likeliest explanation holds; absent where nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<u64>,
    /// In words, for a person.
    pub words: String,
}

/// A stored reading of one meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPoint {
    /// The entry in which it stands.
    pub entry: u64,
    /// When it was read.
    pub at: Timestamp,
    /// What was read.
    pub value: u64,
    /// The object it was read from.
    pub source: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LedgerEntry {
        LedgerEntry {
            device: DeviceId { vendor: "Kyocera".into(), model: "P2040".into(), serial: "A1".into() },
            address: "10.0.0.5".into(),
            at: "2026-11-30T19:00:00Z".parse().unwrap(),
            clock_sure: true,
            uptime_secs: Some(7),
            epoch: LedgerEpoch { number: 1, serial: Some("A1".into()), mac: None, model: None },
            mode: "month-end".into(),
            closes: Some("2026-11".into()),
            between: None,
            meters: vec![],
            findings: vec![],
        }
    }

    fn two() -> [SealedEntry; 2] {
        let first = SealedEntry::seal(1, SealedEntry::beginning("a"), &entry());
        let second = SealedEntry::seal(2, first.digest, &entry());
        [first, second]
    }

    #[test]
    fn an_entry_opens_as_it_was_written_and_follows_the_one_before() {
        let [first, second] = two();
        assert_eq!(second.open().unwrap(), entry());
        assert!(second.follows(&first) && !first.follows(&second));
    }

    #[test]
    fn any_change_of_text_number_or_predecessor_is_seen() {
        let [first, second] = two();
        let text = SealedEntry { body: second.body.replace("10.0.0.5", "10.0.0.6"), ..second.clone() };
        let number = SealedEntry { sequence: 3, ..second.clone() };
        let predecessor = SealedEntry { previous: Digest::of(b"another"), ..second.clone() };
        for changed in [&text, &number, &predecessor] {
            assert!(matches!(changed.open(), Err(LedgerError::Altered { .. })));
        }
        // Written anew with a sound digest of its own, it does not fit its neighbour any more.
        let mut other = entry();
        other.address = "10.0.0.6".into();
        let rewritten = SealedEntry::seal(1, first.previous, &other);
        assert!(rewritten.is_sound() && !second.follows(&rewritten));
    }

    #[test]
    fn fields_of_a_newer_appliance_are_ignored_and_do_not_break_the_chain() {
        let sealed = SealedEntry::seal(1, SealedEntry::beginning("a"), &entry());
        let body = sealed.body.replacen('{', r#"{"colour":"blue","#, 1);
        let newer = SealedEntry { digest: digest(1, &sealed.previous, &body), body, ..sealed };
        assert_eq!(newer.open().unwrap(), entry());
    }
}
