//! What is looked at of a mail, read once.

use super::cause::fold;
use super::phrases::List;
use super::{TEXT_OCTETS, shortened};
use crate::limits::Limits;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

/// Machine-readable parts of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportPart {
    /// `message/delivery-status` (RFC 3464), `message/global-delivery-status` (RFC 6533).
    Delivery,
    /// `message/disposition-notification` (RFC 8098) and its international form.
    Disposition,
    /// `message/feedback-report` (RFC 5965).
    Feedback,
}

/// What is looked at of a mail.
#[derive(Debug)]
pub(super) struct Facts {
    /// Names in lower case and values of the headers, unfolded, at most 2,000 characters each.
    headers: Vec<(String, String)>,
    /// The address in `From`.
    pub(super) sender: Option<String>,
    /// The subject, decoded and folded by [`fold`].
    pub(super) subject: String,
    /// The subject as it is.
    pub(super) subject_shown: String,
    /// The mail's own words, without what it quotes.
    pub(super) text: String,
    /// The same, folded.
    pub(super) folded: String,
    /// Headers and texts that it quotes.
    pub(super) quoted: String,
    /// The machine-readable parts.
    pub(super) reports: Vec<(ReportPart, String)>,
    /// `report-type` of a `multipart/report`, in lower case.
    pub(super) report_type: Option<String>,
}

impl Facts {
    pub(super) fn of(mail: &Message<'_>, limits: &Limits) -> Self {
        let headers = mail
            .headers_raw()
            .take(500)
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().chars().take(2_000).collect()))
            .collect();
        let sender = mail.from().and_then(|from| from.first()).and_then(|from| from.address());
        let subject_shown = shortened(mail.subject().unwrap_or_default());
        let (mut text, mut quoted) = (String::new(), String::new());
        for part in mail.parts.iter().take(limits.mail_parts) {
            match &part.body {
                PartType::Text(body) if is_quoted(part) => append(&mut quoted, body),
                PartType::Text(body) => append(&mut text, body),
                // A notice in HTML beside one in plain text says the same.
                PartType::Html(body) if text.trim().len() < 200 => {
                    append(&mut text, &html_to_text(bounded(body)));
                }
                PartType::Message(inner) => quote(&mut quoted, inner, 3),
                PartType::Binary(octets) | PartType::InlineBinary(octets) if is_quoted(part) => {
                    append(
                        &mut quoted,
                        &String::from_utf8_lossy(octets.get(..TEXT_OCTETS).unwrap_or(octets)),
                    );
                }
                PartType::Html(_)
                | PartType::Binary(_)
                | PartType::InlineBinary(_)
                | PartType::Multipart(_) => {}
            }
        }
        let text = own_words(text, &mut quoted);
        Self {
            headers,
            sender: sender.map(ToOwned::to_owned),
            subject: fold(&subject_shown),
            subject_shown,
            folded: fold(&text),
            text,
            quoted,
            reports: report_parts(mail, limits)
                .map(|(kind, part)| {
                    let octets = part.contents();
                    (kind, String::from_utf8_lossy(octets.get(..TEXT_OCTETS).unwrap_or(octets)).into_owned())
                })
                .collect(),
            report_type: report_type(mail),
        }
    }

    /// The first header of that name, given in lower case.
    pub(super) fn header<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All headers of that name, given in lower case.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header of that name holds one of these words, in any case.
    pub(super) fn header_says(&self, name: &str, words: &[&str]) -> bool {
        self.all(name).any(|value| {
            let value = value.to_ascii_lowercase();
            words.iter().any(|word| value.contains(word))
        })
    }

    /// Whether subject or text hold one of these words.
    pub(super) fn says(&self, list: List) -> bool {
        list.is_in(&self.folded) || list.is_in(&self.subject)
    }

    /// The same for words that stand nowhere else.
    pub(super) fn says_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.folded.contains(word)) || self.subject_says_any(words)
    }

    /// Whether the subject holds one of these words.
    pub(super) fn subject_says(&self, list: List) -> bool {
        list.is_in(&self.subject)
    }

    /// The same for words that stand nowhere else.
    pub(super) fn subject_says_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.subject.contains(word))
    }

    /// The part of the sender's address before the `@`, in lower case.
    pub(super) fn sender_user(&self) -> String {
        let sender = self.sender.as_deref().unwrap_or_default();
        sender.split('@').next().unwrap_or_default().to_ascii_lowercase()
    }

    /// Whether its own Message-ID is one of ours: a mail of ours that came back, or that a gateway changed.
    pub(super) fn is_our_own(&self) -> bool {
        self.header("message-id").is_some_and(is_our_message_id)
    }

    /// Whether it was sent with the null return path, as everything automatic should be (RFC 5321, 4.5.5).
    pub(super) fn has_null_return_path(&self) -> bool {
        self.header("return-path").is_some_and(|path| path == "<>")
    }
}

