//! Counters in rows of private tables: by code, by label, by row index.

use super::Pattern;
use super::choose::Facts;
use super::counters::{Counted, cell, number, unit};
use super::file::{RowCode, RowCounter, RowIndex, Table};
use super::object::Number;
use super::texts::read_text;
use crate::device::{CounterName, Oid, ROWS_MAX, Source, Value, Walk};
use std::collections::BTreeMap;

/// Most rows looked at in one private table.
const TABLE_ROWS_MAX: usize = 4 * ROWS_MAX;

/// A row with what names it.
struct Row {
    index: Vec<u32>,
    value: Value,
    code: Option<Vec<i64>>,
    label: Option<String>,
}

/// The counters of one table.
pub(super) fn counters(table: &Table, facts: &Facts<'_>) -> Vec<Counted> {
    if !facts.meet(&table.when) {
        return Vec::new();
    }
    let rows = rows(table, facts.walk);
    let mut found: Vec<Counted> =
        table.counter.iter().filter_map(|rule| counter(table, rule, &rows)).collect();
    if let Some(template) = &table.each {
        found.extend(each(table, template, &rows));
    }
    found
}

fn rows(table: &Table, walk: &Walk) -> Vec<Row> {
    walk.column(table.value.oid.arcs())
        .take(TABLE_ROWS_MAX)
        .map(|(index, value)| Row {
            code: table.code.as_ref().and_then(|columns| {
                columns.0.iter().map(|column| code(walk.cell(column.oid.arcs(), index)?)).collect()
            }),
            label: table
                .label
                .as_ref()
                .and_then(|column| read_text(walk.cell(column.oid.arcs(), index)?, table.label_text, None)),
            index: index.to_vec(),
            value: value.clone(),
        })
        .collect()
}

/// A code is a number, or a text of digits.
fn code(value: &Value) -> Option<i64> {
    match value {
        Value::Octets(octets) => std::str::from_utf8(octets).ok()?.trim_matches(['\0', ' ']).parse().ok(),
        number => number.as_i64(),
    }
}

/// Rows that stand for the same thing: with the same value, or nobody knows which is meant.
struct Group<'a> {
    rows: Vec<&'a Row>,
}

impl Group<'_> {
    fn settle(&self, text: Option<&Pattern>) -> Option<(u64, &[u32])> {
        let mut values =
            self.rows.iter().filter_map(|row| Some((number(&row.value, text)?, row.index.as_slice())));
        let first = values.next()?;
        values.all(|(value, _)| value == first.0).then_some(first)
    }
}

fn counter(table: &Table, rule: &RowCounter, rows: &[Row]) -> Option<Counted> {
    let text = rule.text.as_ref();
    // A row without a number is no row: machines say -1 for what they cannot count.
    let counting: Vec<&Row> = rows.iter().filter(|row| number(&row.value, text).is_some()).collect();
    let ways = [by_code(rule, &counting), by_label(rule, &counting), by_row(rule, &counting)];
    let (groups, wanted) = ways.into_iter().find(|(groups, _)| !groups.is_empty())?;
    if rule.all && groups.len() < wanted {
        return None;
    }
    // Without a sum, the first listed that is there; a label that fits several rows must mean one value.
    let taken = if rule.sum { groups.as_slice() } else { groups.get(..1)? };
    let mut sum: Option<(u64, Source)> = None;
    for group in taken {
        let (value, index) = group.settle(text)?;
        let oid = cell(&table.value, index);
        sum = Some(match sum {
            None => (value, Source::from(oid)),
            Some((total, mut source)) => {
                source.add(oid);
                (total.checked_add(value)?, source)
            }
        });
    }
    let (mut value, mut source) = sum?;
    for minus in &rule.minus {
        let (less, oid) = taken_away(table, minus, rows, text)?;
        value = value.checked_sub(less)?;
        source.take_away(oid);
    }
    (rule.zero || value > 0).then(|| Counted {
        unit: unit(&rule.name, rule.unit.or(table.unit)),
        name: rule.name.clone(),
        value,
        source,
    })
}

