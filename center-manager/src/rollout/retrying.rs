//! Whether, when and how a failed target is tried again by itself: by its cause, with pauses that grow, in so many rounds
//! and with so many mails at most. Pure.
//!
//! | cause | what follows by itself |
//! |---|---|
//! | silent | it is asked again, before other mail; where nothing shows that the order arrived, every second round brings the package |
//! | silent, and a mail server still tries | the same, once that mail has expired |
//! | other version, mixed modules | the package again, with whole files where there are some |
//! | other version, and nothing shows that the order arrived | the package again; a few times that uses up no round: mail was lost, not an update |
//! | no space, busy too long, window missed | the package again, a day later |
//! | mail too large, or a filter | the package once more, in smaller parts or as armoured text, as the way was learned |
//! | mail given up after days, mailbox full | the package again, a day later |
//! | called back, and the rollout goes on | the package again |
//! | suspended, and readmitted | the package again |
//! | address | nothing: the operator decides |
//! | signature, counter, wrong package | nothing, and an alarm |
//! | went back after its health check; does not fit | nothing: the same package ends the same way |

use super::after;
use super::ladder::Transport;
use super::plan::Targets;
use super::target::{Target, TargetState};
use super::terms::Rollout;
use super::verdict::{Failure, Verdict};
use jiff::{SignedDuration, Timestamp};
use mailfmt::Digest;
use mailfmt::mail::returned::Cause as MailCause;
use serde::{Deserialize, Serialize};

/// How far a rollout goes by itself with those that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many rounds for each target; 0: only a person begins again.
    pub rounds: u32,
    /// So many orders and questions for each target on the average, first attempts included. What the whole rollout has
    /// left of them is for whoever fails.
    pub mails_per_target: u32,
    /// Pause before the first round; twice as long before each further one.
    pub first_pause: SignedDuration,
}

impl Policy {
    /// Three rounds, four mails on the average, half an hour.
    pub const USUAL: Self =
        Self { rounds: 3, mails_per_target: 4, first_pause: SignedDuration::from_mins(30) };
    /// Nothing by itself.
    pub const NOTHING: Self = Self { rounds: 0, ..Self::USUAL };
    /// No pause is longer.
    pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24);

    /// How long the first that is due waits for others, so that one mail goes to all.
    #[must_use]
    pub fn gather(&self) -> SignedDuration {
        self.first_pause.checked_div(2).unwrap_or_default().min(Self::LONGEST_PAUSE)
    }

    /// The pause before the round after `rounds`; `draw` adds up to a quarter, so that rollouts which failed together do
    /// not come back together.
    fn pause(&self, rounds: u32, draw: u16) -> SignedDuration {
        let doubled = self.first_pause.checked_mul(1 << rounds.min(16)).unwrap_or(Self::LONGEST_PAUSE);
        let pause = doubled.min(Self::LONGEST_PAUSE);
        let more = pause.as_secs().saturating_mul(draw.into()) / (4 * i64::from(u16::MAX));
        pause.saturating_add(SignedDuration::from_secs(more))
    }
}

/// A window for updates comes once a day.
const NEXT_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// So long a mail server on the way tries before it gives up (RFC 5321, 4.5.4.1).
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(5 * 24);

/// An order that was lost on its way is sent again so often without using up a round.
const LOST_MAX: u32 = 3;

/// An order, and the question that follows it.
const MAILS_OF_AN_ATTEMPT: u32 = 2;

/// What was tried so far with one target; part of its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// Rounds that began by themselves since the rollout, or a person, began.
    pub rounds: u32,
    /// Orders besides that were sent again because the one before was lost on its way.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u32,
    /// Orders and questions written, whoever wanted them.
    pub mails: u32,
    /// Whether a mail that was too large, or that a filter kept, was sent in another form.
    pub reformed: bool,
    /// Why the present round began; `None` in what a person began, and in the first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Failure>,
}

