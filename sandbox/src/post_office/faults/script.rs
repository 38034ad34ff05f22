//! The script of faults as data: it can be written in a program or in a settings file.

use serde::{Deserialize, Serialize};

/// A protocol that the post office speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Handing in mail (RFC 6409).
    Smtp,
    /// Fetching mail (RFC 1939).
    Pop3,
    /// Reading mail in place (RFC 3501).
    Imap,
}

/// Which mails or connections a [`Rule`] is about. Every condition that is set must hold.
///
/// Addresses are compared without regard to case; `@site.example` stands for everyone at that domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Only this protocol.
    pub service: Option<Service>,
    /// Only mail to this address; for POP3 and IMAP, only this mailbox once it is logged in.
    pub recipient: Option<String>,
    /// Only mail from this address; for SMTP connections, only this login.
    pub sender: Option<String>,
    /// Only the first so many attempts of this sender to hand in mail for this recipient.
    pub first: Option<u32>,
}

/// One line of the script: a fault, for whom, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which mails or connections.
    #[serde(default)]
    pub when: When,
    /// How likely, from 0 (never) to 1 (always).
    #[serde(default = "always")]
    pub chance: f64,
    /// What goes wrong.
    pub fault: Fault,
}

fn always() -> f64 {
    1.0
}

/// What goes wrong. Times are in milliseconds, sizes in octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The mail reaches the mailbox late, by a time between the two.
    Delay {
        /// Shortest delay, milliseconds.
        at_least_ms: u64,
        /// Longest delay, milliseconds.
        at_most_ms: u64,
    },
    /// The mail is accepted with 250 and never delivered.
    Lose,
    /// The mail is accepted with 250; in its place the sender gets a report that it cannot be delivered (RFC 3464).
    Bounce {
        /// Status code of the report, such as `5.1.1` (RFC 3463).
        status: String,
    },
    /// The mail is delivered this many times more.
    Copies {
        /// Copies beyond the first.
        extra: u32,
    },
    /// The mail waits until later mails for the same mailbox have overtaken it.
    Reorder {
        /// How many later mails go first.
        behind: u32,
        /// Longest wait for them, milliseconds.
        at_most_ms: u64,
    },
    /// The service is not there.
    Outage(Outage),
    /// The mail is taken (or lost, by another rule), then the connection dies before the answer to the final dot.
    DieBeforeReply,
    /// The first attempts of a sender for a recipient are told 451 to come again.
    Greylist {
        /// How many attempts are turned away.
        tries: u32,
    },
    /// A refusal with this SMTP code.
    Reject {
        /// 4xx or 5xx.
        code: u16,
        /// What stands behind the code.
        text: String,
        /// When the refusal is said.
        #[serde(default)]
        at: Stage,
    },
    /// A mail larger than this is refused with 552.
    SizeLimit {
        /// Largest mail that is taken.
        octets: u64,
    },
    /// Only the beginning of the mail is delivered.
    Truncate {
        /// How much of what was handed in is kept.
        keep: u64,
    },
    /// One octet of the mail, behind its header, is delivered with one bit changed.
    Damage,
    /// The connection is cut when so much has been moved: sent by POP3 and IMAP, received by SMTP.
    DropAfter {
        /// Octets before the cut, counted from the connection's beginning.
        octets: u64,
    },
    /// IMAP's IDLE does not do what it should (RFC 2177).
    Idle(IdleFault),
    /// The connection moves no more than this, in both directions.
    Slow {
        /// Octets each second.
        octets_per_second: u64,
    },
}

/// When a refusal is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// In answer to RCPT: the other recipients of the mail are not touched.
    #[default]
    Recipient,
    /// In answer to the final dot: the whole mail is refused.
    Data,
}

/// What becomes of IDLE, which the server offers all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleFault {
    /// It is refused.
    Refused,
    /// It is taken, and mail is not told of; any other command tells.
    NeverTells,
    /// It is taken, and from then on the server says nothing at all, as behind a line that is dead.
    FallsSilent,
    /// It is taken, and the server says good-bye.
    SaysGoodBye,
    /// The server ends it at once by itself.
    EndsAtOnce,
}

/// How a service is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// Connections are refused and open ones are cut.
    Refuse,
    /// Connections are taken, and nothing is said until the outage is over.
    Hang,
    /// All is well until a mail is on its way; the connection is cut in the middle of it.
    Midway,
}

impl Rule {
    /// The fault for everyone, every time.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { when: When::default(), chance: 1.0, fault }
    }

    /// Only for this recipient (or mailbox); `@domain` for all of a domain.
    #[must_use]
    pub fn to(mut self, recipient: &str) -> Self {
        self.when.recipient = Some(recipient.to_owned());
        self
    }

    /// Only from this sender (or SMTP login); `@domain` for all of a domain.
    #[must_use]
    pub fn sent_by(mut self, sender: &str) -> Self {
        self.when.sender = Some(sender.to_owned());
        self
    }

    /// Only on this protocol.
    #[must_use]
    pub fn on(mut self, service: Service) -> Self {
        self.when.service = Some(service);
        self
    }

    /// Only with this chance, 0 to 1.
    #[must_use]
    pub fn with_chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Only for the first attempts of each sender for each recipient.
    #[must_use]
    pub fn first(mut self, attempts: u32) -> Self {
        self.when.first = Some(attempts);
        self
    }
}
