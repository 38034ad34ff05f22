//! One appliance in a temporary folder, and the center's side of its channel.

use crate::post_office::PostOffice;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{Credential, Direction};
use mailfmt::envelope::{Addressee, Extras, Header, open, seal_with};
use mailfmt::mail::{Classified, Letter, Parcel, classify, compose};
use mailfmt::message::report::FaultReport;
use mailfmt::message::{DeviceId, FaultClass, Message};
use mailfmt::trust::{Role, Root, SignedRoot, SigningKey};
use mailfmt::{Introduction, Limits, MessageId, Report};
use monitor_appliance::clock::Reading;
use monitor_appliance::context::{system_clock, system_random};
use monitor_appliance::mail_agent::{self, MailAgentError};
use monitor_appliance::setup::{Answers, Existing, set_up};
use monitor_appliance::store::Moment;
use monitor_appliance::{Context, Layout, Settings, ShutdownHandle, Store, shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn now() -> Timestamp {
    system_clock().wall
}

/// Waits for a condition, not for a time.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// For how long a mail of the center is valid.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

pub(crate) struct Site {
    _home: tempfile::TempDir,
    layout: Layout,
    pub(crate) settings: Settings,
    introduction: Introduction,
    sequence: u64,
    /// How much longer ago than this machine it was started.
    up_for: Duration,
}

/// A running mail agent.
pub(crate) struct Running {
    handle: ShutdownHandle,
    task: tokio::task::JoinHandle<Result<(), MailAgentError>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.handle.request();
        self.task.await.unwrap().unwrap();
    }
}

impl Site {
    /// An appliance that was installed an hour ago; its first health report went out then.
    pub(crate) fn new(office: &PostOffice) -> Self {
        let site = Self::just_installed(office);
        let before = now() - SignedDuration::from_hours(1);
        site.store().change(|change| change.note(Moment::LastHealth, before)).unwrap();
        site
    }

