//! Return traffic: everything that mail systems and absent people send back by themselves (RFC 3464, RFC 3834, RFC 5965,
//! RFC 6533, RFC 8098, and the free texts of those that follow none of them).
//!
//! `recognise` says what came back, why, for whom, and which of our messages it speaks of. Nothing of it is authentic: it
//! is a hint, and an authentic answer overrules it. Nothing of it is ever answered.
//!
//! Pure and total. All that is looked at is bounded: [`TEXT_OCTETS`] of text, [`IDS_MAX`] ids, [`RECIPIENTS_MAX`] recipients.

mod automatic;
mod bounce_text;
mod cause;
mod delivery_status;
mod facts;
mod ids;
mod phrases;
mod return_path;
mod status;

pub use cause::Cause;
pub use return_path::{ReturnKey, TAG_CHARACTERS};
pub use status::Status;

use crate::ids::MessageId;
use crate::limits::Limits;
use facts::Facts;
use mail_parser::Message;

/// Octets of text that are read in one mail: notices of mail systems have a few kilobytes, and what follows is a copy of the mail.
pub const TEXT_OCTETS: usize = 64 << 10;

/// Ids of ours that one mail is taken to speak of.
pub const IDS_MAX: usize = 16;

/// Recipients that are read from one report.
pub const RECIPIENTS_MAX: usize = 64;

/// Characters of a diagnostic that are kept.
const DIAGNOSTIC_CHARACTERS: usize = 300;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// What it is.
    pub kind: Kind,
    /// Why our mail did not arrive; `None` where nothing says that it did not.
    pub cause: Option<Cause>,
    /// Whom it is about, as far as it says.
    pub recipients: Vec<Recipient>,
    /// Our messages that it speaks of, as far as their ids are quoted.
    pub messages: Vec<MessageId>,
    /// What may be tags of return paths, from the headers that say where it was delivered; only [`ReturnKey::message`] tells.
    pub tags: Vec<String>,
    /// Who says that he wrote it.
    pub sender: Option<String>,
    /// The mail system's words, or the subject; at most 300 characters.
    pub diagnostic: String,
}

/// What it says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The mail address that failed, or that the mail was for originally, whichever was given.
    pub address: String,
    /// The address that we wrote to, where a system on the way changed it.
    pub original: Option<String>,
    /// What became of the mail.
    pub standing: Standing,
    /// The enhanced status code, where there is one.
    pub status: Option<Status>,
    /// Why; `None` for what arrived.
    pub cause: Option<Cause>,
    /// The mail system's words.
    pub diagnostic: String,
}

impl Recipient {
    /// Whether it is about this address.
    #[must_use]
    pub fn is(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
            || self.original.as_deref().is_some_and(|original| original.eq_ignore_ascii_case(address))
    }
}

/// What became of a mail for one recipient (RFC 3464, 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Delivered, relayed or expanded: no trouble.
    Delivered,
}

/// What a returned mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A mail of ours did not arrive, and nobody tries any more.
    Bounce,
    /// A mail of ours is late; somebody still tries.
    Delay,
    /// A mail of ours arrived, or went on to a system that tells nothing.
    Delivered,
    /// Out of office, vacation, "we have received your mail".
    AutoReply,
    /// A receipt that somebody or something opened the mail (RFC 8098).
    Read,
    /// A receipt that the mail was deleted unread (RFC 8098).
    DeletedUnread,
    /// A system that delivers only after somebody has answered it.
    Challenge,
    /// Somebody called the mail spam (RFC 5965).
    Complaint,
    /// A filter took out our attachment or holds the mail.
    ContentNotice,
    /// A mailing list: its mails, and what its moderation says.
    List,
    /// A mail of ours went round and came back to us.
    Loop,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Bounce,
        Self::Delay,
        Self::Delivered,
        Self::AutoReply,
        Self::Read,
        Self::DeletedUnread,
        Self::Challenge,
        Self::Complaint,
        Self::ContentNotice,
        Self::List,
        Self::Loop,
    ];

    /// The word for tables and stores; never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Delay => "delay",
            Self::Delivered => "delivered",
            Self::AutoReply => "auto-reply",
            Self::Read => "read",
            Self::DeletedUnread => "deleted-unread",
            Self::Challenge => "challenge",
            Self::Complaint => "complaint",
            Self::ContentNotice => "content-notice",
            Self::List => "list",
            Self::Loop => "loop",
        }
    }

    /// Whether it says that a mail of ours has not arrived and will not arrive by itself.
    #[must_use]
    pub fn is_final_failure(self) -> bool {
        match self {
            Self::Bounce | Self::Challenge | Self::ContentNotice | Self::Loop => true,
            // Some servers say "unread" when a program takes a mail away without marking it read.
            Self::Delay
            | Self::Delivered
            | Self::AutoReply
            | Self::Read
            | Self::DeletedUnread
            | Self::Complaint
            | Self::List => false,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| WordError(text.chars().take(40).collect()))
    }
}