/// The machine-readable parts of a report. Some systems forget the `multipart/report` around them.
pub(super) fn report_parts<'a>(
    mail: &'a Message<'_>,
    limits: &Limits,
) -> impl Iterator<Item = (ReportPart, &'a MessagePart<'a>)> {
    mail.parts.iter().take(limits.mail_parts).filter_map(|part| {
        let content_type = part.content_type()?;
        if !content_type.ctype().eq_ignore_ascii_case("message") {
            return None;
        }
        let kind = match content_type.subtype()?.to_ascii_lowercase().as_str() {
            "delivery-status" | "global-delivery-status" => ReportPart::Delivery,
            "disposition-notification" | "global-disposition-notification" => ReportPart::Disposition,
            "feedback-report" => ReportPart::Feedback,
            _ => return None,
        };
        Some((kind, part))
    })
}

fn report_type(mail: &Message<'_>) -> Option<String> {
    let content_type = mail.content_type()?;
    let is_report = content_type.ctype().eq_ignore_ascii_case("multipart")
        && content_type.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"));
    is_report.then(|| content_type.attribute("report-type").unwrap_or_default().to_ascii_lowercase())
}

/// Whether a part holds somebody's headers: `text/rfc822-headers`, `message/global-headers`, or a message that was not taken apart.
fn is_quoted(part: &MessagePart<'_>) -> bool {
    part.content_type().is_some_and(|content_type| {
        let subtype = content_type.subtype().unwrap_or_default().to_ascii_lowercase();
        matches!(subtype.as_str(), "rfc822-headers" | "global-headers" | "rfc822" | "global" | "partial")
    })
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(TEXT_OCTETS);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

fn append(to: &mut String, text: &str) {
    let room = TEXT_OCTETS.saturating_sub(to.len());
    let text = bounded(text);
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    to.push_str(text.get(..end).unwrap_or_default());
    to.push('\n');
}

/// The head of a quoted message, and of those that it quotes itself.
fn quote(quoted: &mut String, message: &Message<'_>, depth: u8) {
    for (name, value) in message.headers_raw().take(200) {
        append(quoted, &format!("{name}: {}", value.trim()));
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    for part in message.parts.iter().take(16) {
        if let PartType::Message(inner) = &part.body {
            quote(quoted, inner, depth);
        }
    }
}

/// Cuts the text where a copy of our mail begins, and moves the copy behind what is quoted.
fn own_words(text: String, quoted: &mut String) -> String {
    const HEADS: [&str; 7] = [
        "received: ",
        "return-path: ",
        "message-id: ",
        "mime-version: ",
        "x-mailer: ",
        "dkim-signature: ",
        "authentication-results: ",
    ];
    let mut at = 0usize;
    let mut cut = None;
    for line in text.split_inclusive('\n') {
        let shown = line.trim_start_matches(['>', ' ', '\t', '|']);
        let head: String = shown.chars().take(24).collect::<String>().to_ascii_lowercase();
        if HEADS.iter().any(|name| head.starts_with(name)) {
            cut = Some(at);
            break;
        }
        at = at.saturating_add(line.len());
    }
    match cut.and_then(|cut| text.split_at_checked(cut)) {
        Some((own, copy)) => {
            append(quoted, copy);
            own.to_owned()
        }
        None => text,
    }
}

/// `<32 hex digits.number@domain>`.
fn is_our_message_id(value: &str) -> bool {
    let bare = value.trim_start_matches('<');
    bare.split_once('.').is_some_and(|(hex, rest)| {
        hex.len() == 32
            && hex.bytes().all(|octet| octet.is_ascii_hexdigit() && !octet.is_ascii_uppercase())
            && rest.split_once('@').is_some_and(|(number, _)| {
                !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())
            })
    })
}
