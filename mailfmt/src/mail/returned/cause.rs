//! Why a mail did not arrive: from the enhanced status, the SMTP reply and the texts that systems are known by.

use super::WordError;
use super::phrases::causes;
use super::status::{Status, reply_code};

/// Why a mail did not arrive, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// There is no such mailbox.
    NoSuchUser,
    /// The mailbox has no room.
    MailboxFull,
    /// The mail is larger than somebody on the way takes.
    TooLarge,
    /// A filter does not let the attachment or its content through.
    ContentRefused,
    /// Taken for spam, or refused by a rule about the sender.
    PolicyRefused,
    /// The server does not relay for us, or wants a login.
    RelayDenied,
    /// The domain does not exist, or takes no mail.
    DomainNotFound,
    /// The domain's server does not answer.
    HostUnreachable,
    /// Trouble that passes by itself: greylisting, an overloaded system.
    Temporary,
    /// The mail went in a circle.
    Loop,
    /// A server on the way gave up after trying for days.
    Expired,
    /// The mailbox is closed, suspended or switched off.
    MailboxSuspended,
    /// Nothing that it says is known.
    Unknown,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoSuchUser,
        Self::MailboxFull,
        Self::TooLarge,
        Self::ContentRefused,
        Self::PolicyRefused,
        Self::RelayDenied,
        Self::DomainNotFound,
        Self::HostUnreachable,
        Self::Temporary,
        Self::Loop,
        Self::Expired,
        Self::MailboxSuspended,
        Self::Unknown,
    ];

    /// The word for tables and stores; never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchUser => "no-such-user",
            Self::MailboxFull => "mailbox-full",
            Self::TooLarge => "too-large",
            Self::ContentRefused => "content-refused",
            Self::PolicyRefused => "policy-refused",
            Self::RelayDenied => "relay-denied",
            Self::DomainNotFound => "domain-not-found",
            Self::HostUnreachable => "host-unreachable",
            Self::Temporary => "temporary",
            Self::Loop => "loop",
            Self::Expired => "expired",
            Self::MailboxSuspended => "mailbox-suspended",
            Self::Unknown => "unknown",
        }
    }

    /// The same for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoSuchUser => "there is no such mailbox",
            Self::MailboxFull => "the mailbox is full",
            Self::TooLarge => "the mail is too large",
            Self::ContentRefused => "a filter does not let the attachment through",
            Self::PolicyRefused => "taken for spam, or refused by a rule",
            Self::RelayDenied => "the mail server does not relay for us or wants a login",
            Self::DomainNotFound => "the domain does not exist or takes no mail",
            Self::HostUnreachable => "the domain's mail server does not answer",
            Self::Temporary => "trouble that passes by itself",
            Self::Loop => "the mail went in a circle",
            Self::Expired => "a mail server gave up after trying for long",
            Self::MailboxSuspended => "the mailbox is closed or suspended",
            Self::Unknown => "for a reason that is not known",
        }
    }

    /// What a mail server's words come to; `text` may hold anything, only what is known in it counts.
    ///
    /// A status that says one thing only is believed; a general one (such as 5.7.1, which stands for relaying, spam and
    /// viruses) counts only where the words say nothing.
    #[must_use]
    pub fn judge(status: Option<Status>, text: &str) -> Self {
        let status = status.or_else(|| Status::find(text));
        status
            .and_then(certain)
            .or_else(|| of_words(text))
            .or_else(|| status.and_then(general))
            .or_else(|| reply_code(text).and_then(of_reply))
            .unwrap_or(Self::Unknown)
    }
}

/// What the words of a text say, whatever their case; `None` where they hold nothing known.
pub(super) fn of_words(text: &str) -> Option<Cause> {
    let folded = fold(text);
    causes()
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| folded.contains(phrase)))
        .map(|(cause, _)| *cause)
}

/// Lower case, one blank between words, straight apostrophes: so that phrases are found across line ends.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut blank = true;
    for character in text.chars() {
        if character.is_whitespace() {
            if !blank {
                folded.push(' ');
            }
            blank = true;
            continue;
        }
        blank = false;
        match character {
            '\u{2018}' | '\u{2019}' | '`' | '\u{b4}' => folded.push('\''),
            '\u{201c}' | '\u{201d}' => folded.push('"'),
            character => folded.extend(character.to_lowercase()),
        }
    }
    folded
}

/// RFC 3463 section 3 and the registry of RFC 5248, where a code says one thing only.
fn certain(status: Status) -> Option<Cause> {
    let Status { class, subject, detail } = status;
    Some(match (subject, detail) {
        (1, 1 | 3 | 4 | 6) | (7, 17 | 18) => Cause::NoSuchUser,
        // RFC 7505: a null MX; Microsoft uses the same number for an unknown recipient, and says so in words.
        (1, 2) | (4, 4 | 310) => Cause::DomainNotFound,
        (2, 2) => Cause::MailboxFull,
        (2, 3) | (3, 4) => Cause::TooLarge,
        (4, 6 | 14) => Cause::Loop,
        (4, 7) if class == 5 => Cause::Expired,
        (4, 300 | 316) => Cause::Expired,
        (6, 1..=6) => Cause::ContentRefused,
        (7, 20..=29 | 124 | 129 | 133..=136 | 501..=799) => Cause::PolicyRefused,
        _ => return None,
    })
}

/// The same codes where words would say more.
fn general(status: Status) -> Option<Cause> {
    let Status { class, subject, detail } = status;
    Some(match (subject, detail) {
        (1, 7 | 8) => Cause::PolicyRefused,
        (1, 10) => Cause::DomainNotFound,
        (1, _) => Cause::NoSuchUser,
        (2, 1) if class == 5 => Cause::MailboxSuspended,
        (4, 7) => Cause::Expired,
        (4, 1 | 2) => Cause::HostUnreachable,
        (5, 3) | (6, 7) => Cause::PolicyRefused,
        (6, _) => Cause::ContentRefused,
        (7, 8 | 9 | 11 | 12 | 13 | 30) => Cause::RelayDenied,
        (7, _) if class == 5 => Cause::PolicyRefused,
        _ if class == 4 => Cause::Temporary,
        _ => return None,
    })
}

/// RFC 5321 section 4.2.3, RFC 7504.
fn of_reply(code: u16) -> Option<Cause> {
    Some(match code {
        421 | 450..=459 => Cause::Temporary,
        521 | 556 => Cause::DomainNotFound,
        530 | 534 | 535 | 538 => Cause::RelayDenied,
        550 | 551 | 553 => Cause::NoSuchUser,
        552 => Cause::MailboxFull,
        _ => return None,
    })
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Cause {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        let found = Self::ALL.into_iter().find(|cause| cause.as_str() == text);
        found.ok_or_else(|| WordError(text.chars().take(40).collect()))
    }
}
