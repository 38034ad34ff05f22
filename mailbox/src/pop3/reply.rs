//! Reply lines and capability lists. Pure.

use crate::{sasl::Offer, server_text::clean};

/// First line of a reply (RFC 1939 section 3, RFC 2449 section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`, with the rest of the line, cleaned and cut.
    Ok(String),
    /// `-ERR`.
    Err {
        /// The response code in brackets, upper case, such as `IN-USE` or `SYS/TEMP`; empty without one.
        code: String,
        /// The rest of the line, cleaned and cut.
        text: String,
    },
    /// `+ `: the server waits for more of a SASL exchange (RFC 5034 section 4); its challenge as it stands on the line.
    Continue(String),
}

impl Reply {
    /// Reads one line; `None` for gibberish.
    pub fn parse(line: &[u8]) -> Option<Self> {
        if let Some(rest) = strip_word(line, b"+OK") {
            return Some(Self::Ok(clean(rest)));
        }
        if let Some(rest) = strip_word(line, b"-ERR") {
            let (code, text) = split_code(rest);
            return Some(Self::Err { code: clean(code).to_ascii_uppercase(), text: clean(text) });
        }
        let challenge = line.strip_prefix(b"+").filter(|rest| rest.is_empty() || rest[0] == b' ')?;
        Some(Self::Continue(String::from_utf8_lossy(challenge.trim_ascii()).into_owned()))
    }
}

/// The rest after a keyword that stands alone or is followed by a space.
fn strip_word<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(word.len())?;
    (head.eq_ignore_ascii_case(word) && (rest.is_empty() || rest[0] == b' ')).then(|| rest.trim_ascii())
}

fn split_code(text: &[u8]) -> (&[u8], &[u8]) {
    let inside = text.strip_prefix(b"[");
    let end = inside.and_then(|inside| inside.iter().position(|b| *b == b']'));
    match (inside, end) {
        (Some(inside), Some(end)) if end <= 64 => (&inside[..end], inside[end + 1..].trim_ascii()),
        _ => (b"", text),
    }
}

/// What the server says it can do (RFC 2449 section 5). All false without CAPA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// STLS is offered (RFC 2595).
    pub stls: bool,
    /// Several commands may be sent before the first reply.
    pub pipelining: bool,
    /// Mechanisms of AUTH (RFC 5034). Whether USER and PASS may be tried is not told here but by `user`.
    pub sasl: Offer,
    /// USER and PASS are offered.
    pub user: bool,
    /// UIDL is offered.
    pub uidl: bool,
    /// TOP is offered.
    pub top: bool,
    /// All lines as they came, cleaned and cut, for a person to read.
    pub lines: Vec<String>,
}

impl Capabilities {
    /// What is offered for logging in. Where a server tells of no mechanisms, USER and PASS may be tried though it does not
    /// tell of them either.
    pub(crate) fn offer(&self) -> Offer {
        Offer { command: self.user || self.sasl.names.is_empty(), ..self.sasl.clone() }
    }

    /// Takes one line of the list; unknown ones are only kept as text.
    pub fn add(&mut self, line: &[u8]) {
        let text = clean(line);
        let upper = text.to_ascii_uppercase();
        let mut words = upper.split_ascii_whitespace();
        match words.next() {
            Some("STLS") => self.stls = true,
            Some("PIPELINING") => self.pipelining = true,
            Some("SASL") => words.for_each(|mechanism| self.sasl.add(mechanism)),
            Some("USER") => self.user = true,
            Some("UIDL") => self.uidl = true,
            Some("TOP") => self.top = true,
            _ => {}
        }
        self.lines.push(text);
    }
}

/// A line of LIST: message number and size in octets.
pub(crate) fn parse_list_line(line: &[u8]) -> Option<(u32, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// A line of UIDL: message number and unique id as the server wrote it.
pub(crate) fn parse_uidl_line(line: &[u8]) -> Option<(u32, &[u8])> {
    let space = line.iter().position(|b| *b == b' ')?;
    let number = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
    let id = line[space..].trim_ascii();
    (!id.is_empty()).then_some((number, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_with_their_codes() {
        assert_eq!(Reply::parse(b"+OK 3 messages"), Some(Reply::Ok("3 messages".into())));
        assert_eq!(Reply::parse(b"+ok"), Some(Reply::Ok(String::new())));
        let busy = Reply::Err { code: "IN-USE".into(), text: "mailbox locked".into() };
        assert_eq!(Reply::parse(b"-ERR [in-use] mailbox locked"), Some(busy));
        let plain = Reply::Err { code: String::new(), text: "[open".into() };
        assert_eq!(Reply::parse(b"-ERR [open"), Some(plain));
        assert_eq!(Reply::parse(b"+ "), Some(Reply::Continue(String::new())));
        assert_eq!(Reply::parse(b"+ cmVhbG0="), Some(Reply::Continue("cmVhbG0=".into())));
    }

    #[test]
    fn gibberish_is_no_reply() {
        for line in [&b""[..], b"HTTP/1.1 400 Bad Request", b"+OKAY", b"-ERROR", b"220 smtp", b"\xff\xff"] {
            assert_eq!(Reply::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn listing_lines_that_are_not_numbers_are_refused() {
        assert_eq!(parse_list_line(b"7 1200 extra"), Some((7, 1200)));
        assert_eq!(parse_list_line(b"7"), None);
        assert_eq!(parse_list_line(b"-7 12"), None);
        assert_eq!(parse_list_line(b"99999999999 12"), None);
        assert_eq!(parse_uidl_line(b"7 0001abc"), Some((7, &b"0001abc"[..])));
        assert_eq!(parse_uidl_line(b"7 "), None);
    }

    #[test]
    fn capabilities_are_read_whatever_their_case_and_spacing() {
        let mut capabilities = Capabilities::default();
        for line in [&b"sasl  LOGIN plain"[..], b"PIPELINING ", b"EXPIRE NEVER", b"uidl"] {
            capabilities.add(line);
        }
        assert!(capabilities.sasl.known.len() == 2 && capabilities.pipelining && capabilities.uidl);
        assert!(!capabilities.stls && !capabilities.top);
        assert_eq!(capabilities.lines.len(), 4);
    }
}
