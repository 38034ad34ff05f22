//! What verdicts rest on: version reports as they were filed, read again as they came.

use super::columns::{At, Id, uncount};
use super::{Db, DbError};
use jiff::Timestamp;
use mailfmt::message::Family;
use mailfmt::message::report::VersionReportMessage;
use mailfmt::{AgentId, Message, MessageId, Report, SoftwareVersion};
use rusqlite::{OptionalExtension as _, params};

/// A version report as it was filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledVersion {
    /// Its reception number.
    pub number: u64,
    /// Its message.
    pub message: MessageId,
    /// The request that it answers, where it says so.
    pub in_reply_to: Option<MessageId>,
    /// When it was made, by the appliance's clock.
    pub created: Timestamp,
    /// When it was filed, by the center's clock.
    pub received: Timestamp,
    /// What it says.
    pub report: VersionReportMessage,
}

impl Db {
    /// The version report of an appliance that was made at `created` and filed at `received`, newest first where there are
    /// several; `None` where its text was not kept.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn filed_version(
        &self,
        agent: &AgentId,
        created: Timestamp,
        received: Timestamp,
    ) -> Result<Option<FiledVersion>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT number, message, in_reply_to, body FROM report
             WHERE agent = ?1 AND kind = 'version-report' AND created = ?2 AND received = ?3
             ORDER BY number DESC LIMIT 1",
        )?;
        let found = statement.query_row(params![agent.as_str(), At(created), At(received)], |row| {
            let (number, message) = (uncount(row.get(0)?), row.get::<_, Id>(1)?.message());
            let in_reply_to = row.get::<_, Option<Id>>(2)?.map(Id::message);
            let report = version_report(row.get_ref(3)?.as_str()?);
            Ok(report.map(|report| FiledVersion { number, message, in_reply_to, created, received, report }))
        });
        Ok(found.optional()?.flatten())
    }
}

/// The software version that the text of a filed report names.
pub(super) fn version_of(body: &str) -> Option<SoftwareVersion> {
    version_report(body).map(|report| report.table.software)
}

fn version_report(body: &str) -> Option<VersionReportMessage> {
    match Message::parse(Family::Report, body.as_bytes()) {
        Ok(Message::Report(Report::Version(report))) => Some(report),
        _ => None,
    }
}
