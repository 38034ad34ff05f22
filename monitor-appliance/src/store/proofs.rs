//! What each release has shown to work: mail fetched, mail handed in, a device read.

use super::{Change, Store, StoreError, row};
use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

/// Octets of an error's text that are kept.
const DETAIL_OCTETS_MAX: usize = 300;

/// Work without which an appliance is of no use, and which a new release must show before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A session with the mailbox was completed.
    MailFetch,
    /// A mail was handed to the server, which took it.
    MailSend,
    /// A device answered.
    DeviceRead,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::MailFetch => "mail-fetch",
            Self::MailSend => "mail-send",
            Self::DeviceRead => "device-read",
        }
    }
}

/// What is known of one kind of work under one release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// When it last worked; `None` if it never did.
    pub worked: Option<Timestamp>,
    /// What was wrong at the last try; `None` when that one worked, or there was none.
    pub failing: Option<String>,
}

impl Store {
    /// What the release in the folder called `release` has shown of `work`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn proof(&self, work: Work, release: &str) -> Result<Proof, StoreError> {
        let found: Option<(Option<i64>, bool, String)> = self
            .connection
            .prepare_cached("SELECT worked_ms, failing, detail FROM proof WHERE what = ?1 AND release = ?2")?
            .query_row((work.name(), release), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((worked, failing, detail)) = found else { return Ok(Proof::default()) };
        Ok(Proof {
            worked: worked.map(|ms| row::time(ms, "proof")).transpose()?,
            failing: failing.then_some(detail),
        })
    }
}

impl Change<'_> {
    /// Notes that `work` was done by the release in the folder called `release`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn prove(&self, work: Work, release: &str, at: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO proof (what, release, worked_ms) VALUES (?1, ?2, ?3) ON CONFLICT (what, release)
                 DO UPDATE SET worked_ms = excluded.worked_ms, failing = 0, detail = ''",
            )?
            .execute((work.name(), release, at.as_millisecond()))?;
        Ok(())
    }

    /// Notes that `work` failed, and why, for a person; what was shown before stays shown.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn disprove(&self, work: Work, release: &str, detail: &str) -> Result<(), StoreError> {
        let end = (0..=DETAIL_OCTETS_MAX.min(detail.len())).rev().find(|end| detail.is_char_boundary(*end));
        let detail = end.and_then(|end| detail.get(..end)).unwrap_or_default();
        self.transaction
            .prepare_cached(
                "INSERT INTO proof (what, release, failing, detail) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (what, release) DO UPDATE SET failing = 1, detail = excluded.detail
                 WHERE failing = 0 OR detail <> excluded.detail",
            )?
            .execute((work.name(), release, detail))?;
        Ok(())
    }

    /// Forgets what every release but the one in the folder called `kept` has shown.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_proofs_except(&self, kept: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM proof WHERE release <> ?1")?.execute((kept,))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_release_did_does_not_speak_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        store.change(|change| change.prove(Work::MailFetch, "1.0.00-1", at)).unwrap();
        assert_eq!(store.proof(Work::MailFetch, "1.0.00-1").unwrap().worked, Some(at));
        assert_eq!(store.proof(Work::MailFetch, "1.0.02-0").unwrap(), Proof::default());
        assert_eq!(store.proof(Work::MailSend, "1.0.00-1").unwrap(), Proof::default());
        store.change(|change| change.prove(Work::MailFetch, "1.0.02-0", at)).unwrap();
        store.change(|change| change.forget_proofs_except("1.0.00-1")).unwrap();
        assert_eq!(store.proof(Work::MailFetch, "1.0.02-0").unwrap(), Proof::default());
        assert_eq!(store.proof(Work::MailFetch, "1.0.00-1").unwrap().worked, Some(at));
    }

    #[test]
    fn a_failure_after_a_success_leaves_the_success_and_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let long = "ä".repeat(1000);
        store
            .change(|change| {
                change.prove(Work::MailSend, "1", at)?;
                change.disprove(Work::MailSend, "1", &long)
            })
            .unwrap();
        let proof = store.proof(Work::MailSend, "1").unwrap();
        assert_eq!((proof.worked, proof.failing), (Some(at), Some("ä".repeat(150))));
        store.change(|change| change.prove(Work::MailSend, "1", at)).unwrap();
        assert_eq!(store.proof(Work::MailSend, "1").unwrap().failing, None);
    }
}
