//! What a printer answered to PJL questions. Pure.

use crate::device::{Counter, CounterName, Reading, Source, Way};
use crate::profile::Profiles;

/// Longest text that is kept, in characters.
const CHARS_MAX: usize = 255;

/// What a printer told by PJL. What it did not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PjlTold {
    /// Its name, maker and model (`INFO ID`).
    pub id: Option<String>,
    /// Status code (`INFO STATUS`).
    pub code: Option<u32>,
    /// Text of the panel.
    pub display: Option<String>,
    /// Pages so far (`INFO PAGECOUNT`).
    pub page_count: Option<u64>,
}

/// Reads answers, each begun by a line that repeats its question and ended by a form feed. Total: any octets give something.
#[must_use]
pub fn parse(octets: &[u8]) -> PjlTold {
    let mut told = PjlTold::default();
    for answer in String::from_utf8_lossy(octets).split('\x0c') {
        let mut lines = answer.lines().map(str::trim).filter(|line| !line.is_empty());
        let Some(question) = lines.next().and_then(|line| line.strip_prefix("@PJL INFO ")) else { continue };
        for line in lines.take(64) {
            match (question.trim(), line.split_once('=')) {
                ("ID", _) => told.id = told.id.or_else(|| text(line)),
                ("STATUS", Some(("CODE", value))) => told.code = value.trim().parse().ok(),
                ("STATUS", Some(("DISPLAY", value))) => told.display = text(value),
                ("PAGECOUNT", Some((_, value))) => told.page_count = number(value),
                ("PAGECOUNT", None) => told.page_count = told.page_count.or_else(|| number(line)),
                _ => {}
            }
        }
    }
    told
}

fn text(quoted: &str) -> Option<String> {
    let plain = quoted.trim().trim_matches('"').trim();
    let text: String = plain.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    Some(text).filter(|text| !text.is_empty())
}

fn number(text: &str) -> Option<u64> {
    text.trim().trim_matches('"').parse().ok()
}

impl PjlTold {
    /// Fills what `reading` lacks, and notes for each value which answer gave it. What is there is left as it is.
    pub fn complete(&self, reading: &mut Reading, profiles: &Profiles) {
        let pjl = |answer| Source::told(Way::Pjl, answer);
        if let Some(id) = &self.id {
            let (vendor, model) = profiles.split_brand(id);
            if reading.identity.model.is_none() {
                reading.identity.model = Some(model.to_owned());
                reading.ways.insert("identity.model".to_owned(), pjl("ID"));
            }
            if reading.identity.vendor.is_none() && vendor.is_some() {
                reading.identity.vendor = vendor.map(str::to_owned);
                reading.ways.insert("identity.vendor".to_owned(), pjl("ID"));
            }
        }
        let counted = reading
            .counters
            .iter()
            .any(|counter| counter.name == CounterName::TOTAL || counter.name == CounterName::MARKER_LIFE);
        if let Some(value) = self.page_count.filter(|_| !counted) {
            let (name, source) = (CounterName::TOTAL, pjl("PAGECOUNT"));
            reading.counters.push(Counter { name, marker: None, value, unit: None, source });
        }
        if reading.alerts.is_empty() && reading.reasons.is_empty() && self.code.is_some() {
            reading.pjl_code = self.code;
            reading.ways.insert("status".to_owned(), pjl("STATUS"));
            if reading.console.is_empty() {
                reading.console.extend(self.display.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PjlTold, parse};
    use proptest::prelude::*;

    #[test]
    fn all_three_answers_are_read() {
        let told = parse(
            b"@PJL INFO ID\r\n\"LASERJET 4 PLUS\"\r\n\x0c@PJL INFO STATUS\r\nCODE=40010\r\nDISPLAY=\"TONER LOW\"\r\nONLINE=TRUE\r\n\x0c@PJL INFO PAGECOUNT\r\nPAGECOUNT=81234\r\n\x0c",
        );
        let text = |text: &str| Some(text.to_owned());
        let expected = PjlTold {
            id: text("LASERJET 4 PLUS"),
            code: Some(40010),
            display: text("TONER LOW"),
            page_count: Some(81_234),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn a_count_without_its_name_is_read_and_a_question_mark_is_none() {
        assert_eq!(parse(b"@PJL INFO PAGECOUNT\n1234\n\x0c").page_count, Some(1234));
        assert_eq!(parse(b"@PJL INFO PAGECOUNT\r\n\"?\"\r\n\x0c").page_count, None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&octets);
        }
    }
}
