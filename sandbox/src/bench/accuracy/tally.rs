//! What was compared, and how it came out.

use std::collections::BTreeMap;
use std::fmt::Display;

/// What sort of value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Identity,
    Counters,
    Supplies,
    Alerts,
    Labelled,
    Parts,
    Inputs,
    Status,
    DescriptionVendor,
    DescriptionModel,
}

/// Counts and misses.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<Kind, (usize, usize)>,
    misses: Vec<String>,
    contradicted: usize,
    invented: usize,
}

impl Tally {
    /// One expected value beside what was read; nothing is compared where nothing is expected.
    pub(super) fn compare<T: PartialEq + Display>(
        &mut self,
        kind: Kind,
        what: &str,
        expected: Option<T>,
        read: Option<T>,
    ) {
        let Some(expected) = expected else { return };
        let right = read.as_ref() == Some(&expected);
        self.note(kind, right);
        match read {
            _ if right => {}
            // How others call a model that names itself otherwise contradicts nothing.
            Some(read) if matches!(kind, Kind::DescriptionModel) => {
                self.misses.push(format!("otherwise    {what}: {expected}, read {read}"));
            }
            Some(read) => {
                self.contradicted += 1;
                self.misses.push(format!("contradicted {what}: {expected}, read {read}"));
            }
            None => self.misses.push(format!("missed       {what}: {expected}, read nothing")),
        }
    }

    fn note(&mut self, kind: Kind, right: bool) {
        let (all, good) = self.counts.entry(kind).or_default();
        *all += 1;
        *good += usize::from(right);
    }

    /// A number that the device did not give, if it is one.
    pub(super) fn invent(&mut self, invented: bool, what: impl FnOnce() -> String) {
        if invented {
            self.invented += 1;
            self.misses.push(format!("invented     {}", what()));
        }
    }

    /// All misses, one line each.
    pub(super) fn print(&self) {
        for miss in &self.misses {
            println!("{miss}");
        }
    }

    pub(super) fn compared(&self, kind: Kind) -> usize {
        self.counts.get(&kind).map_or(0, |(all, _)| *all)
    }

    /// Values read right among those compared; all of none is 100.
    pub(super) fn percent(&self, kind: Kind) -> f64 {
        match self.counts.get(&kind) {
            Some((all, good)) if *all > 0 => {
                super::super::octets_f64(*good) * 100.0 / super::super::octets_f64(*all)
            }
            _ => 100.0,
        }
    }

    pub(super) fn contradicted(&self) -> usize {
        self.contradicted
    }

    pub(super) fn invented(&self) -> usize {
        self.invented
    }
}
