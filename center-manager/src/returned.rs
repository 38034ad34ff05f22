//! What follows from a mail that came back. Pure.
//!
//! Nothing of it is authentic, so the worst that a forged one may do is what the best would do, too: a message is sent once
//! more, or shown as come back until its appliance answers. It never makes a success of a failure.

use jiff::{SignedDuration, Timestamp};
use mailfmt::mail::returned::{Cause, Kind, Standing};

/// First pause before a mail for a full mailbox, or for a server that was away, is sent again; doubled every time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Longest such pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// A mail that comes back is handed in so often before it counts as undeliverable.
const HANDED_IN_MAX: u32 = 8;

/// What follows for one recipient of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is counted and shown.
    Noted,
    /// The message is on its way, only late.
    Delayed,
    /// It is sent again at that time, under the same id.
    Again(Timestamp),
    /// It did not arrive.
    Bounced,
}

impl Effect {
    /// The word for tables and stores.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Noted => "noted",
            Self::Delayed => "delayed",
            Self::Again(_) => "sent again",
            Self::Bounced => "bounced",
        }
    }
}

/// What follows when a mail of this kind comes back for a message that was handed in `tries` times and is valid until `expires`.
#[must_use]
pub fn effect(
    kind: Kind,
    standing: Standing,
    cause: Option<Cause>,
    tries: u32,
    expires: Timestamp,
    now: Timestamp,
) -> Effect {
    let failed = kind.is_final_failure() && standing == Standing::Failed;
    if !failed {
        let late = kind == Kind::Delay || kind == Kind::Bounce && standing == Standing::Delayed;
        return if late { Effect::Delayed } else { Effect::Noted };
    }
    match cause.unwrap_or(Cause::Unknown) {
        Cause::MailboxFull | Cause::Temporary | Cause::HostUnreachable | Cause::Expired => {
            let doublings = tries.saturating_sub(1).min(8);
            let pause = FIRST_PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
            let at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
            if tries < HANDED_IN_MAX && at < expires { Effect::Again(at) } else { Effect::Bounced }
        }
        Cause::NoSuchUser
        | Cause::TooLarge
        | Cause::ContentRefused
        | Cause::PolicyRefused
        | Cause::RelayDenied
        | Cause::DomainNotFound
        | Cause::Loop
        | Cause::MailboxSuspended
        | Cause::Unknown => Effect::Bounced,
    }
}

/// What a person types next, by the cause.
#[must_use]
pub fn next_command(kind: Kind, cause: Option<Cause>, agent: Option<&str>) -> String {
    let agent_or = agent.unwrap_or("AGENT");
    match (kind, cause) {
        _ if agent.is_none() => "center-manager appliance list".to_owned(),
        (
            Kind::AutoReply
            | Kind::Challenge
            | Kind::Complaint
            | Kind::List
            | Kind::Read
            | Kind::DeletedUnread
            | Kind::Delivered,
            _,
        ) => {
            format!("center-manager appliance show {agent_or}")
        }
        (Kind::Delay, _)
        | (_, Some(Cause::MailboxFull | Cause::Temporary | Cause::HostUnreachable | Cause::Expired)) => {
            "center-manager outbox".to_owned()
        }
        (_, Some(Cause::NoSuchUser | Cause::DomainNotFound | Cause::MailboxSuspended)) => {
            format!("center-manager appliance move {agent_or} --address ADDRESS")
        }
        (_, Some(Cause::TooLarge)) => format!("center-manager appliance mail-limit {agent_or} OCTETS"),
        (_, Some(Cause::RelayDenied | Cause::PolicyRefused | Cause::Loop)) => {
            "center-manager doctor".to_owned()
        }
        (_, Some(Cause::ContentRefused | Cause::Unknown) | None) => {
            format!("center-manager appliance show {agent_or}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
    }

    fn of(kind: Kind, cause: Cause, tries: u32) -> Effect {
        effect(kind, Standing::Failed, Some(cause), tries, at(24 * 7), at(0))
    }

    #[test]
    fn a_full_mailbox_is_tried_again_at_growing_pauses_and_not_for_ever() {
        assert_eq!(of(Kind::Bounce, Cause::MailboxFull, 1), Effect::Again(at(1)));
        assert_eq!(of(Kind::Bounce, Cause::MailboxFull, 3), Effect::Again(at(4)));
        assert_eq!(of(Kind::Bounce, Cause::MailboxFull, 7), Effect::Again(at(24)));
        assert_eq!(of(Kind::Bounce, Cause::MailboxFull, 8), Effect::Bounced);
        let expired = effect(Kind::Bounce, Standing::Failed, Some(Cause::MailboxFull), 1, at(1), at(0));
        assert_eq!(expired, Effect::Bounced, "nobody would act on it any more");
    }

    #[test]
    fn a_loop_and_a_wrong_address_are_not_tried_again() {
        for cause in [Cause::Loop, Cause::NoSuchUser, Cause::ContentRefused, Cause::TooLarge, Cause::Unknown]
        {
            assert_eq!(of(Kind::Bounce, cause, 1), Effect::Bounced, "{cause}");
        }
    }

    #[test]
    fn only_a_failure_says_that_a_mail_did_not_arrive() {
        for kind in Kind::ALL {
            let effect = of(kind, Cause::NoSuchUser, 1);
            assert_eq!(effect == Effect::Bounced, kind.is_final_failure(), "{kind}");
        }
        let delivered = effect(Kind::Bounce, Standing::Delivered, None, 1, at(24), at(0));
        assert_eq!(delivered, Effect::Noted, "another recipient of the same report failed");
        assert_eq!(of(Kind::Delay, Cause::HostUnreachable, 1), Effect::Delayed);
    }
}
