//! What an incoming mail is: total and pure, so that no mail can stop the queue.
//!
//! Only the envelope is trusted. From, Subject and every other header may say what they like.

use crate::clock::{ClockState, Expiry};
use crate::store::Seen;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::ChannelKey;
use mailfmt::envelope::{self, OpenError, OpenedEnvelope};
use mailfmt::lineage::Sighting;
use mailfmt::mail::returned::Returned;
use mailfmt::mail::{Classified, Mangled, Parcel, classify};
use mailfmt::message::{Message, MessageError};
use mailfmt::slot::PlacedSlot;
use mailfmt::trust::TrustedRoot;
use mailfmt::{CenterId, Command, Limits, MessageId, Receipt};

/// By how much a command may have been made before the newest message of the center. Mail overtakes mail, but not by so
/// much; and no command is valid for so long, so that none that was forgotten with the journal comes back.
pub const AGE_WINDOW: SignedDuration = SignedDuration::from_hours(35 * 24);

/// Who may give commands here.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The center.
    pub center: &'a CenterId,
    /// The keys of the channel from it to this appliance: the current one, and the next one in a rotation.
    pub to_appliance: &'a [&'a ChannelKey],
    /// The root that names the keys which sign what the center says; `None` on a box that was set up without one, for
    /// which the channel's key alone speaks.
    pub trusted: Option<&'a TrustedRoot>,
}

/// An authentic message from the center to this appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentic {
    /// Its id.
    pub message: MessageId,
    /// Its number in the channel.
    pub sequence: u64,
    /// The number that its epoch follows.
    pub follows: Option<u64>,
    /// The number with which its epoch began.
    pub begins: Option<u64>,
    /// Which of the keys of the channel it was sealed with, by its place.
    pub key: usize,
    /// When it was made.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// When it is answered; `None`: at once.
    pub slot: Option<PlacedSlot>,
}

/// What a mail turned out to be. None of these stops the queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Not an authentic message from our center to us: counted, discarded, never answered.
    Junk(JunkReason),
    /// A bounce, a warning, an automatic answer. Not authentic: a hint for a person, never answered.
    Returned(Box<Returned>),
    /// Looks like a mail from our center, but a gateway left no message in it. Not authentic: counted and told, and a reason
    /// to try another form.
    Mangled(Mangled),
    /// Authentic, but nobody acts on it any more. The center knows when it expires, so it is not answered.
    Expired {
        /// The message.
        authentic: Authentic,
    },
    /// Authentic, but whether it has expired depends on a time that nothing proves yet: it stays in the mailbox.
    Undecided {
        /// The message.
        authentic: Authentic,
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
    /// Sealed with the right key, but not signed by a command key: somebody else has the appliance's credential.
    Unsigned,
}

impl std::fmt::Display for JunkReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(reason) => reason.fmt(f),
            Self::Damaged => f.write_str("a damaged message"),
            Self::NotForUs => f.write_str("for another appliance, or under another key"),
            Self::Forged => f.write_str("changed after it was sealed"),
            Self::Misdirected => f.write_str("not a message from the center to an appliance"),
            Self::Unsigned => f.write_str("not signed by a command key"),
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
    /// It was made long before others that came already.
    Stale {
        /// When the newest of them was made.
        newest: Timestamp,
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
    clock: &ClockState,
) -> Result<Verdict, E> {
    let attachment = match classify(raw, limits) {
        Classified::Ours { attachment } => attachment,
        Classified::Returned(returned) => return Ok(Verdict::Returned(returned)),
        Classified::Mangled(mangled) => return Ok(Verdict::Mangled(mangled)),
        Classified::Junk(reason) => return Ok(Verdict::Junk(JunkReason::Mail(reason))),
    };
    judge_attachment(&attachment, keys, seen, limits, clock)
}

