//! Whether this appliance is being kept from the news. Pure.
//!
//! Every receipt says what the newest release is, dated and signed. Who withholds mail can keep an appliance on an old
//! release, but cannot make the date of that word any younger.

use jiff::{SignedDuration, Timestamp};

/// The word for it in reports and tables.
pub const NOTHING_FRESH: &str = "nothing-fresh";

/// Whether the center's last word is young enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It is.
    Fresh,
    /// There was none for too long.
    Stale {
        /// Date of the last one, or when one was first waited for.
        since: Timestamp,
    },
}

/// Judges the date of the last word. `watched` is since when one was waited for, in case there was none yet.
#[must_use]
pub fn judge(
    fresh_at: Option<Timestamp>,
    watched: Timestamp,
    limit: SignedDuration,
    now: Timestamp,
) -> Freshness {
    let since = fresh_at.unwrap_or(watched);
    match since.checked_add(limit) {
        Ok(end) if end < now => Freshness::Stale { since },
        _ => Freshness::Fresh,
    }
}

/// The alarm's text.
#[must_use]
pub fn description(since: Timestamp, limit: SignedDuration) -> String {
    format!(
        "no fresh word of the center since {since:.0}, for more than {} days: its mail is lost or withheld, \
         or the center does not run",
        limit.as_hours() / 24
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

    #[test]
    fn a_word_is_fresh_for_so_many_days() {
        let (watched, fresh) = (at("2026-01-01T00:00:00Z"), Some(at("2026-02-01T00:00:00Z")));
        assert_eq!(judge(fresh, watched, WEEK, at("2026-02-08T00:00:00Z")), Freshness::Fresh);
        let since = at("2026-02-01T00:00:00Z");
        assert_eq!(judge(fresh, watched, WEEK, at("2026-02-08T00:00:01Z")), Freshness::Stale { since });
    }

    #[test]
    fn who_never_heard_anything_waits_as_long() {
        let watched = at("2026-01-01T00:00:00Z");
        assert_eq!(judge(None, watched, WEEK, at("2026-01-08T00:00:00Z")), Freshness::Fresh);
        assert_eq!(
            judge(None, watched, WEEK, at("2026-01-09T00:00:00Z")),
            Freshness::Stale { since: watched }
        );
    }

    #[test]
    fn the_text_names_date_and_days() {
        let text = description(at("2026-02-01T00:00:00Z"), WEEK);
        assert!(text.contains("2026-02-01") && text.contains("7 days"), "{text}");
    }
}
