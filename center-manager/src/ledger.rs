//! What a month comes to, by the ledgers of the appliances. Pure.
//!
//! Every number here is the difference of two positions, each of which stands in a stored reading, and what somebody said
//! about the findings between them. Where a reading is missing or estimated, or a finding waits for somebody, the line says so.

use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use mailfmt::message::ledger::{LedgerEntry, LedgerFinding, LedgerMeter};
use serde::Serialize;
use std::collections::BTreeSet;

/// A month, such as `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Month(String);

/// Text that is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as YYYY-MM, such as 2026-11")]
pub struct NoMonth;

impl Month {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (i16, i8) {
        let (year, month) = self.0.split_once('-').unwrap_or_default();
        (year.parse().unwrap_or_default(), month.parse().unwrap_or_default())
    }

    /// The month before.
    #[must_use]
    pub fn before(&self) -> Self {
        match self.parts() {
            (year, 1) => Self(format!("{:04}-12", year.saturating_sub(1))),
            (year, month) => Self(format!("{year:04}-{:02}", month.saturating_sub(1))),
        }
    }
}

impl std::str::FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|octet| octet.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        let known = digits(year, 4) && digits(month, 2) && matches!(month.parse(), Ok(1..=12u8));
        if known { Ok(Self(text.to_owned())) } else { Err(NoMonth) }
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The ledger.
    pub ledger: String,
    /// Its number there.
    pub sequence: u64,
    /// Whether it fits its neighbours.
    pub fits: bool,
    /// What it says.
    pub entry: LedgerEntry,
}

/// A finding as it is kept, with the last word on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its number at the center.
    pub id: i64,
    /// The appliance.
    pub agent: AgentId,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// The counter.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The entry that showed it.
    pub sequence: u64,
    /// When that was read.
    pub at: Timestamp,
    /// What was found.
    pub found: LedgerFinding,
    /// Who has to look at it: `service` knows of machines and boards that were exchanged, `billing` decides the rest; nobody
    /// where nothing has to be decided.
    pub review_by: Option<&'static str>,
    /// Whether a later reading has settled it: the count is back where it was before.
    pub settled: bool,
    /// What somebody said.
    pub review: Option<Review>,
}

/// What somebody said about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// `accepted`, `corrected` or `rejected`.
    pub verdict: String,
    /// What counts for the step, all in all.
    pub pages: u64,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Finding {
    /// Whether it waits for somebody.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.found.review && self.review.is_none() && !self.settled
    }

    /// What a review adds to what was counted already, or takes from it.
    fn correction(&self) -> i64 {
        let signed = |pages: u64| i64::try_from(pages).unwrap_or(i64::MAX);
        self.review.as_ref().map_or(0, |review| signed(review.pages).saturating_sub(signed(self.found.sure)))
    }
}

/// Who has to look at a finding of a class.
#[must_use]
pub fn reviewer(class: &str) -> &'static str {
    match class {
        "swap" | "board" | "reset" | "named" => "service",
        _ => "billing",
    }
}

/// One end of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// The entry.
    pub entry: u64,
    /// When it was read, or estimated for.
    pub at: Timestamp,
    /// What was read.
    pub value: u64,
    /// The object it was read from.
    pub source: String,
    /// The entries between which it was estimated.
    pub between: Option<(u64, u64)>,
}

/// One counter of one device in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The appliance.
    pub agent: AgentId,
    /// Its customer.
    pub customer: String,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// The counter.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Where the month began.
    pub from: Option<End>,
    /// Where it ended.
    pub to: Option<End>,
    /// What was counted; absent where nobody can tell.
    pub pages: Option<u64>,
    /// What of it comes from reviews.
    pub corrected: i64,
    /// Whether an end was estimated.
    pub estimated: bool,
    /// What is out of the ordinary, in words.
    pub flags: Vec<String>,
    /// Findings between the two ends.
    pub findings: Vec<Finding>,
    /// Who has to review something before this is billed.
    pub review_by: Vec<&'static str>,
}

/// What is known of a device for a month.
#[derive(Debug, Clone)]
pub struct DeviceMonth {
    /// The appliance.
    pub agent: AgentId,
    /// Its customer.
    pub customer: String,
    /// The device.
    pub device: DeviceId,
    /// Where the month begins: the end of the one before, or the first entry.
    pub from: Option<Placed>,
    /// Whether `from` closes the month before.
    pub from_closes: bool,
    /// Where it ends.
    pub to: Placed,
    /// Whether `to` closes the month.
    pub closes: bool,
    /// For counters that `to` does not tell: the last entry before it that does.
    pub earlier: Vec<Placed>,
    /// Findings after `from`, up to `to`.
    pub findings: Vec<Finding>,
    /// Entries of the ledger between the two ends that have not come, of any device.
    pub missing: u64,
    /// Other appliances that report the same device.
    pub also_at: Vec<AgentId>,
}

