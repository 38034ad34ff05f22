//! `monitor-appliance status`.

mod clock;
mod ledger;
mod traps;
mod trust;
mod update;
mod ways;

use super::Output;
use super::doctor::is_alive;
use super::table::{table, time};
use jiff::Timestamp;
use mailbox::inbox::Noticing;
use monitor_appliance::snmp::Usage;
use monitor_appliance::store::{FaultRow, Moment, OutboxRow, ReturnedRow, StoreError, Tally};
use monitor_appliance::{Context, Store, health, inventory};

/// Most reports shown that wait for a receipt.
const WAITING_SHOWN: u32 = 20;

/// Most mails shown that came back.
const RETURNED_SHOWN: u32 = 5;

/// How the appliance fares.
#[derive(Debug, serde::Serialize)]
pub(super) struct Status {
    agent: String,
    center: String,
    software: String,
    clock: clock::Clock,
    trust: trust::Trust,
    last_fetch: Option<Timestamp>,
    last_send: Option<Timestamp>,
    noticing: Vec<Noticing>,
    ways: ways::Ways,
    devices: Vec<Device>,
    faults: Vec<FaultRow>,
    reports_waiting: u32,
    reports_expired: u32,
    junk: u32,
    waiting: Vec<OutboxRow>,
    /// The newest mails that came back.
    returned: Vec<ReturnedRow>,
    modules: Vec<Module>,
    traps: Option<traps::Traps>,
    ledger: ledger::Ledger,
    busy: Vec<String>,
    updates: update::Updates,
}

#[derive(Debug, serde::Serialize)]
struct Device {
    address: String,
    vendor: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    answering: Option<bool>,
    /// When it was noticed that it had not answered for long.
    vanished: Option<Timestamp>,
    answered: Option<Timestamp>,
    counters_read: Option<Timestamp>,
    total: Option<u64>,
    /// Requests within the hour before the last note of it, credentials it refused, visits put off for too many requests.
    asked: Option<Usage>,
    /// Most requests within an hour.
    requests_allowed: u32,
    trouble: String,
}

#[derive(Debug, serde::Serialize)]
struct Module {
    name: String,
    last_sign: Timestamp,
    running: bool,
}

/// How each account's mail is noticed.
fn noticing(context: &Context, store: &Store) -> Result<Vec<Noticing>, StoreError> {
    let settings = &context.settings;
    let (every, allowed) =
        (settings.timers.mail_poll.as_secs(), settings.mail.login_budget(&settings.timers));
    let accounts = settings.accounts.iter().map(|entry| &entry.account.name);
    accounts.map(|name| store.noticing(name, every, allowed, context.now())).collect()
}

pub(super) fn look(context: &Context) -> anyhow::Result<Status> {
    let store = context.open_store()?;
    let device = |entry: &monitor_appliance::settings::DeviceEntry| -> anyhow::Result<Device> {
        let row = store.device(&entry.address)?;
        let reading = store.latest_reading(&entry.address)?;
        let id = row.as_ref().and_then(|row| row.id.clone());
        let (vendor, model, serial) =
            id.map_or((None, None, None), |id| (Some(id.vendor), Some(id.model), Some(id.serial)));
        Ok(Device {
            address: entry.address.clone(),
            vendor,
            model,
            serial,
            answering: row.as_ref().map(|row| row.answering),
            vanished: row.as_ref().and_then(|row| row.vanished),
            answered: row.as_ref().and_then(|row| row.answered),
            counters_read: reading.as_ref().map(|reading| reading.at),
            total: reading.and_then(|reading| {
                reading
                    .counters
                    .into_iter()
                    .find(|counter| counter.name == "total")
                    .map(|counter| counter.value)
            }),
            asked: store.traffic(&entry.address)?.map(|(_, usage)| usage),
            requests_allowed: context.settings.timers.request_budget(),
            trouble: row.map(|row| row.trouble).unwrap_or_default(),
        })
    };
    Ok(Status {
        agent: context.settings.agent.to_string(),
        center: context.settings.center.to_string(),
        software: health::running_version(context).to_string(),
        clock: clock::look(context),
        trust: trust::look(context, &store)?,
        last_fetch: store.moment(Moment::LastFetch)?,
        last_send: store.moment(Moment::LastSend)?,
        noticing: noticing(context, &store)?,
        ways: ways::look(&store)?,
        devices: inventory::watched(&store, &context.settings)?
            .iter()
            .map(device)
            .collect::<Result<_, _>>()?,
        faults: store.open_faults()?,
        reports_waiting: store.outbox_waiting_count()?,
        reports_expired: store.tally(Tally::ReportsExpired)?,
        junk: store.tally(Tally::Junk)?,
        waiting: store.outbox_waiting(WAITING_SHOWN)?,
        returned: store.returned(RETURNED_SHOWN)?,
        modules: store
            .heartbeats()?
            .into_iter()
            .map(|sign| Module { running: is_alive(context, &sign), name: sign.module, last_sign: sign.at })
            .collect(),
        busy: store.busy()?.into_iter().map(|busy| format!("{}: {}", busy.module, busy.reason)).collect(),
        traps: traps::look(&store)?,
        ledger: ledger::look(context, &store)?,
        updates: update::look(&store)?,
    })
}

