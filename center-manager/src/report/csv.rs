//! The report as comma-separated values (RFC 4180).

use super::{Comparison, Row};

/// The report, one line per target, heads first. Times are RFC 3339.
#[must_use]
pub fn csv(report: &Comparison) -> String {
    let head = [
        "update to",
        "failed",
        "agent id",
        "mail address",
        "version",
        "last version check",
        "remarks",
        "mark",
        "attempt",
        "transport",
        "installer",
        "reason",
        "next command",
        "wave",
        "mail",
        "update",
    ];
    let update_to = report.update_to.as_str();
    lines(&head, report.rows.iter().map(|row| cells(row, update_to)))
}

fn cells(row: &Row, update_to: &str) -> Vec<String> {
    let (cause, next) =
        row.reason.as_ref().map(|reason| (text(&reason.cause), reason.next.clone())).unwrap_or_default();
    vec![
        update_to.to_owned(),
        if row.mark == super::Mark::Failed { "x" } else { "" }.to_owned(),
        row.agent.to_string(),
        text(&row.address),
        row.version.as_ref().map(ToString::to_string).unwrap_or_default(),
        row.checked.map(|at| at.to_string()).unwrap_or_default(),
        text(&row.remarks),
        row.mark.as_str().to_owned(),
        row.attempt.to_string(),
        row.transport.clone(),
        row.installer.to_owned(),
        cause,
        next,
        row.wave.to_string(),
        text(&row.mail),
        text(&row.update),
    ]
}

fn lines(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let writing = "writing into memory does not fail, and all lines have as many cells as the head";
    writer.write_record(head).expect(writing);
    for row in rows {
        writer.write_record(row).expect(writing);
    }
    let octets = writer.into_inner().unwrap_or_else(|_| unreachable!("{writing}"));
    String::from_utf8(octets).unwrap_or_else(|_| unreachable!("all cells are UTF-8"))
}

/// Free text as a cell: a spreadsheet takes a leading `=`, `+`, `-` or `@` for a formula, so such a text gets an
/// apostrophe in front, as spreadsheets themselves do it.
fn text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}
