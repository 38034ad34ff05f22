//! Which appliances a command is for.

use crate::cli::WrongUse;
use crate::db::Db;
use crate::db::appliances::{Appliance, Selection};
use anyhow::bail;
use clap::Args;
use mailfmt::AgentId;

/// Ids, tags or all.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Agent ids, such as AGENT0000001.
    #[arg(value_name = "AGENT")]
    pub agents: Vec<AgentId>,
    /// All appliances that have this tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// All appliances.
    #[arg(long, conflicts_with_all = ["agents", "tags"])]
    pub all: bool,
}

impl Which {
    /// The appliances that are meant, in order of their ids; at least one.
    ///
    /// # Errors
    /// When nothing was said, an id does not exist or nothing fits.
    pub fn select(&self, db: &Db) -> anyhow::Result<Vec<Appliance>> {
        if self.agents.is_empty() && self.tags.is_empty() && !self.all {
            let question = "which appliances? Give agent ids, `--tag TAG` or `--all`";
            return Err(WrongUse(question.to_owned()).into());
        }
        let selection = Selection { agents: self.agents.clone(), tags: self.tags.clone() };
        let found = db.select(&selection)?;
        if found.is_empty() {
            bail!("no appliance fits");
        }
        Ok(found)
    }
}
