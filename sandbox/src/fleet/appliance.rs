//! One appliance: its root, and whether it runs.

use super::{FetchMix, FleetSettings, Shared, caretaker};
use crate::world::{Door, Pace, Protection};
use mailbox::{AccountSettings, Protocol, Security, Server};
use mailfmt::{ModuleVersion, SoftwareVersion};
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::settings::{DeviceEntry, FaultSettings, Settings, SnmpAccess, Timers, TrapSettings};
use monitor_appliance::setup::{Answers, Existing, FirstRelease, set_up};
use monitor_appliance::snmp::Secret;
use monitor_appliance::{Context, Layout, ShutdownHandle};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Signs of life cost a write each, and nobody looks for those of a task.
const HEARTBEAT: Duration = Duration::from_secs(600);

/// One appliance of a fleet.
#[derive(Debug)]
pub(super) struct Appliance {
    pub(super) context: Context,
    running: Option<(ShutdownHandle, JoinHandle<()>)>,
}

impl Appliance {
    /// Writes its root, as `monitor-appliance setup` would.
    pub(super) fn set_up(settings: &FleetSettings, number: u32) -> anyhow::Result<Self> {
        let layout = Layout::new(settings.folder.join(format!("appliance{number:04}")));
        let place = super::place(number);
        let answers = Answers {
            introduction: settings.introductions.get(place).cloned(),
            account: Some(account(settings, number)),
            password: Some(settings.mail.password.clone().into()),
            devices: settings.devices_of(number).map(|address| device(address)).collect(),
            release: Some(FirstRelease {
                folder: settings.release.clone(),
                // The folder says itself what it is.
                software: SoftwareVersion::new("0.0.0")?,
                module: ModuleVersion::new("0.0.0")?,
                rom: ModuleVersion::new("0.0.0")?,
            }),
            ..Answers::default()
        };
        set_up(&layout, &answers, Existing::Replace)?;
        let written = Settings::load(&layout.settings_file())?;
        let paced = Settings {
            timers: timers(settings.pace),
            reboot_command: Vec::new(),
            // Many appliances share one machine, and their printers jam as often as the load wants.
            traps: TrapSettings { receive: false, ..TrapSettings::default() },
            faults: FaultSettings {
                recurring_calls_at: 0,
                lasting_minutes: 0,
                flapping_minutes: 0,
                ..FaultSettings::default()
            },
            ..written
        };
        replace_file(&layout.settings_file(), paced.write().as_bytes(), 0o600)?;
        Ok(Self { context: Context::load(layout.root())?, running: None })
    }

    /// Switches it on. Harmless when it is on.
    pub(super) fn start(&mut self, shared: Arc<Shared>) {
        if self.running.is_none() {
            let (stop, shutdown) = monitor_appliance::shutdown();
            let life = tokio::spawn(caretaker::live(self.context.clone(), shared, shutdown));
            self.running = Some((stop, life));
        }
    }

    /// Switches it off and waits until nothing of it runs. Harmless when it is off.
    pub(super) async fn stop(&mut self) {
        if let Some((stop, life)) = self.running.take() {
            stop.request();
            if let Err(error) = life.await {
                tracing::error!(agent = %self.context.settings.agent, %error, "an appliance did not end in order");
            }
        }
    }
}

fn account(settings: &FleetSettings, number: u32) -> AccountSettings {
    let mail = &settings.mail;
    let server = |door: Door| Server {
        host: mail.host.clone(),
        port: door.port,
        security: match door.protection {
            Protection::Tls => Security::Tls,
            Protection::Starttls => Security::StartTls,
            Protection::Plain => Security::Plain,
        },
    };
    let fetch = match settings.fetch {
        FetchMix::Imap => Protocol::Imap,
        FetchMix::Both if number.is_multiple_of(2) => Protocol::Imap,
        FetchMix::Pop3 | FetchMix::Both => Protocol::Pop3,
    };
    let door = match fetch {
        Protocol::Pop3 => mail.pop3,
        Protocol::Imap => mail.imap,
    };
    AccountSettings {
        name: "sandbox".to_owned(),
        address: mail.agent_address(number),
        username: mail.agent_address(number),
        smtp: server(mail.smtp),
        fetch,
        fetch_server: server(door),
        ca_file: mail.ca_file.clone(),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    }
}

fn device(address: &str) -> DeviceEntry {
    DeviceEntry { address: address.to_owned(), access: SnmpAccess::V2c { community: Secret::new("public") } }
}

fn timers(pace: Pace) -> Timers {
    let secs = |secs: u32| Duration::from_secs(secs.into());
    Timers {
        fault_poll: secs(pace.fault_poll),
        counter_collect: secs(pace.counter_collect),
        mail_poll: secs(pace.mail_poll),
        answer_poll: secs(pace.mail_poll),
        answer_wait: secs(pace.answer_wait),
        resend_pause_max: secs(pace.resend_max),
        backoff_first: secs(1),
        backoff_max: secs(10),
        heartbeat: HEARTBEAT,
        heartbeat_limit: HEARTBEAT * 3,
        ..Timers::default()
    }
}
