//! Follows the columns of a table through GETNEXT or GETBULK answers, whatever the device sends.

use crate::device::{Oid, Value, Walk};

/// Cells asked for in one request, so that an answer of common size fits in one packet.
pub(super) const CELLS_MAX: u32 = 50;

/// One cell of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// A value.
    Value(Value),
    /// The device has nothing further.
    End,
}

/// One request: from where to go on, per column, and how many rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// Column number and where to go on from.
    pub(super) starts: Vec<(usize, Oid)>,
    /// GETBULK max-repetitions; GETNEXT gives one row anyway.
    pub(super) repetitions: u32,
}

/// What a device did so that a table could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An answer went backwards or in circles (RFC 3416 4.2.2 demands the contrary).
    Loop,
    /// The table goes on beyond the limit.
    TooManyRows,
    /// The answer was empty.
    Empty,
}

impl Refusal {
    /// How a loop reads in a reason; recognised when nothing else came.
    pub(super) const LOOP_TEXT: &str = "the device sends the same objects in a loop";
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loop => Self::LOOP_TEXT,
            Self::TooManyRows => "the table has more rows than the limit",
            Self::Empty => "the device sends empty answers",
        })
    }
}

struct Column {
    base: Oid,
    last: Oid,
    rows: usize,
    done: bool,
}

/// The columns of one part on their way. Ends after at most `rows` answers per column, as each answer either moves
/// a column forward or finishes it.
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: usize,
    /// More rows than the limit are as expected: only the first ones are wanted.
    first_rows_only: bool,
    repetitions: u32,
    /// How many cells the answer to one request may have.
    cells: u32,
    /// Only one column goes into a request.
    one_by_one: bool,
    refusal: Option<Refusal>,
}

impl Columns {
    /// Columns not begun yet. `cells` is what the device could send at once in parts before this one, see
    /// [`Self::cells`].
    pub(super) fn new(
        columns: &[&[u32]],
        rows: usize,
        first_rows_only: bool,
        repetitions: u32,
        cells: u32,
    ) -> Self {
        let column =
            |base: &&[u32]| Column { base: Oid::new(base), last: Oid::new(base), rows: 0, done: rows == 0 };
        Self {
            columns: columns.iter().map(column).collect(),
            rows,
            first_rows_only,
            repetitions,
            cells: cells.max(1),
            one_by_one: false,
            refusal: None,
        }
    }

    /// How many cells the device could send at once, as far as is known by now.
    pub(super) fn cells(&self) -> u32 {
        self.cells
    }

    /// The next request; `None` when all columns are finished.
    pub(super) fn next_ask(&self) -> Option<Ask> {
        let open = self.columns.iter().enumerate().filter(|(_, column)| !column.done);
        let width = if self.one_by_one { 1 } else { usize::try_from(self.cells).unwrap_or(usize::MAX) };
        let starts: Vec<(usize, Oid)> =
            open.take(width).map(|(at, column)| (at, column.last.clone())).collect();
        let width = u32::try_from(starts.len()).ok().filter(|width| *width > 0)?;
        let wanted = u32::try_from(self.rows).unwrap_or(u32::MAX);
        let repetitions = self.repetitions.min(self.cells / width).min(wanted).max(1);
        Some(Ask { starts, repetitions })
    }

    /// Puts an answer into the walk. Cells come row by row, in the order of the columns asked for (RFC 3416 4.2.3).
    pub(super) fn take(&mut self, ask: &Ask, cells: Vec<(Oid, Cell)>, walk: &mut Walk) {
        if cells.is_empty() {
            self.refuse(ask, Refusal::Empty);
            return;
        }
        for ((oid, cell), (at, _)) in cells.into_iter().zip(ask.starts.iter().cycle()) {
            let column = &mut self.columns[*at];
            if column.done {
                continue;
            }
            let Cell::Value(value) = cell else {
                column.done = true;
                continue;
            };
            if !oid.arcs().starts_with(column.base.arcs()) {
                // Past the end of the column; before its beginning only a broken device answers.
                column.done = true;
                if oid < column.last {
                    self.refusal.get_or_insert(Refusal::Loop);
                }
                continue;
            }
            if oid <= column.last {
                column.done = true;
                self.refusal = Some(Refusal::Loop);
                continue;
            }
            if column.rows >= self.rows {
                column.done = true;
                if !self.first_rows_only {
                    self.refusal.get_or_insert(Refusal::TooManyRows);
                }
                continue;
            }
            column.rows += 1;
            column.done = self.first_rows_only && column.rows >= self.rows;
            column.last = oid.clone();
            walk.insert(oid, value);
        }
    }

    /// The answer to this request was too big: asks for half as many cells. `false` if it was one.
    pub(super) fn ask_for_less(&mut self, ask: &Ask) -> bool {
        let width = u32::try_from(ask.starts.len()).unwrap_or(u32::MAX);
        let asked = width.saturating_mul(ask.repetitions);
        self.cells = (asked / 2).max(1);
        asked > 1
    }

    /// SNMPv1 says that one of the columns has nothing further, and refuses them all (RFC 1157 4.1.3): asks one by
    /// one from now on; a column asked alone is finished.
    pub(super) fn not_there(&mut self, ask: &Ask) {
        self.one_by_one = true;
        if let [(at, _)] = ask.starts.as_slice() {
            self.columns[*at].done = true;
        }
    }

    /// What went wrong, if anything.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    fn refuse(&mut self, ask: &Ask, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
        for (at, _) in &ask.starts {
            self.columns[*at].done = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, CELLS_MAX, Cell, Columns, Refusal};
    use crate::device::{Oid, Value, Walk};
    use proptest::prelude::*;

