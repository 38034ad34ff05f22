//! What a power cut takes from a disk: everything that was not synced.
//!
//! A file's content is safe once the file was synced, a name once its folder was; nothing else is. So every name whose
//! folder was not synced after it was made, changed or removed goes back to what it was, the last change first, and every
//! file gets the content back that it had at its last sync.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What went wrong with the power, not with the programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PowerError {
    /// There is no library to preload.
    #[error("the library for power cuts cannot be compiled; a C compiler named cc is needed: {why}")]
    Compiler {
        /// What the system or the compiler said.
        why: String,
    },
    /// A file of ours, or below the folder under power, cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The log is not what this program understands.
    #[error("the log of changes has the line `{line}`, which means nothing")]
    Log {
        /// The line.
        line: String,
    },
}

/// Name of the log in the shadow.
pub(super) const LOG: &str = "log";

/// Begin of the name of a content that is kept in the shadow; the rest is the number of the file's inode.
pub(super) const CONTENT: &str = "content-";

/// What a power cut took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Files that have an older content again.
    pub contents: usize,
    /// Names that are gone, back, or stand for something older again.
    pub names: usize,
}

/// One line of the library's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file or link got its name.
    Created(PathBuf),
    /// A folder was made.
    CreatedFolder(PathBuf),
    /// A name moved, and replaced another if something was kept.
    Renamed {
        /// The name before.
        from: PathBuf,
        /// The name since then.
        to: PathBuf,
        /// What stood there, under a name in the shadow.
        kept: Option<PathBuf>,
    },
    /// A name was removed.
    Removed {
        /// The name.
        path: PathBuf,
        /// What it stood for, under a name in the shadow.
        kept: Option<PathBuf>,
    },
    /// A folder's names were synced.
    FolderSynced(PathBuf),
    /// A file was written to, the first time since it was synced.
    Written(PathBuf),
    /// A file's content was synced.
    ContentSynced(PathBuf),
}

impl Change {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let (what, first, second, kept) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let kept = (!kept.is_empty()).then(|| PathBuf::from(kept));
        let path = PathBuf::from(first);
        Some(match what {
            "created" => Self::Created(path),
            "created-folder" => Self::CreatedFolder(path),
            "renamed" => Self::Renamed { from: path, to: second.into(), kept },
            "removed" => Self::Removed { path, kept },
            "folder-synced" => Self::FolderSynced(path),
            "content" => Self::Written(path),
            "content-synced" => Self::ContentSynced(path),
            _ => return None,
        })
    }

    /// The folder whose sync makes it safe; `None` for what is no change of a name.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Created(path) | Self::CreatedFolder(path) | Self::Removed { path, .. } => path.parent(),
            Self::Renamed { to, .. } => to.parent(),
            Self::FolderSynced(_) | Self::Written(_) | Self::ContentSynced(_) => None,
        }
    }
}

/// A path after a rename.
fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Which changes of names outlast a power cut after the last of them.
pub(super) fn safe(log: &[Change]) -> Vec<bool> {
    let is_safe = |(place, change): (usize, &Change)| {
        let Some(folder) = change.folder() else { return true };
        // The folder may have got another name before it was synced.
        let mut folder = folder.to_owned();
        for later in log.iter().skip(place.saturating_add(1)) {
            match later {
                Change::FolderSynced(path) if *path == folder => return true,
                Change::Renamed { from, to, .. } => folder = moved(&folder, from, to),
                _ => {}
            }
        }
        false
    };
    log.iter().enumerate().map(is_safe).collect()
}

/// Reads the log that the library wrote; empty when it wrote none.
pub(super) fn read_log(shadow: &Path) -> Result<Vec<Change>, PowerError> {
    let path = shadow.join(LOG);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|source| PowerError::Io { path, source })?,
    };
    parse_log(&text)
}

/// The changes in the text of a log.
pub(super) fn parse_log(text: &str) -> Result<Vec<Change>, PowerError> {
    // The last line may be half a line: its program was killed from outside.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| Change::parse(line).ok_or_else(|| PowerError::Log { line: line.to_owned() });
    whole.lines().map(parse).collect()
}

