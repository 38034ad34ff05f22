//! A look for faults in one request: what it asks, and what its answer says. Pure.
//!
//! GETNEXT and GETBULK are used for all of it, each object asked for from just before its place: so the same request goes on
//! along the alert table, one row further than those that are known. A new row is seen whether or not the device counts its
//! alerts (`prtAlertAllEvents` is optional), and only when anything is new the table itself is read.

use super::columns::Cell;
use super::layout::{Doubt, Entry, Layout, MESSAGE_OCTETS, binding_octets, null_octets};
use super::plan::ALERTS;
use crate::device::{Oid, Value, Walk, oids};

/// Octets that a look's request and answer should take together; what is useful but not needed is left out beyond.
const OCTETS_WANTED: usize = 400;

/// Octets set aside for the object behind the alert table, which comes with the answer.
const BEHIND_OCTETS: usize = 40;

/// Most known rows that a look follows; where there are more, the table is read.
const ROWS_MAX: usize = 14;

/// What a look has to tell: always, one entry per printer of the device.
const NEEDED: [&[u32]; 4] = [
    oids::SYS_UP_TIME,
    oids::HR_DEVICE_STATUS,
    oids::HR_PRINTER_STATUS,
    oids::HR_PRINTER_DETECTED_ERROR_STATE,
];

/// What it tells beside that as far as there is room, the most useful first.
const USEFUL: [&[u32]; 4] = [
    oids::PRT_ALERT_ALL_EVENTS,
    oids::PRT_GENERAL_CONFIG_CHANGES,
    oids::PRT_ALERT_CRITICAL_EVENTS,
    oids::PRT_MARKER_LIFE_COUNT,
];

/// Columns whose values say, where they change, that the alert table may have changed, too.
const SIGNS: [&[u32]; 5] = [
    oids::HR_DEVICE_STATUS,
    oids::HR_PRINTER_STATUS,
    oids::HR_PRINTER_DETECTED_ERROR_STATE,
    oids::PRT_ALERT_ALL_EVENTS,
    oids::PRT_ALERT_CRITICAL_EVENTS,
];

/// The alert table as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alerts {
    /// The column by which the rows are followed.
    column: Oid,
    /// Its cells.
    rows: Vec<(Oid, Value)>,
    /// What the signs were at the look before.
    signs: Vec<(Oid, Value)>,
    /// All cells, see [`super::layout`]'s form.
    pub(super) cells: Box<[u8]>,
}

/// How a look is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One GETBULK: single objects as non-repeaters, then the alert rows.
    Bulk,
    /// GETNEXT, with a start for every alert row; for SNMPv1 and whoever does not do the other well.
    Next,
}

/// One look.
#[derive(Debug)]
pub(super) struct Look<'a> {
    entries: Vec<&'a Entry>,
    alerts: Option<&'a Alerts>,
}

/// What a look saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The single objects.
    pub(super) values: Vec<(Oid, Value)>,
    /// Whether the alert table is still as it was read.
    pub(super) alerts_are_known: bool,
}

impl<'a> Look<'a> {
    /// Looks at what the device has; `None` if the layout has no uptime, by which restarts are seen.
    pub(super) fn new(layout: &'a Layout, alerts: Option<&'a Alerts>) -> Option<Self> {
        layout.column(oids::SYS_UP_TIME).next()?;
        let alerts = alerts.filter(|alerts| alerts.rows.len() <= ROWS_MAX);
        let asked = |column: &&'static [u32]| {
            layout.column(column).filter(|entry| entry.role != super::layout::Role::Steady)
        };
        let mut entries: Vec<&Entry> = NEEDED.iter().flat_map(asked).collect();
        let mut octets = 2 * MESSAGE_OCTETS + entries.iter().map(|entry| cost(entry)).sum::<usize>();
        if let Some(alerts) = alerts {
            octets += null_octets(&alerts.column) + BEHIND_OCTETS;
            octets += alerts.rows.iter().map(|(oid, value)| binding_octets(oid, value)).sum::<usize>();
        }
        for entry in USEFUL.iter().filter_map(|column| asked(column).next()) {
            // Where all alerts are counted, counting the critical ones says nothing more.
            let twice = entry.oid.arcs().starts_with(oids::PRT_ALERT_CRITICAL_EVENTS)
                && entries.iter().any(|known| known.oid.arcs().starts_with(oids::PRT_ALERT_ALL_EVENTS));
            if !twice && octets + cost(entry) <= OCTETS_WANTED {
                octets += cost(entry);
                entries.push(entry);
            }
        }
        Some(Self { entries, alerts })
    }

    /// The objects that the answer tells.
    pub(super) fn covers(&self, oid: &Oid) -> bool {
        self.entries.iter().any(|entry| entry.oid == *oid)
    }

    /// From where each object is asked for: single ones first, then the alert rows.
    pub(super) fn starts(&self, form: Form) -> Vec<Oid> {
        let mut starts: Vec<Oid> = self.entries.iter().map(|entry| just_before(&entry.oid)).collect();
        if let Some(alerts) = self.alerts {
            starts.push(alerts.column.clone());
            if form == Form::Next {
                starts.extend(alerts.rows.iter().map(|(oid, _)| oid.clone()));
            }
        }
        starts
    }

    /// GETBULK's non-repeaters and max-repetitions.
    pub(super) fn repetitions(&self) -> (u32, u32) {
        let once = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let rows = self.alerts.map_or(0, |alerts| alerts.rows.len() + 1);
        (once, u32::try_from(rows).unwrap_or(u32::MAX))
    }

    /// What the answer says.
    ///
    /// # Errors
    /// [`Doubt::Gone`] and [`Doubt::Malformed`] when it does not tell the single objects.
    pub(super) fn judge(&self, answer: Vec<(Oid, Cell)>) -> Result<Sighting, Doubt> {
        let mut answer = answer.into_iter();
        let mut values = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let (oid, cell) = answer.next().ok_or(Doubt::Malformed)?;
            match cell {
                Cell::Value(value) if oid == entry.oid => values.push((oid, value)),
                Cell::Value(_) if oid > entry.oid => return Err(Doubt::Gone),
                Cell::End => return Err(Doubt::Gone),
                Cell::Value(_) => return Err(Doubt::Malformed),
            }
        }
        let alerts_are_known = self.alerts.is_some_and(|alerts| alerts.are_known(answer, &values));
        Ok(Sighting { values, alerts_are_known })
    }
}

