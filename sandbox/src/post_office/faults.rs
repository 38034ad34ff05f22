//! Scripted faults: what goes wrong, for whom and how often, as plain data; and the pure functions that turn the
//! script and a seed into decisions. Nothing here waits, sends or draws randomness of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

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

/// What a rule can look at: one mail for one recipient, or one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The protocol.
    pub service: Service,
    /// Who sends, if known.
    pub sender: Option<&'a str>,
    /// Who receives, if known.
    pub recipient: Option<&'a str>,
    /// Size of the mail in octets, if known.
    pub size: Option<u64>,
    /// How often this sender has tried this recipient before.
    pub attempt: u32,
}

impl<'a> Facts<'a> {
    /// The facts of a connection: its protocol, and who is logged in by now.
    #[must_use]
    pub fn of_connection(service: Service, login: Option<&'a str>) -> Self {
        let (sender, recipient) = match service {
            Service::Smtp => (login, None),
            Service::Pop3 | Service::Imap => (None, login),
        };
        Self { service, sender, recipient, size: None, attempt: 0 }
    }
}

impl When {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        self.service.is_none_or(|service| service == facts.service)
            && fits(self.recipient.as_deref(), facts.recipient)
            && fits(self.sender.as_deref(), facts.sender)
            && self.first.is_none_or(|first| facts.attempt < first)
    }
}

fn fits(pattern: Option<&str>, address: Option<&str>) -> bool {
    let Some(pattern) = pattern else { return true };
    let Some(address) = address else { return false };
    if pattern.starts_with('@') {
        address.rfind('@').is_some_and(|at| address[at..].eq_ignore_ascii_case(pattern))
    } else {
        address.eq_ignore_ascii_case(pattern)
    }
}

/// The chance of one mail or connection: a seed from which every rule draws its own numbers, so that a rule more or
/// less does not change what the others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Luck(u64);

impl Luck {
    /// The luck of the `number`th thing of its kind `label` under `seed`.
    ///
    /// The same three always give the same luck, in whatever order parallel connections come.
    #[must_use]
    pub fn of(seed: u64, label: &str, number: u64) -> Self {
        // FNV-1a over the label, then mixed: cheap, and spread well enough for a script of faults.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mix(seed ^ mix(hash) ^ mix(number)))
    }

    /// The luck for judging recipients, other than that for judging the mail as a whole.
    #[must_use]
    pub fn for_recipients(self) -> Self {
        Self(mix(!self.0))
    }

    /// A number for the `draw`th use within rule `rule`.
    fn draw(self, rule: usize, draw: u64) -> u64 {
        mix(self.0 ^ mix(rule as u64).wrapping_add(draw))
    }

    fn hits(self, rule: usize, chance: f64) -> bool {
        // 53 bits make a fraction in [0, 1), so that chance 1 always hits and 0 never.
        let fraction = (self.draw(rule, 0) >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < chance
    }
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// An SMTP refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 4xx or 5xx.
    pub code: u16,
    /// The text behind the code, one line.
    pub text: String,
}

/// What becomes of one mail for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Refused, lost or delivered.
    pub outcome: Outcome,
    /// Whether the connection dies in place of the answer.
    pub dies_before_reply: bool,
}

/// The end of one mail for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sender is told.
    Refused(Refusal),
    /// Nobody is told.
    Lost,
    /// It reaches the mailbox.
    Delivered(Delivery),
}

/// How a mail reaches its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How often, at least once.
    pub times: u32,
    /// How late.
    pub delay: Duration,
    /// How many later mails go first, and how long at most it waits for them.
    pub hold: Option<(u32, Duration)>,
    /// How many of the octets handed in are kept, if not all.
    pub keep: Option<u64>,
    /// A number that says which bit is changed, if one is.
    pub damage: Option<u64>,
}

impl Delivery {
    /// On time, once and whole.
    pub const PLAIN: Self = Self { times: 1, delay: Duration::ZERO, hold: None, keep: None, damage: None };
}

