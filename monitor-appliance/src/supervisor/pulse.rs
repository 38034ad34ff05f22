//! The supervisor's own signs of life: to the service manager and to the box's hardware watchdog.
//!
//! They are given only while the supervisor can do its work: its loop goes on and the store can be used. When they stay
//! away, the service manager starts it anew, and the watchdog restarts the box.

use crate::settings::WatchdogSettings;
use sd_notify::NotifyState;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// Time between two writes to the hardware watchdog; the shortest usual time limit of one is 10 s.
const HARDWARE_EVERY: Duration = Duration::from_secs(3);
/// How long the store may be unusable before the signs of life end: then a restart is the better chance.
const UNSOUND_MAX: Duration = Duration::from_secs(300);
/// Any octet but the one that switches the watchdog off.
const ALIVE: &[u8] = b"1";
/// Switches the watchdog off when the device is closed (the kernel's `Documentation/watchdog/watchdog-api.rst`).
const MAGIC_CLOSE: &[u8] = b"V";

/// The two listeners, where there are any.
#[derive(Debug)]
pub(super) struct Pulse {
    hardware: Option<File>,
    hardware_beat: Option<Duration>,
    /// Time between two signs of life that the service manager wants; `None`: it wants none.
    manager_every: Option<Duration>,
    manager_beat: Option<Duration>,
    ready: bool,
    sound: Duration,
    status: String,
}

impl Pulse {
    /// Opens the hardware watchdog of the settings, which from then on wants its signs of life. `None` for a supervisor
    /// on trial: the one before it keeps the device.
    pub(super) fn open(settings: Option<&WatchdogSettings>) -> Self {
        let device = settings.and_then(|settings| settings.device.as_ref());
        let hardware = device.and_then(|path| {
            // A pipe in place of the device must not hold the appliance up.
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
            opened
                .map_err(|error| tracing::error!(path = %path.display(), %error, "no hardware watchdog"))
                .ok()
        });
        Self {
            hardware,
            hardware_beat: None,
            manager_every: sd_notify::watchdog_enabled().map(|limit| limit / 3),
            manager_beat: None,
            ready: false,
            sound: Duration::ZERO,
            status: String::new(),
        }
    }

    /// The supervisor came by, with the store in use or not. `now` is its uptime.
    pub(super) fn beat(&mut self, sound: bool, now: Duration) {
        if sound {
            self.sound = now;
        }
        if !is_sound(self.sound, now) {
            return;
        }
        if is_due(self.hardware_beat, HARDWARE_EVERY, now)
            && let Some(device) = &mut self.hardware
        {
            self.hardware_beat = Some(now);
            if let Err(error) = device.write_all(ALIVE) {
                tracing::error!(%error, "the hardware watchdog takes no sign of life");
            }
        }
        if let Some(every) = self.manager_every
            && is_due(self.manager_beat, every, now)
        {
            self.manager_beat = Some(now);
            notify(&[NotifyState::Watchdog]);
        }
    }

    /// The modules were started.
    pub(super) fn ready(&mut self) {
        if !self.ready {
            self.ready = true;
            notify(&[NotifyState::Ready]);
        }
    }

    /// What the supervisor is at, for whoever asks the service manager.
    pub(super) fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            notify(&[NotifyState::Status(status)]);
        }
    }

    /// The supervisor ends because it was asked to: nobody is to wait for signs of life any more.
    pub(super) fn end(self) {
        notify(&[NotifyState::Stopping]);
        if let Some(mut device) = self.hardware
            && let Err(error) = device.write_all(MAGIC_CLOSE)
        {
            tracing::error!(%error, "the hardware watchdog cannot be switched off");
        }
    }
}

fn is_due(last: Option<Duration>, every: Duration, now: Duration) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= every)
}

fn is_sound(last: Duration, now: Duration) -> bool {
    now.saturating_sub(last) <= UNSOUND_MAX
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &std::path::Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn with_device() -> (tempfile::TempDir, std::path::PathBuf, Pulse) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchdog");
        std::fs::write(&path, "").unwrap();
        let settings = WatchdogSettings { device: Some(path.clone()), ..WatchdogSettings::default() };
        let pulse = Pulse::open(Some(&settings));
        (folder, path, pulse)
    }

    #[test]
    fn the_hardware_watchdog_hears_of_a_supervisor_that_can_work_and_no_longer_of_one_that_cannot() {
        let (_folder, path, mut pulse) = with_device();
        pulse.beat(true, Duration::ZERO);
        pulse.beat(true, Duration::from_secs(1));
        assert_eq!(written(&path), "1");
        pulse.beat(false, Duration::from_secs(300));
        assert_eq!(written(&path), "11");
        pulse.beat(false, Duration::from_secs(302));
        pulse.beat(false, Duration::from_secs(500));
        assert_eq!(written(&path), "11");
        pulse.beat(true, Duration::from_secs(501));
        assert_eq!(written(&path), "111");
    }

    #[test]
    fn only_an_orderly_end_switches_the_watchdog_off() {
        let (_folder, path, mut pulse) = with_device();
        pulse.beat(true, Duration::ZERO);
        drop(pulse);
        assert_eq!(written(&path), "1");
        let (_folder, path, pulse) = with_device();
        pulse.end();
        assert_eq!(written(&path), "V");
    }

    #[test]
    fn a_device_that_is_not_there_keeps_nobody_from_working() {
        let settings = WatchdogSettings { device: Some("/no/such/watchdog".into()), alarm_after: 5 };
        let mut pulse = Pulse::open(Some(&settings));
        pulse.beat(true, Duration::ZERO);
        pulse.end();
    }
}
