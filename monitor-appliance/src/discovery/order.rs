//! From ranges to the addresses that are asked, in order. Pure.

use super::range::{ADDRESSES_MAX, AddressRange};
use crate::settings::{Discovery, RangeEntry, SnmpAccess};
use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

/// One address to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanTarget {
    /// The address.
    pub address: SocketAddr,
    /// Its range: a place in [`ScanOrder::ranges`].
    pub range: usize,
}

/// One question to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanCall {
    /// Where it goes.
    pub address: SocketAddrV4,
    /// Its range: a place in [`ScanOrder::ranges`].
    pub range: usize,
}

/// Everything a scan has to do.
#[derive(Debug, Clone)]
pub struct ScanOrder {
    /// The ranges; their credentials and excludes hold for what is found in them.
    pub ranges: Vec<RangeEntry>,
    /// The addresses to ask, each once.
    pub targets: Vec<ScanTarget>,
    /// General calls by SNMP.
    pub calls: Vec<ScanCall>,
    /// Where announcements are asked for.
    pub announced: Vec<ScanCall>,
    /// Addresses left out because a range is too long or there are too many: the number.
    pub left_out: u32,
    /// Addresses asked at the same time.
    pub parallel: usize,
    /// Most questions a second.
    pub per_second: u32,
    /// Wait for the answer to one question.
    pub answer_wait: Duration,
    /// The whole scan ends after this time, with what was found until then.
    pub deadline: Duration,
}

/// Plans a scan of `ranges`. An address in several ranges belongs to the first one; one for which `skip` says yes (a
/// device that is watched and answers) is not asked.
#[must_use]
pub fn order(ranges: &[RangeEntry], settings: &Discovery, skip: impl Fn(SocketAddr) -> bool) -> ScanOrder {
    let mut seen = BTreeSet::new();
    let (mut targets, mut left_out) = (Vec::new(), 0_u32);
    let to = |reach: fn(&AddressRange) -> Option<SocketAddrV4>| {
        let calls = ranges.iter().enumerate();
        calls
            .filter_map(move |(range, entry)| Some(ScanCall { address: reach(&entry.range)?, range }))
            .collect()
    };
    let most = usize::try_from(ADDRESSES_MAX).unwrap_or(usize::MAX);
    for (range, entry) in ranges.iter().enumerate() {
        left_out = left_out.saturating_add(entry.range.count().saturating_sub(ADDRESSES_MAX));
        for address in entry.range.addresses().take(most) {
            if is_excluded(&entry.excludes, address) || skip(address) || seen.contains(&address) {
                // Nothing to ask.
            } else if targets.len() < most {
                seen.insert(address);
                targets.push(ScanTarget { address, range });
            } else {
                left_out = left_out.saturating_add(1);
            }
        }
    }
    ScanOrder {
        ranges: ranges.to_vec(),
        targets,
        calls: to(AddressRange::general_call),
        announced: to(AddressRange::announced),
        left_out,
        parallel: settings.parallel,
        per_second: settings.per_second,
        answer_wait: settings.answer_wait,
        deadline: settings.deadline,
    }
}

/// Whether one of the excludes holds the address.
pub(super) fn is_excluded(excludes: &[AddressRange], address: SocketAddr) -> bool {
    excludes.iter().any(|exclude| exclude.contains(address))
}

/// Whether nobody is to ask this address any more: the excludes of a range hold it, and no range asks it.
#[must_use]
pub fn is_left_out(ranges: &[RangeEntry], address: SocketAddr) -> bool {
    let asks = |entry: &RangeEntry| entry.range.contains(address) && !is_excluded(&entry.excludes, address);
    ranges.iter().any(|entry| is_excluded(&entry.excludes, address)) && !ranges.iter().any(asks)
}

/// The range that an address found by a call or an announcement belongs to: the first that names it, else the one whose
/// question it answered. `None` where it is excluded.
#[must_use]
pub fn range_of(ranges: &[RangeEntry], address: SocketAddr, asked: usize) -> Option<usize> {
    let excluded = |range: &RangeEntry| is_excluded(&range.excludes, address);
    if ranges.get(asked).is_none_or(excluded) {
        return None;
    }
    match ranges.iter().position(|range| range.range.contains(address)) {
        Some(named) => (!excluded(&ranges[named])).then_some(named),
        None => Some(asked),
    }
}

