//! Judges one step of one meter. Total: every pair of counts gets a verdict.

use super::Rules;
use super::class::Class;
use super::meter::{Believed, Meter};
use super::passage::{Moment, Passage, Running};

/// Where meters begin anew: five to nine digits, 32 bits with and without sign.
const WRAPS: [u64; 7] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 1 << 31, 1 << 32, 100_000];

/// Of the whole range of a meter, the part before its end in which a fall can be a wrap.
const WRAP_PART: u64 = 100;

/// A meter that fell to less than this part of what it was can have been reset.
const RESET_PART: u64 = 10;

/// What else is known of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What passed between the two readings.
    pub passage: Passage,
    /// When the second reading was made.
    pub now: Moment,
    /// Whether the machine told a serial number or hardware address, and it is the same.
    pub identified: bool,
    /// What the machine says it has counted since it was switched on.
    pub since_power_on: Option<u64>,
}

/// The verdict on one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was surely counted.
    pub sure: u64,
    /// What was counted up to here already; the meter's next `high`.
    pub high: u64,
    /// Where it stood before a reading that cannot be, to come back to.
    pub believed: Option<Believed>,
    /// What was out of the ordinary.
    pub found: Option<Found>,
}

/// Something out of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub class: Class,
    /// Whether somebody has to say what counts.
    pub review: bool,
    /// What the likeliest explanation would count.
    pub proposed: Option<u64>,
    /// In words.
    pub words: String,
}

impl Found {
    pub(super) fn noted(class: Class, words: String) -> Option<Self> {
        Some(Self { class, review: false, proposed: None, words })
    }

    pub(super) fn review(class: Class, proposed: Option<u64>, words: String) -> Option<Self> {
        Some(Self { class, review: true, proposed, words })
    }
}

