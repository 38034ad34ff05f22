//! `keep-script`: stands outside of a script's fences, looks at what it uses, and ends it.

use super::super::script::{LEFTOVERS_MAX, Script, ScriptEnd};
use super::cell::{DESCRIPTION_MAX, Word};
use super::cgroup::Group;
use super::usage::{Meter, descendants};
use super::{Fence, Fences, namespaces};
use crate::supervisor::processes::PACKAGE_MARK;
use crate::update::script::Output;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use std::io::{PipeReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Octets of what the cell tells that are read.
const WORDS_MAX: u64 = 64 << 10;

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::update) struct Kept {
    /// How it ended.
    pub(in crate::update) end: ScriptEnd,
    /// The end of its output.
    pub(in crate::update) output: String,
    /// What it was held by.
    pub(in crate::update) fences: Fences,
}

/// Reads a script's description from standard input, runs it behind all fences that the system has, and writes what
/// became of it to standard output. Nothing of the script runs any more afterwards.
///
/// # Errors
/// When the description cannot be read or the result not be written.
pub fn keep_script() -> std::io::Result<()> {
    // Ours ends with the installer's life, and the script with ours.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut description = Vec::new();
    std::io::stdin().lock().take(DESCRIPTION_MAX).read_to_end(&mut description)?;
    let script: Script = serde_json::from_slice(&description)?;
    let kept = keep(&script, &description);
    std::io::stdout().lock().write_all(&serde_json::to_vec(&kept)?)
}

fn keep(script: &Script, description: &[u8]) -> Kept {
    let mut fences = Fences::default();
    let (cell, output, words, group) = match start(script, description, &mut fences) {
        Ok(started) => started,
        Err(error) => {
            let end = ScriptEnd::NotStarted { reason: error.to_string() };
            return Kept { end, output: String::new(), fences };
        }
    };
    let (status, stopped) = watch(cell, script, group.as_ref());
    let mut told = None;
    for word in words.join().unwrap_or_default() {
        match word {
            Word::Fenced(raised) => fences.join(raised),
            Word::Ended(end) => told = Some(end),
        }
    }
    // The kernel may have stopped a part of it between two looks; then its exit code 0 means nothing.
    let refused = group.as_ref().and_then(|group| group.excess(&script.bounds));
    let end = match (stopped, refused, told) {
        (Some(end), _, _) => end,
        (None, Some(excess), _) => ScriptEnd::Exceeded { excess },
        (None, _, Some(end)) => end,
        (None, _, None) => ScriptEnd::KeeperLost { how: how(status) },
    };
    end_descendants(std::process::id());
    Kept { end, output: output.finish(), fences }
}

/// How a process ended, for a person.
pub(in crate::update) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

type Words = std::thread::JoinHandle<Vec<Word>>;

/// Raises the fences that stand around the cell and starts it; it begins when it has read the description, which is
/// when it is in its group.
fn start(
    script: &Script,
    description: &[u8],
    fences: &mut Fences,
) -> std::io::Result<(Child, Output, Words, Option<Group>)> {
    let (output, writer) = std::io::pipe()?;
    let (words, teller) = std::io::pipe()?;
    // First: who has left its namespace of processes can start no threads any more.
    let (output, words) = (Output::pump(output), listen(words));
    namespaces::leave(script, fences);
    let mut group = None;
    fences.raise(Fence::Group, &script.without, || {
        let (made, verdict) = Group::make(script);
        group = made;
        verdict
    });
    let mut cell = Command::new("/proc/self/exe")
        .arg0("update-install")
        .arg("run-script")
        .env_clear()
        .env(PACKAGE_MARK, &script.package_dir)
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(teller)
        .spawn()?;
    if let Some(group) = &group
        && let Err(error) = group.take_in(cell.id())
    {
        tracing::warn!(%error, "the script cannot be put into its control group");
    }
    if let Some(mut input) = cell.stdin.take() {
        // A cell that does not listen has ended, which is seen in a moment.
        let _ = input.write_all(description);
    }
    Ok((cell, output, words, group))
}

fn listen(words: PipeReader) -> Words {
    std::thread::spawn(move || {
        let mut text = String::new();
        // What is no text cannot be the cell's.
        let _ = words.take(WORDS_MAX).read_to_string(&mut text);
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    })
}

/// Waits for the cell's end. Returns it, and why the script was stopped if it was.
fn watch(mut cell: Child, script: &Script, group: Option<&Group>) -> (ExitStatus, Option<ScriptEnd>) {
    let begun = Instant::now();
    let mut meter = Meter::begin(script, cell.id());
    let stopped = loop {
        match cell.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return (status, None),
            Err(error) => break ScriptEnd::NotStarted { reason: error.to_string() },
        }
        if begun.elapsed() >= script.bounds.time {
            break ScriptEnd::TimedOut { limit: script.bounds.time };
        }
        let refused = group.and_then(|group| group.excess(&script.bounds));
        if let Some(excess) = refused.or_else(|| meter.look()) {
            break ScriptEnd::Exceeded { excess };
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if let Some(group) = group {
        group.kill();
    }
    // With the first process of a namespace the kernel ends all of it.
    let _ = cell.kill();
    end_descendants(std::process::id());
    let status = cell.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
    (status, Some(stopped))
}

/// Ends one process.
pub(super) fn kill(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().filter(|id| *id > 1).and_then(Pid::from_raw) {
        // Gone already is what we want.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Ends every process that `ancestor`, to which orphans return, has started, and looks again until there is none.
pub(in crate::update) fn end_descendants(ancestor: u32) {
    let begun = Instant::now();
    loop {
        let left = descendants(ancestor);
        if left.is_empty() || begun.elapsed() >= LEFTOVERS_MAX {
            break;
        }
        left.iter().for_each(|process| kill(process.id));
        std::thread::sleep(LOOK_EVERY);
    }
}
