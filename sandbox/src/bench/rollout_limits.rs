//! `rollout-limits`: a week of rollouts to 10,000 appliances through one mailbox at Exchange Online, in virtual time. Outbox,
//! budget and answer slots are the center's own, on a database that is opened anew now and then, as after a kill; how an
//! appliance waits is its own. A book of every mail that went out or came in is counted window by window afterwards, by
//! nothing that the center counts with.
//!
//! Each appliance looks for mail every three minutes, installs, and sends its version report in its slot; one of a hundred is
//! off for up to two days, one of a hundred has a clock that is years wrong, and mail that nobody asked for comes besides.

use super::Figure;
use anyhow::{Context as _, ensure};
use center_manager::budget::{Bounds, Window};
use center_manager::db::Db;
use center_manager::db::appliances::NewAppliance;
use center_manager::db::outbox::{NewMail, Priority, Try};
use center_manager::{rollout, sending, slots};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Credential;
use mailfmt::slot::AnswerSlot;
use mailfmt::{AgentId, Command, Digest, Message, MessageId, Receipt, SoftwareVersion};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const FLEET: u32 = 10_000;
const ACCOUNT: &str = "main";
/// The settings' own bound; the provider's is 500.
const RECIPIENTS_PER_MAIL: usize = 1_000;
/// Sessions by which mail is handed in at once, as the provider allows, and the seconds that a mail takes.
const SESSIONS: usize = 3;
const HAND_IN_SECS: i64 = 2;
/// Mails an hour that nobody asked for.
const STRANGERS_PER_HOUR: i64 = 40;
/// When the rollouts begin, in hours of the week.
const BEGINS: [i64; 3] = [0, 56, 112];
const WEEK_HOURS: i64 = 7 * 24;
/// So long after the week the last answers may come.
const LATE_HOURS: i64 = 72;
/// The database is opened anew after so many passes; the last mail before is taken and not noted.
const PASSES_PER_LIFE: usize = 97;

/// A mail in the book: when the provider counted it, and how many recipients it had.
type Entry = (Timestamp, u32);

/// Random numbers of one seed.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = super::rollout_blast::mix(self.0);
        self.0
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = to.abs_diff(from).saturating_add(1);
        from.saturating_add(i64::try_from(self.next() % span).unwrap_or(0))
    }
}

