//! What an install script asked the supervisor for.

use super::{Change, Store, StoreError};
use std::collections::BTreeSet;

/// Something that is to happen because a script asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptWish {
    /// All programs of the appliance start anew after the update was kept, the supervisor too.
    Restart,
    /// The box restarts after the update was kept.
    Reboot,
    /// The script is run again right after the next restart of the appliance.
    NextRestart,
    /// That it asked for it before, and so is granted it no second time.
    NextRestartGranted,
}

impl ScriptWish {
    fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reboot => "reboot",
            Self::NextRestart => "next-restart",
            Self::NextRestartGranted => "next-restart-granted",
        }
    }
}

impl Store {
    /// Names of the modules that the script of order `order` wants to stand still.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn module_stops(&self, order: i64) -> Result<BTreeSet<String>, StoreError> {
        self.stops("SELECT module FROM module_stop WHERE update_order = ?1", order)
    }

    /// Those of them that the supervisor has not seen to yet.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn module_stops_open(&self, order: i64) -> Result<BTreeSet<String>, StoreError> {
        self.stops("SELECT module FROM module_stop WHERE update_order = ?1 AND stands = 0", order)
    }

    fn stops(&self, sql: &str, order: i64) -> Result<BTreeSet<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let names = statement.query_map((order,), |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(names)
    }

    /// Whether the script of order `order` asked for `wish`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn script_wishes(&self, order: i64, wish: ScriptWish) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM script_wish WHERE update_order = ?1 AND wish = ?2")?
            .exists((order, wish.name()))?)
    }
}

impl Change<'_> {
    /// Keeps a resident module standing still for order `order`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn stop_module(&self, order: i64, module: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO module_stop (module, update_order) VALUES (?1, ?2)
                 ON CONFLICT (module) DO UPDATE SET update_order = excluded.update_order, stands = 0",
            )?
            .execute((module, order))?;
        Ok(())
    }

    /// Notes that such a module stands still.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn module_stands(&self, module: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE module_stop SET stands = 1 WHERE module = ?1")?
            .execute((module,))?;
        Ok(())
    }

    /// Takes [`Change::stop_module`] back.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn let_module_run(&self, module: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM module_stop WHERE module = ?1")?.execute((module,))?;
        Ok(())
    }

    /// Takes every [`Change::stop_module`] back: no script runs.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn let_all_modules_run(&self) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM module_stop")?.execute(())?;
        Ok(())
    }

    /// Notes what an order's script asks for.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn wish(&self, order: i64, wish: ScriptWish) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO script_wish (update_order, wish) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute((order, wish.name()))?;
        Ok(())
    }

    /// Whether the script of order `order` asked for `wish`, as [`Store::script_wishes`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_wish(&self, order: i64, wish: ScriptWish) -> Result<bool, StoreError> {
        Ok(self
            .transaction
            .prepare_cached("SELECT 1 FROM script_wish WHERE update_order = ?1 AND wish = ?2")?
            .exists((order, wish.name()))?)
    }

    /// Forgets what an order's script asked for: it runs again, or asked in vain. What was granted stays, and what
    /// orders asked that are over goes too.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_wishes(&self, order: i64) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "DELETE FROM script_wish WHERE (update_order = ?1 AND wish <> ?2)
                    OR update_order IN (SELECT id FROM update_order WHERE done = 1)",
            )?
            .execute((order, ScriptWish::NextRestartGranted.name()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_order_stopped_and_wished_is_not_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        store
            .change(|change| {
                change.stop_module(1, "watch")?;
                change.stop_module(1, "watch")?;
                change.wish(1, ScriptWish::Reboot)
            })
            .unwrap();
        let watch = BTreeSet::from(["watch".to_owned()]);
        assert_eq!(
            (store.module_stops(1).unwrap(), store.module_stops_open(1).unwrap()),
            (watch.clone(), watch.clone())
        );
        store.change(|change| change.module_stands("watch")).unwrap();
        assert_eq!(
            (store.module_stops(1).unwrap(), store.module_stops_open(1).unwrap()),
            (watch, BTreeSet::new())
        );
        assert!(store.module_stops(2).unwrap().is_empty());
        assert!(store.script_wishes(1, ScriptWish::Reboot).unwrap());
        assert!(!store.script_wishes(1, ScriptWish::Restart).unwrap());
        assert!(!store.script_wishes(2, ScriptWish::Reboot).unwrap());
        store
            .change(|change| {
                change.let_all_modules_run()?;
                change.forget_wishes(1)
            })
            .unwrap();
        assert!(store.module_stops(1).unwrap().is_empty());
        assert!(!store.script_wishes(1, ScriptWish::Reboot).unwrap());
    }
}
