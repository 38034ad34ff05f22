//! Faults that come again and again: a leaky bucket per device and family, emptied by pages that came out well.
//!
//! A bucket changes only when a fault comes; what has leaked since follows from the pages and the time. So a device without
//! faults costs nothing.

use crate::device::{CounterName, Reading};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Most families of a device that are followed.
const FAMILIES_MAX: usize = 32;

/// When faults that come again and again are a technician's matter.
///
/// The defaults are those of a maker of copiers for jams (Ricoh): one in 16 pages is let pass, 48 pages without one end the
/// matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecurrenceRule {
    /// So many in the bucket call a technician; 0 for never. Default 6.
    pub calls_at: u32,
    /// One leaks per so many clean pages; at least 1. Default 16.
    pub pages_per_leak: u64,
    /// So many clean pages in a row empty it. Default 48.
    pub pages_to_reset: u64,
    /// Stands for `pages_per_leak` where the device does not tell its pages. Default 4 hours.
    pub time_per_leak: SignedDuration,
}

impl Default for RecurrenceRule {
    fn default() -> Self {
        Self {
            calls_at: 6,
            pages_per_leak: 16,
            pages_to_reset: 48,
            time_per_leak: SignedDuration::from_hours(4),
        }
    }
}

/// How many pages a device has made: `prtMarkerLifeCount`, all markers together. Always the same object: another one would
/// count another thing.
#[must_use]
pub(super) fn pages(reading: &Reading) -> Option<u64> {
    let counts = reading.counters.iter().filter(|counter| counter.name == CounterName::MARKER_LIFE);
    counts.map(|counter| counter.value).reduce(u64::saturating_add)
}

/// What has come lately of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Bucket {
    family: String,
    /// How full it was when the last one came, that one included.
    level: u32,
    /// How many came since it was empty.
    count: u32,
    /// When the first of them came.
    since: Timestamp,
    /// When the last one came.
    last: Timestamp,
    /// Pages when the first one came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first_pages: Option<u64>,
    /// Pages when the last one came, or when they were first told after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_pages: Option<u64>,
}

/// The buckets of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Buckets(Vec<Bucket>);

impl Bucket {
    /// How full it is now.
    fn level_at(&self, pages: Option<u64>, now: Timestamp, rule: &RecurrenceRule) -> u32 {
        let clean = match (self.last_pages, pages) {
            (Some(before), Some(now)) if before <= now => now - before,
            _ => {
                // In seconds, since one of less than a second would leak for ever.
                let each = rule.time_per_leak.as_secs().max(1);
                let leaks = now.duration_since(self.last).as_secs().max(0) / each;
                u64::try_from(leaks).unwrap_or(0).saturating_mul(rule.pages_per_leak)
            }
        };
        if clean >= rule.pages_to_reset {
            return 0;
        }
        let leaked = clean / rule.pages_per_leak.max(1);
        self.level.saturating_sub(u32::try_from(leaked).unwrap_or(u32::MAX))
    }

    /// How often and within how much, for a person: `6 times within 37 pages`.
    fn words(&self, pages: Option<u64>, now: Timestamp) -> String {
        let count = self.count;
        match (self.first_pages, pages) {
            (Some(first), Some(now)) if first <= now => {
                let within = now - first;
                format!("{count} times within {within} page{}", if within == 1 { "" } else { "s" })
            }
            _ => {
                let minutes = now.duration_since(self.since).as_mins().max(1);
                format!("{count} times within {minutes} minute{}", if minutes == 1 { "" } else { "s" })
            }
        }
    }
}

impl Buckets {
    /// What was told meanwhile: buckets that have leaked empty are gone, and give their families.
    pub(super) fn leak(&mut self, pages: Option<u64>, now: Timestamp, rule: &RecurrenceRule) -> Vec<String> {
        for bucket in &mut self.0 {
            // A count that has fallen was set back: what came before it says nothing any more.
            if pages.is_some() && bucket.last_pages.is_none_or(|before| pages < Some(before)) {
                bucket.last_pages = pages;
                bucket.first_pages = None;
            }
        }
        let empty = |bucket: &mut Bucket| bucket.level_at(pages, now, rule) == 0;
        self.0.extract_if(.., empty).map(|bucket| bucket.family).collect()
    }

    /// One more came.
    pub(super) fn add(&mut self, family: &str, pages: Option<u64>, now: Timestamp, rule: &RecurrenceRule) {
        let Some(bucket) = self.0.iter_mut().find(|bucket| bucket.family == family) else {
            if self.0.len() < FAMILIES_MAX {
                self.0.push(Bucket {
                    family: family.to_owned(),
                    level: 1,
                    count: 1,
                    since: now,
                    last: now,
                    first_pages: pages,
                    last_pages: pages,
                });
            }
            return;
        };
        // However many come, it is empty again after the same number of clean pages.
        let most = rule.calls_at.saturating_mul(2).max(1);
        bucket.level = bucket.level_at(pages, now, rule).saturating_add(1).min(most);
        bucket.count = bucket.count.saturating_add(1);
        bucket.last = now;
        bucket.last_pages = pages;
    }

    /// The families that call a technician, each with how often it came.
    pub(super) fn calling(
        &self,
        pages: Option<u64>,
        now: Timestamp,
        rule: &RecurrenceRule,
    ) -> Vec<(String, String)> {
        let calls = |bucket: &&Bucket| rule.calls_at > 0 && bucket.level >= rule.calls_at;
        self.0.iter().filter(calls).map(|bucket| (bucket.family.clone(), bucket.words(pages, now))).collect()
    }

    /// Whether a family is followed.
    pub(super) fn follow(&self, family: &str) -> bool {
        self.0.iter().any(|bucket| bucket.family == family)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
