//! Judges one step of one meter. Total: every pair of counts gets a verdict.

use super::Rules;
use super::class::Class;
use super::meter::{Believed, DOUBTED_STEPS, Meter};
use super::passage::{Moment, Passage, Running};

/// Where meters are known to begin anew: behind seven digits and 32 bits.
const WRAPS: [u64; 2] = [10_000_000, 1 << 32];

/// Where others may: behind five, six, eight and nine digits, 31 bits. Somebody is asked then.
const WRAPS_ASKED: [u64; 5] = [100_000, 1_000_000, 100_000_000, 1_000_000_000, 1 << 31];

/// Of the whole range of a meter, the part before its end in which a fall can be a wrap.
const WRAP_PART: u64 = 100;

/// An office machine prints at most this part of what the fastest machine does.
const YOUNG_PART: u64 = 10;

/// A meter that fell to less than this part of what it was can have been reset.
const RESET_PART: u64 = 10;

/// What else is known of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What passed between the two readings.
    pub passage: Passage,
    /// When the first reading was made.
    pub before: Moment,
    /// When the second one was.
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
    if let Some(step) = booted(meter, value, evidence, rules) {
        step
    } else if let Some(rise) = value.checked_sub(meter.value) {
        rose(meter, value, rise, evidence, rules)
    } else {
        fell(meter, value, evidence, rules)
    }
}

/// After a restart the count since power-on tells what the meter had when it was switched on. `None` where that is nothing out
/// of the ordinary, or is not told.
fn booted(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Option<Step> {
    let at_boot = value.checked_sub(telling(meter, value, evidence)?)?;
    let forgotten = meter.value.checked_sub(at_boot).filter(|forgotten| *forgotten > 0)?;
    if forgotten <= rules.wobble_max && at_boot > 0 && evidence.identified {
        let words = format!("it forgot {forgotten} when it was switched off; they are not counted twice");
        return Some(Step {
            sure: value.saturating_sub(meter.high),
            high: meter.high.max(value),
            believed: None,
            found: Found::noted(Class::Wobble, words),
        });
    }
    if wrap(meter.value, value, &evidence.passage, rules).is_some() {
        return None;
    }
    let found = if at_boot == 0 {
        let words =
            format!("it had {} and began anew when it was switched on; {value} since then", meter.value);
        Found::review(Class::Reset, Some(value), words)
    } else {
        let words = format!(
            "it had {}, but only {at_boot} when it was switched on; nothing explains that",
            meter.value
        );
        Found::review(Class::Invalid, None, words)
    };
    Some(doubtful(meter, value, evidence, rules, found))
}

/// The count since power-on after a restart, unless the machine always tells its life count there.
fn telling(meter: &Meter, value: u64, evidence: &Evidence) -> Option<u64> {
    let differ = meter.since_power_on.is_some_and(|before| before < meter.value);
    let restarted = evidence.passage.running == Running::Restarted;
    evidence.since_power_on.filter(|since| restarted && *since <= value && (differ || *since < value))
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
        return doubtful(meter, value, evidence, rules, Found::review(Class::TooFast, Some(rise), words));
    }
    let restarted = passage.running == Running::Restarted;
    if rise == 0 && (!restarted || value == 0) {
        return step(0, None);
    }
    if restarted && telling(meter, value, evidence).is_none() && is_young(value, passage, rules) {
        let words = format!(
            "it rose by {rise} over a restart, but all of its {value} can have been counted since then: it may have been reset in between"
        );
        return doubtful(meter, value, evidence, rules, Found::review(Class::Reset, Some(rise), words));
    }
    if rise == 0 {
        return step(0, None);
    }
    if passage.running != Running::On && !evidence.identified {
        let words = format!(
            "it rose by {rise}, but the machine tells neither serial number nor hardware address and {}: it may be another one",
            if restarted { "was restarted" } else { "tells no uptime" }
        );
        return step(0, Found::review(Class::Unproven, Some(rise), words));
    }
    if let Some(believed) = meter.believed.as_ref().filter(|one| one.is_doubted()) {
        if let Some(step) = returned(meter, value, evidence, rules) {
            return step;
        }
        let words = format!("it rose by {rise} right after a reading that nothing explains");
        let believed = Some(Believed { steps: believed.steps.saturating_add(1), ..believed.clone() });
        return Step { sure: 0, high, believed, found: Found::review(Class::Doubted, Some(rise), words) };
    }
    if passage.clock_off {
        let words = "the times of the two readings do not fit the machine's own clock; the count is sure, its day is not";
        return step(sure, Found::noted(Class::Clock, words.to_owned()));
    }
    step(sure, None)
}

/// Whether a machine of an office can have counted all of it since its last restart: at a tenth of what the fastest one does.
pub(super) fn is_young(value: u64, passage: &Passage, rules: &Rules) -> bool {
    value <= passage.bound_since_restart(rules.per_minute_max / YOUNG_PART)
}

