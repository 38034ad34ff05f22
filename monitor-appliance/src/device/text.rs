//! Texts from devices: character sets, padding, length.

use super::oids;
use super::walk::Walk;
use encoding_rs::Encoding;
use std::collections::BTreeMap;

/// Longest text kept, in characters: the longest the MIBs allow (DisplayString, RFC 2579).
pub(super) const CHARS_MAX: usize = 255;

/// `IANACharset` of HP's own set, which no library decodes.
pub(crate) const HP_ROMAN_8: i32 = 2004;

/// The other character sets that are decoded, by `IANACharset` number (IANA character sets; RFC 3805
/// `prtLocalizationCharacterSet`).
fn encoding(charset: i32) -> Option<&'static Encoding> {
    Some(match charset {
        4 => encoding_rs::WINDOWS_1252, // ISO 8859-1 is a part of it
        5 => encoding_rs::ISO_8859_2,
        6 => encoding_rs::ISO_8859_3,
        7 => encoding_rs::ISO_8859_4,
        8 => encoding_rs::ISO_8859_5,
        9 => encoding_rs::ISO_8859_6,
        10 => encoding_rs::ISO_8859_7,
        11 => encoding_rs::ISO_8859_8,
        12 => encoding_rs::WINDOWS_1254, // ISO 8859-9 is a part of it
        13 => encoding_rs::ISO_8859_10,
        17 | 2024 => encoding_rs::SHIFT_JIS,
        18 => encoding_rs::EUC_JP,
        36 | 38 => encoding_rs::EUC_KR,
        109 => encoding_rs::ISO_8859_13,
        110 => encoding_rs::ISO_8859_14,
        111 => encoding_rs::ISO_8859_15,
        112 => encoding_rs::ISO_8859_16,
        113 | 2025 => encoding_rs::GBK,
        114 => encoding_rs::GB18030,
        2026 => encoding_rs::BIG5,
        2084 => encoding_rs::KOI8_R,
        2088 => encoding_rs::KOI8_U,
        2250 => encoding_rs::WINDOWS_1250,
        2251 => encoding_rs::WINDOWS_1251,
        2252 => encoding_rs::WINDOWS_1252,
        2253 => encoding_rs::WINDOWS_1253,
        2254 => encoding_rs::WINDOWS_1254,
        2255 => encoding_rs::WINDOWS_1255,
        2256 => encoding_rs::WINDOWS_1256,
        2257 => encoding_rs::WINDOWS_1257,
        2258 => encoding_rs::WINDOWS_1258,
        2109 | 2259 => encoding_rs::WINDOWS_874,
        _ => return None,
    })
}

/// The character set of each printer's localized texts, by `hrDeviceIndex`.
#[derive(Debug, Default)]
pub(crate) struct Charsets(BTreeMap<u32, i32>);

impl Charsets {
    /// Follows `prtGeneralCurrentLocalization` into the localization table; without it the table's first row counts.
    pub(crate) fn of(walk: &Walk) -> Self {
        let mut charsets = BTreeMap::new();
        for (index, value) in walk.column(oids::PRT_LOCALIZATION_CHARACTER_SET).take(super::ROWS_MAX) {
            let (&[device, localization], Some(charset)) = (index, value.as_i64()) else { continue };
            let Ok(charset) = i32::try_from(charset) else { continue };
            let current = super::number(walk, oids::PRT_GENERAL_CURRENT_LOCALIZATION, &[device]);
            if current.is_some_and(|current| u32::try_from(current) == Ok(localization)) {
                charsets.insert(device, charset);
            } else {
                charsets.entry(device).or_insert(charset);
            }
        }
        Self(charsets)
    }

    /// The character set of a device, if it told one.
    pub(crate) fn get(&self, device: Option<u32>) -> Option<i32> {
        device.and_then(|device| self.0.get(&device)).or_else(|| self.0.values().next()).copied()
    }
}