/// Not a word for a kind or a cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind and no cause of returned mail")]
pub struct WordError(String);

impl Returned {
    /// One sentence for a person: what became of the mail and why, with the mail system's words.
    #[must_use]
    pub fn words(&self) -> String {
        let what = match self.kind {
            Kind::Bounce => "came back",
            Kind::Delay => "is late",
            Kind::Delivered => "was delivered",
            Kind::AutoReply => "was answered automatically",
            Kind::Read => "was opened by a mail program",
            Kind::DeletedUnread => "was deleted unread",
            Kind::Challenge => "waits until somebody answers a challenge",
            Kind::Complaint => "was called spam",
            Kind::ContentNotice => "was held or stripped by a filter",
            Kind::List => "went to a mailing list",
            Kind::Loop => "went in a circle",
        };
        let mut words = what.to_owned();
        if let Some(cause) = self.cause {
            words += ": ";
            words += cause.words();
        }
        if !self.diagnostic.is_empty() {
            words += " (";
            words += &self.diagnostic;
            words.push(')');
        }
        words
    }
}

/// Whether a mail is a report by its structure: then what it quotes is not what it brings.
pub(super) fn is_report(mail: &Message<'_>, limits: &Limits) -> bool {
    facts::report_parts(mail, limits).next().is_some()
}

/// Says what came back; `None` for a mail that is nothing of the kind, or of which only [`automatic`] tells.
pub(super) fn recognise(mail: &Message<'_>, raw: &[u8], limits: &Limits) -> Option<Returned> {
    let facts = Facts::of(mail, limits);
    if facts.is_our_own() {
        return None;
    }
    let found = delivery_status::read(&facts)
        .or_else(|| automatic::reports(&facts))
        .or_else(|| automatic::circle(&facts))
        .or_else(|| automatic::challenge(&facts))
        .or_else(|| automatic::moderation(&facts))
        .or_else(|| automatic::filter_notice(&facts))
        .or_else(|| bounce_text::read(&facts))
        .or_else(|| automatic::content_notice(&facts))
        .or_else(|| automatic::reply(&facts))?;
    Some(found.complete(raw, &facts))
}

/// Says whether a mail that is nothing else was at least sent by a program.
pub(super) fn automatic(mail: &Message<'_>, raw: &[u8], limits: &Limits) -> Option<Returned> {
    let facts = Facts::of(mail, limits);
    let found = automatic::circle(&facts).or_else(|| automatic::by_program(&facts))?;
    Some(found.complete(raw, &facts))
}

/// What one of the readers found.
#[derive(Debug)]
struct Found {
    kind: Kind,
    cause: Option<Cause>,
    recipients: Vec<Recipient>,
    diagnostic: String,
}

impl Found {
    fn of(kind: Kind, cause: Option<Cause>, diagnostic: &str) -> Self {
        Self { kind, cause, recipients: Vec::new(), diagnostic: diagnostic.to_owned() }
    }

    fn complete(self, raw: &[u8], facts: &Facts) -> Returned {
        Returned {
            kind: self.kind,
            cause: self.cause,
            recipients: self.recipients,
            messages: ids::quoted(raw, facts),
            tags: return_path::candidates(facts),
            sender: facts.sender.clone(),
            diagnostic: shortened(&self.diagnostic),
        }
    }
}

/// One line of at most 300 characters.
fn shortened(text: &str) -> String {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    words.flat_map(str::chars).take(DIAGNOSTIC_CHARACTERS).collect()
}
