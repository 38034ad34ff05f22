//! Filing what came in: one durable transaction per batch of mails, receipts included.

use super::alarms::{self, NewAlarm};
use super::census;
use super::columns::{At, Id, count, uncount};
use super::enrolment::{self, ContactStep, Desk};
use super::outbox::{self, NewMail, Priority};
use super::standing::{self, Heard};
use super::{Db, DbError, devices, epochs, inventory, ledger, parts, returned, rotations, slots, ways};
use crate::clones::{self, Boots, Finding, OnClone};
use crate::enrolment::AdmissionTerms;
use crate::filing::{Change, changes};
use crate::intake::{Arrived, Discard, KeyStanding, Verdict};
use crate::rollout;
use crate::words;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::lineage::Sighting;
use mailfmt::mail::returned::{Cause, Kind};
use mailfmt::mail::{Form, Sign};
use mailfmt::message::VersionRequest;
use mailfmt::message::command::PingRequest;
use mailfmt::message::report::{AlarmReport, HealthReport, VersionReportMessage};
use mailfmt::{AgentId, Command, Message, MessageId, Nonce, Receipt, Report};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// A new report; its receipt waits in the outbox.
    New {
        /// Reception number.
        number: u64,
        /// Who sent it.
        agent: AgentId,
        /// What it says, in words.
        description: String,
    },
    /// A report that was filed before; the same receipt goes out again, nothing else happened.
    Repeat {
        /// Reception number of the first one.
        number: u64,
    },
    /// A bounce, a warning, an automatic answer.
    Returned {
        /// What it is.
        kind: Kind,
        /// Why our mail did not arrive.
        cause: Option<Cause>,
        /// The appliance that it is about, or the first of them.
        agent: Option<AgentId>,
        /// Recipients of our messages that stand otherwise now.
        marked: usize,
    },
    /// A word under a provisional code.
    Contact(ContactStep),
    /// Counted and thrown away.
    Discarded(Discard),
}

/// How what comes in is filed.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a receipt is sent.
    pub receipt_expiry: SignedDuration,
    /// What is done when two boxes use one identity.
    pub on_clone: OnClone,
    /// What every admission brings.
    pub admission: AdmissionTerms,
}

/// Octets of a report that are stored without asking how much its appliance has told already.
const SMALL_OCTETS: usize = 16 << 10;

/// Octets of reports that are kept of one appliance in a day: dozens of times the counters of a thousand devices.
const DAILY_OCTETS_MAX: u64 = 64 << 20;

impl Db {
    /// Files a batch of mails in one transaction: when it returns, all of it is on disk and the mails may be deleted;
    /// on an error nothing of it happened. Answers in the order of `verdicts`.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn file(
        &mut self,
        verdicts: &[Verdict],
        now: Timestamp,
        rules: &Rules,
        random: &mut impl Random,
    ) -> Result<Vec<Filed>, DbError> {
        let expires = now.checked_add(rules.receipt_expiry).unwrap_or(Timestamp::MAX);
        self.write(|transaction| {
            let mut filing = Filing { transaction, now, expires, rules, random, shut_out: false };
            verdicts.iter().map(|verdict| filing.file(verdict)).collect()
        })
    }
}

struct Filing<'a, R> {
    transaction: &'a Transaction<'a>,
    now: Timestamp,
    expires: Timestamp,
    rules: &'a Rules,
    random: &'a mut R,
    /// Whether the report at hand has got its appliance suspended.
    shut_out: bool,
}

/// What stands in the journal of a report.
struct Journaled {
    number: u64,
    received: Timestamp,
    kind: String,
    description: String,
    receipt: MessageId,
}

