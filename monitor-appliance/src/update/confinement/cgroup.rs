//! A control group for one script: the kernel's own bounds for all of its processes together.
//!
//! Version 2 where its controllers are there, version 1 where a controller is still kept there.

use super::super::script::Script;
use super::{Bounds, Excess};
use mailfmt::Digest;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Beginning of the names of the groups.
const NAME: &str = "appliance-script-";
/// How long the kernel may take to see that a group is empty.
const REMOVAL_MAX: Duration = Duration::from_secs(2);

/// A folder in which groups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// All controllers in one tree.
    Two,
    /// One tree for processes.
    OneProcesses,
    /// One tree for memory.
    OneMemory,
}

/// The folders of one script's group; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<(PathBuf, Version)>,
}

impl Group {
    /// Makes an empty group with the script's bounds. What a killed run of the same script left in it is ended.
    ///
    /// # Errors
    /// For a person, when there is no place for a group that bounds both processes and memory; one that only ends
    /// them all is made nevertheless if it can, and returned by the second.
    pub(super) fn make(script: &Script) -> (Option<Self>, Result<(), String>) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mark: String =
            Digest::of(script.package_dir.as_os_str().as_bytes()).to_string().chars().take(16).collect();
        let name = format!("{NAME}{mark}");
        let mut group = Self { folders: Vec::new() };
        let (mut processes, mut memory) = (false, false);
        for place in places(&mounts, &own) {
            let wanted = match place.version {
                Version::Two => !(processes && memory),
                Version::OneProcesses => !processes,
                Version::OneMemory => !memory,
            };
            if !wanted {
                continue;
            }
            if let Ok(bounded) = prepare(&place, &name, &script.bounds) {
                group.folders.push((place.folder.join(&name), place.version));
                processes |= bounded.processes;
                memory |= bounded.memory;
            }
        }
        let verdict = match (processes, memory) {
            (true, true) => Ok(()),
            _ if group.folders.is_empty() => Err("no control group can be made".to_owned()),
            (true, false) => Err("no control group bounds memory".to_owned()),
            (false, true) => Err("no control group bounds processes".to_owned()),
            (false, false) => Err("control groups only end processes here".to_owned()),
        };
        ((!group.folders.is_empty()).then_some(group), verdict)
    }

    /// Puts a process into the group; all that it starts are in it too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn take_in(&self, process: u32) -> io::Result<()> {
        self.folders
            .iter()
            .try_for_each(|(folder, _)| std::fs::write(folder.join("cgroup.procs"), process.to_string()))
    }

    /// The bound at which the kernel stopped the group, if it did.
    pub(super) fn excess(&self, bounds: &Bounds) -> Option<Excess> {
        let happened =
            |file: &Path, key: &str| count(&std::fs::read_to_string(file).unwrap_or_default(), key) > 0;
        self.folders.iter().find_map(|(folder, version)| {
            let processes = || happened(&folder.join("pids.events"), "max");
            let memory = |file: &str| happened(&folder.join(file), "oom_kill");
            let (no_process, no_memory) = match version {
                Version::Two => (processes(), memory("memory.events")),
                Version::OneProcesses => (processes(), false),
                Version::OneMemory => (false, memory("memory.oom_control")),
            };
            if no_process {
                Some(Excess::Processes { bound: bounds.processes })
            } else {
                no_memory.then_some(Excess::Memory { bound: bounds.memory })
            }
        })
    }

    /// Ends every process of the group.
    pub(super) fn kill(&self) {
        for (folder, _) in &self.folders {
            empty(folder);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (folder, _) in &self.folders {
            let begun = Instant::now();
            while std::fs::remove_dir(folder).is_err() && folder.exists() && begun.elapsed() < REMOVAL_MAX {
                empty(folder);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Ends what is in a group: at once where the kernel can, else one by one.
fn empty(folder: &Path) {
    if std::fs::write(folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let members = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for member in members.lines().filter_map(|line| line.parse().ok()) {
        super::keeper::kill(member);
    }
}

/// The value behind `key` in a file of lines `key value`.
fn count(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// What a group bounds.
#[derive(Debug, Clone, Copy)]
struct Bounded {
    processes: bool,
    memory: bool,
}

fn prepare(place: &Place, name: &str, bounds: &Bounds) -> io::Result<Bounded> {
    let folder = place.folder.join(name);
    match std::fs::create_dir(&folder) {
        // Of a run that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => empty(&folder),
        result => result?,
    }
    if place.version == Version::Two && !folder.join("pids.max").exists() {
        // Refused where it is not ours to say.
        let _ = std::fs::write(place.folder.join("cgroup.subtree_control"), "+pids +memory");
    }
    let set = |file: &str, value: String| std::fs::write(folder.join(file), value).is_ok();
    // One more for the process above the script.
    let processes = || set("pids.max", bounds.processes.saturating_add(1).to_string());
    Ok(match place.version {
        Version::Two => {
            let bounded =
                Bounded { processes: processes(), memory: set("memory.max", bounds.memory.to_string()) };
            set("memory.swap.max", "0".to_owned());
            set("memory.oom.group", "1".to_owned());
            bounded
        }
        Version::OneProcesses => Bounded { processes: processes(), memory: false },
        Version::OneMemory => {
            let memory = set("memory.limit_in_bytes", bounds.memory.to_string());
            set("memory.memsw.limit_in_bytes", bounds.memory.to_string());
            Bounded { processes: false, memory }
        }
    })
}

/// Where a group may be made, the best first: beside ourselves within what the service manager has handed over to us,
/// then at the top. Takes the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn places(mounts: &str, own: &str) -> Vec<Place> {
    let own_folder = |controller: &str| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let here = controllers.split(',').any(|name| name == controller);
            here.then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let mut places = Vec::new();
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(point) = before.split(' ').nth(4) else { continue };
        let mut after = after.split(' ');
        let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
        let has = |name: &str| options.split(',').any(|option| option == name);
        let version = match kind {
            Some("cgroup2") => Version::Two,
            Some("cgroup") if has("pids") => Version::OneProcesses,
            Some("cgroup") if has("memory") => Version::OneMemory,
            _ => continue,
        };
        let point = PathBuf::from(point);
        let below = own_folder(match version {
            Version::Two => "",
            Version::OneProcesses => "pids",
            Version::OneMemory => "memory",
        });
        let own = below.filter(|below| !below.is_empty()).map(|below| point.join(below));
        let beside =
            own.as_deref().and_then(Path::parent).filter(|folder| *folder != point).map(Path::to_owned);
        let folders = match version {
            Version::Two => [beside, own, Some(point)],
            Version::OneProcesses | Version::OneMemory => [own, Some(point), None],
        };
        places.extend(folders.into_iter().flatten().map(|folder| Place { folder, version }));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const OLD: &str = "31 30 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                       32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                       33 30 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                       34 30 0:30 / /proc rw - proc proc rw\n";

    fn folders(places: &[Place]) -> Vec<&str> {
        places.iter().map(|place| place.folder.to_str().unwrap()).collect()
    }

    #[test]
    fn a_group_is_made_in_what_the_service_manager_handed_over_before_anywhere_else() {
        let found = places(NEW, "0::/system.slice/supervisor.service/main\n");
        let slice = "/sys/fs/cgroup/system.slice/supervisor.service";
        assert_eq!(folders(&found), [slice, &format!("{slice}/main"), "/sys/fs/cgroup"]);
    }

    #[test]
    fn the_older_trees_are_used_controller_by_controller() {
        let found = places(OLD, "8:pids:/\n4:memory:/box\n1:cpu,cpuacct:/\n0::/\n");
        assert_eq!(
            folders(&found),
            ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory/box", "/sys/fs/cgroup/memory"]
        );
    }

    #[test]
    fn a_system_without_control_groups_has_no_place() {
        assert!(places("34 30 0:30 / /proc rw - proc proc rw\nbroken\n", "").is_empty());
    }

    #[test]
    fn events_are_counted_by_their_whole_name() {
        let events = "low 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 7\n";
        assert_eq!((count(events, "oom_kill"), count(events, "max"), count(events, "oom_k")), (1, 3, 0));
    }
}
