//! Which of our messages a mail speaks of: `<32 hex digits.number@domain>` wherever mail systems put it.

use super::facts::Facts;
use super::{IDS_MAX, TEXT_OCTETS};
use crate::ids::MessageId;

/// Our ids: those of mails that it quotes; without any, those that it refers to; at most [`IDS_MAX`].
pub(super) fn quoted(raw: &[u8], facts: &Facts) -> Vec<MessageId> {
    let mut found = Vec::new();
    for line in facts.quoted.lines().chain(facts.text.lines()) {
        collect_named(line, "message-id:", &mut found);
    }
    for (_, report) in &facts.reports {
        for line in report.lines() {
            collect_named(line, "original-message-id:", &mut found);
            collect_named(line, "original-envelope-id:", &mut found);
            collect_named(line, "x-original-message-id:", &mut found);
        }
    }
    if found.is_empty() {
        // Parts that the parser could not take apart.
        let body = raw.windows(2).position(|two| two == b"\n\n" || two == b"\n\r").unwrap_or(raw.len());
        let body = raw.get(body..).unwrap_or_default();
        let body = body.get(..4 * TEXT_OCTETS).unwrap_or(body);
        for line in body.split(|octet| *octet == b'\n') {
            let line = String::from_utf8_lossy(line.get(..400).unwrap_or(line));
            collect_named(&line, "message-id:", &mut found);
        }
    }
    if found.is_empty() {
        for name in [
            "in-reply-to",
            "references",
            "x-failed-message-id",
            "x-ms-exchange-parent-message-id",
            "original-message-id",
            "x-original-message-id",
        ] {
            facts.all(name).for_each(|value| collect(value, &mut found));
        }
    }
    if found.is_empty() {
        collect(&facts.text, &mut found);
        collect(&facts.quoted, &mut found);
    }
    if found.is_empty() {
        // Our own mail, come back as it is.
        facts.all("message-id").for_each(|value| collect(value, &mut found));
    }
    found.truncate(IDS_MAX);
    found
}

fn collect_named(line: &str, name: &str, found: &mut Vec<MessageId>) {
    let line = line.trim_start_matches(['>', ' ', '\t', '|']);
    if line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
        collect(line.get(name.len()..).unwrap_or_default(), found);
    }
}

/// Every run of exactly 32 lower-case hex digits that is an id of ours by what stands around it: `.number@`, or nothing.
fn collect(text: &str, found: &mut Vec<MessageId>) {
    let is_hex = |octet: &u8| octet.is_ascii_hexdigit() && !octet.is_ascii_uppercase();
    let mut rest = text.as_bytes();
    while found.len() < IDS_MAX {
        let Some(start) = rest.iter().position(is_hex) else { break };
        rest = rest.get(start..).unwrap_or_default();
        let digits = rest.iter().take_while(|octet| is_hex(octet)).count();
        let (run, behind) = rest.split_at_checked(digits).unwrap_or_default();
        let fits = digits == 32 && !behind.first().is_some_and(u8::is_ascii_alphanumeric);
        let follows = match behind.split_first() {
            None => true,
            Some((b'.', number)) => number.first().is_some_and(u8::is_ascii_digit),
            Some((next, _)) => next.is_ascii_whitespace() || matches!(next, b'@' | b'>' | b';' | b',' | b'"'),
        };
        if fits
            && follows
            && let Some(id) = std::str::from_utf8(run).ok().and_then(|hex| hex.parse().ok())
            && !found.contains(&id)
        {
            found.push(id);
        }
        rest = behind;
    }
}