impl<R: Random> Filing<'_, R> {
    fn file(&mut self, verdict: &Verdict) -> Result<Filed, DbError> {
        match verdict {
            Verdict::Report(arrived) => self.file_report(arrived),
            Verdict::Contact(contact) => {
                let mut desk = Desk {
                    transaction: self.transaction,
                    terms: &self.rules.admission,
                    now: self.now,
                    random: &mut *self.random,
                };
                Ok(Filed::Contact(enrolment::file_contact(&mut desk, contact)?))
            }
            Verdict::Knock { code, message, reason } => {
                enrolment::file_knock(self.transaction, *code, message, reason.as_str(), self.now)?;
                self.discard(*reason)
            }
            Verdict::Returned(returned) => returned::file(self.transaction, returned, self.now),
            Verdict::Mangled(mangled) => {
                ways::came_mangled(self.transaction, mangled.from.as_deref(), mangled.how, self.now)?;
                self.discard(Discard::Mangled(mangled.how))
            }
            Verdict::Discarded(reason) => self.discard(*reason),
        }
    }

    fn discard(&mut self, reason: Discard) -> Result<Filed, DbError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO discarded (reason, count, last) VALUES (?1, 1, ?2)
                 ON CONFLICT (reason) DO UPDATE SET count = count + 1, last = excluded.last",
            )?
            .execute(params![reason.as_str(), At(self.now)])?;
        Ok(Filed::Discarded(reason))
    }

    fn file_report(&mut self, arrived: &Arrived) -> Result<Filed, DbError> {
        match arrived.key {
            KeyStanding::Admitted { exchange } => {
                enrolment::take_over(self.transaction, &arrived.agent, exchange, self.now)?;
            }
            KeyStanding::Only | KeyStanding::Present | KeyStanding::Before => {}
        }
        let sighting = Sighting {
            sequence: arrived.sequence,
            follows: arrived.follows,
            begins: arrived.begins,
            created: arrived.created,
        };
        // What is played back is no sign of life.
        let known = repeat(self.transaction, arrived)?;
        let (heard, fork) =
            standing::heard(self.transaction, &arrived.agent, sighting, known.is_none(), self.now)?;
        match heard {
            // The appliance may have been removed since its mail was judged.
            Heard::Removed => return self.discard(Discard::UnknownSender),
            Heard::Suspended => return self.discard(Discard::Suspended),
            Heard::First => enrolment::first_heard(self.transaction, &arrived.agent, self.now)?,
            Heard::Again => {}
        }
        if arrived.form == Form::Armoured {
            ways::learn(self.transaction, &arrived.agent, &Sign::CameArmoured, self.now)?;
        }
        if arrived.key == KeyStanding::Present {
            rotations::confirmed(self.transaction, &arrived.agent, self.now)?;
        }
        if let Some(journaled) = known {
            if !self.send_receipt_again(&journaled)? {
                self.send_receipt(arrived, &journaled)?;
            }
            return Ok(Filed::Repeat { number: journaled.number });
        }
        // A mail that is played back is none of a second box.
        if let Some(fork) = fork {
            self.found(&arrived.agent, Finding::Forked(fork), clones::since(&fork, self.now))?;
        }
        let has_room = self.has_room(arrived)?;
        let journaled = self.journal(arrived, has_room)?;
        if has_room {
            self.apply(arrived, journaled.number)?;
        }
        if let Some(command) = &arrived.in_reply_to {
            outbox::answered(self.transaction, command, &arrived.agent, self.now)?;
        }
        self.tell_rollouts(arrived)?;
        if std::mem::take(&mut self.shut_out) {
            // Its receipt goes out when the report comes again after it was readmitted.
            return Ok(Filed::New {
                number: journaled.number,
                agent: arrived.agent.clone(),
                description: journaled.description,
            });
        }
        self.send_receipt(arrived, &journaled)?;
        if heard == Heard::First && !matches!(arrived.report, Report::Version(_)) {
            self.ask_version(&arrived.agent)?;
        }
        let Journaled { number, description, .. } = journaled;
        Ok(Filed::New { number, agent: arrived.agent.clone(), description })
    }

    /// Whether what one appliance tells in a day is still within bounds; if not, an alarm. A mail of some kilobytes inflates
    /// to megabytes, so whoever stole an appliance could fill the disk with few mails. Small reports are not looked at.
    fn has_room(&mut self, arrived: &Arrived) -> Result<bool, DbError> {
        if arrived.payload.len() <= SMALL_OCTETS {
            return Ok(true);
        }
        let since = self.now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        let told: i64 = self
            .transaction
            .prepare_cached(
                "SELECT ifnull(sum(octet_length(body)), 0) FROM
                     (SELECT body, received FROM report WHERE agent = ?1 ORDER BY number DESC LIMIT 2000)
                 WHERE received >= ?2",
            )?
            .query_row(params![arrived.agent.as_str(), At(since)], |row| row.get(0))?;
        if uncount(told) <= DAILY_OCTETS_MAX {
            return Ok(true);
        }
        let alarm = NewAlarm {
            agent: Some(&arrived.agent),
            kind: "too-much-told",
            subject: "",
            description: "It sends more than any site has to tell in a day; its large reports are answered, but not kept. \
                          If nobody asked for that much, suspend it and look at the site",
            since: self.now,
            reported: false,
        };
        alarms::raise(self.transaction, &alarm, self.now)?;
        Ok(false)
    }

    fn journal(&mut self, arrived: &Arrived, whole: bool) -> Result<Journaled, DbError> {
        let opened = match &arrived.report {
            Report::FaultCleared(report) => {
                devices::fault_words(self.transaction, &arrived.agent, &report.episode)?
            }
            _ => None,
        };
        let description = words::describe(&arrived.report, opened.as_deref());
        let kind = words::plain(arrived.report.kind());
        let receipt = MessageId::generate(self.random);
        self.transaction
            .prepare_cached(
                "INSERT INTO report (message, agent, sequence, in_reply_to, kind, body, description, created,
                     received, receipt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                Id::of(&arrived.message),
                arrived.agent.as_str(),
                count(arrived.sequence),
                arrived.in_reply_to.map(|id| Id::of(&id)),
                kind,
                if whole { arrived.payload.as_str() } else { "{}" },
                description,
                At(arrived.created),
                At(self.now),
                Id::of(&receipt),
            ])?;
        let number = uncount(self.transaction.last_insert_rowid());
        Ok(Journaled { number, received: self.now, kind, description, receipt })
    }

    fn apply(&mut self, arrived: &Arrived, number: u64) -> Result<(), DbError> {
        let origin = devices::Origin::new(&arrived.agent, number, self.now);
        for change in changes(&arrived.report) {
            match change {
                Change::FaultOpened(report) => devices::open_fault(self.transaction, &origin, report)?,
                Change::FaultCleared(report) => devices::clear_fault(self.transaction, &origin, report)?,
                Change::NotCollected { device, address } => {
                    devices::not_collected(self.transaction, &origin, &device, address)?;
                }
                Change::Reading { device, address, at, counters, supplies } => {
                    let reading = devices::Reading { at, counters, supplies };
                    devices::add_reading(self.transaction, &origin, &device, address, &reading)?;
                }
                Change::Ledger(part) => ledger::file(self.transaction, &origin, part)?,
                Change::Version(report) => self.version(arrived, report)?,
                Change::Health(report) => self.health(arrived, report)?,
                Change::Rotation(answer) => {
                    if rotations::answered(self.transaction, arrived, answer, self.now)? {
                        // Asked for under the new credential and answered under it: then the old one is dead.
                        self.command(&arrived.agent, Command::Ping(PingRequest::default()))?;
                    }
                }
                Change::NotDone => {
                    if let Some(message) = &arrived.in_reply_to {
                        rotations::refused(self.transaction, &arrived.agent, message, self.now)?;
                    }
                }
                Change::Alarm(report) => self.alarm(arrived, report)?,
                Change::Inventory(report) => {
                    inventory::file(self.transaction, &origin, arrived.created, &report.devices)?;
                }
                Change::Census(report) => census::file(self.transaction, &origin, report)?,
            }
        }
        Ok(())
    }

    fn version(&mut self, arrived: &Arrived, report: &VersionReportMessage) -> Result<(), DbError> {
        let nonce = report.nonce.map(|nonce| Id(*nonce.as_bytes()));
        let software = report.table.software.as_str();
        // A report that was overtaken by a newer one does not turn the table back.
        self.transaction
            .prepare_cached(
                "UPDATE appliance SET software = ?2, rom = ?3, version_table = ?4, version_hashes = ?5,
                     version_nonce = ?6, version_checked = ?7, version_created = ?8, boot_id = ?9
                 WHERE agent = ?1 AND ifnull(version_created, ?8) <= ?8",
            )?
            .execute(params![
                arrived.agent.as_str(),
                software,
                report.table.rom.as_str(),
                report.table.write(),
                serde_json::to_string(&report.hashes).unwrap_or_default(),
                nonce,
                At(self.now),
                At(arrived.created),
                words::plain(&report.boot_id),
            ])?;
        self.boot(arrived, &report.boot_id)
    }

    /// Two boots that take turns are two boxes.
    fn boot(&mut self, arrived: &Arrived, boot: &str) -> Result<(), DbError> {
        let known: Option<String> = self
            .transaction
            .prepare_cached("SELECT boots FROM appliance WHERE agent = ?1")?
            .query_row([arrived.agent.as_str()], |row| row.get(0))?;
        let before: Boots = known.and_then(|known| serde_json::from_str(&known).ok()).unwrap_or_default();
        let mut boots = before.clone();
        let two = boots.observe(&words::plain(boot), arrived.sequence);
        if boots != before {
            self.transaction.prepare_cached("UPDATE appliance SET boots = ?2 WHERE agent = ?1")?.execute(
                params![arrived.agent.as_str(), serde_json::to_string(&boots).unwrap_or_default()],
            )?;
        }
        if two { self.found(&arrived.agent, Finding::Boots, self.now) } else { Ok(()) }
    }

    /// The hardware that a box tells of itself; empty where it does not.
    fn hardware(&mut self, agent: &AgentId, machine: &str) -> Result<(), DbError> {
        let machine = words::plain(machine);
        if machine.is_empty() {
            return Ok(());
        }
        let before: String = self
            .transaction
            .prepare_cached("SELECT machine FROM appliance WHERE agent = ?1")?
            .query_row([agent.as_str()], |row| row.get(0))?;
        if before == machine {
            return Ok(());
        }
        self.transaction
            .prepare_cached("UPDATE appliance SET machine = ?2 WHERE agent = ?1")?
            .execute(params![agent.as_str(), machine])?;
        if before.is_empty() { Ok(()) } else { self.found(agent, Finding::Hardware, self.now) }
    }

    /// Two boxes may be using one identity: the operator is told, and if he wants it so, both are shut out.
    fn found(&mut self, agent: &AgentId, finding: Finding, since: Timestamp) -> Result<(), DbError> {
        let words = finding.words(agent);
        let alarm = NewAlarm {
            agent: Some(agent),
            kind: words.kind,
            subject: "",
            description: &words.description,
            since,
            reported: false,
        };
        alarms::raise(self.transaction, &alarm, self.now)?;
        tracing::warn!(%agent, alarm = words.kind, "{}", words.description);
        if words.both_live && self.rules.on_clone == OnClone::Suspend {
            standing::suspend(self.transaction, agent, "two boxes report under its id", self.now)?;
            self.shut_out = true;
        }
        Ok(())
    }

    /// What the appliance itself finds wrong.
    fn alarm(&mut self, arrived: &Arrived, report: &AlarmReport) -> Result<(), DbError> {
        if report.over {
            return alarms::told_over(self.transaction, &arrived.agent, &report.alarm, self.now);
        }
        let alarm = NewAlarm {
            agent: Some(&arrived.agent),
            kind: &report.alarm,
            subject: "",
            description: &report.description,
            since: report.since,
            reported: true,
        };
        alarms::raise(self.transaction, &alarm, self.now).map(drop)
    }

    fn health(&mut self, arrived: &Arrived, report: &HealthReport) -> Result<(), DbError> {
        self.transaction
            .prepare_cached(
                "UPDATE appliance SET health = ?2, health_at = ?3
                 WHERE agent = ?1 AND ifnull(health_at, ?3) <= ?3",
            )?
            .execute(params![
                arrived.agent.as_str(),
                serde_json::to_string(report).unwrap_or_default(),
                At(arrived.created)
            ])?;
        ways::told(self.transaction, &arrived.agent, &report.mangled, self.now)?;
        if let Some(standing) = &report.standing {
            self.hardware(&arrived.agent, &standing.machine)?;
        }
        self.boot(arrived, &report.boot_id)?;
        outbox::send_lost_again(self.transaction, &arrived.agent, report, arrived.created, self.now)?;
        epochs::look_for_forgotten(self.transaction, &arrived.agent, report.sequence_seen, self.now)
    }

    fn tell_rollouts(&mut self, arrived: &Arrived) -> Result<(), DbError> {
        let origin = || rollout::Origin {
            agent: arrived.agent.clone(),
            in_reply_to: arrived.in_reply_to,
            created: arrived.created,
            received: self.now,
        };
        match &arrived.report {
            Report::Version(report) => rollout::on_version_report(self.transaction, &origin(), report),
            Report::UpdateResult(report) => rollout::on_update_result(self.transaction, &origin(), report),
            Report::Refused(report) => rollout::on_refused(self.transaction, &origin(), report),
            Report::PartsMissing(report) => {
                let Some(order) = &arrived.in_reply_to else { return Ok(()) };
                let again = parts::send_again(self.transaction, &arrived.agent, order, report, self.now)?;
                tracing::info!(agent = %arrived.agent, missing = report.missing.len(), again, "parts of a package did not come");
                rollout::on_parts_missing(self.transaction, &origin(), report, again)
            }
            Report::Fault(_)
            | Report::FaultCleared(_)
            | Report::Counters(_)
            | Report::Health(_)
            | Report::Inventory(_)
            | Report::Census(_)
            | Report::CredentialRotated(_)
            | Report::Alarm(_)
            | Report::Unknown { .. } => Ok(()),
        }
    }

    /// The receipt of a repeat: the same id and the same words, once more. False when it is no longer in the outbox.
    ///
    /// Whoever holds a copy of a report may send it again and again. So three receipts go out at once, and each later one after a
    /// pause that doubles from a minute to an hour; one that waits already is not put off by a further repeat.
    fn send_receipt_again(&mut self, journaled: &Journaled) -> Result<bool, DbError> {
        let queued = self
            .transaction
            .prepare_cached(
                "UPDATE outbox_recipient
                 SET next_try = CASE WHEN attempts < 3 THEN ?2
                                     WHEN state = 'queued' THEN next_try
                                     ELSE max(?2, changed + (60000 << min(attempts - 3, 6))) END,
                     changed = CASE state WHEN 'queued' THEN changed ELSE ?2 END,
                     state = 'queued'
                 WHERE outbox = (SELECT id FROM outbox WHERE message = ?1)",
            )?
            .execute(params![Id::of(&journaled.receipt), At(self.now)])?;
        Ok(queued > 0)
    }

    /// The receipt of a report, with the id and the words that stand in the journal.
    fn send_receipt(&mut self, arrived: &Arrived, journaled: &Journaled) -> Result<(), DbError> {
        let receipt = Receipt {
            report: arrived.message,
            number: journaled.number,
            received: journaled.received,
            content: journaled.kind.clone(),
            description: journaled.description.clone(),
            latest: None,
        };
        let in_a_hurry =
            matches!(arrived.report, Report::Fault(_) | Report::FaultCleared(_) | Report::Alarm(_));
        let priority =
            match in_a_hurry || !slots::answers_in_slots(self.transaction, &arrived.agent, self.now)? {
                true => Priority::Receipt,
                false => Priority::Late,
            };
        let mail = NewMail {
            message: &Message::Receipt(receipt),
            id: journaled.receipt,
            in_reply_to: Some(arrived.message),
            package: None,
            priority,
            created: self.now,
            expires: self.expires,
            not_before: self.now,
        };
        outbox::enqueue(self.transaction, &mail, std::slice::from_ref(&arrived.agent))?;
        Ok(())
    }

    /// After an installation the version is asked for, so that the operator's table is never empty
    /// (JP 2003-435644 [0083]).
    fn ask_version(&mut self, agent: &AgentId) -> Result<(), DbError> {
        let nonce = Nonce::generate(self.random);
        self.command(agent, Command::Version(VersionRequest { nonce }))
    }

    fn command(&mut self, agent: &AgentId, command: Command) -> Result<(), DbError> {
        if self.shut_out {
            // Nothing is put into the outbox for who was suspended a moment ago.
            return Ok(());
        }
        let mail = NewMail {
            message: &Message::Command(command),
            id: MessageId::generate(self.random),
            in_reply_to: None,
            package: None,
            priority: Priority::Command,
            created: self.now,
            expires: self.expires,
            not_before: self.now,
        };
        outbox::enqueue(self.transaction, &mail, std::slice::from_ref(agent))?;
        Ok(())
    }
}

/// The journal's entry of a report that came before, after counting the repeat.
fn repeat(transaction: &Connection, arrived: &Arrived) -> Result<Option<Journaled>, DbError> {
    let journaled = transaction
        .prepare_cached(
            "UPDATE report SET repeats = repeats + 1 WHERE message = ?1 AND agent = ?2
             RETURNING number, received, kind, description, receipt",
        )?
        .query_row(params![Id::of(&arrived.message), arrived.agent.as_str()], |row| {
            Ok(Journaled {
                number: uncount(row.get(0)?),
                received: super::columns::time(row, 1)?,
                kind: row.get(2)?,
                description: row.get(3)?,
                receipt: row.get::<_, Id>(4)?.message(),
            })
        })
        .optional()?;
    Ok(journaled)
}

#[cfg(test)]
mod tests;
