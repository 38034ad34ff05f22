//! What an incoming mail is: total and pure, so that no mail can stop the queue.
//!
//! Only the envelope is trusted. From, Subject and every other header may say what they like.

use crate::store::Seen;
use jiff::Timestamp;
use mailfmt::crypto::ChannelKey;
use mailfmt::envelope::{self, OpenError};
use mailfmt::mail::{Bounce, Classified, Parcel, classify};
use mailfmt::message::Message;
use mailfmt::{CenterId, Command, Limits, MessageId, Receipt};

/// How far a command's sequence number may lie below the highest seen. Mail overtakes mail, but not by so much.
pub const SEQUENCE_WINDOW: u64 = 10_000;

/// Who may give commands here.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The center.
    pub center: &'a CenterId,
    /// The key of the channel from it to this appliance.
    pub to_appliance: &'a ChannelKey,
}

/// An authentic message from the center to this appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentic {
    /// Its id.
    pub message: MessageId,
    /// Its number in the channel.
    pub sequence: u64,
    /// When it expires.
    pub expires: Timestamp,
}

/// What a mail turned out to be. None of these stops the queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Not an authentic message from our center to us: counted, discarded, never answered.
    Junk(JunkReason),
    /// A mail of ours could not be delivered, or is late. Not authentic: a hint for the log.
    Bounce(Bounce),
    /// An automatic answer of a mail program: discarded.
    AutoReply,
    /// Authentic, but nobody acts on it any more. The center knows when it expires, so it is not answered.
    Expired {
        /// Which message.
        message: MessageId,
    },
    /// The center has a report.
    Receipt {
        /// The message.
        authentic: Authentic,
        /// What it says.
        receipt: Receipt,
    },
    /// A command that came before: nothing is done again, its stored answers are sent again.
    Repeat {
        /// The message.
        authentic: Authentic,
    },
    /// A command that is not carried out: answered once, with the reason.
    Refused {
        /// The message.
        authentic: Authentic,
        /// Its kind, as far as it could be read.
        kind: String,
        /// Why.
        reason: RefusedReason,
    },
    /// A new command to carry out.
    Accepted {
        /// The message.
        authentic: Authentic,
        /// What to do.
        command: Command,
        /// What followed the envelope in the attachment: an encrypted package, or nothing.
        enclosure: Vec<u8>,
    },
}

/// Why a mail is junk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JunkReason {
    /// No message of ours is in it.
    Mail(mailfmt::mail::JunkReason),
    /// Something like a message of ours, but cut or damaged.
    Damaged,
    /// For another appliance, or sealed with another key.
    NotForUs,
    /// Changed after it was sealed.
    Forged,
    /// Sealed with the right key, yet nothing that a center sends.
    Misdirected,
}

impl std::fmt::Display for JunkReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(reason) => reason.fmt(f),
            Self::Damaged => f.write_str("a damaged message"),
            Self::NotForUs => f.write_str("for another appliance, or under another key"),
            Self::Forged => f.write_str("changed after it was sealed"),
            Self::Misdirected => f.write_str("not a message from the center to an appliance"),
        }
    }
}

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedReason {
    /// This version does not know the kind.
    UnknownKind,
    /// Its content cannot be read.
    Unreadable,
    /// Its sequence number lies far below others that came already.
    Stale {
        /// The highest that came.
        sequence_highest: u64,
    },
}

/// Says what a mail is. Total: every octet string gets a verdict; only `seen`, the look into the journal, can fail.
///
/// # Errors
/// What `seen` returns. The mail must then stay where it is.
pub fn judge<E>(
    raw: &[u8],
    keys: Keys<'_>,
    seen: impl FnOnce(MessageId) -> Result<Seen, E>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Verdict, E> {
    let attachment = match classify(raw, limits) {
        Classified::Ours { attachment } => attachment,
        Classified::Bounce(bounce) => return Ok(Verdict::Bounce(bounce)),
        Classified::AutoReply => return Ok(Verdict::AutoReply),
        Classified::Junk(reason) => return Ok(Verdict::Junk(JunkReason::Mail(reason))),
    };
    let Ok(parcel) = Parcel::split(&attachment, limits) else {
        return Ok(Verdict::Junk(JunkReason::Damaged));
    };
    let opened = match envelope::open(parcel.envelope, keys.to_appliance, limits, now) {
        Ok(opened) => opened,
        Err(OpenError::Expired { message, .. }) => return Ok(Verdict::Expired { message }),
        Err(OpenError::NotForUs) => return Ok(Verdict::Junk(JunkReason::NotForUs)),
        Err(OpenError::Forged) => return Ok(Verdict::Junk(JunkReason::Forged)),
        Err(_) => return Ok(Verdict::Junk(JunkReason::Damaged)),
    };
    let header = opened.header();
    if header.sender.as_str() != keys.center.as_str() {
        return Ok(Verdict::Junk(JunkReason::Misdirected));
    }
    let authentic =
        Authentic { message: header.message, sequence: opened.sequence(), expires: header.expires };
    let command = match (opened.message(), header.family) {
        (Ok(Message::Command(command)), _) => Ok(command),
        (Ok(Message::Receipt(receipt)), _) => return Ok(Verdict::Receipt { authentic, receipt }),
        (Err(_), mailfmt::message::Family::Command) => Err(RefusedReason::Unreadable),
        (Ok(Message::Report(_) | Message::Enrolment(_)) | Err(_), _) => {
            return Ok(Verdict::Junk(JunkReason::Misdirected));
        }
    };
    let Seen { before, sequence_highest } = seen(authentic.message)?;
    if before {
        return Ok(Verdict::Repeat { authentic });
    }
    let kind = command.as_ref().map_or("unreadable", Command::kind).to_owned();
    let refused = |authentic, reason| Ok(Verdict::Refused { authentic, kind, reason });
    if authentic.sequence < sequence_highest.saturating_sub(SEQUENCE_WINDOW) {
        return refused(authentic, RefusedReason::Stale { sequence_highest });
    }
    match command {
        Ok(Command::Unknown { .. }) => refused(authentic, RefusedReason::UnknownKind),
        Ok(command) => Ok(Verdict::Accepted { authentic, command, enclosure: parcel.enclosure.to_vec() }),
        Err(reason) => refused(authentic, reason),
    }
}

#[cfg(test)]
mod tests;
