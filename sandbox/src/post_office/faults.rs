//! Scripted faults: what goes wrong, for whom and how often, as plain data; and the pure functions that turn the
//! script and a seed into decisions. Nothing here waits, sends or draws randomness of its own.

use std::time::Duration;

mod script;

#[cfg(test)]
mod tests;

pub use script::{Fault, IdleFault, Outage, Rule, Service, Stage, When};

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
    /// It is taken, and the sender gets a report with this status that it cannot be delivered (RFC 3463).
    Bounced(String),
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
    let (mut refused, mut lost, mut bounced, mut dies_before_reply) = (None, false, None, false);
    for (number, fault) in in_force(rules, mail, luck) {
        match fault {
            Fault::Delay { at_least_ms, at_most_ms } => {
                let spread = at_most_ms.saturating_sub(*at_least_ms).saturating_add(1);
                let late = at_least_ms.saturating_add(luck.draw(number, 1) % spread);
                delivery.delay = delivery.delay.saturating_add(Duration::from_millis(late));
            }
            Fault::Lose => lost = true,
            Fault::Bounce { status } => bounced = Some(status.clone()),
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
            | Fault::Idle(_)
            | Fault::Slow { .. } => {}
        }
    }
    let outcome = match refused {
        Some(refusal) => Outcome::Refused(refusal),
        None if lost => Outcome::Lost,
        None => bounced.map_or(Outcome::Delivered(delivery), Outcome::Bounced),
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
    /// What becomes of IDLE.
    pub idle: Option<IdleFault>,
}

/// What is wrong with a connection; of several rules of a kind the first counts.
#[must_use]
pub fn link(rules: &[Rule], connection: Facts<'_>, luck: Luck) -> Link {
    let mut link = Link::default();
    for (_, fault) in in_force(rules, connection, luck) {
        match fault {
            Fault::Outage(outage) => link.outage = link.outage.or(Some(*outage)),
            Fault::DropAfter { octets } => link.drop_after = link.drop_after.or(Some(*octets)),
            Fault::Idle(idle) => link.idle = link.idle.or(Some(*idle)),
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
