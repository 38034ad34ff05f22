//! Keeps the inventory: scans the ranges when they are due, marks who has vanished, tells the center.

use super::{Watch, credential};
use crate::discovery::{self, Announced, Ears, Scan, Surroundings, TryBook};
use crate::inventory::{self, Registered, Telling};
use crate::outbox::after;
use crate::settings::{RangeEntry, SnmpAccess};
use crate::store::{DeviceRow, StoreError};
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::DeviceId;
use mailfmt::message::report::InventoryReport;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Longest time between two looks at the inventory.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);

/// Shortest time between two looks.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);

/// A range, when it was scanned, and when that scan goes on.
struct Scanned {
    range: RangeEntry,
    at: Option<Timestamp>,
    again: Option<Timestamp>,
}

/// The ranges whose scan is due: never done, long enough ago, to go on with further credentials, or in a future that a
/// wrong clock has seen.
fn due(ranges: &[Scanned], now: Timestamp) -> Vec<RangeEntry> {
    let is_due = |one: &&Scanned| {
        let rescan = one.at.is_none_or(|at| now < at || after(at, one.range.rescan) <= now);
        rescan || one.again.is_some_and(|again| again <= now)
    };
    ranges.iter().filter(is_due).map(|one| one.range.clone()).collect()
}

/// The ranges by which announcements are listened to for good, each as a range of the one device that was announced and
/// is not known yet.
fn newly_announced(
    ranges: &[RangeEntry],
    announced: &[Announced],
    told: &mut BTreeSet<SocketAddr>,
    known: &BTreeSet<SocketAddr>,
) -> Vec<RangeEntry> {
    let Some(asked) = ranges.iter().position(|range| range.range.announced().is_some()) else {
        return Vec::new();
    };
    let fresh = announced.iter().filter(|one| one.addresses.iter().all(|address| !known.contains(address)));
    let mut new = Vec::new();
    for address in fresh.filter_map(|one| one.addresses.first()) {
        // Asked once for each announcement; whoever leaves and comes back is asked again.
        if !told.insert(*address) {
            continue;
        }
        let Some(range) = discovery::range_of(ranges, *address, asked).and_then(|place| ranges.get(place))
        else {
            continue;
        };
        if let Ok(only) = discovery::address_text(*address).parse() {
            new.push(RangeEntry { range: only, ..range.clone() });
        }
    }
    told.retain(|address| announced.iter().any(|one| one.addresses.contains(address)));
    new
}

/// The addresses at which somebody is watched and answers: they are not asked by a scan.
pub(super) fn answering(rows: &[DeviceRow], watched: &BTreeSet<String>) -> BTreeSet<SocketAddr> {
    rows.iter()
        .filter(|row| row.answering && row.id.is_some() && watched.contains(&row.address))
        .filter_map(|row| discovery::socket_address(&row.address))
        .collect()
}

impl Watch {
    pub(super) fn look_every(&self) -> Duration {
        let part = self.context.settings.discovery.inventory_pause / 10;
        part.clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    }

