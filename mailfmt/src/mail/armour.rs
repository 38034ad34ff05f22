//! The armoured form: the same octets as plain text, for ways on which no attachment gets through.
//!
//! Every line stands for itself: it begins with `:`, holds its number, up to 39 octets in base64 and a CRC-24 over both,
//! and ends with `;`. So lines may be quoted, indented, joined, broken, doubled, put into HTML or have text of others
//! between them, and what is missing or damaged is known by its number. Line 0 says how many octets there are and what
//! their hash is. `FORMAT.md` has the table.
//!
//! A line of 64 characters carries 39 octets, one of base64 with 78 carries 57: the armour is a fifth larger than an
//! attachment, and five thirds of the octets themselves ([`armoured_octets`]).

use crate::digest::Digest;
use crate::reader::Reader;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use std::collections::{BTreeMap, BTreeSet};

/// The line in front of the armour, for people.
pub const BEGIN: &str = "-----BEGIN DEVICE MONITOR MESSAGE-----";
/// The line behind it.
pub const END: &str = "-----END DEVICE MONITOR MESSAGE-----";

/// Octets of the message in one line.
const LINE_OCTETS: usize = 39;
/// Characters of one line with its line end.
const LINE_TEXT: usize = 64;
/// Characters of base64 between `:` and `;` at most.
const SYMBOLS_MAX: usize = 60;
/// Octets of line 0.
const FIRST_OCTETS: usize = 21;
const FORMAT: u8 = 1;
/// Missing lines that an error names.
const NAMED_MAX: usize = 8;
/// Armoured messages looked for in one text.
const MESSAGES_MAX: usize = 8;

/// Whoever changed the last character of a line changed nothing that counts: the CRC tells.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// An armoured message that is not all there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmourError {
    /// Lines do not come out of the text in their own form.
    #[error("{missing} of {of} armoured lines are missing or damaged: {}", numbers(.named, *.missing))]
    Incomplete {
        /// How many.
        missing: usize,
        /// Lines that the message has.
        of: usize,
        /// The numbers of the first of them, from 1.
        named: Vec<u32>,
    },
    /// Its first line, which says how long it is, does not come out of the text.
    #[error("the first of the armoured lines is missing or damaged; {lines} others are whole")]
    Headless {
        /// Whole lines.
        lines: usize,
    },
    /// Its format is of a later version.
    #[error("the armour has format {found}, this version reads format {FORMAT}")]
    Format {
        /// The format.
        found: u8,
    },
    /// Every line is whole, yet together they are not what was written.
    #[error("the armoured lines are whole, but not of one message")]
    Mixed,
}

fn numbers(named: &[u32], missing: usize) -> String {
    let list: Vec<String> = named.iter().map(ToString::to_string).collect();
    format!("{}{}", list.join(", "), if missing > named.len() { ", ..." } else { "" })
}

/// Characters that [`write()`] makes of so many octets, line ends and the two lines around them included.
#[must_use]
pub fn armoured_octets(octets: usize) -> usize {
    octets.div_ceil(LINE_OCTETS).saturating_add(3).saturating_mul(LINE_TEXT)
}

/// The most octets whose armour is no longer than `text` characters.
#[must_use]
pub fn plain_octets_max(text: usize) -> usize {
    (text / LINE_TEXT).saturating_sub(3).saturating_mul(LINE_OCTETS)
}

/// Writes octets as text: ASCII in lines of at most 62 characters that end in CRLF.
///
/// # Panics
/// Never below 600 MB, and no mail is that large.
#[must_use]
pub fn write(octets: &[u8]) -> String {
    let mut text = String::with_capacity(armoured_octets(octets.len()));
    text.push_str(BEGIN);
    text.push_str("\r\n");
    let mut first = vec![FORMAT];
    first.extend(u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes());
    first.extend(Digest::of(octets).as_bytes().iter().take(16));
    write_line(&mut text, 0, &first);
    for (number, line) in (1u32..).zip(octets.chunks(LINE_OCTETS)) {
        write_line(&mut text, number, line);
    }
    text.push_str(END);
    text.push_str("\r\n");
    text
}

