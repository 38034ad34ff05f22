//! How a rollout came on over time: from what happened to each target to a few numbers per moment. Pure.

use jiff::Timestamp;
use mailfmt::AgentId;
use serde::Serialize;
use std::collections::BTreeMap;

/// What changes where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The package was ordered for it.
    Sent,
    /// It was verified at the target version.
    Updated,
    /// It was marked failed.
    Failed,
    /// It begins again.
    Again,
    /// It takes no part any more.
    Left,
}

impl Turn {
    /// From the word that stands in a target's history; `None` for words that change no mark.
    #[must_use]
    pub fn of(what: &str) -> Option<Self> {
        match what {
            "ordered" => Some(Self::Sent),
            "updated" => Some(Self::Updated),
            "failed" => Some(Self::Failed),
            "retry" => Some(Self::Again),
            "taken out" => Some(Self::Left),
            _ => None,
        }
    }
}

/// How many targets stood where at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The moment.
    pub at: Timestamp,
    /// So many had been sent the package.
    pub sent: u32,
    /// So many were verified at the target version.
    pub updated: u32,
    /// So many were marked failed.
    pub failed: u32,
}

#[derive(Default, Clone, Copy)]
struct Place {
    sent: bool,
    mark: Option<bool>,
}

/// One point for every moment in which something changed, oldest first. `turns` come in the order in which they were
/// written; a clock that was set back in between moves later ones to the latest moment so far.
#[must_use]
pub fn progress(turns: &[(Timestamp, AgentId, Turn)]) -> Vec<Point> {
    let mut places: BTreeMap<&AgentId, Place> = BTreeMap::new();
    let mut points: Vec<Point> = Vec::new();
    let mut now = Point { at: Timestamp::MIN, sent: 0, updated: 0, failed: 0 };
    for (at, agent, turn) in turns {
        let place = places.entry(agent).or_default();
        count(&mut now, *place, -1);
        match turn {
            Turn::Sent => place.sent = true,
            Turn::Updated => place.mark = Some(true),
            Turn::Failed => place.mark = Some(false),
            Turn::Again => place.mark = None,
            Turn::Left => *place = Place::default(),
        }
        count(&mut now, *place, 1);
        now.at = now.at.max(*at);
        match points.last_mut() {
            Some(last) if last.at == now.at => *last = now,
            _ => points.push(now),
        }
    }
    points
}

fn count(point: &mut Point, place: Place, by: i32) {
    let add = |number: &mut u32| *number = number.saturating_add_signed(by);
    if place.sent {
        add(&mut point.sent);
    }
    match place.mark {
        Some(true) => add(&mut point.updated),
        Some(false) => add(&mut point.failed),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(second: i64, agent: &str, what: &str) -> (Timestamp, AgentId, Turn) {
        (Timestamp::from_second(second).unwrap(), AgentId::new(agent).unwrap(), Turn::of(what).unwrap())
    }

    fn numbers(turns: &[(Timestamp, AgentId, Turn)]) -> Vec<(i64, u32, u32, u32)> {
        let points = progress(turns);
        points.iter().map(|p| (p.at.as_second(), p.sent, p.updated, p.failed)).collect()
    }

    #[test]
    fn a_verdict_that_is_corrected_moves_from_one_number_to_the_other() {
        let (a, b) = ("AGENT0000001", "AGENT0000002");
        let turns = [
            turn(10, a, "ordered"),
            turn(10, b, "ordered"),
            turn(20, a, "failed"),
            turn(30, b, "updated"),
            turn(40, a, "updated"),
        ];
        assert_eq!(numbers(&turns), [(10, 2, 0, 0), (20, 2, 0, 1), (30, 2, 1, 1), (40, 2, 2, 0)]);
    }

    #[test]
    fn who_begins_again_is_open_and_was_sent_the_package_once() {
        let a = "AGENT0000001";
        let turns = [turn(1, a, "ordered"), turn(2, a, "failed"), turn(3, a, "retry"), turn(3, a, "ordered")];
        assert_eq!(numbers(&turns), [(1, 1, 0, 0), (2, 1, 0, 1), (3, 1, 0, 0)]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_turn_the_line_round() {
        let turns = [turn(50, "AGENT0000001", "ordered"), turn(20, "AGENT0000001", "updated")];
        assert_eq!(numbers(&turns), [(50, 1, 1, 0)]);
    }
}
