//! Which object counts for a name: pinned to the first one, and changed only where that stays away.

use super::Line;
use crate::ledger::Rules;
use crate::ledger::class::Class;
use crate::ledger::finding::Finding;
use crate::ledger::judge::Found;
use crate::ledger::meter::Meter;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Readings in a row that the object of a meter must have missed before another one counts for its name.
const SOURCE_MISSED_MIN: u64 = 3;

/// Meters of one epoch that are remembered; more come only of objects that change with every visit.
const REMEMBERED_MAX: usize = 1024;

impl Line {
    /// A count came from another object than that of the meter that leads, which did not answer.
    pub(super) fn opened_beside(&self, number: u32) -> Option<Finding> {
        let beside = self.meters.iter().find(|meter| meter.number == number)?;
        let lead = self.leading(&beside.name).filter(|lead| lead.reading != self.reading)?;
        let words = format!(
            "read from {} instead of {}: another meter, which counts nothing as long as the first one may come back",
            beside.source, lead.source
        );
        Some(Finding::new(Some(lead), beside, 0, Found::noted(Class::Source, words)?))
    }

    pub(super) fn current(&self) -> impl Iterator<Item = &Meter> {
        self.meters.iter().filter(|meter| meter.epoch == self.epoch)
    }

    pub(super) fn leading(&self, name: &str) -> Option<&Meter> {
        self.meters.iter().find(|meter| meter.leads && meter.name == name)
    }

    /// Notes which meters were read together, and lets another meter lead where the one before has long been away.
    pub(super) fn change_sources(&mut self, rules: &Rules, now: Timestamp) -> Vec<Finding> {
        let reading = self.reading;
        let names: BTreeSet<String> =
            self.meters.iter().filter(|meter| !meter.leads).map(|meter| meter.name.clone()).collect();
        let mut found = Vec::new();
        for name in names {
            let Some(lead) = self.leading(&name).cloned() else { continue };
            let led = lead.reading == reading;
            for meter in self.meters.iter_mut().filter(|meter| !meter.leads && meter.name == name) {
                let read = meter.reading == reading;
                if led {
                    meter.beside = read.then_some((reading, meter.sure)).or(meter.beside);
                    meter.alone_since = None;
                } else if read {
                    meter.alone_since.get_or_insert(meter.sure);
                }
            }
            let missed = reading.saturating_sub(lead.reading);
            if led || missed < SOURCE_MISSED_MIN || now.duration_since(lead.at) < rules.source_patience {
                continue;
            }
            let read = |meter: &&mut Meter| !meter.leads && meter.name == name && meter.reading == reading;
            let Some(next) = self.meters.iter_mut().filter(read).min_by_key(|meter| meter.number) else {
                continue;
            };
            next.leads = true;
            // Where both were not read together, what lies over the last reading of the first one was counted by it already.
            let together = next.beside.filter(|(together, _)| *together == lead.reading);
            let counted = together.map(|(_, sure)| sure).or(next.alone_since).unwrap_or(next.sure);
            let sure = next.sure.saturating_sub(counted);
            let next = next.clone();
            let words =
                format!("{} has not answered for long; {} counts from now on", lead.source, next.source);
            let one = if together.is_some() {
                Found::noted(
                    Class::Source,
                    format!("{words}; both were read together, so that nothing is missing"),
                )
            } else {
                Found::review(
                    Class::Source,
                    None,
                    format!("{words}; what was counted before its first reading nobody knows"),
                )
            };
            for meter in self.meters.iter_mut().filter(|meter| meter.number == lead.number) {
                meter.leads = false;
            }
            let state = self.names.entry(name).or_default();
            state.sure = state.sure.saturating_add(sure);
            if let Some(one) = one {
                state.doubts = state.doubts.saturating_add(u32::from(one.review));
                found.push(Finding::new(Some(&lead), &next, sure, one));
            }
        }
        found
    }

    /// Objects that change with every visit must not fill the store.
    pub(super) fn forget(&mut self) {
        let too_many = self.meters.len().saturating_sub(REMEMBERED_MAX);
        let mut left = too_many;
        self.meters.retain(|meter| {
            let goes = left > 0 && !meter.leads;
            left -= usize::from(goes);
            !goes
        });
    }
}
