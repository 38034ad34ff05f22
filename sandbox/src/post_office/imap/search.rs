//! SEARCH: its keys, and whether a mail matches (RFC 3501 section 6.4.4).

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::store::{Flags, Stored};
use super::cursor::{Cursor, Wrong};
use super::fetch::body_start;
use super::set::Set;

/// How deep NOT, OR and parentheses may be nested.
const DEPTH_LIMIT: usize = 20;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    All,
    /// Never matches.
    Nothing,
    Flag(Flag, bool),
    Uids(Set),
    Numbers(Set),
    Larger(u64),
    Smaller(u64),
    Before(Date),
    On(Date),
    Since(Date),
    /// A header field holds the text; an empty text asks whether the field is there.
    Header(String, String),
    Body(String),
    Text(String),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Vec<Self>),
}

/// A flag that can be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Answered,
    Deleted,
    Draft,
    Flagged,
    Seen,
}

/// Reads the keys of a SEARCH up to the end of the command.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Key, Wrong> {
    let mut keys = Vec::new();
    loop {
        keys.extend(read_key(cursor, 0)?);
        if cursor.at_end() {
            return Ok(Key::And(keys));
        }
        cursor.space()?;
    }
}

/// `None` for CHARSET, which is no key.
fn read_key(cursor: &mut Cursor<'_>, depth: usize) -> Result<Option<Key>, Wrong> {
    if depth >= DEPTH_LIMIT {
        return Err(Wrong("less nesting"));
    }
    if cursor.next_is(b'(') {
        let keys = cursor.list(|cursor| read_key(cursor, depth + 1))?;
        return Ok(Some(Key::And(keys.into_iter().flatten().collect())));
    }
    if cursor.next_is(b'*') || (b'0'..=b'9').any(|digit| cursor.next_is(digit)) {
        return Ok(Some(Key::Numbers(Set::read(cursor)?)));
    }
    let keyword = cursor.keyword()?;
    let text = |cursor: &mut Cursor<'_>| -> Result<String, Wrong> {
        cursor.space()?;
        cursor.astring().map(|text| text.to_lowercase())
    };
    Ok(Some(match keyword.as_str() {
        "ALL" | "OLD" => Key::All,
        "RECENT" | "NEW" => Key::Nothing,
        "UNKEYWORD" => text(cursor).map(|_| Key::All)?,
        "KEYWORD" => text(cursor).map(|_| Key::Nothing)?,
        "ANSWERED" | "UNANSWERED" => Key::Flag(Flag::Answered, keyword == "ANSWERED"),
        "DELETED" | "UNDELETED" => Key::Flag(Flag::Deleted, keyword == "DELETED"),
        "DRAFT" | "UNDRAFT" => Key::Flag(Flag::Draft, keyword == "DRAFT"),
        "FLAGGED" | "UNFLAGGED" => Key::Flag(Flag::Flagged, keyword == "FLAGGED"),
        "SEEN" | "UNSEEN" => Key::Flag(Flag::Seen, keyword == "SEEN"),
        "UID" => {
            cursor.space()?;
            Key::Uids(Set::read(cursor)?)
        }
        "LARGER" => {
            cursor.space()?;
            Key::Larger(cursor.number()?)
        }
        "SMALLER" => {
            cursor.space()?;
            Key::Smaller(cursor.number()?)
        }
        // Of the two dates that a mail has, the one of its arrival serves for both.
        "BEFORE" | "SENTBEFORE" => Key::Before(date(&text(cursor)?)?),
        "ON" | "SENTON" => Key::On(date(&text(cursor)?)?),
        "SINCE" | "SENTSINCE" => Key::Since(date(&text(cursor)?)?),
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => Key::Header(keyword.to_lowercase(), text(cursor)?),
        "HEADER" => Key::Header(text(cursor)?, text(cursor)?),
        "BODY" => Key::Body(text(cursor)?),
        "TEXT" => Key::Text(text(cursor)?),
        "NOT" => Key::Not(Box::new(nested(cursor, depth)?)),
        "OR" => Key::Or(Box::new(nested(cursor, depth)?), Box::new(nested(cursor, depth)?)),
        "CHARSET" if depth == 0 => match text(cursor)?.as_str() {
            "utf-8" | "us-ascii" => return Ok(None),
            _ => return Err(Wrong("CHARSET UTF-8 or US-ASCII")),
        },
        _ => return Err(Wrong("a search key")),
    }))
}

