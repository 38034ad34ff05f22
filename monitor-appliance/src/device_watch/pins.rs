//! Which objects a device's counters were read from. Each stays with its own: a total that now comes from one object and then
//! from another makes pages that nobody printed. Pure.

use crate::device::{CounterName, Reading, Source};
use crate::store::ReadingRow;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// An object that has not answered for so long is given up, and another one may take its place; the ledger then opens a meter of
/// its own for it.
const HOLDS: SignedDuration = SignedDuration::from_hours(24);

/// The object of each counter, and when it last answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pins(BTreeMap<CounterName, (Source, Timestamp)>);

impl Pins {
    /// Those of a stored reading. A standard count names its own object and needs none.
    pub(super) fn of_row(row: &ReadingRow) -> Self {
        let pin = |counter: &mailfmt::message::Counter| {
            let name = CounterName::new(&counter.name.replace('-', "_")).ok()?;
            Some((name, (counter.source.parse().ok()?, row.at)))
        };
        let standard = [CounterName::MARKER_LIFE, CounterName::SINCE_POWER_ON];
        Self(row.counters.iter().filter_map(pin).filter(|(name, _)| !standard.contains(name)).collect())
    }

    /// Those that hold at `now`. A clock that was set back ends none.
    pub(super) fn held(&self, now: Timestamp) -> BTreeMap<CounterName, Source> {
        let holds = |(_, seen): &&(Source, Timestamp)| now.duration_since(*seen) < HOLDS;
        let held = self.0.iter().filter(|(_, pin)| holds(pin));
        held.map(|(name, (source, _))| (name.clone(), source.clone())).collect()
    }

    /// Takes out what came from another object, on whatever way, than the one that holds.
    pub(super) fn keep(&self, reading: &mut Reading, now: Timestamp) {
        let held = self.held(now);
        reading.counters.retain(|counter| {
            counter.marker.is_some() || held.get(&counter.name).is_none_or(|source| *source == counter.source)
        });
    }

    /// Notes which objects have answered.
    pub(super) fn note(&mut self, reading: &Reading, now: Timestamp) {
        for counter in reading.counters.iter().filter(|counter| counter.marker.is_none()) {
            self.0.insert(counter.name.clone(), (counter.source.clone(), now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HOLDS, Pins};
    use crate::device::{Counter, CounterName, Reading, Source, Way};
    use crate::device_watch::counters;
    use crate::store::ReadingRow;
    use jiff::Timestamp;

    fn total(source: Source) -> Reading {
        let counter = Counter { name: CounterName::TOTAL, marker: None, value: 9, unit: None, source };
        Reading { counters: vec![counter], ..Reading::default() }
    }

    fn private() -> Source {
        "1.3.6.1.4.1.1347.43.10.1.1.12.1.1".parse().unwrap()
    }

    #[test]
    fn another_object_takes_over_only_after_a_day_of_silence() {
        let (mut pins, now) = (Pins::default(), Timestamp::UNIX_EPOCH);
        pins.note(&total(private()), now);
        let mut other = total(Source::told(Way::Ipp, "printer-impressions-completed"));
        pins.keep(&mut other, now + HOLDS / 2);
        assert!(other.counters.is_empty());
        let mut same = total(private());
        pins.keep(&mut same, now + HOLDS / 2);
        assert_eq!(same.counters.len(), 1);
        assert!(pins.held(now + HOLDS).is_empty());
    }

    #[test]
    fn a_restart_forgets_none() {
        let (reading, at) = (total(private()), Timestamp::UNIX_EPOCH);
        let row = ReadingRow { at, counters: counters(&reading), supplies: Vec::new() };
        assert_eq!(Pins::of_row(&row).held(at).get(&CounterName::TOTAL), Some(&private()));
    }
}
