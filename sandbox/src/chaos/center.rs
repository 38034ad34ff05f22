//! The center: its real intake, database and sending, with the play in place of sockets and of the operator's hand.

mod backup;
mod rollouts;

pub(crate) use rollouts::Mark;

use super::book::{Book, Step, What};
use super::dice::Dice;
use super::orders::Package;
use super::post::{Answer, Mail, PostOffice};
use super::site::{Crashed, step_of};
use super::{CENTER_BOX, Clockwork, center_address};
use anyhow::Context as _;
use center_manager::db::Db;
use center_manager::db::appliances::NewAppliance;
use center_manager::db::filed::{Filed, Rules};
use center_manager::db::outbox::{NewMail, Priority};
use center_manager::enrolment::AdmissionTerms;
use center_manager::intake::{Keyring, judge};
use center_manager::rollout;
use center_manager::sending::{self, Behind, MailPlan};
use center_manager::settings::Settings;
use center_manager::system::SystemRandom;
use jiff::{SignedDuration, Timestamp};
use mailbox::smtp::ServerReply;
use mailbox::{RecipientOutcome, SendError};
use mailfmt::crypto::{ChannelKey, Direction};
use mailfmt::message::Family;
use mailfmt::{AgentId, Command, Message, MessageId};
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Crashes in a million, at each place where the daemon may end.
const CRASHES: u32 = 3_000;

/// The same for a transaction of filing, which is one for many mails.
const FILING_CRASHES: u32 = 15_000;

/// Between two looks at the rollouts; each looks at every target, which would take most of a play's time.
const TICK_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// What a transaction may be broken off at.
const BREAKING_POINTS: [&str; 9] = [
    "INSERT ON report",
    "UPDATE ON report",
    "INSERT ON outbox",
    "INSERT ON outbox_recipient",
    "UPDATE ON outbox_recipient",
    "INSERT ON fault",
    "INSERT ON ledger_entry",
    "INSERT ON ledger_finding",
    "UPDATE ON appliance",
];

/// Results are noted together, as in the daemon.
const NOTE_EVERY: usize = 64;

struct Live {
    db: Db,
    incoming: Keyring,
    outgoing: HashMap<AgentId, ChannelKey>,
}

/// The center.
pub(crate) struct Center {
    file: PathBuf,
    settings: Settings,
    rules: Rules,
    package: Package,
    clock: Arc<Clockwork>,
    live: Option<Live>,
    watch: Option<Connection>,
    backup: Option<backup::Backup>,
    /// Where each appliance stands.
    places: Arc<HashMap<AgentId, usize>>,
    agents: Vec<AgentId>,
    dice: Dice,
    unsteady: bool,
    /// Crashes so far.
    pub(crate) crashes: u64,
    swept: Option<Timestamp>,
    ticked: Option<Timestamp>,
}

/// `further`: lines of the settings that a play needs besides.
fn settings(further: &str) -> anyhow::Result<Settings> {
    let text = format!(
        r#"
center = "CENTER"
address = "{address}"
{further}
[[account]]
name = "main"
address = "{address}"
username = "center"
fetch = "imap"
smtp = {{ host = "localhost", port = 465, security = "tls" }}
fetch_server = {{ host = "localhost", port = 993, security = "tls" }}
"#,
        address = center_address(),
    );
    Ok(Settings::parse(&text)?)
}

impl Center {
    pub(crate) fn set_up(
        folder: &Path,
        clock: Arc<Clockwork>,
        appliances: &[NewAppliance],
        dice: Dice,
        further: &str,
    ) -> anyhow::Result<Self> {
        let (file, settings) = (folder.join("fleet.db"), settings(further)?);
        Db::create(&file)?.add_appliances(appliances, clock.now())?;
        let admission = AdmissionTerms {
            center: settings.center.clone(),
            addresses: settings.addresses(),
            roots: Vec::new(),
            settings: settings.first_settings.clone(),
        };
        let agents: Vec<AgentId> = appliances.iter().map(|new| new.agent.clone()).collect();
        Ok(Self {
            file,
            rules: Rules { receipt_expiry: settings.receipt_expiry, on_clone: settings.on_clone, admission },
            settings,
            package: Package::make(clock.now())?,
            clock,
            live: None,
            watch: None,
            backup: None,
            places: Arc::new(agents.iter().cloned().zip(0..).collect()),
            agents,
            dice,
            unsteady: true,
            crashes: 0,
            swept: None,
            ticked: None,
        })
    }

