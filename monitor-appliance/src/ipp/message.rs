//! The encoding of IPP: one request, and answers from anybody (RFC 8010 section 3).

use std::collections::BTreeMap;

/// Most values taken from one answer.
const VALUES_MAX: usize = 4096;

const BEGIN_OPERATION: u8 = 0x01;
const END: u8 = 0x03;
const PRINTER_GROUP: u8 = 0x04;
const DELIMITER_MAX: u8 = 0x0f;
const INTEGER: u8 = 0x21;
const ENUM: u8 = 0x23;
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;
const KEYWORD: u8 = 0x44;
const URI: u8 = 0x45;
const CHARSET: u8 = 0x47;
const LANGUAGE: u8 = 0x48;
const OCTET_STRING: u8 = 0x30;
const TEXT_WITH_LANGUAGE: u8 = 0x35;
const NAME_WITH_LANGUAGE: u8 = 0x36;

/// `Get-Printer-Attributes` (RFC 8011 section 4.2.5).
const GET_PRINTER_ATTRIBUTES: u16 = 0x000b;

/// An answer that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// It ends in the middle of something.
    #[error("the IPP answer ends at octet {at}, in the middle of a value")]
    Short {
        /// Octets that there are.
        at: usize,
    },
    /// A value stands before any group.
    #[error("the IPP answer has a value outside of a group")]
    NoGroup,
    /// More values than any printer has.
    #[error("the IPP answer has more than {VALUES_MAX} values")]
    TooMany,
}

/// One value, as far as it is of use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An integer or enum.
    Number(i32),
    /// Any text, keyword, name, URI or octet string.
    Text(String),
    /// A state such as `no-value` or `unknown`, or a value of another kind.
    Nothing,
}

/// What a printer answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code; below 0x100 is success (RFC 8011 appendix B).
    pub status: u16,
    attributes: BTreeMap<String, Vec<Value>>,
}

impl Answer {
    /// All values of an attribute.
    pub(super) fn values(&self, name: &str) -> &[Value] {
        self.attributes.get(name).map_or(&[], Vec::as_slice)
    }

    /// The texts among the values of an attribute, empty ones left out.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| match value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            _ => None,
        })
    }

    /// The first number of an attribute.
    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.values(name).iter().find_map(|value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }
}

/// The octets of a request for `attributes` of the printer at `uri`.
#[must_use]
pub fn request(uri: &str, attributes: &[&str]) -> Vec<u8> {
    let mut octets = vec![1, 1];
    octets.extend(GET_PRINTER_ATTRIBUTES.to_be_bytes());
    octets.extend(1u32.to_be_bytes());
    octets.push(BEGIN_OPERATION);
    let mut put = |tag: u8, name: &str, value: &str| {
        octets.push(tag);
        for text in [name, value] {
            // Our own names and an address: far below 65,535 octets.
            octets.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
            octets.extend(text.as_bytes());
        }
    };
    put(CHARSET, "attributes-charset", "utf-8");
    put(LANGUAGE, "attributes-natural-language", "en");
    put(URI, "printer-uri", uri);
    for (number, attribute) in attributes.iter().enumerate() {
        put(KEYWORD, if number == 0 { "requested-attributes" } else { "" }, attribute);
    }
    octets.push(END);
    octets
}

/// Reads an answer. Of a collection only that it is there is kept; printer attributes of further groups are added.
///
/// # Errors
/// [`BadAnswer`]
pub fn parse(octets: &[u8]) -> Result<Answer, BadAnswer> {
    let mut rest = Rest { octets, at: 0 };
    rest.take(2)?;
    let mut answer = Answer { status: rest.number()?, ..Answer::default() };
    rest.take(4)?;
    let mut group = None;
    let mut name = String::new();
    let mut depth = 0_usize;
    let mut count = 0_usize;
    loop {
        let tag = *rest.take(1)?.first().ok_or(BadAnswer::Short { at: rest.at })?;
        if tag == END {
            return Ok(answer);
        }
        if tag <= DELIMITER_MAX {
            group = Some(tag);
            depth = 0;
            continue;
        }
        let told_name = rest.counted()?;
        let value = rest.counted()?;
        let Some(group) = group else { return Err(BadAnswer::NoGroup) };
        count += 1;
        if count > VALUES_MAX {
            return Err(BadAnswer::TooMany);
        }
        match tag {
            END_COLLECTION => depth = depth.saturating_sub(1),
            _ if depth > 0 => depth += usize::from(tag == BEGIN_COLLECTION),
            _ => {
                if !told_name.is_empty() {
                    name = String::from_utf8_lossy(told_name).into_owned();
                }
                if tag == BEGIN_COLLECTION {
                    depth = 1;
                } else if group == PRINTER_GROUP && !name.is_empty() {
                    answer.attributes.entry(name.clone()).or_default().push(decode(tag, value));
                }
            }
        }
    }
}

