//! `monitor-appliance device classes`.

use crate::cli::Output;
use clap::Args;
use monitor_appliance::Layout;
use monitor_appliance::faults::{CLASSES_MODULE, FaultClasses};
use std::path::{Path, PathBuf};

/// Which table.
#[derive(Debug, Args)]
pub(in crate::cli) struct ClassesArgs {
    /// A file that is to become the data module `fault-classes.csv` of a release. Default: the table in use here.
    file: Option<PathBuf>,
}

/// What a class table says.
#[derive(Debug, serde::Serialize)]
pub(in crate::cli) struct Classes {
    file: String,
    /// How many conditions it classifies.
    conditions: usize,
    /// What it says otherwise than the built-in table.
    differences: Vec<String>,
}

pub(in crate::cli) fn run(root: &Path, args: &ClassesArgs) -> anyhow::Result<Classes> {
    let built_in = FaultClasses::built_in();
    let (file, table) = match &args.file {
        Some(file) => (file.display().to_string(), FaultClasses::load(file)?.into()),
        None => {
            let folder = Layout::new(root).current();
            let table = FaultClasses::of_release(&folder)?;
            let own = folder.join(CLASSES_MODULE).exists();
            (
                if own { folder.join(CLASSES_MODULE).display().to_string() } else { "built in".to_owned() },
                table,
            )
        }
    };
    Ok(Classes { file, conditions: table.count(), differences: table.differences(&built_in) })
}

impl Output for Classes {
    fn text(&self) -> String {
        let mut text = format!("{}: {} conditions", self.file, self.conditions);
        if self.differences.is_empty() {
            return text + ", as built in\n";
        }
        text += "; otherwise than built in:\n";
        for difference in &self.differences {
            text += &format!("  {difference}\n");
        }
        text
    }
}