impl Alerts {
    /// The alert table as `walk` has it; `values` are what the look before it told.
    pub(super) fn of(walk: &Walk, values: &[(Oid, Value)]) -> Self {
        let column_of = |column: &[u32]| -> Vec<(Oid, Value)> {
            walk.column(column)
                .map(|(index, value)| (Oid::new(&[column, index].concat()), value.clone()))
                .collect()
        };
        let cells = column_of(oids::PRT_ALERT_ENTRY);
        let rows =
            walk.rows(&ALERTS.iter().map(|column| &**column).collect::<Vec<_>>(), crate::device::ROWS_MAX);
        // The column by which most is seen, as long as every row has a cell there.
        let following = [oids::PRT_ALERT_CODE].into_iter().chain(ALERTS.iter().copied());
        let (column, rows) = following
            .map(|column| (Oid::new(column), column_of(column)))
            .find(|(_, cells)| !cells.is_empty() && cells.len() == rows.len())
            .unwrap_or_else(|| (Oid::new(oids::PRT_ALERT_ENTRY), Vec::new()));
        Self {
            column,
            rows,
            signs: signs(values).cloned().collect(),
            cells: super::layout::encode_cells(&cells).into(),
        }
    }

    /// A look showed nothing new; its signs are what the next one is compared with.
    pub(super) fn see(&mut self, values: &[(Oid, Value)]) {
        self.signs = signs(values).cloned().collect();
    }

    /// Whether no sign has changed; one that was not asked for the time before says nothing.
    fn signs_are_the_same(&self, values: &[(Oid, Value)]) -> bool {
        signs(values).all(|(oid, value)| {
            let before = self.signs.iter().find(|(known, _)| known == oid);
            before.is_none_or(|(_, before)| before == value)
        })
    }

    fn are_known(&self, answer: impl Iterator<Item = (Oid, Cell)>, values: &[(Oid, Value)]) -> bool {
        let mut known = self.rows.iter();
        for (oid, cell) in answer {
            match cell {
                Cell::Value(value) if oid.arcs().starts_with(self.column.arcs()) => {
                    if known.next() != Some(&(oid, value)) {
                        return false;
                    }
                }
                // The end of the table; only here it is known that there are no further rows.
                Cell::Value(_) | Cell::End => {
                    return known.next().is_none() && self.signs_are_the_same(values);
                }
            }
        }
        false
    }
}

fn signs(values: &[(Oid, Value)]) -> impl Iterator<Item = &(Oid, Value)> {
    values.iter().filter(|(oid, _)| SIGNS.iter().any(|column| oid.arcs().starts_with(column)))
}

fn cost(entry: &Entry) -> usize {
    null_octets(&entry.oid) + binding_octets(&entry.oid, &entry.value)
}

/// The last identifier before this one that no device has: asking for what follows it gives exactly this one.
pub(super) fn just_before(oid: &Oid) -> Oid {
    match oid.arcs().split_last() {
        Some((0, parent)) => Oid::new(parent),
        Some((last, parent)) => Oid::new(&[parent, &[last - 1]].concat()),
        None => oid.clone(),
    }
}

#[cfg(test)]
mod tests;
