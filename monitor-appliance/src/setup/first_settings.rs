//! What the center gives to a new appliance. A value that cannot be must not keep an appliance from being set up.

use super::Done;
use crate::settings::Settings;
use mailfmt::message::enrolment::FirstSettings;
use std::path::Path;
use std::time::Duration;

/// Takes over what can be; what is out of its range is named in `done`.
pub(super) fn apply(settings: Settings, first: &FirstSettings, done: &mut Done) -> Settings {
    type Set = fn(&mut Settings, Duration);
    const DAY: u64 = 24 * 3600;
    let given: [(&str, Option<u64>, Set); 4] = [
        ("mail_poll_secs", first.mail_poll_secs, |settings, pause| settings.timers.mail_poll = pause),
        ("fault_poll_secs", first.fault_poll_secs, |settings, pause| settings.timers.fault_poll = pause),
        ("counter_collect_secs", first.counter_collect_secs, |settings, pause| {
            settings.timers.counter_collect = pause;
        }),
        ("freshness_days", first.freshness_days.map(|days| days.saturating_mul(DAY)), |settings, limit| {
            settings.freshness = limit.try_into().unwrap_or(settings.freshness);
        }),
    ];
    given.into_iter().fold(settings, |settings, (name, value, set)| {
        let Some(value) = value else { return settings };
        let mut changed = settings.clone();
        set(&mut changed, Duration::from_secs(value));
        if Settings::parse(&changed.write(), Path::new("first settings")).is_ok() {
            return changed;
        }
        done.left_alone.push(format!("{name} = {value}"));
        settings
    })
}
