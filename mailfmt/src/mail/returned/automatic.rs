//! Automatic mail that is no bounce: receipts, absence notes, challenges, complaints, filters, lists, loops.

use super::bounce_text::{addresses, is_daemon, words_of};
use super::cause::Cause;
use super::facts::{Facts, ReportPart};
use super::phrases::List;
use super::{Found, Kind, Recipient, Standing};

/// `Received` lines of a mail that goes round: RFC 5321, 6.3 asks servers to allow at least a hundred; no honest way has thirty.
const RECEIVED_MAX: usize = 30;

/// Receipts (RFC 8098) and complaints (RFC 5965) by their structure.
pub(super) fn reports(facts: &Facts) -> Option<Found> {
    let part = |wanted| facts.reports.iter().find(|(kind, _)| *kind == wanted).map(|(_, text)| text.as_str());
    let feedback = part(ReportPart::Feedback);
    if feedback.is_some() || facts.report_type.as_deref() == Some("feedback-report") {
        let text = feedback.unwrap_or_default();
        let kind_told = field(text, "feedback-type").unwrap_or_else(|| "abuse".to_owned());
        let mut found =
            Found::of(Kind::Complaint, Some(Cause::PolicyRefused), &format!("feedback of type {kind_told}"));
        let told = field(text, "original-rcpt-to").or_else(|| field(text, "removal-recipient"));
        found.recipients = told
            .iter()
            .flat_map(|told| addresses(told))
            .take(1)
            .map(|address| plain(address, Standing::Delivered))
            .collect();
        return Some(found);
    }
    let receipt = part(ReportPart::Disposition);
    if receipt.is_none() && facts.report_type.as_deref() != Some("disposition-notification") {
        return None;
    }
    let text = receipt.unwrap_or_default();
    let disposition = field(text, "disposition").unwrap_or_default().to_ascii_lowercase();
    let outcome = disposition.rsplit(';').next().unwrap_or_default().trim();
    let word = outcome.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    let kind = match word {
        // RFC 5429, 2.2.2: a Sieve filter may refuse by such a receipt.
        "deleted"
            if facts.says_any(&[
                "automatically rejected",
                "was rejected",
                "has been rejected",
                "refused",
            ]) =>
        {
            let mut found = Found::of(Kind::Bounce, Some(Cause::PolicyRefused), &facts.subject_shown);
            found.recipients = recipient(text, Standing::Failed);
            return Some(found);
        }
        "deleted" => Kind::DeletedUnread,
        "dispatched" | "processed" => Kind::Delivered,
        "denied" | "failed" => Kind::AutoReply,
        "" if facts.subject_says_any(&["not read:", "ungelesen:", "non lu", "no leído", "non letto"]) => {
            Kind::DeletedUnread
        }
        _ => Kind::Read,
    };
    let mut found = Found::of(kind, None, &facts.subject_shown);
    found.recipients = recipient(text, Standing::Delivered);
    Some(found)
}

/// The recipient that a receipt names.
fn recipient(text: &str, standing: Standing) -> Vec<Recipient> {
    let told = field(text, "final-recipient").or_else(|| field(text, "original-recipient"));
    told.iter().flat_map(|told| addresses(told)).take(1).map(|address| plain(address, standing)).collect()
}

fn plain(address: String, standing: Standing) -> Recipient {
    Recipient { address, original: None, standing, status: None, cause: None, diagnostic: String::new() }
}

fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().take(200);
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

/// A mail that goes round.
pub(super) fn circle(facts: &Facts) -> Option<Found> {
    let goes_round = facts.all("received").count() > RECEIVED_MAX || is_delivered_twice(facts);
    goes_round.then(|| Found::of(Kind::Loop, Some(Cause::Loop), &facts.subject_shown))
}

/// Three deliveries to one address mean a circle; two may be an alias of the same name.
fn is_delivered_twice(facts: &Facts) -> bool {
    let delivered: Vec<_> = facts.all("delivered-to").take(100).collect();
    delivered
        .iter()
        .any(|address| delivered.iter().filter(|other| other.eq_ignore_ascii_case(address)).count() >= 3)
}

