//! Looks at what an IMAP server sends before the parser does. Pure.
//!
//! The parser behind us takes any announced literal into memory (up to 512 MiB) and gives up the session at a single
//! line it does not know. So here: lines and literals are capped, untagged lines that we have no use for are dropped
//! (RFC 3501 section 2.2.2 asks for that), runs of spaces in status lines become one (seen in capability lists), and
//! octets over 127 in status lines become `?`. Literals pass untouched. QUOTA responses are put aside, a few short ones:
//! a number in them that the parser does not know would end the session.

use std::io::BufRead as _;

/// Most lines that are put aside, and the longest of them in octets.
const ASIDE_LINES_MAX: usize = 16;
const ASIDE_OCTETS_MAX: usize = 1024;

/// A cap was exceeded; the connection is of no use afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TidyFault {
    /// A line without end, or just too long.
    #[error("a line of more than {limit} octets")]
    LineTooLong {
        /// The cap.
        limit: usize,
    },
    /// A literal larger than anything that was asked for.
    #[error("a literal of more than {limit} octets")]
    LiteralTooLong {
        /// The cap.
        limit: u64,
    },
}

/// The filter. One per connection.
#[derive(Debug)]
pub struct Tidy {
    line: Vec<u8>,
    /// Octets of a literal still to come.
    literal_left: u64,
    /// Octets of literals in the response so far.
    literal_sum: u64,
    /// The line goes on a response that a literal interrupted.
    continues: bool,
    /// Whether the response at hand is passed on.
    keep: bool,
    /// Whether the lines of the response at hand are put aside.
    puts_aside: bool,
    aside: Vec<Vec<u8>>,
    line_max: usize,
    literal_max: u64,
}

impl Tidy {
    /// `line_max`: longest line in octets; `literal_max`: all literals of one response together, in octets.
    pub fn new(line_max: usize, literal_max: u64) -> Self {
        Self {
            line: Vec::new(),
            literal_left: 0,
            literal_sum: 0,
            continues: false,
            keep: true,
            puts_aside: false,
            aside: Vec::new(),
            line_max,
            literal_max,
        }
    }

    /// The lines that were put aside since this was asked last.
    pub fn take_aside(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.aside)
    }

    /// Takes octets from the server and appends what the parser shall see to `out`.
    ///
    /// # Errors
    /// [`TidyFault`].
    pub fn push(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Result<(), TidyFault> {
        while !octets.is_empty() {
            if self.literal_left > 0 {
                let part =
                    usize::try_from(self.literal_left).map_or(octets.len(), |left| left.min(octets.len()));
                let (literal, rest) = octets.split_at(part);
                if self.keep {
                    out.extend_from_slice(literal);
                }
                self.literal_left -= part as u64;
                octets = rest;
                continue;
            }
            let before = octets;
            let passed = octets.skip_until(b'\n').unwrap_or(0);
            self.line.extend_from_slice(&before[..passed]);
            if self.line.len() > self.line_max {
                return Err(TidyFault::LineTooLong { limit: self.line_max });
            }
            if self.line.ends_with(b"\n") {
                self.end_of_line(out)?;
                self.line.clear();
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self, out: &mut Vec<u8>) -> Result<(), TidyFault> {
        let kind = if self.continues { Kind::Rest } else { Kind::of(&self.line) };
        match kind {
            Kind::Rest => {}
            Kind::Status | Kind::Data => self.keep = true,
            Kind::Aside | Kind::Unknown => self.keep = false,
        }
        if kind != Kind::Rest {
            self.puts_aside = kind == Kind::Aside;
        }
        if self.puts_aside && self.line.len() <= ASIDE_OCTETS_MAX && self.aside.len() < ASIDE_LINES_MAX {
            self.aside.push(self.line.clone());
        }
        if kind == Kind::Status {
            tidy_status(&self.line, out);
        } else if self.keep {
            out.extend_from_slice(&self.line);
        }
        // The text of a status line may end like a literal, but is none.
        let literal = if kind == Kind::Status { None } else { announced_literal(&self.line) };
        self.continues = literal.is_some();
        match literal {
            Some(octets) => {
                self.literal_sum = self.literal_sum.saturating_add(octets);
                if self.literal_sum > self.literal_max {
                    return Err(TidyFault::LiteralTooLong { limit: self.literal_max });
                }
                self.literal_left = octets;
            }
            None => self.literal_sum = 0,
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tagged, continuation, or untagged with a status or capabilities: text to the end of the line.
    Status,
    /// Untagged data that we read.
    Data,
    /// Untagged data that we read ourselves.
    Aside,
    /// Untagged, of no use to us.
    Unknown,
    /// Behind a literal.
    Rest,
}

impl Kind {
    fn of(line: &[u8]) -> Self {
        let Some(untagged) = line.strip_prefix(b"* ") else {
            return if line.starts_with(b"*") { Self::Unknown } else { Self::Status };
        };
        let mut words = untagged.trim_ascii().split(|b| *b == b' ');
        let is = |word: &[u8], known: &[&[u8]]| known.iter().any(|k| k.eq_ignore_ascii_case(word));
        let first = words.next().unwrap_or_default();
        if !first.is_empty() && first.iter().all(u8::is_ascii_digit) {
            let second = words.next().unwrap_or_default();
            return if is(second, &[b"FETCH", b"EXISTS", b"EXPUNGE"]) { Self::Data } else { Self::Unknown };
        }
        if is(first, &[b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH", b"CAPABILITY"]) {
            Self::Status
        } else if is(first, &[b"QUOTA"]) {
            Self::Aside
        } else {
            Self::Unknown
        }
    }
}

/// One space for many, none at the end, `?` for what is not ASCII, CRLF at the end.
fn tidy_status(line: &[u8], out: &mut Vec<u8>) {
    let text = line.trim_ascii_end();
    if text == b"+" {
        out.extend_from_slice(b"+ \r\n");
        return;
    }
    let mut last = 0;
    for octet in text {
        let octet = if octet.is_ascii_graphic() || *octet == b' ' { *octet } else { b'?' };
        if octet != b' ' || last != b' ' {
            out.push(octet);
        }
        last = octet;
    }
    out.extend_from_slice(b"\r\n");
}

/// `{n}` before the CRLF (RFC 3501 section 4.3). A number beyond all bounds counts as the largest.
fn announced_literal(line: &[u8]) -> Option<u64> {
    let head = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let open = head.iter().rposition(|b| *b == b'{')?;
    let digits = &head[open + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
