//! What an entry says of the meters of a line.

use super::line::{Line, NameState};
use super::meter::Meter;
use super::month_end::interpolate;
use super::passage::Moment;
use jiff::Timestamp;
use mailfmt::message::ledger::{LedgerEntry, LedgerEpoch, LedgerMeter};
use std::collections::BTreeMap;

/// All that is known at one reading: enough to make an entry of it later.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) moment: Moment,
    pub(super) epoch: LedgerEpoch,
    pub(super) address: String,
    pub(super) reading: u64,
    pub(super) meters: Vec<Meter>,
    pub(super) names: BTreeMap<String, NameState>,
    pub(super) entry: Option<u64>,
}

impl Snapshot {
    /// The entry of this reading.
    pub(super) fn entry(&self, line: &Line, mode: &str) -> LedgerEntry {
        LedgerEntry {
            device: line.device().clone(),
            address: self.address.clone(),
            at: self.moment.at,
            clock_sure: self.moment.clock_sure,
            uptime_secs: self.moment.uptime_secs,
            epoch: self.epoch.clone(),
            mode: mode.to_owned(),
            closes: None,
            between: None,
            meters: self.read().map(|meter| self.meter(meter)).collect(),
            findings: Vec::new(),
        }
    }

    /// The meters that this reading told.
    fn read(&self) -> impl Iterator<Item = &Meter> {
        self.meters.iter().filter(|meter| meter.reading == self.reading)
    }

    fn meter(&self, meter: &Meter) -> LedgerMeter {
        let name = self.names.get(&meter.name);
        LedgerMeter {
            number: meter.number,
            name: meter.name.clone(),
            source: meter.source.clone(),
            unit: meter.unit.clone(),
            value: meter.value,
            sure: if meter.leads { name.map_or(0, |name| name.sure) } else { meter.sure },
            doubts: name.map_or(0, |name| name.doubts),
            leads: meter.leads,
        }
    }

    /// What the meters stood at between this reading and a later one.
    pub(super) fn estimate(&self, later: &Self, at: Timestamp) -> Vec<LedgerMeter> {
        let between =
            |before: u64, after: u64| interpolate((self.moment.at, before), (later.moment.at, after), at);
        let estimate = |meter: &Meter| {
            let before = self.meter(meter);
            let after =
                later.read().find(|after| after.number == meter.number).map(|after| later.meter(after));
            match after {
                Some(after) if after.value >= before.value && after.leads == before.leads => LedgerMeter {
                    value: between(before.value, after.value),
                    sure: between(before.sure, after.sure),
                    ..before
                },
                // Another meter since then: what was read last stands.
                _ => before,
            }
        };
        self.read().map(estimate).collect()
    }
}
