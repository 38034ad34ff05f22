//! Sets of message numbers or UIDs: `1,3:5,8:*` (RFC 3501 section 9, sequence-set).

use super::cursor::{Cursor, Wrong};

/// Most ranges in one set.
const RANGES_LIMIT: usize = 20_000;

/// `None` stands for `*`, the greatest there is.
type Bound = Option<u32>;

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set(Vec<(Bound, Bound)>);

impl Set {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Wrong> {
        let mut ranges = Vec::new();
        loop {
            let first = bound(cursor)?;
            let last = if cursor.eat(b':') { bound(cursor)? } else { first };
            ranges.push((first, last));
            if ranges.len() > RANGES_LIMIT {
                return Err(Wrong("fewer ranges"));
            }
            if !cursor.eat(b',') {
                return Ok(Self(ranges));
            }
        }
    }

    /// Whether `number` is in the set, when `*` stands for `greatest`. A range may be given backwards.
    pub(super) fn contains(&self, number: u32, greatest: u32) -> bool {
        self.0.iter().any(|(first, last)| {
            let (first, last) = (first.unwrap_or(greatest), last.unwrap_or(greatest));
            (first.min(last)..=first.max(last)).contains(&number)
        })
    }
}

fn bound(cursor: &mut Cursor<'_>) -> Result<Bound, Wrong> {
    if cursor.eat(b'*') {
        return Ok(None);
    }
    let number = u32::try_from(cursor.number()?).ok().filter(|number| *number > 0);
    number.map(Some).ok_or(Wrong("a number from 1 to 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str, greatest: u32) -> Vec<u32> {
        let set = Set::read(&mut Cursor::new(text.as_bytes())).expect("a set");
        (1..=12).filter(|number| set.contains(*number, greatest)).collect()
    }

    #[test]
    fn ranges_lists_and_the_star_name_numbers() {
        assert_eq!(members("1,3:5,8", 12), [1, 3, 4, 5, 8]);
        assert_eq!(members("5:3", 12), [3, 4, 5]);
        assert_eq!(members("10:*", 11), [10, 11]);
        assert_eq!(members("*", 7), [7]);
        // RFC 3501 section 6.4.8: beyond the greatest, `559:*` still names the last one.
        assert_eq!(members("12:*", 7), [7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "0", "a", "1,", "1:", ":3", "4294967296"] {
            assert!(Set::read(&mut Cursor::new(text.as_bytes())).is_err(), "{text}");
        }
    }
}
