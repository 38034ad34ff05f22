//! Which appliances a command is for.

use crate::cli::WrongUse;
use crate::db::appliances::Appliance;
use crate::db::{Db, DbError};
use crate::selection::{Selection, ids_from_list};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use mailfmt::{AgentId, SoftwareVersion};
use std::path::PathBuf;

/// Largest list of ids, in octets: a hundred thousand of them with a few words each.
const LIST_OCTETS_MAX: u64 = 32 << 20;

/// Ids, tags, a list, a saved search, or all; narrowed down.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// Agent ids, such as AGENT0000001.
    #[arg(value_name = "AGENT")]
    pub agents: Vec<AgentId>,
    /// All appliances that have this tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Those named in this file: an id in each line, or CSV with a column `agent`; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Those that this saved search finds; `query save` saves one.
    #[arg(long, value_name = "NAME")]
    pub query: Option<String>,
    /// Only those of this customer; may be given several times.
    #[arg(long = "customer", value_name = "NAME")]
    pub customers: Vec<String>,
    /// Only those that run this version, as far as it is known; may be given several times.
    #[arg(long = "running", value_name = "VERSION")]
    pub running: Vec<SoftwareVersion>,
    /// Only those on this kind of hardware; may be given several times.
    #[arg(long = "hardware", value_name = "KIND")]
    pub hardware: Vec<String>,
    /// All appliances.
    #[arg(long, conflicts_with_all = ["agents", "tags", "list", "query"])]
    pub all: bool,
}

impl Which {
    /// What was said, with lists and saved searches looked up.
    ///
    /// # Errors
    /// A list that cannot be read or has no ids, or a search that was not saved.
    pub fn selection(&self, db: &Db) -> anyhow::Result<Selection> {
        let mut selection = Selection {
            agents: self.agents.iter().cloned().collect(),
            tags: self.tags.clone(),
            customers: self.customers.clone(),
            running: self.running.clone(),
            hardware: self.hardware.clone(),
        };
        if let Some(path) = &self.list {
            let text = read_list(path)?;
            let ids = ids_from_list(&text)
                .with_context(|| format!("{} is no list of appliances", path.display()))?;
            selection.agents.extend(ids);
        }
        if let Some(name) = &self.query {
            let saved = db.query(name)?.ok_or_else(|| {
                anyhow!("there is no saved search {name:?}; `center-manager query list` shows those that there are")
            })?;
            selection = selection.with(saved);
        }
        Ok(selection)
    }

    /// The appliances that are meant, in order of their ids; at least one.
    ///
    /// # Errors
    /// When nothing was said, an id does not exist or is suspended, or nothing fits. Suspended appliances that were not
    /// named are left out.
    pub fn select(&self, db: &Db) -> anyhow::Result<Vec<Appliance>> {
        let selection = self.selection(db)?;
        if selection.is_empty() && !self.all {
            let question =
                "which appliances? Give agent ids, `--tag TAG`, `--list FILE`, `--query NAME` or `--all`";
            return Err(WrongUse(question.to_owned()).into());
        }
        let mut found = db.select(&selection)?;
        let suspended = |appliance: &Appliance| appliance.suspension.is_some();
        if let Some(named) =
            found.iter().find(|appliance| suspended(appliance) && self.agents.contains(&appliance.agent))
        {
            return Err(DbError::Suspended { agent: named.agent.clone() }.into());
        }
        found.retain(|appliance| !suspended(appliance));
        if found.is_empty() {
            bail!("no appliance fits: {}", selection.in_words());
        }
        Ok(found)
    }
}

fn read_list(path: &PathBuf) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(LIST_OCTETS_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LIST_OCTETS_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
