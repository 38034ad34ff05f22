mod falls;
mod line;
mod month_end;
mod sources;

use super::*;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::DeviceId;
use mailfmt::message::ledger::LedgerEntry;

const LIFE: &str = "1.3.6.1.2.1.43.10.2.1.4.1.1";
const PRIVATE: &str = "1.3.6.1.4.1.1347.43.10.1.1.12.1.1";

fn start() -> Timestamp {
    "2026-11-10T08:00:00Z".parse().unwrap()
}

fn after(minutes: i64) -> Timestamp {
    start().saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn device() -> DeviceId {
    DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() }
}

fn identity() -> Identity {
    Identity { model: Some("One".into()), serial: Some("A1".into()), mac: Some("00:11:22:33:44:55".into()) }
}

fn total(source: &str, value: u64) -> MeterValue {
    MeterValue { name: "total".into(), source: source.into(), unit: "impressions".into(), value }
}

/// A machine that is visited; every visit is one line of a story.
struct Visits {
    line: Line,
    next: u64,
    rules: Rules,
    entries: Vec<(u64, LedgerEntry)>,
    identity: Identity,
    month_end: MonthEnd,
    clock_sure: bool,
}

impl Visits {
    fn new() -> Self {
        Self {
            line: Line::begin(device()),
            next: 1,
            rules: Rules::default(),
            entries: Vec::new(),
            identity: identity(),
            month_end: MonthEnd::default(),
            clock_sure: true,
        }
    }

    fn observation(&self, minutes: i64, uptime_mins: i64, values: Vec<MeterValue>) -> Observation {
        let moment = Moment {
            at: after(minutes),
            clock_sure: self.clock_sure,
            uptime_secs: u64::try_from(uptime_mins * 60).ok(),
        };
        Observation {
            device: device(),
            address: "10.0.0.5".into(),
            identity: self.identity.clone(),
            moment,
            values,
        }
    }

    /// A visit that many minutes after the start, so many minutes after the machine was switched on. Gives the new entries.
    fn visit(&mut self, minutes: i64, uptime_mins: i64, values: Vec<MeterValue>) -> Vec<LedgerEntry> {
        let observation = self.observation(minutes, uptime_mins, values);
        let passed =
            self.month_end.passed(self.line.open_since(observation.moment.at), observation.moment.at);
        let closing = Closing { passed, last_day: self.month_end.is_last_day(observation.moment.at) };
        let entries = self.line.take(&observation, self.next, &self.rules, &closing);
        for entry in &entries {
            self.entries.push((self.next, entry.clone()));
            self.next += 1;
        }
        entries
    }

    fn total(&mut self, minutes: i64, uptime_mins: i64, value: u64) -> Vec<LedgerEntry> {
        self.visit(minutes, uptime_mins, vec![total(LIFE, value)])
    }

    fn position(&self) -> u64 {
        self.line.position("total").unwrap()
    }

    /// Class and whether it has to be reviewed, of all findings so far.
    fn findings(&self) -> Vec<(String, bool)> {
        let findings = self.entries.iter().flat_map(|(_, entry)| &entry.findings);
        findings.map(|one| (one.class.clone(), one.review)).collect()
    }

    fn found(&self, class: Class, review: bool) {
        assert_eq!(self.findings(), [(class.as_str().to_owned(), review)]);
    }
}
