//! What a negative reply is about, as far as it tells. Pure.
//!
//! The basic code says only whether it is for now or for good; the enhanced code (RFC 3463, 5248) says more where it is given, and
//! the text is looked at last, for what common servers write.

use super::ServerReply;

/// Why a server does not take a mail, or a recipient of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Not before some minutes have passed, because sender and recipient meet for the first time (RFC 6647).
    Greylisted,
    /// Too much mail or too many connections in too short a time; over by itself, by tomorrow at the latest.
    TooMuch,
    /// The server is busy, ends, or cannot reach something that it needs.
    Busy,
    /// The recipient's mailbox is full; it empties as soon as mail is fetched from it.
    MailboxFull,
    /// The mail is larger than the server or the mailbox takes.
    TooLarge,
    /// There is no such mailbox or domain, or it is closed.
    NoSuchMailbox,
    /// The sender's address is not ours to use here, or does not exist.
    Sender,
    /// It is taken for spam or malware, or has an attachment of a kind that is not let through.
    Content,
    /// Another rule of the server's operator: blocklists, relaying, authentication of the sender's domain.
    Policy,
    /// A login is missing or not good enough.
    Login,
    /// It does not tell.
    Other,
}

impl Cause {
    /// What the reply tells.
    #[must_use]
    pub fn of(reply: &ServerReply) -> Self {
        let text = reply.text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let for_now = !reply.is_permanent();
        if for_now && says(&["greylist", "graylist", "grey list", "gray list", "greylisting", "postgrey"]) {
            return Self::Greylisted;
        }
        let (subject, detail) = numbers(reply.enhanced.as_deref());
        match (subject, detail) {
            (1, 7 | 8) => Self::Sender,
            (1, _) => Self::NoSuchMailbox,
            (2, 1) if for_now && says(&["rate", "too many", "too quickly"]) => Self::TooMuch,
            (2, 1) => Self::NoSuchMailbox,
            (2, 2) => Self::MailboxFull,
            (2, 3) | (3, 4) => Self::TooLarge,
            (4, 5) | (5, 4 | 5) if says(&["limit", "quota", "exceed", "too many"]) => Self::TooMuch,
            (3, _) | (4, _) => Self::Busy,
            (5, 3) => Self::TooMuch,
            (6, _) => Self::Content,
            (7, 8 | 9) => Self::Login,
            (7, 60) => Self::Sender,
            _ if matches!(reply.code, 530 | 534 | 535 | 538 | 454) => Self::Login,
            _ if says(&[
                "quota",
                "mailbox full",
                "mailbox is full",
                "over quota",
                "insufficient storage space for",
            ]) && matches!(reply.code, 422 | 450 | 452 | 522 | 550 | 552 | 554) =>
            {
                if says(&["daily", "sending", "rate"]) { Self::TooMuch } else { Self::MailboxFull }
            }
            _ if matches!(reply.code, 523 | 552) && says(&["size", "too large", "too big", "exceed"]) => {
                Self::TooLarge
            }
            _ if says(&[
                "rate limit",
                "too many",
                "too much mail",
                "unusual rate",
                "sending limit",
                "throttl",
            ]) =>
            {
                Self::TooMuch
            }
            _ if says(&[
                "not owned by user",
                "send as",
                "sendasdenied",
                "sender address rejected",
                "sender rejected",
            ]) || (says(&["null sender", "empty sender", "sender"])
                && says(&["not allowed", "not permitted", "denied"])) =>
            {
                Self::Sender
            }
            _ if says(&["virus", "malware", "spam", "attachment", "content", "infected", "banned"]) => {
                Self::Content
            }
            (7, _) => Self::Policy,
            _ if says(&[
                "user unknown",
                "no such user",
                "unknown user",
                "does not exist",
                "no mailbox",
                "unknown in",
            ]) =>
            {
                Self::NoSuchMailbox
            }
            _ if says(&["relay", "blocked", "blacklist", "blocklist", "policy", "dnsbl"]) => Self::Policy,
            _ if for_now && matches!(reply.code, 421 | 450 | 451 | 452) => Self::Busy,
            _ => Self::Other,
        }
    }