fn write_line(text: &mut String, number: u32, octets: &[u8]) {
    let [_, number @ ..] = number.to_be_bytes();
    let [_, check @ ..] = crc24(&number, octets).to_be_bytes();
    text.push(':');
    BASE64.encode_string(number, text);
    BASE64.encode_string(octets, text);
    BASE64.encode_string(check, text);
    text.push_str(";\r\n");
}

/// CRC-24 (RFC 9580, 6.1) over both.
fn crc24(number: &[u8], octets: &[u8]) -> u32 {
    number.iter().chain(octets).fold(0x00B7_04CE, |crc, octet| {
        (0..8).fold(crc ^ (u32::from(*octet) << 16), |crc, _| {
            let shifted = crc << 1;
            if shifted & 0x0100_0000 == 0 { shifted } else { shifted ^ 0x0186_4CFB }
        })
    }) & 0x00FF_FFFF
}

/// All armoured messages in a text, in their order; at most eight, copies of one count once. Empty for a text without any.
///
/// Total: takes any octets, in time and room that grow with their number only. Tolerates what [`write()`] says may happen to
/// lines, and quoted-printable and HTML that nobody has decoded.
#[must_use]
pub fn read(text: &[u8]) -> Vec<Result<Vec<u8>, ArmourError>> {
    let mut messages = Messages::default();
    let mut line = Symbols::default();
    let mut rest = text;
    while let Some((octet, behind)) = next_character(rest) {
        rest = behind;
        match octet {
            b':' => line.begin(),
            b';' => {
                if let Some((number, octets)) = line.end() {
                    messages.take(number, octets);
                }
            }
            symbol if is_symbol(symbol) => line.push(symbol),
            _ => {}
        }
    }
    messages.found.into_iter().map(Collected::finish).collect()
}

fn is_symbol(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/')
}

/// The next character that a person would see, and what follows it; 0 for what is none of ours.
fn next_character(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    let skipped = |octets: usize| (0, rest.get(octets..).unwrap_or_default());
    Some(match first {
        // Quoted-printable (RFC 2045, 6.7): a line that goes on, or an octet in hex.
        b'=' => match rest {
            [b'\n', ..] => skipped(1),
            [b'\r', b'\n', ..] => skipped(2),
            [high, low, behind @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (0, rest),
            },
            _ => (0, rest),
        },
        b'<' if rest
            .first()
            .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!')) =>
        {
            let end = rest.iter().take(TAG_MAX).position(|octet| *octet == b'>');
            end.map_or((0, rest), |end| skipped(end.saturating_add(1)))
        }
        b'&' => {
            let end = rest.iter().take(ENTITY_MAX).position(|octet| *octet == b';');
            match end.and_then(|end| rest.split_at_checked(end)) {
                Some((name, [_, behind @ ..])) => entity(name).map_or((0, rest), |octet| (octet, behind)),
                _ => (0, rest),
            }
        }
        other => (*other, rest),
    })
}

const TAG_MAX: usize = 400;
const ENTITY_MAX: usize = 8;

fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The character that an HTML entity stands for, where that is one of ours; 0 for other entities; `None` for no entity.
fn entity(name: &[u8]) -> Option<u8> {
    match name {
        b"colon" => Some(b':'),
        b"semi" => Some(b';'),
        b"plus" => Some(b'+'),
        b"sol" => Some(b'/'),
        b"amp" | b"lt" | b"gt" | b"nbsp" | b"quot" | b"shy" => Some(0),
        [b'#', b'x' | b'X', digits @ ..] => numeric(digits, 16),
        [b'#', digits @ ..] => numeric(digits, 10),
        _ => None,
    }
}

