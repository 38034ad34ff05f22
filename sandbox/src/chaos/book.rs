//! The book of the play: what was made durable, what was done with it, and at the end what must be true. It knows nothing of the
//! code that it judges: it looks into the tables with connections of its own.

use super::post::Mail;
use jiff::Timestamp;
use mailfmt::MessageId;
use std::collections::{BTreeMap, HashMap};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// From an appliance to the center.
    Report,
    /// From the center to one appliance.
    Command,
}

/// One thing that happened to a message, for its story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Durable,
    Taken,
    Refused,
    Died,
    ReceiptTaken,
    Read,
    ReadDamaged,
    ReceiptRead,
    Filed,
    CameAgain,
    Settled,
    GivenUp,
    Answered,
    ForgottenBySite,
    ForgottenByCenter,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Durable => "stands in the outbox",
            Self::Taken => "handed in",
            Self::Refused => "refused for now",
            Self::Died => "handed in, the connection died",
            Self::ReceiptTaken => "its receipt was handed in",
            Self::Read => "read by its recipient",
            Self::ReadDamaged => "read by its recipient, damaged",
            Self::ReceiptRead => "its receipt was read",
            Self::Filed => "filed, or carried out",
            Self::CameAgain => "known to its recipient",
            Self::Settled => "settled by its receipt",
            Self::GivenUp => "given up by policy",
            Self::Answered => "an answer stands in the outbox",
            Self::ForgottenBySite => "the appliance's disk was put back to before it",
            Self::ForgottenByCenter => "the center's database was put back to before it",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Note {
    serial: u32,
    at_secs: u32,
    step: Step,
}

/// What is known of one message.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) message: MessageId,
    /// The appliance, by its place.
    pub(crate) site: usize,
    /// Its kind on the wire.
    pub(crate) kind: String,
    /// Of a report: the command that it answers.
    pub(crate) command: Option<u32>,
    /// Of a command: when it expires.
    pub(crate) expires: Timestamp,
    /// Of a command: answers that stand, or stood, in the appliance's outbox; what a restored disk forgot is not counted.
    pub(crate) answers: u32,
    /// Of a command: answers that a restored disk forgot.
    pub(crate) answers_forgotten: u32,
    /// Given up as the policy says, and counted by the code under test.
    pub(crate) given_up: bool,
    /// It stood only on an appliance's disk that was put back to before it.
    pub(crate) forgotten_by_site: bool,
    /// It was filed, or stood, in a center's database that was put back to before it.
    pub(crate) forgotten_by_center: bool,
    /// Whether it was handed in at all, once.
    handed_in: bool,
    /// Whole copies of its first sending that were read: what a peer without a journal would have done.
    naive: u32,
}

/// The book.
#[derive(Debug)]
pub(crate) struct Book {
    begin: Timestamp,
    entries: Vec<Entry>,
    known: HashMap<(MessageId, usize), u32>,
    notes: Vec<Note>,
}

impl Book {
    pub(crate) fn new(begin: Timestamp) -> Self {
        Self { begin, entries: Vec::new(), known: HashMap::new(), notes: Vec::new() }
    }

