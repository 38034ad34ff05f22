//! Orders to update, and how far each came.

use super::{Change, Store, StoreError, row};
use crate::update::UpdateState;
use jiff::Timestamp;
use mailfmt::package::PackageId;
use mailfmt::trust::TrustedRoot;
use mailfmt::{MessageId, SoftwareVersion};
use rusqlite::{OptionalExtension as _, Row};

const COUNTER: &str = "installed-counter";
const COUNTER_ROOT: &str = "installed-counter-root";
const REBOOT: &str = "reboot-after-boot";

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

/// A stored order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateOrderRow {
    /// Row number.
    pub id: i64,
    /// The command that ordered it; the result answers it.
    pub command: MessageId,
    /// Which package.
    pub package: PackageId,
    /// The software version that it leads to.
    pub target: SoftwareVersion,
    /// How far it came.
    pub state: UpdateState,
    /// How often the state was changed; see [`Change::move_update`].
    pub moves: i64,
    /// Last output of its script.
    pub output: String,
    /// When it came.
    pub received: Timestamp,
    /// When the state last changed.
    pub changed: Timestamp,
    /// Whether a person gave it on site: then the result answers no command.
    pub by_hand: bool,
}

const COLUMNS: &str = "id, command, package, target, state, moves, output, received_ms, changed_ms, by_hand";

fn read(row: &Row<'_>) -> Result<UpdateOrderRow, StoreError> {
    let text = |index: usize| row.get::<_, String>(index);
    let damaged = || StoreError::Damaged { what: "update order" };
    Ok(UpdateOrderRow {
        id: row.get(0)?,
        command: row::id(&text(1)?)?,
        package: text(2)?.parse().map_err(|_| damaged())?,
        target: text(3)?.parse().map_err(|_| damaged())?,
        state: UpdateState::from_stored(&text(4)?).map_err(|_| damaged())?,
        moves: row.get(5)?,
        output: text(6)?,
        received: row::time(row.get(7)?, "update order")?,
        changed: row::time(row.get(8)?, "update order")?,
        by_hand: row.get(9)?,
    })
}

fn write(state: &UpdateState) -> String {
    state.to_stored()
}

impl Store {
    /// Orders that are not over, oldest first; at most 100.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update_orders_open(&self) -> Result<Vec<UpdateOrderRow>, StoreError> {
        self.update_orders("WHERE done = 0 ORDER BY id", 100)
    }

    /// The newest orders, over or not; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update_orders_newest(&self, limit: u32) -> Result<Vec<UpdateOrderRow>, StoreError> {
        self.update_orders("ORDER BY id DESC", limit)
    }

    /// The order that this command gave, or this id of an order by hand.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update_order_of(&self, command: MessageId) -> Result<Option<UpdateOrderRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM update_order WHERE command = ?1"))?;
        let mut rows = statement.query((command.to_string(),))?;
        rows.next()?.map(read).transpose()
    }

    fn update_orders(&self, which: &str, limit: u32) -> Result<Vec<UpdateOrderRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM update_order {which} LIMIT ?1"))?;
        let mut rows = statement.query((limit,))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// One order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update_order(&self, id: i64) -> Result<Option<UpdateOrderRow>, StoreError> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM update_order WHERE id = ?1"))?
            .query_row((id,), |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// The greatest release counter that was ever installed; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn installed_counter(&self) -> Result<u64, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "release counter" };
        self.update_fact(COUNTER)?.map_or(Ok(0), |text| text.parse().map_err(damaged))
    }

    /// The same with the version of the root under which it was noted; 0 for none. Newer roots may set it back
    /// ([`TrustedRoot::installed_counter`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn installed_counter_and_root(&self) -> Result<(u64, u64), StoreError> {
        let damaged = |_| StoreError::Damaged { what: "root of the release counter" };
        let root = self.update_fact(COUNTER_ROOT)?.map_or(Ok(0), |text| text.parse().map_err(damaged))?;
        Ok((self.installed_counter()?, root))
    }

    /// The boot id under which a restart of the box was asked for; `None` when none is to come.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn reboot_wanted(&self) -> Result<Option<String>, StoreError> {
        self.update_fact(REBOOT)
    }

    fn update_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM update_fact WHERE name = ?1")?
            .query_row((name,), |row| row.get(0))
            .optional()?)
    }
}

