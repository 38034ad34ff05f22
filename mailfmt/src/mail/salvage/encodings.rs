//! Encodings as gateways leave them: with quotes, footers and other people's line ends in them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// `MFE1` in base64, as far as it does not depend on what follows.
const MAGIC_BASE64: &[u8] = b"TUZFMQ";
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// uuencoded files looked for in one text.
const UUENCODED_MAX: usize = 8;

/// What follows every occurrence of `wanted`, it included.
pub(super) fn places<'a>(octets: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = octets.get(from..)?;
        let at = rest.windows(wanted.len()).position(|window| window == wanted)?;
        from = from.saturating_add(at).saturating_add(wanted.len());
        rest.get(at..)
    })
}

/// What follows every beginning of ours in base64.
pub(super) fn base64_places(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    places(octets, MAGIC_BASE64)
}

/// Decodes base64 from its beginning to where it ends: at padding that ends a line, or at a line that can be none of it.
/// Quotes before a line, white space, empty lines and quoted-printable's soft line ends are passed over.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    let mut symbols = Vec::new();
    for line in text.split(|octet| *octet == b'\n') {
        let line = line.trim_ascii();
        let line = line.strip_suffix(b"=").filter(|line| is_base64(line) && line.len() > 60).unwrap_or(line);
        let quoted = line.iter().take_while(|octet| matches!(octet, b'>' | b'|' | b' ' | b'\t')).count();
        let Some(line) = line.get(quoted..) else { break };
        let padding = line.iter().rev().take_while(|octet| **octet == b'=').count();
        let Some(line) = line.get(..line.len().saturating_sub(padding)) else { break };
        let end = line.iter().position(|octet| !is_base64(&[*octet]));
        let mine = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
        // The first line may stand amid other text; a later one is base64 as a whole, or what comes after it.
        if end.is_some() && !symbols.is_empty() {
            break;
        }
        symbols.extend(mine);
        if padding > 0 || end.is_some() {
            break;
        }
    }
    symbols.truncate(symbols.len() / 4 * 4 + [0, 0, 2, 3].get(symbols.len() % 4).copied().unwrap_or(0));
    LENIENT.decode(&symbols).unwrap_or_default()
}

fn is_base64(octets: &[u8]) -> bool {
    octets.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
}

/// Decodes quoted-printable (RFC 2045, 6.7); what is none stays as it is.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'=' {
            octets.push(*first);
            continue;
        }
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match behind {
            [b'\n', behind @ ..] | [b'\r', b'\n', behind @ ..] => rest = behind,
            [high, low, behind @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    octets.push(high << 4 | low);
                    rest = behind;
                }
                _ => octets.push(b'='),
            },
            _ => octets.push(b'='),
        }
    }
    octets
}

/// The files in a text that uuencode (POSIX) wrote.
pub(super) fn uuencoded(text: &[u8]) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut file: Option<Vec<u8>> = None;
    for line in text.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match &mut file {
            None if is_uuencode_head(line) && files.len() < UUENCODED_MAX => file = Some(Vec::new()),
            None => {}
            Some(octets) => match uuencoded_line(line) {
                Some(decoded) => octets.extend(decoded),
                None => files.extend(file.take()),
            },
        }
    }
    files.extend(file);
    files
}

/// `begin`, three digits of rights, a name.
fn is_uuencode_head(line: &[u8]) -> bool {
    let rights = line.strip_prefix(b"begin ").and_then(|rest| rest.split_first_chunk::<3>());
    rights.is_some_and(|(rights, name)| rights.iter().all(u8::is_ascii_digit) && name.starts_with(b" "))
}

/// `None` at the end, and at what can be no line of it.
fn uuencoded_line(line: &[u8]) -> Option<Vec<u8>> {
    let value = |octet: u8| (b' '..=b'`').contains(&octet).then(|| octet.wrapping_sub(b' ') & 0x3f);
    let (length, symbols) = line.split_first()?;
    let length = usize::from(value(*length)?);
    if length == 0 {
        return None;
    }
    let mut octets = Vec::with_capacity(48);
    for group in symbols.chunks(4) {
        // Spaces at the end of a line are often lost.
        let symbol = |nth: usize| group.get(nth).map_or(Some(0), |symbol| value(*symbol));
        let (a, b, c, d) = (symbol(0)?, symbol(1)?, symbol(2)?, symbol(3)?);
        octets.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
    octets.resize(length, 0);
    Some(octets)
}
