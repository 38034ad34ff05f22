//! The report as one self-contained HTML page.

use super::chart::{Bar, Curve, curve, reasons, versions};
use super::{Comparison, Mark, Point, Row, WaveRow, minute};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailfmt::{AgentId, Digest, SoftwareVersion};
use std::collections::BTreeMap;

/// Sorts and hides rows; the page says all that it says without it. The page names its digest, so that no other script runs.
const SCRIPT: &str = include_str!("../../templates/comparison.js");

/// What the page shows beside the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// The waves, the first one first.
    pub waves: Vec<WaveRow>,
    /// How the rollout came on, oldest first.
    pub points: Vec<Point>,
    /// What each target ran before it, as far as it is known.
    pub before: BTreeMap<AgentId, SoftwareVersion>,
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    report: &'a Comparison,
    summary: String,
    percent: u32,
    started: String,
    /// `None` while the rollout runs.
    finished: Option<String>,
    made: String,
    curve: Option<Curve>,
    versions: Vec<Bar>,
    reasons: Vec<Bar>,
    waves: &'a [WaveRow],
    script: &'static str,
    script_hash: String,
}

impl Row {
    fn version_text(&self) -> String {
        self.version.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string)
    }

    fn checked_text(&self) -> String {
        self.checked.map_or_else(|| "never".to_owned(), minute)
    }

    fn is_failed(&self) -> bool {
        self.mark == Mark::Failed
    }
}

/// The page: no outside file, script or font; light and dark by the reader's setting; sortable; made for A4 on paper. All
/// values are escaped, and a content security policy forbids anything to be loaded and any script but the page's own to run.
#[must_use]
pub fn html(report: &Comparison, picture: &Picture) -> String {
    let percent =
        (u64::from(report.counts.updated) * 100).checked_div(u64::from(report.counts.total)).unwrap_or(0);
    let page = Page {
        report,
        summary: report.summary(),
        percent: u32::try_from(percent).unwrap_or(100),
        started: minute(report.started),
        finished: report.finished.map(minute),
        made: minute(report.made),
        curve: curve(
            &picture.points,
            report.started,
            report.finished.unwrap_or(report.made),
            report.counts.total,
        ),
        versions: if picture.before.is_empty() { Vec::new() } else { versions(report, &picture.before) },
        reasons: reasons(report),
        waves: &picture.waves,
        script: SCRIPT,
        script_hash: STANDARD.encode(Digest::of(SCRIPT.as_bytes()).as_bytes()),
    };
    page.render().expect("writing into memory does not fail")
}