impl DeviceMonth {
    /// One line per counter.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let leading = |placed: &Placed| {
            let names =
                placed.entry.meters.iter().filter(|meter| meter.leads).map(|meter| meter.name.clone());
            names.collect::<BTreeSet<_>>()
        };
        let mut names = leading(&self.to);
        names.extend(self.from.iter().flat_map(leading));
        names.iter().filter_map(|name| self.line(name)).collect()
    }

    fn line(&self, name: &str) -> Option<Line> {
        let mut flags = self.common_flags();
        let at_end = meter(&self.to, name).map(|meter| (&self.to, meter));
        let to = at_end.or_else(|| {
            let earlier = self.earlier.iter().find_map(|placed| Some((placed, meter(placed, name)?)));
            earlier.inspect(|_| flags.push("not told at the end; the last reading counts".to_owned()))
        });
        let from = self.from.as_ref().and_then(|placed| Some((placed, meter(placed, name)?)));
        let unit = to.or(from).map(|(_, meter)| meter.unit.clone())?;
        if self.from.is_some() && from.is_none() {
            flags.push("told for the first time in this month".to_owned());
        }
        let same_ledger = from.is_none_or(|(from, _)| to.is_some_and(|(to, _)| to.ledger == from.ledger));
        if !same_ledger {
            flags.push("the appliance has begun another ledger".to_owned());
        }
        let findings: Vec<Finding> =
            self.findings.iter().filter(|finding| finding.name == name).cloned().collect();
        let corrected = findings.iter().map(Finding::correction).fold(0, i64::saturating_add);
        let counted = to
            .filter(|_| same_ledger)
            .map(|(_, to)| to.sure.saturating_sub(from.map_or(0, |(_, from)| from.sure)));
        // A finding whose entry has not come is known by its number only.
        let told =
            to.map_or(0, |(_, meter)| meter.doubts).saturating_sub(from.map_or(0, |(_, meter)| meter.doubts));
        let come = findings.iter().filter(|finding| finding.found.review).count();
        if same_ledger && usize::try_from(told).is_ok_and(|told| told > come) {
            flags.push("a finding to be reviewed has not come yet".to_owned());
        }
        let review_by: BTreeSet<&'static str> = findings
            .iter()
            .filter(|finding| finding.is_open())
            .filter_map(|finding| finding.review_by)
            .collect();
        let estimated = [from, to].into_iter().flatten().any(|(placed, _)| placed.entry.between.is_some());
        Some(Line {
            agent: self.agent.clone(),
            customer: self.customer.clone(),
            device: self.device.clone(),
            name: name.to_owned(),
            unit,
            from: from.map(|(placed, meter)| end(placed, meter)),
            to: to.map(|(placed, meter)| end(placed, meter)),
            pages: counted.map(|counted| counted.saturating_add_signed(corrected)),
            corrected,
            estimated,
            flags,
            findings,
            review_by: review_by.into_iter().collect(),
        })
    }

    fn common_flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.closes {
            flags.push("the month is not closed; the last reading so far".to_owned());
        }
        if !self.from_closes {
            flags.push("since its first reading".to_owned());
        }
        if self.missing > 0 {
            flags.push(format!("{} entries of the ledger have not come", self.missing));
        }
        let doubted = |placed: &Placed| !placed.fits;
        if doubted(&self.to) || self.from.as_ref().is_some_and(doubted) {
            flags.push("the ledger was changed".to_owned());
        }
        if !self.to.entry.clock_sure {
            flags.push("the appliance's clock was doubted".to_owned());
        }
        if !self.also_at.is_empty() {
            let others: Vec<String> = self.also_at.iter().map(ToString::to_string).collect();
            flags.push(format!("also told by {}: bill one of them", others.join(", ")));
        }
        flags
    }
}

fn meter<'a>(placed: &'a Placed, name: &str) -> Option<&'a LedgerMeter> {
    placed.entry.meters.iter().find(|meter| meter.leads && meter.name == name)
}

fn end(placed: &Placed, meter: &LedgerMeter) -> End {
    End {
        entry: placed.sequence,
        at: placed.entry.at,
        value: meter.value,
        source: meter.source.clone(),
        between: placed.entry.between,
    }
}

#[cfg(test)]
mod tests;
