//! What a printer told by IPP, and how it completes a reading.

use super::message::{Answer, Value};
use crate::device::{
    Capacity, Counter, CounterName, DeviceId, DeviceIdentity, Level, Reading, SUPPLIES, Source, Supply,
    SupplyClass, SupplyType, Unit, Way,
};
use crate::profile::Profiles;
use std::collections::BTreeMap;

/// What is asked for: identity, state, supplies and counts; a few kilobytes.
pub const ATTRIBUTES: &[&str] = &[
    "printer-make-and-model",
    "printer-device-id",
    "printer-serial-number",
    "printer-firmware-string-version",
    "printer-state",
    "printer-state-reasons",
    "printer-state-message",
    "printer-supply",
    "printer-supply-description",
    "marker-names",
    "marker-types",
    "marker-levels",
    "printer-impressions-completed",
    "printer-up-time",
];

/// Longest text that is kept, in characters.
const CHARS_MAX: usize = 255;

/// Most supplies and reasons that are kept.
const ROWS_MAX: usize = 64;

/// What a printer told by IPP. What it did not tell is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    make_and_model: Option<String>,
    device_id: Option<String>,
    serial: Option<String>,
    firmware: Option<String>,
    reasons: Vec<String>,
    message: Option<String>,
    supplies: Vec<Supply>,
    /// Which attribute told them.
    supplies_from: &'static str,
    impressions: Option<u64>,
    uptime_secs: Option<u64>,
}

impl Told {
    /// Reads an answer. Total: any answer gives something.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let text = |name| answer.texts(name).next().map(bounded);
        let count = |name| answer.number(name).and_then(|number| u64::try_from(number).ok());
        let described = described_supplies(answer);
        Self {
            make_and_model: text("printer-make-and-model"),
            device_id: answer
                .texts("printer-device-id")
                .next()
                .map(|id| id.chars().take(4 * CHARS_MAX).collect()),
            serial: text("printer-serial-number"),
            firmware: text("printer-firmware-string-version"),
            reasons: answer
                .texts("printer-state-reasons")
                .filter(|reason| *reason != "none")
                .take(ROWS_MAX)
                .map(bounded)
                .collect(),
            message: text("printer-state-message"),
            supplies_from: if described.is_empty() { "marker-levels" } else { "printer-supply" },
            supplies: if described.is_empty() { marker_supplies(answer) } else { described },
            impressions: count("printer-impressions-completed"),
            uptime_secs: count("printer-up-time"),
        }
    }

    /// Fills what `reading` lacks, and notes for each value which attribute gave it. What is there is left as it is: a
    /// count never changes its source in place.
    pub fn complete(&self, reading: &mut Reading, profiles: &Profiles) {
        self.complete_identity(&mut reading.identity, &mut reading.ways, profiles);
        if reading.uptime_secs.is_none() && self.uptime_secs.is_some() {
            reading.uptime_secs = self.uptime_secs;
            reading.ways.insert("uptime".to_owned(), ipp("printer-up-time"));
        }
        let counted = reading
            .counters
            .iter()
            .any(|counter| counter.name == CounterName::TOTAL || counter.name == CounterName::MARKER_LIFE);
        if let Some(value) = self.impressions.filter(|_| !counted) {
            reading.counters.push(Counter {
                name: CounterName::TOTAL,
                marker: None,
                value,
                unit: Some(Unit::Impressions),
                source: ipp("printer-impressions-completed"),
            });
        }
        if reading.supplies.is_empty() && !self.supplies.is_empty() {
            reading.supplies.clone_from(&self.supplies);
            reading.ways.insert(SUPPLIES.to_owned(), ipp(self.supplies_from));
        }
        if reading.alerts.is_empty() && !self.reasons.is_empty() {
            reading.reasons.clone_from(&self.reasons);
            reading.ways.insert("reasons".to_owned(), ipp("printer-state-reasons"));
            if reading.console.is_empty() {
                reading.console.extend(self.message.clone());
            }
        }
    }

    fn complete_identity(
        &self,
        identity: &mut DeviceIdentity,
        ways: &mut BTreeMap<String, Source>,
        profiles: &Profiles,
    ) {
        let told = self.device_id.as_deref().map(DeviceId::parse).unwrap_or_default();
        let make = |name: &str| profiles.brand_of(name).map(str::to_owned);
        let by_name = self.make_and_model.as_deref().map(|name| profiles.split_brand(name));
        let (make_told, model_told) = (told.vendor.as_deref().and_then(make).or(told.vendor), told.model);
        let (make, model) =
            by_name.map_or((None, None), |(make, model)| (make.map(str::to_owned), Some(model.to_owned())));
        let mut fill = |field: &mut Option<String>, name: &str, values: [(Option<String>, &str); 2]| {
            if field.is_some() {
                return;
            }
            if let Some((value, attribute)) =
                values.into_iter().find_map(|(value, attribute)| Some((value?, attribute)))
            {
                *field = Some(value);
                ways.insert(format!("identity.{name}"), ipp(attribute));
            }
        };
        let (by_id, by_model) = ("printer-device-id", "printer-make-and-model");
        fill(&mut identity.vendor, "vendor", [(make_told, by_id), (make, by_model)]);
        fill(&mut identity.model, "model", [(model_told, by_id), (model, by_model)]);
        fill(
            &mut identity.serial,
            "serial",
            [(self.serial.clone(), "printer-serial-number"), (told.serial, by_id)],
        );
        let firmware = (self.firmware.clone(), "printer-firmware-string-version");
        fill(&mut identity.firmware, "firmware", [firmware, (None, "")]);
    }
}