/// What names can be taken back on: a folder, or what was seen of one.
pub(super) trait Names {
    /// As [`fs::remove_file`].
    fn remove(&mut self, path: &Path) -> std::io::Result<()>;
    /// As [`fs::remove_dir_all`].
    fn remove_folder(&mut self, path: &Path) -> std::io::Result<()>;
    /// As [`fs::rename`].
    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()>;
}

/// The disk itself.
struct Disk;

impl Names for Disk {
    fn remove(&mut self, path: &Path) -> std::io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&mut self, path: &Path) -> std::io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        fs::rename(from, to)
    }
}

/// Takes back what was not synced below `root`, by what the library kept in `shadow`.
pub(super) fn take_back(root: &Path, shadow: &Path) -> Result<Lost, PowerError> {
    let log = read_log(shadow)?;
    let contents = take_back_contents(root, shadow)?;
    Ok(Lost { contents, names: take_back_names(&log, &mut Disk)? })
}

/// Takes back every name that was not synced; how many these were.
pub(super) fn take_back_names(log: &[Change], names: &mut impl Names) -> Result<usize, PowerError> {
    let safe = safe(log);
    let mut count = 0;
    for (place, change) in log.iter().enumerate().rev() {
        if safe.get(place) != Some(&false) {
            continue;
        }
        // Of what came later only what is safe still stands.
        let now = |path: &Path| {
            let later = log.iter().zip(&safe).skip(place.saturating_add(1));
            later.fold(path.to_owned(), |path, (change, safe)| match change {
                Change::Renamed { from, to, .. } if *safe => moved(&path, from, to),
                _ => path,
            })
        };
        undo(change, now, names)?;
        count += 1;
    }
    Ok(count)
}

fn undo(change: &Change, now: impl Fn(&Path) -> PathBuf, names: &mut impl Names) -> Result<(), PowerError> {
    let gone_is_fine = |path: &Path, result: std::io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| PowerError::Io { path: path.to_owned(), source }),
    };
    match change {
        Change::Created(path) => {
            let path = now(path);
            gone_is_fine(&path, names.remove(&path))
        }
        Change::CreatedFolder(path) => {
            let path = now(path);
            gone_is_fine(&path, names.remove_folder(&path))
        }
        Change::Renamed { from, to, kept } => {
            let (from, to) = (now(from), now(to));
            gone_is_fine(&to, names.rename(&to, &from))?;
            kept.as_ref().map_or(Ok(()), |kept| gone_is_fine(kept, names.rename(kept, &to)))
        }
        Change::Removed { path, kept } => {
            let path = now(path);
            kept.as_ref().map_or(Ok(()), |kept| gone_is_fine(kept, names.rename(kept, &path)))
        }
        Change::FolderSynced(_) | Change::Written(_) | Change::ContentSynced(_) => Ok(()),
    }
}

/// Gives every file that was not synced the content of its last sync, whatever its names are now.
fn take_back_contents(root: &Path, shadow: &Path) -> Result<usize, PowerError> {
    let mut inodes = Vec::new();
    for folder in [root, shadow] {
        list_inodes(folder, &mut inodes)?;
    }
    let mut count = 0;
    for (inode, path) in inodes {
        let kept = shadow.join(format!("{CONTENT}{inode}"));
        let io = |source| PowerError::Io { path: path.clone(), source };
        match fs::read(&kept) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => {
                let content = read.map_err(io)?;
                // In place: a file may have more than one name.
                let mut file = fs::File::options().write(true).truncate(true).open(&path).map_err(io)?;
                file.write_all(&content).map_err(io)?;
                fs::remove_file(&kept).map_err(io)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn list_inodes(folder: &Path, found: &mut Vec<(u64, PathBuf)>) -> Result<(), PowerError> {
    let io = |source| PowerError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let about = entry.path().symlink_metadata().map_err(io)?;
        if about.is_dir() {
            list_inodes(&entry.path(), found)?;
        } else if about.is_file() && !entry.file_name().as_encoded_bytes().starts_with(CONTENT.as_bytes()) {
            found.push((about.ino(), entry.path()));
        }
    }
    Ok(())
}