    /// In a few words, for an operator.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Greylisted => "greylisted: taken after some minutes",
            Self::TooMuch => "too much mail in too short a time",
            Self::Busy => "the mail server is busy",
            Self::MailboxFull => "the mailbox is full",
            Self::TooLarge => "the mail is too large",
            Self::NoSuchMailbox => "there is no such mailbox",
            Self::Sender => "the sender's address is not allowed here",
            Self::Content => "refused for its content",
            Self::Policy => "refused by a rule of the mail server",
            Self::Login => "the login is missing or not good enough",
            Self::Other => "refused",
        }
    }
}

/// Subject and detail of an enhanced code; zeros where there is none.
fn numbers(enhanced: Option<&str>) -> (u16, u16) {
    let mut numbers =
        enhanced.unwrap_or_default().split('.').skip(1).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(code: u16, text: &str) -> Cause {
        Cause::of(&ServerReply::new(code, text))
    }

    #[test]
    fn replies_of_common_servers_are_told_apart() {
        for (code, text, expected) in [
            (
                450,
                "4.2.0 <a@b>: Recipient address rejected: Greylisted, see http://postgrey.example/",
                Cause::Greylisted,
            ),
            (451, "4.7.1 Greylisting in action, please come back later", Cause::Greylisted),
            (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", Cause::Policy),
            (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", Cause::TooMuch),
            (
                450,
                "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents",
                Cause::TooMuch,
            ),
            (452, "4.5.3 Too many recipients", Cause::TooMuch),
            (550, "5.4.5 Daily user sending limit exceeded", Cause::TooMuch),
            (421, "Too many concurrent SMTP connections", Cause::TooMuch),
            (451, "4.3.0 Temporary lookup failure", Cause::Busy),
            (452, "4.3.1 Insufficient system storage", Cause::Busy),
            (421, "4.3.2 Service shutting down", Cause::Busy),
            (451, "local error in processing", Cause::Busy),
            (552, "5.2.2 Mailbox over quota", Cause::MailboxFull),
            (452, "4.2.2 Mailbox full", Cause::MailboxFull),
            (552, "Requested mail action aborted: exceeded storage allocation, quota", Cause::MailboxFull),
            (552, "5.3.4 Message size exceeds fixed limit", Cause::TooLarge),
            (550, "5.2.3 message too long for this mailbox", Cause::TooLarge),
            (552, "message size exceeds limit", Cause::TooLarge),
            (
                550,
                "5.1.1 <a@b>: Recipient address rejected: User unknown in virtual mailbox table",
                Cause::NoSuchMailbox,
            ),
            (550, "No such user here", Cause::NoSuchMailbox),
            (550, "5.2.1 The account is disabled", Cause::NoSuchMailbox),
            (553, "5.7.1 <a@b>: Sender address rejected: not owned by user c", Cause::Sender),
            (550, "5.7.60 SMTP; Client does not have permissions to send as this sender", Cause::Sender),
            (550, "5.1.8 Access denied, bad outbound sender", Cause::Sender),
            (554, "5.7.1 Spam message rejected", Cause::Content),
            (550, "5.7.1 virus Eicar found", Cause::Content),
            (
                552,
                "5.7.0 This message was blocked because its content presents a potential security issue",
                Cause::Content,
            ),
            (550, "5.6.0 Attachment type not allowed", Cause::Content),
            (554, "5.7.1 Service unavailable; Client host blocked using zen", Cause::Policy),
            (554, "5.7.1 Relay access denied", Cause::Policy),
            (530, "5.7.0 Authentication required", Cause::Login),
            (550, "no", Cause::Other),
        ] {
            assert_eq!(cause(code, text), expected, "{code} {text}");
        }
    }
}