impl Tried {
    /// Whether nothing was; so that it need not be stored.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// A round begins by itself; or, where the order did not arrive, it is sent again.
    pub(super) fn begin_round(&mut self, because: Failure, order_heard: bool) {
        let counted =
            if was_lost(&because, order_heard, self.lost) { &mut self.lost } else { &mut self.rounds };
        *counted = counted.saturating_add(1);
        self.reformed |= Cause::of(&because) == Cause::Form;
        self.because = Some(because);
    }

    /// A person begins: all rounds are there again. Mails that were sent stay sent.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { mails: self.mails, ..Self::default() };
    }

    /// Whether the round under way follows on an error, which counts until there is a success.
    pub(super) fn counts_as_error(&self) -> bool {
        self.because.as_ref().is_some_and(Failure::speaks_of_the_package)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Whether an appliance at another version shows that its order was lost; not for ever, since its word may be lost as well.
fn was_lost(because: &Failure, order_heard: bool, lost: u32) -> bool {
    matches!(because, Failure::OtherVersion { .. }) && !order_heard && lost < LOST_MAX
}

/// What the decision needs to know besides the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Rounds that began by themselves.
    pub rounds: u32,
    /// Orders that were lost on their way and sent again.
    pub lost: u32,
    /// Whether something shows that the order arrived.
    pub order_heard: bool,
    /// Whether it did not take the order because that was called back.
    pub called_back: bool,
    /// Whether it was sent in another form once.
    pub reformed: bool,
    /// Until when a mail that is delayed on its way may still arrive.
    pub on_its_way_until: Option<Timestamp>,
    /// How many mails the rollout may still send by itself.
    pub mails_left: u32,
    /// After this no appliance installs the package.
    pub expires: Timestamp,
    /// Drawn: how much longer the pause is, of 65,535.
    pub draw: u16,
}

/// What follows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another round.
    At {
        /// Not before.
        at: Timestamp,
        /// With what.
        how: How,
    },
    /// Nothing; a person may begin again with `rollout retry`.
    Never {
        /// Why.
        why: Why,
    },
}

/// With what a round begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The package; with whole files, where there are some and `whole` says so.
    Package {
        /// Whether differences are given up.
        whole: bool,
    },
    /// Only the question, before other mail.
    Question,
}

impl How {
    /// How many mails it takes for one target.
    #[must_use]
    pub fn mails(self) -> u32 {
        match self {
            Self::Package { .. } => MAILS_OF_AN_ATTEMPT,
            Self::Question => 1,
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Package { .. } => "the package is sent again",
            Self::Question => "it is asked again",
        })
    }
}

/// Why nothing follows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The operator wants no rounds.
    NotWanted,
    /// All rounds are used up.
    RoundsUsed,
    /// The rollout has no mails left.
    MailsUsed,
    /// The next round would begin after the package has expired.
    Expires,
    /// Everything was decided, and the rollout ended.
    Ended,
    /// It was removed, or is suspended.
    ShutOut,
    /// Its address does not take mail.
    Address,
    /// It was sent in another form already.
    FormTried,
    /// Mail to it is refused.
    MailRefused,
    /// The mail still waits in our outbox.
    StillQueued,
    /// It refused what it cannot trust.
    Trust,
    /// The package does not fit it.
    Unfit,
    /// It went back.
    WentBack,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "this rollout has no automatic rounds",
            Self::RoundsUsed => "all automatic rounds are used up",
            Self::MailsUsed => "the mails of this rollout are used up",
            Self::Expires => "the package expires before the next round",
            Self::Ended => "the rollout has ended",
            Self::ShutOut => "nothing can be sent to it",
            Self::Address => "its address has to be looked at",
            Self::FormTried => "it was sent in another form already",
            Self::MailRefused => "mail to it is refused",
            Self::StillQueued => "the mail still waits in the outbox",
            Self::Trust => "what it does not trust is not sent again",
            Self::Unfit => "the same package would be refused again",
            Self::WentBack => "the same package would be undone again",
        })
    }
}

