//! A box whose clock is wrong, from the command that seems expired to the receipt that puts it right.

use super::*;
use crate::store::OutboxRow;
use jiff::SignedDuration;
use std::sync::Mutex;
use std::time::Duration;

const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3652);

/// An appliance whose clocks the test sets.
struct WrongClock {
    site: Site,
    clocks: Arc<Mutex<Reading>>,
}

impl WrongClock {
    /// Five minutes after a start with a wall clock that is `off` the truth, which is [`now`].
    fn new(off: SignedDuration) -> Self {
        let mut site = Site::new();
        let reading =
            Reading { wall: now() + off, since_boot: Duration::from_secs(300), boot: Arc::from("one") };
        let clocks = Arc::new(Mutex::new(reading));
        let read = Arc::clone(&clocks);
        let settings = (*site.context.settings).clone();
        let clock = Arc::new(move || read.lock().unwrap().clone());
        site.context = Context::new(site.context.layout.clone(), settings, clock);
        Self { site, clocks }
    }

    fn passes(&self, secs: u64) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.since_boot += Duration::from_secs(secs);
        clocks.wall += SignedDuration::from_secs(i64::try_from(secs).unwrap());
    }

    fn restarts(&self, wall: Timestamp) {
        *self.clocks.lock().unwrap() =
            Reading { wall, since_boot: Duration::from_secs(30), boot: Arc::from("two") };
    }

    fn enqueue(&self) -> OutboxRow {
        let report = health::report(&self.site.store(), &self.site.context).unwrap();
        let outgoing = self.site.context.outgoing(Report::Health(report), None);
        let id = self.site.store().change(|change| change.enqueue(&outgoing)).unwrap();
        self.site.store().outbox_row(id).unwrap().unwrap()
    }

    fn hand_in(&self, row: &OutboxRow) {
        let uptime = self.site.context.reading().uptime();
        self.site.store().change(|change| change.hand_in(row.id, &uptime)).unwrap();
    }

    /// The center's receipt, filed at `received`.
    fn receipt(&mut self, row: &OutboxRow, received: Timestamp) -> Filed {
        let receipt = Receipt {
            report: row.message,
            number: 1,
            received,
            content: "health".into(),
            description: String::new(),
            latest: None,
        };
        let mail = self.site.mail(&Message::Receipt(receipt), b"");
        self.site.file(&mail)
    }
}

