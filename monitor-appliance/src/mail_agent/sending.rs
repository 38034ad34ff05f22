//! Sending what is due: sealed at the moment of sending, under the same id and sequence number each time.

use super::filing::tell_way;
use super::{Agent, MODULE, account_failed};
use crate::context::system_random;
use crate::outbox::{self, Step};
use crate::settings::Settings;
use crate::store::{Moment, OutboxRow, StoreError, Work};
use jiff::Timestamp;
use mailbox::accounts::{Choice, Failure};
use mailbox::address::in_header;
use mailbox::record::Purpose;
use mailbox::smtp::ServerReply;
use mailbox::{Account, OutgoingMail, RecipientOutcome, SendError, Submission};
use mailfmt::envelope::{Addressee, Extras, Header, seal_with};
use mailfmt::mail::{Form, Letter, Sign, compose_as, is_about_content};
use mailfmt::message::Message;
use mailfmt::sequence::Origin;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Mails sent before the plan is made again, so that a new fault does not wait behind a long queue.
const MAILS_PER_PLAN: usize = 20;

/// Wire name of the report that billing depends on.
const COUNTERS_KIND: &str = "counters";

/// How one sending ended.
enum Sent {
    /// The server has taken it over, in this form.
    Taken(Form),
    /// The server does not take this mail; others it may.
    Refused {
        /// Why.
        reason: String,
        /// Whether it is what is in the mail that it does not take.
        content: bool,
    },
    /// The server takes nothing just now.
    Unable(SendError),
}

impl Agent {
    /// Carries a plan out. Whatever does not work stays in the outbox.
    pub(super) async fn send(&mut self, plan: Vec<Step>) -> Result<(), StoreError> {
        let mut queue = VecDeque::new();
        for step in plan {
            match step {
                Step::Expire { id } => self.give_up(id).await?,
                Step::Redate { id } => self.redate(id).await?,
                Step::Send { id } => queue.push_back(id),
            }
        }
        queue.truncate(MAILS_PER_PLAN);
        self.send_elsewhere(&mut queue).await?;
        while !queue.is_empty() {
            let Choice::Use(place) = self.outward.choose(Instant::now()) else { break };
            self.progress.made();
            let Some(account) = self.accounts.get(place).cloned() else { break };
            match self.send_by(place, &account, &mut queue).await? {
                Ok(()) => self.outward.succeeded(place),
                Err(error) => {
                    tracing::warn!(
                        account = account.settings.name,
                        error = &error as &dyn std::error::Error,
                        "mail could not be sent"
                    );
                    self.note_failure(Work::MailSend, crate::update::reason(&error)).await;
                    account_failed(&mut self.outward, place, Failure::from(&error));
                }
            }
        }
        Ok(())
    }

    /// Sends those that prefer another account than the first by that one; what it does not take stays in the queue.
    async fn send_elsewhere(&mut self, queue: &mut VecDeque<i64>) -> Result<(), StoreError> {
        if self.accounts.len() < 2 {
            return Ok(());
        }
        let (ids, accounts) = (Vec::from_iter(queue.iter().copied()), self.accounts.len());
        let preferences = self.store.read(move |store| {
            let preference = |id: i64| {
                let row = store.outbox_row(id)?;
                let place = row.and_then(|row| outbox::preferred_account(&row.kind, row.sendings, accounts));
                Ok(place.map(|place| (id, place)))
            };
            ids.into_iter()
                .filter_map(|id| preference(id).transpose())
                .collect::<Result<Vec<_>, StoreError>>()
        });
        for (id, place) in preferences.await? {
            // One that has just failed rests.
            let Some(account) =
                self.accounts.get(place).filter(|_| self.outward.failures(place) == 0).cloned()
            else {
                continue;
            };
            let mut one = VecDeque::from([id]);
            let sent = self.send_by(place, &account, &mut one).await?;
            if one.is_empty() {
                queue.retain(|waiting| *waiting != id);
            }
            if let Err(error) = sent {
                tracing::warn!(
                    account = account.settings.name,
                    error = &error as &dyn std::error::Error,
                    "an alarm could not be sent by its own account"
                );
                account_failed(&mut self.outward, place, Failure::from(&error));
            }
        }
        Ok(())
    }

