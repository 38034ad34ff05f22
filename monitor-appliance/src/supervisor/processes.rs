//! Processes: starting them in groups of their own, finding what is left of them, ending them.

use rustix::process::{Pid, Signal};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Environment variable that every process started by a supervisor carries: the appliance root that it serves.
pub const ROOT_MARK: &str = "MONITOR_APPLIANCE_SERVES";

/// Environment variable that an install script and all that it starts carry: the working folder of its package.
pub const PACKAGE_MARK: &str = "PACKAGE_DIR";

/// Octets of one process's environment looked at.
const ENVIRONMENT_OCTETS_MAX: usize = 1 << 20;

/// How long a file that is just being written elsewhere is waited for.
const FILE_BUSY_MAX: Duration = Duration::from_secs(2);

/// Starts `command` as the leader of a process group of its own.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn_group(command: &mut Command) -> std::io::Result<Child> {
    command.process_group(0);
    let begun = Instant::now();
    loop {
        match command.spawn() {
            // Another thread that starts a process at this moment may still hold our freshly written file open.
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && begun.elapsed() < FILE_BUSY_MAX =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// A process id as the system calls want it.
fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().filter(|id| *id > 1).and_then(Pid::from_raw)
}

/// Asks every process of the group led by `leader` to end (`SIGTERM`).
pub fn terminate_group(leader: u32) {
    signal_group(leader, Signal::TERM);
}

/// Ends every process of the group led by `leader` at once (`SIGKILL`).
pub fn kill_group(leader: u32) {
    signal_group(leader, Signal::KILL);
}

fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = pid(leader) {
        // A group that is gone already is what we want.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Whether there is a process with that id, zombies included.
#[must_use]
pub fn exists(id: u32) -> bool {
    pid(id).is_some_and(|pid| match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    })
}

/// Ids of all processes but ourselves that were started with `key=value` in their environment: a group, however
/// its members moved about afterwards. Processes that we may not look at are left out.
#[must_use]
pub fn marked(key: &str, value: &Path) -> Vec<u32> {
    use std::os::unix::ffi::OsStrExt;
    let wanted = [key.as_bytes(), b"=", value.as_os_str().as_bytes()].concat();
    let ours = std::process::id();
    ids()
        .filter(|id| *id != ours)
        .filter(|id| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            let environment =
                environment.get(..ENVIRONMENT_OCTETS_MAX.min(environment.len())).unwrap_or_default();
            environment.split(|octet| *octet == 0).any(|entry| entry == wanted)
        })
        .collect()
}

/// Ends all processes that [`marked`] finds, and looks again until there are none or `limit` has passed.
/// Returns how many were found.
pub fn kill_marked(key: &str, value: &Path, limit: Duration) -> usize {
    let begun = Instant::now();
    let mut found = 0usize;
    loop {
        let left = marked(key, value);
        found = found.max(left.len());
        if left.is_empty() || begun.elapsed() >= limit {
            return found;
        }
        for process in left.into_iter().filter_map(pid) {
            // Gone already is what we want.
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ids of processes but ourselves that run the file `path`, be it a program or a script.
#[must_use]
pub fn running_file(path: &Path) -> Vec<u32> {
    use std::os::unix::ffi::OsStrExt;
    let ours = std::process::id();
    let runs = |id: &u32| {
        let program = std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|file| file == path);
        // A script stands behind its interpreter, which may have one argument of its own.
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        program || line.split(|octet| *octet == 0).take(3).any(|word| word == path.as_os_str().as_bytes())
    };
    ids().filter(|id| *id != ours).filter(runs).collect()
}

fn ids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The kernel's boot id: changes with every restart of the box; empty where the system does not tell one.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_grandchild_that_left_its_group_is_still_found_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn_group(
            Command::new("/bin/sh")
                .args(["-c", "setsid sleep 1000 & exit 0"])
                .env(PACKAGE_MARK, folder.path()),
        )
        .unwrap();
        child.wait().unwrap();
        until("the grandchild", || !marked(PACKAGE_MARK, folder.path()).is_empty());
        assert_eq!(kill_marked(PACKAGE_MARK, folder.path(), Duration::from_secs(10)), 1);
        assert!(marked(PACKAGE_MARK, folder.path()).is_empty());
    }

    #[test]
    fn a_running_script_is_found_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("refresh");
        crate::release::write_durably(&script, b"#!/bin/sh\nread wait\n", 0o755).unwrap();
        assert!(running_file(&script).is_empty());
        let mut child = spawn_group(Command::new(&script).stdin(std::process::Stdio::piped())).unwrap();
        until("the script", || running_file(&script) == [child.id()]);
        kill_group(child.id());
        child.wait().unwrap();
        assert!(running_file(&script).is_empty());
    }

    #[test]
    fn no_group_is_signalled_for_ids_that_mean_everybody() {
        for id in [0, 1, u32::MAX] {
            assert!(pid(id).is_none());
        }
    }
}
