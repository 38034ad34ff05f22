//! What FETCH can bring of a mail, and how it is written, octet for octet (RFC 3501 sections 6.4.5 and 7.4.2).

use std::io::BufRead;

use super::super::store::{Flags, Stored};
use super::cursor::{Cursor, Wrong};

/// One thing that FETCH brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    Text(Part),
}

/// A part of the mail's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What the answer calls it: `BODY[HEADER]<0>`, `RFC822`.
    label: String,
    section: Section,
    /// First octet and greatest number of octets.
    partial: Option<(u64, u64)>,
    /// Whether fetching it leaves the mail unseen.
    pub(super) peek: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Section {
    Whole,
    Header,
    Body,
    Fields { names: Vec<String>, except: bool },
}

impl Part {
    fn named(label: &str, section: Section, peek: bool) -> Item {
        Item::Text(Self { label: label.to_owned(), section, partial: None, peek })
    }
}

/// Reads the items of a FETCH: one, or a list in parentheses.
pub(super) fn read_items(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, Wrong> {
    let lists = cursor.list(read_item)?;
    Ok(lists.into_iter().flatten().collect())
}

fn read_item(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, Wrong> {
    let keyword = cursor.keyword()?;
    let item = match keyword.as_str() {
        "UID" => Item::Uid,
        "FLAGS" => Item::Flags,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "FAST" => return Ok(vec![Item::Flags, Item::InternalDate, Item::Size]),
        "RFC822" => Part::named("RFC822", Section::Whole, false),
        "RFC822.HEADER" => Part::named("RFC822.HEADER", Section::Header, true),
        "RFC822.TEXT" => Part::named("RFC822.TEXT", Section::Body, false),
        "BODY" | "BODY.PEEK" if cursor.next_is(b'[') => read_body(cursor, keyword == "BODY.PEEK")?,
        _ => return Err(Wrong("an item that this server can fetch")),
    };
    Ok(vec![item])
}

fn read_body(cursor: &mut Cursor<'_>, peek: bool) -> Result<Item, Wrong> {
    cursor.expect(b'[', "a section")?;
    let (section, name) = if cursor.next_is(b']') {
        (Section::Whole, String::new())
    } else {
        match cursor.keyword()?.as_str() {
            "HEADER" => (Section::Header, "HEADER".to_owned()),
            "TEXT" => (Section::Body, "TEXT".to_owned()),
            keyword @ ("HEADER.FIELDS" | "HEADER.FIELDS.NOT") => {
                cursor.space()?;
                if !cursor.next_is(b'(') {
                    return Err(Wrong("a list of header fields"));
                }
                let names = cursor.list(Cursor::astring)?;
                let fits =
                    |name: &String| name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
                if names.is_empty() || !names.iter().all(fits) {
                    return Err(Wrong("names of header fields"));
                }
                let label = format!("{keyword} ({})", names.join(" "));
                (Section::Fields { names, except: keyword == "HEADER.FIELDS.NOT" }, label)
            }
            _ => return Err(Wrong("a section that this server can fetch")),
        }
    };
    cursor.expect(b']', "the end of a section")?;
    let mut label = format!("BODY[{name}]");
    let mut partial = None;
    if cursor.eat(b'<') {
        let first = cursor.number()?;
        cursor.expect(b'.', "a number of octets")?;
        let count = cursor.number()?;
        cursor.expect(b'>', "the end of a range")?;
        if count == 0 {
            return Err(Wrong("at least one octet"));
        }
        label = format!("{label}<{first}>");
        partial = Some((first, count));
    }
    Ok(Item::Text(Part { label, section, partial, peek }))
}

/// Writes what the items tell of a mail: `UID 7 FLAGS (\Seen) BODY[] {3}` CRLF and so on, without the parentheses.
pub(super) fn write_items(out: &mut Vec<u8>, items: &[Item], mail: &Stored) {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        match item {
            Item::Uid => out.extend_from_slice(format!("UID {}", mail.uid).as_bytes()),
            Item::Flags => out.extend_from_slice(format!("FLAGS {}", flag_list(mail.flags)).as_bytes()),
            Item::Size => out.extend_from_slice(format!("RFC822.SIZE {}", mail.raw.len()).as_bytes()),
            Item::InternalDate => {
                let date = mail.received.strftime("%d-%b-%Y %H:%M:%S +0000");
                out.extend_from_slice(format!("INTERNALDATE \"{date}\"").as_bytes());
            }
            Item::Text(part) => {
                let fields;
                let text = match &part.section {
                    Section::Whole => &mail.raw[..],
                    Section::Header => &mail.raw[..body_start(&mail.raw)],
                    Section::Body => &mail.raw[body_start(&mail.raw)..],
                    Section::Fields { names, except } => {
                        fields = header_fields(&mail.raw[..body_start(&mail.raw)], names, *except);
                        &fields[..]
                    }
                };
                let text = part.partial.map_or(text, |(first, count)| cut(text, first, count));
                out.extend_from_slice(format!("{} {{{}}}\r\n", part.label, text.len()).as_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

/// The flags as IMAP writes them.
pub(super) fn flag_list(flags: Flags) -> String {
    let names = [
        (flags.answered, "\\Answered"),
        (flags.flagged, "\\Flagged"),
        (flags.deleted, "\\Deleted"),
        (flags.seen, "\\Seen"),
        (flags.draft, "\\Draft"),
    ];
    let set: Vec<&str> = names.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("({})", set.join(" "))
}

fn cut(text: &[u8], first: u64, count: u64) -> &[u8] {
    let length = text.len() as u64;
    let from = first.min(length);
    let to = from.saturating_add(count).min(length);
    // Both are at most the length, hence a usize.
    let place = |at: u64| usize::try_from(at).unwrap_or(text.len());
    &text[place(from)..place(to)]
}

fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let before = rest;
        let length = rest.skip_until(b'\n').ok().filter(|length| *length > 0)?;
        Some(&before[..length])
    })
}

/// Where the body begins: behind the first empty line.
pub(super) fn body_start(raw: &[u8]) -> usize {
    let mut start = 0;
    for line in lines(raw) {
        start += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return start;
        }
    }
    raw.len()
}

/// The header fields of these names (or all others) and the empty line.
fn header_fields(header: &[u8], names: &[String], except: bool) -> Vec<u8> {
    let mut found = Vec::new();
    let mut wanted = false;
    for line in lines(header) {
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        if !matches!(line[0], b' ' | b'\t') {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii_end();
            wanted = names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) != except;
        }
        if wanted {
            found.extend_from_slice(line);
        }
    }
    found.extend_from_slice(b"\r\n");
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const MAIL: &str = "From: a@b\r\nSubject: long\r\n line\r\nTo: c@d\r\n\r\nBody\r\n.\r\n";

    fn fetched(items: &str) -> String {
        let mail = Stored {
            uid: 7,
            raw: Arc::from(MAIL.as_bytes()),
            received: "2026-01-02T03:04:05Z".parse().expect("a time"),
            flags: Flags { seen: true, deleted: true, ..Flags::default() },
            changed: 0,
        };
        let items = read_items(&mut Cursor::new(items.as_bytes())).expect("items");
        let mut out = Vec::new();
        write_items(&mut out, &items, &mail);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_whole_mail_comes_with_its_exact_size() {
        assert_eq!(
            fetched("(UID RFC822.SIZE FLAGS BODY.PEEK[])"),
            format!("UID 7 RFC822.SIZE {0} FLAGS (\\Deleted \\Seen) BODY[] {{{0}}}\r\n{MAIL}", MAIL.len())
        );
        assert_eq!(fetched("RFC822"), format!("RFC822 {{{}}}\r\n{MAIL}", MAIL.len()));
        assert_eq!(fetched("INTERNALDATE"), "INTERNALDATE \"02-Jan-2026 03:04:05 +0000\"");
    }

    #[test]
    fn a_range_is_cut_at_the_end_of_the_mail() {
        assert_eq!(fetched("BODY.PEEK[]<0.4>"), "BODY[]<0> {4}\r\nFrom");
        assert_eq!(fetched("BODY[]<6.3>"), "BODY[]<6> {3}\r\na@b");
        let last = MAIL.len() - 3;
        assert_eq!(fetched(&format!("BODY[]<{last}.999>")), format!("BODY[]<{last}> {{3}}\r\n.\r\n"));
        assert_eq!(fetched("BODY[]<5000.10>"), "BODY[]<5000> {0}\r\n");
    }

    #[test]
    fn header_and_body_meet_behind_the_empty_line() {
        let header = "From: a@b\r\nSubject: long\r\n line\r\nTo: c@d\r\n\r\n";
        assert_eq!(fetched("BODY[HEADER]"), format!("BODY[HEADER] {{{}}}\r\n{header}", header.len()));
        assert_eq!(fetched("BODY[TEXT]"), "BODY[TEXT] {9}\r\nBody\r\n.\r\n");
        assert_eq!(body_start(b"no body"), 7);
        assert_eq!(body_start(b""), 0);
    }

    #[test]
    fn named_fields_come_with_their_folded_lines() {
        assert_eq!(
            fetched("BODY.PEEK[HEADER.FIELDS (subject)]"),
            "BODY[HEADER.FIELDS (subject)] {24}\r\nSubject: long\r\n line\r\n\r\n"
        );
        assert_eq!(
            fetched("BODY.PEEK[HEADER.FIELDS.NOT (subject)]"),
            "BODY[HEADER.FIELDS.NOT (subject)] {22}\r\nFrom: a@b\r\nTo: c@d\r\n\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_mail_is_told_in_pieces_that_make_the_whole(
            raw in prop::collection::vec(any::<u8>(), 0..200),
            size in 1_u64..50,
        ) {
            let mut whole = Vec::new();
            let mut first = 0;
            while first <= raw.len() as u64 {
                whole.extend_from_slice(cut(&raw, first, size));
                first += size;
            }
            prop_assert_eq!(&whole, &raw);
            let body = body_start(&raw);
            prop_assert!(body <= raw.len());
            header_fields(&raw[..body], &["a".to_owned()], false);
        }
    }
}