    async fn give_up(&self, id: i64) -> Result<(), StoreError> {
        let now = self.context.now();
        let row = self.store.read(move |store| store.outbox_row(id)).await?;
        if let Some(OutboxRow { message, kind, created, sendings, .. }) = row {
            tracing::warn!(%message, kind, %created, sendings, "a report is given up: no receipt came");
        }
        self.store.change(move |change| change.expire(id, now)).await
    }

    /// The clock has been set since the report was made.
    async fn redate(&self, id: i64) -> Result<(), StoreError> {
        let now = self.context.now();
        let keep = self.context.settings.retention.report_unreceipted;
        let expires = now.saturating_add(keep).unwrap_or(Timestamp::MAX);
        self.store.change(move |change| change.redate(id, now, expires)).await
    }

    /// Sends from the front of `queue` by one account until it is empty or the server fails. A connection that is kept from
    /// the mail before is used first; if it turns out to be of no use, that is no failure of the account.
    async fn send_by(
        &mut self,
        place: usize,
        account: &Account,
        queue: &mut VecDeque<i64>,
    ) -> Result<Result<(), SendError>, StoreError> {
        if let Some(submission) = self.submissions.take(place).await {
            let waiting = queue.len();
            match self.send_over(place, submission, account, queue).await? {
                Err(error) if queue.len() == waiting && error.is_of_the_connection() => {
                    tracing::debug!(%error, "a kept connection is of no use any more");
                }
                sent => return Ok(sent),
            }
        }
        let submission = match Submission::connect(account, &self.context.settings.mail_limits).await {
            Ok(submission) => submission,
            Err(error) => return Ok(Err(error)),
        };
        let (name, now) = (account.settings.name.clone(), self.context.now());
        self.store.change(move |change| change.note_logins(&name, Purpose::Send, 1, now)).await?;
        self.send_over(place, submission, account, queue).await
    }

    async fn send_over(
        &mut self,
        place: usize,
        mut submission: Submission,
        account: &Account,
        queue: &mut VecDeque<i64>,
    ) -> Result<Result<(), SendError>, StoreError> {
        while let Some(id) = queue.front().copied() {
            self.progress.made();
            let center = self.context.settings.center.clone();
            let found = self
                .store
                .read(move |store| match store.outbox_row(id)? {
                    Some(row) => {
                        let origin = store.origin(&center, row.sequence)?;
                        Ok(Some((store.outbox_message(id)?, row, origin)))
                    }
                    None => Ok::<_, StoreError>(None),
                })
                .await;
            // A row that cannot be read must not hold up those behind it.
            let (message, row, origin) = match found {
                Ok(Some(found)) => found,
                Ok(None) => {
                    queue.pop_front();
                    continue;
                }
                Err(error) => {
                    super::complain("a report cannot be read", &error);
                    queue.pop_front();
                    continue;
                }
            };
            let sent = self.send_one(account, &mut submission, &row, origin, &message).await?;
            let now = self.context.now();
            let timers = &self.context.settings.timers;
            match sent {
                Sent::Taken(form) => {
                    tracing::info!(message = %row.message, kind = row.kind, %form, "report sent");
                    let account = account.settings.name.clone();
                    let release = self.release.clone();
                    let due = outbox::next_sending(row.sendings.saturating_add(1), row.patience, timers, now);
                    self.store
                        .change(move |change| {
                            change.mark_sent(id, now, due)?;
                            change.note_form(id, &account, form)?;
                            change.note(Moment::LastSend, now)?;
                            change.prove(Work::MailSend, &release, now)
                        })
                        .await?;
                }
                Sent::Refused { reason, content } => {
                    tracing::warn!(message = %row.message, kind = row.kind, reason, "the mail server refused a report");
                    let due = outbox::next_try(row.refusals.saturating_add(1), timers, now);
                    let account = account.settings.name.clone();
                    self.store
                        .change(move |change| {
                            if content {
                                tell_way(change.learn_way(&account, &Sign::Rejected(&reason), now)?, now);
                            }
                            change.mark_refused(id, &reason, due)
                        })
                        .await?;
                }
                Sent::Unable(error) => return Ok(Err(error)),
            }
            queue.pop_front();
            if submission.is_broken() {
                return Ok(Err(SendError::Broken));
            }
        }
        self.submissions.put_back(place, submission);
        Ok(Ok(()))
    }