fn in_force<'r>(
    rules: &'r [Rule],
    facts: Facts<'r>,
    luck: Luck,
) -> impl Iterator<Item = (usize, &'r Fault)> + 'r {
    rules
        .iter()
        .enumerate()
        .filter(move |(number, rule)| rule.when.holds(&facts) && luck.hits(*number, rule.chance))
        .map(|(number, rule)| (number, &rule.fault))
}

fn too_large(size: Option<u64>, limit: u64) -> Option<Refusal> {
    size.filter(|size| *size > limit)
        .map(|_| Refusal { code: 552, text: "5.3.4 Message size exceeds fixed limit".to_owned() })
}

/// Whether a recipient is turned away in answer to RCPT. The first rule that refuses decides.
#[must_use]
pub fn turn_away(rules: &[Rule], mail: Facts<'_>, luck: Luck) -> Option<Refusal> {
    in_force(rules, mail, luck).find_map(|(_, fault)| match fault {
        Fault::Reject { code, text, at: Stage::Recipient } => {
            Some(Refusal { code: *code, text: text.clone() })
        }
        Fault::Greylist { tries } if mail.attempt < *tries => {
            Some(Refusal { code: 451, text: "4.7.1 Greylisted, please come again".to_owned() })
        }
        Fault::SizeLimit { octets } => too_large(mail.size, *octets),
        _ => None,
    })
}

/// What becomes of a mail, for one of its recipients, once its final dot is there.
#[must_use]
pub fn decide(rules: &[Rule], mail: Facts<'_>, luck: Luck) -> Fate {
    let mut delivery = Delivery::PLAIN;
    let (mut refused, mut lost, mut dies_before_reply) = (None, false, false);
    for (number, fault) in in_force(rules, mail, luck) {
        match fault {
            Fault::Delay { at_least_ms, at_most_ms } => {
                let spread = at_most_ms.saturating_sub(*at_least_ms).saturating_add(1);
                let late = at_least_ms.saturating_add(luck.draw(number, 1) % spread);
                delivery.delay = delivery.delay.saturating_add(Duration::from_millis(late));
            }
            Fault::Lose => lost = true,
            Fault::Copies { extra } => delivery.times = delivery.times.saturating_add(*extra),
            Fault::Reorder { behind, at_most_ms } => {
                delivery.hold = Some((*behind, Duration::from_millis(*at_most_ms)));
            }
            Fault::DieBeforeReply => dies_before_reply = true,
            Fault::Reject { code, text, at: Stage::Data } if refused.is_none() => {
                refused = Some(Refusal { code: *code, text: text.clone() });
            }
            Fault::SizeLimit { octets } if refused.is_none() => refused = too_large(mail.size, *octets),
            Fault::Truncate { keep } => delivery.keep = Some(*keep),
            Fault::Damage => delivery.damage = Some(luck.draw(number, 1)),
            Fault::Outage(_)
            | Fault::Greylist { .. }
            | Fault::Reject { .. }
            | Fault::SizeLimit { .. }
            | Fault::DropAfter { .. }
            | Fault::Slow { .. } => {}
        }
    }
    let outcome = match refused {
        Some(refusal) => Outcome::Refused(refusal),
        None if lost => Outcome::Lost,
        None => Outcome::Delivered(delivery),
    };
    Fate { outcome, dies_before_reply }
}

/// What is wrong with a connection at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether the service is there.
    pub outage: Option<Outage>,
    /// Cut when so many octets have been moved.
    pub drop_after: Option<u64>,
    /// Never faster than this.
    pub octets_per_second: Option<u64>,
}

/// What is wrong with a connection; of several rules of a kind the first counts.
#[must_use]
pub fn link(rules: &[Rule], connection: Facts<'_>, luck: Luck) -> Link {
    let mut link = Link::default();
    for (_, fault) in in_force(rules, connection, luck) {
        match fault {
            Fault::Outage(outage) => link.outage = link.outage.or(Some(*outage)),
            Fault::DropAfter { octets } => link.drop_after = link.drop_after.or(Some(*octets)),
            Fault::Slow { octets_per_second } => {
                link.octets_per_second = link.octets_per_second.or(Some((*octets_per_second).max(1)));
            }
            _ => {}
        }
    }
    link
}

/// Whether a service does not even take connections: an outage that refuses everyone, every time.
#[must_use]
pub fn refuses_all(rules: &[Rule], service: Service) -> bool {
    rules.iter().any(|rule| {
        rule.fault == Fault::Outage(Outage::Refuse)
            && rule.chance >= 1.0
            && rule.when.holds(&Facts::of_connection(service, None))
    })
}

/// The mail as it is delivered: cut and damaged as `delivery` says. `None` when it is delivered as it came.
#[must_use]
pub fn spoil(raw: &[u8], delivery: &Delivery) -> Option<Vec<u8>> {
    if delivery.keep.is_none() && delivery.damage.is_none() {
        return None;
    }
    let keep = delivery.keep.and_then(|keep| usize::try_from(keep).ok()).unwrap_or(usize::MAX);
    let mut spoiled = raw[..raw.len().min(keep)].to_vec();
    if let Some(number) = delivery.damage {
        let body = body_start(&spoiled);
        let room = spoiled.len() - body;
        if room > 0 {
            // The remainder is below `room`, hence a usize.
            let place = body + usize::try_from(number % room as u64).unwrap_or(0);
            spoiled[place] = other_letter(spoiled[place]);
        }
    }
    Some(spoiled)
}

/// Where the text behind the header begins; the beginning when there is no such place.
fn body_start(raw: &[u8]) -> usize {
    raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4)
}

/// Changes one bit, and never into or out of a line end, which a mail system would repair.
fn other_letter(octet: u8) -> u8 {
    match octet {
        b'\r' | b'\n' => octet,
        _ if matches!(octet ^ 1, b'\r' | b'\n') => octet ^ 2,
        _ => octet ^ 1,
    }
}
