//! What the text of a supply says beside what it is: part number and serial number.

/// A supply's text, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) description: Option<String>,
    pub(super) part_number: Option<String>,
    pub(super) serial: Option<String>,
}

impl Said {
    /// `Black Toner, PN 006R01509;SN48178080E0000481` (Xerox) loses what stands behind the name. `Black Toner Cartridge S/N:CRUM-16` (Samsung)
    /// and `Black Cartridge HP CF410A` keep their text: it is what others show, too.
    pub(super) fn of(text: &str) -> Self {
        if let Some((description, behind)) = text.split_once(", PN ") {
            let (part, serial) = behind.split_once(';').unwrap_or((behind, ""));
            return Self {
                description: some(description),
                part_number: some(part),
                serial: serial.trim().strip_prefix("SN").and_then(some),
            };
        }
        let serial = text.split_once("S/N:").map(|(_, serial)| serial.trim());
        Self {
            description: some(text),
            part_number: text
                .rsplit(' ')
                .next()
                .filter(|word| is_part_number(word) && !text.contains(','))
                .and_then(some),
            serial: serial.filter(|serial| serial.len() >= 4 && !serial.ends_with('-')).and_then(some),
        }
    }
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && !text.eq_ignore_ascii_case("unknown")).then(|| text.to_owned())
}

/// Capitals and digits, as `CF410A`, `TK-8527K`, `T9441/T9451`: begins with a letter and has two digits or more.
fn is_part_number(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-' || c == '/';
    word.len() >= 4
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(fits)
        && word.chars().filter(char::is_ascii_digit).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::Said;

    fn said(text: &str) -> (Option<String>, Option<String>, Option<String>) {
        let said = Said::of(text);
        (said.description, said.part_number, said.serial)
    }

    #[test]
    fn part_and_serial_numbers_are_found_in_the_text() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            said("Black Toner, PN 006R01509;SN48178080E0000481"),
            (some("Black Toner"), some("006R01509"), some("48178080E0000481"))
        );
        assert_eq!(said("Fuser, PN unknown;SNunknown"), (some("Fuser"), None, None));
        assert_eq!(
            said("Black Cartridge HP CF410A"),
            (some("Black Cartridge HP CF410A"), some("CF410A"), None)
        );
        assert_eq!(said("TK-8527K"), (some("TK-8527K"), some("TK-8527K"), None));
        assert_eq!(
            said("Black Toner S/N:CRUM-160"),
            (some("Black Toner S/N:CRUM-160"), None, some("CRUM-160"))
        );
        for text in
            ["Drum Cartridge (R1)", "Black Toner 2", "longer than 32", "Fuser S/N:", "110V-C1N54A, C1N58A"]
        {
            assert_eq!(said(text), (some(text), None, None), "{text}");
        }
    }
}
