//! A visit without a network: what the pure parts make of answers that nobody would send by accident.

use super::acquaintance::Acquaintance;
use super::columns::{CELLS_MAX, Cell, Columns};
use super::layout::{Layout, batches};
use super::look::{Alerts, Form, Look};
use super::plan::ALERTS;
use super::wish::Wish;
use crate::device::{Oid, Value, Walk};
use jiff::Timestamp;

/// Most rows that the rehearsal lets a table have.
const ROWS: usize = 32;

/// What a rehearsal came to, so that it can be checked from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rehearsed {
    /// Whether a layout was learned from the walk.
    pub learned: bool,
    /// Requests that walking the alert table took.
    pub requests: usize,
    /// Most values that the walk can have now.
    pub values: usize,
}

/// Learns a layout from `walk`, writes and reads it, takes `answer` for the answer to a look and to every request of a walk through the
/// alert table. `None` in the answer stands for the end of what the device has. For fuzzing; needs no device.
///
/// # Panics
/// If a layout does not come back as it was written, or a request would ask for nothing.
#[must_use]
pub fn rehearse(walk: &Walk, answer: &[(Oid, Option<Value>)], now: Timestamp) -> Rehearsed {
    let cell = |value: &Option<Value>| value.clone().map_or(Cell::End, Cell::Value);
    let answer: Vec<(Oid, Cell)> = answer.iter().map(|(oid, value)| (oid.clone(), cell(value))).collect();
    let layout = Layout::learn(walk, &Wish::default(), 0, 1_000, now);
    if let Some(layout) = &layout {
        let written = layout.encode();
        assert_eq!(Layout::decode(&written).as_ref(), Some(layout), "a layout comes back as it was written");
        let entries: Vec<_> = layout.entries.iter().collect();
        let batches = batches(&entries, layout.room, 20);
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), entries.len());
        assert!(batches.iter().all(|batch| !batch.is_empty() && batch.len() <= 20));
        let alerts = Alerts::of(walk, &[]);
        if let Some(look) = Look::new(layout, Some(&alerts)) {
            assert!(look.starts(Form::Next).len() >= look.starts(Form::Bulk).len());
            let mut acquaintance = Acquaintance::restore(Some(&written));
            match look.judge(answer.clone()) {
                Ok(sighting) => {
                    let _ = acquaintance.see_uptime(layout, &sighting.values, now);
                }
                Err(doubt) => acquaintance.doubt(doubt),
            }
        }
    }
    let mut walk = Walk::default();
    let mut columns = Columns::new(ALERTS, ROWS, false, 10, CELLS_MAX);
    let mut requests = 0;
    while let Some(ask) = columns.next_ask() {
        columns.take(&ask, answer.clone(), &mut walk);
        requests += 1;
    }
    Rehearsed { learned: layout.is_some(), requests, values: walk.len() }
}
