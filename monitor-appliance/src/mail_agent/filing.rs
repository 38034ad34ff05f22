//! Filing one mail: its verdict and everything that follows from it, in one transaction.

mod accepting;
pub(super) mod enclosed;
mod parts;
mod recalling;

use super::spool::Spooled;
use crate::alarm;
use crate::clock::{ClockState, Evidence};
use crate::commands;
use crate::context::Context;
use crate::freshness::{self, Freshness, NOTHING_FRESH};
use crate::health;
use crate::judge::{Authentic, Keys, Verdict, judge, judge_attachment};
use crate::keyring::{Keyring, KeyringError};
use crate::release::ReleaseError;
use crate::store::{Change, JournalEntry, Moment, Outcome, Store, StoreError, Tally};
use crate::trust::TrustError;
use crate::update::UpdateState;
use accepting::accept;
use enclosed::Enclosed;
use jiff::Timestamp;
use mailfmt::lineage::Observation;
use mailfmt::mail::returned::Cause;
use mailfmt::mail::{Classified, Form, Large, Sign, Way, form_of};
use mailfmt::message::receipt::Latest;
use mailfmt::{Command, MessageId};
pub(super) use parts::pursue;
use std::collections::{BTreeMap, HashSet};

/// A mail could not be filed. It must stay in the mailbox and is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilingError {
    /// The store.
    #[error("the mail could not be filed in the store")]
    Store(#[from] StoreError),
    /// The package that came with it.
    #[error("the package that came with the mail could not be written")]
    Package(#[from] ReleaseError),
    /// The credential that it asks for.
    #[error("the new credential could not be stored")]
    Keyring(#[from] KeyringError),
    /// The roots that it brings.
    #[error("the new roots could not be stored")]
    Trust(#[from] TrustError),
}

/// What a filed mail was, for the log and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filed {
    /// Discarded and counted.
    Junk,
    /// A bounce, a warning, an automatic answer: a hint, noted.
    Returned,
    /// Expired before it came.
    Expired,
    /// Whether it has expired only a proven time can tell: nothing was done, the mail must stay.
    Undecided,
    /// It cannot be done just now: nothing was done, the mail must stay.
    Later,
    /// A receipt; false if it was for no report that waits.
    Receipt(bool),
    /// A command that came before.
    Repeat,
    /// A command that was refused and answered.
    Refused,
    /// A command that was accepted.
    Accepted,
}

/// Judges `raw` and does what follows from it. After an `Ok` other than [`Filed::Undecided`] and [`Filed::Later`] the
/// mail may be deleted, after an error it may not.
///
/// # Errors
/// [`FilingError`].
pub fn file_mail(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    raw: &[u8],
) -> Result<Filed, FilingError> {
    let mut junk = Discarded::default();
    let filed = file_one(store, context, keys, raw, &mut junk)?;
    junk.write(store)?;
    junk.tell();
    Ok(filed)
}

/// The same, but what is discarded is only noted in `junk`: a flood must not cost a write to the disk, nor a line of
/// the log, for every mail of it.
pub(super) fn file_one(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    raw: &[u8],
    junk: &mut Discarded,
) -> Result<Filed, FilingError> {
    let (center, limits) = (&context.settings.center, &context.settings.limits);
    let clock = context.clock_state();
    let held = keys.keys();
    let to_appliance = held.to_appliance();
    let judge_keys = Keys { center, to_appliance: &to_appliance, trusted: held.trusted.as_ref() };
    let verdict = judge(raw, judge_keys, |message| store.seen(message, center), limits, &clock)?;
    if verdict.authentic().is_some() && form_of(raw) == Form::Armoured {
        // The center would not send it so if anything else got through: it is answered in kind.
        let now = context.now();
        store.change(|change| learn_everywhere(change, context, &Sign::CameArmoured, now))?;
    }
    file_verdict(store, context, keys, &clock, verdict, None, junk)
}

/// What came of a mail that only its condensed form was at hand of.
pub(super) enum LargeFiled {
    /// As of a small one.
    Filed(Filed),
    /// Only the whole mail can tell what it is.
    Unclear,
}

/// The same for a large mail, whose attachment lies in a file.
pub(super) fn file_large(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    spooled: &Spooled,
    junk: &mut Discarded,
) -> Result<LargeFiled, FilingError> {
    let (center, limits) = (&context.settings.center, &context.settings.limits);
    let place = match spooled.condensed.classify(limits) {
        Large::Ours(place) => place,
        // The same judgement once more: it is small.
        Large::Small(Classified::Junk(mailfmt::mail::JunkReason::TooLarge)) => {
            junk.note("too large");
            return Ok(LargeFiled::Filed(Filed::Junk));
        }
        Large::Small(_) => {
            return file_one(store, context, keys, spooled.condensed.mail(), junk).map(LargeFiled::Filed);
        }
        Large::Unclear => return Ok(LargeFiled::Unclear),
    };
    let clock = context.clock_state();
    let held = keys.keys();
    let to_appliance = held.to_appliance();
    let judge_keys = Keys { center, to_appliance: &to_appliance, trusted: held.trusted.as_ref() };
    let attachment = Enclosed::File { path: spooled.path(), place: place.clone() };
    let envelope = attachment.envelope(limits)?;
    let verdict =
        judge_attachment(&envelope, judge_keys, |message| store.seen(message, center), limits, &clock)?;
    let begins = place.start.saturating_add(u64::try_from(envelope.len()).unwrap_or(u64::MAX));
    drop(envelope);
    let enclosed = Enclosed::File { path: spooled.path(), place: begins.min(place.end)..place.end };
    file_verdict(store, context, keys, &clock, verdict, Some(&enclosed), junk).map(LargeFiled::Filed)
}

/// Does what follows from a verdict. `enclosed`: what follows the envelope, if it lies in a file; else the verdict has it.
fn file_verdict(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    clock: &ClockState,
    verdict: Verdict,
    enclosed: Option<&Enclosed<'_>>,
    junk: &mut Discarded,
) -> Result<Filed, FilingError> {
    let center = &context.settings.center;
    if let Some(authentic) = verdict.authentic().filter(|authentic| authentic.created > clock.earliest) {
        learn(store, context, &Evidence::Message { created: authentic.created })?;
    }
    if verdict.authentic().is_some_and(|authentic| authentic.key > 0) && !a_script_may_run(store)? {
        settle_rotation(store, context, keys)?;
    }
    if let Some(authentic) = verdict.authentic().filter(|_| !matches!(verdict, Verdict::Undecided { .. }))
        && !junk.seen.insert(authentic.message)
    {
        junk.copies = junk.copies.saturating_add(1);
        return Ok(Filed::Repeat);
    }
    let now = context.now();
    match verdict {
        Verdict::Junk(reason) => {
            tracing::debug!(%reason, "junk mail discarded");
            junk.note(&reason.to_string());
            Ok(Filed::Junk)
        }
        Verdict::Mangled(mangled) => {
            if junk.may_tell() {
                tracing::warn!(
                    message = mangled.message.map(|id| id.to_string()).unwrap_or_default(), detail = ?mangled.detail,
                    "a mail of the center came without its message: {}", mangled.how
                );
            }
            junk.note(mangled.how.as_str());
            if junk.counts_mangled() {
                let sign = Sign::Mangled(mangled.how);
                store.change(|change| {
                    change.count_mangled(mangled.how)?;
                    learn_everywhere(change, context, &sign, now)
                })?;
            }
            Ok(Filed::Junk)
        }
        Verdict::Returned(returned) => {
            if junk.may_tell() {
                let messages: Vec<String> = returned.messages.iter().map(ToString::to_string).collect();
                tracing::warn!(
                    messages = messages.join(" "), kind = %returned.kind,
                    cause = returned.cause.map(Cause::as_str).unwrap_or_default(), diagnostic = ?returned.diagnostic,
                    "a mail of ours {}", returned.words()
                );
            }
            // Anybody may send such mails: a flood of them must not cost a write for each.
            if !junk.may_note_returned() {
                junk.note(returned.kind.as_str());
                return Ok(Filed::Returned);
            }
            let refused = returned.words();
            store.change(|change| {
                if returned.cause == Some(Cause::ContentRefused) {
                    learn_everywhere(change, context, &Sign::Rejected(&refused), now)?;
                }
                change.note_returned(&returned, now)
            })?;
            Ok(Filed::Returned)
        }
        Verdict::Expired { authentic } => {
            if junk.may_tell() {
                let Authentic { message, expires, .. } = authentic;
                tracing::warn!(%message, %expires, "a message came after it had expired");
            }
            junk.note("expired");
            Ok(Filed::Expired)
        }
        Verdict::Undecided { authentic } => {
            tracing::warn!(
                message = %authentic.message, expires = %authentic.expires, %now,
                "a command waits in the mailbox until a receipt proves what time it is"
            );
            Ok(Filed::Undecided)
        }
        Verdict::Receipt { authentic, receipt } => {
            let reading = context.reading();
            let (settled, known) = store.change(|change| {
                change.see_sequence(center, authentic.sequence)?;
                observe(change, context, &authentic)?;
                if let Some(latest) = &receipt.latest {
                    hear(change, context, &authentic, latest)?;
                }
                let handed_in = change.handed_in(receipt.report)?;
                let settled = change.settle(receipt.report, receipt.number, now)?;
                if settled {
                    tell_way(change.learn_arrival(receipt.report, now)?, now);
                }
                // A copy proves nothing: who holds it back could pass an old time off as the present one.
                let known = if settled {
                    let evidence = Evidence::Receipt { received: receipt.received, handed_in };
                    Some(change.learn_time(&evidence, &reading)?)
                } else {
                    None
                };
                Ok::<_, StoreError>((settled, known))
            })?;
            if let Some(known) = known {
                context.learned_time(known);
                tell_offset(clock, context);
            }
            tracing::info!(report = %receipt.report, number = receipt.number, settled, "receipt");
            Ok(Filed::Receipt(settled))
        }
        Verdict::Repeat { authentic } => {
            let pause = i64::try_from(context.settings.timers.answer_poll.as_millis()).unwrap_or(i64::MAX);
            let answers = store.change(|change| change.answer_again(authentic.message, now, pause))?;
            tracing::info!(message = %authentic.message, answers, "a command came again; its answer is sent again");
            Ok(Filed::Repeat)
        }
        Verdict::Refused { authentic, kind, reason } => {
            let report = commands::refusal(&kind, &reason, &health::running_version(context));
            tracing::warn!(message = %authentic.message, kind = ?kind, ?reason, "command refused");
            let answer = context.outgoing(report, Some(authentic.message));
            let entry = entry(context, &authentic, &kind, Outcome::Refused);
            store.change(|change| {
                if change.journal(&entry)? {
                    observe(change, context, &authentic)?;
                    change.enqueue(&answer)?;
                }
                Ok::<_, StoreError>(())
            })?;
            Ok(Filed::Refused)
        }
        Verdict::Accepted { authentic, command, enclosure } => {
            let in_memory = Enclosed::Octets(&enclosure);
            let enclosed = enclosed.unwrap_or(&in_memory);
            if matches!(command, Command::RotateCredential(_)) && a_script_may_run(store)? {
                // The script's changes to the secrets may be undone, and this one with them.
                tracing::info!(message = %authentic.message, "a rotation waits until the update's script is over");
                junk.seen.remove(&authentic.message);
                return Ok(Filed::Later);
            }
            if let Command::Part(part) = &command {
                store.change(|change| observe(change, context, &authentic))?;
                return parts::file_part(store, context, &authentic, part, enclosed, junk);
            }
            if let Command::Update(order) = &command
                && order.parts.is_none()
                && let Some(reason) = enclosed::damage(order, enclosed)?
            {
                accepting::await_whole(store, context, &authentic, order, &reason)?;
                junk.seen.remove(&authentic.message);
                junk.note("damaged on its way");
                return Ok(Filed::Junk);
            }
            tracing::info!(message = %authentic.message, kind = command.kind(), "command accepted");
            // Its answer may tell how much junk there was.
            junk.write(store)?;
            store.change(|change| observe(change, context, &authentic))?;
            accept(store, context, keys, &authentic, &command, enclosed)?;
            Ok(Filed::Accepted)
        }
    }
}

/// A sign about the way to and from the center, whichever mail account it goes by.
fn learn_everywhere(
    change: &Change<'_>,
    context: &Context,
    sign: &Sign<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for entry in &context.settings.accounts {
        tell_way(change.learn_way(&entry.account.name, sign, now)?, now);
    }
    Ok(())
}

/// Once, when another form is used from now on.
pub(super) fn tell_way(learned: Option<Way>, now: Timestamp) {
    if let Some(way) = learned.filter(|way| way.since == Some(now)) {
        tracing::warn!(reason = way.reason, "reports go out as {} from now on", way.form);
    }
}

fn learn(store: &mut Store, context: &Context, evidence: &Evidence) -> Result<(), StoreError> {
    let reading = context.reading();
    let known = store.change(|change| change.learn_time(evidence, &reading))?;
    context.learned_time(known);
    Ok(())
}

/// Once, when it becomes known that the box's clock is wrong.
fn tell_offset(before: &ClockState, context: &Context) {
    let after = context.clock_state();
    if let Some(offset_secs) = after.told_offset().filter(|_| !before.proven) {
        tracing::warn!(offset_secs, now = %after.now, "this box's clock is wrong; the time that the center proves is used instead");
    }
}

/// What came of a batch of mails besides what is stored of each, so that neither the disk nor the log fills with a flood.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    /// Mails that nobody reads, by reason; there are only a few reasons.
    reasons: BTreeMap<String, u32>,
    /// How many of them are not counted in the store yet.
    uncounted: u32,
    /// Authentic messages of the batch; copies of one mail are acted on once.
    seen: HashSet<MessageId>,
    /// How many copies there were.
    copies: u32,
    /// Lines of the log that these mails have had.
    lines: u32,
    /// Mails that came back and were noted.
    returned: u32,
    /// Mails among them that a gateway mangled.
    mangled: u32,
}

impl Discarded {
    /// Lines of the log that one batch may have for mails that anybody may copy or forge.
    const LINES_MAX: u32 = 3;

    /// One more.
    pub(super) fn note(&mut self, reason: &str) {
        let count = self.reasons.entry(reason.to_owned()).or_default();
        *count = count.saturating_add(1);
        self.uncounted = self.uncounted.saturating_add(1);
    }

    /// Whether one more mangled mail is counted for the center: anybody can write such mails.
    fn counts_mangled(&mut self) -> bool {
        self.mangled = self.mangled.saturating_add(1);
        self.mangled <= Self::LINES_MAX
    }

    /// Mails that came back of which one batch notes what they say.
    const RETURNED_MAX: u32 = 20;

    fn may_note_returned(&mut self) -> bool {
        self.returned = self.returned.saturating_add(1);
        self.returned <= Self::RETURNED_MAX
    }

    fn may_tell(&mut self) -> bool {
        self.lines = self.lines.saturating_add(1);
        self.lines <= Self::LINES_MAX
    }

    fn mails(&self) -> u32 {
        self.reasons.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Counts them in the store.
    pub(super) fn write(&mut self, store: &mut Store) -> Result<(), StoreError> {
        let mails = std::mem::take(&mut self.uncounted);
        if mails == 0 {
            return Ok(());
        }
        store.change(|change| change.count_more(Tally::Junk, mails))
    }

    /// Takes over the reasons of another batch.
    pub(super) fn add(&mut self, other: Self) {
        for (reason, more) in other.reasons {
            let count = self.reasons.entry(reason).or_default();
            *count = count.saturating_add(more);
        }
        self.copies = self.copies.saturating_add(other.copies);
    }

    /// One line of the log.
    pub(super) fn tell(&self) {
        if self.mails() > 0 {
            let reasons: Vec<_> =
                self.reasons.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
            tracing::info!(mails = self.mails(), reasons = reasons.join(", "), "junk mail discarded");
        }
        if self.copies > 0 {
            tracing::info!(copies = self.copies, "copies of mails that had just come are discarded");
        }
    }
}

fn entry(context: &Context, authentic: &Authentic, kind: &str, outcome: Outcome) -> JournalEntry {
    JournalEntry {
        message: authentic.message,
        center: context.settings.center.clone(),
        sequence: authentic.sequence,
        kind: kind.chars().take(64).collect(),
        outcome,
        received: context.now(),
        expires: authentic.expires,
    }
}

/// Takes the message into account for the center's history; what it shows is told once.
fn observe(change: &Change<'_>, context: &Context, authentic: &Authentic) -> Result<(), StoreError> {
    match change.observe(&context.settings.center, authentic.sighting())? {
        Observation::Forked(fork) => alarm::center_forked(change, context, &fork),
        Observation::Continues | Observation::NewEpoch => Ok(()),
    }
}

/// The center's dated word on the newest release.
fn hear(
    change: &Change<'_>,
    context: &Context,
    authentic: &Authentic,
    latest: &Latest,
) -> Result<(), StoreError> {
    // Nobody can know what will be the latest.
    let at = latest.at.min(authentic.created);
    change.note_latest(Moment::Fresh, at)?;
    let limit = context.settings.freshness;
    match freshness::judge(Some(at), at, limit, context.clock_state().for_forgetting()) {
        Freshness::Fresh => alarm::end(change, context, NOTHING_FRESH).map(|_| ()),
        Freshness::Stale { .. } => Ok(()),
    }
}

/// The center has used the next credential: it is the current one from now on. A report under it lets the center forget
/// the old one too, and not only when there is something else to say.
fn settle_rotation(store: &mut Store, context: &Context, keys: &Keyring) -> Result<(), FilingError> {
    if !keys.settle()? {
        return Ok(());
    }
    tracing::info!("the new credential is in use; the old one is forgotten");
    let report = health::report(store, context)?;
    store.change(|change| health::enqueue(change, context, report, None))?;
    Ok(())
}

/// Whether an update's script may be running, or its changes to the secrets may still be undone.
fn a_script_may_run(store: &Store) -> Result<bool, StoreError> {
    Ok(store.update_orders_open()?.iter().any(|order| {
        matches!(
            order.state,
            UpdateState::Verified { .. } | UpdateState::Staged { .. } | UpdateState::ScriptRun { .. }
        )
    }))
}

#[cfg(test)]
mod tests;