fn nested(cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, Wrong> {
    cursor.space()?;
    read_key(cursor, depth + 1)?.ok_or(Wrong("a search key"))
}

fn date(text: &str) -> Result<Date, Wrong> {
    Date::strptime("%d-%b-%Y", text).map_err(|_| Wrong("a date like 21-Nov-2026"))
}

/// A mail among the others of its mailbox.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) mail: &'a Stored,
    pub(super) number: u32,
    pub(super) last_number: u32,
    pub(super) last_uid: u32,
}

impl Key {
    pub(super) fn matches(&self, place: Place<'_>) -> bool {
        let Place { mail, number, last_number, last_uid } = place;
        let day = || TimeZone::UTC.to_datetime(mail.received).date();
        let body = || body_start(&mail.raw);
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Flag(flag, wanted) => flag.of(mail.flags) == *wanted,
            Self::Uids(set) => set.contains(mail.uid, last_uid),
            Self::Numbers(set) => set.contains(number, last_number),
            Self::Larger(octets) => mail.raw.len() as u64 > *octets,
            Self::Smaller(octets) => (mail.raw.len() as u64) < *octets,
            Self::Before(date) => day() < *date,
            Self::On(date) => day() == *date,
            Self::Since(date) => day() >= *date,
            Self::Header(name, text) => header_holds(&mail.raw[..body()], name, text),
            Self::Body(text) => holds(&mail.raw[body()..], text),
            Self::Text(text) => holds(&mail.raw, text),
            Self::Not(key) => !key.matches(place),
            Self::Or(one, other) => one.matches(place) || other.matches(place),
            Self::And(keys) => keys.iter().all(|key| key.matches(place)),
        }
    }
}

impl Flag {
    fn of(self, flags: Flags) -> bool {
        match self {
            Self::Answered => flags.answered,
            Self::Deleted => flags.deleted,
            Self::Draft => flags.draft,
            Self::Flagged => flags.flagged,
            Self::Seen => flags.seen,
        }
    }
}

/// `text` is in small letters.
fn holds(octets: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(octets).to_lowercase().contains(text)
}

fn header_holds(header: &[u8], name: &str, text: &str) -> bool {
    let header = String::from_utf8_lossy(header).to_lowercase().replace("\r\n ", " ").replace("\r\n\t", " ");
    header.lines().any(|line| {
        line.split_once(':').is_some_and(|(field, value)| field.trim_end() == name && value.contains(text))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn found(keys: &str) -> bool {
        let mail = Stored {
            uid: 9,
            raw: Arc::from(b"From: Alice <a@b>\r\nSubject: Toner\r\n is low\r\n\r\nBlack 5%\r\n".as_slice()),
            received: "2026-11-21T23:59:00Z".parse().expect("a time"),
            flags: Flags { seen: true, ..Flags::default() },
            changed: 0,
        };
        let key = read(&mut Cursor::new(keys.as_bytes())).expect("keys");
        key.matches(Place { mail: &mail, number: 3, last_number: 5, last_uid: 12 })
    }

    #[test]
    fn a_mail_is_found_by_flags_numbers_size_date_and_text() {
        for (keys, wanted) in [
            ("ALL", true),
            ("SEEN UNDELETED", true),
            ("UNSEEN", false),
            ("3", true),
            ("1:2,4:*", false),
            ("UID 9", true),
            ("UID 10:*", false),
            ("LARGER 10 SMALLER 100", true),
            ("LARGER 1000", false),
            ("ON 21-Nov-2026", true),
            ("SINCE 22-Nov-2026", false),
            ("BEFORE \"22-Nov-2026\"", true),
            ("FROM alice", true),
            ("SUBJECT \"toner is LOW\"", true),
            ("HEADER Subject \"\"", true),
            ("HEADER X-None \"\"", false),
            ("BODY \"5%\"", true),
            ("BODY alice", false),
            ("TEXT alice", true),
            ("NOT SEEN", false),
            ("OR UNSEEN TEXT black", true),
            ("(SEEN (NOT DELETED)) UID 1:*", true),
            ("CHARSET UTF-8 UNSEEN", false),
            ("KEYWORD x", false),
            ("UNKEYWORD x", true),
        ] {
            assert_eq!(found(keys), wanted, "{keys}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for keys in [
            "",
            "FROB",
            "BODY 5%",
            "SUBJECT",
            "NOT",
            "OR SEEN",
            "SINCE yesterday",
            "(SEEN",
            "CHARSET KOI8-R ALL",
        ] {
            assert!(read(&mut Cursor::new(keys.as_bytes())).is_err(), "{keys}");
        }
    }
}
