//! Delivery status notifications (RFC 3464, RFC 6533), as the standard has them and as systems write them.

use super::cause::Cause;
use super::facts::{Facts, ReportPart};
use super::status::Status;
use super::{Found, Kind, RECIPIENTS_MAX, Recipient, Standing, bounce_text, shortened};

/// Reads the machine-readable parts; `None` where there are none, or nothing is in them.
pub(super) fn read(facts: &Facts) -> Option<Found> {
    let parts = facts.reports.iter().filter(|(kind, _)| *kind == ReportPart::Delivery);
    let mut groups: Vec<Group> = parts.flat_map(|(_, text)| groups(text)).take(RECIPIENTS_MAX).collect();
    if groups.is_empty() {
        return None;
    }
    // Some say of a delay that the action failed, and mean that this try did.
    let is_warning = bounce_text::is_warning(facts);
    if groups.len() == 1
        && let Some(group) = groups.first_mut()
        && group.standing == Standing::Failed
        && group.status.is_some_and(|status| status.class == 4)
        && is_warning
    {
        group.standing = Standing::Delayed;
    }
    let recipients: Vec<Recipient> = groups.into_iter().map(|group| group.recipient(facts)).collect();
    let standing = |wanted| recipients.iter().find(|recipient| recipient.standing == wanted);
    let (kind, first) = match (standing(Standing::Failed), standing(Standing::Delayed)) {
        (Some(failed), _) => (Kind::Bounce, Some(failed)),
        (None, Some(delayed)) => (Kind::Delay, Some(delayed)),
        (None, None) => (Kind::Delivered, recipients.first()),
    };
    let (cause, diagnostic) =
        first.map_or((None, String::new()), |first| (first.cause, first.diagnostic.clone()));
    let recipients = recipients.into_iter().filter(|recipient| !recipient.address.is_empty()).collect();
    Some(Found { kind, cause, recipients, diagnostic })
}

/// The fields of one recipient.
struct Group {
    address: Option<String>,
    original: Option<String>,
    standing: Standing,
    status: Option<Status>,
    diagnostic: String,
}

impl Group {
    fn recipient(self, facts: &Facts) -> Recipient {
        let cause = match self.standing {
            Standing::Delivered => None,
            standing => {
                let told = Cause::judge(self.status, &self.diagnostic);
                let told = if told == Cause::Unknown
                    || (told == Cause::PolicyRefused && self.diagnostic.is_empty())
                {
                    // The words for people sometimes say more.
                    match bounce_text::cause_of(facts) {
                        Cause::Unknown => told,
                        cause => cause,
                    }
                } else {
                    told
                };
                Some(bounce_text::fitting(told, standing))
            }
        };
        let diagnostic = if self.diagnostic.is_empty() && self.standing != Standing::Delivered {
            bounce_text::words_of(facts)
        } else {
            self.diagnostic
        };
        let address = self.address.or_else(|| self.original.clone()).unwrap_or_default();
        let original = self.original.filter(|original| !original.eq_ignore_ascii_case(&address));
        Recipient {
            address,
            original,
            standing: self.standing,
            status: self.status,
            cause,
            diagnostic: shortened(&diagnostic),
        }
    }
}

/// The groups of fields that are about a recipient.
fn groups(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().take(2_000) {
        if line.trim().is_empty() {
            close(&mut fields, &mut groups);
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim().to_ascii_lowercase();
        // Systems that forget the empty line between two recipients.
        let has = |wanted: &str| fields.iter().any(|(known, _)| known == wanted);
        let begins = match name.as_str() {
            "final-recipient" => has("final-recipient"),
            "original-recipient" => {
                has("original-recipient")
                    || ["final-recipient", "action", "status"].iter().all(|name| has(name))
            }
            _ => false,
        };
        if begins {
            close(&mut fields, &mut groups);
        }
        fields.push((name, value.trim().to_owned()));
    }
    close(&mut fields, &mut groups);
    groups
}

fn close(fields: &mut Vec<(String, String)>, groups: &mut Vec<Group>) {
    let fields = std::mem::take(fields);
    let field = |name: &str| {
        fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let address = field("final-recipient").and_then(address);
    let original = field("original-recipient").and_then(self::address);
    if address.is_none() && original.is_none() && field("action").is_none() && field("status").is_none() {
        return;
    }
    let diagnostic = ["diagnostic-code", "x-supplementary-info", "x-notes", "x-diagnostic-code"]
        .into_iter()
        .find_map(field)
        .map(after_type)
        .unwrap_or_default();
    let status = field("status").and_then(Status::read).or_else(|| Status::find(diagnostic));
    let action = field("action").unwrap_or_default().to_ascii_lowercase();
    let standing = match action.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default()
    {
        "delayed" | "deferred" => Standing::Delayed,
        "delivered" | "relayed" | "expanded" => Standing::Delivered,
        "" => match status.map(|status| status.class) {
            Some(2) => Standing::Delivered,
            Some(4) => Standing::Delayed,
            _ => Standing::Failed,
        },
        _ => Standing::Failed,
    };
    groups.push(Group { address, original, standing, status, diagnostic: diagnostic.to_owned() });
}

/// `rfc822; name@example.com` -> `name@example.com`; what is no mail address gives nothing.
fn address(value: &str) -> Option<String> {
    let (kind, bare) = value.split_once(';').unwrap_or(("", value));
    let bare = bare.trim();
    let bare = bare.rsplit_once('<').map_or(bare, |(_, inner)| inner.trim_end_matches('>'));
    let bare = bare.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'', '<', '>', ',']);
    if bare.is_empty() || bare.len() > 1_000 {
        return None;
    }
    Some(if kind.trim().eq_ignore_ascii_case("utf-8") { unescaped(bare) } else { bare.to_owned() })
}

/// RFC 6533 section 3: `\x{9B5A}` stands for a character.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\x{") {
        plain.push_str(before);
        let Some((digits, after)) = behind.split_once('}') else {
            rest = behind;
            continue;
        };
        plain.extend(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32));
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// `smtp; 550 no such user` -> `550 no such user`.
fn after_type(value: &str) -> &str {
    match value.split_once(';') {
        Some((kind, rest)) if kind.trim().len() < 20 && !kind.trim().contains(' ') => rest.trim(),
        _ => value.trim(),
    }
}
