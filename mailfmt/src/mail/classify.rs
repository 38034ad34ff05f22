//! What an incoming mail is, before any key is tried: ours, something that came back, or junk.

use super::mangling::{self, Mangled};
use super::returned::{self, Returned};
use super::salvage::{self, Salvaged};
use crate::limits::Limits;
use mail_parser::{Message, MessageParser};

/// What a mail turned out to be. Every mail is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classified {
    /// It holds an attachment that starts like one of ours; whether it is authentic, the envelope tells.
    Ours {
        /// The attachment's octets, decoded.
        attachment: Vec<u8>,
    },
    /// A bounce, a warning, an automatic answer or the like. Never answered.
    Returned(Box<Returned>),
    /// A mail of ours of which a gateway left no whole message. Counted and told, never answered.
    Mangled(Mangled),
    /// Anything else. Never answered.
    Junk(JunkReason),
}

/// Why a mail is junk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JunkReason {
    /// Larger than the limit.
    TooLarge,
    /// Not a mail.
    Unreadable,
    /// A mail, but nothing in it is ours.
    Foreign,
}

impl std::fmt::Display for JunkReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "too large",
            Self::Unreadable => "not a mail",
            Self::Foreign => "no message of ours in it",
        })
    }
}

/// Says what a mail is. Total: every octet string gets an answer, and nothing in it is trusted.
#[must_use]
pub fn classify(raw: &[u8], limits: &Limits) -> Classified {
    if raw.len() > limits.mail_octets {
        return Classified::Junk(JunkReason::TooLarge);
    }
    // The parser has panicked on crafted input in the past; a mail must never take the process down.
    let parsed = std::panic::catch_unwind(|| {
        MessageParser::default().parse(raw).map(|mail| judge(&mail, raw, limits))
    });
    match parsed {
        Ok(Some(classified)) => classified,
        Ok(None) | Err(_) => Classified::Junk(JunkReason::Unreadable),
    }
}

fn judge(mail: &Message<'_>, raw: &[u8], limits: &Limits) -> Classified {
    let came_back = |returned| Classified::Returned(Box::new(returned));
    // A bounce may quote one of our mails whole, so what kind of report it is comes first.
    let is_report = returned::is_report(mail, limits);
    let attached = if is_report { None } else { salvage::attached(mail, limits) };
    if let Some((octets, Salvaged::Whole { .. })) = &attached {
        return Classified::Ours { attachment: octets.to_vec() };
    }
    if let Some(returned) = returned::recognise(mail, raw, limits) {
        return came_back(returned);
    }
    let damage = match (salvage::buried(mail, raw, limits), attached) {
        (Salvaged::Whole { octets, .. }, _) => return Classified::Ours { attachment: octets },
        // What is wrong with it, whoever opens it says.
        (_, Some((octets, _))) => return Classified::Ours { attachment: octets.to_vec() },
        (Salvaged::Damaged(reason), None) => Some(reason),
        (Salvaged::Nothing, None) => None,
    };
    if let Some(mangled) = mangling::mangled(mail, damage) {
        return Classified::Mangled(mangled);
    }
    match returned::automatic(mail, raw, limits) {
        Some(returned) => came_back(returned),
        None => Classified::Junk(JunkReason::Foreign),
    }
}