/// The text of a column at a row, decoded and trimmed; `None` if absent, not a text, or empty.
pub(super) fn text(walk: &Walk, charsets: &Charsets, column: &[u32], index: &[u32]) -> Option<String> {
    let octets = walk.cell(column, index)?.as_octets()?;
    decode(octets, charsets.get(index.first().copied()))
}

/// Decodes what a device calls text: UTF-8 where it is UTF-8, else the character set it told, else with replacement
/// characters. NULs and spaces at the ends go, control characters inside become spaces, and an empty text is none.
pub(crate) fn decode(octets: &[u8], charset: Option<i32>) -> Option<String> {
    let decoded: String = match (std::str::from_utf8(octets), charset) {
        (Ok(text), _) => text.to_owned(),
        (Err(_), Some(HP_ROMAN_8)) => octets.iter().map(|&octet| hp_roman_8(octet)).collect(),
        (Err(_), charset) => match charset.and_then(encoding) {
            Some(encoding) => encoding.decode_without_bom_handling(octets).0.into_owned(),
            None => String::from_utf8_lossy(octets).into_owned(),
        },
    };
    let end = decoded.find('\0').unwrap_or(decoded.len());
    // Some devices pad in front with NULs: then the text is what follows them.
    let head = if end == 0 { decoded.trim_start_matches('\0') } else { &decoded[..end] };
    let clean: String = head
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .chars()
        .take(CHARS_MAX)
        .collect();
    let clean = clean.trim_end();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// Upper half of HP Roman-8 from 0xA0 on (RFC 1345, `hp-roman8`).
const HP_ROMAN_8_UPPER: &str =
    "\u{a0}ÀÂÈÊËÎÏ´ˋˆ¨˜ÙÛ₤¯Ýý°ÇçÑñ¡¿¤£¥§ƒ¢âêôûáéóúàèòùäëöüÅîØÆåíøæÄìÖÜÉïßÔÁÃãÐðÍÌÓÒÕõŠšÚŸÿÞþ·µ¶¾—¼½ªº«■»±";

fn hp_roman_8(octet: u8) -> char {
    match octet.checked_sub(0xA0) {
        None => char::from(octet),
        Some(at) => HP_ROMAN_8_UPPER.chars().nth(usize::from(at)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn padding_and_control_characters_go() {
        assert_eq!(decode(b"  TK-8527C \0\0", None).as_deref(), Some("TK-8527C"));
        assert_eq!(decode(b"Line one\r\nline two", None).as_deref(), Some("Line one  line two"));
        assert_eq!(decode(b"Cartridge\0left over", None).as_deref(), Some("Cartridge"));
        assert_eq!(decode(b"\0 \0", None), None);
        assert_eq!(decode(b"", None), None);
    }

    #[test]
    fn utf8_wins_over_the_named_character_set() {
        assert_eq!(decode("黑色碳粉".as_bytes(), Some(2004)).as_deref(), Some("黑色碳粉"));
    }

    #[test]
    fn named_character_sets_are_decoded() {
        assert_eq!(decode(b"Schw\xE4rze", Some(4)).as_deref(), Some("Schwärze"));
        assert_eq!(decode(b"Schw\xCCrze", Some(2004)).as_deref(), Some("Schwärze"));
        assert_eq!(decode(b"\xC7\xD5\xE0\xDD\xEB\xD9", Some(8)).as_deref(), Some("Черный"));
        assert_eq!(decode(b"ka\xF0\xFDt", Some(12)).as_deref(), Some("kağıt"));
        assert_eq!(decode(b"Ma\xB3o toneru", Some(5)).as_deref(), Some("Mało toneru"));
        assert_eq!(decode(b"\x83g\x83i\x81[", Some(17)).as_deref(), Some("トナー"));
    }

    #[test]
    fn unknown_octets_become_replacement_characters() {
        assert_eq!(decode(b"Toner \xFF", None).as_deref(), Some("Toner \u{FFFD}"));
    }

    #[test]
    fn hp_roman_8_has_no_gap() {
        assert_eq!(super::HP_ROMAN_8_UPPER.chars().count(), 95);
    }
}
