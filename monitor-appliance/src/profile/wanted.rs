//! Which objects a profile wants to be read, and how carefully.

use super::file::{CodePlace, CounterRule, File, TextObject};
use super::object::{Number, Object, TextSource};
use crate::device::Oid;
use std::collections::BTreeSet;

/// Objects to be read of a device beside the standard tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Objects with their instances: to be asked for by GET.
    pub scalars: Vec<Oid>,
    /// Columns, or objects of unknown instance: everything below, as bounded as any table.
    pub columns: Vec<Oid>,
    /// Those of both lists that stay the same until the device restarts: names, codes and labels of counters.
    pub steady: Vec<Oid>,
    /// Those of both lists that tell who the device is.
    pub identity: Vec<Oid>,
}

impl Wanted {
    pub(super) fn of(file: &File) -> Self {
        let mut set = Set::default();
        file.matches.answers.iter().for_each(|object| set.object(object));
        let identity = &file.identity;
        for source in
            [&identity.model, &identity.serial, &identity.firmware, &identity.mac].into_iter().flatten()
        {
            if let TextSource::Object(TextObject { object, .. }) = source {
                set.object(object);
                set.steady.insert(object.oid.clone());
                set.identity.insert(object.oid.clone());
            }
        }
        let conditions = |set: &mut Set, when: &[super::file::Condition]| {
            when.iter()
                .filter_map(|condition| condition.object.as_ref())
                .for_each(|object| set.object(object));
        };
        for counter in &file.counter {
            let CounterRule { object, plus, minus, when, .. } = counter.get_ref();
            set.object(object);
            plus.iter().chain(minus).for_each(|object| set.object(object));
            conditions(&mut set, when);
        }
        for table in file.table.iter().map(toml::Spanned::get_ref) {
            set.column(&table.value);
            table.code.iter().flat_map(|codes| &codes.0).chain(&table.label).for_each(|column| {
                set.column(column);
                set.steady.insert(column.oid.clone());
            });
            conditions(&mut set, &table.when);
        }
        for records in file.records.iter().map(toml::Spanned::get_ref) {
            set.object(&records.object);
            conditions(&mut set, &records.when);
        }
        for supplies in &file.supplies {
            set.column(&supplies.description);
            set.column(&supplies.level);
            if let Some(Number::Text(column)) = &supplies.max
                && let Ok(column) = column.parse()
            {
                set.column(&column);
            }
        }
        for part in &file.part {
            set.object(&part.object);
            conditions(&mut set, &part.when);
        }
        file.panel.iter().for_each(|panel| set.object(&panel.object));
        for rule in file.service_code.iter().map(toml::Spanned::get_ref) {
            for place in &rule.places {
                if let CodePlace::Object(object) = place {
                    set.object(object);
                }
            }
        }
        set.wanted()
    }

    /// Both together, each object once.
    pub(super) fn join(mut self, other: &Self) -> Self {
        self.scalars.extend_from_slice(&other.scalars);
        self.columns.extend_from_slice(&other.columns);
        self.steady.extend_from_slice(&other.steady);
        self.identity.extend_from_slice(&other.identity);
        let set = Set {
            scalars: self.scalars.into_iter().collect(),
            columns: self.columns.into_iter().collect(),
            steady: self.steady.into_iter().collect(),
            identity: self.identity.into_iter().collect(),
        };
        set.wanted()
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.scalars.is_empty() && self.columns.is_empty()
    }
}

#[derive(Default)]
struct Set {
    scalars: BTreeSet<Oid>,
    columns: BTreeSet<Oid>,
    steady: BTreeSet<Oid>,
    identity: BTreeSet<Oid>,
}

impl Set {
    fn object(&mut self, object: &Object) {
        if object.any {
            self.column(object);
        } else {
            self.scalars.insert(object.oid.clone());
        }
    }

    fn column(&mut self, object: &Object) {
        self.columns.insert(object.oid.clone());
    }

    /// What stands below a wanted column comes with it.
    fn wanted(self) -> Wanted {
        let Self { scalars, columns, steady, identity } = self;
        let below = |oid: &Oid, other: &Oid| oid != other && oid.arcs().starts_with(other.arcs());
        Wanted {
            scalars: scalars
                .into_iter()
                .filter(|oid| !columns.iter().any(|column| below(oid, column)))
                .collect(),
            columns: columns
                .iter()
                .filter(|oid| !columns.iter().any(|column| below(oid, column)))
                .cloned()
                .collect(),
            steady: steady.into_iter().collect(),
            identity: identity.into_iter().collect(),
        }
    }
}

/// How carefully a device has to be asked. Without any: as the settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Care {
    /// Most rows that GETBULK may ask for at once.
    pub max_repetitions: Option<u32>,
    /// Most objects in one request.
    pub objects_per_request: Option<usize>,
    /// GETBULK must not be used.
    pub no_bulk: bool,
    /// Wait between two requests, in milliseconds.
    pub pause_ms: u32,
    /// Most repetitions of a request without an answer.
    pub retries: Option<u32>,
    /// Nothing below these may be asked for.
    pub skip: Vec<Oid>,
}

impl Care {
    /// The more careful of both in everything.
    pub(super) fn join(&mut self, fragile: &super::file::Fragile) {
        fn least<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            [one, other].into_iter().flatten().min()
        }
        self.max_repetitions = least(self.max_repetitions, fragile.max_repetitions.map(Into::into));
        self.objects_per_request =
            least(self.objects_per_request, fragile.objects_per_request.map(Into::into));
        self.no_bulk |= fragile.bulk == Some(false);
        self.pause_ms = self.pause_ms.max(fragile.pause_ms);
        self.retries = least(self.retries, fragile.retries);
        self.skip.extend(fragile.skip.iter().map(|object| object.oid.clone()));
    }
}
