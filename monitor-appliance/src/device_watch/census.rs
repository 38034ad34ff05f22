//! Keeps the inventory: scans the ranges when they are due, marks who has vanished, tells the center.

use super::{Watch, credential};
use crate::discovery::{self, Scan};
use crate::inventory::{self, Registered, Telling};
use crate::outbox::after;
use crate::settings::{RangeEntry, SnmpAccess};
use crate::store::{DeviceRow, StoreError};
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::DeviceId;
use mailfmt::message::report::InventoryReport;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Longest time between two looks at the inventory.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);

/// Shortest time between two looks.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);

/// The ranges whose scan is due: never done, long enough ago, or in a future that a wrong clock has seen.
fn due(ranges: &[(RangeEntry, Option<Timestamp>)], now: Timestamp) -> Vec<RangeEntry> {
    let is_due = |(range, at): &&(RangeEntry, Option<Timestamp>)| {
        at.is_none_or(|at| now < at || after(at, range.rescan) <= now)
    };
    ranges.iter().filter(is_due).map(|(range, _)| range.clone()).collect()
}

/// The addresses at which somebody is watched and answers: they are not asked by a scan.
pub(super) fn answering(rows: &[DeviceRow], watched: &BTreeSet<String>) -> BTreeSet<SocketAddrV4> {
    rows.iter()
        .filter(|row| row.answering && row.id.is_some() && watched.contains(&row.address))
        .filter_map(|row| discovery::socket_address(&row.address))
        .collect()
}

impl Watch {
    fn look_every(&self) -> Duration {
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
        if !telling.look(&devices, pause, now) {
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
        loop {
            if let Err(error) = self.scan_what_is_due().await {
                tracing::error!(error = &error as &dyn std::error::Error, "a scan could not be stored");
            }
            tokio::time::sleep(self.look_every()).await;
        }
    }

    async fn scan_what_is_due(&self) -> Result<(), StoreError> {
        let settings = Arc::clone(&self.context.settings);
        if settings.ranges.is_empty() {
            return Ok(());
        }
        let (scanned, rows, watched) = self
            .store
            .read(move |store| {
                let scanned = settings
                    .ranges
                    .iter()
                    .map(|range| Ok::<_, StoreError>((range.clone(), store.range_scanned(range)?)));
                let scanned = scanned.collect::<Result<Vec<_>, _>>()?;
                let watched = inventory::watched(store, &settings)?;
                Ok::<_, StoreError>((scanned, store.devices()?, watched))
            })
            .await?;
        let ranges = due(&scanned, self.context.now());
        if ranges.is_empty() {
            return Ok(());
        }
        let watched = watched.into_iter().map(|entry| entry.address).collect();
        let scan = self.scan(&ranges, &rows, &watched).await;
        for problem in &scan.problems {
            tracing::warn!(problem, "a part of the scan was not possible");
        }
        let registered = self.register(scan, ranges).await?;
        tracing::info!(new = registered.new.len(), moved = registered.moved.len(), "devices were looked for");
        Ok(())
    }

    async fn scan(&self, ranges: &[RangeEntry], rows: &[DeviceRow], watched: &BTreeSet<String>) -> Scan {
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
        discovery::scan(&self.reader, &order, &wire, &|id| known.get(id).cloned(), &|_| {}).await
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
                    change.note_scan(range, now)?;
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
        let is_due = |scanned, now| !due(&[(range.clone(), scanned)], now).is_empty();
        assert!(is_due(None, at(0)));
        assert!(!is_due(Some(at(0)), at(23)));
        assert!(is_due(Some(at(0)), at(24)));
        assert!(is_due(Some(at(1000)), at(0)), "noted while the clock was ahead");
    }
}
