//! `monitor-appliance update`: a package from a stick or a file.

use super::{Code, Output};
use anyhow::{Context as _, bail};
use dialoguer::Confirm;
use indicatif::{ProgressBar, ProgressStyle};
use mailfmt::MessageId;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::inspect;
use monitor_appliance::Context;
use monitor_appliance::context::system_random;
use monitor_appliance::health::running_version;
use monitor_appliance::release::create_folder;
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::store::{NewUpdateOrder, Store, UpdateOrderRow};
use monitor_appliance::supervisor::processes::exists;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the store is looked at for progress.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The package file, as the center builds and signs it.
    file: PathBuf,
    /// Permit to go back to an older release, as `center-manager package permit` writes it.
    #[arg(long, value_name = "FILE")]
    permit: Option<PathBuf>,
    /// Begin without asking.
    #[arg(long, short)]
    yes: bool,
    /// Do not wait for the end; `monitor-appliance status` shows it.
    #[arg(long)]
    no_wait: bool,
    /// Minutes to wait for the end.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, conflicts_with = "no_wait")]
    wait_minutes: u64,
}

/// What became of it.
#[derive(Debug, serde::Serialize)]
pub(super) struct Updated {
    package: String,
    from: String,
    to: String,
    #[serde(flatten)]
    outcome: Option<UpdateOutcome>,
    /// The end of the install script's output.
    #[serde(skip_serializing_if = "String::is_empty")]
    output: String,
    /// What stands in the way of a beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// Files the package and the order, as mail-agent does with one that came by mail; from there on it is the same.
pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<(Updated, Code)> {
    let octets = read(&arguments.file, context.settings.limits.package_octets)?;
    let inspection = inspect(&octets, &context.settings.limits)
        .with_context(|| format!("{} is no package", arguments.file.display()))?;
    let permit = arguments.permit.as_deref().map(|file| read(file, 1 << 20)).transpose()?;
    let from = running_version(context);
    let target = inspection.manifest.target.clone();
    if !arguments.yes && !agreed(&format!("Install version {target} in the place of {from}?"))? {
        bail!("nothing was done");
    }

    let layout = &context.layout;
    create_folder(&layout.packages_dir())?;
    replace_file(&layout.package_file(&inspection.id), &octets, 0o600)?;
    if let Some(permit) = permit {
        replace_file(&layout.permit_file(&inspection.id), &permit, 0o600)?;
    }
    let order = NewUpdateOrder {
        package: inspection.id,
        target: target.clone(),
        command: MessageId::generate(&mut system_random),
        received: context.now(),
    };
    let mut store = context.open_store()?;
    store.change(|change| change.order_update_by_hand(&order))?;

    let mut updated = Updated {
        package: inspection.id.to_string(),
        from: from.to_string(),
        to: target.to_string(),
        outcome: None,
        output: String::new(),
        note: None,
    };
    if !supervised(&store)? {
        updated.note = Some("the supervisor does not run; it installs the package when it is started");
        return Ok((updated, Code::Partly));
    }
    if arguments.no_wait {
        return Ok((updated, Code::Partly));
    }
    let end = wait(&store, order.command, Duration::from_secs(60 * arguments.wait_minutes))?;
    let code = match &end {
        Some(row) if row.state.outcome() == Some(UpdateOutcome::Installed) => Code::Done,
        Some(row) if row.state.outcome().is_some() => Code::Failed,
        _ => Code::Partly,
    };
    if let Some(row) = end {
        updated.outcome = row.state.outcome();
        updated.output = row.output;
    }
    Ok((updated, code))
}

fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let cap = u64::try_from(limit)?.saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(cap).read_to_end(&mut octets))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if octets.len() > limit {
        bail!("{} has more than the {limit} octets allowed", path.display());
    }
    Ok(octets)
}

fn agreed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody is there to ask; add --yes to begin without being asked");
    }
    Ok(Confirm::new().with_prompt(question).default(false).interact()?)
}

fn supervised(store: &Store) -> anyhow::Result<bool> {
    let beats = store.heartbeats()?;
    // The resident modules give signs of life, and run only below the supervisor.
    Ok(beats.iter().any(|beat| exists(beat.pid)))
}

/// Follows the order to its end; its last row, `None` when there is none.
fn wait(store: &Store, command: MessageId, limit: Duration) -> anyhow::Result<Option<UpdateOrderRow>> {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(LOOK);
    let deadline = Instant::now() + limit;
    loop {
        let row = store.update_order_of(command)?;
        if let Some(row) = &row {
            bar.set_message(row.state.in_words());
            if row.state.outcome().is_some() {
                bar.finish_and_clear();
                return Ok(Some(row.clone()));
            }
        }
        if Instant::now() >= deadline {
            bar.finish_and_clear();
            return Ok(row);
        }
        std::thread::sleep(LOOK);
    }
}

impl Output for Updated {
    fn text(&self) -> String {
        let line = match &self.outcome {
            Some(UpdateOutcome::Installed) => {
                format!("version {} is installed and has passed its trial; it is reported by mail", self.to)
            }
            Some(UpdateOutcome::Refused { reason }) => {
                format!("refused, and version {} goes on: {reason}", self.from)
            }
            Some(UpdateOutcome::Undone { reason }) => {
                format!("undone, and version {} runs again: {reason}", self.from)
            }
            Some(UpdateOutcome::Waiting { reason }) => format!("waits: {reason}"),
            None => match self.note {
                Some(note) => format!("ordered: {note}"),
                None => "ordered; `monitor-appliance status` shows how far it came".to_owned(),
            },
        };
        if self.output.is_empty() { line + "\n" } else { format!("{line}\n\n{}\n", self.output.trim_end()) }
    }
}
