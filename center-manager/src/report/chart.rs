//! The geometry of the page's charts: numbers only. Words and drawing stand in the template, which escapes them. Pure.

use super::{Comparison, Mark, Point, minute};
use jiff::Timestamp;
use mailfmt::{AgentId, SoftwareVersion};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Width and height of the plane of the curve, in units of its picture.
pub(super) const PLANE: (f64, f64) = (720.0, 180.0);

/// Most points of one line; more are not seen.
const POINTS_MAX: usize = 360;

/// Most bars of one chart; the rest is one bar.
const BARS_MAX: usize = 12;

/// Progress over time: three lines over one plane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// Corner points of the lines, as an SVG `points` attribute has them.
    pub(super) sent: String,
    /// See `sent`.
    pub(super) updated: String,
    /// See `sent`.
    pub(super) failed: String,
    /// Heights at which a line is drawn, with their numbers.
    pub(super) levels: Vec<Tick>,
    /// Times below the plane.
    pub(super) times: Vec<Tick>,
}

/// A place at an edge of the plane, and what stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Where, in units of the picture.
    pub(super) place: String,
    /// What.
    pub(super) label: String,
}

/// One bar, or one pair of bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    /// What it stands for.
    pub(super) label: String,
    /// How many, and the length in hundredths of the longest.
    pub(super) first: (u32, u32),
    /// The same of the second of a pair; of no length where there is none.
    pub(super) second: (u32, u32),
}

/// How many were sent the package, updated and failed, from the beginning to `until`; `None` while there is nothing to draw.
pub(super) fn curve(points: &[Point], started: Timestamp, until: Timestamp, total: u32) -> Option<Curve> {
    let last = points.last()?;
    let until = until.max(last.at);
    let (from, span) = (started.as_second(), (until.as_second() - started.as_second()).max(1));
    let top = total.max(last.sent).max(1);
    let x = |at: Timestamp| {
        let part = ratio((at.as_second() - from).clamp(0, span), span);
        part * PLANE.0
    };
    let y = |number: u32| PLANE.1 * (1.0 - ratio(number.into(), top.into()));
    let line = |number: fn(&Point) -> u32| {
        let mut text = format!("0,{}", place(PLANE.1));
        let mut height = y(0);
        let mut corner = |at: f64, to: f64| {
            // A step, not a slope: nothing happened in between.
            let _ = write!(text, " {},{} {},{}", place(at), place(height), place(at), place(to));
            height = to;
        };
        thinned(points).for_each(|point| corner(x(point.at), y(number(point))));
        corner(PLANE.0, y(number(last)));
        text
    };
    let level = |part: u32| {
        let number = u32::try_from(u64::from(top) * u64::from(part) / 4).unwrap_or(top);
        Tick { place: place(y(number)), label: number.to_string() }
    };
    let mut levels: Vec<_> = (0..=4).map(level).collect();
    levels.dedup_by(|one, other| one.label == other.label);
    let time = |part: i64| {
        let at = Timestamp::from_second(from + span * part / 3).unwrap_or(until);
        Tick { place: place(x(at)), label: minute(at) }
    };
    Some(Curve {
        sent: line(|point| point.sent),
        updated: line(|point| point.updated),
        failed: line(|point| point.failed),
        levels,
        times: (0..=3).map(time).collect(),
    })
}

/// Every n-th point, so that there are not more than anybody sees.
fn thinned(points: &[Point]) -> impl Iterator<Item = &Point> {
    points.iter().step_by(points.len().div_ceil(POINTS_MAX).max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture, not a number that counts")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn place(place: f64) -> String {
    format!("{place:.1}")
}

/// How many ran which version before the rollout, and how many run which now; those before come first, then by number.
pub(super) fn versions(report: &Comparison, before: &BTreeMap<AgentId, SoftwareVersion>) -> Vec<Bar> {
    let unknown = || "not known".to_owned();
    let text = |version: Option<&SoftwareVersion>| version.map_or_else(unknown, ToString::to_string);
    let mut numbers: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for row in &report.rows {
        numbers.entry(text(before.get(&row.agent))).or_default().0 += 1;
        numbers.entry(text(row.version.as_ref())).or_default().1 += 1;
    }
    bars(numbers)
}

/// How many failed for which reason.
pub(super) fn reasons(report: &Comparison) -> Vec<Bar> {
    let mut numbers: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for row in report.rows.iter().filter(|row| row.mark == Mark::Failed) {
        numbers.entry(row.failure.unwrap_or("failed").to_owned()).or_default().0 += 1;
    }
    bars(numbers)
}

fn bars(numbers: BTreeMap<String, (u32, u32)>) -> Vec<Bar> {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by_key(|(_, (first, second))| std::cmp::Reverse(first.saturating_add(*second)));
    if numbers.len() > BARS_MAX {
        let rest = numbers.split_off(BARS_MAX - 1);
        let sum = |(first, second): (u32, u32), (_, number): &(String, (u32, u32))| {
            (first.saturating_add(number.0), second.saturating_add(number.1))
        };
        numbers.push((format!("{} others", rest.len()), rest.iter().fold((0, 0), sum)));
    }
    let most = numbers.iter().map(|(_, (first, second))| *first.max(second)).max().unwrap_or(0);
    let length = |number: u32| {
        let share = (u64::from(number) * 100).checked_div(most.into()).unwrap_or(0);
        (number, u32::try_from(share).unwrap_or(100).max(u32::from(number > 0)))
    };
    let bar = |(label, (first, second))| Bar { label, first: length(first), second: length(second) };
    numbers.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn point(second: i64, sent: u32, updated: u32, failed: u32) -> Point {
        Point { at: at(second), sent, updated, failed }
    }

    #[test]
    fn a_curve_goes_in_steps_from_the_beginning_to_now() {
        let points = [point(0, 10, 0, 0), point(50, 10, 5, 0), point(100, 10, 5, 5)];
        let curve = curve(&points, at(0), at(200), 10).unwrap();
        assert_eq!(
            curve.updated,
            "0,180.0 0.0,180.0 0.0,180.0 180.0,180.0 180.0,90.0 360.0,90.0 360.0,90.0 720.0,90.0 720.0,90.0"
        );
        assert!(curve.failed.ends_with("360.0,90.0 720.0,90.0 720.0,90.0"), "{}", curve.failed);
        let labels: Vec<_> = curve.levels.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0", "2", "5", "7", "10"]);
        assert_eq!(curve.times.len(), 4);
    }

    #[test]
    fn nothing_that_happened_is_no_curve_and_ten_thousand_points_are_few() {
        assert_eq!(curve(&[], at(0), at(200), 10), None);
        let points: Vec<_> = (0..10_000).map(|second| point(second, 10_000, 1, 0)).collect();
        let long = curve(&points, at(0), at(0), 10_000).unwrap();
        assert!(long.sent.len() < 20_000, "{}", long.sent.len());
        assert!(curve(&points[..1], at(500), at(0), 0).is_some(), "a beginning after its first event");
    }

    #[test]
    fn a_few_bars_stand_for_many() {
        let numbers = |count: u32| (0..count).map(|nth| (format!("{nth:03}"), (nth + 1, 0))).collect();
        let many = bars(numbers(100));
        assert_eq!(many.len(), BARS_MAX);
        assert_eq!((many[0].label.as_str(), many[0].first.0), ("099", 100));
        assert_eq!((many[11].label.as_str(), many[11].first), ("89 others", (4_005, 100)));
        assert_eq!(bars(numbers(3)).len(), 3);
        assert!(bars(numbers(200)).iter().all(|bar| bar.first.1 >= 1 && bar.second == (0, 0)));
    }
}
