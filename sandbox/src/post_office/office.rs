//! The inside of the post office: settings, mail store, script of faults, counters, and the delivery of a mail
//! according to its fate.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mailbox::sasl::Mechanism;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::bounce;
use super::faults::{self, Facts, Luck, Outcome, Refusal, Rule, Service};
use super::sasl::Register;
use super::settings::Settings;
use super::store::{Mailbox, OnDemand, Store};

/// What the post office has done since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Mails taken over SMTP, each counted once whatever its recipients.
    pub accepted: u64,
    /// Octets of those mails.
    pub octets: u64,
    /// Mails refused over SMTP: by recipient, or as a whole after the final dot.
    pub refused: u64,
    /// Mails laid into a mailbox: copies, reports of bounces and what was injected included; those held back as well.
    pub delivered: u64,
    /// Mails taken and answered by a report that they cannot be delivered.
    pub bounced: u64,
    /// Mails taken and lost on purpose.
    pub lost: u64,
    /// Sessions that ended by a panic: anything but 0 is a defect of the post office.
    pub broken_sessions: u64,
    /// Connections taken, by protocol.
    pub connections: PerService,
    /// Successful logins, by protocol.
    pub logins: PerService,
    /// Logins with a wrong name or password, by protocol.
    pub failed_logins: PerService,
}

/// One number for each protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerService {
    /// SMTP and its TLS port.
    pub smtp: u64,
    /// POP3 and its TLS port.
    pub pop3: u64,
    /// IMAP and its TLS port.
    pub imap: u64,
}

#[derive(Default)]
struct ServiceCounter([AtomicU64; 3]);

impl ServiceCounter {
    fn add(&self, service: Service) -> u64 {
        self.0[service as usize].fetch_add(1, Ordering::Relaxed)
    }

    fn read(&self) -> PerService {
        let [smtp, pop3, imap] = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        PerService { smtp, pop3, imap }
    }
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    octets: AtomicU64,
    refused: AtomicU64,
    delivered: AtomicU64,
    bounced: AtomicU64,
    broken_sessions: AtomicU64,
    lost: AtomicU64,
    connections: ServiceCounter,
    logins: ServiceCounter,
    failed_logins: ServiceCounter,
    open: AtomicUsize,
}

/// Something to be delivered later.
pub(super) enum Later {
    Deliver { mailbox: Arc<Mailbox>, raw: Arc<[u8]> },
    Release { mailbox: Arc<Mailbox>, ticket: u64 },
}

/// Shared by all sessions.
pub(super) struct Office {
    pub(super) settings: Settings,
    pub(super) store: Store,
    /// Makes the UIDs of this run differ from those of another (RFC 3501 section 2.3.1.1).
    pub(super) uid_validity: u32,
    rules: watch::Sender<Arc<[Rule]>>,
    counters: Counters,
    attempts: Mutex<HashMap<(String, String), u32>>,
    numbers: Mutex<HashMap<String, u64>>,
    tickets: AtomicU64,
    later: mpsc::UnboundedSender<(Instant, Later)>,
}

/// A mail as it was handed in.
pub(super) struct Letter<'a> {
    /// Empty for a bounce.
    pub(super) sender: &'a str,
    /// Each with the number of earlier attempts.
    pub(super) recipients: &'a [(String, u32)],
    /// The header lines that the post office puts in front.
    pub(super) trace: &'a [u8],
    pub(super) content: Vec<u8>,
}

/// What the sender of a mail hears after the final dot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Accepted,
    Refused(Refusal),
    /// Nothing: the connection dies. The mail has been taken all the same.
    Silence,
}

impl Office {
    pub(super) fn new(settings: Settings) -> (Arc<Self>, mpsc::UnboundedReceiver<(Instant, Later)>) {
        let (later, queue) = mpsc::unbounded_channel();
        let on_demand = settings.on_demand.iter();
        let on_demand =
            on_demand.map(|(domain, password)| (domain.to_ascii_lowercase(), password.clone())).collect();
        let office = Self {
            store: Store::new(OnDemand(on_demand)),
            uid_validity: uid_validity(now()),
            rules: watch::Sender::new(Arc::from(settings.faults.clone())),
            settings,
            counters: Counters::default(),
            attempts: Mutex::default(),
            numbers: Mutex::default(),
            tickets: AtomicU64::new(0),
            later,
        };
        (Arc::new(office), queue)
    }

    pub(super) fn rules(&self) -> watch::Receiver<Arc<[Rule]>> {
        self.rules.subscribe()
    }

    pub(super) fn set_rules(&self, rules: Arc<[Rule]>) {
        self.rules.send_replace(rules);
    }