impl Change<'_> {
    /// Stores an order. False, and nothing stored, if the same command stored it before.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn order_update(&self, order: &NewUpdateOrder) -> Result<bool, StoreError> {
        self.order_update_as(order, &UpdateState::Received)
    }

    pub(super) fn order_update_as(
        &self,
        order: &NewUpdateOrder,
        state: &UpdateState,
    ) -> Result<bool, StoreError> {
        let stored = self
            .transaction
            .prepare_cached(
                "INSERT INTO update_order (command, package, target, state, received_ms, changed_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (command) DO NOTHING",
            )?
            .execute((
                order.command.to_string(),
                order.package.to_string(),
                order.target.as_str(),
                write(state),
                order.received.as_millisecond(),
            ))?;
        Ok(stored > 0)
    }

    /// Stores an order that a person gave on site, under a new id of its own in the place of a command's.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn order_update_by_hand(&self, order: &NewUpdateOrder) -> Result<(), StoreError> {
        self.order_update(order)?;
        self.transaction
            .prepare_cached("UPDATE update_order SET by_hand = 1 WHERE command = ?1")?
            .execute((order.command.to_string(),))?;
        Ok(())
    }

    /// Moves an order on to `state`. False, and nothing changed, if somebody else has moved it since `from` was read.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn move_update(
        &self,
        from: &UpdateOrderRow,
        state: &UpdateState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let same_work = std::mem::discriminant(&from.state) == std::mem::discriminant(state);
        let moved = self
            .transaction
            .prepare_cached(
                "UPDATE update_order SET state = ?3, moves = moves + 1, done = ?4, changed_ms = ?5,
                     starts = CASE WHEN ?6 THEN starts ELSE 0 END
                 WHERE id = ?1 AND moves = ?2 AND done = 0",
            )?
            .execute((
                from.id,
                from.moves,
                write(state),
                state.outcome().is_some(),
                now.as_millisecond(),
                same_work,
            ))?;
        Ok(moved > 0)
    }

    /// Notes that the work of an order's state begins; returns how often it was begun, this time included.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also when there is no such order.
    pub fn begin_update_work(&self, id: i64) -> Result<u32, StoreError> {
        let starts: i64 = self
            .transaction
            .prepare_cached("UPDATE update_order SET starts = starts + 1 WHERE id = ?1 RETURNING starts")?
            .query_row((id,), |row| row.get(0))?;
        Ok(row::clamp_u32(starts))
    }

    /// Keeps the last output of an order's script.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_update_output(&self, id: i64, output: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE update_order SET output = ?2 WHERE id = ?1")?
            .execute((id, output))?;
        Ok(())
    }

    /// Notes that a release with this counter was installed under `root`. The greatest counts, unless a root since then has
    /// set it back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn raise_installed_counter(
        &self,
        counter: u64,
        root: Option<&TrustedRoot>,
    ) -> Result<(), StoreError> {
        let fact = |name| -> Result<u64, StoreError> {
            let text: Option<String> = self
                .transaction
                .prepare_cached("SELECT value FROM update_fact WHERE name = ?1")?
                .query_row((name,), |row| row.get(0))
                .optional()?;
            let damaged = |_| StoreError::Damaged { what: "release counter" };
            text.map_or(Ok(0), |text| text.parse().map_err(damaged))
        };
        let (before, noted_under) = (fact(COUNTER)?, fact(COUNTER_ROOT)?);
        let before = root.map_or(before, |root| root.installed_counter(before, noted_under));
        let root = root.map_or(0, |root| root.root().version).max(noted_under);
        for (name, value) in [(COUNTER, before.max(counter)), (COUNTER_ROOT, root)] {
            // As text, since SQLite's integers end at half of ours.
            self.transaction
                .prepare_cached(
                    "INSERT INTO update_fact (name, value) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )?
                .execute((name, value.to_string()))?;
        }
        Ok(())
    }

    /// Asks for a restart of the box, whose boot id is `boot_id` until then.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn want_reboot(&self, boot_id: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO update_fact (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )?
            .execute((REBOOT, boot_id))?;
        Ok(())
    }

    /// Takes [`Change::want_reboot`] back: it happened, or could not be begun.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_reboot(&self) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM update_fact WHERE name = ?1")?.execute((REBOOT,))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::UpdateEvent;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    fn ordered(store: &mut Store, command: u8) -> bool {
        let order = NewUpdateOrder {
            package: PackageId::of(b"package"),
            target: SoftwareVersion::new("1.0.02-0").unwrap(),
            command: MessageId::from_bytes([command; 16]),
            received: Timestamp::UNIX_EPOCH,
        };
        store.change(|change| change.order_update(&order)).unwrap()
    }

    #[test]
    fn a_command_that_comes_twice_is_one_order_and_another_command_is_another() {
        let (_folder, mut store) = store();
        assert!(ordered(&mut store, 1));
        assert!(!ordered(&mut store, 1));
        assert!(ordered(&mut store, 2));
        assert_eq!(store.update_orders_open().unwrap().len(), 2);
    }

    #[test]
    fn an_order_is_moved_only_from_the_state_that_was_read() {
        let (_folder, mut store) = store();
        ordered(&mut store, 1);
        let row = store.update_orders_open().unwrap().remove(0);
        let next = row.state.clone().step(UpdateEvent::Accepted).unwrap();
        let mut moved = || store.change(|change| change.move_update(&row, &next, row.received)).unwrap();
        assert!(moved());
        assert!(!moved());
        assert_eq!(store.update_order(row.id).unwrap().unwrap().state, next);
    }

    #[test]
    fn starts_are_counted_per_state() {
        let (_folder, mut store) = store();
        ordered(&mut store, 1);
        let row = store.update_orders_open().unwrap().remove(0);
        let begin = |store: &mut Store| store.change(|change| change.begin_update_work(row.id)).unwrap();
        assert_eq!((begin(&mut store), begin(&mut store)), (1, 2));
        let next = UpdateState::Verified { wait: None };
        store.change(|change| change.move_update(&row, &next, row.received)).unwrap();
        assert_eq!(begin(&mut store), 1);
    }

    #[test]
    fn the_release_counter_never_falls() {
        let (_folder, mut store) = store();
        assert_eq!(store.installed_counter().unwrap(), 0);
        for (raise, after) in [(9, 9), (10, 10), (2, 10), (u64::MAX, u64::MAX), (11, u64::MAX)] {
            store.change(|change| change.raise_installed_counter(raise, None)).unwrap();
            assert_eq!(store.installed_counter().unwrap(), after);
        }
    }
}
