//! The supervisor's child processes.

use super::processes::{PACKAGE_MARK, ROOT_MARK, kill_group, kill_marked, spawn_group, terminate_group};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long what an earlier supervisor left running is hunted.
const LEFTOVERS_MAX: Duration = Duration::from_secs(5);

/// Starts a module's program for the appliance at `root`, marked as ours.
///
/// # Errors
/// As [`Command::spawn`].
pub(super) fn start(file: &Path, root: &Path, arguments: &[&str]) -> std::io::Result<Child> {
    let mut command = Command::new(file);
    command.arg("--root").arg(root).args(arguments).env(ROOT_MARK, root).stdin(Stdio::null());
    // Only the supervisor speaks to the service manager.
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].iter().for_each(|name| {
        command.env_remove(name);
    });
    spawn_group(&mut command)
}

/// Asks all to end, gives them `grace`, kills what is left of their groups and waits for their end.
pub(super) fn stop(children: Vec<Child>, grace: Duration) {
    let mut running = children;
    let groups: Vec<u32> = running.iter().map(Child::id).collect();
    groups.iter().for_each(|group| terminate_group(*group));
    let begun = Instant::now();
    while begun.elapsed() < grace {
        running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if running.is_empty() {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // Also of the groups whose leader has ended.
    groups.iter().for_each(|group| kill_group(*group));
    for mut child in running {
        // Killed: this returns at once.
        let _ = child.wait();
    }
}

/// Ends what an earlier supervisor of the same root left running: modules, and an install script with its children.
/// Returns how many processes that were.
pub(super) fn end_leftovers(root: &Path, updates: &Path) -> usize {
    let modules = kill_marked(ROOT_MARK, root, LEFTOVERS_MAX);
    let folders = std::fs::read_dir(updates).into_iter().flatten().flatten();
    let scripts = folders.map(|folder| kill_marked(PACKAGE_MARK, &folder.path(), LEFTOVERS_MAX));
    modules.saturating_add(scripts.sum())
}

/// How a process ended, for a person.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A module that is run on demand, one at a time.
#[derive(Debug)]
pub(super) struct Job {
    /// The module's name.
    pub(super) module: &'static str,
    /// Time after which it is killed.
    limit: Duration,
    run: Option<(Child, Duration)>,
    failures: u32,
    rest_until: Duration,
}

impl Job {
    /// One that does not run.
    pub(super) fn new(module: &'static str, limit: Duration) -> Self {
        Self { module, limit, run: None, failures: 0, rest_until: Duration::ZERO }
    }

    /// Whether it runs, or rests after a failure.
    pub(super) fn is_occupied(&self, now: Duration) -> bool {
        self.run.is_some() || now < self.rest_until
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// After it was started, or could not be.
    pub(super) fn started(&mut self, child: std::io::Result<Child>, now: Duration) {
        match child {
            Ok(child) => self.run = Some((child, now)),
            Err(error) => {
                tracing::error!(module = self.module, %error, "cannot be started");
                self.failed(now);
            }
        }
    }

    fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let pause = Duration::from_secs(1 << self.failures.saturating_sub(1).min(8));
        self.rest_until = now.saturating_add(pause);
    }

    /// Looks whether it has ended; kills it when it takes too long.
    pub(super) fn look(&mut self, now: Duration) {
        let Some((child, begun)) = &mut self.run else { return };
        let too_long = now.saturating_sub(*begun) > self.limit;
        if too_long {
            kill_group(child.id());
        }
        match child.try_wait() {
            Ok(None) if !too_long => {}
            Ok(Some(status)) if status.success() => {
                (self.run, self.failures) = (None, 0);
            }
            Ok(Some(status)) => {
                tracing::warn!(module = self.module, "{}", how(status));
                self.run = None;
                self.failed(now);
            }
            Ok(None) | Err(_) => {
                tracing::error!(module = self.module, "took too long and was killed");
                // Killed: this returns at once.
                let _ = child.wait();
                self.run = None;
                self.failed(now);
            }
        }
    }

    /// Its child, when it is to be stopped.
    pub(super) fn take_child(&mut self) -> Option<Child> {
        self.run.take().map(|(child, _)| child)
    }
}
