//! What is the newest release for an appliance: said in every receipt, dated and signed, so that whoever is kept from the
//! news notices. Pure.

use crate::db::packages::StoredPackage;
use jiff::Timestamp;
use mailfmt::SoftwareVersion;
use mailfmt::message::receipt::Latest;
use mailfmt::package::PackageId;
use std::collections::BTreeSet;

/// A release that appliances may install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    package: PackageId,
    software: SoftwareVersion,
    release_counter: u64,
    hardware: Vec<String>,
    expires: Timestamp,
}

impl Offer {
    /// The release of a package; `None` while nobody has signed it.
    #[must_use]
    pub fn of(package: &StoredPackage) -> Option<Self> {
        let manifest = &package.manifest;
        (!package.signers.is_empty()).then(|| Self {
            package: package.id,
            software: manifest.target.clone(),
            release_counter: manifest.release_counter,
            hardware: manifest.applies.hardware.clone(),
            expires: manifest.expires,
        })
    }

    fn fits(&self, hardware: &str) -> bool {
        self.hardware.is_empty() || self.hardware.iter().any(|class| class == hardware)
    }
}

/// The newest release for a hardware class (empty: not known; then only what fits every one counts), as of `at`.
#[must_use]
pub fn latest(offers: &[Offer], revoked: &BTreeSet<PackageId>, hardware: &str, at: Timestamp) -> Latest {
    let newest = offers
        .iter()
        .filter(|offer| offer.fits(hardware) && offer.expires >= at && !revoked.contains(&offer.package))
        .max_by_key(|offer| offer.release_counter);
    Latest {
        at,
        software: newest.map(|offer| offer.software.clone()),
        release_counter: newest.map_or(0, |offer| offer.release_counter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{later, now};
    use mailfmt::Digest;

    fn offer(counter: u64, hardware: &[&str]) -> Offer {
        Offer {
            package: Digest::of(&counter.to_be_bytes()),
            software: SoftwareVersion::new(&format!("1.0.{counter}")).unwrap(),
            release_counter: counter,
            hardware: hardware.iter().map(|class| (*class).to_owned()).collect(),
            expires: later(3600),
        }
    }

    fn counter(offers: &[Offer], hardware: &str) -> u64 {
        latest(offers, &BTreeSet::new(), hardware, now()).release_counter
    }

    #[test]
    fn the_latest_is_the_greatest_counter_that_fits_the_hardware() {
        let offers = [offer(2, &[]), offer(7, &["aarch64"]), offer(5, &["x86_64"])];
        assert_eq!(counter(&offers, "x86_64"), 5);
        assert_eq!(counter(&offers, "aarch64"), 7);
        assert_eq!(counter(&offers, ""), 2, "not known which: only what fits every one");
        assert_eq!(counter(&offers[1..2], "x86_64"), 0);
    }

    #[test]
    fn what_expired_or_was_revoked_is_not_the_latest() {
        let offers = [offer(2, &[]), offer(3, &[])];
        let revoked = BTreeSet::from([offers[1].package]);
        assert_eq!(latest(&offers, &revoked, "", now()).release_counter, 2);
        let expired = Offer { expires: later(-1), ..offer(9, &[]) };
        assert_eq!(counter(&[offers[0].clone(), expired], ""), 2);
    }

    #[test]
    fn without_a_package_the_latest_is_dated_all_the_same() {
        let none = latest(&[], &BTreeSet::new(), "x86_64", now());
        assert_eq!(none, Latest { at: now(), software: None, release_counter: 0 });
    }
}
