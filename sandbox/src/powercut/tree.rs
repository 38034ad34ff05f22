//! What was on a disk at one moment: names and contents, seen while nothing changed them, and laid out again elsewhere.

use super::take_back::{CONTENT, LOG, Names, PowerError, parse_log, take_back_names};
use mailfmt::Digest;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// End of the name of a file that databases share in memory: no program writes it through the system, and none that starts
/// believes it.
const SHARED_MEMORY: &str = "-shm";

/// A file that was changed less than this before it was read may have been changed again since then without another time.
const TIMES_DIFFER: Duration = Duration::from_millis(200);

/// Longer files are no texts that say where they are.
const TEXT_OCTETS_MAX: u64 = 64 << 10;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Folder {
        mode: u32,
    },
    Link(PathBuf),
    /// The number of its inode: a file may have more than one name.
    File(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    mode: u32,
    digest: Digest,
}

/// Names by their absolute paths, and contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    files: BTreeMap<u64, Content>,
}

/// A folder of contents, each under its digest.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    folder: PathBuf,
}

/// Reads trees and keeps every content once.
#[derive(Debug)]
pub(super) struct Contents {
    kept: Kept,
    known: HashSet<Digest>,
    /// Contents of files that have not changed for a while.
    read: HashMap<u64, (Times, Digest)>,
}

/// What changes with a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    octets: u64,
    changed: (i64, i64),
}

impl Contents {
    /// Keeps them in `folder`.
    pub(super) fn new(folder: &Path) -> Result<Self, PowerError> {
        fs::create_dir_all(folder).map_err(|source| io(folder, source))?;
        Ok(Self { kept: Kept { folder: folder.to_owned() }, known: HashSet::new(), read: HashMap::new() })
    }

    /// Where they are kept.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Sees what is below the folders. Nothing may change there meanwhile.
    pub(super) fn see(&mut self, folders: &[&Path]) -> Result<Tree, PowerError> {
        let mut tree = Tree::default();
        for folder in folders {
            self.see_folder(folder, &mut tree)?;
        }
        Ok(tree)
    }

    fn see_folder(&mut self, folder: &Path, tree: &mut Tree) -> Result<(), PowerError> {
        let about = folder.symlink_metadata().map_err(|source| io(folder, source))?;
        tree.nodes.insert(folder.to_owned(), Node::Folder { mode: about.mode() });
        for entry in fs::read_dir(folder).map_err(|source| io(folder, source))? {
            let path = entry.map_err(|source| io(folder, source))?.path();
            let about = path.symlink_metadata().map_err(|source| io(&path, source))?;
            if about.is_dir() {
                self.see_folder(&path, tree)?;
            } else if about.is_symlink() {
                let target = fs::read_link(&path).map_err(|source| io(&path, source))?;
                tree.nodes.insert(path, Node::Link(target));
            } else if about.is_file() {
                if let Entry::Vacant(unseen) = tree.files.entry(about.ino()) {
                    unseen.insert(Content { mode: about.mode(), digest: self.keep(&path, &about)? });
                }
                tree.nodes.insert(path, Node::File(about.ino()));
            }
        }
        Ok(())
    }

    fn keep(&mut self, path: &Path, about: &fs::Metadata) -> Result<Digest, PowerError> {
        let times = Times { octets: about.len(), changed: (about.ctime(), about.ctime_nsec()) };
        if let Some((_, digest)) = self.read.get(&about.ino()).filter(|(known, _)| *known == times) {
            return Ok(*digest);
        }
        let file = fs::read(path).map_err(|source| io(path, source))?;
        let digest = Digest::of(&file);
        if self.known.insert(digest) {
            let kept = self.kept.file(&digest);
            fs::write(&kept, &file).map_err(|source| io(&kept, source))?;
        }
        if is_settled(about) {
            self.read.insert(about.ino(), (times, digest));
        } else {
            self.read.remove(&about.ino());
        }
        Ok(digest)
    }
}