    /// An appliance right after its installation.
    pub(crate) fn just_installed(office: &PostOffice) -> Self {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path().join("appliance"));
        let introduction = Introduction {
            agent: "AGENT0000001".parse().unwrap(),
            center: "CENTER".parse().unwrap(),
            center_address: "center@center.example".into(),
            credential: Credential::from_bytes([7; 32]),
            roots: Vec::new(),
        };
        let server =
            |port| mailbox::Server { host: "127.0.0.1".into(), port, security: mailbox::Security::Plain };
        let answers = Answers {
            introduction: Some(introduction.clone()),
            account: Some(mailbox::AccountSettings {
                name: "main".into(),
                address: "agent1@site.example".into(),
                username: "agent1".into(),
                smtp: server(office.smtp_port),
                fetch: mailbox::Protocol::Pop3,
                fetch_server: server(office.pop3_port),
                ca_file: None,
                hello_name: None,
                smtp_login: false,
                mail_octets_max: None,
                provider: None,
                limits: Default::default(),
                login: mailbox::Login::default(),
            }),
            password: Some("sesame".to_owned().into()),
            ..Answers::default()
        };
        set_up(&layout, &answers, Existing::Keep).unwrap();
        let mut settings = Settings::load(&layout.settings_file()).unwrap();
        settings.timers.mail_poll = Duration::from_millis(50);
        settings.timers.answer_poll = Duration::from_millis(50);
        settings.timers.backoff_first = Duration::from_millis(50);
        settings.timers.backoff_max = Duration::from_millis(100);
        Self { _home: home, layout, settings, introduction, sequence: 0, up_for: Duration::ZERO }
    }

    pub(crate) fn context(&self) -> Context {
        let up_for = self.up_for;
        let clock = move || {
            let reading = system_clock();
            Reading { since_boot: reading.since_boot + up_for, ..reading }
        };
        Context::new(self.layout.clone(), self.settings.clone(), Arc::new(clock))
    }

    pub(crate) fn store(&self) -> Store {
        self.context().open_store().unwrap()
    }

    pub(crate) fn start(&self) -> Running {
        let (handle, shutdown) = shutdown();
        Running { handle, task: tokio::spawn(mail_agent::run(self.context(), shutdown)) }
    }

    pub(crate) fn enqueue_fault(&self) -> MessageId {
        let report = Report::Fault(FaultReport {
            device: DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() },
            episode: "e1".into(),
            class: FaultClass::UserClearable,
            code: "jam".into(),
            group: "media-path".into(),
            severity: "critical".into(),
            description: String::new(),
            since: now(),
        });
        let outgoing = self.context().outgoing(report, None);
        self.store().change(|change| change.enqueue(&outgoing)).unwrap();
        outgoing.id
    }

    pub(crate) fn sequence_of(&self, report: MessageId) -> u64 {
        let rows = self.store().outbox_newest(100).unwrap();
        rows.into_iter().find(|row| row.message == report).unwrap().sequence
    }

    /// Adds a second account at another post office, which is like the first.
    pub(crate) fn with_second_account(mut self, office: &PostOffice) -> Self {
        let mut second = self.settings.accounts[0].clone();
        second.account.name = "second".into();
        second.account.address = "agent1@second.example".into();
        second.account.smtp.port = office.smtp_port;
        second.account.fetch_server.port = office.pop3_port;
        self.settings.accounts.push(second);
        self
    }

    /// It was started two days ago, so it believes its clock although nothing has proven it.
    pub(crate) fn started_two_days_ago(mut self) -> Self {
        self.up_for = Duration::from_secs(48 * 3600);
        self
    }

    /// The appliance trusts a root from now on, so it waits for signed words.
    pub(crate) fn trust_a_root(&self) -> SigningKey {
        let key = |fill: u8| SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(fill));
        let role = |fill: u8| Role::of(key(fill).public());
        let center = self.introduction.center.clone();
        let root = Root {
            version: 1,
            center: center.clone(),
            created: now(),
            expires: now() + SignedDuration::from_hours(24 * 365),
            root: role(1),
            release: role(2),
            command: role(3),
            revoked_packages: Default::default(),
            release_counter_reset: None,
            approval: None,
        };
        let signed = SignedRoot::unsigned(&root).unwrap().sign(&key(1)).unwrap();
        monitor_appliance::trust::replace(&self.layout, &center, &[signed]).unwrap();
        key(3)
    }

    /// A mail from the center, signed.
    pub(crate) fn signed_mail(&mut self, message: &Message, signer: &SigningKey) -> Vec<u8> {
        self.sequence += 1;
        self.seal(message, &Extras { signer: Some(signer), follows: None, begins: None, slot: None }, LIFE)
    }

    /// A mail from the center.
    pub(crate) fn mail(&mut self, message: &Message) -> Vec<u8> {
        self.sequence += 1;
        self.seal(message, &Extras::default(), LIFE)
    }

    /// A mail from the center that expired a minute ago.
    pub(crate) fn expired_mail(&mut self, message: &Message) -> Vec<u8> {
        self.sequence += 1;
        self.seal(message, &Extras::default(), SignedDuration::from_mins(-1))
    }

    fn seal(&self, message: &Message, extras: &Extras<'_>, left: SignedDuration) -> Vec<u8> {
        let Introduction { agent, center, credential, .. } = &self.introduction;
        let key = credential.channel(Direction::ToAppliance, agent, center);
        let expires = now().saturating_add(left).unwrap();
        let created = expires.saturating_sub(LIFE).unwrap();
        let id = MessageId::generate(&mut system_random);
        let header = Header::new(message, center.clone().into(), id, created, expires);
        let addressee = Addressee { key: &key, sequence: self.sequence };
        let sealed = seal_with(&header, message, &[addressee], extras, &mut system_random).unwrap();
        let letter = Letter {
            from: "center@center.example",
            to: None,
            header: &header,
            date: header.created,
            sending: 1,
        };
        compose(&letter, &sealed)
    }

    /// Reads a mail as the center does.
    pub(crate) fn open_report(&self, raw: &[u8]) -> (Header, Message, u64) {
        let limits = Limits::default();
        let Classified::Ours { attachment } = classify(raw, &limits) else { panic!("not ours") };
        let parcel = Parcel::split(&attachment, &limits).unwrap();
        let Introduction { agent, center, credential, .. } = &self.introduction;
        let key = credential.channel(Direction::ToCenter, agent, center);
        let opened = open(parcel.envelope, &key, &limits, now()).unwrap();
        (opened.header().clone(), opened.message().unwrap(), opened.sequence())
    }
}
