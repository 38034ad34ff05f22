//! Which appliances a command is for.

use crate::cli::WrongUse;
use crate::db::appliances::{Appliance, Selection};
use crate::db::{Db, DbError};
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
    /// When nothing was said, an id does not exist or is suspended, or nothing fits. Suspended appliances that were not
    /// named are left out.
    pub fn select(&self, db: &Db) -> anyhow::Result<Vec<Appliance>> {
        if self.agents.is_empty() && self.tags.is_empty() && !self.all {
            let question = "which appliances? Give agent ids, `--tag TAG` or `--all`";
            return Err(WrongUse(question.to_owned()).into());
        }
        let selection = Selection { agents: self.agents.clone(), tags: self.tags.clone() };
        let mut found = db.select(&selection)?;
        let suspended = |appliance: &Appliance| appliance.suspension.is_some();
        if let Some(named) =
            found.iter().find(|appliance| suspended(appliance) && self.agents.contains(&appliance.agent))
        {
            return Err(DbError::Suspended { agent: named.agent.clone() }.into());
        }
        found.retain(|appliance| !suspended(appliance));
        if found.is_empty() {
            bail!("no appliance fits");
        }
        Ok(found)
    }
}
