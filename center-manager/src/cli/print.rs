//! How results are printed: one table style, one JSON writer, one CSV writer.

use clap::ValueEnum;
use serde::Serialize;
use std::io::Write;
use tabled::builder::Builder;
use tabled::settings::Style;

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// The same, and CSV for spreadsheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TableFormat {
    /// A table.
    #[default]
    #[value(alias = "table")]
    Text,
    /// JSON.
    Json,
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
}

/// Prints a table; every cell becomes one line without control characters.
pub(super) fn table(
    out: &mut dyn Write,
    names: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> anyhow::Result<()> {
    let mut builder = Builder::default();
    builder.push_record(names.iter().copied());
    for row in rows {
        builder.push_record(row.iter().map(|cell| crate::words::plain(cell)));
    }
    let mut table = builder.build();
    table.with(Style::psql());
    // Trailing blanks make copied tables ugly.
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints pretty JSON and a line end.
pub(super) fn json<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints CSV. A cell that a spreadsheet would take for a formula gets an apostrophe in front.
pub(super) fn csv(
    out: &mut dyn Write,
    names: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(names)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| harmless(cell)))?;
    }
    writer.flush()?;
    Ok(())
}

fn harmless(cell: &str) -> String {
    let cell = crate::words::plain(cell);
    // The mark for nothing in tables is nothing in CSV.
    if cell == "-" {
        return String::new();
    }
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell }
}

/// A time that may be missing.
pub(super) fn time(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), crate::report::minute)
}

/// A text that may be missing.
pub(super) fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_cell_is_no_formula_and_nothing_stays_nothing() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("-"), "");
        assert_eq!(harmless("aaa - Trading"), "aaa - Trading");
    }
}
