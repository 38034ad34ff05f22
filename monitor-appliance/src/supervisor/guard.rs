//! A new supervisor on trial: it runs as a child of the old one, which stays what the service manager started.
//!
//! The old one is to its child what the service manager will be: it hands it a socket for its notifications
//! (`sd_notify(3)`) and wants to hear that it is ready, and then signs of life. The child starts the new release's
//! modules, judges the trial, ends its modules and tells the verdict by its exit code. Whatever else it does (it cannot
//! be started, it crashes, it hangs, it ends too early) is a failed trial. A power cut in between leads back to the old
//! supervisor, since that is the file that the service manager starts.

use super::children;
use super::plan::Patience;
use super::processes::{ROOT_MARK, kill_group, spawn_group};
use crate::update::UpdateState;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Exit code of a supervisor on trial whose release has passed.
pub const EXIT_PROVEN: u8 = 20;
/// Exit code of a supervisor on trial whose release has failed; why is stored.
pub const EXIT_NOT_PROVEN: u8 = 21;

/// Notifications read at one look.
const NOTICES_PER_LOOK: usize = 100;

/// What is known of a supervisor on trial. Times are the watching supervisor's uptime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ward<'a> {
    /// The update's stored state.
    pub state: &'a UpdateState,
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// Whether it said that it is ready.
    pub ready: bool,
    /// When it was started.
    pub since: Duration,
    /// When it was last heard.
    pub heard: Duration,
}

/// How a supervisor on trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With [`EXIT_PROVEN`].
    Proven,
    /// In any other way, said for a person.
    Otherwise(String),
}

/// What the old supervisor makes of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WardVerdict {
    /// It goes on.
    StillRunning,
    /// It has shown that it can do everything.
    Passed,
    /// The release has failed, and that is stored already.
    TakeBack,
    /// It failed itself.
    Failed {
        /// How, for a person.
        reason: String,
    },
}

/// Judges a supervisor on trial.
#[must_use]
pub fn judge_ward(ward: &Ward<'_>, patience: &Patience, now: Duration) -> WardVerdict {
    let failed = |reason: String| WardVerdict::Failed { reason: format!("the new supervisor {reason}") };
    let ran = now.saturating_sub(ward.since);
    let trial = match ward.state {
        UpdateState::OnTrial { swap, .. } | UpdateState::Swapped { swap, .. } => {
            Duration::from_secs(swap.trial_secs.into())
        }
        UpdateState::RollingBack { .. } if ward.exit.is_some() => return WardVerdict::TakeBack,
        _ => Duration::ZERO,
    };
    match &ward.exit {
        // Its word alone is not enough: it must have been there for the whole time, by our clock.
        Some(Exit::Proven) if !matches!(ward.state, UpdateState::OnTrial { .. }) || ran < trial => {
            return failed(format!("ended its trial after {} s, too early", ran.as_secs()));
        }
        Some(Exit::Proven) if !ward.ready => return failed("never said that it was ready".to_owned()),
        Some(Exit::Proven) => return WardVerdict::Passed,
        Some(Exit::Otherwise(how)) => return failed(format!("{how} during its trial")),
        None => {}
    }
    let silent = now.saturating_sub(ward.heard);
    if silent > patience.hung_after {
        return failed(format!("gave no sign of life for {} s", silent.as_secs()));
    }
    if !ward.ready && ran > patience.hung_after {
        return failed(format!("was not ready after {} s", ran.as_secs()));
    }
    let longest = patience.proof_wait.max(patience.mail_return_wait).saturating_add(patience.hung_after);
    if ran > trial.saturating_add(longest.saturating_mul(2)) {
        return failed(format!("came to no end within {} s", ran.as_secs()));
    }
    WardVerdict::StillRunning
}

/// A supervisor on trial, as a child process.
#[derive(Debug)]
pub(super) struct Guard {
    /// The update that it is part of.
    pub(super) order: i64,
    child: Child,
    ear: UnixDatagram,
    socket: PathBuf,
    exit: Option<Exit>,
    ready: bool,
    since: Duration,
    heard: Duration,
}

