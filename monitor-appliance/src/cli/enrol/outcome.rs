//! What an enrolment came to, for people and for programs.

use super::super::Output;
use super::super::table::clean;
use super::waiting::span;
use mailfmt::trust::RootFingerprint;
use monitor_appliance::Settings;
use monitor_appliance::enrolment::{Attempt, Installed, Stage};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Enrolled,
    NotAnswered,
    AlreadyEnrolled,
}

/// The result.
#[derive(Debug, serde::Serialize)]
pub(in super::super) struct Enrolled {
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    center: Option<String>,
    center_address: String,
    /// The center's newest root, for a person to compare with the sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_fingerprint: Option<RootFingerprint>,
    /// Devices registered.
    devices: usize,
    /// Things that a person typed.
    typed: u32,
    seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    written: Vec<PathBuf>,
    /// What to do next.
    next: String,
}

impl Enrolled {
    pub(super) fn admitted(root: &Path, installed: Installed) -> Self {
        let mut remarks = installed.remarks;
        remarks.extend(
            installed
                .done
                .left_alone
                .iter()
                .map(|setting| format!("the center's first setting {setting} cannot be; left as it is")),
        );
        Self {
            state: State::Enrolled,
            agent: Some(installed.agent),
            center: Some(installed.center),
            center_address: installed.center_address,
            root_fingerprint: installed.root_fingerprint,
            devices: 0,
            typed: 0,
            seconds: 0.0,
            remarks,
            written: installed.done.written,
            next: format!(
                "{root}/current/supervisor --root {root} runs the appliance; `monitor-appliance --root {root} doctor` says whether everything works",
                root = root.display()
            ),
        }
    }

    pub(super) fn unanswered(attempt: &Attempt, waited_secs: u64) -> Self {
        let center_address = attempt.order().center_address.clone();
        let waited = span(Duration::from_secs(waited_secs));
        let next = match attempt.stage() {
            Stage::Greeting => format!(
                "{center_address} has not answered within {waited}. Perhaps the code has expired, was revoked or is used up, or is of \
                 another center than this address: `center-manager enrol list` shows it at the center. Perhaps its mail is only slow. \
                 Nothing is lost: `monitor-appliance enrol --resume` waits on, `monitor-appliance enrol --restart` begins with another code"
            ),
            Stage::Registering { .. } | Stage::Admitted { .. } => format!(
                "{center_address} knows the code, but has not admitted this box within {waited}. `center-manager enrol list` at the center \
                 says why, if there is a reason; else its mail is only slow. `monitor-appliance enrol --resume` waits on"
            ),
        };
        Self {
            state: State::NotAnswered,
            agent: None,
            center: None,
            center_address,
            root_fingerprint: None,
            devices: 0,
            typed: 0,
            seconds: 0.0,
            remarks: Vec::new(),
            written: Vec::new(),
            next,
        }
    }

    pub(super) fn already(settings: &Settings) -> Self {
        Self {
            state: State::AlreadyEnrolled,
            agent: Some(settings.agent.to_string()),
            center: Some(settings.center.to_string()),
            center_address: settings.center_address.clone(),
            root_fingerprint: None,
            devices: settings.devices.len(),
            typed: 0,
            seconds: 0.0,
            remarks: Vec::new(),
            written: Vec::new(),
            next: "nothing was done; --replace enrols this box anew".to_owned(),
        }
    }

    pub(super) fn with(mut self, devices: usize, typed: u32, took: Duration) -> Self {
        (self.devices, self.typed, self.seconds) = (devices, typed, took.as_secs_f64());
        self
    }
}

impl Output for Enrolled {
    fn text(&self) -> String {
        let mut text = match (self.state, &self.agent, &self.center) {
            (State::Enrolled, Some(agent), Some(center)) => format!(
                "enrolled as {agent} of center {center} ({}) with {} devices, {} s after the start\n",
                clean(&self.center_address),
                self.devices,
                self.seconds.round()
            ),
            (State::AlreadyEnrolled, Some(agent), Some(center)) => {
                format!("this box is {agent} of center {center} already\n")
            }
            _ => "not enrolled yet\n".to_owned(),
        };
        if let Some(roots) = self.root_fingerprint {
            text += &format!(
                "roots {roots}: the sheet shows the same; if not, somebody else has answered: switch this box off and call the center\n"
            );
        }
        for remark in &self.remarks {
            text += &format!("note: {}\n", clean(remark));
        }
        text + &format!("\nNext: {}.\n", clean(&self.next))
    }
}