    const NAMES: &[u32] = &[1, 3, 1];
    const LEVELS: &[u32] = &[1, 3, 2];

    fn oid(text: &str) -> Oid {
        text.parse().unwrap()
    }

    fn number(text: &str, value: i64) -> (Oid, Cell) {
        (oid(text), Cell::Value(Value::Integer(value)))
    }

    fn read(columns: &mut Columns, walk: &mut Walk, answer: impl Fn(&Ask) -> Vec<(Oid, Cell)>) -> usize {
        let mut asks = 0;
        while let Some(ask) = columns.next_ask() {
            asks += 1;
            assert!(asks < 1000, "no end");
            columns.take(&ask, answer(&ask), walk);
        }
        asks
    }

    #[test]
    fn a_small_table_takes_one_request() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES, LEVELS], 100, false, 10, CELLS_MAX);
        let asks = read(&mut columns, &mut walk, |ask| {
            assert_eq!(ask.repetitions, 10);
            vec![
                number("1.3.1.1", 1),
                number("1.3.2.1", 10),
                number("1.3.1.2", 2),
                number("1.3.2.2", 20),
                number("1.3.2.1", 10),
                (oid("1.3.2.2"), Cell::End),
            ]
        });
        assert_eq!((asks, walk.len(), columns.refusal()), (1, 4, None));
    }

    #[test]
    fn a_column_with_gaps_is_read_as_far_as_it_goes() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES, LEVELS], 100, false, 1, CELLS_MAX);
        read(&mut columns, &mut walk, |ask| {
            let next = |start: &Oid| match start.to_string().as_str() {
                "1.3.1" => number("1.3.1.1", 1),
                "1.3.1.1" => number("1.3.1.2", 2),
                "1.3.1.2" => number("1.3.2.2", 20),
                "1.3.2" => number("1.3.2.2", 20),
                _ => (oid("1.4"), Cell::End),
            };
            ask.starts.iter().map(|(_, start)| next(start)).collect()
        });
        assert_eq!(walk.len(), 3);
        assert_eq!(columns.refusal(), None);
    }

    #[test]
    fn a_loop_is_refused_at_once() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES], 100, false, 1, CELLS_MAX);
        let asks = read(&mut columns, &mut walk, |_| vec![number("1.3.1.1", 1)]);
        assert_eq!((asks, walk.len(), columns.refusal()), (2, 1, Some(Refusal::Loop)));
    }

    #[test]
    fn a_table_without_end_stops_at_the_limit() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES], 7, false, 3, CELLS_MAX);
        let asks = read(&mut columns, &mut walk, |ask| {
            let last = ask.starts[0].1.arcs().get(3).copied().unwrap_or_default();
            (1..=ask.repetitions).map(|row| number(&format!("1.3.1.{}", last + row), 0)).collect()
        });
        assert_eq!((asks, walk.len(), columns.refusal()), (3, 7, Some(Refusal::TooManyRows)));
    }

    #[test]
    fn where_only_the_first_row_is_wanted_more_rows_are_no_fault() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES, LEVELS], 1, true, 10, CELLS_MAX);
        let asks = read(&mut columns, &mut walk, |ask| {
            assert_eq!(ask.repetitions, 1);
            vec![number("1.3.1.1", 1), number("1.3.2.5", 1)]
        });
        assert_eq!((asks, walk.len(), columns.refusal()), (1, 2, None));
    }

    #[test]
    fn an_answer_that_is_too_big_is_asked_for_in_smaller_pieces_until_one_cell() {
        let mut columns = Columns::new(&[NAMES, LEVELS], 100, false, 4, CELLS_MAX);
        let size = |columns: &Columns| columns.next_ask().map(|ask| (ask.repetitions, ask.starts.len()));
        assert_eq!(size(&columns), Some((4, 2)));
        let mut sizes = Vec::new();
        while let Some(ask) = columns.next_ask()
            && columns.ask_for_less(&ask)
        {
            sizes.extend(size(&columns));
        }
        assert_eq!(sizes, [(2, 2), (1, 2), (1, 1)]);
    }

    #[test]
    fn a_missing_name_costs_only_its_own_column() {
        let mut walk = Walk::default();
        let mut columns = Columns::new(&[NAMES, LEVELS], 100, false, 1, CELLS_MAX);
        let ask = columns.next_ask().unwrap();
        columns.not_there(&ask);
        let ask = columns.next_ask().unwrap();
        assert_eq!(ask.starts.len(), 1);
        columns.take(&ask, vec![number("1.3.1.1", 1)], &mut walk);
        let ask = columns.next_ask().unwrap();
        columns.not_there(&ask);
        assert_eq!(columns.next_ask().unwrap().starts, [(1, Oid::new(LEVELS))]);
    }

    proptest! {
        #[test]
        fn any_answers_end_and_stay_within_the_limit(
            answers in prop::collection::vec(prop::collection::vec((prop::collection::vec(0..4u32, 0..6), any::<bool>()), 0..8), 1..20),
        ) {
            let mut walk = Walk::default();
            let mut columns = Columns::new(&[NAMES, LEVELS], 5, false, 3, CELLS_MAX);
            let mut asks = 0;
            while let Some(ask) = columns.next_ask() {
                let cells = answers[asks % answers.len()].iter().map(|(arcs, end)| {
                    let cell = if *end { Cell::End } else { Cell::Value(Value::Integer(0)) };
                    (Oid::new(arcs), cell)
                });
                columns.take(&ask, cells.collect(), &mut walk);
                asks += 1;
                prop_assert!(asks <= 14, "each answer moves or finishes a column");
            }
            prop_assert!(walk.len() <= 10);
        }
    }
}
