use super::*;
use crate::db::inventory::{DeviceChoice, History};
use crate::sample::{agent, fleet, later, now};
use mailfmt::message::ledger::{LedgerEpoch, LedgerFinding, LedgerMeter, LedgerPoint};

const LEDGER: &str = "00112233445566778899aabbccddeeff";
const SOURCE: &str = "1.3.6.1.2.1.43.10.2.1.4.1.1";

fn device() -> DeviceId {
    DeviceId { vendor: "Kyocera".into(), model: "P2040".into(), serial: "A1".into() }
}

/// A ledger as an appliance writes it.
#[derive(Default)]
struct Writer {
    entries: Vec<SealedEntry>,
}

impl Writer {
    fn entry(at: &str, mode: &str, value: u64, sure: u64) -> LedgerEntry {
        LedgerEntry {
            device: device(),
            address: "10.0.0.5".into(),
            at: at.parse().unwrap(),
            clock_sure: true,
            uptime_secs: Some(1),
            epoch: LedgerEpoch { number: 1, serial: Some("A1".into()), mac: None, model: None },
            mode: mode.into(),
            closes: None,
            between: None,
            meters: vec![LedgerMeter {
                number: 1,
                name: "total".into(),
                source: SOURCE.into(),
                unit: "impressions".into(),
                value,
                sure,
                doubts: 0,
                leads: true,
            }],
            findings: vec![],
        }
    }

    fn write(&mut self, entry: &LedgerEntry) -> &mut Self {
        let (sequence, previous) = match self.entries.last() {
            None => (1, SealedEntry::beginning(LEDGER)),
            Some(last) => (last.sequence + 1, last.digest),
        };
        self.entries.push(SealedEntry::seal(sequence, previous, entry));
        self
    }

    fn part(&self) -> LedgerPart {
        LedgerPart { ledger: LEDGER.into(), entries: self.entries.clone() }
    }
}

/// October ends at 1,000, November at 1,500; in between a reset that took 30 pages with it.
fn november() -> Writer {
    let mut writer = Writer::default();
    let closing = |at: &str, month: &str, value, sure| LedgerEntry {
        closes: Some(month.into()),
        ..Writer::entry(at, "month-end", value, sure)
    };
    let point = |entry, value| LedgerPoint { entry, at: now(), value, source: SOURCE.into() };
    let mut reset = Writer::entry("2026-11-15T10:00:00Z", "flagged", 30, 400);
    reset.meters[0].doubts = 1;
    reset.findings = vec![LedgerFinding {
        meter: 1,
        class: "reset".into(),
        review: true,
        from: point(3, 1_400),
        to: point(4, 30),
        sure: 0,
        proposed: Some(30),
        words: "it fell from 1400 to 30 over a restart".into(),
    }];
    let mut end = closing("2026-11-30T19:00:00Z", "2026-11", 130, 500);
    end.meters[0].doubts = 1;
    writer
        .write(&Writer::entry("2026-10-01T08:00:00Z", "first", 600, 0))
        .write(&closing("2026-10-31T19:00:00Z", "2026-10", 1_000, 0))
        .write(&Writer::entry("2026-11-15T09:00:00Z", "before", 1_400, 400))
        .write(&reset)
        .write(&end);
    writer
}

struct Center(Db);

impl Center {
    fn new() -> Self {
        Self(fleet(2))
    }

    fn file(&mut self, number: u32, part: &LedgerPart) {
        let agent = agent(number);
        self.0.write(|transaction| file(transaction, &Origin::new(&agent, 1, now()), part)).unwrap();
    }

    fn month(&self, month: &str) -> Vec<crate::ledger::Line> {
        let months = self.0.ledger_month(&month.parse().unwrap(), &LedgerFilter::default()).unwrap();
        months.iter().flat_map(DeviceMonth::lines).collect()
    }

