//! What profiles tell beside counters: parts, private supply tables, the panel, service codes.

use super::Chosen;
use super::choose::Facts;
use super::file::{CodePlace, LevelState, Supplies};
use super::object::{Number, Object};
use super::texts::read_text;
use crate::device::{
    Capacity, Charsets, CounterName, Level, Oid, PartLife, ROWS_MAX, ServiceCode, Source, Supply, SupplyNote,
    Unit, Value, Walk,
};

/// Most service codes taken of one device.
const CODES_MAX: usize = 64;

impl Chosen {
    /// Lives of parts; the first rule that gives a value for a name counts. `standard` says whether the device has
    /// supplies in the standard table.
    pub(crate) fn parts(
        &self,
        walk: &Walk,
        model: Option<&str>,
        description: Option<&str>,
        standard: bool,
    ) -> Vec<PartLife> {
        let facts = Facts { walk, model, description };
        let mut found: Vec<PartLife> = Vec::new();
        for profile in self.iter() {
            let records = profile
                .file
                .records
                .iter()
                .flat_map(|records| super::records::parts(records.get_ref(), &facts));
            let single = profile.file.part.iter().filter(|part| facts.meet(&part.when)).filter_map(|part| {
                let (oid, value) = part.object.find(walk)?;
                let value = super::counters::number(value, None)?;
                let fits = part.zero || value > 0;
                let value = value / part.divide.get();
                let fits = fits && part.max.is_none_or(|max| value <= max);
                fits.then(|| PartLife { name: part.name.clone(), value, source: Source::from(oid) })
            });
            let beside = profile.file.supplies.iter().filter(|table| table.beside_standard && standard);
            let beside = beside.flat_map(|table| table.rows(walk)).filter_map(|supply| supply.as_part());
            for part in records.chain(single).chain(beside) {
                if found.len() < ROWS_MAX && found.iter().all(|known| known.name != part.name) {
                    found.push(part);
                }
            }
        }
        found
    }

    /// Supplies of a device without a standard table of them.
    pub(crate) fn supplies(&self, walk: &Walk) -> Vec<Supply> {
        let tables = self.iter().flat_map(|profile| &profile.file.supplies);
        let rows = tables.map(|table| table.rows(walk)).find(|rows| !rows.is_empty()).unwrap_or_default();
        rows.into_iter().map(PrivateSupply::into_supply).collect()
    }

    /// Texts of the panel in private objects.
    pub(crate) fn panel(&self, walk: &Walk, charsets: &Charsets) -> Vec<(String, Oid)> {
        let panels = self.iter().flat_map(|profile| &profile.file.panel);
        panels
            .filter_map(|panel| {
                let (oid, value) = panel.object.find(walk)?;
                let text = read_text(value, panel.text, charsets.get(None))?;
                Some((take_value(text, panel.pattern.as_ref())?, oid))
            })
            .take(ROWS_MAX)
            .collect()
    }

    /// The maker's own fault codes. `alerts` are the texts of alerts with the objects that they stand in, `panel` those of the panel.
    pub(crate) fn service_codes(
        &self,
        walk: &Walk,
        alerts: &[(&str, Oid)],
        panel: &[(String, Oid)],
    ) -> Vec<ServiceCode> {
        let mut found: Vec<ServiceCode> = Vec::new();
        for rule in self.iter().flat_map(|profile| &profile.file.service_code).map(toml::Spanned::get_ref) {
            for place in &rule.places {
                let texts: Vec<(String, Oid)> = match place {
                    CodePlace::Alerts => {
                        alerts.iter().map(|(text, oid)| ((*text).to_owned(), oid.clone())).collect()
                    }
                    CodePlace::Panel => panel.to_vec(),
                    CodePlace::Object(object) => texts(object, walk),
                };
                for (text, oid) in texts {
                    let Some(code) = rule.pattern.fit(&text).and_then(|mut found| found.remove("code"))
                    else {
                        continue;
                    };
                    let code = code.trim_end_matches(|c: char| c.is_ascii_punctuation()).to_owned();
                    let code = rule
                        .shown
                        .as_ref()
                        .map_or_else(|| code.clone(), |shown| shown.replace("{code}", &code));
                    if found.len() < CODES_MAX && found.iter().all(|known| known.code != code) {
                        found.push(ServiceCode { code, source: Source::from(oid) });
                    }
                }
            }
        }
        found
    }
}

