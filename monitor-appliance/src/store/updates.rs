//! Orders to update, and how far each came.

use super::{Change, StoreError};
use jiff::Timestamp;
use mailfmt::package::PackageId;
use mailfmt::{MessageId, SoftwareVersion};

/// An order to install a package whose file lies ready in `packages/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpdateOrder {
    /// Which package.
    pub package: PackageId,
    /// The software version that it leads to.
    pub target: SoftwareVersion,
    /// The command that ordered it.
    pub command: MessageId,
    /// When it came.
    pub received: Timestamp,
}

impl Change<'_> {
    /// Stores an order.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn order_update(&self, order: &NewUpdateOrder) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO update_order (package, target, command, received_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (package) DO NOTHING",
            )?
            .execute((
                order.package.to_string(),
                order.target.as_str(),
                order.command.to_string(),
                order.received.as_millisecond(),
            ))?;
        Ok(())
    }
}