    async fn send_one(
        &self,
        account: &Account,
        submission: &mut Submission,
        row: &OutboxRow,
        origin: Origin,
        message: &Message,
    ) -> Result<Sent, StoreError> {
        let form = self.form(account, row).await?;
        let raw = match self.write_mail(account, row, origin, message, form) {
            Ok(raw) => raw,
            Err(reason) => return Ok(Sent::Refused { reason, content: false }),
        };
        let mail = OutgoingMail {
            return_path: Some(account.settings.address.clone()),
            recipients: vec![center_address(&self.context.settings, row).to_owned()],
            raw,
        };
        if row.sendings == 0 {
            let (id, uptime) = (row.id, self.context.reading().uptime());
            self.store.change(move |change| change.hand_in(id, &uptime)).await?;
        }
        let billing = row.kind == COUNTERS_KIND;
        if billing {
            let now = self.context.now();
            self.store.change(move |change| change.begin_busy(MODULE, "sending counters", true, now)).await?;
        }
        let sent = judge_sending(submission.send(&mail).await, form);
        if billing {
            self.store.change(|change| change.end_busy(MODULE)).await?;
        }
        Ok(sent)
    }

    /// In which form a report goes out now.
    async fn form(&self, account: &Account, row: &OutboxRow) -> Result<Form, StoreError> {
        let (account, id, now) = (account.settings.name.clone(), row.id, self.context.now());
        self.store
            .read(move |store| {
                let (way, tried) = (store.way(&account)?, store.tried(id)?);
                let form = way.next(tried, now);
                if form == Form::Opaque && way.is_probe_due(now) {
                    tracing::info!("an attachment is tried again, to see whether it gets through by now");
                    store.change(|change| change.learn_way(&account, &Sign::Probed, now))?;
                }
                Ok(form)
            })
            .await
    }

    /// Seals and writes the mail: fresh keys each time, the same id and sequence number as ever.
    fn write_mail(
        &self,
        account: &Account,
        row: &OutboxRow,
        origin: Origin,
        message: &Message,
        form: Form,
    ) -> Result<Arc<[u8]>, String> {
        let settings = &self.context.settings;
        // The envelope keeps whole milliseconds, and so does the store.
        let expires = self.context.clock_state().expiry_on_the_way(row.expires);
        let header = Header::new(message, settings.agent.clone().into(), row.message, row.created, expires)
            .answering(row.in_reply_to);
        let keys = self.keys.keys();
        let addressee = Addressee { key: &keys.current.to_center, sequence: row.sequence };
        let extras = Extras { signer: None, follows: origin.follows, begins: origin.begins, slot: None };
        let sealed = seal_with(&header, message, &[addressee], &extras, &mut system_random)
            .map_err(|error| error.to_string())?;
        let letter = Letter {
            from: &in_header(&account.settings.address),
            to: Some(&in_header(center_address(settings, row))),
            header: &header,
            date: self.context.now(),
            sending: row.sendings.saturating_add(row.refusals).saturating_add(1),
        };
        Ok(Arc::from(compose_as(form, &letter, &sealed)))
    }
}

/// The center's first address, and when that brought no receipt the others in turn.
fn center_address<'a>(settings: &'a Settings, row: &OutboxRow) -> &'a str {
    let addresses = settings.further_center_addresses.len().saturating_add(1);
    let tries = usize::try_from(row.sendings.saturating_add(row.refusals)).unwrap_or(0);
    match (tries % addresses).checked_sub(1) {
        Some(place) => settings.further_center_addresses.get(place).unwrap_or(&settings.center_address),
        None => &settings.center_address,
    }
}

fn judge_sending(result: Result<Vec<(String, RecipientOutcome)>, SendError>, form: Form) -> Sent {
    let refused = |reply: &ServerReply| Sent::Refused {
        reason: reply.to_string(),
        content: form == Form::Opaque && is_about_content(reply.enhanced.as_deref(), &reply.text),
    };
    match result {
        Ok(outcomes) => {
            let refusal = outcomes.into_iter().find_map(|(_, outcome)| match outcome {
                RecipientOutcome::Accepted => None,
                RecipientOutcome::Refused(reply) | RecipientOutcome::Deferred(reply) => Some(refused(&reply)),
            });
            refusal.unwrap_or(Sent::Taken(form))
        }
        Err(SendError::Permanent(reply)) => refused(&reply),
        Err(
            error @ (SendError::TooLarge { .. }
            | SendError::EightBit
            | SendError::Address { .. }
            | SendError::NoRecipients),
        ) => Sent::Refused { reason: error.to_string(), content: false },
        Err(error) => Sent::Unable(error),
    }
}
