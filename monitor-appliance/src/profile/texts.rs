//! Texts in private objects, and what they tell of who the device is.

use super::Chosen;
use super::file::{Encoding, Identity, TextObject};
use super::object::{Standard, TextSource};
use crate::device::{Charsets, HP_ROMAN_8, Value, Walk, decode};

/// `IANACharset` of the symbol sets of HP: 8U (Roman-8), 0N (ISO 8859-1), 19U (Windows Latin 1), 5N (ISO 8859-9).
const SYMBOL_SETS: [(u16, i32); 4] = [(0x0115, HP_ROMAN_8), (0x000E, 4), (0x0275, 4), (0x00AE, 12)];

/// A text, by how its octets are one. `charset` is that of the printer's localized texts.
pub(super) fn read_text(value: &Value, encoding: Encoding, charset: Option<i32>) -> Option<String> {
    let octets = value.as_octets()?;
    match encoding {
        Encoding::Plain => decode(octets, charset),
        Encoding::SymbolSet => {
            let (set, text) = octets.split_at_checked(2)?;
            let set = u16::from_be_bytes([set[0], set[1]]);
            // Where no symbol set is named, the text stands alone.
            match SYMBOL_SETS.iter().find(|(known, _)| *known == set) {
                Some((_, charset)) => decode(text, Some(*charset)),
                None if set < 0x0800 => decode(text, charset),
                None => decode(octets, charset),
            }
        }
        Encoding::Utf16 => {
            let units: Vec<u16> =
                octets.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
            decode(String::from_utf16_lossy(&units).as_bytes(), None)
        }
        Encoding::Hex => {
            let hex: String = octets.iter().take(127).map(|octet| format!("{octet:02x}")).collect();
            Some(hex).filter(|hex| !hex.is_empty())
        }
    }
}

/// A part of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Serial,
    Firmware,
}

impl Field {
    fn list(self, identity: &Identity) -> &[TextSource] {
        match self {
            Self::Model => &identity.model,
            Self::Serial => &identity.serial,
            Self::Firmware => &identity.firmware,
        }
    }

    fn usual(self) -> &'static [Standard] {
        match self {
            Self::Model => {
                &[Standard::HrDeviceDescr, Standard::DeviceId, Standard::SysDescr, Standard::PrinterName]
            }
            Self::Serial => &[Standard::SerialNumber, Standard::DeviceId, Standard::SysDescr],
            Self::Firmware => &[Standard::SysDescr],
        }
    }
}

impl Chosen {
    /// A part of the identity: the first source that gives a text that `accept` takes. `standard` reads the standard sources.
    pub(crate) fn text(
        &self,
        field: Field,
        walk: &Walk,
        charsets: &Charsets,
        standard: &dyn Fn(Standard) -> Option<String>,
        accept: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        let listed: Vec<&TextSource> =
            self.iter().flat_map(|profile| field.list(&profile.file.identity)).collect();
        let named = |standard: &Standard| {
            listed.iter().any(|source| matches!(source, TextSource::Standard(named) if named == standard))
        };
        let read = |source: &TextSource| match source {
            TextSource::Standard(source) => standard(*source),
            TextSource::Object(object) => private(object, walk, charsets),
        };
        let private = listed.iter().filter_map(|source| read(source));
        let usual =
            field.usual().iter().filter(|source| !named(source)).filter_map(|source| standard(*source));
        private.chain(usual).find(|text| accept(text))
    }

    /// Six octets of a hardware address in private objects, if a profile names some.
    pub(crate) fn mac(&self, walk: &Walk) -> Option<[u8; 6]> {
        let sources = self.iter().flat_map(|profile| &profile.file.identity.mac);
        let objects = sources.filter_map(|source| match source {
            TextSource::Object(object) => Some(object),
            TextSource::Standard(_) => None,
        });
        objects.filter_map(|object| address(object.object.find(walk)?.1.as_octets()?)).next()
    }
}

fn private(object: &TextObject, walk: &Walk, charsets: &Charsets) -> Option<String> {
    let (_, value) = object.object.find(walk)?;
    let text = match value {
        // Some makers give numbers where a text is meant.
        Value::Integer(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        other => read_text(other, object.text, charsets.get(None))?,
    };
    match &object.pattern {
        None => Some(text),
        Some(pattern) => pattern.fit(&text)?.remove("value"),
    }
}

/// Six octets, or twelve hex digits with or without something between.
fn address(octets: &[u8]) -> Option<[u8; 6]> {
    if let Ok(octets) = <[u8; 6]>::try_from(octets) {
        return Some(octets);
    }
    let text = std::str::from_utf8(octets).ok()?;
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ' | '\0')).collect();
    if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut address = [0; 6];
    for (at, octet) in address.iter_mut().enumerate() {
        *octet = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::super::file::Encoding;
    use super::{address, read_text};
    use crate::device::Value;

    #[test]
    fn a_symbol_set_in_front_of_a_text_is_no_part_of_it() {
        let read = |octets: &[u8]| read_text(&Value::Octets(octets.to_vec()), Encoding::SymbolSet, None);
        assert_eq!(read(b"\x01\x15VNB3A12345").as_deref(), Some("VNB3A12345"));
        assert_eq!(read(b"\x01\x15Schw\xCCrze").as_deref(), Some("Schwärze"));
        assert_eq!(read(b"VNB3A12345").as_deref(), Some("VNB3A12345"));
        assert_eq!(read(b"\x01"), None);
    }

    #[test]
    fn wide_characters_and_octets_become_texts() {
        let read = |octets: &[u8], encoding| read_text(&Value::Octets(octets.to_vec()), encoding, None);
        assert_eq!(read(b"\0A\0\xE4", Encoding::Utf16).as_deref(), Some("Aä"));
        assert_eq!(read(b"\x0A\xFF", Encoding::Hex).as_deref(), Some("0aff"));
        assert_eq!(read(b"", Encoding::Hex), None);
    }

    #[test]
    fn an_address_comes_as_octets_or_as_digits() {
        let expected = Some([0, 7, 0x4d, 0x6b, 0xc2, 0xa8]);
        assert_eq!(address(b"\x00\x07\x4d\x6b\xc2\xa8"), expected);
        assert_eq!(address(b"00:07:4D:6B:C2:A8"), expected);
        assert_eq!(address(b"00074d6bc2a8"), expected);
        assert_eq!(address(b"00074d6bc2"), None);
        assert_eq!(address(b""), None);
    }
}