    /// No crashes from now on.
    pub(crate) fn calm(&mut self) {
        self.unsteady = false;
    }

    fn live(&mut self) -> anyhow::Result<&mut Live> {
        if self.live.is_none() {
            let db = Db::open(&self.file)?;
            let known = db.appliance_keys()?;
            let center = &self.settings.center;
            let incoming = Keyring::of(center, &known);
            let key = |known: &center_manager::intake::ApplianceKeys| {
                (known.agent.clone(), known.present.channel(Direction::ToAppliance, &known.agent, center))
            };
            self.live = Some(Live { db, incoming, outgoing: known.iter().map(key).collect() });
        }
        self.live.as_mut().context("it was just started")
    }

    /// A connection of the play's own.
    pub(crate) fn watch(&mut self) -> anyhow::Result<&Connection> {
        if self.watch.is_none() {
            self.watch = Some(Connection::open(&self.file)?);
        }
        self.watch.as_ref().context("it was just opened")
    }

    fn crash(&mut self) -> Crashed {
        self.live = None;
        self.crashes += 1;
        Crashed
    }

    fn fate(&mut self) -> Result<(), Crashed> {
        if self.unsteady && self.dice.hits(CRASHES) { Err(self.crash()) } else { Ok(()) }
    }

    /// Runs `work`, which may be broken off in the middle of a transaction by the daemon's end.
    fn endangered<T>(
        &mut self,
        per_million: u32,
        work: impl FnOnce(&mut Live) -> anyhow::Result<T>,
    ) -> anyhow::Result<Result<T, Crashed>> {
        let struck = self.unsteady && self.dice.hits(per_million);
        if struck {
            let point = BREAKING_POINTS.get(self.dice.place(BREAKING_POINTS.len())).context("a point")?;
            self.watch()?.execute_batch(&format!(
                "CREATE TRIGGER chaos BEFORE {point} BEGIN SELECT RAISE(ABORT, 'the process ends'); END"
            ))?;
        }
        let done = work(self.live()?);
        if struck {
            let crashed = self.crash();
            self.watch()?.execute_batch("DROP TRIGGER IF EXISTS chaos")?;
            return Ok(Err(crashed));
        }
        done.map(Ok)
    }

