//! Orders to update that the center calls back.

use super::{FilingError, accepting, parts};
use crate::context::Context;
use crate::store::{JournalEntry, Outcome, Store, UpdateOrderRow};
use crate::update::{UpdateError, UpdateEvent, UpdateState, advance};
use mailfmt::message::{RecallOrder, UpdateOrder};

/// The center's word for it, in the order's own answer.
const CALLED_BACK: &str = "called back by the center before it began";

/// Most orders that one recall may name; a rollout has one per attempt.
const ORDERS_MAX: usize = 64;

/// Ends those of the orders that have not begun, and remembers all of them, for those that have not come yet.
///
/// The note is stored first: killed in between, the mail comes again and finds the rest to do.
pub(super) fn file_recall(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
    recall: &RecallOrder,
) -> Result<(), FilingError> {
    let orders = recall.orders.get(..ORDERS_MAX).unwrap_or(&recall.orders);
    store.change(|change| {
        orders.iter().try_for_each(|order| change.call_back(*order, entry.received, entry.expires))
    })?;
    for order in orders {
        // The installer may move it on in the same moment; then it is looked at anew.
        while let Some(row) = store.update_order_of(*order)? {
            if !row.state.has_not_begun() {
                let state = row.state.name();
                tracing::info!(package = %row.package, state, "an order was called back too late");
                break;
            }
            if end(store, context, &row)? {
                tracing::info!(package = %row.package, "an order was called back");
                break;
            }
        }
    }
    accepting::answer_health(store, context, entry)
}

/// False when somebody else moved it on.
fn end(store: &mut Store, context: &Context, row: &UpdateOrderRow) -> Result<bool, FilingError> {
    let failed = UpdateEvent::Failed { reason: CALLED_BACK.to_owned() };
    if let UpdateState::Collecting { .. } = row.state {
        parts::end(store, context, row, failed)?;
        return Ok(store.update_order(row.id)?.is_none_or(|row| !row.state.has_not_begun()));
    }
    match advance(context, store, row, failed, None) {
        Ok(_) => Ok(true),
        Err(UpdateError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::debug!(reason = crate::update::reason(&error), "an order was moved on by somebody else");
            Ok(false)
        }
    }
}

/// Answers an order that was called back before it came; whether it was.
pub(super) fn refuse_called_back(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
    order: &UpdateOrder,
) -> Result<bool, FilingError> {
    if !store.is_called_back(entry.message)? {
        return Ok(false);
    }
    let entry = JournalEntry { outcome: Outcome::Refused, ..entry.clone() };
    let answer = accepting::refused_order(context, order, CALLED_BACK.to_owned());
    accepting::file_answer(store, &entry, &context.outgoing(answer, Some(entry.message)))?;
    Ok(true)
}