/// The texts of one object, or of all instances below it.
fn texts(object: &Object, walk: &Walk) -> Vec<(String, Oid)> {
    let text = |value: &Value| match value {
        Value::Octets(_) => read_text(value, super::file::Encoding::Plain, None),
        number => number.as_i64().map(|number| number.to_string()),
    };
    if !object.any {
        return object.find(walk).and_then(|(oid, value)| Some((text(value)?, oid))).into_iter().collect();
    }
    walk.column(object.oid.arcs())
        .take(ROWS_MAX)
        .filter_map(|(index, value)| Some((text(value)?, super::counters::cell(object, index))))
        .collect()
}

fn take_value(text: String, pattern: Option<&super::Pattern>) -> Option<String> {
    match pattern {
        None => Some(text),
        Some(pattern) => pattern.fit(&text)?.remove("value"),
    }
}

struct PrivateSupply {
    index: u32,
    description: Option<String>,
    level: Option<Level>,
    max: Option<Capacity>,
    nearly_empty: bool,
    source: Oid,
}

impl Supplies {
    fn rows(&self, walk: &Walk) -> Vec<PrivateSupply> {
        walk.rows(&[self.level.oid.arcs(), self.description.oid.arcs()], ROWS_MAX)
            .into_iter()
            .map(|index| {
                let number = walk.cell(self.level.oid.arcs(), &index).and_then(Value::as_i64);
                let state = number.and_then(|number| self.states.get(&number));
                let level = match state {
                    None => number.map(Level::from_number),
                    Some(LevelState::NearlyEmpty | LevelState::SomeRemaining) => Some(Level::SomeRemains),
                    Some(LevelState::Unknown) => Some(Level::Unknown),
                    Some(LevelState::NoRestriction) => Some(Level::NoRestriction),
                };
                PrivateSupply {
                    index: index.last().copied().unwrap_or_default(),
                    description: walk
                        .cell(self.description.oid.arcs(), &index)
                        .and_then(|value| read_text(value, self.text, None)),
                    max: match &self.max {
                        None => None,
                        Some(Number::Number(max)) => Some(Capacity::from_number(*max)),
                        Some(Number::Text(column)) => column
                            .parse::<Object>()
                            .ok()
                            .and_then(|column| walk.cell(column.oid.arcs(), &index))
                            .and_then(Value::as_i64)
                            .map(Capacity::from_number),
                    },
                    level,
                    nearly_empty: state == Some(&LevelState::NearlyEmpty),
                    source: super::counters::cell(&self.level, &index),
                }
            })
            .filter(|supply| supply.level.is_some() || supply.description.is_some())
            .collect()
    }
}

impl PrivateSupply {
    fn into_supply(self) -> Supply {
        let percent_of = self.max == Some(Capacity::Units(100));
        let mut supply = Supply::leveled(self.index, self.level, self.max);
        supply.description = self.description;
        supply.unit = percent_of.then_some(Unit::Percent);
        if self.nearly_empty {
            supply.notes.push(SupplyNote::NearlyEmpty);
        }
        supply
    }

    fn as_part(&self) -> Option<PartLife> {
        let (Some(Level::Units(level)), Some(Capacity::Units(max))) = (self.level, self.max) else {
            return None;
        };
        let percent =
            (u64::from(level) * 100).checked_div(u64::from(max)).filter(|percent| *percent <= 100)?;
        let name = CounterName::from_label("part_", self.description.as_deref()?)?;
        let name = format!("{}_remaining", name.as_str().trim_start_matches("part_"));
        Some(PartLife { name, value: percent, source: Source::from(self.source.clone()) })
    }
}
