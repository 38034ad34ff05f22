//! The version comparison report: the operator's table of a rollout, as a value and in four forms.
//!
//! Columns and their order are those of Fig. 15 and 16: failed mark, agent id, mail address, version, last version check,
//! remarks (customer); then the reason. Every row without success says in one sentence why, and which command to type
//! next.
//!
//! Source: JP 2003-435644 [0081-0083].

mod again;
mod cause;
mod chart;
mod csv;
mod html;
mod ladders;
mod live;
mod progress;
mod table;
mod versions;
mod waves;

pub(crate) use cause::span;
pub use csv::csv;
pub use html::{Picture, html};
pub use ladders::{MailRungs, Rungs, UpdateRungs};
pub use live::{Errors, Live, MailUse, NextWave, Recent, Watched, frame, in_one_line, lines};
pub use progress::{Point, Turn, progress};
pub use table::table;
pub use versions::modules_table;
pub use waves::{WaveRow, waves};

use crate::db::rollouts::{Counts, Known};
use crate::rollout::retrying::mails_left;
use crate::rollout::{Rollout, RolloutId, Targets, Verdict};
use crate::words::plain;
use jiff::Timestamp;
use jiff::tz::Offset;
use mailfmt::package::PackageId;
use mailfmt::{AgentId, SoftwareVersion};
use serde::Serialize;
use std::borrow::Cow;

/// The report on one rollout at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The rollout.
    pub rollout: RolloutId,
    /// The target version: the heading's "update to".
    pub update_to: SoftwareVersion,
    /// The package.
    pub package: PackageId,
    /// When the rollout began.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// When this report was made.
    pub made: Timestamp,
    /// How many targets stand where.
    pub counts: Counts,
    /// One row per target, in the order of their ids.
    pub rows: Vec<Row>,
}

/// One target's row. Free text in it is one line without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Failed, updated or not known yet.
    pub mark: Mark,
    /// Agent id.
    pub agent: AgentId,
    /// Mail address.
    pub address: String,
    /// The latest known version, whoever asked for it.
    pub version: Option<SoftwareVersion>,
    /// When that was heard.
    pub checked: Option<Timestamp>,
    /// Remarks: the customer.
    pub remarks: String,
    /// Why there is no success (yet); `None` where there is nothing to say.
    pub reason: Option<Reason>,
    /// When it is tried again by itself, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Where our last mail stands, as one word.
    pub transport: String,
    /// What the installer said, as one word.
    pub installer: &'static str,
    /// In which wave it is, from 1.
    pub wave: u32,
    /// What kind of failure it is, in a word or two; `None` where it did not fail.
    pub failure: Option<&'static str>,
    /// The mail ladder in words.
    pub mail: Cow<'static, str>,
    /// The update ladder in words.
    pub update: Cow<'static, str>,
}

/// What a row is marked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Verified at the target version.
    Updated,
    /// Not at the target version, or silent: the checked box of Fig. 16.
    Failed,
    /// No verdict yet.
    Pending,
}

/// Why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// One sentence.
    pub cause: String,
    /// The command to type next.
    pub next: String,
}

impl Mark {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

impl Comparison {
    /// Compares what is known of every target with the rollout's target version.
    ///
    /// Targets of which nothing is known (`known` has no entry) are left out.
    #[must_use]
    pub fn of(rollout: &Rollout, targets: &Targets, known: &[Known], made: Timestamp) -> Self {
        let mut counts = Counts::default();
        let mut rows = Vec::with_capacity(known.len());
        let mails_left = mails_left(rollout, targets);
        // Both are in the order of the ids, so the next target is nearly always the one that is looked for.
        let mut ahead = targets.iter().peekable();
        for known in known {
            while ahead.next_if(|(agent, _)| **agent < known.agent).is_some() {}
            let next = ahead.next_if(|(agent, _)| **agent == known.agent).map(|(_, target)| target);
            let Some(target) = next.or_else(|| targets.get(&known.agent)) else { continue };
            let (mark, count) = match target.verdict() {
                Some(Verdict::Updated) => (Mark::Updated, &mut counts.updated),
                Some(Verdict::Failed { .. }) => (Mark::Failed, &mut counts.failed),
                None => (Mark::Pending, &mut counts.pending),
            };
            *count = count.saturating_add(1);
            counts.total = counts.total.saturating_add(1);
            rows.push(Row {
                mark,
                agent: known.agent.clone(),
                address: plain(&known.address),
                version: known.software.clone(),
                checked: known.checked,
                remarks: plain(&known.customer),
                reason: again::with_outlook(
                    cause::explain(rollout, target, Some(known), made),
                    rollout,
                    target,
                    mails_left,
                ),
                next_try: again::next_try(rollout, target, mails_left),
                attempt: target.attempt,
                transport: ladders::transport_word(target),
                installer: ladders::installer_word(target),
                wave: target.wave.saturating_add(1),
                failure: ladders::failure_word(target),
                mail: ladders::mail_words(target),
                update: ladders::update_words(target),
            });
        }
        Self {
            rollout: rollout.id,
            update_to: rollout.release.version.clone(),
            package: rollout.order.package,
            started: rollout.started,
            finished: rollout.finished,
            made,
            counts,
            rows,
        }
    }

    /// The line under the heading, such as `13 of 17 updated, 4 failed`.
    #[must_use]
    pub fn summary(&self) -> String {
        let Counts { total, updated, failed, pending } = self.counts;
        let mut line = format!("{updated} of {total} updated");
        if failed > 0 {
            line.push_str(&format!(", {failed} failed"));
        }
        if pending > 0 {
            line.push_str(&format!(", {pending} without a verdict yet"));
        }
        line
    }

    /// As JSON, one object, indented.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the report has text keys and no failing serializers")
    }
}

/// A time as people read it in tables: UTC, to the minute.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    // Tables have many: put together by hand, since a format that has to be read each time takes longer than the rest.
    let at = Offset::UTC.to_datetime(at);
    format!("{:04}-{:02}-{:02} {:02}:{:02}", at.year(), at.month(), at.day(), at.hour(), at.minute())
}
