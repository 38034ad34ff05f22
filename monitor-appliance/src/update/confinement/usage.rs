//! How much a script uses: processes, memory, disk. Measured from outside, by what the system tells.

use super::super::script::Script;
use super::Excess;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Octets that must stay free on the disk of the new release.
const DISK_RESERVE: u64 = 8 << 20;
/// Shortest time between two looks at the processes, and at the disk.
const PROCESSES_EVERY: Duration = Duration::from_millis(20);
const DISK_EVERY: Duration = Duration::from_millis(250);
/// A look may take one part in so many of the time between two.
const PART_OF_TIME: u32 = 10;
/// Octets of what a file's `blocks` counts (POSIX leaves it open; Linux does not).
const BLOCK: u64 = 512;

/// One process as the system tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number.
    pub(super) id: u32,
    /// Its parent's.
    parent: u32,
    /// How many threads it has; 0 when it has ended and only waits to be noticed.
    threads: u32,
}

impl Process {
    /// From `/proc/ID/stat`, whose second field may hold anything.
    fn parse(id: u32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        // The 20th field; the third one was the first here.
        let threads = fields.nth(15)?.parse().ok()?;
        Some(Self { id, parent, threads: if ended { 0 } else { threads } })
    }
}

/// All processes of the system.
fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| Process::parse(id, &std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?))
        .collect()
}

/// Those that `ancestor` started, and those that they started; ended ones not.
fn descendants_among(processes: &[Process], ancestor: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(*process);
    }
    let (mut found, mut open) = (Vec::new(), vec![ancestor]);
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.id);
            found.push(child);
        }
    }
    found.retain(|process| process.threads > 0);
    found
}

/// The living processes that `ancestor` started, directly or not.
pub(super) fn descendants(ancestor: u32) -> Vec<Process> {
    descendants_among(&processes(), ancestor)
}

/// Octets of memory that are a process's own: not those of files that it has mapped.
fn own_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// Octets on disk and number of files beneath some folders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Holding {
    octets: u64,
    files: u32,
}

/// Counts a file with several names once; follows no links; stops a little beyond `files_max`.
fn holding(folders: &[PathBuf], files_max: u32) -> Holding {
    let (mut sum, mut seen) = (Holding::default(), BTreeSet::new());
    let mut open: Vec<PathBuf> = folders.to_vec();
    while let Some(path) = open.pop() {
        if sum.files > files_max {
            break;
        }
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        if about.nlink() > 1 && !about.is_dir() && !seen.insert((about.dev(), about.ino())) {
            continue;
        }
        sum.octets = sum.octets.saturating_add(about.blocks().saturating_mul(BLOCK));
        sum.files = sum.files.saturating_add(1);
        if about.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    sum
}

/// The folders without those that lie in another of them.
fn apart(folders: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = folders.into_iter().collect();
    folders.sort();
    let mut apart: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !apart.iter().any(|outer| folder.starts_with(outer)) {
            apart.push(folder);
        }
    }
    apart
}

fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Something that is looked at again and again, but never for more than a small part of the time.
#[derive(Debug)]
struct Rhythm {
    every: Duration,
    next: Instant,
}

impl Rhythm {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Looks if it is time to.
    fn look<T>(&mut self, look: impl FnOnce() -> Option<T>) -> Option<T> {
        let begun = Instant::now();
        if begun < self.next {
            return None;
        }
        let found = look();
        let took = begun.elapsed();
        self.next = Instant::now() + self.every.max(took.saturating_mul(PART_OF_TIME));
        found
    }
}

/// Watches over one script.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    script: &'a Script,
    cell: u32,
    folders: Vec<PathBuf>,
    at_first: Holding,
    processes: Rhythm,
    disk: Rhythm,
}

impl<'a> Meter<'a> {
    /// Begins, before the script does; `cell` is the process above it, which does not count.
    pub(super) fn begin(script: &'a Script, cell: u32) -> Self {
        let own = [script.release_dir.clone(), script.state_dir.clone(), script.package_dir.clone()];
        let folders = apart(own.into_iter().chain(script.may_write.iter().cloned()));
        let at_first = holding(&folders, u32::MAX);
        Self {
            script,
            cell,
            folders,
            at_first,
            processes: Rhythm::new(PROCESSES_EVERY),
            disk: Rhythm::new(DISK_EVERY),
        }
    }

    /// The bound that the script has gone beyond, if any.
    pub(super) fn look(&mut self) -> Option<Excess> {
        let (script, cell) = (self.script, self.cell);
        let excess = self.processes.look(|| in_processes(script, cell));
        excess.or_else(|| self.disk.look(|| on_disk(script, &self.folders, self.at_first)))
    }
}

fn in_processes(script: &Script, cell: u32) -> Option<Excess> {
    let bounds = &script.bounds;
    let found = descendants(cell);
    let threads = found.iter().fold(0u32, |sum, process| sum.saturating_add(process.threads));
    if threads > bounds.processes {
        return Some(Excess::Processes { bound: bounds.processes });
    }
    let memory = found.iter().fold(0u64, |sum, process| sum.saturating_add(own_memory(process.id)));
    (memory > bounds.memory).then_some(Excess::Memory { bound: bounds.memory })
}

fn on_disk(script: &Script, folders: &[PathBuf], at_first: Holding) -> Option<Excess> {
    let bounds = &script.bounds;
    let files_max = at_first.files.saturating_add(bounds.files);
    let now = holding(folders, files_max);
    if now.files > files_max {
        return Some(Excess::Files { bound: bounds.files });
    }
    if now.octets.saturating_sub(at_first.octets) > bounds.disk {
        return Some(Excess::Disk { bound: bounds.disk });
    }
    let left = free(&script.release_dir)?;
    (left < DISK_RESERVE).then_some(Excess::DiskFull { reserve: DISK_RESERVE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_call_itself_what_it_likes() {
        let stat = "7 (a) R 1 (x) S 3 7 7 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 5 0 100 1000 10";
        assert_eq!(Process::parse(7, stat), Some(Process { id: 7, parent: 3, threads: 5 }));
        let ended = stat.replace(") S 3", ") Z 3");
        assert_eq!(Process::parse(7, &ended).unwrap().threads, 0);
        for broken in ["", "7 (a", "7 (a) S", "7 (a) S x y"] {
            assert_eq!(Process::parse(7, broken), None);
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_below_ended_ones() {
        let process = |id, parent, threads| Process { id, parent, threads };
        let all = [process(2, 1, 1), process(3, 2, 0), process(4, 3, 2), process(5, 1, 1), process(2, 2, 1)];
        let ids: BTreeSet<u32> = descendants_among(&all, 2).iter().map(|found| found.id).collect();
        assert_eq!(ids, BTreeSet::from([2, 4]));
    }

    #[test]
    fn a_folder_within_another_is_not_counted_twice() {
        let folders = ["/site/updates/x", "/site", "/site2", "/etc/cups"].map(PathBuf::from);
        assert_eq!(apart(folders), ["/etc/cups", "/site", "/site2"].map(PathBuf::from));
    }

    #[test]
    fn a_file_with_two_names_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = || holding(&[folder.path().to_owned()], u32::MAX);
        std::fs::write(folder.path().join("a"), vec![1; 100_000]).unwrap();
        let before = held();
        std::fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/proc", folder.path().join("c")).unwrap();
        let after = held();
        assert_eq!(after.files, before.files + 1, "only the link is new");
        assert!(before.octets >= 100_000 && after.octets < before.octets + 100_000);
    }
}
