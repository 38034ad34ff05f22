//! What an incoming mail turned out to be. Pure and total: every mail gets a verdict, none stops the queue, and
//! nothing that is not authentic is ever answered.

use crate::db::enrolment::OpenCode;
use crate::enrolment::Contact;
use jiff::Timestamp;
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::enrolment::CodeId;
use mailfmt::envelope::{self, OpenError, OpenedEnvelope};
use mailfmt::mail::returned::Returned;
use mailfmt::mail::{
    Classified, Condensed, Form, JunkReason, Large, Mangled, Mangling, Parcel, classify, form_of,
};
use mailfmt::message::Family;
use mailfmt::{AgentId, CenterId, Limits, Message, MessageId, Report};
use std::collections::{BTreeMap, HashMap};

/// What a key of an appliance is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// Its one credential.
    Only,
    /// Its present credential, while another one counts as well: whoever is heard under it does not need the other.
    Present,
    /// The credential before the present one.
    Before,
    /// Admitted by an enrolment and not heard before: whoever is heard under it takes the appliance over.
    Admitted {
        /// The exchange in which it was admitted.
        exchange: i64,
    },
}

/// The credentials that one appliance may use.
#[derive(Debug, Clone)]
pub struct ApplianceKeys {
    /// Its id.
    pub agent: AgentId,
    /// What the center seals under, and takes.
    pub present: Credential,
    /// What it takes as well.
    pub others: Vec<(KeyStanding, Credential)>,
    /// Whether nothing is sent to it.
    pub suspended: bool,
}

/// The keys of all appliances and codes, for reading what comes. Whom a mail is from says its header; so an unknown
/// sender costs one look into a table.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: HashMap<AgentId, Vec<(KeyStanding, ChannelKey)>>,
    codes: HashMap<CodeId, CodeKeys>,
}

/// The keys under which something may come from boxes that have one code.
#[derive(Debug)]
struct CodeKeys {
    hello: ChannelKey,
    /// Per exchange: its row, our offer, its key; the newest first.
    sessions: Vec<(i64, MessageId, ChannelKey)>,
}

/// Sessions of one code that are tried for a word that does not say which offer it answers, as those of old appliances; some
/// microseconds each, and anybody may send such words. A code for one appliance has at most 16.
const SESSIONS_TRIED: usize = 256;

impl Keyring {
    /// Derives the keys from appliances with one credential each.
    #[must_use]
    pub fn new(center: &CenterId, credentials: &[(AgentId, Credential)]) -> Self {
        let keys = |(agent, present): &(AgentId, Credential)| ApplianceKeys {
            agent: agent.clone(),
            present: present.clone(),
            others: Vec::new(),
            suspended: false,
        };
        Self::of(center, &credentials.iter().map(keys).collect::<Vec<_>>())
    }

    /// Derives the keys of appliances.
    #[must_use]
    pub fn of(center: &CenterId, appliances: &[ApplianceKeys]) -> Self {
        let derived = |known: &ApplianceKeys| {
            let standing = if known.others.is_empty() { KeyStanding::Only } else { KeyStanding::Present };
            let key = |credential: &Credential| credential.channel(Direction::ToCenter, &known.agent, center);
            let mut keys = vec![(standing, key(&known.present))];
            keys.extend(known.others.iter().map(|(standing, credential)| (*standing, key(credential))));
            (known.agent.clone(), keys)
        };
        Self { keys: appliances.iter().map(derived).collect(), codes: HashMap::new() }
    }

    /// Takes over which codes are open.
    pub fn set_codes(&mut self, codes: &BTreeMap<CodeId, OpenCode>) {
        let keys = |open: &OpenCode| CodeKeys {
            hello: open.code.channel(Direction::ToCenter),
            sessions: open
                .exchanges
                .iter()
                .map(|exchange| (exchange.id, exchange.offer, exchange.session.channel(Direction::ToCenter)))
                .collect(),
        };
        self.codes = codes.iter().map(|(id, open)| (*id, keys(open))).collect();
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
    /// Authentic under a provisional code. What it is worth is decided when it is filed.
    Contact(Box<Contact>),
    /// Says it comes under a provisional code, and does not open. Counted, recorded, never answered.
    Knock {
        /// The code that it names, if that can be one.
        code: Option<CodeId>,
        /// Its message id.
        message: MessageId,
        /// Why it does not open.
        reason: Discard,
    },
    /// A bounce, a warning, an automatic answer. Not authenticated: only a hint, and an authentic answer overrules it.
    Returned(Box<Returned>),
    /// Looks like a mail of an appliance, but a gateway left no message in it. Not authenticated: counted and told, and a
    /// reason to send that appliance armoured text.
    Mangled(Mangled),
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
    /// The number that its epoch follows, where the appliance tells.
    pub follows: Option<u64>,
    /// The number with which its epoch began, where the appliance tells.
    pub begins: Option<u64>,
    /// The key under which it came.
    pub key: KeyStanding,
    /// When the appliance wrote it.
    pub created: Timestamp,
    /// In which form its mail came.
    pub form: Form,
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
    /// A mail of an appliance of which a gateway left no whole message.
    Mangled(Mangling),
    /// Looks like ours, but is cut or damaged outside the encrypted part.
    Damaged,
    /// Says it comes from an appliance that we do not know.
    UnknownSender,
    /// Says it comes under a provisional code that we do not know, or that has ended.
    UnknownCode,
    /// From an appliance that is suspended.
    Suspended,
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
            Self::Mangled(how) => how.as_str(),
            Self::Damaged => "damaged",
            Self::UnknownSender => "unknown sender",
            Self::UnknownCode => "unknown code",
            Self::Suspended => "suspended appliance",
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
        Classified::Returned(returned) => return Verdict::Returned(returned),
        Classified::Mangled(mangled) => return Verdict::Mangled(mangled),
        Classified::Junk(reason) => return Verdict::Discarded(Discard::Junk(reason)),
    };
    match judge_attachment(&attachment, keyring, limits, now) {
        Verdict::Report(mut arrived) => {
            arrived.form = form_of(raw);
            Verdict::Report(arrived)
        }
        other => other,
    }
}