fn decode(tag: u8, value: &[u8]) -> Value {
    let text = |octets: &[u8]| Value::Text(String::from_utf8_lossy(octets).into_owned());
    match (tag, value) {
        (INTEGER | ENUM, &[a, b, c, d]) => Value::Number(i32::from_be_bytes([a, b, c, d])),
        (TEXT_WITH_LANGUAGE | NAME_WITH_LANGUAGE, _) => {
            let mut rest = Rest { octets: value, at: 0 };
            match rest.counted().and_then(|_| rest.counted()) {
                Ok(told) => text(told),
                Err(_) => Value::Nothing,
            }
        }
        (OCTET_STRING | 0x40..=0x5f, _) => text(value),
        _ => Value::Nothing,
    }
}

struct Rest<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadAnswer> {
        let taken = self.octets.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or(BadAnswer::Short { at: self.octets.len() })?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, BadAnswer> {
        let at = self.octets.len();
        self.take(2)?.try_into().map(u16::from_be_bytes).map_err(|_| BadAnswer::Short { at })
    }

    fn counted(&mut self) -> Result<&'a [u8], BadAnswer> {
        let count = self.number()?;
        self.take(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::{BadAnswer, Value, parse, request};
    use proptest::prelude::*;

    fn put(octets: &mut Vec<u8>, tag: u8, name: &str, value: &[u8]) {
        octets.push(tag);
        for part in [name.as_bytes(), value] {
            octets.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
            octets.extend(part);
        }
    }

    fn head(group: u8) -> Vec<u8> {
        vec![2, 0, 0, 0, 0, 0, 0, 1, group]
    }

    #[test]
    fn a_request_is_written_as_the_standard_says() {
        let octets = request("ipp://10.0.0.5/ipp/print", &["printer-state", "printer-uuid"]);
        assert_eq!(&octets[..9], [1, 1, 0, 0x0b, 0, 0, 0, 1, 1]);
        assert!(octets.ends_with(b"\x44\x00\x00\x00\x0cprinter-uuid\x03"));
    }

    #[test]
    fn values_of_one_attribute_come_together_and_a_collection_is_passed_over() {
        let mut octets = head(4);
        put(&mut octets, 0x44, "printer-state-reasons", b"media-jam-error");
        put(&mut octets, 0x44, "", b"toner-low-warning");
        put(&mut octets, 0x34, "media-col-default", b"");
        put(&mut octets, 0x4a, "", b"media-size");
        put(&mut octets, 0x34, "", b"");
        put(&mut octets, 0x37, "", b"");
        put(&mut octets, 0x37, "", b"");
        put(&mut octets, 0x21, "printer-up-time", &7i32.to_be_bytes());
        put(&mut octets, 0x13, "printer-serial-number", b"");
        octets.push(3);
        let answer = parse(&octets).unwrap();
        assert_eq!(
            answer.texts("printer-state-reasons").collect::<Vec<_>>(),
            ["media-jam-error", "toner-low-warning"]
        );
        assert_eq!(answer.number("printer-up-time"), Some(7));
        assert_eq!(answer.values("printer-serial-number"), [Value::Nothing]);
        assert!(answer.values("media-col-default").is_empty());
    }

    #[test]
    fn an_answer_that_ends_too_early_is_refused() {
        let mut octets = head(4);
        put(&mut octets, 0x44, "printer-state-reasons", b"none");
        assert_eq!(parse(&octets), Err(BadAnswer::Short { at: octets.len() }));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&octets);
        }

        #[test]
        fn nesting_without_end_does_no_harm(depth in 0usize..5000) {
            let mut octets = head(4);
            for _ in 0..depth {
                put(&mut octets, 0x34, "", b"");
            }
            octets.push(3);
            let _ = parse(&octets);
        }
    }
}
