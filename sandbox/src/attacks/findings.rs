//! What is noted while an attack goes on.

use super::{Attack, Line};
use std::collections::BTreeMap;

/// Notes of one attack.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What happened, each with how often.
    noted: BTreeMap<String, u64>,
    broken: Vec<String>,
    /// Octets of the attacker's scripts that ran.
    pub(super) code_octets_run: u64,
    answers: u64,
    wrong: u64,
}

impl Findings {
    /// Something happened that is worth telling.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        *self.noted.entry(what.into()).or_default() += 1;
    }

    /// Something that must be so; else the defence has not held.
    pub(super) fn must(&mut self, holds: bool, otherwise: impl Into<String>) {
        let otherwise = otherwise.into();
        if !holds && !self.broken.contains(&otherwise) {
            self.broken.push(otherwise);
        }
    }

    /// A refusal with the reason that was recorded, and with words of the reason that it must be.
    pub(super) fn reason(&mut self, recorded: &str, wanted: &str) {
        if recorded.contains(wanted) {
            self.note(wanted);
        } else {
            self.wrong += 1;
            self.broken.push(format!("recorded as {recorded:?}, not as {wanted:?}"));
        }
    }

    /// So many mails left although nothing authentic had come.
    pub(super) fn answers(&mut self, count: u64) {
        self.answers += count;
        self.must(count == 0, format!("{count} answers went out"));
    }

    pub(super) fn line(self, attack: &Attack) -> Line {
        let told = self.noted.into_iter().map(|(what, count)| match count {
            1 => what,
            count => format!("{count} times: {what}"),
        });
        Line {
            threat: attack.threat,
            adversary: attack.adversary,
            tried: attack.tried,
            happened: told.collect::<Vec<_>>().join("; "),
            broken: self.broken,
            code_octets_run: self.code_octets_run,
            answers_to_unauthenticated: self.answers,
            wrong_reasons: self.wrong,
        }
    }
}
