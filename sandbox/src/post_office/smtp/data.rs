//! The text of a mail as SMTP carries it: dots unstuffed, the end found, the rules for lines watched over.

use std::io::BufRead;

/// Longest line of a mail, its end not counted (RFC 5322 section 2.1.1).
pub(super) const TEXT_LINE_LIMIT: usize = 998;

/// A mail's text, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::post_office) enum Text {
    /// Every line ends with CRLF.
    Whole(Vec<u8>),
    /// More than the size limit.
    TooLarge,
    /// A line of more than 998 octets.
    LineTooLong,
    /// A CR or LF that stands alone: it may hide a second mail (RFC 5321 section 2.3.8).
    BareLineEnd,
}

/// Takes the octets behind DATA, in pieces of any size, up to the line that is a single dot.
pub(super) struct DataReader {
    text: Vec<u8>,
    /// A line whose end has not come.
    line: Vec<u8>,
    limit: usize,
    wrong: Option<Text>,
    /// Whether the line before ended with CRLF: only then can a dot be the final one.
    fresh: bool,
    complete: bool,
}

impl DataReader {
    /// For a mail of at most `limit` octets.
    pub(super) fn new(limit: usize) -> Self {
        Self { text: Vec::new(), line: Vec::new(), limit, wrong: None, fresh: true, complete: false }
    }

    /// Takes what it can; tells how much that was. What follows the final dot is left alone.
    pub(super) fn feed(&mut self, octets: &[u8]) -> usize {
        let mut rest = octets;
        while !self.complete && !rest.is_empty() {
            // `read_until` is the quick search for a line feed that the standard library offers.
            let before = rest;
            let length = rest.skip_until(b'\n').unwrap_or(before.len());
            let piece = &before[..length];
            let ended = piece.last() == Some(&b'\n');
            if self.line.is_empty() && ended {
                self.take_line(piece);
                continue;
            }
            self.line.extend_from_slice(piece);
            if ended {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
            } else if self.line.len() > TEXT_LINE_LIMIT + 3 {
                // What is left cannot be mistaken for the final dot.
                self.wrong.get_or_insert(Text::LineTooLong);
                self.line.drain(..self.line.len() - 3);
            }
        }
        octets.len() - rest.len()
    }

    /// `line` ends with LF.
    fn take_line(&mut self, line: &[u8]) {
        if line == b".\r\n" && self.fresh {
            self.complete = true;
            return;
        }
        self.fresh = line.ends_with(b"\r\n");
        let Some(content) = line.strip_suffix(b"\r\n") else {
            self.wrong.get_or_insert(Text::BareLineEnd);
            return;
        };
        if content.contains(&b'\r') {
            self.wrong.get_or_insert(Text::BareLineEnd);
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        if line.len() > TEXT_LINE_LIMIT + 2 {
            self.wrong.get_or_insert(Text::LineTooLong);
        }
        if self.text.len() + line.len() > self.limit {
            self.wrong.get_or_insert(Text::TooLarge);
        }
        if self.wrong.is_none() {
            self.text.extend_from_slice(line);
        }
    }

    /// Whether the final dot has been taken.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The text, once it is complete.
    pub(super) fn into_text(self) -> Text {
        self.wrong.unwrap_or(Text::Whole(self.text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(octets: &[u8]) -> (Text, usize) {
        let mut reader = DataReader::new(100_000);
        let taken = reader.feed(octets);
        assert!(reader.is_complete(), "the dot was found");
        (reader.into_text(), taken)
    }

    #[test]
    fn the_text_ends_at_the_single_dot_and_what_follows_stays() {
        let (text, taken) = read(b"a\r\nb\r\n.\r\nQUIT\r\n");
        assert_eq!(text, Text::Whole(b"a\r\nb\r\n".to_vec()));
        assert_eq!(taken, 9);
    }

    #[test]
    fn stuffed_dots_lose_one_dot() {
        assert_eq!(read(b"..\r\n..a\r\n.b\r\n.\r\n").0, Text::Whole(b".\r\n.a\r\nb\r\n".to_vec()));
    }

    #[test]
    fn an_empty_text_is_a_text() {
        assert_eq!(read(b".\r\n").0, Text::Whole(Vec::new()));
    }

    #[test]
    fn a_dot_between_bare_line_feeds_does_not_end_the_mail() {
        let (text, taken) = read(b"a\n.\nMAIL FROM:<x>\r\n.\r\n");
        assert_eq!(text, Text::BareLineEnd);
        assert_eq!(taken, 22);
        assert_eq!(read(b"a\rb\r\n.\r\n").0, Text::BareLineEnd);
        assert_eq!(read(b"a\n.\r\nb\r\n.\r\n"), (Text::BareLineEnd, 11));
    }

    #[test]
    fn lines_and_mails_beyond_the_limits_are_found_out() {
        let line = |length: usize| [vec![b'x'; length], b"\r\n.\r\n".to_vec()].concat();
        assert!(matches!(read(&line(998)).0, Text::Whole(_)));
        assert_eq!(read(&line(999)).0, Text::LineTooLong);
        assert_eq!(read(&line(300_000)).0, Text::LineTooLong);
        let mut small = DataReader::new(5);
        small.feed(b"abc\r\nd\r\n.\r\n");
        assert_eq!(small.into_text(), Text::TooLarge);
    }

    proptest! {
        #[test]
        fn any_lines_come_through_in_any_pieces(
            lines in prop::collection::vec("[.a ]{0,6}", 0..12),
            sizes in prop::collection::vec(1_usize..9, 1..9),
        ) {
            let wanted: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") })
                .collect();
            let sent = format!("{stuffed}.\r\nQUIT\r\n");
            let mut reader = DataReader::new(100_000);
            let (mut rest, mut pending) = (sent.as_bytes(), Vec::new());
            for size in sizes.iter().cycle() {
                if reader.is_complete() || rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at((*size).min(rest.len()));
                rest = later;
                pending.extend_from_slice(piece);
                let taken = reader.feed(&pending);
                pending.drain(..taken);
            }
            prop_assert!(reader.is_complete());
            prop_assert_eq!(reader.into_text(), Text::Whole(wanted.into_bytes()));
            pending.extend_from_slice(rest);
            prop_assert_eq!(pending, b"QUIT\r\n");
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = DataReader::new(50);
            let taken = reader.feed(&octets);
            prop_assert!(taken <= octets.len());
        }
    }
}
