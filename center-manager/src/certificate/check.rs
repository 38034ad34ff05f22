//! Checking a certificate with nothing but its octets and the key, or the roots, of the center. Pure.

use super::{Answered, Certificate, FORMAT, Record, digests, statement};
use crate::report::minute;
use crate::rollout::{Finding, Verdict};
use crate::words::plain;
use mailfmt::trust::{KeyId, PublicKey, RootError, SignedRoot, TrustedRoot};
use mailfmt::{Digest, Nonce};
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest certificate, in octets: a thousand modules and ten thousand lines of history.
pub const OCTETS_MAX: usize = 8 << 20;

/// Whose signature is believed.
#[derive(Debug, Clone, Copy)]
pub enum Believed<'a> {
    /// That of this key.
    Key(&'a PublicKey),
    /// That of a command key of any root of this chain, which is trusted from root 1.
    Roots(&'a [SignedRoot]),
}

/// A certificate that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What it says.
    pub record: Record,
    /// The key that signed it.
    #[serde(serialize_with = "as_text")]
    pub key: KeyId,
    /// What follows from it, sentence by sentence.
    pub proves: Vec<String>,
    /// What does not follow from it.
    pub leaves_open: Vec<String>,
}

fn as_text<S: serde::Serializer>(key: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// Why a certificate does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Larger than any.
    #[error("this is no certificate: it has {octets} octets, more than the {OCTETS_MAX} that one may have")]
    TooLarge {
        /// How many.
        octets: usize,
    },
    /// Not one, or damaged so that it cannot be read.
    #[error("this is no certificate, or it is damaged at line {line} ({text}): {source}")]
    Shape {
        /// The line at which reading ended, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
    /// Of a later or another form.
    #[error("this is a {found:?}; this program checks {FORMAT:?}")]
    Format {
        /// What it calls itself.
        found: String,
    },
    /// Fields were changed after it was signed.
    #[error("NOT VALID: changed after it was signed: {}", .fields.join(", "))]
    Altered {
        /// Which fields.
        fields: Vec<String>,
    },
    /// It says the same, but its text is not what the center wrote.
    #[error("NOT VALID: line {line} is not written as the center wrote it: {text}")]
    Rewritten {
        /// The first such line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The signature does not fit.
    #[error(
        "NOT VALID: the signature does not fit the digests: digests, key or signature were changed, or it was never signed"
    )]
    Signature,
    /// Signed, but by somebody else.
    #[error("NOT VALID: it is signed by key {found}, and {expected}")]
    Key {
        /// Who signed.
        found: KeyId,
        /// Whose signature was wanted.
        expected: String,
    },
    /// For another center than that of the roots.
    #[error("NOT VALID: it speaks for center {found}, the roots are those of {center}")]
    Center {
        /// What it says.
        found: String,
        /// Whose roots.
        center: String,
    },
    /// The roots themselves are not to be trusted.
    #[error("no appliance would trust these roots")]
    Roots(#[from] RootError),
    /// The center signed a verdict that does not follow from what it shows.
    #[error("signed by the center, but the verdict does not follow from what is shown: {reason}")]
    Contradiction {
        /// Why not.
        reason: String,
    },
}

/// Checks a certificate; everything that is needed is given.
///
/// # Errors
/// [`CheckError`]: it holds in no case then.
pub fn check(octets: &[u8], believed: Believed<'_>) -> Result<Checked, CheckError> {
    if octets.len() > OCTETS_MAX {
        return Err(CheckError::TooLarge { octets: octets.len() });
    }
    let unreadable = |source: serde_json::Error| {
        let line = source.line().max(1);
        CheckError::Shape { line, text: line_of(octets, line), source }
    };
    let certificate: Certificate = serde_json::from_slice(octets).map_err(unreadable)?;
    if certificate.certificate != FORMAT {
        return Err(CheckError::Format { found: plain(&certificate.certificate) });
    }
    let fields = differing(&digests(&certificate.record).map_err(unreadable)?, &certificate.digests);
    if !fields.is_empty() {
        return Err(CheckError::Altered { fields });
    }
    let written = certificate.write().map_err(unreadable)?;
    if written.as_bytes() != octets {
        let same = written.bytes().zip(octets).take_while(|(ours, theirs)| ours == *theirs).count();
        let line = 1 + written.bytes().take(same).filter(|octet| *octet == b'\n').count();
        return Err(CheckError::Rewritten { line, text: line_of(octets, line) });
    }
    if !certificate.signed.covers(&statement(&certificate.digests).map_err(unreadable)?) {
        return Err(CheckError::Signature);
    }
    let key = certificate.signed.key;
    let whose = whose(&key, &certificate.record, believed)?;
    let record = certificate.record;
    let seen = evidence(&record).map_err(|reason| CheckError::Contradiction { reason })?;
    let mut proves = vec![format!(
        "The holder of key {} ({whose}) has stated all of it, and nothing of it was changed since.",
        key.id()
    )];
    proves.extend(told(&record));
    proves.extend(seen);
    Ok(Checked { key: key.id(), proves, leaves_open: leaves_open(&record), record })
}

fn line_of(octets: &[u8], line: usize) -> String {
    let found = octets.split(|octet| *octet == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    plain(&String::from_utf8_lossy(found)).chars().take(120).collect()
}

/// The fields whose digests differ, or that only one of both has.
fn differing(ours: &BTreeMap<String, Digest>, theirs: &BTreeMap<String, Digest>) -> Vec<String> {
    let changed = ours.iter().filter(|(name, digest)| theirs.get(*name) != Some(*digest));
    let missing = theirs.keys().filter(|name| !ours.contains_key(*name));
    let missing = missing.map(|name| format!("{} (taken out)", plain(name)));
    changed.map(|(name, _)| plain(name)).chain(missing).collect()
}

/// Who signed, in words.
fn whose(key: &PublicKey, record: &Record, believed: Believed<'_>) -> Result<String, CheckError> {
    let found = key.id();
    let chain = match believed {
        Believed::Key(wanted) if wanted == key => return Ok("the key that you gave".to_owned()),
        Believed::Key(wanted) => {
            let expected = format!("you gave key {}", wanted.id());
            return Err(CheckError::Key { found, expected });
        }
        Believed::Roots(chain) => chain,
    };
    let mut trusted = TrustedRoot::first(chain.get(..1).unwrap_or_default())?;
    let mut roots = Vec::new();
    for next in chain {
        trusted = trusted.advance(std::slice::from_ref(next))?;
        if trusted.root().command.key(found).is_some() {
            roots.push(trusted.root().version);
        }
    }
    let root = trusted.root();
    if root.center != record.center {
        return Err(CheckError::Center { found: record.center.to_string(), center: root.center.to_string() });
    }
    match (roots.first(), roots.last()) {
        (Some(_), Some(last)) if *last == root.version => {
            Ok(format!("command key of center {} under its newest root {last}", root.center))
        }
        (Some(first), Some(last)) => Ok(format!(
            "command key of center {} under roots {first} to {last}, and no longer: whoever has it now could have signed this later",
            root.center
        )),
        _ => {
            let expected = format!("no root of center {} names that as a command key", root.center);
            Err(CheckError::Key { found, expected })
        }
    }
}

/// What it says about who did what.
fn told(record: &Record) -> Vec<String> {
    let mut told = vec![format!(
        "Rollout {} of package {} to version {} began at {}.",
        record.rollout,
        record.package,
        record.release.version,
        minute(record.started)
    )];
    told.extend(record.deeds.iter().map(|deed| {
        let more = if deed.detail.is_empty() { String::new() } else { format!(": {}", plain(&deed.detail)) };
        format!("{} UTC: {}, {}{more}.", minute(deed.at), plain(&deed.who), plain(&deed.what))
    }));
    for (mail, what) in [(&record.order, "The order"), (&record.question, "The question for its version")] {
        let Some(mail) = mail else { continue };
        let taken = match mail.handed_in {
            Some(at) => format!("taken by the center's mail server at {}", minute(at)),
            None => "not taken by the center's mail server".to_owned(),
        };
        let written = minute(mail.written);
        told.push(format!(
            "{what} to {} was written at {written} as {}, and {taken}.",
            record.agent, mail.message
        ));
    }
    told
}

/// What was found anew from what the certificate shows; an error where the verdict does not follow from it.
fn evidence(record: &Record) -> Result<Vec<String>, String> {
    let mut seen = Vec::new();
    if let Some(answer) = &record.answer {
        if let Some(report) = &answer.report {
            if record.release.compare(report) != answer.finding {
                return Err(
                    "the version report does not compare with the release as the center says".to_owned()
                );
            }
            seen.push(compared(record, answer, report.nonce));
        } else {
            seen.push(
                "The text of its version report was not kept, so that it cannot be compared anew.".to_owned(),
            );
        }
    }
    match (&record.verdict, &record.answer) {
        (Some(Verdict::Updated), Some(Answered { finding: Finding::Same, .. })) => {}
        (Some(Verdict::Updated), _) => {
            return Err("it calls the appliance updated, and shows no version report that says so".to_owned());
        }
        (Some(Verdict::Failed { .. }), Some(Answered { finding: Finding::Same, .. })) => {
            return Err(
                "it calls the appliance failed, and shows a version report of the target version".to_owned()
            );
        }
        (Some(Verdict::Failed { .. }) | None, _) => {}
    }
    let decided = record.decided.map(|at| format!(", found at {}", minute(at))).unwrap_or_default();
    seen.push(match &record.verdict {
        Some(Verdict::Updated) => format!("Verdict: updated{decided}."),
        Some(Verdict::Failed { failure }) => {
            format!("Verdict: failed, {}{decided}.", plain(&failure.to_string()))
        }
        None => "There was no verdict yet.".to_owned(),
    });
    Ok(seen)
}

fn compared(record: &Record, answer: &Answered, nonce: Option<Nonce>) -> String {
    let fresh = match nonce {
        Some(nonce) if record.nonces.contains(&nonce) => {
            format!("answers a question of this rollout (nonce {nonce}), so it was made after that")
        }
        Some(_) | None => format!("was made at {} by the appliance's own clock", minute(answer.created)),
    };
    let modules = record.release.modules.len();
    let says = match &answer.finding {
        Finding::Same => format!(
            "names version {}, and the SHA-256 of each of its {modules} modules is that of the package (compared anew)",
            record.release.version
        ),
        Finding::OtherVersion { version } => format!("names version {version} (compared anew)"),
        Finding::MixedModules { modules } => format!(
            "names version {}, but {} of its modules are not the package's (compared anew)",
            record.release.version,
            modules.len()
        ),
    };
    format!("Its version report, filed at {}, {fresh}; it {says}.", minute(answer.received))
}

fn leaves_open(record: &Record) -> Vec<String> {
    vec![
        "That the appliance said so rests on the center's word: its mails are sealed with a key that the center has, too."
            .to_owned(),
        format!(
            "That nothing was left out of the audit log: compare line {}, {}, with what was noted elsewhere.",
            record.audit_rows, record.audit_head
        ),
        format!("That the package is the one you have: its file must have the SHA-256 {}.", record.package),
    ]
}
