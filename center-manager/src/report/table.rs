//! The report for a terminal.

use super::{Comparison, Mark, Row, minute};
use std::borrow::Cow;
use std::fmt::Write as _;
use tabled::grid::util::string::get_string_width;

/// Widest sentence before it is broken into lines, in characters: as wide as the usual command below it.
const REASON_WIDTH: usize = 56;

const HEAD: [&str; COLUMNS] =
    ["", "agent id", "mail address", "version", "last version check", "remarks (customer)"];
/// Columns before the reason.
const COLUMNS: usize = 6;

/// The report as a table for a terminal, heading and summary first.
///
/// It is written row by row after one look at how wide the columns are: a fleet has many rows.
#[must_use]
pub fn table(report: &Comparison) -> String {
    let state = match report.finished {
        Some(finished) => format!("finished {}", minute(finished)),
        None => "running".to_owned(),
    };
    let mut text = format!(
        "update to: {}\nrollout {}, {}; started {}, {state}; times in UTC\n\n",
        report.update_to,
        report.rollout,
        report.summary(),
        minute(report.started),
    );
    let mut lines = Lines::fitting(report);
    text.reserve(report.rows.len().saturating_mul(lines.octets()));
    lines.line(&mut text, &HEAD, "reason");
    lines.rule(&mut text);
    for row in &report.rows {
        lines.row(&mut text, row);
    }
    text.push_str("[x] failed   [.] no verdict yet");
    if report.finished.is_some() && report.counts.failed > 0 {
        let _ = write!(text, "\nAll failed ones again: center-manager rollout retry {}", report.rollout);
    }
    text
}

/// Writes lines of the table.
struct Lines {
    /// How wide the columns are.
    widths: [usize; COLUMNS],
    /// How wide the reason is.
    reason: usize,
    /// The reason being written; kept for its memory.
    broken: String,
}

impl Lines {
    /// Wide enough for everything in the report.
    fn fitting(report: &Comparison) -> Self {
        let mut widths = HEAD.map(get_string_width);
        let mut reason = get_string_width("reason");
        let mut broken = String::new();
        for row in &report.rows {
            for (widest, cell) in widths.iter_mut().zip(cells(row)) {
                *widest = (*widest).max(width(&cell));
            }
            if row.reason.is_some() {
                break_reason(row, &mut broken);
                reason = broken.lines().map(width).max().unwrap_or(0).max(reason);
            }
        }
        Self { widths, reason, broken }
    }

    /// About how many octets a row takes.
    fn octets(&self) -> usize {
        self.widths.iter().sum::<usize>() + 3 * COLUMNS + 2
    }

    fn rule(&self, text: &mut String) {
        for (nth, width) in self.widths.iter().enumerate() {
            let blanks = if nth == 0 { 1 } else { 2 };
            text.extend(std::iter::repeat_n('-', width + blanks));
            text.push('+');
        }
        text.extend(std::iter::repeat_n('-', self.reason + 2));
        text.push('\n');
    }

    fn row(&mut self, text: &mut String, row: &Row) {
        let mut broken = std::mem::take(&mut self.broken);
        break_reason(row, &mut broken);
        let mut lines = broken.lines();
        let cells = cells(row);
        self.line(text, &cells.each_ref().map(AsRef::as_ref), lines.next().unwrap_or_default());
        for line in lines {
            self.line(text, &[""; COLUMNS], line);
        }
        self.broken = broken;
    }

    fn line(&self, text: &mut String, cells: &[&str; COLUMNS], reason: &str) {
        for (nth, (cell, widest)) in cells.iter().zip(self.widths).enumerate() {
            text.push_str(if nth == 0 { "" } else { " " });
            text.push_str(cell);
            let blanks = widest.saturating_sub(width(cell)) + 1;
            text.extend(std::iter::repeat_n(' ', blanks));
            text.push('|');
        }
        text.push(' ');
        text.push_str(reason);
        // Trailing blanks make copied tables ugly.
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

fn cells(row: &Row) -> [Cow<'_, str>; COLUMNS] {
    let mark = match row.mark {
        Mark::Updated => "[ ]",
        Mark::Failed => "[x]",
        Mark::Pending => "[.]",
    };
    [
        mark.into(),
        row.agent.as_str().into(),
        row.address.as_str().into(),
        row.version.as_ref().map_or("not known", |version| version.as_str()).into(),
        row.checked.map_or("never".into(), |at| minute(at).into()),
        row.remarks.as_str().into(),
    ]
}

/// How many places of a terminal a text takes.
fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { get_string_width(text) }
}

/// Writes a row's reason in its lines into `text`: the sentence, broken between its words, and the command. A longer word
/// keeps a line of its own. Commands are never broken, so that they can be copied.
fn break_reason(row: &Row, text: &mut String) {
    text.clear();
    let Some(reason) = &row.reason else { return };
    let mut column = 0;
    for word in reason.cause.split_whitespace() {
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
    text.push_str("\n$ ");
    text.push_str(&reason.next);
}
