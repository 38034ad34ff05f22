//! The one table printer and the one way to print a time.

use jiff::Timestamp;
use tabled::builder::Builder;
use tabled::settings::Style;

/// A table with a head line; the cells are cleaned of control characters, since some come from devices and servers.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut builder = Builder::default();
    builder.push_record(head);
    for row in rows {
        builder.push_record(row.map(|cell| clean(&cell)));
    }
    let table = builder.build().with(Style::psql()).to_string();
    // Trailing blanks make copied tables ugly.
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The text without control characters.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A time to the second, in UTC; `-` for none.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::{table, time};

    #[test]
    fn a_text_from_outside_cannot_move_the_cursor() {
        let text = table(["name"], [["\x1b[2Jgone\n".to_owned()]]);
        assert!(!text.contains('\x1b'));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn times_are_utc_to_the_second() {
        assert_eq!(time(Some("2026-01-02T03:04:05.678Z".parse().unwrap())), "2026-01-02 03:04:05Z");
        assert_eq!(time(None), "-");
    }
}