    /// A message became durable with its sender; gives its number.
    pub(crate) fn enter(
        &mut self,
        what: What,
        message: MessageId,
        site: usize,
        kind: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> u32 {
        let serial = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.known.insert((message, site), serial);
        self.entries.push(Entry {
            what,
            message,
            site,
            kind: kind.to_owned(),
            command: None,
            expires,
            answers: 0,
            answers_forgotten: 0,
            given_up: false,
            forgotten_by_site: false,
            forgotten_by_center: false,
            handed_in: false,
            naive: 0,
        });
        self.note(serial, Step::Durable, now);
        serial
    }

    /// The number of a message; it is entered now if it is not in the book. `times`: when it expires, and now.
    pub(crate) fn enter_once(
        &mut self,
        what: What,
        message: MessageId,
        site: usize,
        kind: &str,
        times: (Timestamp, Timestamp),
    ) -> u32 {
        match self.serial(message, site) {
            Some(serial) => serial,
            None => self.enter(what, message, site, kind, times.0, times.1),
        }
    }

    /// How often mails of each kind were taken by a server; receipts are a kind of their own.
    pub(crate) fn sendings(&self) -> BTreeMap<&str, u64> {
        let mut sendings = BTreeMap::new();
        for note in &self.notes {
            let kind = match note.step {
                Step::ReceiptTaken => "receipt",
                Step::Taken => self.entry(note.serial).map_or("", |entry| entry.kind.as_str()),
                _ => continue,
            };
            *sendings.entry(kind).or_default() += 1;
        }
        sendings
    }

    /// The number of a message of, or for, an appliance.
    pub(crate) fn serial(&self, message: MessageId, site: usize) -> Option<u32> {
        self.known.get(&(message, site)).copied()
    }

    pub(crate) fn entry_mut(&mut self, serial: u32) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(serial).ok()?)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.entries)
    }

    pub(crate) fn entry(&self, serial: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(serial).ok()?)
    }

    pub(crate) fn note(&mut self, serial: u32, step: Step, now: Timestamp) {
        let at_secs = u32::try_from(now.as_second() - self.begin.as_second()).unwrap_or(u32::MAX);
        self.notes.push(Note { serial, at_secs, step });
    }

    /// A mail goes to the server. True if it is the first time that its message does.
    pub(crate) fn first_sending(&mut self, serial: u32) -> bool {
        self.entry_mut(serial).is_some_and(|entry| !std::mem::replace(&mut entry.handed_in, true))
    }

    /// A copy was read by its recipient.
    pub(crate) fn read(&mut self, mail: &Mail, now: Timestamp) {
        if let Some(entry) = self.entry_mut(mail.serial).filter(|_| mail.first_sending && mail.whole) {
            entry.naive += 1;
        }
        let step = if mail.whole { Step::Read } else { Step::ReadDamaged };
        self.note(mail.serial, step, now);
    }

    /// An answer to a command became durable on an appliance.
    pub(crate) fn answered(&mut self, command: MessageId, by: u32, site: usize, now: Timestamp) {
        if let Some(serial) = self.serial(command, site) {
            if let Some(report) = self.entry_mut(by) {
                report.command = Some(serial);
            }
            if let Some(entry) = self.entry_mut(serial) {
                entry.answers += 1;
            }
            self.note(serial, Step::Answered, now);
        }
    }

    /// An appliance's disk was put back to before this message of its outbox.
    pub(crate) fn forget_at_site(
        &mut self,
        message: MessageId,
        in_reply_to: Option<MessageId>,
        site: usize,
        now: Timestamp,
    ) {
        if let Some(serial) = self.serial(message, site) {
            if let Some(entry) = self.entry_mut(serial) {
                entry.forgotten_by_site = true;
            }
            self.note(serial, Step::ForgottenBySite, now);
        }
        let command = in_reply_to.and_then(|command| self.serial(command, site));
        if let Some(entry) = command.and_then(|serial| self.entry_mut(serial)) {
            entry.answers = entry.answers.saturating_sub(1);
            entry.answers_forgotten += 1;
        }
    }

    /// The center's database was put back to before this message.
    pub(crate) fn forget_at_center(&mut self, message: MessageId, site: usize, now: Timestamp) {
        if let Some(serial) = self.serial(message, site) {
            if let Some(entry) = self.entry_mut(serial) {
                entry.forgotten_by_center = true;
            }
            self.note(serial, Step::ForgottenByCenter, now);
        }
    }

    /// What a peer would have done that sends everything once and counts every copy that it reads: doubled and lost.
    pub(crate) fn naive(&self) -> (u64, u64) {
        let handed_in = self.entries.iter().filter(|entry| entry.handed_in);
        handed_in.fold((0, 0), |(double, lost), entry| {
            (double + u64::from(entry.naive.saturating_sub(1)), lost + u64::from(entry.naive == 0))
        })
    }

    /// All that happened to a message and its answers, in words.
    pub(crate) fn story(&self, serial: u32) -> String {
        let answers = self.entries().filter(|(_, entry)| entry.command == Some(serial));
        let all = std::iter::once(serial).chain(answers.map(|(answer, _)| answer));
        all.map(|serial| self.story_of(serial)).collect::<Vec<_>>().join("\nanswered by ")
    }

    fn story_of(&self, serial: u32) -> String {
        let Some(entry) = self.entry(serial) else { return format!("message {serial} is not in the book") };
        let mut story = format!(
            "message {serial}: {:?} {:?} ({}), appliance {}",
            entry.what,
            entry.kind,
            entry.message,
            entry.site + 1
        );
        for note in self.notes.iter().filter(|note| note.serial == serial) {
            let (days, secs) = (note.at_secs / 86_400, note.at_secs % 86_400);
            let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
            story.push_str(&format!(
                "\n  day {days} {hours:02}:{minutes:02}:{secs:02}  {}",
                note.step.words()
            ));
        }
        story
    }
}