    /// One pass of the daemon. What is broken off goes on in the next one.
    pub(crate) fn turn(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<()> {
        if self.read(post, book)?.is_err() || self.sweep()?.is_err() || self.tick()?.is_err() {
            return Ok(());
        }
        self.send(post, book).map(drop)
    }

    fn read(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<Result<(), Crashed>> {
        let now = self.clock.now();
        if !post.has_mail(CENTER_BOX, now) || !post.lets_in() {
            return Ok(Ok(()));
        }
        let listed = post.list(CENTER_BOX, now);
        let (limits, rules) = (self.settings.wire_limits(), self.rules.clone());
        let mut deleted = Vec::new();
        for batch in listed.chunks(self.settings.mails_per_batch) {
            let clock = Arc::clone(&self.clock);
            let live = self.live()?;
            let mut verdicts = Vec::with_capacity(batch.len());
            for (_, mail) in batch {
                clock.count_delivery();
                book.read(mail, now);
                verdicts.push(judge(&mail.raw, &live.incoming, &limits, now));
            }
            let filed = self.endangered(FILING_CRASHES, |live| {
                Ok(live.db.file(&verdicts, now, &rules, &mut SystemRandom)?)
            })?;
            let filed = match filed {
                Ok(filed) => filed,
                Err(crashed) => return Ok(Err(crashed)),
            };
            for (filed, (_, mail)) in filed.iter().zip(batch) {
                match filed {
                    Filed::New { .. } => book.note(mail.serial, Step::Filed, now),
                    Filed::Repeat { .. } => book.note(mail.serial, Step::CameAgain, now),
                    _ => {}
                }
            }
            if let Err(crashed) = self.fate() {
                return Ok(Err(crashed));
            }
            deleted.extend(batch.iter().map(|(uid, _)| *uid));
        }
        if !post.breaks() {
            post.delete(CENTER_BOX, &deleted);
        }
        Ok(Ok(()))
    }

    fn sweep(&mut self) -> anyhow::Result<Result<(), Crashed>> {
        let now = self.clock.now();
        if self.swept.is_some_and(|at| now.duration_since(at) < SignedDuration::from_mins(10)) {
            return Ok(Ok(()));
        }
        self.swept = Some(now);
        self.endangered(CRASHES, |live| {
            live.db.expire_outbox(now)?;
            live.db.repeat_commands(now)?;
            Ok(())
        })
    }

    /// The rollouts are brought as far as they can come.
    fn tick(&mut self) -> anyhow::Result<Result<(), Crashed>> {
        let now = self.clock.now();
        if self.ticked.is_some_and(|at| now.duration_since(at) < TICK_PAUSE) {
            return Ok(Ok(()));
        }
        self.ticked = Some(now);
        self.endangered(CRASHES, |live| {
            rollout::tick(&mut live.db, now, &mut SystemRandom)?;
            Ok(())
        })
    }

    fn send(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<Result<(), Crashed>> {
        let now = self.clock.now();
        let (recipients, mails) = (self.settings.recipients_per_mail, self.settings.sends_per_pass);
        let due = self.live()?.db.due(now, mails.saturating_mul(recipients))?;
        let mut plans = sending::plan(&due, recipients);
        plans.truncate(mails);
        if plans.is_empty() || !post.lets_in() {
            return Ok(Ok(()));
        }
        let mut sendings = HashMap::new();
        for plan in &plans {
            let before = self.live()?.db.outgoing(plan.outbox)?.map_or(0, |outgoing| outgoing.sendings);
            sendings.entry(plan.outbox).or_insert(before);
        }
        let counts: Vec<_> = plans.iter().map(|plan| (plan.outbox, 1)).collect();
        self.live()?.db.count_sendings(&counts)?;
        let mut tries = Vec::new();
        for plan in &plans {
            let sending = sendings.entry(plan.outbox).or_default();
            *sending += 1;
            let sending = *sending;
            let outcomes = self.hand_in(plan, sending, post, book)?;
            let broken = outcomes.is_err();
            tries.extend(match outcomes {
                Ok(outcomes) => sending::answers(plan, &outcomes, now, &self.settings),
                Err(error) => sending::failure(plan, &error, now, &self.settings),
            });
            // What a crash loses of this goes out twice.
            if let Err(crashed) = self.fate() {
                return Ok(Err(crashed));
            }
            if tries.len() >= NOTE_EVERY || broken {
                let noted = std::mem::take(&mut tries);
                if let Err(crashed) =
                    self.endangered(CRASHES, |live| Ok(live.db.record_tries(&noted, now)?))?
                {
                    return Ok(Err(crashed));
                }
            }
            if broken {
                break;
            }
        }
        self.endangered(CRASHES, |live| Ok(live.db.record_tries(&tries, now)?))
    }

    fn hand_in(
        &mut self,
        plan: &MailPlan,
        sending: u32,
        post: &mut PostOffice,
        book: &mut Book,
    ) -> anyhow::Result<Result<Vec<(String, RecipientOutcome)>, SendError>> {
        let now = self.clock.now();
        let (center, places) = (self.settings.center.clone(), Arc::clone(&self.places));
        let enclosure = Arc::clone(&self.package.enclosure);
        let live = self.live()?;
        let outgoing = live.db.outgoing(plan.outbox)?.context("what is due is in the outbox")?;
        let keyed: Vec<_> = plan
            .recipients
            .iter()
            .filter_map(|due| Some((due.clone(), live.outgoing.get(&due.agent)?.clone())))
            .collect();
        let sequence = plan.recipients.first().map_or(0, |due| due.sequence);
        let origin = live.db.origin(sequence)?;
        let from = sending::From {
            center: &center,
            address: center_address(),
            signer: None,
            follows: origin.follows,
            begins: origin.begins,
            latest: None,
            date: now,
            slot: None,
        };
        let is_order = outgoing.payload.contains("\"content_key\"");
        let behind = if is_order { Behind::Octets(&enclosure) } else { Behind::Nothing };
        let mail = sending::write_mail(&outgoing, sending, &keyed, from, behind, &mut SystemRandom)?;
        let kind = Message::parse(outgoing.family, outgoing.payload.as_bytes())?.kind().to_owned();
        let mut outcomes = Vec::with_capacity(plan.recipients.len());
        for due in &plan.recipients {
            let place = *places.get(&due.agent).context("it is in the fleet")?;
            let about = match outgoing.family {
                Family::Receipt => outgoing.in_reply_to.and_then(|report| book.serial(report, place)),
                // One that the center gave by itself is entered when it first goes out.
                _ => Some(book.enter_once(What::Command, outgoing.id, place, &kind, (outgoing.expires, now))),
            };
            let serial = about.context("a receipt is for a report of the book")?;
            let is_receipt = outgoing.family == Family::Receipt;
            let first_sending = !is_receipt && book.first_sending(serial);
            let answer = post.hand_in(
                place,
                Mail { serial, first_sending, whole: true, raw: Arc::clone(&mail.raw) },
                now,
            );
            book.note(serial, if is_receipt { Step::ReceiptTaken } else { step_of(answer) }, now);
            let reply = || ServerReply { code: 451, enhanced: None, text: "not now".to_owned() };
            match answer {
                Answer::Taken => outcomes.push((due.address.clone(), RecipientOutcome::Accepted)),
                Answer::Refused => outcomes.push((due.address.clone(), RecipientOutcome::Deferred(reply()))),
                Answer::Died => return Ok(Err(SendError::Unconfirmed)),
            }
        }
        Ok(Ok(outcomes))
    }

    /// The operator gives a command to some appliances.
    pub(crate) fn command(&mut self, book: &mut Book) -> anyhow::Result<()> {
        let now = self.clock.now();
        let command = self.package.any_command(&mut self.dice);
        let mut recipients = Vec::new();
        for _ in 0..=self.dice.below(4) {
            let agent = self.agents.get(self.dice.place(self.agents.len())).context("a fleet")?;
            if !recipients.contains(agent) {
                recipients.push(agent.clone());
            }
        }
        let (id, expires) = (MessageId::generate(&mut crate::random()), now + self.settings.command_expiry);
        let kind = command.kind().to_owned();
        let done =
            self.endangered(CRASHES, |live| enqueue(&mut live.db, command, id, &recipients, now, expires))?;
        let stands: bool = self
            .watch()?
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE message = ?1)")?
            .query_row((id.as_bytes(),), |row| row.get(0))?;
        anyhow::ensure!(stands || done.is_err(), "a command that was stored does not stand in the outbox");
        for agent in recipients.iter().filter(|_| stands) {
            let place = *self.places.get(agent).context("it is in the fleet")?;
            book.enter(What::Command, id, place, &kind, expires, now);
        }
        Ok(())
    }

    /// What waits to be sent, or for an answer that may still come.
    pub(crate) fn waiting(&mut self) -> anyhow::Result<u32> {
        let now = self.clock.now().as_millisecond();
        Ok(self
            .watch()?
            .prepare_cached(
                "SELECT count(*) FROM outbox_recipient r JOIN outbox o ON o.id = r.outbox
                 WHERE r.state = 'queued' OR (o.family = 'command' AND r.state <> 'answered' AND o.expires >= ?1)",
            )?
            .query_row((now,), |row| row.get(0))?)
    }

    /// The stories of some commands that wait for an answer.
    pub(crate) fn unanswered(&mut self, book: &Book) -> anyhow::Result<String> {
        let (now, places) = (self.clock.now().as_millisecond(), Arc::clone(&self.places));
        let mut statement = self.watch()?.prepare(
            "SELECT o.message, r.agent, r.state, r.attempts FROM outbox_recipient r JOIN outbox o ON o.id = r.outbox
             WHERE r.state = 'queued' OR (o.family = 'command' AND r.state <> 'answered' AND o.expires >= ?1) LIMIT 3",
        )?;
        let mut rows = statement.query((now,))?;
        let mut stories = String::new();
        while let Some(row) = rows.next()? {
            let (message, agent): ([u8; 16], String) = (row.get(0)?, row.get(1)?);
            let (state, attempts): (String, u32) = (row.get(2)?, row.get(3)?);
            let place = places.get(&AgentId::new(&agent)?).copied().unwrap_or(0);
            let serial = book.serial(MessageId::from_bytes(message), place);
            let story = serial.map_or_else(String::new, |serial| book.story(serial));
            stories.push_str(&format!("\n{state} after {attempts} tries: {story}"));
        }
        Ok(stories)
    }

    /// The appliances, in their places.
    pub(crate) fn places(&self) -> &HashMap<AgentId, usize> {
        &self.places
    }
}

fn enqueue(
    db: &mut Db,
    command: Command,
    id: MessageId,
    recipients: &[AgentId],
    now: Timestamp,
    expires: Timestamp,
) -> anyhow::Result<()> {
    let mail = NewMail {
        message: &Message::Command(command),
        id,
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now,
        expires,
        not_before: now,
    };
    db.enqueue(&mail, recipients)?;
    Ok(())
}
