//! The tables for a terminal.

use super::{Comparison, Mark, Row, minute};
use crate::db::rollouts::Known;
use crate::words::plain;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Padding, Style, Width};

/// Widest reason before it is broken into lines, in columns.
const REASON_WIDTH: usize = 52;

/// The report as a table for a terminal, heading and summary first. Free text is shown without control characters.
#[must_use]
pub fn table(report: &Comparison) -> String {
    let mut builder = Builder::default();
    builder.push_record([
        "",
        "agent id",
        "mail address",
        "version",
        "last version check",
        "remarks (customer)",
        "reason",
    ]);
    for row in &report.rows {
        builder.push_record(cells(row));
    }
    let mut table = builder.build();
    table
        .with(Style::psql())
        .with(Modify::new(Columns::first()).with(Padding::new(0, 1, 0, 0)))
        .with(Modify::new(Columns::last()).with(Width::wrap(REASON_WIDTH).keep_words(true)));
    let state = match report.finished {
        Some(finished) => format!("finished {}", minute(finished)),
        None => "running".to_owned(),
    };
    format!(
        "update to: {}\nrollout {}, {}; started {}, {state}; times in UTC\n\n{table}\n[x] failed   [.] no verdict yet",
        report.update_to,
        report.rollout,
        report.summary(),
        minute(report.started),
    )
}

fn cells(row: &Row) -> [String; 7] {
    let mark = match row.mark {
        Mark::Updated => "[ ]",
        Mark::Failed => "[x]",
        Mark::Pending => "[.]",
    };
    [
        mark.to_owned(),
        row.agent.to_string(),
        plain(&row.address),
        row.version.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string),
        row.checked.map_or_else(|| "never".to_owned(), minute),
        plain(&row.remarks),
        row.reason
            .as_ref()
            .map(|reason| format!("{}\n$ {}", plain(&reason.cause), reason.next))
            .unwrap_or_default(),
    ]
}

/// The latest known version of each appliance.
#[must_use]
pub fn versions_table(known: &[Known]) -> String {
    let mut builder = Builder::default();
    builder.push_record(["agent id", "mail address", "version", "last version check", "remarks (customer)"]);
    for known in known {
        builder.push_record([
            known.agent.to_string(),
            plain(&known.address),
            known.software.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string),
            known.checked.map_or_else(|| "never".to_owned(), minute),
            plain(&known.customer),
        ]);
    }
    builder.build().with(Style::psql()).to_string()
}