    /// Marks who has vanished and tells the center what has changed. Never returns.
    pub(super) async fn keep_inventory(&self) {
        let mut telling = Telling::default();
        let mut restored = false;
        loop {
            if let Err(error) = self.look_at_inventory(&mut telling, &mut restored).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the inventory could not be kept");
            }
            tokio::time::sleep(self.look_every()).await;
        }
    }

    async fn look_at_inventory(&self, telling: &mut Telling, restored: &mut bool) -> Result<(), StoreError> {
        let now = self.context.now();
        let settings = Arc::clone(&self.context.settings);
        let limit = now.saturating_sub(settings.discovery.vanished_after).unwrap_or(Timestamp::MIN);
        let forgotten = now.saturating_sub(settings.retention.reading).unwrap_or(Timestamp::MIN);
        let pause = settings.discovery.inventory_pause;
        let (told, devices) = self
            .store
            .read(move |store| {
                store.change(|change| {
                    change.mark_vanished(limit, now)?;
                    change.forget_vanished(forgotten, now)
                })?;
                Ok::<_, StoreError>((store.inventory_told()?, inventory::collect(store, &settings)?))
            })
            .await?;
        // Somebody else may have told it: the first contact with a center does.
        if !std::mem::replace(restored, true) || told != telling.told {
            *telling = Telling::new(told);
        }
        let tells = telling.look(&devices, pause, now);
        self.tell_census(tells).await?;
        if !tells {
            return Ok(());
        }
        let digest = Telling::digest(&devices);
        let report = self.context.outgoing(Report::Inventory(InventoryReport { devices }), None);
        self.store
            .change(move |change| {
                change.enqueue(&report)?;
                change.note_inventory_told(&digest, now)
            })
            .await?;
        telling.told(digest, now);
        Ok(())
    }

    /// Scans the ranges of the settings when they are due. Never returns.
    pub(super) async fn keep_scanning(&self) {
        let settings = Arc::clone(&self.context.settings);
        let group = settings.ranges.iter().find_map(|range| range.range.announced());
        let mut ears = group.filter(|group| group.ip().is_multicast()).and_then(Ears::join);
        let (mut new, mut told) = (Vec::new(), BTreeSet::new());
        loop {
            if let Err(error) = self.scan_what_is_due(std::mem::take(&mut new)).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a scan could not be stored");
            }
            let Some(ears) = ears.as_mut() else {
                tokio::time::sleep(self.look_every()).await;
                continue;
            };
            let announced = ears.listen(self.look_every()).await;
            match self.store.read(|store| store.devices()).await {
                Ok(rows) => {
                    let known =
                        rows.iter().filter_map(|row| discovery::socket_address(&row.address)).collect();
                    new = newly_announced(&settings.ranges, &announced, &mut told, &known);
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the devices that are known cannot be read"
                    );
                }
            }
        }
    }

    /// Scans the ranges of the settings that are due, and those that are `new`.
    async fn scan_what_is_due(&self, new: Vec<RangeEntry>) -> Result<(), StoreError> {
        let settings = Arc::clone(&self.context.settings);
        if settings.ranges.is_empty() {
            return Ok(());
        }
        let (scanned, rows, watched, tries) = self
            .store
            .read(move |store| {
                let scanned = settings.ranges.iter().map(|range| {
                    let (at, again) = (store.range_scanned(range)?, store.range_goes_on(range)?);
                    Ok::<_, StoreError>(Scanned { range: range.clone(), at, again })
                });
                let scanned = scanned.collect::<Result<Vec<_>, _>>()?;
                let watched = inventory::watched(store, &settings)?;
                Ok::<_, StoreError>((scanned, store.devices()?, watched, store.credential_tries()?))
            })
            .await?;
        let mut ranges = due(&scanned, self.context.now());
        let of_settings = ranges.len();
        ranges.extend(new);
        if ranges.is_empty() {
            return Ok(());
        }
        let watched = watched.into_iter().map(|entry| entry.address).collect();
        let book = TryBook::of(tries, self.context.now());
        let scan = self.scan(&ranges, &rows, &watched, book).await;
        ranges.truncate(of_settings);
        for problem in &scan.problems {
            tracing::warn!(problem, "a part of the scan was not possible");
        }
        let registered = self.register(scan, ranges).await?;
        tracing::info!(new = registered.new.len(), moved = registered.moved.len(), "devices were looked for");
        Ok(())
    }

    async fn scan(
        &self,
        ranges: &[RangeEntry],
        rows: &[DeviceRow],
        watched: &BTreeSet<String>,
        book: TryBook,
    ) -> Scan {
        let answering = answering(rows, watched);
        let known: BTreeMap<DeviceId, String> = rows
            .iter()
            .filter(|row| row.answering)
            .filter_map(|row| Some((row.id.clone()?, row.address.clone())))
            .collect();
        let order = discovery::order(ranges, &self.context.settings.discovery, |address| {
            answering.contains(&address)
        });
        let wire = |access: &SnmpAccess| {
            credential(&self.context.layout, access)
                .map_err(|error| format!("an SNMPv3 password cannot be used: {error}"))
        };
        let around = Surroundings {
            reader: &self.reader,
            profiles: &self.profiles,
            credential: &wire,
            known: &|id| known.get(id).cloned(),
            keep: &|tries| self.store.keep_tries(tries),
            now: &|| self.context.now(),
            progress: &|_| {},
        };
        discovery::scan(&around, &order, book).await
    }

    async fn register(&self, scan: Scan, ranges: Vec<RangeEntry>) -> Result<Registered, StoreError> {
        // While all places are taken nobody is visited, so no visit goes on with what it knew of another device.
        let places = u32::try_from(super::VISITS_MAX).unwrap_or(u32::MAX);
        let _all = self.places.acquire_many(places).await;
        let now = self.context.now();
        let settings = Arc::clone(&self.context.settings);
        let registered = self
            .store
            .change(move |change| {
                for range in &ranges {
                    change.note_scan(range, now, scan.again)?;
                }
                inventory::register(change, &scan, &settings, now)
            })
            .await?;
        self.stale.lock().unwrap_or_else(PoisonError::into_inner).extend(registered.touched().cloned());
        self.found.notify_one();
        Ok(registered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_range_is_scanned_at_once_and_then_at_its_interval_whatever_the_clock_does() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |hours: i64| start.saturating_add(SignedDuration::from_hours(hours)).unwrap();
        let range = RangeEntry::new("10.0.0.0/24".parse().unwrap());
        let goes_on = |scanned, again, now| {
            !due(&[Scanned { range: range.clone(), at: scanned, again }], now).is_empty()
        };
        let is_due = |scanned, now| goes_on(scanned, None, now);
        assert!(is_due(None, at(0)));
        assert!(!is_due(Some(at(0)), at(23)));
        assert!(is_due(Some(at(0)), at(24)));
        assert!(is_due(Some(at(1000)), at(0)), "noted while the clock was ahead");
        assert!(!goes_on(Some(at(0)), Some(at(1)), at(0)) && goes_on(Some(at(0)), Some(at(1)), at(1)));
    }

    #[test]
    fn who_announces_itself_and_is_not_known_is_asked_once_as_its_range_says() {
        let exclude = |text: &str| RangeEntry {
            excludes: vec![text.parse().unwrap()],
            ..RangeEntry::new("mdns".parse().unwrap())
        };
        let ranges = [
            RangeEntry { others: true, ..RangeEntry::new("10.0.0.0/24".parse().unwrap()) },
            exclude("10.0.0.9"),
        ];
        let one =
            |address: &str| Announced { addresses: vec![address.parse().unwrap()], ..Announced::default() };
        let announced = [one("10.0.0.7:161"), one("10.0.0.8:161"), one("10.0.0.9:161"), one("10.7.0.7:161")];
        let (mut told, known) = (BTreeSet::new(), BTreeSet::from(["10.0.0.8:161".parse().unwrap()]));
        let new = newly_announced(&ranges, &announced, &mut told, &known);
        let new: Vec<_> = new.iter().map(|range| (range.range.to_string(), range.others)).collect();
        assert_eq!(new, [("10.0.0.7".to_owned(), true), ("10.7.0.7".to_owned(), false)]);
        assert!(newly_announced(&ranges, &announced, &mut told, &known).is_empty());
        newly_announced(&ranges, &[], &mut told, &known);
        assert_eq!(
            newly_announced(&ranges, &announced[..1], &mut told, &known).len(),
            1,
            "it was gone for a while"
        );
    }
}
