//! The report for a terminal.

use super::{Comparison, Mark, Row, minute};
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Padding, Style};

/// Widest sentence before it is broken into lines, in characters: as wide as the usual command below it.
const REASON_WIDTH: usize = 56;

/// The report as a table for a terminal, heading and summary first.
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
    table.with(Style::psql()).with(Modify::new(Columns::first()).with(Padding::new(0, 1, 0, 0)));
    let state = match report.finished {
        Some(finished) => format!("finished {}", minute(finished)),
        None => "running".to_owned(),
    };
    let retry = match report.finished {
        Some(_) if report.counts.failed > 0 => {
            format!("\nAll failed ones again: center-manager rollout retry {}", report.rollout)
        }
        _ => String::new(),
    };
    let text = format!(
        "update to: {}\nrollout {}, {}; started {}, {state}; times in UTC\n\n{table}\n[x] failed   [.] no verdict yet{retry}",
        report.update_to,
        report.rollout,
        report.summary(),
        minute(report.started),
    );
    // Trailing blanks make copied tables ugly.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
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
        row.address.clone(),
        row.version.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string),
        row.checked.map_or_else(|| "never".to_owned(), minute),
        row.remarks.clone(),
        row.reason
            .as_ref()
            .map(|reason| format!("{}\n$ {}", broken(&reason.cause), reason.next))
            .unwrap_or_default(),
    ]
}

/// Breaks a sentence into lines between its words; a longer word keeps a line of its own. Commands are never broken, so
/// that they can be copied.
fn broken(sentence: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > REASON_WIDTH {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}