/// The same of a large mail that was read in pieces: what is left of it, and the beginning of what went aside.
#[must_use]
pub fn judge_large(
    large: &Large,
    condensed: &Condensed,
    aside: &[u8],
    keyring: &Keyring,
    limits: &Limits,
    now: Timestamp,
) -> Verdict {
    match large {
        Large::Ours(place) => {
            let begins = usize::try_from(place.start).unwrap_or(usize::MAX);
            let ends = usize::try_from(place.end).unwrap_or(usize::MAX).min(aside.len());
            judge_attachment(aside.get(begins..ends).unwrap_or_default(), keyring, limits, now)
        }
        Large::Small(Classified::Junk(reason)) => Verdict::Discarded(Discard::Junk(*reason)),
        // What is left is small, and is judged the same once more.
        Large::Small(_) | Large::Unclear => judge(condensed.mail(), keyring, limits, now),
    }
}

fn judge_attachment(attachment: &[u8], keyring: &Keyring, limits: &Limits, now: Timestamp) -> Verdict {
    let Ok(parcel) = Parcel::split(attachment, limits) else {
        return Verdict::Discarded(Discard::Damaged);
    };
    if parcel.claimed.header.family == Family::Enrolment {
        return contact(&parcel, keyring, limits, now);
    }
    report(&parcel, keyring, limits, now)
        .map_or_else(Verdict::Discarded, |arrived| Verdict::Report(Box::new(arrived)))
}

fn report(
    parcel: &Parcel<'_>,
    keyring: &Keyring,
    limits: &Limits,
    now: Timestamp,
) -> Result<Arrived, Discard> {
    let agent = parcel.claimed.header.sender.agent().map_err(|_| Discard::UnknownSender)?;
    let keys = keyring.keys.get(&agent).ok_or(Discard::UnknownSender)?;
    let tried: Vec<_> = keys.iter().map(|(_, key)| key).collect();
    let (nth, opened) =
        envelope::open_any(parcel.envelope, &tried, limits, now).map_err(|error| discard(&error))?;
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
        follows: opened.follows(),
        begins: opened.begins(),
        key: keys.get(nth).map_or(KeyStanding::Only, |(standing, _)| *standing),
        // An appliance whose clock runs ahead must not make all later reports of its own look old.
        created: header.created.min(now),
        form: Form::Opaque,
        report,
        payload,
    })
}

/// A word under a provisional code: a hello under the code alone, a registration under the session of one exchange.
fn contact(parcel: &Parcel<'_>, keyring: &Keyring, limits: &Limits, now: Timestamp) -> Verdict {
    let header = &parcel.claimed.header;
    let code = CodeId::of_sender(&header.sender);
    let knock = |reason| Verdict::Knock { code, message: header.message, reason };
    let Some((code, keys)) = code.and_then(|code| Some((code, keyring.codes.get(&code)?))) else {
        return knock(Discard::UnknownCode);
    };
    // Small work before authentication: a registration names the offer that it answers.
    let sessions = keys.sessions.iter();
    let tried: Vec<_> = match header.in_reply_to {
        Some(offer) if keys.sessions.iter().any(|(_, known, _)| *known == offer) => {
            sessions.filter(|(_, known, _)| *known == offer).collect()
        }
        _ => sessions.take(SESSIONS_TRIED).collect(),
    };
    let channels: Vec<_> =
        std::iter::once(&keys.hello).chain(tried.iter().map(|(_, _, channel)| channel)).collect();
    let (nth, opened) = match envelope::open_any(parcel.envelope, &channels, limits, now) {
        Ok(opened) => opened,
        Err(error) => return knock(discard(&error)),
    };
    let payload = String::from_utf8(opened.payload().to_vec());
    let (Ok(Message::Enrolment(word)), Ok(payload)) = (opened.message(), payload) else {
        return knock(Discard::Unreadable);
    };
    let exchange = nth.checked_sub(1).and_then(|nth| tried.get(nth)).map(|(exchange, ..)| *exchange);
    Verdict::Contact(Box::new(Contact {
        code,
        exchange,
        message: opened.header().message,
        sequence: opened.sequence(),
        created: opened.header().created,
        word,
        payload,
    }))
}

fn discard(error: &OpenError) -> Discard {
    match error {
        OpenError::NotForUs => Discard::WrongKey,
        OpenError::Forged => Discard::Forged,
        OpenError::Expired { .. } => Discard::Expired,
        OpenError::Payload { .. } => Discard::Unreadable,
        _ => Discard::Damaged,
    }
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
