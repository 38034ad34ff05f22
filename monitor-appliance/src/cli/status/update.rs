//! The update that is under way, and what became of the last one.

use super::super::table::{table, time};
use jiff::Timestamp;
use monitor_appliance::store::{Store, UpdateOrderRow};
use monitor_appliance::update::Turn;

/// Most orders to update shown.
const SHOWN: u32 = 5;

/// The newest orders to update, newest first.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Updates(Vec<Update>);

#[derive(Debug, serde::Serialize)]
struct Update {
    package: String,
    target: String,
    /// The state's name and, where there is one, its reason.
    state: String,
    /// What is being done, or what came of it, for a person.
    doing: String,
    /// Since when: the wait, where there is one, else the state.
    since: Timestamp,
    changed: Timestamp,
    over: bool,
    /// Whether a person gave it on site.
    by_hand: bool,
}

pub(super) fn look(store: &Store) -> anyhow::Result<Updates> {
    Ok(Updates(store.update_orders_newest(SHOWN)?.iter().map(Update::of).collect()))
}

impl Update {
    fn of(row: &UpdateOrderRow) -> Self {
        let (doing, waits) = (row.state.in_words(), row.state.waits());
        let reason = row.state.reason().map(str::to_owned);
        let reason = reason.or(waits.map(|wait| format!("{} (since {})", wait.why, time(Some(wait.since)))));
        let name = row.state.name();
        Self {
            state: reason.map_or_else(|| name.to_owned(), |reason| format!("{name}: {reason}")),
            since: waits.map_or(row.changed, |wait| wait.since),
            over: row.state.turn() == Turn::Nobody,
            doing,
            package: row.package.to_string(),
            target: row.target.to_string(),
            changed: row.changed,
            by_hand: row.by_hand,
        }
    }

    fn line(&self, head: &str) -> String {
        let since = if self.over { "at" } else { "since" };
        format!("{head:14} to {}, {since} {}: {}\n", self.target, time(Some(self.since)), self.doing)
    }
}

impl Updates {
    /// What is under way and what came of the last one that is over; a line each.
    pub(super) fn text(&self) -> String {
        // They are worked off in the order in which they came.
        let under_way = self.0.iter().rev().filter(|update| !update.over).map(|update| update.line("update"));
        let last = self.0.iter().find(|update| update.over).map(|update| update.line("last update"));
        under_way.chain(last).collect()
    }

    /// All of them; empty when there are none.
    pub(super) fn list(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let from = |update: &Update| if update.by_hand { "by hand" } else { "mail" }.to_owned();
        let rows = self.0.iter().map(|update| {
            [
                update.target.clone(),
                update.state.clone(),
                time(Some(update.changed)),
                from(update),
                update.package.chars().take(12).collect(),
            ]
        });
        format!("\nupdates\n{}", table(["target", "state", "changed", "came by", "package"], rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monitor_appliance::update::UpdateState;

    fn update(second: i64, state: serde_json::Value) -> Update {
        let state: UpdateState = serde_json::from_value(state).unwrap();
        let changed = Timestamp::from_second(1_800_000_000 + second).unwrap();
        Update::of(&UpdateOrderRow {
            id: second,
            command: mailfmt::MessageId::from_bytes([7; 16]),
            package: mailfmt::Digest::of(b"package"),
            target: "1.0.02-0".parse().unwrap(),
            state,
            moves: 1,
            output: String::new(),
            received: changed,
            changed,
            by_hand: false,
        })
    }

    #[test]
    fn what_is_under_way_is_told_with_its_reason_and_since_when_before_what_came_of_the_last_one() {
        let wait = serde_json::json!({
            "why": {"for": "work", "module": "mail-agent", "work": "sending counters", "billing": true},
            "since": "2026-11-21T10:00:00Z", "report_at": "2026-11-21T11:00:00Z", "reported": false, "tries": 3
        });
        let waiting = serde_json::json!({"state": "waiting", "wait": wait, "retry_at": null});
        let undone = serde_json::json!({"state": "undone", "reason": "module watch ended"});
        let older = serde_json::json!({"state": "committed"});
        let updates = Updates(vec![update(2, waiting), update(1, undone), update(0, older)]);
        let since = time(Some("2026-11-21T10:00:00Z".parse().unwrap()));
        let at = time(Some(Timestamp::from_second(1_800_000_001).unwrap()));
        let expected = format!(
            "update         to 1.0.02-0, since {since}: waits: module mail-agent is busy: sending counters\n\
             last update    to 1.0.02-0, at {at}: undone: module watch ended\n"
        );
        assert_eq!(updates.text(), expected);
    }

    #[test]
    fn where_there_was_no_update_nothing_is_told() {
        let none = Updates(Vec::new());
        assert_eq!(none.text() + &none.list(), "");
    }
}
