//! What a gateway made of a mail of ours whose message does not come out of it any more. Pure; nothing in it is trusted:
//! it is counted and told, and is a reason to try the other form ([`super::Form`]), never more.

use crate::ids::MessageId;
use mail_parser::{Message, MimeHeaders, PartType};

/// A mail of ours, as far as its head and its text for people tell, with no whole message in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mangled {
    /// What was done to it.
    pub how: Mangling,
    /// The message that it brought, where its `Message-ID` is still ours.
    pub message: Option<MessageId>,
    /// Its sender's mail address, as the head says.
    pub from: Option<String>,
    /// What exactly is wrong, or what the gateway says; at most 300 characters.
    pub detail: String,
}

/// What was done to a mail of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mangling {
    /// The attachment is gone, perhaps with a note in its place.
    Stripped,
    /// The gateway holds the mail, or its attachment, back.
    Quarantined,
    /// Encrypted for a person, or left at a portal.
    Encrypted,
    /// The attachment was put into an archive.
    Packed,
    /// One piece of a mail that was split (RFC 2046, 5.2.2).
    Fragment,
    /// What is there is cut short or changed.
    Damaged,
}

impl Mangling {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Stripped, Self::Quarantined, Self::Encrypted, Self::Packed, Self::Fragment, Self::Damaged];

    /// The words under which it is counted and reported.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripped => "attachment stripped by a gateway",
            Self::Quarantined => "held in quarantine by a gateway",
            Self::Encrypted => "encrypted by a gateway",
            Self::Packed => "attachment packed into an archive by a gateway",
            Self::Fragment => "split into pieces by a gateway",
            Self::Damaged => "cut or damaged on its way",
        }
    }
}

impl std::fmt::Display for Mangling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Text of a mail that is looked at.
const TEXT_MAX: usize = 64 << 10;

/// Says what was done to a mail; `None` when nothing tells that it is one of ours. `damage` is what is wrong with a message
/// that is there in part.
pub(super) fn mangled(mail: &Message<'_>, damage: Option<String>) -> Option<Mangled> {
    let message = mail.message_id().and_then(our_id);
    let text = texts(mail);
    if damage.is_none() && message.is_none() {
        // Whoever answers a mail of ours quotes it.
        let is_answer = !mail.in_reply_to().is_empty() || !mail.references().is_empty();
        if is_answer || !is_ours(&mail.subject().unwrap_or_default().to_lowercase(), &text) {
            return None;
        }
    }
    let (how, detail) = match damage {
        _ if is_type(mail, "message", "partial") => (Mangling::Fragment, String::new()),
        Some(reason) => (Mangling::Damaged, reason),
        None => cause(mail, &text),
    };
    let from = mail.from().and_then(|from| from.first()).and_then(|from| from.address());
    Some(Mangled {
        how,
        message,
        from: from.map(|from| from.chars().take(254).collect()),
        detail: detail.chars().take(300).collect(),
    })
}

/// `<32 hex digits . number @ domain>`, with or without the brackets.
fn our_id(id: &str) -> Option<MessageId> {
    let (hex, rest) = id.trim_start_matches('<').split_at_checked(32)?;
    let number = rest.strip_prefix('.')?.split_once('@')?.0;
    (!number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())).then_some(())?;
    hex.parse().ok()
}

fn is_ours(subject: &str, text: &str) -> bool {
    const SUBJECTS: [&str; 4] = [
        "device monitor command",
        "device monitor report",
        "device monitor receipt",
        "device monitor enrolment",
    ];
    const TEXTS: [&str; 3] = [
        "this mail was written by a service center for a device monitor",
        "this mail was written by a device monitor for its service center",
        "this mail introduces a device monitor and its service center",
    ];
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    SUBJECTS.iter().any(|ours| subject.contains(ours) || one_line.contains(ours))
        || TEXTS.iter().any(|ours| one_line.contains(ours))
}

/// All texts of the mail, and the names of its parts, in lower case.
fn texts(mail: &Message<'_>) -> String {
    let mut all = String::new();
    for part in &mail.parts {
        if let PartType::Text(text) | PartType::Html(text) = &part.body {
            all.extend(text.chars().take(TEXT_MAX.saturating_sub(all.len())));
            all.push('\n');
        }
        if let Some(name) = part.attachment_name() {
            all.extend(name.chars().take(200));
            all.push('\n');
        }
        if all.len() >= TEXT_MAX {
            break;
        }
    }
    all.to_lowercase()
}

fn is_type(mail: &Message<'_>, wanted: &str, subtype: &str) -> bool {
    mail.parts.iter().any(|part| {
        part.content_type().is_some_and(|found| {
            found.ctype().eq_ignore_ascii_case(wanted)
                && found.subtype().is_some_and(|found| found.eq_ignore_ascii_case(subtype))
        })
    })
}

/// What gateways say when they keep something; the first line with such a word is the detail.
fn cause(mail: &Message<'_>, text: &str) -> (Mangling, String) {
    const WORDS: [(Mangling, &[&str]); 3] = [
        (
            Mangling::Quarantined,
            &["quarantin", "quarantäne", "held for review", "message was held", "mis en attente"],
        ),
        (
            Mangling::Encrypted,
            &[
                "secure message",
                "encrypted message",
                "message portal",
                "verschlüsselte nachricht",
                "message sécurisé",
            ],
        ),
        (
            Mangling::Stripped,
            &[
                "removed",
                "stripped",
                "blocked",
                "was deleted",
                "not allowed",
                "replaced",
                "entfernt",
                "gelöscht",
                "supprim",
                "virus",
            ],
        ),
    ];
    let octets = |part: &mail_parser::MessagePart<'_>| match &part.body {
        PartType::Binary(octets) | PartType::InlineBinary(octets) => octets.len().min(8),
        _ => 0,
    };
    if is_type(mail, "application", "pkcs7-mime") || is_type(mail, "multipart", "encrypted") {
        return (Mangling::Encrypted, String::new());
    }
    if mail.parts.iter().any(|part| octets(part) == 8 && is_archive(part.contents())) {
        return (Mangling::Packed, String::new());
    }
    for (how, words) in WORDS {
        if let Some(line) = text.lines().find(|line| words.iter().any(|word| line.contains(word))) {
            return (how, line.trim().to_owned());
        }
    }
    (Mangling::Stripped, "no attachment is left".to_owned())
}

/// zip, gzip, 7z, rar.
fn is_archive(octets: &[u8]) -> bool {
    [b"PK\x03\x04".as_slice(), b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"]
        .iter()
        .any(|magic| octets.starts_with(magic))
}

#[cfg(test)]
mod tests;