/// What is tried at an address, in order, as far as [`super::TryBook`] lets it: communities by SNMPv2c, then SNMPv3 users,
/// since wrong passwords are counted by some printers while a wrong community is merely not answered, then the
/// communities by SNMPv1. A printer that slept through the first question hears the last one.
#[must_use]
pub fn ladder(credentials: &[SnmpAccess]) -> Vec<SnmpAccess> {
    let of =
        |wanted: fn(&SnmpAccess) -> bool| credentials.iter().filter(move |access| wanted(access)).cloned();
    let mut ladder: Vec<SnmpAccess> = of(|access| matches!(access, SnmpAccess::V2c { .. }))
        .chain(of(|access| matches!(access, SnmpAccess::V3 { .. })))
        .collect();
    for access in credentials {
        if let SnmpAccess::V1 { community } | SnmpAccess::V2c { community } = access {
            let older = SnmpAccess::V1 { community: community.clone() };
            if !ladder.contains(&older) {
                ladder.push(older);
            }
        }
    }
    ladder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Secret;

    fn v2c(community: &str) -> SnmpAccess {
        SnmpAccess::V2c { community: Secret::new(community) }
    }

    fn v1(community: &str) -> SnmpAccess {
        SnmpAccess::V1 { community: Secret::new(community) }
    }

    fn v3() -> SnmpAccess {
        SnmpAccess::V3 { user: "monitor".to_owned(), auth: None, privacy: None }
    }

    fn range(text: &str, excludes: &[&str]) -> RangeEntry {
        RangeEntry {
            excludes: excludes.iter().map(|text| text.parse().unwrap()).collect(),
            ..RangeEntry::new(text.parse().unwrap())
        }
    }

    fn planned(ranges: &[RangeEntry]) -> Vec<String> {
        let order = order(ranges, &Discovery::default(), |_| false);
        order.targets.iter().map(|target| format!("{} {}", target.address, target.range)).collect()
    }

    #[test]
    fn an_address_in_two_ranges_is_asked_once_and_an_excluded_one_not_at_all() {
        let ranges = [range("10.0.0.1-4", &["10.0.0.2"]), range("10.0.0.3-6", &["10.0.0.5/32"])];
        assert_eq!(
            planned(&ranges),
            ["10.0.0.1:161 0", "10.0.0.3:161 0", "10.0.0.4:161 0", "10.0.0.6:161 1"]
        );
    }

    #[test]
    fn a_device_that_answers_anyway_is_not_asked() {
        let known = "10.0.0.2:161".parse().unwrap();
        let order = order(&[range("10.0.0.1-2", &[])], &Discovery::default(), |address| address == known);
        assert_eq!(order.targets.len(), 1);
    }

    #[test]
    fn an_address_is_left_out_when_a_range_excludes_it_and_no_other_asks_it() {
        let address = |text: &str| text.parse().unwrap();
        let one = [range("10.0.0.1-9", &["10.0.0.5"])];
        assert!(is_left_out(&one, address("10.0.0.5:161")));
        assert!(!is_left_out(&one, address("10.0.0.6:161")));
        assert!(!is_left_out(&one, address("10.9.9.9:161")), "found by hand, outside of all ranges");
        let two = [one[0].clone(), range("10.0.0.5", &[])];
        assert!(!is_left_out(&two, address("10.0.0.5:161")));
        assert!(is_left_out(&[range("broadcast:10.0.0.255", &["10.0.0.5"])], address("10.0.0.5:161")));
    }

    #[test]
    fn a_general_call_is_one_question_and_no_sweep() {
        let order = order(&[range("broadcast:10.0.0.255", &[])], &Discovery::default(), |_| false);
        assert_eq!((order.targets.len(), order.calls.len(), order.announced.len()), (0, 1, 0));
        let order = super::order(&[range("mdns", &[])], &Discovery::default(), |_| false);
        assert_eq!((order.targets.len(), order.calls.len(), order.announced.len()), (0, 0, 1));
    }

    #[test]
    fn who_answers_a_call_belongs_to_the_range_that_names_it_or_to_the_call() {
        let ranges = [range("10.0.0.1-9", &["10.0.0.5"]), range("mdns", &["10.0.0.6", "fe80::6"])];
        let of = |address: &str| range_of(&ranges, address.parse().unwrap(), 1);
        assert_eq!(of("10.0.0.1:161"), Some(0));
        assert_eq!(of("10.0.0.5:161"), None, "excluded where it is named");
        assert_eq!(of("10.0.0.6:161"), None, "excluded where it was heard");
        assert_eq!(of("10.7.0.1:161"), Some(1));
        assert_eq!((of("[fe80::6%2]:161"), of("[fe80::7%2]:161")), (None, Some(1)));
    }

    #[test]
    fn what_is_beyond_the_greatest_scan_is_left_out_and_counted() {
        let order =
            order(&[range("10.0.0.0/16", &[]), range("10.1.0.1-10", &[])], &Discovery::default(), |_| false);
        assert_eq!((order.targets.len(), order.left_out), (65_536, 8));
    }

    #[test]
    fn communities_come_before_users_and_the_old_version_comes_last() {
        let credentials = [v3(), v2c("a"), v1("b"), v2c("c")];
        assert_eq!(ladder(&credentials), [v2c("a"), v2c("c"), v3(), v1("a"), v1("b"), v1("c")]);
        assert_eq!(ladder(&[v1("b")]), [v1("b")]);
    }
}
