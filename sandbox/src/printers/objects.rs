//! A recording and what was changed since: the objects one simulated printer has.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_snmp::{Oid, Value};

use super::oids;
use super::recording::Recording;

/// The objects of one printer: a shared recording with its own changes laid over it.
///
/// The two uptimes are kept as they were at power-on; [`Objects::get`] and [`Objects::next`] add the time since.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    recording: Arc<Recording>,
    /// New values; `None` for an object that was removed.
    changed: BTreeMap<Oid, Option<Value>>,
}

/// Hundredths of a second since power-on.
pub(super) type Ticks = u32;

impl Objects {
    pub(super) fn new(recording: Arc<Recording>) -> Self {
        Self { recording, changed: BTreeMap::new() }
    }

    pub(super) fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// The value as it is stored: uptimes without the time since power-on.
    pub(super) fn stored(&self, oid: &Oid) -> Option<&Value> {
        match self.changed.get(oid) {
            Some(changed) => changed.as_ref(),
            None => {
                let objects = self.recording.objects();
                let place = objects.binary_search_by(|(known, _)| known.cmp(oid)).ok()?;
                Some(&objects[place].1)
            }
        }
    }

    /// The value `now` ticks after power-on.
    pub(super) fn get(&self, oid: &Oid, now: Ticks) -> Option<Value> {
        self.stored(oid).map(|value| running(oid, value, now))
    }

    /// The first object after `oid`, as GETNEXT asks for it.
    pub(super) fn next(&self, oid: &Oid, now: Ticks) -> Option<(Oid, Value)> {
        self.next_stored(oid).map(|(next, value)| (next.clone(), running(next, value, now)))
    }

    fn next_stored(&self, oid: &Oid) -> Option<(&Oid, &Value)> {
        let objects = self.recording.objects();
        let after = objects.partition_point(|(known, _)| known <= oid);
        let recorded =
            objects[after..].iter().find(|(known, _)| !self.changed.contains_key(known)).map(|(k, v)| (k, v));
        let changed = self
            .changed
            .range((Bound::Excluded(oid), Bound::Unbounded))
            .find_map(|(known, value)| value.as_ref().map(|value| (known, value)));
        match (recorded, changed) {
            (Some(r), Some(c)) => Some(if r.0 < c.0 { r } else { c }),
            (recorded, changed) => recorded.or(changed),
        }
    }

    /// The stored objects below `prefix`, in order.
    pub(super) fn under(&self, prefix: &[u32]) -> Vec<(Oid, Value)> {
        let prefix = Oid::from_slice(prefix);
        let mut found: Vec<(Oid, Value)> = Vec::new();
        while let Some((oid, value)) = self.next_stored(found.last().map_or(&prefix, |(oid, _)| oid)) {
            if !oid.starts_with(&prefix) {
                break;
            }
            found.push((oid.clone(), value.clone()));
        }
        found
    }

    /// All stored objects, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Oid, &Value)> {
        let kept = self.recording.objects().iter().map(|(oid, value)| (oid, value));
        let kept = kept.filter(|(oid, _)| !self.changed.contains_key(*oid));
        kept.chain(self.changed.iter().filter_map(|(oid, value)| value.as_ref().map(|value| (oid, value))))
    }

    /// Gives `oid` a value, adding the object when it is missing. An uptime goes on from the value given.
    pub(super) fn set(&mut self, oid: Oid, value: Value, now: Ticks) {
        let stored = match value {
            Value::TimeTicks(ticks) if runs(&oid) => Value::TimeTicks(ticks.wrapping_sub(now)),
            value => value,
        };
        self.changed.insert(oid, Some(stored));
    }

    /// Takes one object away; says whether it was there.
    pub(super) fn remove(&mut self, oid: &Oid) -> bool {
        let there = self.stored(oid).is_some();
        if there {
            self.changed.insert(oid.clone(), None);
        }
        there
    }

    /// A restart: uptimes that exist begin at zero.
    pub(super) fn restart_uptimes(&mut self) {
        for uptime in [oids::SYS_UP_TIME, oids::HR_SYSTEM_UPTIME] {
            let oid = Oid::from_slice(uptime);
            if self.stored(&oid).is_some() {
                self.changed.insert(oid, Some(Value::TimeTicks(0)));
            }
        }
    }
}

fn runs(oid: &Oid) -> bool {
    oid.arcs() == oids::SYS_UP_TIME || oid.arcs() == oids::HR_SYSTEM_UPTIME
}

fn running(oid: &Oid, value: &Value, now: Ticks) -> Value {
    match value {
        Value::TimeTicks(start) if runs(oid) => Value::TimeTicks(start.wrapping_add(now)),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Objects {
        let text = "1.3.6.1.2.1.1.3.0|67|100\n1.3.6.1.2.1.1.5.0|4|a\n1.3.6.1.2.1.1.6.0|4|b\n";
        Objects::new(Arc::new(Recording::parse(text, "x").unwrap()))
    }

    fn oid(text: &str) -> Oid {
        Oid::parse(text).unwrap()
    }

    fn walk(objects: &Objects) -> Vec<String> {
        let (mut at, mut seen) = (oid("1.3"), Vec::new());
        while let Some((next, value)) = objects.next(&at, 0) {
            seen.push(format!("{next}={value}"));
            at = next;
        }
        seen
    }

    #[test]
    fn a_walk_shows_changes_additions_and_removals_in_order() {
        let mut objects = objects();
        objects.set(oid("1.3.6.1.2.1.1.5.0"), Value::Integer(1), 0);
        objects.set(oid("1.3.6.1.2.1.1.5.1"), Value::Integer(2), 0);
        objects.set(oid("1.3.6.1.9"), Value::Integer(3), 0);
        assert!(objects.remove(&oid("1.3.6.1.2.1.1.6.0")));
        assert!(!objects.remove(&oid("1.3.6.1.2.1.1.6.0")), "it is gone already");
        let expected = ["1.3.6.1.2.1.1.5.0=1", "1.3.6.1.2.1.1.5.1=2", "1.3.6.1.9=3"];
        assert_eq!(walk(&objects)[1..], expected);
        assert_eq!(objects.get(&oid("1.3.6.1.2.1.1.6.0"), 0), None);
    }

    #[test]
    fn uptime_runs_and_nothing_else_does() {
        let mut objects = objects();
        let uptime = oid("1.3.6.1.2.1.1.3.0");
        assert_eq!(objects.get(&uptime, 50), Some(Value::TimeTicks(150)));
        objects.set(uptime.clone(), Value::TimeTicks(7), 50);
        assert_eq!(objects.get(&uptime, 60), Some(Value::TimeTicks(17)));
        objects.set(oid("1.3.6.1.9"), Value::TimeTicks(5), 60);
        assert_eq!(objects.get(&oid("1.3.6.1.9"), 99), Some(Value::TimeTicks(5)));
        objects.restart_uptimes();
        assert_eq!(objects.get(&uptime, 3), Some(Value::TimeTicks(3)));
        assert_eq!(objects.get(&oid("1.3.6.1.2.1.25.1.1.0"), 3), None, "a restart adds no uptime");
    }

    #[test]
    fn under_stays_below_its_prefix() {
        let mut objects = objects();
        objects.set(oid("1.3.6.1.2.1.2.1"), Value::Integer(1), 0);
        assert_eq!(objects.under(&[1, 3, 6, 1, 2, 1, 1]).len(), 3);
        assert_eq!(
            objects.under(&[1, 3, 6, 1, 2, 1, 1, 5, 0]).len(),
            0,
            "the object itself is not below itself"
        );
    }
}
