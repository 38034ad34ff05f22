//! What an incoming mail turned out to be. Pure and total: every mail gets a verdict, none stops the queue, and
//! nothing that is not authentic is ever answered.

use jiff::Timestamp;
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::envelope::{self, OpenError, OpenedEnvelope};
use mailfmt::mail::{Bounce, Classified, JunkReason, Parcel, classify};
use mailfmt::message::Family;
use mailfmt::{AgentId, CenterId, Limits, Message, MessageId, Report};
use std::collections::HashMap;

/// The keys of all appliances, for reading what they send.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: HashMap<AgentId, ChannelKey>,
}

impl Keyring {
    /// Derives the keys from the credentials.
    #[must_use]
    pub fn new(center: &CenterId, credentials: &[(AgentId, Credential)]) -> Self {
        let key = |(agent, credential): &(AgentId, Credential)| {
            (agent.clone(), credential.channel(Direction::ToCenter, agent, center))
        };
        Self { keys: credentials.iter().map(key).collect() }
    }

    /// How many appliances it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// What a mail turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Authentic and fresh. Whether it came before, the journal tells when it is filed.
    Report(Box<Arrived>),
    /// A mail of ours could not be delivered. Not authenticated: only a hint, and an authentic answer overrules it.
    Bounce(Bounce),
    /// Counted and thrown away; never answered.
    Discarded(Discard),
}

/// An authentic report.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// Who sent it.
    pub agent: AgentId,
    /// Its id.
    pub message: MessageId,
    /// The command that it answers.
    pub in_reply_to: Option<MessageId>,
    /// Its number in the channel from this appliance.
    pub sequence: u64,
    /// When the appliance wrote it.
    pub created: Timestamp,
    /// What it says.
    pub report: Report,
    /// Its JSON payload, as it came.
    pub payload: String,
}

/// Why a mail is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Not one of ours.
    Junk(JunkReason),
    /// Out of office, read receipt, list mail.
    AutoReply,
    /// Looks like ours, but is cut or damaged outside the encrypted part.
    Damaged,
    /// Says it comes from an appliance that we do not know.
    UnknownSender,
    /// Sealed under another key than that of the appliance it says it comes from.
    WrongKey,
    /// Changed on its way.
    Forged,
    /// Authentic, but too old.
    Expired,
    /// Authentic, but no report.
    NotAReport,
    /// Authentic, but its payload cannot be read at all.
    Unreadable,
}

impl Discard {
    /// The word under which it is counted.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junk(JunkReason::TooLarge) => "junk: too large",
            Self::Junk(JunkReason::Unreadable) => "junk: not a mail",
            Self::Junk(JunkReason::Foreign) => "junk: no message of ours",
            Self::AutoReply => "automatic reply",
            Self::Damaged => "damaged",
            Self::UnknownSender => "unknown sender",
            Self::WrongKey => "wrong key",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::NotAReport => "not a report",
            Self::Unreadable => "unreadable payload",
        }
    }
}

impl std::fmt::Display for Discard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says what a mail is.
#[must_use]
pub fn judge(raw: &[u8], keyring: &Keyring, limits: &Limits, now: Timestamp) -> Verdict {
    let attachment = match classify(raw, limits) {
        Classified::Ours { attachment } => attachment,
        Classified::Bounce(bounce) => return Verdict::Bounce(bounce),
        Classified::AutoReply => return Verdict::Discarded(Discard::AutoReply),
        Classified::Junk(reason) => return Verdict::Discarded(Discard::Junk(reason)),
    };
    open(&attachment, keyring, limits, now)
        .map_or_else(Verdict::Discarded, |arrived| Verdict::Report(Box::new(arrived)))
}

fn open(attachment: &[u8], keyring: &Keyring, limits: &Limits, now: Timestamp) -> Result<Arrived, Discard> {
    let parcel = Parcel::split(attachment, limits).map_err(|_| Discard::Damaged)?;
    let agent = parcel.claimed.header.sender.agent().map_err(|_| Discard::UnknownSender)?;
    let key = keyring.keys.get(&agent).ok_or(Discard::UnknownSender)?;
    let opened = envelope::open(parcel.envelope, key, limits, now).map_err(|error| match error {
        OpenError::NotForUs => Discard::WrongKey,
        OpenError::Forged => Discard::Forged,
        OpenError::Expired { .. } => Discard::Expired,
        OpenError::Payload { .. } => Discard::Unreadable,
        _ => Discard::Damaged,
    })?;
    let header = opened.header();
    if header.family != Family::Report {
        return Err(Discard::NotAReport);
    }
    let report = read(&opened).ok_or(Discard::Unreadable)?;
    let payload = String::from_utf8(opened.payload().to_vec()).map_err(|_| Discard::Unreadable)?;
    Ok(Arrived {
        agent,
        message: header.message,
        in_reply_to: header.in_reply_to,
        sequence: opened.sequence(),
        created: header.created,
        report,
        payload,
    })
}

/// A known kind whose body has a shape that we do not know (a newer appliance) is kept like an unknown kind, so that
/// it gets its receipt and is not sent again and again.
fn read(opened: &OpenedEnvelope) -> Option<Report> {
    match opened.message() {
        Ok(Message::Report(report)) => Some(report),
        Ok(_) => None,
        Err(_) => {
            let mut value: serde_json::Value = serde_json::from_slice(opened.payload()).ok()?;
            let kind = value.get("kind")?.as_str()?.to_owned();
            let body = value.get_mut("body").map(serde_json::Value::take).unwrap_or_default();
            Some(Report::Unknown { kind, body })
        }
    }
}

#[cfg(test)]
mod tests;