/// Systems that hold a mail until a person has answered.
pub(super) fn challenge(facts: &Facts) -> Option<Found> {
    let by_header = facts.header_says("x-delivery-agent", &["tmda"]) && facts.says_any(&["confirm"])
        || ["x-spamarrest", "x-boxtrapper", "x-challenge", "x-cr-hashedpuzzle-challenge", "x-asg-challenge"]
            .iter()
            .any(|name| facts.header(name).is_some());
    (by_header || facts.subject_says(List::ChallengeSubjects) || facts.says(List::Challenge))
        .then(|| Found::of(Kind::Challenge, Some(Cause::PolicyRefused), &facts.subject_shown))
}

/// What a mailing list says of a mail to it, and the mails of lists.
pub(super) fn moderation(facts: &Facts) -> Option<Found> {
    let user = facts.sender_user();
    let by_list = facts.header("list-id").is_some()
        || facts.header("x-mailman-version").is_some()
        || facts.header("x-listserver").is_some()
        || facts.header_says("x-loop", &["sympa"])
        || List::SendersOfLists
            .words()
            .iter()
            .any(|name| user.ends_with(name) || user.starts_with(name.trim_start_matches('-')));
    (by_list && facts.says(List::Moderation))
        .then(|| Found::of(Kind::List, Some(Cause::PolicyRefused), &facts.subject_shown))
}

/// A filter that tells what it did, with a subject of its own.
pub(super) fn filter_notice(facts: &Facts) -> Option<Found> {
    let told = facts.subject_says(List::FilteredSubjects) && (facts.says(List::Filtered) || is_filter(facts));
    told.then(|| filtered(facts))
}

/// A filter that tells what it did, by its words.
pub(super) fn content_notice(facts: &Facts) -> Option<Found> {
    let by_itself = facts.has_null_return_path()
        || facts.header_says("auto-submitted", &["auto-"])
        || is_daemon(facts)
        || is_filter(facts);
    (facts.says(List::Filtered) && by_itself).then(|| filtered(facts))
}

fn is_filter(facts: &Facts) -> bool {
    List::FilterSenders.is_in(&facts.sender_user())
}

fn filtered(facts: &Facts) -> Found {
    Found::of(Kind::ContentNotice, Some(Cause::ContentRefused), &words_of(facts))
}

/// Absence notes and other automatic answers to a mail of ours.
pub(super) fn reply(facts: &Facts) -> Option<Found> {
    const HEADERS: [&str; 8] = [
        "x-autoreply",
        "x-autorespond",
        "x-autoresponder",
        "x-autoreply-from",
        "x-mail-autoreply",
        "x-vacation",
        "x-out-of-office",
        "x-ms-exchange-inbox-rules-loop",
    ];
    let answers = facts.header_says("auto-submitted", &["auto-replied", "auto-notified"])
        || HEADERS.iter().any(|name| facts.header(name).is_some())
        || facts.header_says("precedence", &["auto_reply", "auto-reply"])
        || facts.header_says("x-post-messageclass", &["autoresponder"])
        || facts.header_says("x-ms-exchange-generated-message-source", &["mailbox rules agent"])
        || facts.header_says("delivered-by-the-graceful-genius", &["yes"])
        || facts.subject_says(List::VacationSubjects)
        || facts.says(List::VacationTexts) && facts.header("in-reply-to").is_some();
    answers.then(|| Found::of(Kind::AutoReply, None, &facts.subject_shown))
}

/// Whether a program or a list sent it.
pub(super) fn by_program(facts: &Facts) -> Option<Found> {
    let is_list = facts.header("list-id").is_some()
        || facts.header("list-unsubscribe").is_some()
        || facts.header("list-post").is_some()
        || facts.header_says("precedence", &["list"]);
    if is_list {
        return Some(Found::of(Kind::List, None, &facts.subject_shown));
    }
    let by_program = facts.header_says("auto-submitted", &["auto-"])
        || facts.header_says("precedence", &["bulk", "junk"])
        || facts.header("x-auto-response-suppress").is_some_and(|value| !value.eq_ignore_ascii_case("none"))
        || facts.header("x-fc-machinegenerated").is_some()
        || facts.header("feedback-id").is_some()
        || facts.has_null_return_path()
        || facts.subject_says(List::AutoreplySubjects)
        || is_daemon(facts);
    by_program.then(|| Found::of(Kind::AutoReply, None, &facts.subject_shown))
}
