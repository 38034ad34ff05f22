//! How many requests each device got within an hour, whoever asked, and how many it may get. Pure.

use serde::Serialize;
use std::collections::HashMap;

/// Minutes that count: an hour, and the minute that has begun.
const MINUTES: u64 = 61;

/// Most devices that are counted at a time; scans of large networks ask many that are never asked again.
const DEVICES_MAX: usize = 8_192;

/// What one device got within the last hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Requests, repetitions included.
    pub requests: u32,
    /// Credentials that it refused.
    pub refusals: u32,
    /// Visits that were put off since the requests of the hour were used up.
    pub put_off: u32,
}

/// Counts requests by address.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    devices: HashMap<String, Vec<Minute>>,
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    minute: u64,
    usage: Usage,
}

impl Traffic {
    /// What this address got within the last hour; `minute` only counts up.
    pub(super) fn usage(&self, address: &str, minute: u64) -> Usage {
        let add = |sum: Usage, one: &Minute| Usage {
            requests: sum.requests.saturating_add(one.usage.requests),
            refusals: sum.refusals.saturating_add(one.usage.refusals),
            put_off: sum.put_off.saturating_add(one.usage.put_off),
        };
        let minutes = self.devices.get(address).map_or(&[][..], Vec::as_slice);
        minutes.iter().filter(|one| recent(one, minute)).fold(Usage::default(), add)
    }

    /// How many requests this address may still get, of `per_hour`.
    pub(super) fn left(&self, address: &str, per_hour: u32, minute: u64) -> u32 {
        per_hour.saturating_sub(self.usage(address, minute).requests)
    }

    /// Counts.
    pub(super) fn note(&mut self, address: &str, more: Usage, minute: u64) {
        if more == Usage::default() {
            return;
        }
        if self.devices.len() >= DEVICES_MAX && !self.devices.contains_key(address) {
            self.devices.retain(|_, minutes| minutes.iter().any(|one| recent(one, minute)));
            // A network this large is asked once in a while, never a single device often.
            if self.devices.len() >= DEVICES_MAX {
                return;
            }
        }
        let minutes = self.devices.entry(address.to_owned()).or_default();
        match minutes.last_mut() {
            Some(last) if last.minute == minute => {
                last.usage.requests = last.usage.requests.saturating_add(more.requests);
                last.usage.refusals = last.usage.refusals.saturating_add(more.refusals);
                last.usage.put_off = last.usage.put_off.saturating_add(more.put_off);
            }
            _ => {
                minutes.retain(|one| recent(one, minute));
                minutes.push(Minute { minute, usage: more });
            }
        }
    }
}

fn recent(one: &Minute, minute: u64) -> bool {
    minute.saturating_sub(one.minute) < MINUTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(requests: u32) -> Usage {
        Usage { requests, ..Usage::default() }
    }

    #[test]
    fn no_hour_has_more_requests_than_the_budget() {
        let mut traffic = Traffic::default();
        let mut sent = vec![0; 400];
        for minute in 0..400u64 {
            let left = traffic.left("a", 100, minute).min(7);
            traffic.note("a", requests(left), minute);
            sent[usize::try_from(minute).unwrap()] = left;
        }
        assert!(sent.windows(60).all(|hour| hour.iter().sum::<u32>() <= 100));
        assert!(sent.iter().sum::<u32>() >= 600, "and it is used: {sent:?}");
    }

    #[test]
    fn what_one_device_gets_is_not_taken_from_another() {
        let mut traffic = Traffic::default();
        traffic.note("a", requests(5), 0);
        traffic.note("a", Usage { refusals: 1, ..Usage::default() }, 0);
        assert_eq!((traffic.left("a", 6, 59), traffic.left("b", 6, 59)), (1, 6));
        assert_eq!(traffic.usage("a", 60), Usage { requests: 5, refusals: 1, put_off: 0 });
        assert_eq!(traffic.usage("a", 61), Usage::default(), "an hour is over");
    }

    #[test]
    fn a_scan_of_a_large_network_takes_no_memory_without_bound() {
        let mut traffic = Traffic::default();
        for address in 0..3 * DEVICES_MAX {
            traffic.note(&address.to_string(), requests(1), 0);
        }
        assert!(traffic.devices.len() <= DEVICES_MAX);
        traffic.note("later", requests(1), 100);
        assert_eq!(traffic.usage("later", 100).requests, 1, "what was an hour ago has made room");
    }
}