impl Guard {
    /// Starts `file` as the supervisor of the appliance at `root`, for the trial of update `order`.
    ///
    /// # Errors
    /// When it cannot be started, or no socket be made for it.
    pub(super) fn start(
        file: &Path,
        root: &Path,
        order: i64,
        patience: &Patience,
        now: Duration,
    ) -> std::io::Result<Self> {
        let socket = root.join("supervisor.notify");
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let ear = UnixDatagram::bind(&socket)?;
        ear.set_nonblocking(true)?;
        let mut command = Command::new(file);
        command
            .arg("--root")
            .arg(root)
            .args(["--on-trial", &order.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .env(ROOT_MARK, root)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", patience.hung_after.as_micros().to_string())
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null());
        let child = spawn_group(&mut command)?;
        Ok(Self { order, child, ear, socket, exit: None, ready: false, since: now, heard: now })
    }

    /// Hears what it says, sees whether it has ended, and judges.
    pub(super) fn look(&mut self, state: &UpdateState, patience: &Patience, now: Duration) -> WardVerdict {
        let mut notice = [0; 4096];
        for _ in 0..NOTICES_PER_LOOK {
            let Ok(count) = self.ear.recv(&mut notice) else { break };
            let text = String::from_utf8_lossy(notice.get(..count).unwrap_or_default());
            for line in text.lines() {
                match line {
                    "READY=1" => (self.ready, self.heard) = (true, now),
                    "WATCHDOG=1" => self.heard = now,
                    _ => {}
                }
            }
        }
        if self.exit.is_none() {
            self.exit = match self.child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) if status.code() == Some(EXIT_PROVEN.into()) => Some(Exit::Proven),
                Ok(Some(status)) => Some(Exit::Otherwise(children::how(status))),
                Err(error) => Some(Exit::Otherwise(format!("was lost: {error}"))),
            };
        }
        let (ready, since, heard) = (self.ready, self.since, self.heard);
        judge_ward(&Ward { state, exit: self.exit.clone(), ready, since, heard }, patience, now)
    }

    /// Asks it to end, with its modules, and waits for that; what is left of it is killed.
    pub(super) fn end(self, grace: Duration) {
        let _ = std::fs::remove_file(&self.socket);
        match self.exit {
            // Its children end with it.
            Some(_) => kill_group(self.child.id()),
            None => children::stop(vec![self.child], grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{Expected, Swap};
    use jiff::Timestamp;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn judged(state: &UpdateState, exit: Option<Exit>, ready: bool, heard: u64, now: u64) -> WardVerdict {
        let ward = Ward { state, exit, ready, since: secs(0), heard: secs(heard) };
        judge_ward(&ward, &Patience::default(), secs(now))
    }

    fn on_trial() -> UpdateState {
        UpdateState::OnTrial {
            swap: Swap::sample(),
            expected: Expected::default(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_the_whole_trial_with_the_right_ending_is_a_success() {
        assert_eq!(judged(&on_trial(), Some(Exit::Proven), true, 29, 30), WardVerdict::Passed);
        let too_early = judged(&on_trial(), Some(Exit::Proven), true, 29, 29);
        assert!(matches!(too_early, WardVerdict::Failed { reason } if reason.contains("too early")));
        assert!(matches!(judged(&on_trial(), Some(Exit::Proven), false, 0, 30), WardVerdict::Failed { .. }));
        let swapped = UpdateState::Swapped { swap: Swap::sample(), expected: Expected::default() };
        assert!(matches!(judged(&swapped, Some(Exit::Proven), true, 0, 99), WardVerdict::Failed { .. }));
        let exit = Exit::Otherwise("ended with exit code 0".into());
        let reason = "the new supervisor ended with exit code 0 during its trial".to_owned();
        assert_eq!(judged(&on_trial(), Some(exit), true, 30, 31), WardVerdict::Failed { reason });
    }

    #[test]
    fn silence_and_never_being_ready_are_failures() {
        assert_eq!(judged(&on_trial(), None, true, 0, 120), WardVerdict::StillRunning);
        let reason = "the new supervisor gave no sign of life for 121 s".to_owned();
        assert_eq!(judged(&on_trial(), None, true, 0, 121), WardVerdict::Failed { reason });
        let reason = "the new supervisor was not ready after 121 s".to_owned();
        assert_eq!(judged(&on_trial(), None, false, 100, 121), WardVerdict::Failed { reason });
    }

    #[test]
    fn a_verdict_that_is_stored_is_waited_out_and_followed() {
        let state = UpdateState::RollingBack { swap: Swap::sample(), reason: "crash".into() };
        assert_eq!(judged(&state, None, true, 10, 11), WardVerdict::StillRunning);
        let exit = Exit::Otherwise("ended with exit code 21".into());
        assert_eq!(judged(&state, Some(exit), true, 10, 11), WardVerdict::TakeBack);
    }

    #[test]
    fn a_trial_without_end_has_one() {
        let patience = Patience::default();
        let ends = 30 + 2 * (patience.mail_return_wait + patience.hung_after).as_secs();
        assert_eq!(judged(&on_trial(), None, true, ends, ends), WardVerdict::StillRunning);
        assert!(matches!(judged(&on_trial(), None, true, ends, ends + 1), WardVerdict::Failed { .. }));
    }
}