/// Judges the step of a meter from what is remembered of it to `value`.
#[must_use]
pub fn judge(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Step {
    if let Some(rise) = value.checked_sub(meter.value) {
        rose(meter, value, rise, evidence, rules)
    } else {
        fell(meter, value, evidence, rules)
    }
}

fn rose(meter: &Meter, value: u64, rise: u64, evidence: &Evidence, rules: &Rules) -> Step {
    let sure = value.saturating_sub(meter.high);
    let high = meter.high.max(value);
    let step = |sure, found| Step { sure, high, believed: meter.believed.clone(), found };
    let passage = &evidence.passage;
    if rise > passage.bound(rules.per_minute_max) {
        if let Some(step) = returned(meter, value, evidence, rules) {
            return step;
        }
        let words = format!("it rose by {rise} in {}: faster than any machine prints", lasting(passage.secs));
        return doubtful(meter, value, evidence, Found::review(Class::TooFast, Some(rise), words));
    }
    if rise == 0 {
        return step(0, None);
    }
    if passage.running != Running::On && !evidence.identified {
        let words = format!(
            "it rose by {rise}, but the machine tells neither serial number nor hardware address and {}: it may be another one",
            if passage.running == Running::Restarted { "was restarted" } else { "tells no uptime" }
        );
        return step(0, Found::review(Class::Unproven, Some(rise), words));
    }
    if let (Running::Restarted, Some(since)) = (passage.running, telling(meter, evidence)) {
        let forgotten = since.saturating_sub(rise);
        if forgotten > rules.wobble_max {
            let words = format!(
                "it rose by {rise} over a restart, and {since} were counted since then alone: it may have been reset in between"
            );
            return step(0, Found::review(Class::Reset, Some(since), words));
        }
        if forgotten > 0 {
            let words = format!("it forgot {forgotten} when it was switched off");
            return step(sure, Found::noted(Class::Wobble, words));
        }
    }
    if passage.clock_off {
        let words = "the times of the two readings do not fit the machine's own clock; the count is sure, its day is not";
        return step(sure, Found::noted(Class::Clock, words.to_owned()));
    }
    step(sure, None)
}

/// The count since power-on, unless the machine always tells its life count there.
fn telling(meter: &Meter, evidence: &Evidence) -> Option<u64> {
    evidence.since_power_on.filter(|_| meter.since_power_on.is_some_and(|before| before < meter.value))
}

fn fell(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Step {
    let fall = meter.value.saturating_sub(value);
    let passage = &evidence.passage;
    let restarted = passage.running == Running::Restarted;
    if restarted && fall <= rules.wobble_max && evidence.identified {
        let words = format!("it forgot {fall} when it was switched off; they are not counted twice");
        return Step {
            sure: 0,
            high: meter.high,
            believed: meter.believed.clone(),
            found: Found::noted(Class::Wobble, words),
        };
    }
    if let Some(step) = returned(meter, value, evidence, rules) {
        return step;
    }
    if let Some((range, over)) = wrap(meter.value, value, passage, rules) {
        let counted = over.saturating_sub(meter.high.saturating_sub(meter.value));
        if passage.running == Running::On && evidence.identified {
            let words = format!("it went on from zero behind {}", range - 1);
            let found = Found::noted(Class::Wrap, words);
            return Step { sure: counted, high: value, believed: None, found };
        }
        let words = format!("it went on from zero behind {}, or was reset just there", range - 1);
        return doubtful(meter, value, evidence, Found::review(Class::Wrap, Some(counted), words));
    }
    let small = value < meter.value / RESET_PART;
    if restarted && small && value <= passage.bound_since_restart(rules.per_minute_max) {
        let words =
            format!("it fell from {} to {value} over a restart: reset, or another board", meter.value);
        return doubtful(meter, value, evidence, Found::review(Class::Reset, Some(value), words));
    }
    let why = match passage.running {
        Running::On | Running::Older => "without a restart",
        Running::Restarted => "over a restart",
        Running::Unknown => "and the machine does not tell whether it was restarted",
    };
    let words = format!("it fell by {fall}, from {} to {value}, {why}; nothing explains that", meter.value);
    doubtful(meter, value, evidence, Found::review(Class::Invalid, None, words))
}

/// The range behind which the meter began anew, and what it counted over its end.
fn wrap(before: u64, value: u64, passage: &Passage, rules: &Rules) -> Option<(u64, u64)> {
    WRAPS.into_iter().find_map(|range| {
        let part = range / WRAP_PART;
        let near_end = before < range && before >= range - part;
        let over = range.checked_sub(before)?.checked_add(value)?;
        (near_end && value < part && over <= passage.bound(rules.per_minute_max)).then_some((range, over))
    })
}

/// Nothing counts, and what was believed last is remembered: the next reading may be back there.
fn doubtful(meter: &Meter, value: u64, evidence: &Evidence, found: Option<Found>) -> Step {
    let believed = meter.believed.clone().or_else(|| {
        let moment = Moment { at: meter.at, clock_sure: true, uptime_secs: None };
        let (point, reading) = (meter.point(), meter.reading);
        Some(Believed { high: meter.high, sure: meter.sure, moment, point, reading })
    });
    // An old memory says nothing any more.
    let believed = believed.filter(|believed| {
        evidence.now.at.duration_since(believed.moment.at).as_hours().abs() < BELIEVED_HOURS_MAX
    });
    Step { sure: 0, high: value, believed, found }
}

/// A week: whoever repairs or lends a machine is done by then.
const BELIEVED_HOURS_MAX: i64 = 7 * 24;

/// Back where it was before readings that could not be.
fn returned(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Option<Step> {
    let believed = meter.believed.as_ref()?;
    let since_then = value.checked_sub(believed.high)?;
    let passage = Passage::between(&believed.moment, &Moment { uptime_secs: None, ..evidence.now });
    if since_then > passage.bound(rules.per_minute_max) {
        return None;
    }
    let strange = meter.sure.saturating_sub(believed.sure);
    let sure = since_then.saturating_sub(strange);
    let words =
        format!("it is back at {value}, where it had come to; what was read in between was not its count");
    let found = if strange > 0 {
        Found::review(Class::Returned, Some(since_then), words)
    } else {
        Found::noted(Class::Returned, words)
    };
    let sure = if strange > 0 { 0 } else { sure };
    Some(Step { sure, high: value, believed: None, found })
}

fn lasting(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}
