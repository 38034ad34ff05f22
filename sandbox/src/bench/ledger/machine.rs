//! Counting machines whose truth is known: what they printed, what they show, and what happens to them.

use jiff::{SignedDuration, Timestamp};
use monitor_appliance::ledger::{Identity, MeterValue, Moment};

/// The standard object and a private one.
pub(super) const SOURCES: [&str; 2] = ["1.3.6.1.2.1.43.10.2.1.4.1.1", "1.3.6.1.4.1.1347.43.10.1.1.12.1.1"];

/// A Kyocera's private total and its standard one differ by so much (`anchors`: 432,951 and 424,405).
const PRIVATE_MORE: u64 = 8_546;

/// What happens in a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Calm,
    Wobble,
    Reset,
    WrapSevenDigits,
    Wrap32Bits,
    Swap,
    SwapNameless,
    Board,
    ClockSkew,
    Doubled,
    Reordered,
    Missing,
    SourceFlip,
    Garbage,
    Mixed,
}

impl Kind {
    pub(super) const ALL: [Self; 15] = [
        Self::Calm,
        Self::Wobble,
        Self::Reset,
        Self::WrapSevenDigits,
        Self::Wrap32Bits,
        Self::Swap,
        Self::SwapNameless,
        Self::Board,
        Self::ClockSkew,
        Self::Doubled,
        Self::Reordered,
        Self::Missing,
        Self::SourceFlip,
        Self::Garbage,
        Self::Mixed,
    ];
}

/// Numbers from a seed (xorshift64*), so that a series can be made again.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// One reading as it is delivered, and what is true of it.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) moment: Moment,
    pub(super) identity: Identity,
    pub(super) values: Vec<MeterValue>,
    /// What the machines at this place have printed and counted since the series began; a page that was forgotten and counted
    /// again is one.
    pub(super) truth: u64,
    /// Whether something happened since the reading before that a plain difference cannot know.
    pub(super) disturbed: bool,
}

/// A machine, and the one who visits it every hour.
struct Machine {
    /// Seconds since the beginning.
    now: i64,
    booted: i64,
    /// Digits or bits: where it begins anew.
    range: u64,
    count: u64,
    /// The highest count of this life.
    high: u64,
    /// What was read last, and the highest count of this life at that time.
    shown: u64,
    shown_high: u64,
    /// Counts since it was switched on, where it tells them.
    since_power_on: Option<u64>,
    truth: u64,
    identity: Identity,
    others: u64,
}

