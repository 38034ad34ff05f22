//! In which form a mail goes out, and what is learned from what becomes of it. Pure; both programs decide by it.
//!
//! A mail goes out with an attachment, unless that is known not to get through. What does not get through is seen in four
//! ways: nobody answers after several sendings, the other side answers in armoured text itself, a mail of the other side
//! comes with its attachment gone, or a server on the way says that it does not take the content. Then the armoured text
//! is tried ([`super::armour`]); what works is kept, and the attachment is tried again now and then.

use super::Mangling;
use jiff::{SignedDuration, Timestamp};

/// How the octets of a message stand in its mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// As one attachment.
    #[default]
    Opaque,
    /// As text, which costs a fifth more and gets through where no attachment does.
    Armoured,
}

impl Form {
    /// The word in tables and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "attachment",
            Self::Armoured => "armoured text",
        }
    }

    /// The form with this word; an attachment for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        if word == Self::Armoured.as_str() { Self::Armoured } else { Self::Opaque }
    }

    fn other(self) -> Self {
        match self {
            Self::Opaque => Self::Armoured,
            Self::Armoured => Self::Opaque,
        }
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How often one message was sent, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// With an attachment.
    pub opaque: u32,
    /// As armoured text.
    pub armoured: u32,
    /// How the last time.
    pub last: Form,
}

impl Tried {
    /// One sending more.
    #[must_use]
    pub fn and(self, form: Form) -> Self {
        let more = |count: u32, of: Form| count.saturating_add(u32::from(of == form));
        Self {
            opaque: more(self.opaque, Form::Opaque),
            armoured: more(self.armoured, Form::Armoured),
            last: form,
        }
    }

    fn of(self, form: Form) -> u32 {
        match form {
            Form::Opaque => self.opaque,
            Form::Armoured => self.armoured,
        }
    }

    fn all(self) -> u32 {
        self.opaque.saturating_add(self.armoured)
    }
}

/// What is known of the way to another side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// What gets through, as far as is known.
    pub form: Form,
    /// Since when it is known.
    pub since: Option<Timestamp>,
    /// Why, for a person; empty as long as nothing was learned.
    pub reason: String,
    /// When an attachment is tried again.
    pub probe: Option<Timestamp>,
    /// When an attachment of ours was last answered.
    pub proven: Option<Timestamp>,
}

/// What tells something about a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign<'a> {
    /// The other side has a message of ours.
    Arrived(Tried),
    /// An authentic message of the other side came as armoured text.
    CameArmoured,
    /// A mail that looks like one of the other side came with its message gone. Anybody can make us believe that; all that it
    /// brings is the larger form.
    Mangled(Mangling),
    /// A server on the way does not take the content; its words.
    Rejected(&'a str),
    /// An attachment is tried again.
    Probed,
}

/// Sendings in the form that is known to work before the other one is tried: one may simply have been lost.
const SENDINGS_BEFORE_OTHER: u32 = 2;

/// How long the armoured text is kept to before an attachment is tried again: gateways are replaced every few years, but
/// their rules change within weeks.
pub const PROBE_PAUSE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An answered attachment counts for so long against what the other side does.
const PROOF_LASTS: SignedDuration = SignedDuration::from_hours(24);

/// Proofs are written down again after this time only.
const PROOF_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Way {
    /// The form for the next sending of a message.
    #[must_use]
    pub fn next(&self, tried: Tried, now: Timestamp) -> Form {
        let known = self.form;
        if tried.all() == 0 && self.is_probe_due(now) {
            return Form::Opaque;
        }
        if tried.of(known) < SENDINGS_BEFORE_OTHER || tried.of(known) <= tried.of(known.other()) {
            return known;
        }
        known.other()
    }

    /// Whether an attachment is to be tried again.
    #[must_use]
    pub fn is_probe_due(&self, now: Timestamp) -> bool {
        self.form == Form::Armoured && self.probe.is_none_or(|probe| probe <= now)
    }

    /// What is known after a sign; `None` where that is nothing new.
    #[must_use]
    pub fn learn(&self, sign: &Sign<'_>, now: Timestamp) -> Option<Self> {
        let armoured = |reason: String| {
            (self.form == Form::Opaque).then(|| Self {
                form: Form::Armoured,
                since: Some(now),
                reason: reason.chars().take(300).collect(),
                probe: Some(after(now, PROBE_PAUSE)),
                proven: self.proven,
            })
        };
        let within = |at: Option<Timestamp>, time: SignedDuration| {
            at.is_some_and(|at| at <= now && after(at, time) > now)
        };
        match sign {
            Sign::Arrived(tried) if tried.opaque > 0 && tried.armoured == 0 => {
                let known = self.form == Form::Opaque && within(self.proven, PROOF_PAUSE);
                (!known).then(|| match self.form {
                    Form::Opaque => Self { proven: Some(now), ..self.clone() },
                    Form::Armoured => Self {
                        form: Form::Opaque,
                        since: Some(now),
                        reason: "an attachment got through again".to_owned(),
                        probe: None,
                        proven: Some(now),
                    },
                })
            }
            Sign::Arrived(tried) if tried.opaque > 0 && tried.last == Form::Armoured => armoured(format!(
                "{} with an attachment brought no answer, armoured text did",
                match tried.opaque {
                    1 => "one sending".to_owned(),
                    sendings => format!("{sendings} sendings"),
                }
            )),
            Sign::Arrived(_) => None,
            Sign::CameArmoured if within(self.proven, PROOF_LASTS) => None,
            Sign::CameArmoured => armoured("the other side sends armoured text".to_owned()),
            Sign::Mangled(how) => armoured(format!("a mail of the other side came mangled: {how}")),
            Sign::Rejected(words) => {
                armoured(format!("a mail server on the way refused the content: {words}"))
            }
            Sign::Probed => (self.form == Form::Armoured)
                .then(|| Self { probe: Some(after(now, PROBE_PAUSE)), ..self.clone() }),
        }
    }
}

fn after(at: Timestamp, time: SignedDuration) -> Timestamp {
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

/// Whether a server's answer means that it does not take what is in the mail: by the enhanced status (RFC 3463: 5.6.x media,
/// 5.7.x policy) and words about attachments, content, viruses or spam. A policy may be about anything, so its words decide.
#[must_use]
pub fn is_about_content(status: Option<&str>, words: &str) -> bool {
    // "Command rejected" is what Postfix says for a milter that gives no words, as ClamAV's.
    const WORDS: [&str; 11] = [
        "attachment",
        "content",
        "virus",
        "malware",
        "spam",
        "file type",
        "executable",
        "encrypted",
        "banned",
        "mime",
        "command rejected",
    ];
    let class = |prefix| status.is_some_and(|status| status.starts_with(prefix));
    let words = words.to_ascii_lowercase();
    class("5.6.")
        || ((class("5.7.") || status.is_none() || class("5.0."))
            && WORDS.iter().any(|word| words.contains(word)))
}

#[cfg(test)]
mod tests;