/// Requests of the last hour and how many are allowed; what went wrong with them only where something did.
fn asked(device: &Device) -> String {
    let Some(usage) = device.asked else { return "-".to_owned() };
    let mut text = format!("{} of {}", usage.requests, device.requests_allowed);
    if usage.refusals > 0 {
        text += &format!(", {} refused", usage.refusals);
    }
    if usage.put_off > 0 {
        text += &format!(", {} visits put off", usage.put_off);
    }
    text
}

impl Output for Status {
    fn text(&self) -> String {
        let mut text = format!(
            "appliance      {} of center {}\nsoftware       {}\nmail fetched   {}\nmail sent      {}\n\
             reports        {} waiting for a receipt, {} given up, {} junk mails (since the last health report)\n",
            self.agent,
            self.center,
            self.software,
            time(self.last_fetch),
            time(self.last_send),
            self.reports_waiting,
            self.reports_expired,
            self.junk,
        );
        for account in &self.noticing {
            text += &format!("new mail       {}\n", account.words(true, &time(account.since)));
            let full = account.fullness.as_ref().and_then(|known| known.words(&time(Some(known.at))));
            text += &full
                .map_or_else(String::new, |words| format!("mailbox        {}: {words}\n", account.account));
        }
        text += &ways::text(&self.ways);
        text += &self.clock.text();
        text += &self.trust.text();
        text += &traps::text(self.traps.as_ref());
        text += &self.ledger.text();
        text += &self.updates.text();
        for module in &self.modules {
            let state = if module.running { "running" } else { "NOT RUNNING" };
            let last_sign = time(Some(module.last_sign));
            text += &format!("{:14} {state}, last sign of life {last_sign}\n", module.name);
        }
        if !self.modules.iter().any(|module| module.running) {
            text +=
                "\nThe appliance does not run; `supervisor` runs it. What follows is as it was last seen.\n";
        }
        for busy in &self.busy {
            text += &format!("busy           {busy}\n");
        }
        text += "\ndevices\n";
        text += &table(
            [
                "address",
                "vendor",
                "model",
                "serial",
                "answers",
                "last answer",
                "total",
                "asked/hour",
                "trouble",
            ],
            self.devices.iter().map(|device| {
                let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                [
                    device.address.clone(),
                    or_dash(&device.vendor),
                    or_dash(&device.model),
                    or_dash(&device.serial),
                    match (device.answering, device.vanished) {
                        (Some(true), _) => "yes",
                        (Some(false), None) => "no",
                        (Some(false), Some(_)) => "vanished",
                        (None, _) => "not asked yet",
                    }
                    .to_owned(),
                    time(device.answered),
                    device.total.map_or_else(|| "-".to_owned(), |total| total.to_string()),
                    asked(device),
                    device.trouble.clone(),
                ]
            }),
        );
        if !self.faults.is_empty() {
            text += "\nopen faults\n";
            text += &table(
                ["address", "fault", "class", "since", "text"],
                self.faults.iter().map(|fault| {
                    [
                        fault.address.clone(),
                        fault.code.clone(),
                        fault.class.clone(),
                        time(Some(fault.since)),
                        fault.description.clone(),
                    ]
                }),
            );
        }
        if !self.returned.is_empty() {
            text += "\nmail that came back, newest first (nothing of it is proven)\n";
            text += &table(
                ["time", "what", "cause", "words"],
                self.returned.iter().map(|returned| {
                    [
                        time(Some(returned.at)),
                        returned.kind.clone(),
                        returned.cause.clone(),
                        returned.words.clone(),
                    ]
                }),
            );
        }
        if !self.waiting.is_empty() {
            text += "\nwaiting for a receipt\n";
            text += &super::outbox::Listing(self.waiting.clone()).text();
        }
        text += &self.updates.list();
        text
    }
}
