//! The hours at which an update may begin: the order's, the package's and the site's, by the site's clock.

use crate::site::{NEW, Site};
use jiff::{SignedDuration, Timestamp};
use mailfmt::conditions::Conditions;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{PackageDraft, Rules};
use monitor_appliance::Context;
use monitor_appliance::clock::{PATIENCE, system_clock};
use monitor_appliance::update::{Turn, UpdateState, install, work_once};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A site in this time zone, whose clock the test moves on.
struct Clocked {
    site: Site,
    later: Arc<AtomicI64>,
}

impl Clocked {
    /// A box that has run for so long.
    fn running_for(uptime: Duration, lines: &str) -> Self {
        let mut site = Site::new();
        site.set("update", &format!("time_zone = \"UTC\"\n{lines}"));
        let later = Arc::new(AtomicI64::new(0));
        let hours = later.clone();
        let clock = move || {
            let passed = SignedDuration::from_hours(hours.load(Ordering::Relaxed));
            let reading = system_clock();
            let since_boot = uptime + Duration::try_from(passed).unwrap();
            monitor_appliance::clock::Reading { wall: reading.wall + passed, since_boot, ..reading }
        };
        let settings = (*site.context.settings).clone();
        site.context = Context::new(site.context.layout.clone(), settings, Arc::new(clock));
        Self { site, later }
    }

    fn new(lines: &str) -> Self {
        Self::running_for(PATIENCE, lines)
    }

    fn now(&self) -> Timestamp {
        self.site.context.now()
    }

    /// Hours of the day from so many hours from now.
    fn hours(&self, from: i64, to: i64) -> String {
        let at = |hours| {
            let time =
                (self.now() + SignedDuration::from_hours(hours)).to_zoned(jiff::tz::TimeZone::UTC).time();
            format!("{:02}:{:02}", time.hour(), time.minute())
        };
        format!("{}-{}", at(from), at(to))
    }

    fn order(&self, draft: &PackageDraft, conditions: &Conditions) -> i64 {
        let order = self.site.order(&self.site.signed(draft));
        let mut store = self.site.store();
        let command = store.update_order(order).unwrap().unwrap().command;
        store.change(|change| change.keep_conditions(command, conditions)).unwrap();
        order
    }

    fn waits_for(&self, order: i64) -> String {
        let state = self.site.state(order);
        state.waits().unwrap_or_else(|| panic!("{state:?}")).why.to_string()
    }
}

fn only(hours: &str) -> Conditions {
    Conditions { windows: vec![hours.parse().unwrap()], ..Conditions::default() }
}

#[test]
fn an_update_waits_for_the_hours_that_its_order_its_package_and_the_site_have_in_common() {
    let now = Clocked::new("");
    let (site, package, ordered) = (now.hours(0, 5), now.hours(1, 8), now.hours(3, 9));
    let clocked = Clocked::new(&format!("window = \"{site}\""));
    let rules = Rules { window: Some(package.parse().unwrap()), ..clocked.site.draft().rules };
    let draft = PackageDraft { rules, ..clocked.site.draft() };
    let order = clocked.order(&draft, &only(&ordered));
    assert!(matches!(install(&clocked.site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    let words = clocked.waits_for(order);
    let begins = format!("T{}:00Z at the earliest", ordered.split('-').next().unwrap());
    assert!(words.starts_with("it begins at ") && words.contains(&begins), "{words}, not {begins}");
    assert!(words.contains(&ordered) && words.contains(&package) && words.contains(&site), "{words}");
    assert!(!clocked.site.releases().folder(NEW).exists());
    for (hours, closed) in [(2, true), (4, false)] {
        clocked.later.store(hours, Ordering::Relaxed);
        let state = work_once(&clocked.site.context, order).unwrap();
        assert_eq!(matches!(state, UpdateState::Waiting { .. }), closed, "{hours}: {state:?}");
    }
    assert_eq!(install(&clocked.site.context, order).unwrap(), Turn::Supervisor);
}

#[test]
fn hours_that_have_passed_again_before_the_new_release_is_built_are_waited_for_anew() {
    let clocked = Clocked::new("");
    let order = clocked.order(&clocked.site.draft(), &only(&clocked.hours(2, 4)));
    install(&clocked.site.context, order).unwrap();
    clocked.later.store(3, Ordering::Relaxed);
    let told = work_once(&clocked.site.context, order).unwrap();
    assert!(matches!(told, UpdateState::Waiting { .. }), "first the center is told that it takes longer");
    assert!(matches!(work_once(&clocked.site.context, order).unwrap(), UpdateState::Verified { .. }));
    clocked.later.store(5, Ordering::Relaxed);
    let state = work_once(&clocked.site.context, order).unwrap();
    // The package expires before that window comes again.
    assert!(matches!(state, UpdateState::Refused { .. }), "{state:?}");
    assert!(!clocked.site.releases().folder(NEW).exists());
}

#[test]
fn an_order_whose_hours_never_come_is_refused_as_a_missed_window() {
    let clocked = Clocked::new("");
    let site_hours = clocked.hours(1, 2);
    let clocked = Clocked::new(&format!("window = \"{site_hours}\""));
    let order = clocked.order(&clocked.site.draft(), &only(&clocked.hours(4, 6)));
    assert_eq!(install(&clocked.site.context, order).unwrap(), Turn::Nobody);
    let UpdateOutcome::Refused { reason } = clocked.site.result().outcome else { panic!("not refused") };
    assert!(reason.starts_with("window missed: until the package expires at"), "{reason}");
    assert_eq!(clocked.site.lines("scripts").len(), 0);
}

#[test]
fn an_order_does_not_begin_before_its_start() {
    let clocked = Clocked::new("");
    let start = clocked.now() + SignedDuration::from_hours(2);
    let conditions = Conditions { start: Some(start.to_string().parse().unwrap()), ..Conditions::default() };
    let order = clocked.order(&clocked.site.draft(), &conditions);
    assert!(matches!(install(&clocked.site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    clocked.later.store(3, Ordering::Relaxed);
    work_once(&clocked.site.context, order).unwrap();
    assert_eq!(install(&clocked.site.context, order).unwrap(), Turn::Supervisor);
}

#[test]
fn a_box_whose_clock_nothing_proves_does_not_begin_by_hours_until_it_has_run_for_a_day() {
    let clocked = Clocked::running_for(Duration::from_secs(600), "");
    let order = clocked.order(&clocked.site.draft(), &only("00:00-00:00"));
    assert!(matches!(install(&clocked.site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    assert!(clocked.waits_for(order).starts_with("the clock of this box is not proven yet"));
    // Nothing but the uptime changes: 23 hours are not enough.
    let settings = (*clocked.site.context.settings).clone();
    for (hours, begins) in [(23, false), (24, true)] {
        let since_boot = Duration::from_secs(hours * 3600);
        let clock = move || monitor_appliance::clock::Reading { since_boot, ..system_clock() };
        let layout = clocked.site.context.layout.clone();
        let context = Context::new(layout, settings.clone(), Arc::new(clock));
        let state = work_once(&context, order).unwrap();
        assert_eq!(matches!(state, UpdateState::Verified { .. }), begins, "{hours}: {state:?}");
    }
}

#[test]
fn an_update_waits_for_the_hours_of_the_site_alone() {
    let clocked = Clocked::new("");
    let hours = clocked.hours(2, 4);
    let clocked = Clocked::new(&format!("window = \"{hours}\""));
    let order = clocked.order(&clocked.site.draft(), &Conditions::default());
    assert!(matches!(install(&clocked.site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    assert!(clocked.waits_for(order).ends_with(&format!("this site's hours {hours}")));
}