/// What a failure comes to for trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Silent,
    OtherVersion,
    /// Another time may do: space, business, the window; a mailbox that is full.
    ForNow,
    /// Size or type of the mail.
    Form,
    Suspended,
    Never(Why),
}

impl Cause {
    fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Silent => Self::Silent,
            Failure::OtherVersion { .. } | Failure::MixedModules { .. } => Self::OtherVersion,
            Failure::Refused { reason } => Self::of_refusal(reason).unwrap_or(Self::Never(Why::Unfit)),
            // An installation that waited too long was undone without having begun.
            Failure::Undone { reason } if is_for_now(reason) => Self::ForNow,
            Failure::Undone { .. } => Self::Never(Why::WentBack),
            Failure::Undeliverable { reason } => Self::of_returned(reason),
            Failure::WindowMissed { .. } => Self::ForNow,
            Failure::Suspended => Self::Suspended,
        }
    }

    /// An appliance says in words why it refuses; what is not known among them is left to a person.
    fn of_refusal(reason: &str) -> Option<Self> {
        const DISTRUST: &[&str] = &[
            "signed",
            "signature",
            "release counter",
            "revoked",
            "permit to go back",
            "not the one that was ordered",
            "is not the file that the manifest names",
            "approv",
        ];
        let reason = reason.to_lowercase();
        if DISTRUST.iter().any(|words| reason.contains(words)) {
            return Some(Self::Never(Why::Trust));
        }
        is_for_now(&reason).then_some(Self::ForNow)
    }

    fn of_returned(reason: &str) -> Self {
        if reason.starts_with("our mail server ") {
            return Self::Never(Why::StillQueued);
        }
        match MailCause::judge(None, reason) {
            MailCause::TooLarge | MailCause::ContentRefused => Self::Form,
            MailCause::MailboxFull
            | MailCause::HostUnreachable
            | MailCause::Temporary
            | MailCause::Expired => Self::ForNow,
            MailCause::NoSuchUser | MailCause::DomainNotFound | MailCause::MailboxSuspended => {
                Self::Never(Why::Address)
            }
            MailCause::PolicyRefused | MailCause::RelayDenied | MailCause::Loop | MailCause::Unknown => {
                Self::Never(Why::MailRefused)
            }
        }
    }
}

/// Whether an appliance says that another time may do.
fn is_for_now(reason: &str) -> bool {
    const ANOTHER_TIME: &[&str] = &["octets of disk", "no space", "given up after waiting", "window", "busy"];
    let reason = reason.to_lowercase();
    ANOTHER_TIME.iter().any(|words| reason.contains(words))
}

/// Whether a person has to be told: somebody may have altered the package, or sends one that we did not make.
#[must_use]
pub fn alarms(cause: &Failure) -> bool {
    Cause::of(cause) == Cause::Never(Why::Trust)
}

/// What follows by itself on a failure that was found at `now`.
#[must_use]
pub fn next(cause: &Failure, history: &History, policy: &Policy, now: Timestamp) -> Next {
    let never = |why| Next::Never { why };
    if history.called_back {
        // It did as it was told; that is no round.
        return Next::At { at: now, how: How::Package { whole: false } };
    }
    let pause = policy.pause(history.rounds.saturating_add(history.lost), history.draw);
    let was_lost = was_lost(cause, history.order_heard, history.lost);
    let (how, wait) = match Cause::of(cause) {
        Cause::Never(why) => return never(why),
        Cause::Form if history.reformed => return never(Why::FormTried),
        Cause::Silent if history.order_heard || history.rounds.is_multiple_of(2) => (How::Question, pause),
        Cause::Silent => (How::Package { whole: false }, pause),
        Cause::OtherVersion => (How::Package { whole: !was_lost }, pause),
        Cause::ForNow => (How::Package { whole: false }, pause.max(NEXT_WINDOW)),
        Cause::Form => (How::Package { whole: false }, pause),
        Cause::Suspended => (How::Package { whole: false }, SignedDuration::ZERO),
    };
    if policy.rounds == 0 {
        return never(Why::NotWanted);
    }
    if history.rounds >= policy.rounds && !was_lost {
        return never(Why::RoundsUsed);
    }
    if history.mails_left < how.mails() {
        return never(Why::MailsUsed);
    }
    let at = after(now, wait).max(history.on_its_way_until.unwrap_or(Timestamp::MIN));
    if after(at, policy.gather()) >= history.expires {
        return never(Why::Expires);
    }
    Next::At { at, how }
}

