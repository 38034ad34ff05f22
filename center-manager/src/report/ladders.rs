//! The two ladders of a target in words: what became of our mails, and how far the update came. Pure.

use crate::rollout::{Failure, Progress, Target, TargetState, Targets, Transport, Verdict};
use crate::words::plain;
use serde::Serialize;
use std::borrow::Cow;

/// How many targets stand on which rung of both ladders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rungs {
    /// What became of the newest mail to each.
    pub mail: MailRungs,
    /// How far the update came at each.
    pub update: UpdateRungs,
}

/// What became of mails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MailRungs {
    /// None was written.
    pub planned: u32,
    /// In our outbox.
    pub queued: u32,
    /// Taken by our mail server.
    pub accepted: u32,
    /// A mail server on the way still tries.
    pub delayed: u32,
    /// Came back.
    pub bounced: u32,
    /// Answered, so it arrived.
    pub answered: u32,
}

/// How far updates came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UpdateRungs {
    /// Not ordered.
    pub planned: u32,
    /// Ordered; its installer said nothing.
    pub ordered: u32,
    /// Its installer waits for something.
    pub waiting: u32,
    /// Its installer says that it is done; that proves nothing.
    pub installed: u32,
    /// It did not take the package.
    pub refused: u32,
    /// It took the package and went back.
    pub undone: u32,
    /// Verified at the target version by its version report.
    pub verified: u32,
}

impl Rungs {
    /// Counts all targets.
    #[must_use]
    pub fn of(targets: &Targets) -> Self {
        let mut rungs = Self::default();
        for target in targets.values() {
            let Self { mail, update } = &mut rungs;
            *match newest_mail(target) {
                None => &mut mail.planned,
                Some(Transport::Queued { .. }) => &mut mail.queued,
                Some(Transport::Accepted { .. }) => &mut mail.accepted,
                Some(Transport::Delayed { .. }) => &mut mail.delayed,
                Some(Transport::Bounced { .. }) => &mut mail.bounced,
                Some(Transport::Heard { .. }) => &mut mail.answered,
            } += 1;
            *match (target.verdict(), target.mails().0.map(|order| &order.progress)) {
                (Some(Verdict::Updated), _) => &mut update.verified,
                (_, None) => &mut update.planned,
                (_, Some(Progress::Ordered)) => &mut update.ordered,
                (_, Some(Progress::Waiting { .. })) => &mut update.waiting,
                (_, Some(Progress::InstalledSaid { .. })) => &mut update.installed,
                (_, Some(Progress::Refused { .. })) => &mut update.refused,
                (_, Some(Progress::Undone { .. })) => &mut update.undone,
            } += 1;
        }
        rungs
    }
}

/// What became of the newest mail of this attempt; `None` where none was written.
pub(super) fn newest_mail(target: &Target) -> Option<&Transport> {
    let (order, ask) = target.mails();
    ask.map(|ask| &ask.transport).or(order.map(|order| &order.transport))
}

/// The mail ladder in words.
pub(super) fn mail_words(target: &Target) -> Cow<'static, str> {
    let question = target.mails().1.is_some();
    let pick =
        |package: &'static str, asked: &'static str| Cow::Borrowed(if question { asked } else { package });
    match newest_mail(target) {
        None => Cow::Borrowed("nothing was mailed yet"),
        Some(Transport::Queued { .. }) => {
            pick("the package waits in our outbox", "the version request waits in our outbox")
        }
        Some(Transport::Accepted { .. }) => pick(
            "our mail server took the package; nothing was heard since",
            "our mail server took the version request; nothing was heard since",
        ),
        Some(Transport::Delayed { reason, .. }) => told("a mail server on the way still tries", reason),
        Some(Transport::Bounced { reason, .. }) => told("the mail came back", reason),
        Some(Transport::Heard { .. }) => pick("the package arrived", "the version request was answered"),
    }
}

/// The update ladder in words.
pub(super) fn update_words(target: &Target) -> Cow<'static, str> {
    let order = target.mails().0;
    match (target.verdict(), order.map(|order| &order.progress)) {
        (Some(Verdict::Updated), _) => "verified by its own version report".into(),
        (_, Some(Progress::Refused { reason, .. })) => told("it did not take the package", reason),
        (_, Some(Progress::Undone { reason, .. })) => told("it went back", reason),
        (_, Some(Progress::InstalledSaid { .. })) => {
            "its installer says that it is done; not verified".into()
        }
        (_, Some(Progress::Waiting { reason, .. })) => told("it waits", reason),
        (_, Some(Progress::Ordered)) if order.is_some_and(|order| order.recalled.is_some()) => {
            "called back before it said anything".into()
        }
        (_, Some(Progress::Ordered)) => "ordered; its installer said nothing yet".into(),
        (_, None) => "not ordered yet".into(),
    }
}

fn told(what: &str, reason: &str) -> Cow<'static, str> {
    Cow::Owned(plain(&format!("{what}: {reason}")))
}

/// Where our last mail to the target stands, as one word.
pub(super) fn transport_word(target: &Target) -> String {
    let (order, ask) = target.mails();
    if let Some(parts) = order.filter(|_| ask.is_none()).and_then(|order| order.parts)
        && parts.sent < parts.of
    {
        return format!("parts {} of {}", parts.sent, parts.of);
    }
    let word = match newest_mail(target) {
        None => "planned",
        Some(Transport::Queued { .. }) => "queued",
        Some(Transport::Accepted { .. }) => "accepted",
        Some(Transport::Delayed { .. }) => "delayed",
        Some(Transport::Bounced { .. }) => "bounced",
        Some(Transport::Heard { .. }) => "answered",
    };
    word.to_owned()
}

/// What the installer said, as one word.
pub(super) fn installer_word(target: &Target) -> &'static str {
    match target.mails().0.map(|order| &order.progress) {
        None | Some(Progress::Ordered) => "",
        Some(Progress::Waiting { .. }) => "waiting",
        Some(Progress::InstalledSaid { .. }) => "installed",
        Some(Progress::Refused { .. }) => "refused",
        Some(Progress::Undone { .. }) => "undone",
    }
}

/// What kind of failure it is, in a word or two; `None` where it did not fail.
pub(super) fn failure_word(target: &Target) -> Option<&'static str> {
    let TargetState::Decided { verdict: Verdict::Failed { failure }, .. } = &target.state else {
        return None;
    };
    Some(match failure {
        Failure::Silent => "silent",
        Failure::OtherVersion { .. } => "other version",
        Failure::MixedModules { .. } => "mixed modules",
        Failure::Refused { .. } => "refused",
        Failure::Undone { .. } => "undone",
        Failure::WindowMissed { .. } => "window missed",
        Failure::Undeliverable { .. } => "undeliverable",
        Failure::Suspended => "suspended",
    })
}
