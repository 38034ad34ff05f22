//! The report as one self-contained HTML page.

use super::{Comparison, Mark, Row, minute};
use askama::Template;

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
/// values are escaped, and a content security policy forbids anything to be loaded.
#[must_use]
pub fn html(report: &Comparison) -> String {
    let percent =
        (u64::from(report.counts.updated) * 100).checked_div(u64::from(report.counts.total)).unwrap_or(0);
    let page = Page {
        report,
        summary: report.summary(),
        percent: u32::try_from(percent).unwrap_or(100),
        started: minute(report.started),
        finished: report.finished.map(minute),
        made: minute(report.made),
    };
    page.render().expect("writing into memory does not fail")
}