/// The same for the attachment of a mail that is one of ours. Of one that lies in a file the envelope is enough: then the
/// enclosure of an accepted command is empty here.
///
/// # Errors
/// What `seen` returns. The mail must then stay where it is.
pub fn judge_attachment<E>(
    attachment: &[u8],
    keys: Keys<'_>,
    seen: impl FnOnce(MessageId) -> Result<Seen, E>,
    limits: &Limits,
    clock: &ClockState,
) -> Result<Verdict, E> {
    let Ok(parcel) = Parcel::split(attachment, limits) else {
        return Ok(Verdict::Junk(JunkReason::Damaged));
    };
    // Whether it has expired is asked below, once it is clear what it is.
    let (key, opened) = match envelope::open_any(parcel.envelope, keys.to_appliance, limits, Timestamp::MIN) {
        Ok(opened) => opened,
        Err(OpenError::NotForUs) => return Ok(Verdict::Junk(JunkReason::NotForUs)),
        Err(OpenError::Forged) => return Ok(Verdict::Junk(JunkReason::Forged)),
        Err(_) => return Ok(Verdict::Junk(JunkReason::Damaged)),
    };
    let header = opened.header();
    if header.sender.as_str() != keys.center.as_str() {
        return Ok(Verdict::Junk(JunkReason::Misdirected));
    }
    let message = opened.message();
    let newer = newer_root(&message, keys.trusted);
    if !is_signed(&opened, keys.trusted, newer.as_ref()) {
        return Ok(Verdict::Junk(JunkReason::Unsigned));
    }
    let authentic = Authentic {
        message: header.message,
        sequence: opened.sequence(),
        follows: opened.follows(),
        begins: opened.begins(),
        key,
        created: header.created,
        expires: header.expires,
        slot: opened.slot(),
    };
    let command = match (message, header.family) {
        (Ok(Message::Command(command)), _) => Ok(command),
        // It settles only what waits, and it is what puts a wrong clock right: so no clock refuses it.
        (Ok(Message::Receipt(receipt)), _) => return Ok(Verdict::Receipt { authentic, receipt }),
        (Err(_), mailfmt::message::Family::Command) => Err(RefusedReason::Unreadable),
        (Ok(Message::Report(_) | Message::Enrolment(_)) | Err(_), _) => {
            return Ok(Verdict::Junk(JunkReason::Misdirected));
        }
    };
    // Roots only go forward, and are what puts a stolen key's word right: so no clock refuses them either.
    let expiry = if newer.is_some() { Expiry::Valid } else { clock.expiry(authentic.expires) };
    if expiry == Expiry::Expired {
        return Ok(Verdict::Expired { authentic });
    }
    let Seen { before, newest } = seen(authentic.message)?;
    if expiry == Expiry::Undecided && !before {
        return Ok(Verdict::Undecided { authentic });
    }
    if before {
        return Ok(Verdict::Repeat { authentic });
    }
    let kind = command.as_ref().map_or("unreadable", Command::kind).to_owned();
    let refused = |authentic, reason| Ok(Verdict::Refused { authentic, kind, reason });
    let is_old = |newest: &Timestamp| newest.duration_since(authentic.created) > AGE_WINDOW;
    if let Some(newest) = newest.filter(|newest| newer.is_none() && is_old(newest)) {
        return refused(authentic, RefusedReason::Stale { newest });
    }
    match command {
        Ok(Command::Unknown { .. }) => refused(authentic, RefusedReason::UnknownKind),
        Ok(command) => {
            let enclosure = ordered(&command, parcel.enclosure).to_vec();
            Ok(Verdict::Accepted { authentic, command, enclosure })
        }
        Err(reason) => refused(authentic, reason),
    }
}

/// As much of what follows an envelope as its order says: a gateway may have added to the end of the attachment.
fn ordered<'a>(command: &Command, enclosure: &'a [u8]) -> &'a [u8] {
    let order = command.update_order().filter(|order| order.parts.is_none());
    let octets = order.and_then(|order| usize::try_from(order.enclosure_octets).ok());
    octets.and_then(|octets| enclosure.get(..octets)).unwrap_or(enclosure)
}

/// The newest of the roots that a message tells of, if all is well with them and it is newer than the trusted one.
fn newer_root(message: &Result<Message, MessageError>, trusted: Option<&TrustedRoot>) -> Option<TrustedRoot> {
    let (Ok(Message::Command(Command::TrustRoots(told))), Some(trusted)) = (message, trusted) else {
        return None;
    };
    trusted.advance(&told.roots).ok().filter(|newer| newer.root().version > trusted.root().version)
}

/// Whether the center itself said it. The mail that brings a newer root may be signed by that root's command keys: a box
/// that missed the change knows no others that still sign.
fn is_signed(opened: &OpenedEnvelope, trusted: Option<&TrustedRoot>, newer: Option<&TrustedRoot>) -> bool {
    let Some(trusted) = trusted else { return true };
    [Some(trusted), newer].into_iter().flatten().any(|root| opened.is_signed_by(&root.root().command))
}

impl Authentic {
    /// What it says about the center's history.
    #[must_use]
    pub fn sighting(&self) -> Sighting {
        Sighting {
            sequence: self.sequence,
            follows: self.follows,
            begins: self.begins,
            created: self.created,
        }
    }
}

impl Verdict {
    /// The message, if it is an authentic one.
    #[must_use]
    pub fn authentic(&self) -> Option<&Authentic> {
        match self {
            Self::Junk(_) | Self::Returned(_) | Self::Mangled(_) => None,
            Self::Expired { authentic }
            | Self::Undecided { authentic }
            | Self::Receipt { authentic, .. }
            | Self::Repeat { authentic }
            | Self::Refused { authentic, .. }
            | Self::Accepted { authentic, .. } => Some(authentic),
        }
    }
}

#[cfg(test)]
mod tests;
