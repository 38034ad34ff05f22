//! `center-manager query`.

use super::print::{self, Format};
use super::which::Which;
use super::{Context, Exit, WrongUse};
use crate::report::minute;
use crate::system::now;
use clap::{Args, Subcommand};
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// Save a search for appliances under a name, for `--query NAME`; it finds anew each time.
    Save(SaveArgs),
    /// List the saved searches and how many appliances each finds now.
    List(ListArgs),
    /// Forget a saved search.
    Remove(RemoveArgs),
}

/// Name and search.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Its name.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Which appliances.
    #[command(flatten)]
    pub which: Which,
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its name.
    pub name: String,
}

const NAME_CHARS_MAX: usize = 100;

pub(super) fn run(command: &QueryCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    match command {
        QueryCommand::Save(args) => {
            let name = args.name.trim();
            if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
                return Err(WrongUse(format!("a name has 1 to {NAME_CHARS_MAX} characters")).into());
            }
            let selection = args.which.selection(&db)?;
            let found = db.select(&selection)?.len();
            db.save_query(name, &selection, now())?;
            writeln!(out, "{name}: {}; {found} appliances now", selection.in_words())?;
        }
        QueryCommand::List(args) => {
            let queries = db.queries()?;
            let appliances = db.appliances()?;
            let found = |query: &crate::db::queries::SavedQuery| {
                appliances.iter().filter(|appliance| query.selection.means(appliance)).count()
            };
            match args.format {
                Format::Json => print::json(out, &queries)?,
                Format::Text => {
                    let rows = queries.iter().map(|query| {
                        vec![
                            query.name.clone(),
                            query.selection.in_words(),
                            found(query).to_string(),
                            minute(query.saved),
                        ]
                    });
                    print::table(out, &["name", "search", "appliances", "saved"], rows)?;
                }
            }
        }
        QueryCommand::Remove(args) => {
            if !db.forget_query(&args.name)? {
                anyhow::bail!(
                    "there is no saved search {:?}; `center-manager query list` shows those that there are",
                    args.name
                );
            }
            writeln!(out, "{} is forgotten", args.name)?;
        }
    }
    Ok(Exit::Done)
}