    /// Counts a connection; its luck follows from its number among those of its protocol.
    pub(super) fn connected(&self, service: Service) -> Luck {
        let number = self.counters.connections.add(service);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        let label = match service {
            Service::Smtp => "smtp connection",
            Service::Pop3 => "pop3 connection",
            Service::Imap => "imap connection",
        };
        Luck::of(self.settings.seed, label, number)
    }

    pub(super) fn disconnected(&self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn session_broke(&self) {
        self.counters.broken_sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn open_connections(&self) -> usize {
        self.counters.open.load(Ordering::Relaxed)
    }

    pub(super) fn log_in(&self, service: Service, address: &str, password: &str) -> Option<Arc<Mailbox>> {
        let mailbox = self.store.log_in(address, password);
        let counter = if mailbox.is_some() { &self.counters.logins } else { &self.counters.failed_logins };
        counter.add(service);
        mailbox
    }

    /// The mailbox of who has proven to be its owner.
    pub(super) fn let_in(&self, service: Service, address: &str) -> Option<Arc<Mailbox>> {
        let mailbox = self.store.find(address);
        let counter = if mailbox.is_some() { &self.counters.logins } else { &self.counters.failed_logins };
        counter.add(service);
        mailbox
    }

    /// Somebody has not proven to be who he claims to be.
    pub(super) fn turned_away(&self, service: Service) {
        self.counters.failed_logins.add(service);
    }

    /// The mechanisms as a service announces them.
    pub(super) fn mechanism_names(&self, before_each: &str) -> String {
        let names = self.settings.mechanisms.iter().map(|mechanism| format!(" {before_each}{mechanism}"));
        names.collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Stats {
            accepted: read(&counters.accepted),
            octets: read(&counters.octets),
            refused: read(&counters.refused),
            delivered: read(&counters.delivered),
            bounced: read(&counters.bounced),
            lost: read(&counters.lost),
            broken_sessions: read(&counters.broken_sessions),
            connections: counters.connections.read(),
            logins: counters.logins.read(),
            failed_logins: counters.failed_logins.read(),
        }
    }

    /// Says whether a recipient is taken, and as which attempt of this sender. `size` is the declared one.
    pub(super) fn admit(&self, sender: &str, recipient: &str, size: Option<u64>) -> Result<u32, Refusal> {
        let admitted = self.judge_recipient(sender, recipient, size);
        if admitted.is_err() {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn judge_recipient(&self, sender: &str, recipient: &str, size: Option<u64>) -> Result<u32, Refusal> {
        if self.store.find(recipient).is_none() {
            return Err(Refusal { code: 550, text: "5.1.1 No such mailbox here".to_owned() });
        }
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = attempts.entry((sender.to_owned(), recipient.to_owned())).or_default();
            *count += 1;
            *count - 1
        };
        let facts = facts_of(sender, recipient, size, attempt);
        let luck = Luck::of(self.settings.seed, recipient, u64::from(attempt)).for_recipients();
        let rules = Arc::clone(&self.rules.borrow());
        faults::turn_away(&rules, facts, luck).map_or(Ok(attempt), Err)
    }

    /// Takes a mail: lays it into the mailboxes, now or later, as its fate for each recipient says.
    pub(super) fn take(&self, letter: &Letter<'_>) -> Taken {
        let rules = Arc::clone(&self.rules.borrow());
        let size = letter.content.len() as u64;
        let mut silence = false;
        let mut fates = Vec::with_capacity(letter.recipients.len());
        for (recipient, attempt) in letter.recipients {
            let facts = facts_of(letter.sender, recipient, Some(size), *attempt);
            let fate = faults::decide(&rules, facts, self.next_luck(recipient));
            silence |= fate.dies_before_reply;
            if let Outcome::Refused(refusal) = fate.outcome {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                return if silence { Taken::Silence } else { Taken::Refused(refusal) };
            }
            fates.push((recipient, fate.outcome));
        }
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        self.counters.octets.fetch_add(size, Ordering::Relaxed);
        let whole = shared(letter.trace, &letter.content);
        for (recipient, outcome) in fates {
            self.settle(letter, recipient, outcome, &whole);
        }
        if silence { Taken::Silence } else { Taken::Accepted }
    }

    fn settle(&self, letter: &Letter<'_>, recipient: &str, outcome: Outcome, whole: &Arc<[u8]>) {
        let delivery = match outcome {
            Outcome::Delivered(delivery) => delivery,
            Outcome::Bounced(status) => return self.bounce(letter, recipient, &status),
            Outcome::Lost | Outcome::Refused(_) => {
                self.counters.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let Some(mailbox) = self.store.find(recipient) else { return };
        let raw = faults::spoil(&letter.content, &delivery)
            .map_or_else(|| Arc::clone(whole), |spoiled| shared(letter.trace, &spoiled));
        for _ in 0..delivery.times {
            let (mailbox, raw) = (Arc::clone(&mailbox), Arc::clone(&raw));
            if !delivery.delay.is_zero() {
                self.later(delivery.delay, Later::Deliver { mailbox, raw });
            } else if let Some((behind, at_most)) = delivery.hold {
                let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
                mailbox.hold(ticket, behind, raw, now());
                self.counters.delivered.fetch_add(1, Ordering::Relaxed);
                self.later(at_most, Later::Release { mailbox, ticket });
            } else {
                self.deliver(&mailbox, raw);
            }
        }
    }

    /// Sends the sender a report in place of delivering; a mail without a sender just vanishes (RFC 3464 section 2).
    fn bounce(&self, letter: &Letter<'_>, recipient: &str, status: &str) {
        self.counters.bounced.fetch_add(1, Ordering::Relaxed);
        let Some(mailbox) = self.store.existing(letter.sender) else { return };
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        let report = bounce::Report {
            reporter: &self.settings.name,
            sender: letter.sender,
            recipient,
            status,
            number,
            date: now(),
        };
        self.deliver(&mailbox, Arc::from(report.write(&letter.content)));
    }

    /// Lays a mail into a mailbox at once, whatever the script says.
    pub(super) fn deliver(&self, mailbox: &Mailbox, raw: Arc<[u8]>) -> u32 {
        self.counters.delivered.fetch_add(1, Ordering::Relaxed);
        mailbox.deliver(raw, now())
    }

    fn later(&self, delay: std::time::Duration, what: Later) {
        if let Some(due) = Instant::now().checked_add(delay) {
            // A stopped post office delivers nothing any more.
            let _ = self.later.send((due, what));
        }
    }

    /// The luck of the next mail to a recipient: by its number in that mailbox, whatever else goes on beside it.
    fn next_luck(&self, recipient: &str) -> Luck {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.entry(recipient.to_owned()).or_default();
        *number += 1;
        Luck::of(self.settings.seed, recipient, *number)
    }

    /// Delivers what was put off, when its time comes. Runs until it is dropped.
    pub(super) async fn deliver_late(&self, mut queue: mpsc::UnboundedReceiver<(Instant, Later)>) {
        let mut waiting: BTreeMap<(Instant, u64), Later> = BTreeMap::new();
        let mut number = 0_u64;
        loop {
            let next = waiting.first_key_value().map(|((due, _), _)| *due);
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                came = queue.recv() => match came {
                    Some((due, what)) => {
                        number += 1;
                        waiting.insert((due, number), what);
                    }
                    None => return,
                },
                () = due => match waiting.pop_first().map(|(_, what)| what) {
                    Some(Later::Deliver { mailbox, raw }) => {
                        self.deliver(&mailbox, raw);
                    }
                    Some(Later::Release { mailbox, ticket }) => {
                        mailbox.release(ticket);
                    }
                    None => {}
                },
            }
        }
    }
}

/// Greater at every start, in steps of 64 ms, for some years.
fn uid_validity(now: Timestamp) -> u32 {
    let steps = (now.as_millisecond() >> 6) & i64::from(u32::MAX);
    u32::try_from(steps).unwrap_or(1).max(1)
}

fn facts_of<'a>(sender: &'a str, recipient: &'a str, size: Option<u64>, attempt: u32) -> Facts<'a> {
    Facts { service: Service::Smtp, sender: Some(sender), recipient: Some(recipient), size, attempt }
}

fn shared(trace: &[u8], content: &[u8]) -> Arc<[u8]> {
    Arc::from([trace, content].concat())
}

/// The time of day, for trace headers and IMAP's internal date.
#[expect(clippy::disallowed_methods, reason = "the post office's one look at the clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

impl Register for Office {
    fn mechanisms(&self) -> &[Mechanism] {
        &self.settings.mechanisms
    }

    fn password_of(&self, name: &str) -> Option<String> {
        self.store.password_of(name)
    }

    fn check_token(&self, name: &str, token: &str) -> Result<(), String> {
        let owner = self.settings.tokens.as_ref().and_then(|tokens| tokens.owner(token));
        let owner = owner.filter(|owner| owner.mailbox.eq_ignore_ascii_case(name));
        let failure =
            || r#"{"status":"401","schemes":"Bearer","scope":"https://outlook.office365.com/.default"}"#;
        owner.map(|_| ()).ok_or_else(|| failure().to_owned())
    }

    fn nonce(&self) -> String {
        let mut octets = [0; 12];
        getrandom::fill(&mut octets).expect("the kernel has random numbers for us");
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}