fn fell(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Step {
    let fall = meter.value.saturating_sub(value);
    let passage = &evidence.passage;
    let restarted = passage.running == Running::Restarted;
    if restarted && fall <= rules.wobble_max && evidence.identified {
        let found = if is_young(value, passage, rules) {
            // Then all of it may be new; but only what lies beyond the old count is counted.
            let words =
                format!("it forgot {fall} when it was switched off, or was reset and has come nearly as far");
            Found::review(Class::Wobble, Some(0), words)
        } else {
            let words = format!("it forgot {fall} when it was switched off; they are not counted twice");
            Found::noted(Class::Wobble, words)
        };
        return Step { sure: 0, high: meter.high, believed: None, found };
    }
    if let Some(step) = returned(meter, value, evidence, rules) {
        return step;
    }
    if let Some((range, over)) = wrap(meter.value, value, passage, rules) {
        let counted = over.saturating_sub(meter.high.saturating_sub(meter.value));
        if passage.running == Running::On && evidence.identified && WRAPS.contains(&range) {
            let words = format!("it went on from zero behind {}", range - 1);
            let found = Found::noted(Class::Wrap, words);
            return Step { sure: counted, high: value, believed: None, found };
        }
        let words = format!("it went on from zero behind {}, or was reset just there", range - 1);
        return doubtful(meter, value, evidence, rules, Found::review(Class::Wrap, Some(counted), words));
    }
    let small = value < meter.value / RESET_PART;
    if restarted && small && value <= passage.bound_since_restart(rules.per_minute_max) {
        let words =
            format!("it fell from {} to {value} over a restart: reset, or another board", meter.value);
        return doubtful(meter, value, evidence, rules, Found::review(Class::Reset, Some(value), words));
    }
    let why = match passage.running {
        Running::On | Running::Older => "without a restart",
        Running::Restarted => "over a restart",
        Running::Unknown => "and the machine does not tell whether it was restarted",
    };
    let words = format!("it fell by {fall}, from {} to {value}, {why}; nothing explains that", meter.value);
    doubtful(meter, value, evidence, rules, Found::review(Class::Invalid, None, words))
}

/// The range behind which the meter began anew, and what it counted over its end.
fn wrap(before: u64, value: u64, passage: &Passage, rules: &Rules) -> Option<(u64, u64)> {
    WRAPS.into_iter().chain(WRAPS_ASKED).find_map(|range| {
        let part = range / WRAP_PART;
        let near_end = before < range && before >= range - part;
        let over = range.checked_sub(before)?.checked_add(value)?;
        (near_end && value < part && over <= passage.bound(rules.per_minute_max)).then_some((range, over))
    })
}

/// Nothing counts, and what was believed last is remembered: the next reading may be back there.
fn doubtful(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules, found: Option<Found>) -> Step {
    let fresh = meter.believed.clone().filter(|one| one.is_doubted() && one.is_same_run(&evidence.now));
    let believed = fresh.or_else(|| {
        let moment = evidence.before;
        // Over a restart something begins anew for good; what comes without one may be over with the next reading.
        let steps = if evidence.passage.running == Running::On { 0 } else { DOUBTED_STEPS };
        let (point, reading) = (meter.point(), meter.reading);
        Some(Believed { high: meter.high, sure: meter.sure, moment, point, reading, steps })
    });
    // Back over a restart to nearly what it had come to before a reading that nothing explains: that counts no second time.
    let nearly = |high: &u64| high.checked_sub(value).is_some_and(|less| less <= rules.wobble_max);
    let doubted = meter.believed.as_ref().filter(|before| before.is_doubted());
    let high = doubted.map(|before| before.high).filter(nearly).unwrap_or(value);
    Step { sure: 0, high, believed, found }
}

/// Back where it was before readings that could not be, and the machine has run on since then: after a restart it may be
/// another.
fn returned(meter: &Meter, value: u64, evidence: &Evidence, rules: &Rules) -> Option<Step> {
    let believed = meter.believed.as_ref()?;
    let since_then = value.checked_sub(believed.high)?;
    let passage = Passage::between(&believed.moment, &evidence.now);
    // At what an office machine does, not the fastest one: nearly where it was.
    if passage.running != Running::On || since_then > passage.bound(rules.per_minute_max / YOUNG_PART) {
        return None;
    }
    let words =
        format!("it is back at {value}, where it had come to; what was read in between was not its count");
    // What was counted in between by mistake is taken off again.
    let strange = meter.sure.saturating_sub(believed.sure);
    let (sure, found) = match since_then.checked_sub(strange) {
        Some(sure) => (sure, Found::noted(Class::Returned, words)),
        None => (0, Found::review(Class::Returned, Some(0), words)),
    };
    Some(Step { sure, high: value, believed: None, found })
}

fn lasting(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}