impl Kept {
    /// The text of a file.
    fn text(&self, digest: &Digest) -> Result<String, PowerError> {
        let path = self.file(digest);
        fs::read_to_string(&path).map_err(|source| io(&path, source))
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Writes a file of a tree elsewhere, if it has it.
    pub(super) fn copy(&self, tree: &Tree, path: &Path, to: &Path) -> Result<(), PowerError> {
        let Some(Node::File(inode)) = tree.nodes.get(path) else {
            return match fs::remove_file(to) {
                Err(source) if source.kind() != ErrorKind::NotFound => Err(io(to, source)),
                _ => Ok(()),
            };
        };
        let Some(content) = tree.files.get(inode) else { return Ok(()) };
        fs::copy(self.file(&content.digest), to).map(drop).map_err(|source| io(to, source))
    }

    /// Files of a tree below `folder` that say that they are there, and cannot be made to say anything else.
    pub(super) fn that_cannot_move(&self, tree: &Tree, folder: &Path) -> Result<Vec<PathBuf>, PowerError> {
        let wanted = folder.as_os_str().as_encoded_bytes();
        let mut found = Vec::new();
        for (path, node) in tree.nodes.iter().filter(|(path, _)| path.starts_with(folder)) {
            let Node::File(inode) = node else { continue };
            let Some(content) = tree.files.get(inode) else { continue };
            let kept = self.file(&content.digest);
            let octets = fs::read(&kept).map_err(|source| io(&kept, source))?;
            let says_so = octets.windows(wanted.len().max(1)).any(|window| window == wanted);
            if says_so && self.moved_text(&content.digest, folder, folder)?.is_none() {
                found.push(path.clone());
            }
        }
        Ok(found)
    }

    /// A short text in which `from` stands, with `to` instead.
    fn moved_text(&self, digest: &Digest, from: &Path, to: &Path) -> Result<Option<String>, PowerError> {
        let path = self.file(digest);
        if path.metadata().map_err(|source| io(&path, source))?.len() > TEXT_OCTETS_MAX {
            return Ok(None);
        }
        let octets = fs::read(&path).map_err(|source| io(&path, source))?;
        let (Ok(text), Some(from), Some(to)) = (String::from_utf8(octets), from.to_str(), to.to_str()) else {
            return Ok(None);
        };
        Ok(text.contains(from).then(|| text.replace(from, to)))
    }

    /// Lays a tree out, with what is below `from` below `to`, also where a short text says where it is. Names of one file
    /// become names of one file, and of no other; what `shared` has is given a further name.
    pub(super) fn lay(&self, tree: &Tree, from: &Path, to: &Path, shared: &Shared) -> Result<(), PowerError> {
        let mut laid: HashMap<u64, PathBuf> = HashMap::new();
        for (path, node) in &tree.nodes {
            let Ok(rest) = path.strip_prefix(from) else { continue };
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            let done = match node {
                Node::Folder { mode } => fs::create_dir_all(&new)
                    .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(*mode))),
                Node::Link(target) => std::os::unix::fs::symlink(target, &new),
                Node::File(inode) => match (laid.get(inode), tree.files.get(inode)) {
                    (Some(first), _) => fs::hard_link(first, &new),
                    (None, Some(content)) => {
                        laid.insert(*inode, new.clone());
                        match shared.name(*inode, *content) {
                            Some(same) => fs::hard_link(same, &new),
                            None => match self.moved_text(&content.digest, from, to)? {
                                Some(text) => fs::write(&new, text),
                                None => fs::copy(self.file(&content.digest), &new).map(drop),
                            }
                            .and_then(|()| {
                                fs::set_permissions(&new, fs::Permissions::from_mode(content.mode))
                            }),
                        }
                    }
                    (None, None) => Err(Error::from(ErrorKind::NotFound)),
                },
            };
            done.map_err(|source| io(&new, source))?;
        }
        Ok(())
    }
}

/// Files into which nobody writes in place, by their inodes.
#[derive(Debug, Default)]
pub(super) struct Shared(HashMap<u64, (Content, PathBuf)>);

impl Shared {
    /// The files of a tree below the folders `which`; they must stay as long as anything is laid out.
    pub(super) fn of(tree: &Tree, which: &[PathBuf]) -> Self {
        let below = |path: &Path| which.iter().any(|folder| path.starts_with(folder));
        let files = tree.nodes.iter().filter(|(path, _)| below(path)).filter_map(|(path, node)| {
            let Node::File(inode) = node else { return None };
            tree.files.get(inode).map(|content| (*inode, (*content, path.clone())))
        });
        Self(files.collect())
    }

    /// A name of this very file, if it is as it was.
    fn name(&self, inode: u64, content: Content) -> Option<&Path> {
        self.0.get(&inode).filter(|(known, _)| *known == content).map(|(_, path)| path.as_path())
    }
}

impl Tree {
    /// The tree after a power cut: by what the library kept below `shadow`, all is taken back that was not synced.
    pub(super) fn taken_back(&self, kept: &Kept, shadow: &Path) -> Result<Self, PowerError> {
        let mut tree = self.clone();
        let log = match self.nodes.get(&shadow.join(LOG)) {
            Some(Node::File(inode)) => self.files.get(inode).map(|content| kept.text(&content.digest)),
            _ => None,
        };
        let log = parse_log(&log.transpose()?.unwrap_or_default())?;
        for (path, node) in &self.nodes {
            let inode = path
                .strip_prefix(shadow)
                .ok()
                .and_then(|rest| rest.to_str()?.strip_prefix(CONTENT)?.parse().ok());
            let (Some(inode), Node::File(copy)) = (inode, node) else { continue };
            if let (Some(file), Some(before)) = (tree.files.get_mut(&inode), self.files.get(copy)) {
                file.digest = before.digest;
            }
        }
        take_back_names(&log, &mut tree)?;
        Ok(tree)
    }

