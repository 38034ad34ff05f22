//! What was approved of the orders to update.

use super::{Change, Store, StoreError, UpdateOrderRow};
use mailfmt::Digest;
use mailfmt::MessageId;
use mailfmt::conditions::Conditions;
use mailfmt::message::UpdateOrder;
use mailfmt::trust::{OrderTerms, SignedApproval};

impl Store {
    /// What an order's approval has to be for, and the approval that came with it. Of an order from before approvals, or by
    /// hand, the terms are those of nothing.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no such order.
    pub fn approval_of(
        &self,
        row: &UpdateOrderRow,
    ) -> Result<(OrderTerms, Option<SignedApproval>), StoreError> {
        let (terms, approval) = self
            .connection
            .prepare_cached("SELECT terms, approval FROM update_order WHERE id = ?1")?
            .query_row((row.id,), |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
            })?;
        let damaged = |_| StoreError::Damaged { what: "update order" };
        let terms = match terms {
            Some(terms) => terms.parse().map_err(damaged)?,
            None => Digest::of(&[]),
        };
        let terms = OrderTerms { package: row.package, target: row.target.clone(), terms };
        Ok((terms, approval.map(SignedApproval::from_octets)))
    }
}

impl Change<'_> {
    /// Keeps the terms of an order that was just stored under these conditions, and its approval.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_approval(
        &self,
        command: MessageId,
        order: &UpdateOrder,
        conditions: &Conditions,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE update_order SET terms = ?2, approval = ?3 WHERE command = ?1")?
            .execute((
                command.to_string(),
                order.terms_under(conditions).terms.to_string(),
                order.approval.as_ref().map(SignedApproval::as_octets),
            ))?;
        Ok(())
    }
}