fn start() -> Timestamp {
    Timestamp::from_second(1_793_520_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn at(secs: i64) -> Timestamp {
    start().saturating_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX)
}

impl Machine {
    fn print(&mut self, pages: u64) {
        let before = self.count;
        self.since_power_on = self.since_power_on.map(|since| since + pages);
        self.count = (before + pages) % self.range;
        if self.count < before {
            // Over the end: nothing was forgotten there.
            self.truth += pages;
            self.high = self.count;
        } else {
            self.truth += self.count.saturating_sub(self.high);
            self.high = self.high.max(self.count);
        }
    }

    fn boot(&mut self, dice: &mut Dice) {
        self.booted = self.now - i64::try_from(60 + dice.below(1200)).unwrap_or(60);
        self.since_power_on = self.since_power_on.map(|_| 0);
    }

    /// It had not written its last counts down. What nobody has read by then never was.
    fn forget(&mut self, counts: u64) {
        self.count -= counts.min(self.count);
        let known = self.count.max(self.shown_high);
        self.truth -= self.high.saturating_sub(known);
        self.high = self.high.min(known);
    }

    fn begin_life(&mut self, count: u64) {
        (self.count, self.high, self.shown_high) = (count, count, count);
    }

    fn other(&mut self) -> u64 {
        self.others += 1;
        self.others
    }

    fn read(&mut self, source: usize, clock_off: i64, disturbed: bool) -> Reading {
        if source == 0 {
            (self.shown, self.shown_high) = (self.count, self.high);
        }
        let since = self
            .since_power_on
            .map(|since| MeterValue { name: "since-power-on".to_owned(), ..total(source, since) });
        let shown = if source == 0 { self.count } else { self.count + PRIVATE_MORE };
        Reading {
            moment: Moment {
                at: at(self.now + clock_off),
                clock_sure: clock_off == 0,
                uptime_secs: u64::try_from(self.now - self.booted).ok(),
            },
            identity: self.identity.clone(),
            values: std::iter::once(total(source, shown)).chain(since).collect(),
            truth: self.truth,
            disturbed,
        }
    }
}

pub(super) fn total(source: usize, value: u64) -> MeterValue {
    MeterValue {
        name: "total".to_owned(),
        source: SOURCES.get(source).copied().unwrap_or_default().to_owned(),
        unit: "impressions".to_owned(),
        value,
    }
}

/// A series of hourly visits in which a kind of thing happens now and then, in the order in which the readings are delivered.
pub(super) fn series(kind: Kind, seed: u64, visits: usize) -> Vec<Reading> {
    let mut dice = Dice::new(seed);
    let (range, count) = match kind {
        Kind::WrapSevenDigits => (10_000_000, 9_998_000 + dice.below(1500)),
        Kind::Wrap32Bits => (1 << 32, (1 << 32) - 500 - dice.below(1500)),
        _ => (if dice.one_in(2) { 10_000_000 } else { 1 << 32 }, 20_000 + dice.below(900_000)),
    };
    let named = kind != Kind::SwapNameless;
    let mut machine = Machine {
        now: 0,
        booted: -i64::try_from(3600 * (24 + dice.below(2000))).unwrap_or(86_400),
        range,
        count,
        high: count,
        shown: count,
        shown_high: count,
        since_power_on: (!dice.one_in(4)).then_some(7),
        truth: 0,
        identity: Identity {
            model: Some("M1".to_owned()),
            serial: named.then(|| "S0".to_owned()),
            mac: (named && !dice.one_in(4)).then(|| "00:11:22:33:44:00".to_owned()),
        },
        others: 0,
    };
    let mut readings = vec![machine.read(0, 0, false)];
    let (mut clock_off, mut flipped, mut clean) = (0, false, true);
    while readings.len() < visits {
        machine.now += 3600 + i64::try_from(dice.below(40)).unwrap_or_default();
        let pages = if dice.one_in(3) { 0 } else { dice.below(220) };
        let happens = dice.one_in(6) && readings.len() > 2;
        let now = match kind {
            Kind::Mixed => {
                Kind::ALL.get(usize::try_from(dice.below(14)).unwrap_or(0)).copied().unwrap_or(kind)
            }
            kind => kind,
        };
        let mut disturbed = false;
        let mut source = 0;
        let mut garbage = None;
        match now {
            Kind::Calm | Kind::Mixed | Kind::WrapSevenDigits | Kind::Wrap32Bits => machine.print(pages),
            // What it forgets was either read from the meter at hand or by nobody.
            Kind::Wobble if happens && clean => {
                machine.print(pages);
                machine.boot(&mut dice);
                machine.forget(1 + dice.below(10));
                machine.print(dice.below(3));
                disturbed = machine.count < machine.shown;
            }
            Kind::Reset if happens => {
                machine.print(pages);
                machine.boot(&mut dice);
                machine.begin_life(0);
                machine.print(dice.below(50));
                disturbed = true;
            }
            Kind::Swap | Kind::SwapNameless if happens => {
                machine.print(pages);
                let other = machine.other();
                if machine.identity.serial.is_some() {
                    machine.identity.serial = Some(format!("S{other}"));
                    machine.identity.mac =
                        machine.identity.mac.as_ref().map(|_| format!("00:11:22:33:55:{other:02x}"));
                }
                machine.boot(&mut dice);
                // Mostly far away, sometimes just a little above: what nobody can see by the count.
                let to = if dice.one_in(3) { machine.count + dice.below(300) } else { dice.below(900_000) };
                machine.begin_life(to % machine.range);
                machine.print(dice.below(20));
                disturbed = true;
            }
            Kind::Board if happens => {
                machine.print(pages);
                let other = machine.other();
                machine.identity.mac = Some(format!("00:11:22:33:44:{:02x}", other % 250 + 1));
                machine.boot(&mut dice);
                if dice.one_in(2) {
                    machine.begin_life(0);
                }
                machine.print(dice.below(20));
                disturbed = true;
            }
            Kind::ClockSkew => {
                machine.print(pages);
                if happens {
                    // Set back, set ahead, or right again.
                    let to = [-86_400, -7200, 5400, 40_000, 0];
                    let to = to.get(usize::try_from(dice.below(5)).unwrap_or(0)).copied().unwrap_or(0);
                    disturbed = to != clock_off && (to != 0 || clock_off != 0) && pages > 0;
                    clock_off = to;
                }
            }
            Kind::SourceFlip => {
                machine.print(pages);
                if dice.one_in(2) {
                    source = 1;
                    disturbed = !flipped;
                    flipped = true;
                }
            }
            Kind::Garbage if happens => {
                machine.print(pages);
                garbage = Some(if machine.count > 50_000 && dice.one_in(2) {
                    12 + dice.below(40)
                } else {
                    (1 << 33) + dice.below(1 << 32)
                });
                disturbed = true;
            }
            Kind::Missing if happens => {
                machine.now += i64::try_from(3600 * dice.below(100)).unwrap_or_default();
                machine.print(pages * 3);
            }
            _ => machine.print(pages),
        }
        // A wrap is a disturbance wherever it comes.
        if source == 0
            && readings.last().and_then(|last| last.values.first()).is_some_and(|last| {
                last.source == SOURCES[0]
                    && last.value > machine.count
                    && last.value > machine.range - 10_000
                    && machine.count < 10_000
            })
        {
            disturbed = true;
        }
        clean = source == 0 && garbage.is_none();
        let mut reading = machine.read(source, clock_off, disturbed);
        if let Some(garbage) = garbage {
            reading.values.truncate(0);
            reading.values.push(total(0, garbage));
        }
        readings.push(reading);
        if now == Kind::Doubled && happens {
            readings.extend(readings.last().cloned().map(|same| Reading { disturbed: false, ..same }));
        }
    }
    // The last word is an ordinary one, so that nothing is left open by chance.
    machine.now += 3600;
    readings.push(machine.read(0, clock_off, false));
    if matches!(kind, Kind::Reordered | Kind::Mixed) {
        for nth in (3..readings.len().saturating_sub(2)).step_by(7) {
            let calm = readings
                .get(nth - 1..=nth + 2)
                .is_some_and(|near| near.iter().all(|one| !one.disturbed && one.moment.clock_sure));
            if calm {
                readings.swap(nth, nth + 1);
            }
        }
    }
    readings
}
