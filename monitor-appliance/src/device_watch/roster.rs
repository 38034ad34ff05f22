//! Who is watched: follows the devices of the settings and those that were found, as they come and go.

use super::knocks::SECOND_LOOK;
use super::pins::Pins;
use super::{Memory, Watch, target};
use crate::inventory;
use crate::settings::{DeviceEntry, SnmpAccess};
use crate::snmp::Acquaintance;
use crate::store::{Store, StoreError};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time between two looks at who is to be watched, for what other processes register.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A device that is followed.
struct Followed {
    access: SnmpAccess,
    /// True asks its loop to end before the next visit.
    stop: watch::Sender<bool>,
}

/// Whose loops have to end, and whose have to begin. A device that is read otherwise from now on ends first.
fn changes<'a>(
    followed: &BTreeMap<String, SnmpAccess>,
    roster: &'a [DeviceEntry],
) -> (Vec<String>, Vec<&'a DeviceEntry>) {
    let wanted: BTreeMap<&str, &SnmpAccess> =
        roster.iter().map(|entry| (entry.address.as_str(), &entry.access)).collect();
    let stop = followed.iter().filter(|(address, access)| wanted.get(address.as_str()) != Some(access));
    let start = roster.iter().filter(|entry| !followed.contains_key(&entry.address));
    (stop.map(|(address, _)| address.clone()).collect(), start.collect())
}

impl Watch {
    /// Follows every device that is to be watched. Never returns.
    pub(super) async fn follow_all(&self) {
        let mut loops = FuturesUnordered::new();
        let mut followed: BTreeMap<String, Followed> = BTreeMap::new();
        loop {
            let settings = Arc::clone(&self.context.settings);
            match self.store.read(move |store| inventory::watched(store, &settings)).await {
                Ok(roster) => {
                    let known = followed.iter().map(|(address, one)| (address.clone(), one.access.clone()));
                    let (stop, start) = changes(&known.collect(), &roster);
                    for one in stop.iter().filter_map(|address| followed.get(address)) {
                        one.stop.send_replace(true);
                    }
                    for entry in start {
                        let (stop, asked_to_stop) = watch::channel(false);
                        let one = Followed { access: entry.access.clone(), stop };
                        followed.insert(entry.address.clone(), one);
                        // Boxed: the loops are of one type, and as deep as the SNMP client is.
                        loops.push(self.follow(entry.clone(), asked_to_stop).boxed());
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the devices to watch are not known"
                    );
                }
            }
            if followed.is_empty() {
                // There is nothing to do, and the module is well all the same.
                self.progress.made();
            }
            tokio::select! {
                Some(address) = loops.next(), if !loops.is_empty() => {
                    followed.remove(&address);
                }
                () = self.found.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Visits a device until it is asked to stop; gives its address back.
    async fn follow(&self, entry: DeviceEntry, mut stop: watch::Receiver<bool>) -> String {
        let target = match target(&self.context, &entry) {
            Ok(target) => target,
            Err(error) => {
                tracing::error!(
                    device = entry.address,
                    error = &error as &dyn std::error::Error,
                    "a device that was found cannot be watched"
                );
                // Until the settings are put right; the roster would only begin it anew.
                let _ = stop.wait_for(|stop| *stop).await;
                return entry.address;
            }
        };
        let (mut memory, mut known) = loop {
            match self.meet(&entry.address).await {
                Ok(met) => break met,
                Err(error) => {
                    tracing::error!(
                        device = entry.address,
                        error = &error as &dyn std::error::Error,
                        "what is known of a device cannot be read"
                    );
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        let mut door = self.knocks.open(&entry.address);
        let mut knocked = false;
        while !*stop.borrow() {
            self.visit(&entry, &target, &mut memory, &mut known).await;
            let mut pause = self.pause(&memory);
            if knocked {
                pause = pause.min(SECOND_LOOK);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => knocked = false,
                () = door.knocked() => knocked = true,
                _ = stop.changed() => {}
            }
        }
        self.knocks.close(&entry.address);
        entry.address
    }

    /// What the store knows of the device at an address, and of how it answers.
    async fn meet(&self, address: &str) -> Result<(Memory, Acquaintance), StoreError> {
        let memory = self.remember(address).await?;
        let address = address.to_owned();
        let (layout, traffic) = {
            let address = address.clone();
            let both = move |store: &mut Store| {
                Ok::<_, StoreError>((store.device_layout(&address)?, store.traffic(&address)?))
            };
            self.store.read(both).await?
        };
        // A restart of ours is no reason to ask a device more.
        let now = self.context.now();
        if let Some((at, usage)) = traffic
            && self.reader.usage(&address).requests == 0
            && at <= now
            && now.duration_since(at) < SignedDuration::from_hours(1)
        {
            self.reader.recall(&address, usage);
        }
        Ok((memory, Acquaintance::restore(layout.as_deref())))
    }

    /// What the store knows of the device at an address.
    pub(super) async fn remember(&self, address: &str) -> Result<Memory, StoreError> {
        let address = address.to_owned();
        let rules = Arc::clone(&self.rules);
        let month_end = self.context.settings.ledger.month_end.clone();
        self.store
            .read(move |store| {
                let reading = store.latest_reading(&address)?;
                let supplies = store.supply_memory(&address)?;
                let pins = reading.as_ref().map(Pins::of_row).unwrap_or_default();
                let memory = Memory::restore(&address, store.device(&address)?, reading.map(|row| row.at));
                Ok(memory
                    .with_pins(pins)
                    .with_supplies(supplies.as_deref())
                    .with_rules(rules)
                    .with_month_end(month_end))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Secret;

    fn entry(address: &str, community: &str) -> DeviceEntry {
        let access = SnmpAccess::V2c { community: Secret::new(community) };
        DeviceEntry { address: address.to_owned(), access }
    }

    fn followed(entries: &[DeviceEntry]) -> BTreeMap<String, SnmpAccess> {
        entries.iter().map(|entry| (entry.address.clone(), entry.access.clone())).collect()
    }

    #[test]
    fn devices_begin_and_end_with_the_roster() {
        let now = [entry("a", "x"), entry("b", "x")];
        let roster = [entry("b", "x"), entry("c", "x")];
        let (stop, start) = changes(&followed(&now), &roster);
        assert_eq!((stop, start), (vec!["a".to_owned()], vec![&roster[1]]));
    }

    #[test]
    fn a_device_with_another_community_ends_before_it_begins_again() {
        let roster = [entry("a", "new")];
        let (stop, start) = changes(&followed(&[entry("a", "old")]), &roster);
        assert_eq!((stop, start), (vec!["a".to_owned()], vec![]));
        let (stop, start) = changes(&BTreeMap::new(), &roster);
        assert_eq!((stop, start), (vec![], vec![&roster[0]]));
    }
}
