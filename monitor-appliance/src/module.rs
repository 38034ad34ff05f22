//! What the program of every module is started with.

use crate::context::Context;
use crate::settings::SettingsError;
use crate::supervisor::spawn_parent_watch;
use crate::{layout, logging};
use std::path::PathBuf;

/// Arguments of every module.
#[derive(Debug, Clone, clap::Args)]
pub struct ModuleArguments {
    /// The appliance's root directory.
    #[arg(long, env = layout::ROOT_VARIABLE, default_value = layout::ROOT_DEFAULT)]
    pub root: PathBuf,
    /// What is logged, such as `info` or `monitor_appliance=debug`.
    #[arg(long, default_value = "info")]
    pub log: String,
}

/// Arguments of a module that runs all the time.
#[derive(Debug, Clone, clap::Args)]
pub struct ResidentArguments {
    /// Those of every module.
    #[command(flatten)]
    pub module: ModuleArguments,
    /// The supervisor's process; when it is gone, this one ends too.
    #[arg(long)]
    pub parent: Option<u32>,
}

impl ModuleArguments {
    /// Begins to log, and reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn begin(&self) -> Result<Context, SettingsError> {
        logging::start(&self.log);
        Context::load(&self.root)
    }
}

impl ResidentArguments {
    /// Begins to log and to watch the supervisor, and reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn begin(&self) -> Result<Context, SettingsError> {
        self.parent.into_iter().for_each(spawn_parent_watch);
        self.module.begin()
    }
}