fn secs(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

/// How one rollout fared.
#[derive(Default)]
struct Fared {
    sent: Option<Timestamp>,
    answered: Option<Timestamp>,
    answers: u32,
}

struct World {
    path: PathBuf,
    db: Db,
    bounds: Bounds,
    agents: Vec<AgentId>,
    lots: Lots,
    now: Timestamp,
    /// What is to come in: the rollout and the appliance that answers; `None` for strangers.
    arrivals: BTreeSet<(Timestamp, Option<usize>, u32)>,
    answered: BTreeMap<(usize, AgentId), bool>,
    /// Rollouts by their messages.
    orders: BTreeMap<MessageId, usize>,
    fared: Vec<Fared>,
    sent: Vec<Entry>,
    received: Vec<Entry>,
    passes: usize,
    restarts: u32,
}

impl World {
    fn new(path: PathBuf, seed: u64, now: Timestamp) -> anyhow::Result<Self> {
        let provider = mailbox::provider::named("exchange-online").context("there is a profile")?;
        let mut db = Db::create(&path)?;
        let agents: Vec<AgentId> =
            (1..=FLEET).map(|number| AgentId::new(&format!("AGENT{number:07}"))).collect::<Result<_, _>>()?;
        let new = |agent: &AgentId| NewAppliance {
            agent: agent.clone(),
            address: format!("{}@site.example", agent.as_str().to_lowercase()),
            customer: String::new(),
            credential: Credential::from_bytes([7; 32]),
            tags: Vec::new(),
        };
        db.add_appliances(&agents.iter().map(new).collect::<Vec<_>>(), now)?;
        let mut lots = Lots(seed);
        let mut arrivals = BTreeSet::new();
        for hour in 0..WEEK_HOURS {
            for nth in 0..STRANGERS_PER_HOUR {
                let at = now + secs(hour * 3_600 + lots.between(0, 3_599));
                arrivals.insert((at, None, u32::try_from(nth)?));
            }
        }
        Ok(Self {
            path,
            db,
            bounds: Bounds::of(&provider.limits),
            agents,
            lots,
            now,
            arrivals,
            answered: BTreeMap::new(),
            orders: BTreeMap::new(),
            fared: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            passes: 0,
            restarts: 0,
        })
    }

    fn message_id(&mut self) -> MessageId {
        let (one, other) = (self.lots.next().to_be_bytes(), self.lots.next().to_be_bytes());
        let mut octets = [0; 16];
        octets.iter_mut().zip(one.into_iter().chain(other)).for_each(|(to, from)| *to = from);
        MessageId::from_bytes(octets)
    }

    /// A rollout begins: one message to all.
    fn begin(&mut self) -> anyhow::Result<()> {
        let id = self.message_id();
        let lots = &mut self.lots;
        let mut random = |octets: &mut [u8]| octets.fill_with(|| lots.next().to_be_bytes()[0]);
        let target = SoftwareVersion::new("1.0.02-0")?;
        let order = rollout::enclose(b"a package", Digest::of(b"a manifest"), target, &mut random);
        let message = Message::Command(Command::Update(order));
        self.orders.insert(id, self.fared.len());
        self.fared.push(Fared::default());
        let agents = self.agents.clone();
        self.enqueue(&message, id, Priority::Bulk, &agents)
    }

    fn enqueue(
        &mut self,
        message: &Message,
        id: MessageId,
        priority: Priority,
        agents: &[AgentId],
    ) -> anyhow::Result<()> {
        let mail = NewMail {
            message,
            id,
            in_reply_to: None,
            package: None,
            priority,
            created: self.now,
            expires: self.now + SignedDuration::from_hours(24 * 7),
            not_before: self.now,
        };
        self.db.enqueue(&mail, agents)?;
        Ok(())
    }

    /// What one pass of the daemon does; when the next is worth its while.
    fn pass(&mut self) -> anyhow::Result<Timestamp> {
        let idle = self.now + secs(60);
        let due = self.db.due(self.now, 10_000)?;
        if due.is_empty() {
            return Ok(idle);
        }
        let per_mail = self.bounds.recipients_of_one_mail(RECIPIENTS_PER_MAIL);
        let mut plans = sending::plan(&due, per_mail);
        let since = self.now - SignedDuration::from_hours(24);
        let mut spent = self.db.spent(ACCOUNT, since)?;
        let recipients = plans.iter().map(|plan| u32::try_from(plan.recipients.len()).unwrap_or(u32::MAX));
        let (counted, waits_until) = spent.admit(&self.bounds, recipients, self.now);
        plans.truncate(counted.len());
        let ids = self.db.spend(ACCOUNT, &counted, self.now, since)?;
        self.passes += 1;
        let killed = self.passes.is_multiple_of(PASSES_PER_LIFE);
        let last = plans.len().saturating_sub(1);
        let began = self.now;
        for (nth, (plan, id)) in plans.iter().zip(ids).enumerate() {
            let outgoing = self.db.outgoing(plan.outbox)?.context("what is due is in the outbox")?;
            let rollout = self.orders.get(&outgoing.id).copied();
            let agents: Vec<_> = plan.recipients.iter().map(|due| due.agent.clone()).collect();
            let unplanned = self.db.unplanned_reports(self.now)?;
            let pace = slots::pace(&self.bounds.received, unplanned).filter(|_| rollout.is_some());
            let slot = match pace {
                Some((each, _)) => self.db.book_answers(ACCOUNT, plan.outbox, &agents, each, began)?,
                None => None,
            };
            let taken = began + secs(HAND_IN_SECS * i64::try_from(nth / SESSIONS + 1)?);
            self.now = taken;
            self.sent.push((taken, u32::try_from(agents.len())?));
            if let Some(rollout) = rollout {
                self.deliver(rollout, &agents, slot)?;
            }
            if killed && nth == last {
                // Taken by the server and not noted: it goes out again.
                break;
            }
            self.db.settle_spent(&[id], &[], taken)?;
            let tries: Vec<_> = agents.into_iter().map(|agent| (plan.outbox, agent, Try::Accepted)).collect();
            self.db.record_tries(&tries, taken)?;
        }
        if killed {
            self.restarts += 1;
            self.db = Db::open(&self.path)?;
        }
        Ok(waits_until.unwrap_or(self.now).max(self.now + secs(1)))
    }

    /// A mail reaches its recipients, who wait as it says.
    fn deliver(
        &mut self,
        rollout: usize,
        agents: &[AgentId],
        slot: Option<AnswerSlot>,
    ) -> anyhow::Result<()> {
        let sent = self.now;
        self.fared.get_mut(rollout).context("the rollout has begun")?.sent = Some(sent);
        for (place, agent) in agents.iter().enumerate() {
            if self.answered.insert((rollout, agent.clone()), false).is_some() {
                // Read before: its answer waits already.
                continue;
            }
            let off = match self.lots.between(1, 100) {
                1 => self.lots.between(3_600, 48 * 3_600),
                _ => 0,
            };
            let read = sent + secs(self.lots.between(2, 60) + self.lots.between(0, 180) + off);
            let clock = match self.lots.between(1, 100) {
                1 => secs(self.lots.between(-10, 10) * 365 * 86_400),
                _ => SignedDuration::ZERO,
            };
            let wait = slot.map_or(SignedDuration::ZERO, |slot| slot.wait(place, read + clock));
            let installed = read + secs(self.lots.between(60, 480));
            let at = (read + wait).max(installed) + secs(self.lots.between(1, 20));
            let number: u32 = agent.as_str().trim_start_matches("AGENT").parse()?;
            self.arrivals.insert((at, Some(rollout * 2 + usize::from(off > 0)), number));
        }
        Ok(())
    }

    fn all_answered(&self) -> bool {
        self.fared.len() == BEGINS.len() && self.fared.iter().all(|fared| fared.answers == FLEET)
    }

    /// What has come in by now.
    fn take_in(&mut self) -> anyhow::Result<()> {
        while let Some((at, kind, number)) = self.arrivals.first().copied().filter(|(at, ..)| *at <= self.now)
        {
            self.arrivals.pop_first();
            self.received.push((at, 1));
            let Some(kind) = kind else { continue };
            let fared = self.fared.get_mut(kind / 2).context("the rollout has begun")?;
            fared.answers += 1;
            // A box that was off is late by its own doing.
            if kind % 2 == 0 {
                fared.answered = fared.answered.max(Some(at));
            }
            let place = usize::try_from(number)? - 1;
            let agent = self.agents.get(place).context("a known appliance")?.clone();
            let receipt = Receipt {
                report: self.message_id(),
                number: number.into(),
                received: at,
                content: "version".to_owned(),
                description: String::new(),
                latest: None,
            };
            let id = self.message_id();
            self.enqueue(&Message::Receipt(receipt), id, Priority::Late, &[agent])?;
        }
        Ok(())
    }
}

/// Windows that hold more than allowed: for each mail, what the span that ends with it holds. Counted one by one.
fn breaches(book: &[Entry], window: Window, of: impl Fn(&Entry) -> u64) -> u32 {
    let mut book = book.to_vec();
    book.sort_unstable();
    let span = secs(window.span_secs.into());
    let mut found = 0;
    for (nth, (last, _)) in book.iter().enumerate() {
        let inside = book.iter().take(nth + 1).rev().take_while(|(at, _)| last.duration_since(*at) < span);
        if inside.map(&of).sum::<u64>() > u64::from(window.most) {
            found += 1;
        }
    }
    found
}

/// Measures.
///
/// # Errors
/// When a rollout comes to no end.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let seed = now.as_millisecond().unsigned_abs();
    let folder = match std::path::Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm")?,
        false => tempfile::tempdir()?,
    };
    let mut world = World::new(folder.path().join("fleet.db"), seed, now)?;
    eprintln!("  seed {seed}; {FLEET} appliances, {} rollouts in a week, Exchange Online", BEGINS.len());
    let bar = ProgressBar::new(WEEK_HOURS.unsigned_abs()).with_style(
        ProgressStyle::with_template("  [{bar:40}] hour {pos} of {len}, {elapsed}")?.progress_chars("=> "),
    );
    let end = now + SignedDuration::from_hours(WEEK_HOURS);
    let begins = BEGINS.map(|hour| now + SignedDuration::from_hours(hour));
    // Boxes that were off until the end of the week answer after it.
    let latest = end + SignedDuration::from_hours(LATE_HOURS);
    while world.now < end || (!world.all_answered() && world.now < latest) {
        let begun = world.fared.len();
        if begins.get(begun).is_some_and(|at| *at <= world.now) {
            world.begin()?;
        }
        world.take_in()?;
        let next = world.pass()?;
        let coming = begins.get(world.fared.len()).copied().unwrap_or(latest);
        world.now = world.now.max(next.min(coming).min(world.now + secs(60)));
        bar.set_position(world.now.duration_since(now).as_hours().unsigned_abs());
    }
    bar.finish_and_clear();
    let mut times = Vec::new();
    for (fared, begun) in world.fared.iter().zip(begins) {
        let (sent, answered) = fared.sent.zip(fared.answered).context("a rollout came to no end")?;
        ensure!(fared.answers == FLEET, "only {} of {FLEET} have answered", fared.answers);
        times.push((sent.duration_since(begun), answered.duration_since(begun)));
    }
    // It takes all recipients that the provider allows in a day. The later ones find receipts of the one before among them,
    // and their last mails wait until these are a day old: no plan can send sooner.
    let (send, answer) = times.first().copied().context("there was a rollout")?;
    let later: Vec<_> = times.iter().skip(1).map(|(sent, _)| format!("{}", sent.as_mins())).collect();
    let later =
        format!("; with receipts of the one before in the day's allowance: {} min", later.join(" and "));
    let Bounds { mails, recipients, received, .. } = &world.bounds;
    let count = |book: &[Entry], windows: &[Window], of: fn(&Entry) -> u64| -> u32 {
        windows.iter().map(|window| breaches(book, *window, of)).sum()
    };
    let broken = count(&world.sent, mails, |_| 1)
        + count(&world.sent, recipients, |(_, recipients)| (*recipients).into())
        + count(&world.received, received, |_| 1);
    let hourly = received.first().context("what comes in is bounded")?;
    // Nobody has installed before the lead is over, and then the limit lets so many in, one after the other.
    let lead = slots::earliest(now, true).duration_since(now);
    let by_limit = f64::from(FLEET) * f64::from(hourly.span_secs) / f64::from(hourly.most);
    let least = lead.as_secs_f64() + by_limit;
    eprintln!(
        "  {} mails out, {} in, {} restarts; least possible {:.1} min",
        world.sent.len(),
        world.received.len(),
        world.restarts,
        least / 60.0
    );
    let figure = |figure, value, unit, against: String| Figure {
        bench: "rollout-limits",
        figure,
        value,
        unit,
        against,
    };
    Ok(vec![
        figure(
            "send_minutes",
            send.as_secs_f64() / 60.0,
            "min from the start to the last mail to 10,000, with the day's allowance to itself",
            format!("limit: 20{later}"),
        ),
        figure(
            "answer_minutes",
            answer.as_secs_f64() / 60.0,
            "min from the start to the last answer of a box that was on, with the day's allowance to itself",
            "limit: 210".to_owned(),
        ),
        figure(
            "breaches",
            f64::from(broken),
            "sliding windows of a week with more mails or recipients than allowed",
            format!("limit: 0; {} mails out and {} in counted", world.sent.len(), world.received.len()),
        ),
        figure(
            "over_optimum_percent",
            (answer.as_secs_f64() / least - 1.0) * 100.0,
            "% longer than the limit needs",
            format!(
                "limit: 5; least: {:.0} min until it is read and installed, then {FLEET} at {} in {} s evenly",
                lead.as_secs_f64() / 60.0,
                hourly.most,
                hourly.span_secs
            ),
        ),
    ])
}