    fn alarms(&self) -> Vec<String> {
        let alarms = self.0.alarms(None, false).unwrap();
        alarms.into_iter().filter(|alarm| alarm.kind == LEDGER_ALARM).map(|alarm| alarm.description).collect()
    }
}

#[test]
fn a_month_is_billed_by_two_stored_readings_and_names_what_waits_for_whom() {
    let mut center = Center::new();
    center.file(1, &november().part());
    let lines = center.month("2026-11");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((line.pages, line.customer.as_str(), line.name.as_str()), (Some(500), "Customer 1", "total"));
    assert_eq!((line.from.as_ref().unwrap().entry, line.to.as_ref().unwrap().entry), (2, 5));
    assert_eq!((line.findings.len(), line.review_by.as_slice()), (1, ["service"].as_slice()));
    assert_eq!(line.flags, Vec::<String>::new());
    assert!(center.alarms().is_empty());
}

#[test]
fn entries_that_come_twice_late_or_in_another_order_make_the_same_month() {
    let whole = november();
    for order in [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let mut center = Center::new();
        for nth in order {
            let part = LedgerPart { ledger: LEDGER.into(), entries: vec![whole.entries[nth].clone()] };
            center.file(1, &part);
            center.file(1, &part);
        }
        assert_eq!(center.month("2026-11")[0].pages, Some(500));
        assert_eq!(center.0.ledger_findings(&LedgerFilter::default(), true).unwrap().len(), 1);
        assert!(center.alarms().is_empty(), "{:?}", center.alarms());
    }
}

#[test]
fn an_entry_that_has_not_come_is_missed_in_the_line() {
    let mut center = Center::new();
    let mut part = november().part();
    part.entries.remove(3);
    center.file(1, &part);
    let line = center.month("2026-11").remove(0);
    assert_eq!(line.pages, Some(500));
    assert!(line.flags.iter().any(|flag| flag.contains("1 entries of the ledger")), "{:?}", line.flags);
    assert!(line.flags.iter().any(|flag| flag.contains("finding to be reviewed")), "{:?}", line.flags);
}

#[test]
fn an_entry_that_was_changed_is_not_filed_and_raises_an_alarm() {
    let mut center = Center::new();
    let mut part = november().part();
    part.entries[4].body = part.entries[4].body.replace("500", "400");
    center.file(1, &part);
    assert!(center.alarms()[0].contains("changed after it was written"), "{:?}", center.alarms());
    assert_eq!(center.0.ledger_devices(&LedgerFilter::default()).unwrap()[0].entries, 4);
}

#[test]
fn a_history_that_is_written_anew_does_not_replace_what_came_first() {
    let mut center = Center::new();
    center.file(1, &november().part());
    let mut other = Writer::default();
    for sealed in &november().entries {
        let mut entry = sealed.open().unwrap();
        entry.meters[0].value += 7;
        entry.meters[0].sure += 7;
        other.write(&entry);
    }
    other.write(&Writer::entry("2026-12-01T08:00:00Z", "routine", 200, 577));
    center.file(1, &other.part());
    assert_eq!(center.month("2026-11")[0].to.as_ref().unwrap().value, 130, "the first one counts");
    assert!(!center.0.ledger_devices(&LedgerFilter::default()).unwrap()[0].sound);
    assert!(!center.alarms().is_empty());
}

