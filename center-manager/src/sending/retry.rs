//! What a mail server's answer means for the outbox: taken, refused for good, or when to try again. Pure.

use super::MailPlan;
use crate::db::outbox::{Due, OutboxId, Try};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use mailbox::smtp::{Cause, ServerReply};
use mailbox::{RecipientOutcome, SendError};
use mailfmt::AgentId;
use mailfmt::mail::Form;

/// What a server refuses for a reason that may be over tomorrow is offered so often before it counts as refused: many providers use
/// final codes for quotas, and blocklists forget.
pub(super) const TRIES_OF_A_REFUSED_MAIL: u32 = 4;

/// Greylisting wants a second try after some minutes (RFC 6647 section 4.3 asks for one within the hour; postgrey waits 5 minutes,
/// others 1). So often it is met with pauses of minutes; who then still is not taken is up against something else.
const GREYLIST_TRIES: u32 = 6;
const GREYLIST_PAUSE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Shortest pause where a server says that it gets too much mail from us.
const TOO_MUCH_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// A full mailbox is emptied when its appliance fetches, at its own pace.
const FULL_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// When to try again after `attempts` tries before this one: the pause doubles every time, up to the longest.
#[must_use]
pub fn next_try(now: Timestamp, attempts: u32, settings: &Settings) -> Timestamp {
    after(now, pause(attempts, settings))
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

fn pause(attempts: u32, settings: &Settings) -> SignedDuration {
    let factor = 1i32.checked_shl(attempts.min(16)).unwrap_or(i32::MAX);
    settings.retry_pause.checked_mul(factor).unwrap_or(SignedDuration::MAX).min(settings.retry_pause_max)
}

/// When to try again after this reply.
fn after_reply(reply: &ServerReply, attempts: u32, now: Timestamp, settings: &Settings) -> Timestamp {
    let usual = pause(attempts, settings);
    let longest = settings.retry_pause_max;
    after(
        now,
        match Cause::of(reply) {
            Cause::Greylisted if attempts < GREYLIST_TRIES => usual.min(GREYLIST_PAUSE_MAX),
            Cause::MailboxFull => usual.max(FULL_PAUSE.min(longest)),
            _ if reply.is_permanent() => longest,
            Cause::TooMuch => usual.max(TOO_MUCH_PAUSE.min(longest)),
            _ => usual,
        },
    )
}

/// What a refusal of one recipient means.
fn refusal(reply: &ServerReply, attempts: u32, now: Timestamp, settings: &Settings) -> Try {
    let later = || Try::Later { at: after_reply(reply, attempts, now, settings), detail: reply.to_string() };
    match Cause::of(reply) {
        _ if !reply.is_permanent() => later(),
        // Until the message expires: it is nobody's fault, and passes.
        Cause::MailboxFull => later(),
        Cause::TooMuch | Cause::Busy | Cause::Policy | Cause::Sender | Cause::Login
            if attempts.saturating_add(1) < TRIES_OF_A_REFUSED_MAIL =>
        {
            later()
        }
        _ => Try::Refused { detail: reply.to_string() },
    }
}

/// In which form the server took a mail for whom.
#[must_use]
pub fn forms(plan: &MailPlan, outcomes: &[(String, RecipientOutcome)]) -> Vec<(OutboxId, AgentId, Form)> {
    plan.recipients
        .iter()
        .zip(outcomes)
        .filter(|(_, (_, outcome))| matches!(outcome, RecipientOutcome::Accepted))
        .map(|(due, _)| (plan.outbox, due.agent.clone(), due.form))
        .collect()
}

/// What the server's answers mean for the recipients of a mail.
#[must_use]
pub fn answers(
    plan: &MailPlan,
    outcomes: &[(String, RecipientOutcome)],
    now: Timestamp,
    settings: &Settings,
) -> Vec<(OutboxId, AgentId, Try)> {
    let outcome = |nth: usize, due: &Due| match outcomes.get(nth).map(|(_, outcome)| outcome) {
        Some(RecipientOutcome::Accepted) => Try::Accepted,
        Some(RecipientOutcome::Refused(reply) | RecipientOutcome::Deferred(reply)) => {
            refusal(reply, due.attempts, now, settings)
        }
        None => Try::Later { at: next_try(now, due.attempts, settings), detail: String::new() },
    };
    plan.recipients
        .iter()
        .enumerate()
        .map(|(nth, due)| (plan.outbox, due.agent.clone(), outcome(nth, due)))
        .collect()
}

/// What an error of a whole mail means for its recipients.
#[must_use]
pub fn failure(
    plan: &MailPlan,
    error: &SendError,
    now: Timestamp,
    settings: &Settings,
) -> Vec<(OutboxId, AgentId, Try)> {
    let outcome = |due: &Due| {
        let later = |at| Try::Later { at, detail: error.to_string() };
        let refused = || Try::Refused { detail: error.to_string() };
        match error {
            // One impossible address must not keep the mail from the others.
            SendError::Address { address } if *address == due.address => refused(),
            SendError::Address { .. } => later(now),
            SendError::TooLarge { .. } | SendError::EightBit | SendError::NoRecipients => refused(),
            // The mail may lie in the recipient's mailbox already; there it is told by its message id. All that is to be kept is
            // that the next try does not overtake a server that still works on this one.
            SendError::Unconfirmed => later(after(now, pause(due.attempts.max(1), settings))),
            SendError::Permanent(_) if due.attempts.saturating_add(1) >= TRIES_OF_A_REFUSED_MAIL => refused(),
            SendError::Permanent(reply) | SendError::Transient(reply) => {
                let usual = next_try(now, due.attempts, settings);
                later(if reply.is_permanent() {
                    usual
                } else {
                    after_reply(reply, due.attempts, now, settings)
                })
            }
            _ => later(next_try(now, due.attempts, settings)),
        }
    };
    plan.recipients.iter().map(|due| (plan.outbox, due.agent.clone(), outcome(due))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::now;

    fn settings() -> Settings {
        let text = r#"
            center = "CENTER"
            address = "center@center.example"
            [[account]]
            name = "main"
            address = "center@center.example"
            username = "center"
            smtp = { host = "localhost", port = 25, security = "plain" }
            fetch = "pop3"
            fetch_server = { host = "localhost", port = 110, security = "plain" }
        "#;
        Settings::parse(text).unwrap()
    }

    fn plan(attempts: u32) -> MailPlan {
        let due = Due {
            outbox: OutboxId(1),
            agent: crate::sample::agent(1),
            address: "agent1@site.example".to_owned(),
            sequence: 1,
            attempts,
            form: Form::Opaque,
        };
        MailPlan { outbox: OutboxId(1), recipients: vec![due] }
    }

    /// The pauses in seconds until a recipient is refused, or for twelve tries.
    fn pauses(code: u16, text: &str) -> (Vec<i64>, bool) {
        let reply = ServerReply::new(code, text);
        let mut pauses = Vec::new();
        for attempts in 0..12 {
            let outcome = if reply.is_permanent() {
                RecipientOutcome::Refused(reply.clone())
            } else {
                RecipientOutcome::Deferred(reply.clone())
            };
            match answers(&plan(attempts), &[(String::new(), outcome)], now(), &settings()).remove(0).2 {
                Try::Later { at, .. } => pauses.push(at.duration_since(now()).as_secs()),
                Try::Refused { .. } => return (pauses, true),
                Try::Accepted => panic!("never taken"),
            }
        }
        (pauses, false)
    }

    #[test]
    fn greylisting_is_met_within_minutes_and_then_like_any_delay() {
        let (pauses, refused) = pauses(450, "4.2.0 Recipient address rejected: Greylisted");
        assert!(!refused);
        assert_eq!(pauses[..8], [30, 60, 120, 240, 300, 300, 1920, 3600]);
    }

    #[test]
    fn a_full_mailbox_is_waited_for_whatever_code_says_so() {
        for code in [452, 552] {
            let text = format!("{}.2.2 Mailbox full", code / 100);
            let (pauses, refused) = pauses(code, &text);
            assert!(!refused, "{code}");
            assert_eq!((pauses[0], pauses[11]), (900, 3600), "{code}");
        }
    }

    #[test]
    fn an_unknown_mailbox_or_a_mail_too_large_is_refused_at_once() {
        for text in ["5.1.1 User unknown", "5.3.4 Message too big", "5.2.3 too long", "5.7.1 virus found"] {
            assert_eq!(pauses(550, text), (Vec::new(), true), "{text}");
        }
    }

    #[test]
    fn a_policy_or_a_daily_limit_is_tried_some_times_with_long_pauses() {
        for text in ["5.7.1 Client host blocked using a blocklist", "5.4.5 Daily sending limit exceeded"] {
            let (pauses, refused) = pauses(550, text);
            assert!(refused && pauses.len() == 3, "{text}: {pauses:?}");
            assert!(pauses.iter().all(|pause| *pause >= 300), "{text}: {pauses:?}");
        }
    }

    #[test]
    fn a_server_that_gets_too_much_is_given_at_least_five_minutes() {
        let (pauses, refused) = pauses(421, "4.7.28 unusual rate of mail");
        assert!(!refused && pauses.iter().all(|pause| *pause >= 300), "{pauses:?}");
    }

    #[test]
    fn a_mail_whose_last_dot_was_not_confirmed_waits_before_it_goes_out_again() {
        let tried = failure(&plan(0), &SendError::Unconfirmed, now(), &settings()).remove(0).2;
        let Try::Later { at, .. } = tried else { panic!("{tried:?}") };
        assert!(at.duration_since(now()) >= SignedDuration::from_secs(60));
    }
}
