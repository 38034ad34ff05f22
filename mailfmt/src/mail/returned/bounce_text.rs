//! Bounces and warnings in free text, of systems that write no delivery status notification.

use super::cause::{Cause, fold, of_words};
use super::facts::Facts;
use super::phrases::List;
use super::status::{Status, reply_code};
use super::{Found, Kind, RECIPIENTS_MAX, Recipient, Standing, shortened};

/// Reads a notice; `None` where nothing shows that a mail system wrote it.
pub(super) fn read(facts: &Facts) -> Option<Found> {
    let failed_header = facts.header("x-failed-recipients");
    let daemon = is_daemon(facts);
    let subject = facts.subject_says(List::BounceSubjects) || facts.subject_says(List::DelaySubjects);
    let says = facts.says(List::Bounce)
        || is_delay(facts)
        || facts.report_type.as_deref() == Some("delivery-status");
    let by_itself = facts.has_null_return_path() || facts.header("auto-submitted").is_some();
    let vacation = facts.subject_says(List::VacationSubjects);
    let is_bounce = failed_header.is_some()
        || daemon && (subject || says)
        || subject && (says || by_itself)
        || by_itself && says && !vacation;
    if !is_bounce || vacation && !daemon && failed_header.is_none() {
        return None;
    }
    let standing = if is_delay(facts) { Standing::Delayed } else { Standing::Failed };
    let cause = fitting(cause_of(facts), standing);
    let diagnostic = words_of(facts);
    let status = Status::find(&facts.text);
    let recipients = recipients(facts)
        .into_iter()
        .map(|address| Recipient {
            address,
            original: None,
            standing,
            status,
            cause: Some(cause),
            diagnostic: shortened(&diagnostic),
        })
        .collect();
    let kind = if standing == Standing::Delayed { Kind::Delay } else { Kind::Bounce };
    Some(Found { kind, cause: Some(cause), recipients, diagnostic })
}

/// Whether the sender's address is one of a mail system.
pub(super) fn is_daemon(facts: &Facts) -> bool {
    let user = facts.sender_user();
    List::Daemons.words().iter().any(|name| {
        user == *name || user.strip_prefix(name).is_some_and(|rest| rest.starts_with(['-', '+', '_', '.']))
    })
}

/// Whether it says that somebody still tries.
pub(super) fn is_delay(facts: &Facts) -> bool {
    (facts.subject_says(List::DelaySubjects) || facts.says(List::Delay)) && !facts.says(List::GivenUp)
}

/// Whether its subject says so.
pub(super) fn is_warning(facts: &Facts) -> bool {
    facts.subject_says(List::DelaySubjects) && !facts.says(List::GivenUp)
}

/// Why, by the mail's own words.
pub(super) fn cause_of(facts: &Facts) -> Cause {
    match Cause::judge(None, &facts.text) {
        Cause::Unknown => of_words(&facts.subject).unwrap_or(Cause::Unknown),
        cause => cause,
    }
}

/// A final word is never "later", and one that is not final never "given up".
pub(super) fn fitting(cause: Cause, standing: Standing) -> Cause {
    match (standing, cause) {
        (Standing::Failed, Cause::Temporary) => Cause::Expired,
        (Standing::Delayed, Cause::Expired) => Cause::Temporary,
        // Whoever still tries does not believe that there is no such mailbox.
        (Standing::Delayed, Cause::Unknown | Cause::NoSuchUser) => Cause::Temporary,
        (_, cause) => cause,
    }
}

/// The line that says most: one with a reply code or a status, else one that tells a cause, else the subject.
pub(super) fn words_of(facts: &Facts) -> String {
    let lines = || facts.text.lines().take(200).map(str::trim).filter(|line| !line.is_empty());
    lines()
        .find(|line| (Status::find(line).is_some() || reply_code(line).is_some()) && line.contains(' '))
        .or_else(|| lines().find(|line| of_words(line).is_some()))
        .map_or_else(|| facts.subject_shown.clone(), ToOwned::to_owned)
}

