//! `monitor-appliance device history`: what happened to the devices of this site; `device computers`: how its computers fare.

use crate::cli::Output;
use crate::cli::table::{clean, table, time};
use mailfmt::message::census::{ComputerState, DeviceEvent};
use monitor_appliance::Context;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HistoryArguments {
    /// The newest so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    most: usize,
}

/// What happened, newest first.
#[derive(Debug, serde::Serialize)]
pub(in crate::cli) struct History {
    events: Vec<DeviceEvent>,
}

/// The computers by their addresses.
#[derive(Debug, serde::Serialize)]
pub(in crate::cli) struct Computers {
    computers: Vec<ComputerState>,
}

pub(in crate::cli) fn history(context: &Context, arguments: &HistoryArguments) -> anyhow::Result<History> {
    Ok(History { events: context.open_store()?.device_history(arguments.most)? })
}

pub(in crate::cli) fn computers(context: &Context) -> anyhow::Result<Computers> {
    Ok(Computers { computers: context.open_store()?.computers()? })
}

impl Output for History {
    fn text(&self) -> String {
        if self.events.is_empty() {
            return "Nothing has happened to devices yet.\n".to_owned();
        }
        let rows = self.events.iter().map(|event| {
            let device = event.device.as_ref().map_or_else(|| "not told".to_owned(), ToString::to_string);
            let before = event.before.clone().unwrap_or_default();
            [time(Some(event.at)), event.event.clone(), clean(&device), event.address.clone(), clean(&before)]
        });
        table(["time", "event", "device", "address", "before"], rows) + "\n"
    }
}

impl Output for Computers {
    fn text(&self) -> String {
        if self.computers.is_empty() {
            return "No computer is watched: `others = true` in a range of the settings watches them.\n"
                .to_owned();
        }
        let rows = self.computers.iter().map(|computer| {
            let name = computer.name.as_deref().map_or_else(|| "-".to_owned(), clean);
            let load = computer.load_percent.map_or_else(|| "-".to_owned(), |load| format!("{load} %"));
            let applications: Vec<String> = computer
                .applications
                .iter()
                .map(|application| {
                    format!("{} ({}) {}", application.name, application.rule, application.running)
                })
                .collect();
            [
                computer.address.clone(),
                name,
                time(Some(computer.at)),
                load,
                time(computer.started),
                computer.restarts.to_string(),
                clean(&applications.join(", ")),
            ]
        });
        let names =
            ["address", "computer", "read", "load", "running since", "restarts", "applications running"];
        table(names, rows) + "\n"
    }
}