fn later(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

#[test]
fn a_command_that_seems_expired_to_a_clock_ten_years_ahead_waits_and_is_carried_out_after_a_receipt() {
    let mut site = WrongClock::new(TEN_YEARS);
    let command = site.site.command(Command::Counters(CounterRequest::default()));
    assert_eq!(site.site.file(&command), Filed::Undecided);
    assert!(site.site.answers().is_empty());
    let row = site.enqueue();
    site.hand_in(&row);
    site.passes(60);
    // By this box's clock the receipt too has expired long ago.
    assert_eq!(site.receipt(&row, later(50)), Filed::Receipt(true));
    assert_eq!(site.site.file(&command), Filed::Accepted);
    let clock = site.site.context.clock_state();
    assert!(clock.proven && clock.now.duration_since(later(60)).abs() < SignedDuration::from_mins(1));
    assert!(clock.told_offset().unwrap() > 9 * 365 * 86_400);
}

#[test]
fn a_clock_ten_years_behind_accepts_no_order_before_a_receipt_and_all_after() {
    let mut site = WrongClock::new(-TEN_YEARS);
    let command = site.site.command(Command::Counters(CounterRequest::default()));
    assert_eq!(site.site.file(&command), Filed::Undecided);
    let row = site.enqueue();
    site.hand_in(&row);
    site.passes(60);
    assert_eq!(site.receipt(&row, later(50)), Filed::Receipt(true));
    assert_eq!(site.site.file(&command), Filed::Accepted);
    assert!(site.site.context.clock_state().told_offset().unwrap() < -9 * 365 * 86_400);
}

#[test]
fn a_command_that_has_expired_indeed_is_thrown_away_once_the_time_is_proven() {
    let mut site = WrongClock::new(TEN_YEARS);
    let command = site.site.command(Command::Counters(CounterRequest::default()));
    assert_eq!(site.site.file(&command), Filed::Undecided);
    let row = site.enqueue();
    site.hand_in(&row);
    site.passes(60);
    site.receipt(&row, later(3 * 86_400));
    assert_eq!(site.site.file(&command), Filed::Expired);
    assert!(site.site.answers().is_empty());
}

#[test]
fn a_command_waits_for_the_proof_a_day_and_no_longer() {
    let mut site = WrongClock::new(TEN_YEARS);
    let command = site.site.command(Command::Counters(CounterRequest::default()));
    site.passes(23 * 3600);
    assert_eq!(site.site.file(&command), Filed::Undecided);
    site.passes(3600);
    assert_eq!(site.site.file(&command), Filed::Expired);
}

#[test]
fn a_receipt_moves_the_waiting_reports_to_the_right_time_and_loses_none() {
    for off in [TEN_YEARS, -TEN_YEARS] {
        let mut site = WrongClock::new(off);
        let (waiting, told) = (site.enqueue(), site.enqueue());
        site.hand_in(&told);
        site.passes(60);
        site.receipt(&told, later(30));
        let moved = site.site.store().outbox_row(waiting.id).unwrap().unwrap();
        assert_eq!((moved.message, moved.state), (waiting.message, OutboxState::Waiting));
        assert!(
            moved.created.duration_since(now()).abs() < SignedDuration::from_mins(2),
            "{}",
            moved.created
        );
        let plan = crate::outbox::plan(
            &[moved],
            &site.site.context.settings.timers,
            &site.site.context.clock_state(),
        );
        assert_eq!(plan, [crate::outbox::Step::Send { id: waiting.id }]);
    }
}

#[test]
fn reports_from_before_a_long_time_off_are_still_sent_after_the_proof() {
    let mut site = WrongClock::new(SignedDuration::ZERO);
    let old = site.enqueue();
    let half_a_year = later(182 * 86_400);
    site.restarts(half_a_year);
    let row = site.enqueue();
    site.hand_in(&row);
    site.passes(20);
    site.receipt(&row, half_a_year + SignedDuration::from_secs(10));
    let kept = site.site.store().outbox_row(old.id).unwrap().unwrap();
    assert!(kept.expires > half_a_year + SignedDuration::from_hours(24));
}

#[test]
fn the_time_is_known_to_every_process_of_the_appliance_and_after_a_restart() {
    let mut site = WrongClock::new(SignedDuration::ZERO);
    let ping = site.site.command(Command::Ping(PingRequest::default()));
    assert_eq!(site.site.file(&ping), Filed::Accepted);
    site.restarts("1970-01-01T00:00:30Z".parse().unwrap());
    let clocks = Arc::clone(&site.clocks);
    let settings = (*site.site.context.settings).clone();
    let other = Context::new(
        site.site.context.layout.clone(),
        settings,
        Arc::new(move || clocks.lock().unwrap().clone()),
    );
    assert!(other.now() >= now());
}

#[test]
fn a_receipt_that_comes_again_proves_nothing() {
    let mut site = WrongClock::new(TEN_YEARS);
    let row = site.enqueue();
    site.hand_in(&row);
    site.receipt(&row, later(1));
    let proven = site.site.store().known_time().unwrap();
    site.passes(3600);
    assert_eq!(site.receipt(&row, later(1)), Filed::Receipt(false));
    assert_eq!(site.site.store().known_time().unwrap(), proven);
}

#[test]
fn only_the_first_handing_in_counts() {
    let site = WrongClock::new(TEN_YEARS);
    let row = site.enqueue();
    site.hand_in(&row);
    let first = site.site.context.reading().uptime();
    site.passes(3600);
    site.hand_in(&row);
    let kept = site.site.store().change(|change| change.handed_in(row.message)).unwrap();
    assert_eq!(kept, Some(first));
}

#[test]
fn a_journal_is_not_forgotten_by_a_clock_that_runs_ahead() {
    let mut site = WrongClock::new(SignedDuration::ZERO);
    let command = site.site.command(Command::Version(VersionRequest { nonce: Nonce::from_bytes([1; 16]) }));
    assert_eq!(site.site.file(&command), Filed::Accepted);
    site.restarts(now() + TEN_YEARS);
    let clock = site.site.context.clock_state();
    let retention = &site.site.context.settings.retention;
    site.site
        .store()
        .change(|change| change.prune(retention, clock.for_forgetting(), clock.earliest))
        .unwrap();
    assert_eq!(site.site.file(&command), Filed::Repeat);
}