fn ipp(attribute: &str) -> Source {
    Source::told(Way::Ipp, attribute)
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}

/// `printer-supply`: `key=value;` pairs with the Printer MIB's words (PWG 5100.13 section 5.6.42).
fn described_supplies(answer: &Answer) -> Vec<Supply> {
    let mut names = answer.texts("printer-supply-description");
    let rows = (1..).zip(answer.texts("printer-supply").take(ROWS_MAX));
    rows.map(|(row, text)| {
        let field = |wanted: &str| {
            text.split(';').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                key.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let number = |wanted| field(wanted).and_then(|value| value.parse::<i64>().ok());
        let colorant = field("colorantname").filter(|name| !["none", "unknown"].contains(name));
        Supply {
            index: number("index").and_then(|index| u32::try_from(index).ok()).unwrap_or(row),
            supply_type: field("type").and_then(|word| by_word(word, SupplyType::from_number, 1..=34)),
            class: field("class").and_then(|word| by_word(word, SupplyClass::from_number, 1..=4)),
            colorant: colorant.map(bounded),
            description: names.next().map(bounded),
            unit: field("unit").and_then(|word| by_word(word, Unit::from_number, 1..=19)),
            ..Supply::leveled(
                row,
                number("level").map(Level::from_number),
                number("maxcapacity").map(Capacity::from_number),
            )
        }
    })
    .collect()
}

/// `marker-*`: as CUPS names them; many printers offer these. A level is a percentage or one of the MIB's states.
fn marker_supplies(answer: &Answer) -> Vec<Supply> {
    let levels = answer.values("marker-levels").iter();
    let mut names = answer.texts("marker-names");
    let mut kinds = answer.texts("marker-types");
    let rows = (1..).zip(levels.take(ROWS_MAX));
    rows.map(|(row, level)| {
        let level = match level {
            Value::Number(number) => Some(Level::from_number(i64::from(*number))),
            Value::Text(_) | Value::Nothing => None,
        };
        Supply {
            supply_type: kinds.next().and_then(|word| by_word(word, SupplyType::from_number, 1..=34)),
            description: names.next().map(bounded),
            unit: Some(Unit::Percent),
            ..Supply::leveled(row, level, Some(Capacity::Units(100)))
        }
    })
    .collect()
}

/// The registered value that a word such as `tonerCartridge` or `toner-cartridge` names.
fn by_word<T: std::fmt::Display>(
    word: &str,
    value: impl Fn(i32) -> T,
    mut numbers: std::ops::RangeInclusive<i32>,
) -> Option<T> {
    let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let wanted = plain(word);
    numbers.find_map(|number| Some(value(number)).filter(|value| plain(&value.to_string()) == wanted))
}

#[cfg(test)]
mod tests {
    use super::Told;
    use crate::device::{Capacity, Level, Reading, SupplyClass, SupplyType, Unit};
    use crate::ipp::parse;
    use crate::profile::Profiles;

    fn answer(attributes: &[(u8, &str, &[u8])]) -> Vec<u8> {
        let mut octets = vec![2, 0, 0, 0, 0, 0, 0, 1, 4];
        for (tag, name, value) in attributes {
            octets.push(*tag);
            for part in [name.as_bytes(), value] {
                octets.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
                octets.extend(part);
            }
        }
        octets.push(3);
        octets
    }

    fn told(attributes: &[(u8, &str, &[u8])]) -> Told {
        Told::of(&parse(&answer(attributes)).unwrap())
    }

    #[test]
    fn a_printer_without_snmp_is_read_by_ipp_alone() {
        let told = told(&[
            (0x41, "printer-make-and-model", b"EPSON WF-M5799 Series"),
            (0x41, "printer-device-id", b"MFG:EPSON;CMD:PCL;MDL:WF-M5799 Series;SN:X5TC001234;"),
            (0x44, "printer-state-reasons", b"media-jam-error"),
            (0x44, "", b"toner-low-warning"),
            (0x30, "printer-supply", b"type=inkCartridge;maxcapacity=100;level=40;class=supplyThatIsConsumed;unit=percent;colorantname=black;index=7;"),
            (0x41, "printer-supply-description", b"Black Ink"),
            (0x21, "printer-impressions-completed", &81_234i32.to_be_bytes()),
        ]);
        let mut reading = Reading::default();
        told.complete(&mut reading, &Profiles::built_in());
        assert_eq!(reading.identity.serial.as_deref(), Some("X5TC001234"));
        assert_eq!(reading.reasons, ["media-jam-error", "toner-low-warning"]);
        let supply = &reading.supplies[0];
        assert_eq!((supply.index, supply.percent), (7, Some(40)));
        assert_eq!(supply.supply_type, Some(SupplyType::InkCartridge));
        assert_eq!(supply.class, Some(SupplyClass::SupplyThatIsConsumed));
        assert_eq!((supply.unit, supply.colorant.as_deref()), (Some(Unit::Percent), Some("black")));
        assert_eq!(reading.counters[0].value, 81_234);
        assert_eq!(reading.counters[0].source.to_string(), "ipp:printer-impressions-completed");
        assert_eq!(reading.ways["identity.serial"].to_string(), "ipp:printer-device-id");
    }

    #[test]
    fn what_snmp_gave_stays_as_it_is() {
        let told = told(&[
            (0x41, "printer-serial-number", b"OTHER"),
            (0x21, "printer-impressions-completed", &5i32.to_be_bytes()),
        ]);
        let mut reading = Reading::default();
        reading.identity.serial = Some("SNMP".into());
        told.complete(&mut reading, &Profiles::built_in());
        let before = reading.clone();
        told.complete(&mut reading, &Profiles::built_in());
        assert_eq!(reading, before);
        assert_eq!(reading.identity.serial.as_deref(), Some("SNMP"));
    }

    #[test]
    fn levels_that_are_states_stay_states() {
        let told = told(&[
            (0x42, "marker-names", b"Black"),
            (0x42, "", b"Waste"),
            (0x44, "marker-types", b"toner"),
            (0x44, "", b"waste-toner"),
            (0x21, "marker-levels", &(-3i32).to_be_bytes()),
            (0x21, "", &(-2i32).to_be_bytes()),
        ]);
        let mut reading = Reading::default();
        told.complete(&mut reading, &Profiles::built_in());
        let levels: Vec<_> = reading.supplies.iter().map(|supply| (supply.level, supply.percent)).collect();
        assert_eq!(levels, [(Some(Level::SomeRemains), None), (Some(Level::Unknown), None)]);
        assert_eq!(reading.supplies[1].supply_type, Some(SupplyType::WasteToner));
        assert_eq!(reading.supplies[1].max, Some(Capacity::Units(100)));
    }
}
