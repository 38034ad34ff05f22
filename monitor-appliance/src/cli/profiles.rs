//! `monitor-appliance profiles`: device profiles for whoever writes them, and which are in use.

use super::table::table;
use super::{Code, Output};
use anyhow::Context as _;
use monitor_appliance::Layout;
use monitor_appliance::profile::{Profile, ProfileError, Profiles, edge};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read profiles and say what is wrong with them, with file and line.
    Check {
        /// Files called NAME.toml, bundles, or folders of files; the profiles in use here without any.
        files: Vec<PathBuf>,
    },
    /// List the profiles in use.
    List,
    /// Show one profile as it is in use.
    Show {
        /// The name of its file, without `.toml`.
        name: String,
    },
    /// Write all files of a folder as one bundle to standard output: the data module `profiles` of a release.
    Bundle {
        /// The folder; without one, the profiles that this program carries.
        folder: Option<PathBuf>,
    },
}

/// What was found out.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Shown {
    Checked { checked: Vec<String>, mistakes: Vec<String> },
    Listed { origin: String, profiles: Vec<Line> },
    Text { text: String },
}

/// A profile in the list.
#[derive(Debug, serde::Serialize)]
pub(super) struct Line {
    name: String,
    vendor: Option<String>,
    counter_rules: usize,
    objects: usize,
    columns: usize,
}

impl Line {
    fn of(profile: &Profile) -> Self {
        Self {
            name: profile.name().to_owned(),
            vendor: profile.vendor().map(str::to_owned),
            counter_rules: profile.counter_rules(),
            objects: profile.wanted().scalars.len(),
            columns: profile.wanted().columns.len(),
        }
    }
}

pub(super) fn run(root: &Path, command: &Command) -> anyhow::Result<(Shown, Code)> {
    let layout = Layout::new(root);
    let (in_use, origin) = edge::in_use(&layout);
    let shown = match command {
        Command::Check { files } if files.is_empty() => {
            let checked = in_use.iter().map(|profile| format!("{}.toml", profile.name())).collect();
            let mistakes = match origin {
                edge::Origin::Fallback(error) => vec![chain(&error)],
                edge::Origin::Release | edge::Origin::BuiltIn => Vec::new(),
            };
            Shown::Checked { checked, mistakes }
        }
        Command::Check { files } => check(files),
        Command::List => Shown::Listed {
            origin: match &origin {
                edge::Origin::Release => format!("module {} of the running release", edge::MODULE),
                edge::Origin::BuiltIn => "carried by this program".to_owned(),
                edge::Origin::Fallback(error) => {
                    format!("carried by this program, as the release's cannot be used: {}", chain(error))
                }
            },
            profiles: in_use.iter().map(Line::of).collect(),
        },
        Command::Show { name } => {
            let wanted = name.strip_suffix(".toml").unwrap_or(name);
            let found = in_use.iter().find(|profile| profile.name() == wanted);
            let found = found
                .with_context(|| format!("no profile is called {wanted}; `profiles list` names them"))?;
            Shown::Text { text: found.text().to_owned() }
        }
        Command::Bundle { folder } => Shown::Text {
            text: match folder {
                Some(folder) => edge::bundle(folder)?,
                None => Profiles::built_in_bundle().to_owned(),
            },
        },
    };
    let code = match &shown {
        Shown::Checked { mistakes, .. } if !mistakes.is_empty() => Code::Failed,
        _ => Code::Done,
    };
    Ok((shown, code))
}

/// Each file by itself, so that all mistakes are told and not only the first.
fn check(files: &[PathBuf]) -> Shown {
    let (mut checked, mut mistakes) = (Vec::new(), Vec::new());
    let mut note = |result: Result<Vec<String>, ProfileError>| match result {
        Ok(names) => checked.extend(names),
        Err(error) => mistakes.push(chain(&error)),
    };
    for path in files {
        if path.is_dir() {
            match edge::files(path) {
                Ok(files) => files.iter().for_each(|file| note(one(file))),
                Err(error) => note(Err(error)),
            }
        } else {
            note(one(path));
        }
    }
    Shown::Checked { checked, mistakes }
}

fn one(path: &Path) -> Result<Vec<String>, ProfileError> {
    if path.extension().is_some_and(|end| end == "toml") {
        return Ok(vec![format!("{}.toml", edge::read_file(path)?.name())]);
    }
    let profiles = edge::read_bundle(path)?;
    Ok(profiles.iter().map(|profile| format!("{}.toml", profile.name())).collect())
}

fn chain(error: &ProfileError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Output for Shown {
    fn text(&self) -> String {
        match self {
            Self::Checked { checked, mistakes } if mistakes.is_empty() => {
                format!("{} profiles, no mistakes: {}\n", checked.len(), checked.join(" "))
            }
            Self::Checked { mistakes, .. } => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
            Self::Listed { origin, profiles } => {
                let row = |line: &Line| {
                    [
                        line.name.clone(),
                        line.vendor.clone().unwrap_or_else(|| "-".to_owned()),
                        line.counter_rules.to_string(),
                        line.objects.to_string(),
                        line.columns.to_string(),
                    ]
                };
                let head = ["profile", "maker", "rules for counters", "objects", "columns"];
                format!("{origin}\n{}", table(head, profiles.iter().map(row)))
            }
            Self::Text { text } => text.clone(),
        }
    }
}
