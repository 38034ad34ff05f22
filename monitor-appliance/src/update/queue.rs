//! Which of several update orders is worked on.

use super::state::{Turn, UpdateState};
use crate::outbox::after;
use crate::store::UpdateOrderRow;
use jiff::Timestamp;
use std::time::Duration;

/// Longest pause between two looks at an update that waits, whatever the settings and the package say.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether a time to look again has come. One further away than any pause comes from a clock that was set back.
pub(super) fn is_due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_none_or(|at| at <= now || at > after(now, PAUSE_MAX))
}

/// The order to work on now, of those that are not over, oldest first. One that has come to the swap is finished
/// first; then one in which nothing has to be waited for; so an update that waits does not keep a later one from
/// mending what it waits for.
#[must_use]
pub fn next_order(orders: &[UpdateOrderRow], now: Timestamp) -> Option<&UpdateOrderRow> {
    let urgency = |order: &&UpdateOrderRow| match (order.state.turn(), &order.state) {
        (Turn::Supervisor, _) => Some(0),
        // Its release stands and its script may have run already.
        (Turn::Installer { .. }, UpdateState::Staged { .. } | UpdateState::ScriptRun { .. }) => Some(1),
        (Turn::Installer { at: None }, _) => Some(2),
        (Turn::Installer { at }, _) if is_due(at, now) => Some(3),
        (Turn::Installer { .. } | Turn::MailAgent | Turn::NextRestart | Turn::Nobody, _) => None,
    };
    // The first of equals is the oldest.
    orders.iter().filter(|order| urgency(order).is_some()).min_by_key(urgency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{Wait, WaitFor};
    use mailfmt::package::PackageId;
    use mailfmt::{MessageId, SoftwareVersion};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn order(id: i64, state: UpdateState) -> UpdateOrderRow {
        UpdateOrderRow {
            id,
            command: MessageId::from_bytes([0; 16]),
            package: PackageId::of(b""),
            target: SoftwareVersion::new("1.0.02-0").unwrap(),
            state,
            moves: 0,
            output: String::new(),
            received: at(0),
            changed: at(0),
            by_hand: false,
        }
    }

    fn waiting_for(why: WaitFor, retry_at: Option<Timestamp>) -> UpdateState {
        let wait = Wait { why, since: at(0), report_at: at(9), give_up_at: None, reported: false, tries: 1 };
        UpdateState::Waiting { wait, retry_at }
    }

    fn waiting(until: i64) -> UpdateState {
        waiting_for(WaitFor::Module { module: "refresh".into() }, Some(at(until)))
    }

    fn chosen(orders: &[UpdateOrderRow], now: i64) -> Option<i64> {
        next_order(orders, at(now)).map(|order| order.id)
    }

    #[test]
    fn orders_are_taken_by_age() {
        let orders = [order(1, UpdateState::Received), order(2, UpdateState::Received)];
        assert_eq!(chosen(&orders, 0), Some(1));
    }

    #[test]
    fn one_that_waits_lets_a_later_one_pass() {
        let orders = [order(1, waiting(60)), order(2, waiting_for(WaitFor::NextRestart, None))];
        assert_eq!(chosen(&orders, 59), None);
        assert_eq!(chosen(&orders, 60), Some(1));
        let later = [orders.to_vec(), vec![order(3, UpdateState::Received)]].concat();
        assert_eq!(chosen(&later, 60), Some(3));
    }

    #[test]
    fn one_that_is_being_taken_back_goes_before_all_others() {
        let swap = crate::update::Swap {
            release: "1.0.02-0".into(),
            previous: "1.0.00-1".into(),
            release_counter: 2,
            trial_secs: 1,
            drop_shared_data: false,
            reboot_after: false,
            report_by_itself: false,
            wait_limits: None,
        };
        let orders = [
            order(1, UpdateState::Received),
            order(2, UpdateState::RollingBack { swap, reason: "crash".into() }),
        ];
        assert_eq!(chosen(&orders, 0), Some(2));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_an_update_wait_for_years() {
        assert_eq!(chosen(&[order(1, waiting(3600 * 24 * 365))], 0), Some(1));
    }
}
