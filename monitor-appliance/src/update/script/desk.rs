//! Where a script's questions are laid down and answered: files in its working folder, `NAME.ask` and `NAME.answer`.
//!
//! The folder is the script's to play with, so the installer holds it open from before the script runs, follows no
//! link out of it, and writes only files that are not there yet.

use super::ask::{Answer, Request};
use rustix::fs::{AtFlags, Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two looks at what is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Questions that are open at a time; others wait.
const OPEN_MAX: usize = 16;
/// Entries of the folder that one look goes through.
const ENTRIES_MAX: usize = 1000;
/// Octets of a question.
const QUESTION_MAX: u64 = 4096;

/// The desk of one script.
#[derive(Debug)]
pub(super) struct Desk {
    folder: OwnedFd,
    open: BTreeMap<String, (Request, Instant)>,
    looked: Option<Instant>,
}

impl Desk {
    /// Opens an empty one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        crate::release::remove_tree(path).map_err(io::Error::other)?;
        std::fs::create_dir(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { folder, open: BTreeMap::new(), looked: None })
    }

    /// Takes up new questions and answers those that `answer` can answer.
    pub(super) fn tend(&mut self, answer: &mut dyn FnMut(&Request) -> Option<Answer>) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        for name in self.names() {
            if self.open.len() >= OPEN_MAX {
                break;
            }
            match self.take(&name).map(|words| Request::parse(&words)) {
                Ok(Ok(request)) => {
                    self.open.insert(name, (request, Instant::now()));
                }
                Ok(Err(wrong)) => self.lay_down(&name, &wrong),
                Err(error) => tracing::debug!(%error, "a question of the script cannot be read"),
            }
        }
        let mut answers = Vec::new();
        self.open.retain(|name, (request, since)| {
            request.open_for = since.elapsed();
            match answer(request) {
                Some(found) => {
                    answers.push((name.clone(), found));
                    false
                }
                None => true,
            }
        });
        answers.iter().for_each(|(name, answer)| self.lay_down(name, answer));
    }

    /// Names of the questions that lie there.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.folder) else { return Vec::new() };
        let entries = entries.take(ENTRIES_MAX).flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str().ok()?.strip_suffix(".ask").map(str::to_owned))
            .collect()
    }

    /// Reads a question and takes it away.
    fn take(&self, name: &str) -> io::Result<String> {
        let file = format!("{name}.ask");
        // A pipe without a writer would never open.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.folder, &file, flags, Mode::empty()).map(File::from);
        rustix::fs::unlinkat(&self.folder, &file, AtFlags::empty())?;
        let opened = opened?;
        if !opened.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut words = String::new();
        opened.take(QUESTION_MAX).read_to_string(&mut words)?;
        Ok(words)
    }

    fn lay_down(&self, name: &str, answer: &Answer) {
        let written = || -> io::Result<()> {
            let (fresh, file) = (format!("{name}.wet"), format!("{name}.answer"));
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut ink = File::from(rustix::fs::openat(&self.folder, &fresh, flags, Mode::from(0o600))?);
            writeln!(ink, "{}", answer.code)?;
            if !answer.text.is_empty() {
                writeln!(ink, "{}", answer.text)?;
            }
            Ok(rustix::fs::renameat(&self.folder, &fresh, &self.folder, &file)?)
        };
        if let Err(error) = written() {
            tracing::debug!(%error, "an answer to the script cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> (tempfile::TempDir, Desk) {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(&folder.path().join("desk")).unwrap();
        (folder, desk)
    }

    fn tend(desk: &mut Desk, answer: Option<&Answer>) {
        desk.looked = None;
        desk.tend(&mut |_| answer.cloned());
    }

    #[test]
    fn a_question_stays_open_until_there_is_an_answer() {
        let (folder, mut desk) = desk();
        let path = |name: &str| folder.path().join("desk").join(name);
        std::fs::write(path("1.ask"), "stop\nwatch\n").unwrap();
        tend(&mut desk, None);
        assert!(!path("1.answer").exists() && !path("1.ask").exists());
        tend(&mut desk, Some(&Answer::no("watch does not stop")));
        assert_eq!(std::fs::read_to_string(path("1.answer")).unwrap(), "1\nwatch does not stop\n");
        assert!(desk.open.is_empty());
    }

    #[test]
    fn nothing_outside_is_read_or_written_by_links_and_pipes() {
        let (folder, mut desk) = desk();
        let path = |name: &str| folder.path().join("desk").join(name);
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "stop\nwatch\n").unwrap();
        std::os::unix::fs::symlink(&outside, path("1.ask")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("2.ask"), rustix::fs::FileType::Fifo, Mode::from(0o600), 0)
            .unwrap();
        std::fs::write(path("3.ask"), "nonsense").unwrap();
        std::os::unix::fs::symlink(&outside, path("3.wet")).unwrap();
        tend(&mut desk, Some(&Answer::yes("")));
        assert!(!path("1.answer").exists() && !path("2.answer").exists());
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "stop\nwatch\n");
    }

    #[test]
    fn a_desk_that_the_script_put_something_else_in_place_of_is_still_the_one_that_was_opened() {
        let (folder, mut desk) = desk();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("1.ask"), "ask\nreboot\n").unwrap();
        std::fs::rename(folder.path().join("desk"), folder.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("desk")).unwrap();
        tend(&mut desk, Some(&Answer::yes("")));
        assert!(elsewhere.join("1.ask").exists() && !elsewhere.join("1.answer").exists());
    }
}