/// The rows of each code; of one that stands for several codes, the rows of each.
fn by_code<'a>(rule: &RowCounter, rows: &[&'a Row]) -> (Vec<Group<'a>>, usize) {
    let mut groups = Vec::new();
    for wanted in &rule.codes {
        let mut found: BTreeMap<&[i64], Vec<&Row>> = BTreeMap::new();
        for row in rows {
            if let Some(code) = row.code.as_deref().filter(|code| wanted.fits(code)) {
                found.entry(code).or_default().push(row);
            }
        }
        if rule.sum {
            groups.extend(found.into_values().map(|rows| Group { rows }));
        } else {
            groups.push(Group { rows: found.into_values().flatten().collect() });
        }
    }
    groups.retain(|group| !group.rows.is_empty());
    (groups, rule.codes.len())
}

fn by_label<'a>(rule: &RowCounter, rows: &[&'a Row]) -> (Vec<Group<'a>>, usize) {
    let mut groups = Vec::new();
    for pattern in &rule.labels {
        let fits = |row: &&Row| row.label.as_deref().is_some_and(|label| pattern.fits(label));
        let fitting: Vec<&Row> = rows.iter().copied().filter(fits).collect();
        if !rule.sum {
            groups.push(Group { rows: fitting });
            continue;
        }
        // Rows of one label are one thing; those of another label that fits, too, are another.
        let mut by_label: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in fitting {
            by_label.entry(row.label.as_deref().unwrap_or_default().to_lowercase()).or_default().push(row);
        }
        groups.extend(by_label.into_values().map(|rows| Group { rows }));
    }
    groups.retain(|group| !group.rows.is_empty());
    (groups, rule.labels.len())
}

fn by_row<'a>(rule: &RowCounter, rows: &[&'a Row]) -> (Vec<Group<'a>>, usize) {
    let mut groups = Vec::new();
    for wanted in &rule.rows {
        let mut fitting = rows.iter().copied().filter(|row| wanted.fits(&row.index));
        if rule.sum {
            groups.extend(fitting.map(|row| Group { rows: vec![row] }));
        } else {
            let rows: Vec<&Row> = fitting.by_ref().collect();
            groups.push(Group { rows });
        }
    }
    groups.retain(|group| !group.rows.is_empty());
    (groups, rule.rows.len())
}

fn taken_away(table: &Table, minus: &Number, rows: &[Row], text: Option<&Pattern>) -> Option<(u64, Oid)> {
    let of_code =
        |row: &Row| RowCode::of(minus).zip(row.code.as_ref()).is_some_and(|(wanted, code)| wanted.fits(code));
    let several = table.code.as_ref().is_some_and(|columns| columns.0.len() > 1);
    let fits = |row: &&Row| match minus {
        Number::Text(index) if !several => {
            RowIndex::parse(index).is_some_and(|wanted| wanted.fits(&row.index))
        }
        _ => of_code(row),
    };
    let group = Group { rows: rows.iter().filter(fits).collect() };
    let (value, index) = group.settle(text)?;
    Some((value, cell(&table.value, index)))
}

/// Every row as a counter of its own; two of one name with different values are none.
fn each(table: &Table, template: &str, rows: &[Row]) -> Vec<Counted> {
    let place = ["{label}", "{code}", "{row}"].into_iter().find(|place| template.contains(place));
    let Some((place, (head, tail))) = place.and_then(|place| Some((place, template.split_once(place)?)))
    else {
        return Vec::new();
    };
    let mut found: Vec<Counted> = Vec::new();
    let mut twice: Vec<CounterName> = Vec::new();
    for row in rows {
        let called = match place {
            "{label}" => row.label.clone(),
            "{code}" => row.code.as_deref().map(joined),
            _ => Some(joined(&row.index)),
        };
        let name = called
            .and_then(|called| CounterName::from_label(head, &called))
            .and_then(|name| CounterName::new(&format!("{name}{tail}")).ok());
        let (Some(name), Some(value)) = (name, number(&row.value, None)) else { continue };
        match found.iter().find(|known| known.name == name) {
            Some(known) if known.value != value => twice.push(name),
            Some(_) => {}
            None => found.push(Counted {
                unit: unit(&name, table.unit),
                name,
                value,
                source: Source::from(cell(&table.value, &row.index)),
            }),
        }
    }
    found.retain(|counted| !twice.contains(&counted.name));
    found
}

fn joined<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("_")
}