/// What follows by itself for a failed target; `failure` was found at `now`. `mails_left` is [`mails_left`].
#[must_use]
pub fn next_for(
    rollout: &Rollout,
    target: &Target,
    failure: &Failure,
    mails_left: u32,
    now: Timestamp,
) -> Next {
    if target.removed || target.suspended {
        return Next::Never { why: Why::ShutOut };
    }
    let (order, ask) = target.mails();
    let late = [order.map(|order| &order.transport), ask.map(|ask| &ask.transport)];
    let on_its_way_until = late.into_iter().flatten().filter_map(|transport| match transport {
        Transport::Delayed { accepted, .. } => Some(after(*accepted, GIVEN_UP)),
        Transport::Queued { .. }
        | Transport::Accepted { .. }
        | Transport::Bounced { .. }
        | Transport::Heard { .. } => None,
    });
    let history = History {
        rounds: target.tried.rounds,
        lost: target.tried.lost,
        order_heard: target.order_heard(),
        called_back: target.called_back(),
        reformed: target.tried.reformed,
        on_its_way_until: on_its_way_until.max(),
        mails_left,
        expires: rollout.package_expires,
        draw: draw(rollout, target.tried.rounds.saturating_add(target.tried.lost)),
    };
    next(failure, &history, &rollout.retrying, now)
}

/// What follows by itself for a target with a verdict; `None` where it is updated, or there is none.
#[must_use]
pub fn outlook(rollout: &Rollout, target: &Target, mails_left: u32) -> Option<Next> {
    match &target.state {
        TargetState::Decided { verdict: Verdict::Failed { failure }, at, .. } => {
            Some(match next_for(rollout, target, failure, mails_left, *at) {
                Next::At { .. } if rollout.finished.is_some() => Next::Never { why: Why::Ended },
                next => next,
            })
        }
        TargetState::Decided { verdict: Verdict::Updated, .. }
        | TargetState::Planned
        | TargetState::Ordered { .. }
        | TargetState::Asked { .. } => None,
    }
}

/// When the rollout goes to it: when all that fail about the same time are due.
#[must_use]
pub fn goes_at(rollout: &Rollout, at: Timestamp) -> Timestamp {
    after(at, rollout.retrying.gather())
}

/// How many mails a rollout may still send by itself, besides those that first attempts under way still need.
#[must_use]
pub fn mails_left(rollout: &Rollout, targets: &Targets) -> u32 {
    let all = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let taken = targets.values().map(|target| {
        let to_come = match target.state {
            TargetState::Planned => MAILS_OF_AN_ATTEMPT,
            TargetState::Ordered { .. } => 1,
            TargetState::Asked { .. } | TargetState::Decided { .. } => 0,
        };
        target.tried.mails.saturating_add(to_come)
    });
    rollout.retrying.mails_per_target.saturating_mul(all).saturating_sub(taken.fold(0, u32::saturating_add))
}

/// The same for all targets of one round, so that one mail can go to all of them.
fn draw(rollout: &Rollout, rounds: u32) -> u16 {
    let started = rollout.started.as_millisecond().to_be_bytes();
    let drawn =
        Digest::of(&[&rollout.id.0.to_be_bytes()[..], &started[..], &rounds.to_be_bytes()[..]].concat());
    let [first, second, ..] = *drawn.as_bytes();
    u16::from_be_bytes([first, second])
}

#[cfg(test)]
mod tests;
