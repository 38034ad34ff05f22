//! Certificates of verdicts: what became of one appliance in one rollout, signed by the center, to be checked by anybody who has
//! its roots, without a network and without a database.
//!
//! A certificate is a file of readable JSON. A digest of every field stands in it, and the signature covers the digests: so who
//! checks it can say which field was changed, and nothing of it can be changed without that being seen, not even a blank.

mod check;
mod collect;

pub use check::{Believed, CheckError, Checked, OCTETS_MAX, check};
pub use collect::{CollectError, collect};

use crate::db::audit::Deed;
use crate::db::rollouts::HistoryLine;
use crate::rollout::{Finding, Release, RolloutId, Verdict};
use jiff::Timestamp;
use mailfmt::message::report::VersionReportMessage;
use mailfmt::package::PackageId;
use mailfmt::trust::{Attestation, SigningKey};
use mailfmt::{AgentId, CenterId, Digest, MessageId, Nonce};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The first field of every certificate.
pub const FORMAT: &str = "center-manager certificate 1";

/// What became of one appliance in one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The center that says so.
    pub center: CenterId,
    /// When it says so, by its clock.
    pub made: Timestamp,
    /// The appliance.
    pub agent: AgentId,
    /// The rollout.
    pub rollout: RolloutId,
    /// When that began.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub finished: Option<Timestamp>,
    /// What was done to the rollout as a whole and by whom: who started it, who approved, paused or stopped it. Lines of the
    /// audit log.
    pub deeds: Vec<Deed>,
    /// The package, by the SHA-256 of its file.
    pub package: PackageId,
    /// What every appliance runs afterwards: version, and the SHA-256 of every module, from the package's manifest.
    pub release: Release,
    /// In which attempt, from 1.
    pub attempt: u32,
    /// The order to this appliance in that attempt.
    pub order: Option<Sent>,
    /// The question for its version in that attempt.
    pub question: Option<Sent>,
    /// The nonces of all questions of this rollout to it, oldest first.
    pub nonces: Vec<Nonce>,
    /// The version report that counts.
    pub answer: Option<Answered>,
    /// The verdict; absent while there is none.
    pub verdict: Option<Verdict>,
    /// When it was found.
    pub decided: Option<Timestamp>,
    /// What happened to the appliance in this rollout, oldest first.
    pub history: Vec<HistoryLine>,
    /// How many lines the audit log had.
    pub audit_rows: u64,
    /// The hash of the last of them, which covers all.
    pub audit_head: Digest,
}

/// A mail of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Its message.
    pub message: MessageId,
    /// When it was written.
    pub written: Timestamp,
    /// When our mail server had taken it; absent while it has not, or when it came back.
    pub handed_in: Option<Timestamp>,
    /// When it was called back.
    pub called_back: Option<Timestamp>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// How the center found it to compare with the release.
    pub finding: Finding,
    /// When it was made, by the appliance's clock.
    pub created: Timestamp,
    /// When it was filed, by the center's.
    pub received: Timestamp,
    /// The reception number and the message of the report, where its text was kept.
    pub number: Option<u64>,
    /// See `number`.
    pub message: Option<MessageId>,
    /// The report as it came: nonce, table, and the hash of every module, read from disk by the appliance.
    pub report: Option<VersionReportMessage>,
}

/// A record with its digests and its signature: a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`FORMAT`].
    certificate: String,
    record: Record,
    digests: BTreeMap<String, Digest>,
    signed: Attestation,
}

impl Certificate {
    /// Signs a record with the center's command key.
    ///
    /// # Errors
    /// [`serde_json::Error`] where the record cannot be written as JSON.
    pub fn sign(record: Record, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let digests = digests(&record)?;
        let signed = Attestation::sign(&statement(&digests)?, key);
        Ok(Self { certificate: FORMAT.to_owned(), record, digests, signed })
    }

    /// The file: indented JSON with a line end.
    ///
    /// # Errors
    /// [`serde_json::Error`] where the record cannot be written as JSON.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// What the signature covers.
fn statement(digests: &BTreeMap<String, Digest>) -> Result<Vec<u8>, serde_json::Error> {
    Ok([FORMAT.as_bytes(), b"\0", &serde_json::to_vec(digests)?].concat())
}

/// A digest of every field; of lists and objects, of each that is in it: `history.3`, `order.message`.
fn digests(record: &Record) -> Result<BTreeMap<String, Digest>, serde_json::Error> {
    let mut digests = BTreeMap::new();
    let mut note = |name: String, value: &Value| {
        let digest = Digest::of_pieces(&[name.as_bytes(), b"\0", value.to_string().as_bytes()]);
        digests.insert(name, digest);
    };
    if let Value::Object(fields) = serde_json::to_value(record)? {
        for (name, value) in &fields {
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    inner.iter().for_each(|(field, value)| note(format!("{name}.{field}"), value));
                }
                Value::Array(inner) if !inner.is_empty() => {
                    inner
                        .iter()
                        .enumerate()
                        .for_each(|(nth, value)| note(format!("{name}.{}", nth + 1), value));
                }
                value => note(name.clone(), value),
            }
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests;