/// The addresses that it is about: those that a header names, else those that stand on lines of their own, else the first one.
fn recipients(facts: &Facts) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |address: String| {
        if found.len() < RECIPIENTS_MAX && !found.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
            found.push(address);
        }
    };
    for name in ["x-failed-recipients", "x-failed-recipient", "x-bounced-recipient"] {
        facts.all(name).flat_map(addresses).for_each(&mut add);
    }
    if found.is_empty() {
        // The addresses of these headers are ours, and the system's own.
        let own: Vec<String> = ["to", "from", "reply-to", "delivered-to", "return-path", "cc"]
            .iter()
            .flat_map(|name| facts.all(name))
            .flat_map(addresses)
            .map(|address| address.to_ascii_lowercase())
            .collect();
        let is_other = |address: &String| {
            let lower = address.to_ascii_lowercase();
            let user = lower.split('@').next().unwrap_or_default();
            !own.contains(&lower)
                && !List::Daemons.words().contains(&user)
                && !List::NotRecipients.words().contains(&user)
        };
        let mut alone = Vec::new();
        let mut any = Vec::new();
        for line in facts.text.lines().take(400) {
            let shown = line.trim();
            let on_line: Vec<String> = addresses(line).into_iter().filter(is_other).collect();
            if let [only] = on_line.as_slice() {
                let rest = shown.len().saturating_sub(only.len());
                let begins =
                    shown.trim_start_matches(['<', '"', '\'', '(', '*', '-', ' ']).starts_with(only.as_str());
                if rest <= 4 || begins && fold(shown).starts_with('<') && shown.ends_with(':') {
                    alone.push(only.clone());
                }
            }
            any.extend(on_line);
        }
        let chosen = if alone.is_empty() { any.into_iter().take(1).collect() } else { alone };
        let mut unique: Vec<String> = Vec::new();
        for address in chosen {
            if unique.len() < RECIPIENTS_MAX
                && !unique.iter().any(|known: &String| known.eq_ignore_ascii_case(&address))
            {
                unique.push(address);
            }
        }
        return unique;
    }
    found
}

/// What looks like a mail address in a text.
pub(super) fn addresses(text: &str) -> Vec<String> {
    let is_local = |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_{|}~.".contains(letter);
    let is_domain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '.');
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@').take(50) {
        let (Some(before), Some(behind)) = (text.get(..at), text.get(at.saturating_add(1)..)) else {
            continue;
        };
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, letter)| is_local(*letter))
            .last()
            .map(|(start, _)| start);
        let end = behind
            .char_indices()
            .take_while(|(_, letter)| is_domain(*letter))
            .last()
            .map(|(end, letter)| end.saturating_add(letter.len_utf8()));
        let (Some(start), Some(end)) = (start, end) else { continue };
        let local = before.get(start..).unwrap_or_default().trim_start_matches(['\'', '=', '.']);
        let local = local.strip_prefix("mailto:").unwrap_or(local);
        let domain = behind.get(..end).unwrap_or_default().trim_end_matches(['.', '-']);
        // A message id is no address: ours, and most others, have digits before the sign and stand behind "Message-ID".
        let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let is_id = fold(before.get(line_start..start).unwrap_or_default()).contains("message-id")
            || fold(before.get(line_start..start).unwrap_or_default()).contains("nachrichten-id");
        if !local.is_empty()
            && local.len() <= 64
            && domain.contains('.')
            && domain.len() <= 255
            && !is_id
            && !is_our_id(local)
        {
            found.push(format!("{local}@{domain}"));
        }
    }
    found
}

/// `<32 hex digits>.<number>`, the left part of our own Message-IDs.
fn is_our_id(local: &str) -> bool {
    local.split_once('.').is_some_and(|(hex, number)| {
        hex.len() == 32
            && hex.bytes().all(|octet| octet.is_ascii_hexdigit())
            && number.bytes().all(|octet| octet.is_ascii_digit())
    })
}
