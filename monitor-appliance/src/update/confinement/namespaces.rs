//! Namespaces of a script's own: processes, network, mounts.

use super::super::script::Script;
use super::{Fence, Fences};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount};
use rustix::thread::UnshareFlags;
use std::io;
use std::path::{Path, PathBuf};

/// Where the sockets of the system's services are: whoever may speak to the service manager needs no other way out.
const SOCKETS: &str = "/run";

/// What a script may read but not write below the root, but for its own folders in it.
const CLOSED: [&str; 11] = [
    "releases",
    "updates",
    "packages",
    "trust",
    "store.db",
    "store.db-wal",
    "store.db-shm",
    // What the service manager starts, and what it goes back to.
    "supervisor",
    "supervisor.before",
    "supervisor.rejected",
    "supervisor.starts",
];

/// What it may not even read there: an undone update could not give a credential back that is no secret any more.
const UNSEEN: [&str; 3] = ["secrets/credential", "secrets/credential.next", "secrets/enrolment.json"];

/// Leaves the system's namespaces. Processes that are started afterwards are in new ones; this one keeps its number.
pub(super) fn leave(script: &Script, fences: &mut Fences) {
    let without = &script.without;
    fences.raise(Fence::Processes, without, || unshare(UnshareFlags::NEWPID | UnshareFlags::NEWIPC));
    fences.raise(Fence::Network, without, || unshare(UnshareFlags::NEWNET));
    fences.raise(Fence::Mounts, without, || {
        unshare(UnshareFlags::NEWNS)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        plan(script, &|path| std::fs::symlink_metadata(path).is_ok(), &files_in(&script.release_dir))
            .iter()
            .try_for_each(carry_out)
    });
}

#[expect(
    deprecated,
    reason = "what makes it unsound is sharing no file table (`FILES`), which is not asked for"
)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// One change of what a script sees of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Can be read only.
    ReadOnly(PathBuf),
    /// Can be written again, within something that cannot.
    Writable(PathBuf),
    /// A folder is empty, a file cannot be opened.
    Hidden(PathBuf),
}

/// What is changed, in this order. `built` are the files of the new release; what the settings let scripts write stays
/// as it is.
fn plan(script: &Script, exists: &dyn Fn(&Path) -> bool, built: &[PathBuf]) -> Vec<Change> {
    let root = &script.state_dir;
    let closed = |name: &str| Change::ReadOnly(root.join(name));
    let mut changes: Vec<Change> = CLOSED.map(closed).into();
    for open in [&script.release_dir, &script.package_dir] {
        if CLOSED.iter().any(|name| open.starts_with(root.join(name))) {
            changes.push(Change::Writable(open.clone()));
        }
    }
    // Most of them are further names of the running release's files.
    changes.extend(built.iter().cloned().map(Change::ReadOnly));
    changes.extend(UNSEEN.map(|name| Change::Hidden(root.join(name))));
    if !root.starts_with(SOCKETS) {
        changes.push(Change::Hidden(SOCKETS.into()));
    }
    changes.retain(|change| {
        let (Change::ReadOnly(path) | Change::Writable(path) | Change::Hidden(path)) = change;
        let allowed = |may: &PathBuf| may.starts_with(path) || path.starts_with(may);
        exists(path) && !script.may_write.iter().any(allowed)
    });
    changes
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect()
}

fn carry_out(change: &Change) -> io::Result<()> {
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    match change {
        Change::ReadOnly(path) => {
            mount_bind(path, path)?;
            mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | quiet, "")?;
        }
        Change::Writable(path) => {
            mount_bind(path, path)?;
            mount_remount(path, MountFlags::BIND | quiet, "")?;
        }
        Change::Hidden(path) if path.is_file() => {
            mount_bind("/dev/null", path)?;
            // A device file where there are no devices.
            mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | quiet, "")?;
        }
        Change::Hidden(path) => {
            mount("none", path, "tmpfs", MountFlags::RDONLY | MountFlags::NOEXEC | quiet, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        Script {
            release_dir: "/site/releases/2.new".into(),
            state_dir: "/site".into(),
            ..Script::in_folder(Path::new("/site/updates/x"))
        }
    }

    fn position(changes: &[Change], change: &Change) -> usize {
        changes.iter().position(|found| found == change).unwrap()
    }

    #[test]
    fn the_releases_are_closed_before_the_new_one_is_opened_and_its_files_are_closed_again() {
        let built = ["/site/releases/2.new/watch".into()];
        let changes = plan(&script(), &|_| true, &built);
        let places = [
            Change::ReadOnly("/site/releases".into()),
            Change::Writable("/site/releases/2.new".into()),
            Change::ReadOnly("/site/releases/2.new/watch".into()),
        ]
        .map(|change| position(&changes, &change));
        assert!(places.is_sorted(), "{changes:?}");
        let (updates, own) = ("/site/updates".into(), "/site/updates/x".into());
        assert!(position(&changes, &Change::ReadOnly(updates)) < position(&changes, &Change::Writable(own)));
        for hidden in ["/site/secrets/credential", "/run"] {
            position(&changes, &Change::Hidden(hidden.into()));
        }
        for closed in ["/site/store.db", "/site/trust", "/site/supervisor"] {
            position(&changes, &Change::ReadOnly(closed.into()));
        }
    }

    #[test]
    fn what_is_not_there_and_what_the_settings_open_is_left_as_it_is() {
        let open = Script { may_write: vec!["/site/trust/roots.json".into()], ..script() };
        let changes = plan(&open, &|path| path != Path::new("/site/packages"), &[]);
        assert!(!changes.contains(&Change::ReadOnly("/site/trust".into())));
        assert!(!changes.contains(&Change::ReadOnly("/site/packages".into())));
    }

    #[test]
    fn a_site_below_the_folder_of_sockets_is_not_hidden_from_its_own_script() {
        let script = Script { state_dir: "/run/site".into(), ..script() };
        assert!(!plan(&script, &|_| true, &[]).contains(&Change::Hidden("/run".into())));
    }
}