    /// What is below a folder, as lines: what a program that starts there can know of it.
    fn lines(&self, folder: &Path) -> Vec<String> {
        let mut first: HashMap<u64, &Path> = HashMap::new();
        let mut lines = Vec::new();
        for (path, node) in &self.nodes {
            let Ok(rest) = path.strip_prefix(folder) else { continue };
            if path.as_os_str().as_encoded_bytes().ends_with(SHARED_MEMORY.as_bytes()) {
                continue;
            }
            let what = match node {
                Node::Folder { mode } => format!("folder {mode:o}"),
                Node::Link(target) => format!("link {}", target.display()),
                Node::File(inode) => {
                    let same = *first.entry(*inode).or_insert(rest);
                    let same =
                        if same == rest { String::new() } else { format!(" the same as {}", same.display()) };
                    let content = self.files.get(inode);
                    content.map_or_else(String::new, |content| {
                        format!("file {:o} {}{same}", content.mode, content.digest)
                    })
                }
            };
            lines.push(format!("{}: {what}", rest.display()));
        }
        lines
    }

    /// A digest of what is below a folder. Two trees with the same one differ for no program.
    pub(super) fn digest(&self, folder: &Path) -> Digest {
        Digest::of(self.lines(folder).join("\n").as_bytes())
    }

    /// What is not the same below a folder in another tree.
    pub(super) fn differences(&self, other: &Self, folder: &Path) -> Vec<String> {
        let (here, there) = (self.lines(folder), other.lines(folder));
        let only = |some: &[String], others: &[String], word: &str| -> Vec<String> {
            some.iter().filter(|line| !others.contains(line)).map(|line| format!("{word} {line}")).collect()
        };
        [only(&here, &there, "only here:"), only(&there, &here, "only there:")].concat()
    }
}

impl Names for Tree {
    fn remove(&mut self, path: &Path) -> std::io::Result<()> {
        match self.nodes.get(path) {
            None => Err(Error::from(ErrorKind::NotFound)),
            Some(Node::Folder { .. }) => Err(Error::from(ErrorKind::IsADirectory)),
            Some(Node::Link(_) | Node::File(_)) => {
                self.nodes.remove(path);
                Ok(())
            }
        }
    }

    fn remove_folder(&mut self, path: &Path) -> std::io::Result<()> {
        match self.nodes.get(path) {
            None => Err(Error::from(ErrorKind::NotFound)),
            Some(Node::Link(_) | Node::File(_)) => Err(Error::from(ErrorKind::NotADirectory)),
            Some(Node::Folder { .. }) => {
                self.nodes.retain(|known, _| !known.starts_with(path));
                Ok(())
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        let is_folder = |tree: &Self, path: &Path| matches!(tree.nodes.get(path), Some(Node::Folder { .. }));
        if !self.nodes.contains_key(from) || !to.parent().is_some_and(|parent| is_folder(self, parent)) {
            return Err(Error::from(ErrorKind::NotFound));
        }
        match (is_folder(self, from), self.nodes.get(to)) {
            (_, None) => {}
            (false, Some(Node::Folder { .. })) => return Err(Error::from(ErrorKind::IsADirectory)),
            (true, Some(Node::Link(_) | Node::File(_))) => return Err(Error::from(ErrorKind::NotADirectory)),
            (true, Some(Node::Folder { .. }))
                if self.nodes.keys().any(|known| known != to && known.starts_with(to)) =>
            {
                return Err(Error::from(ErrorKind::DirectoryNotEmpty));
            }
            // Two names of one file: nothing happens.
            (false, Some(there)) if matches!(there, Node::File(_)) && self.nodes.get(from) == Some(there) => {
                return Ok(());
            }
            (_, Some(_)) => {
                self.nodes.remove(to);
            }
        }
        let moving: Vec<PathBuf> =
            self.nodes.keys().filter(|known| known.starts_with(from)).cloned().collect();
        for path in moving {
            if let (Ok(rest), Some(node)) = (path.strip_prefix(from), self.nodes.remove(&path)) {
                let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
                self.nodes.insert(new, node);
            }
        }
        Ok(())
    }
}

/// One disk after a cut.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) tree: Arc<Tree>,
    /// What lay in the mailbox.
    pub(super) mails: Vec<Arc<[u8]>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of files, which the system's clock gave them"
)]
fn is_settled(about: &fs::Metadata) -> bool {
    let changed = Duration::new(
        u64::try_from(about.ctime()).unwrap_or(0),
        u32::try_from(about.ctime_nsec()).unwrap_or(0),
    );
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + changed).is_ok_and(|ago| ago > TIMES_DIFFER)
}

fn io(path: &Path, source: Error) -> PowerError {
    PowerError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
