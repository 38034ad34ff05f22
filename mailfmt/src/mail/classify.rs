//! What an incoming mail is, before any key is tried (RFC 3464, RFC 3834, RFC 8098).

use crate::envelope::MAGIC;
use crate::ids::MessageId;
use crate::limits::Limits;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

/// What a mail turned out to be. Every mail is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classified {
    /// It holds an attachment that starts like one of ours; whether it is authentic, the envelope tells.
    Ours {
        /// The attachment's octets, decoded.
        attachment: Vec<u8>,
    },
    /// A delivery status notification, or a bounce in free text.
    Bounce(Bounce),
    /// An automatic answer: out of office, read receipt. Never answered.
    AutoReply,
    /// Anything else. Never answered.
    Junk(JunkReason),
}

/// A mail that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// Our messages that it speaks of, as far as their ids are quoted.
    pub messages: Vec<MessageId>,
    /// The mail address that failed, where it is told.
    pub recipient: Option<String>,
    /// Whether it is final.
    pub action: BounceAction,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    pub status: Option<String>,
    /// The server's words, at most 300 characters.
    pub diagnostic: String,
}

/// `Action` of a delivery status notification (RFC 3464, 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BounceAction {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Delivered, relayed or expanded: no trouble.
    Delivered,
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
    // A bounce may quote one of our mails whole, so what kind of report it is comes first.
    match report_type(mail).as_deref() {
        Some("delivery-status") => return Classified::Bounce(delivery_status(mail, raw)),
        Some("disposition-notification") => return Classified::AutoReply,
        _ => {}
    }
    let ours = mail.parts.iter().take(limits.mail_parts).find_map(|part| match &part.body {
        PartType::Binary(octets) | PartType::InlineBinary(octets) => {
            octets.starts_with(MAGIC).then(|| octets.to_vec())
        }
        _ => None,
    });
    if let Some(attachment) = ours {
        return Classified::Ours { attachment };
    }
    if let Some(bounce) = free_text_bounce(mail, raw) {
        return Classified::Bounce(bounce);
    }
    if is_automatic(mail) {
        return Classified::AutoReply;
    }
    Classified::Junk(JunkReason::Foreign)
}

fn report_type(mail: &Message<'_>) -> Option<String> {
    let content_type = mail.content_type()?;
    let is_report = content_type.ctype().eq_ignore_ascii_case("multipart")
        && content_type.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"));
    is_report.then(|| content_type.attribute("report-type").unwrap_or_default().to_ascii_lowercase())
}

fn header_text<'a>(mail: &'a Message<'_>, name: &'static str) -> Option<&'a str> {
    mail.header(name).and_then(|value| value.as_text())
}

fn is_automatic(mail: &Message<'_>) -> bool {
    header_text(mail, "Auto-Submitted").is_some_and(|value| !value.trim().eq_ignore_ascii_case("no"))
        || header_text(mail, "X-Autoreply").is_some()
        || header_text(mail, "X-Autorespond").is_some()
        || header_text(mail, "Precedence").is_some_and(|value| {
            ["bulk", "junk", "list", "auto_reply"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
        })
}

/// RFC 3464: the machine-readable part holds one group of fields for the mail and one per recipient.
fn delivery_status(mail: &Message<'_>, raw: &[u8]) -> Bounce {
    let status_part = mail.parts.iter().find(|part| {
        part.content_type().is_some_and(|content_type| {
            content_type.ctype().eq_ignore_ascii_case("message")
                && content_type
                    .subtype()
                    .is_some_and(|subtype| subtype.eq_ignore_ascii_case("delivery-status"))
        })
    });
    let text =
        status_part.map(|part| String::from_utf8_lossy(part.contents()).into_owned()).unwrap_or_default();
    let field = |name: &str| status_field(&text, name);
    let action = match field("Action").unwrap_or_default().to_ascii_lowercase().as_str() {
        "delayed" => BounceAction::Delayed,
        "delivered" | "relayed" | "expanded" => BounceAction::Delivered,
        _ => BounceAction::Failed,
    };
    Bounce {
        messages: quoted_ids(raw),
        recipient: field("Final-Recipient")
            .or_else(|| field("Original-Recipient"))
            .map(|value| after_type(&value)),
        action,
        status: field("Status").map(|value| value.chars().take(16).collect()),
        diagnostic: field("Diagnostic-Code")
            .map(|value| after_type(&value))
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect(),
    }
}

/// One field of the status part, with folded lines joined.
fn status_field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines();
    let mut value = lines.by_ref().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })?;
    for line in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push(' ');
        value.push_str(line.trim());
    }
    Some(value)
}

/// `rfc822; name@example.com` -> `name@example.com`.
fn after_type(value: &str) -> String {
    value.split_once(';').map_or(value, |(_, rest)| rest).trim().to_owned()
}

/// Bounces without a machine-readable part: told by their sender and subject, when they quote a message of ours.
fn free_text_bounce(mail: &Message<'_>, raw: &[u8]) -> Option<Bounce> {
    let from = mail.from().and_then(|from| from.first()).and_then(|from| from.address()).unwrap_or_default();
    let user = from.split('@').next().unwrap_or_default();
    let from_daemon = ["mailer-daemon", "postmaster"].iter().any(|name| user.eq_ignore_ascii_case(name));
    let messages = quoted_ids(raw);
    (from_daemon && !messages.is_empty()).then(|| Bounce {
        messages,
        recipient: None,
        action: BounceAction::Failed,
        status: None,
        diagnostic: mail.subject().unwrap_or_default().chars().take(300).collect(),
    })
}

/// Our message ids in quoted `Message-ID: <32 hex digits.number@domain>` lines; at most 16 of them.
fn quoted_ids(raw: &[u8]) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for line in raw.split(|octet| *octet == b'\n') {
        let Some((name, rest)) = line.split_at_checked(b"Message-ID:".len()) else { continue };
        if !name.eq_ignore_ascii_case(b"Message-ID:") {
            continue;
        }
        let id = rest
            .trim_ascii()
            .strip_prefix(b"<")
            .and_then(|rest| rest.get(..32))
            .and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(id) = id.and_then(|hex| hex.parse().ok())
            && !ids.contains(&id)
        {
            ids.push(id);
        }
        if ids.len() == 16 {
            break;
        }
    }
    ids
}