fn numeric(digits: &[u8], radix: u32) -> Option<u8> {
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    Some(u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(0))
}

/// The characters of the line that is being read.
#[derive(Default)]
struct Symbols {
    inside: bool,
    symbols: Vec<u8>,
}

impl Symbols {
    fn begin(&mut self) {
        self.inside = true;
        self.symbols.clear();
    }

    fn push(&mut self, symbol: u8) {
        self.inside = self.inside && self.symbols.len() < SYMBOLS_MAX;
        if self.inside {
            self.symbols.push(symbol);
        }
    }

    /// Number and octets, if the line is whole.
    fn end(&mut self) -> Option<(u32, Vec<u8>)> {
        if !std::mem::take(&mut self.inside) {
            return None;
        }
        let (number, rest) = self.symbols.split_at_checked(4)?;
        let (octets, check) = rest.split_at_checked(rest.len().checked_sub(4)?)?;
        let three = |symbols| <[u8; 3]>::try_from(BASE64.decode(symbols).ok()?).ok();
        let (number, check) = (three(number)?, three(check)?);
        let octets = BASE64.decode(octets).ok().filter(|octets| !octets.is_empty())?;
        let value = |[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]);
        (crc24(&number, &octets) == value(check)).then(|| (value(number), octets))
    }
}

#[derive(Default)]
struct Messages {
    found: Vec<Collected>,
    /// Which of them the lines that come now belong to.
    present: usize,
}

impl Messages {
    fn take(&mut self, number: u32, octets: Vec<u8>) {
        if number == 0 {
            match self.found.iter().position(|message| message.is_of(&octets)) {
                Some(nth) => self.present = nth,
                None if self.found.len() < MESSAGES_MAX => {
                    self.present = self.found.len();
                    self.found.push(Collected::default());
                }
                None => return,
            }
        } else if self.found.is_empty() {
            self.found.push(Collected::default());
        }
        if let Some(message) = self.found.get_mut(self.present) {
            message.lines.entry(number).or_insert(octets);
        }
    }
}

/// The lines of one message that are whole.
#[derive(Default)]
struct Collected {
    lines: BTreeMap<u32, Vec<u8>>,
}

impl Collected {
    /// Whether a line 0 belongs to it: it has the same, or none yet.
    fn is_of(&self, first: &[u8]) -> bool {
        self.lines.get(&0).is_none_or(|known| known == first)
    }

    fn finish(self) -> Result<Vec<u8>, ArmourError> {
        let headless = ArmourError::Headless { lines: self.lines.len() };
        let Some(first) = self.lines.get(&0).filter(|first| first.len() >= FIRST_OCTETS) else {
            return Err(headless);
        };
        let mut reader = Reader::new(first);
        let (Some(format), Some(octets), Some(hash)) = (reader.u8(), reader.length(), reader.array::<16>())
        else {
            return Err(headless);
        };
        if format != FORMAT {
            return Err(ArmourError::Format { found: format });
        }
        let of = octets.div_ceil(LINE_OCTETS);
        let whole: BTreeSet<usize> = self
            .lines
            .keys()
            .filter_map(|number| usize::try_from(*number).ok())
            .filter(|number| (1..=of).contains(number))
            .collect();
        if whole.len() < of {
            let named = (1..=of).filter(|number| !whole.contains(number)).take(NAMED_MAX);
            let named = named.filter_map(|number| u32::try_from(number).ok()).collect();
            return Err(ArmourError::Incomplete { missing: of.saturating_sub(whole.len()), of, named });
        }
        let mut plain = Vec::with_capacity(octets.min(self.lines.len().saturating_mul(LINE_OCTETS)));
        self.lines.range(1..).take(of).for_each(|(_, line)| plain.extend(line));
        let right = plain.len() == octets && Digest::of(&plain).as_bytes().starts_with(&hash);
        right.then_some(plain).ok_or(ArmourError::Mixed)
    }
}

#[cfg(test)]
mod tests;
