//! Settings that cannot be read must not keep the supervisor from starting when an install script has left them so.

use crate::context::{Context, system_clock};
use crate::layout::Layout;
use crate::settings::{Settings, SettingsError};
use crate::store::Store;
use crate::update::{Aside, reason};
use std::path::Path;
use std::sync::Arc;

/// Reads the settings below `root` as [`Context::load`]. When they cannot be read because the power went in the middle of
/// an install script, what it changed is put back first; it begins anew then. A script that has ended has never left
/// settings that cannot be read, or its update has failed.
///
/// # Errors
/// [`SettingsError`] of the settings as they stand now.
pub fn load(root: &Path) -> Result<Context, SettingsError> {
    let first = match Context::load(root) {
        Ok(context) => return Ok(context),
        Err(error) => error,
    };
    let layout = Layout::new(root);
    // No more than a read: the store may be the next thing that is broken.
    let orders = Store::open(&layout.store_file()).and_then(|store| store.update_orders_open());
    for row in orders.unwrap_or_default() {
        match Aside::of(&layout, row.id).put_back() {
            Ok(files) if files.is_empty() => {}
            Ok(files) => {
                let reason = reason(&first);
                tracing::warn!(
                    order = row.id,
                    ?files,
                    reason,
                    "settings that cannot be read: put back what the script had changed"
                );
            }
            Err(error) => {
                tracing::error!(reason = reason(&error), "what the script changed cannot be put back");
            }
        }
    }
    let settings = Settings::load(&layout.settings_file())?;
    Ok(Context::new(layout, settings, Arc::new(system_clock)))
}