#[test]
fn a_review_is_a_new_entry_with_name_and_reason_and_the_last_one_counts() {
    let mut center = Center::new();
    center.file(1, &november().part());
    let open = center.0.ledger_findings(&LedgerFilter::default(), false).unwrap();
    let number = open[0].id;
    let mut say = |word, at| center.0.review_finding(number, &word, "eve", "called the site", at).unwrap().1;
    assert_eq!(say(Word::Accept, now()), 30);
    assert_eq!(say(Word::Correct { pages: 55 }, later(60)), 55);
    let line = center.month("2026-11").remove(0);
    assert_eq!((line.pages, line.corrected, line.review_by.len()), (Some(555), 55, 0));
    let said: Vec<_> =
        center.0.reviews_of(number).unwrap().into_iter().map(|said| (said.verdict, said.pages)).collect();
    assert_eq!(said, [("accepted".to_owned(), 30), ("corrected".to_owned(), 55)]);
    center.0.review_finding(number, &Word::Reject, "eve", "was a test", later(90)).unwrap();
    assert_eq!(center.month("2026-11")[0].pages, Some(500));
    assert!(center.0.ledger_findings(&LedgerFilter::default(), false).unwrap().is_empty());
    let unknown = center.0.review_finding(99, &Word::Reject, "eve", "x", now());
    assert!(matches!(unknown, Err(DbError::NoSuchFinding { number: 99 })));
}

#[test]
fn no_statement_changes_or_deletes_what_was_filed() {
    let mut center = Center::new();
    center.file(1, &november().part());
    let number = center.0.ledger_findings(&LedgerFilter::default(), false).unwrap()[0].id;
    center.0.review_finding(number, &Word::Accept, "eve", "ok", now()).unwrap();
    for statement in [
        "UPDATE ledger_entry SET body = ''",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_finding SET review = 0",
        "DELETE FROM ledger_finding",
        "UPDATE ledger_review SET pages = 0",
        "DELETE FROM ledger_review",
    ] {
        assert!(center.0.read().execute(statement, []).is_err(), "{statement}");
    }
}

#[test]
fn a_month_that_is_not_closed_shows_the_last_reading_and_says_so() {
    let mut center = Center::new();
    let mut writer = november();
    writer.write(&Writer::entry("2026-12-10T08:00:00Z", "routine", 250, 620));
    center.file(1, &writer.part());
    let line = center.month("2026-12").remove(0);
    assert_eq!(line.pages, Some(120));
    assert!(line.flags[0].contains("not closed"), "{:?}", line.flags);
    assert!(center.month("2027-03").is_empty() && center.month("2026-09").is_empty());
    let first = center.month("2026-10").remove(0);
    assert!(first.flags.iter().any(|flag| flag.contains("first reading")), "{:?}", first.flags);
}

#[test]
fn an_estimate_is_told_with_the_readings_between_which_it_lies() {
    let mut center = Center::new();
    let mut writer = november();
    let estimate = LedgerEntry {
        closes: Some("2026-12".into()),
        between: Some((6, 7)),
        ..Writer::entry("2026-12-31T19:00:00Z", "estimate", 260, 640)
    };
    writer
        .write(&Writer::entry("2026-12-31T12:00:00Z", "before", 250, 620))
        .write(&Writer::entry("2027-01-01T08:00:00Z", "routine", 280, 650))
        .write(&estimate);
    center.file(1, &writer.part());
    let line = center.month("2026-12").remove(0);
    assert_eq!((line.pages, line.estimated), (Some(140), true));
    assert_eq!(line.to.unwrap().between, Some((6, 7)));
}

#[test]
fn two_sites_that_tell_of_one_device_are_flagged_and_a_moved_device_takes_its_entries_along() {
    let mut center = Center::new();
    center.file(1, &november().part());
    center.file(2, &november().part());
    let lines = center.month("2026-11");
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().all(|line| line.flags.iter().any(|flag| flag.contains("bill one of them"))),
        "{lines:?}"
    );

    let mut center = Center::new();
    center.file(1, &november().part());
    let choice = DeviceChoice { serial: "A1".into(), model: None };
    let (from, to) = (agent(1), agent(2));
    center.0.move_device(&choice, (&from, &to), History::Follows, "eve", now()).unwrap();
    let filter = LedgerFilter { serial: Some("A1".into()), ..LedgerFilter::default() };
    let history = center.0.ledger_history(&filter).unwrap();
    assert_eq!((history.len(), history[0].0.clone()), (5, to));
}
