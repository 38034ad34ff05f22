//! Looks after computers: reads each now and then, compares with the site's list, tells the center.

use super::convert::nameless;
use super::{Watch, target};
use crate::alarm;
use crate::computer::{LICENCES_EXCEEDED, Looked, Subject, licence_alarms, look};
use crate::device::{interpret, software};
use crate::inventory;
use crate::outbox::after;
use crate::settings::DeviceEntry;
use crate::snmp::ReadLimits;
use crate::store::StoreError;
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::DeviceId;
use mailfmt::message::census::CensusReport;
use std::sync::Arc;
use std::time::Duration;

/// Most requests in one reading of a computer: thousands of programs and pieces of software, fifteen rows at a time.
const REQUESTS_MAX: u32 = 600;

/// Longest reading of one computer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Most events and computers in one report.
const TOLD_MAX: usize = 500;

impl Watch {
    /// Reads the computers among the devices when they are due. Never returns.
    pub(super) async fn keep_computers(&self) {
        loop {
            if let Err(error) = self.read_due_computers().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what computers told could not be stored"
                );
            }
            tokio::time::sleep(self.look_every()).await;
        }
    }

    async fn read_due_computers(&self) -> Result<(), StoreError> {
        let (settings, now) = (Arc::clone(&self.context.settings), self.context.now());
        let (due, all) = self
            .store
            .read(move |store| {
                let watched = inventory::watched(store, &settings)?;
                let computers = store.computer_addresses()?;
                let entries: Vec<DeviceEntry> =
                    watched.into_iter().filter(|entry| computers.contains(&entry.address)).collect();
                let mut due = Vec::new();
                for entry in &entries {
                    let read = store.computer_read(&entry.address)?;
                    if read.is_none_or(|at| now < at || after(at, settings.computers.read) <= now) {
                        due.push((entry.clone(), store.device(&entry.address)?.and_then(|row| row.id)));
                    }
                }
                Ok::<_, StoreError>((due, entries.into_iter().map(|entry| entry.address).collect::<Vec<_>>()))
            })
            .await?;
        if due.is_empty() {
            return Ok(());
        }
        for (entry, id) in due {
            self.read_computer(&entry, id).await?;
        }
        self.store.change(move |change| change.forget_computers_but(&all)).await?;
        self.count_licences().await
    }

    async fn read_computer(&self, entry: &DeviceEntry, id: Option<DeviceId>) -> Result<(), StoreError> {
        let Ok(target) = target(&self.context, entry) else { return Ok(()) };
        let limits = ReadLimits {
            requests: REQUESTS_MAX,
            deadline: DEADLINE,
            rows: crate::device::SOFTWARE_MAX,
            ..self.limits
        };
        // The semaphore is never closed.
        let Ok(_place) = self.places.acquire().await else { return Ok(()) };
        self.progress.made();
        // That it does not answer is the concern of the usual visits.
        let Ok(walk) = self.reader.read_computer(&target, &limits).await else { return Ok(()) };
        let now = self.context.now();
        let reading = interpret(&walk, &self.profiles);
        let (host, software) = (reading.host.unwrap_or_default(), software(&walk));
        let name = reading.identity.sys_name;
        let (address, settings) = (entry.address.clone(), Arc::clone(&self.context.settings));
        let memory = self.store.read(move |store| store.computer_memory(&address)).await?;
        let id = id.unwrap_or_else(|| nameless(&entry.address));
        let subject = Subject { id: &id, address: &entry.address, name: name.as_deref() };
        let looked = look(&memory, &subject, &host, &software, &settings.computers, now);
        self.keep_computer(looked, now).await
    }

    async fn keep_computer(&self, looked: Looked, now: Timestamp) -> Result<(), StoreError> {
        let started = looked.started.iter().map(|(_, report)| Report::Fault(report.clone()));
        let cleared = looked.cleared.iter().map(|report| Report::FaultCleared(report.clone()));
        let reports: Vec<_> =
            started.chain(cleared).map(|report| self.context.outgoing(report, None)).collect();
        self.store
            .change(move |change| {
                for (row, _) in &looked.started {
                    change.open_fault(row)?;
                }
                for report in &looked.cleared {
                    change.clear_fault(&report.episode, now)?;
                }
                for report in &reports {
                    change.enqueue(report)?;
                }
                change.keep_computer(&looked.state, &looked.memory, looked.restarted)
            })
            .await
    }

    /// Compares how many computers have each licensed application with its licences.
    async fn count_licences(&self) -> Result<(), StoreError> {
        let (context, now) = (self.context.clone(), self.context.now());
        self.store
            .read(move |store| {
                let wanted = licence_alarms(&context.settings.computers, &store.computers()?);
                let known: Vec<String> = store
                    .alarms()?
                    .into_iter()
                    .map(|alarm| alarm.name)
                    .filter(|name| name.starts_with(LICENCES_EXCEEDED))
                    .collect();
                store.change(|change| {
                    for name in known.iter().filter(|name| !wanted.contains_key(*name)) {
                        alarm::end(change, &context, name)?;
                    }
                    for (name, text) in &wanted {
                        alarm::raise(change, &context, name, text.clone(), now)?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await
    }

    /// Tells the center what happened to devices, and how computers fare, as far as it was not told. Events come to rest
    /// first unless `all` of them go with an inventory.
    pub(super) async fn tell_census(&self, all: bool) -> Result<(), StoreError> {
        let (settings, now) = (Arc::clone(&self.context.settings), self.context.now());
        let (events, mut computers) = self
            .store
            .read(move |store| {
                let events = store.untold_events(TOLD_MAX)?;
                let before = now.saturating_sub(settings.computers.report).unwrap_or(Timestamp::MIN);
                Ok::<_, StoreError>((events, store.untold_computers(before)?))
            })
            .await?;
        computers.truncate(TOLD_MAX);
        let pause = self.context.settings.discovery.inventory_pause;
        let rested = events.first().is_some_and(|(_, event)| now < event.at || after(event.at, pause) <= now);
        let events = if all || rested { events } else { Vec::new() };
        if events.is_empty() && computers.is_empty() {
            return Ok(());
        }
        let last = events.last().map(|(number, _)| *number);
        let events = events.into_iter().map(|(_, event)| event).collect();
        let report = CensusReport { events, computers: computers.clone() };
        let report = self.context.outgoing(Report::Census(report), None);
        self.store
            .change(move |change| {
                change.enqueue(&report)?;
                if let Some(last) = last {
                    change.note_events_told(last, now)?;
                }
                change.note_computers_told(&computers, now)
            })
            .await
    }
}
