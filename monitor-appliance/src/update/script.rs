//! Running an install script: bounded in time and output, and nothing of it is left afterwards.

use crate::supervisor::processes::{PACKAGE_MARK, kill_group, kill_marked, spawn_group};
use std::ffi::OsString;
use std::io::{PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Octets of a script's output that are kept: the last ones.
pub const OUTPUT_KEPT: usize = 16 << 10;

/// Exit code by which a script asks to be run again later (`EX_TEMPFAIL` of sysexits.h).
pub const EXIT_TRY_LATER: i32 = 75;

/// The search path that a script gets.
const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the output is read after the script has ended.
const OUTPUT_DRAIN: Duration = Duration::from_secs(1);
/// How long what a script left behind is hunted.
const LEFTOVERS_MAX: Duration = Duration::from_secs(5);

/// A script and what it is told.
///
/// It runs in `release_dir` with an empty standard input and exactly these variables: `RELEASE_DIR`, `CURRENT_DIR`,
/// `STATE_DIR`, `PACKAGE_DIR`, `FROM_VERSION`, `TO_VERSION` and `PATH`.
#[derive(Debug, Clone)]
pub struct Script {
    /// The script's file.
    pub file: PathBuf,
    /// The new release, complete, not yet running.
    pub release_dir: PathBuf,
    /// The running release.
    pub current_dir: PathBuf,
    /// The appliance root, where settings and the store are.
    pub state_dir: PathBuf,
    /// The working folder of this package, empty but for the script.
    pub package_dir: PathBuf,
    /// The software version that runs.
    pub from_version: String,
    /// The software version of the package.
    pub to_version: String,
    /// After this time it is killed with all its children.
    pub time_limit: Duration,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptEnd {
    /// Exit code 0.
    Succeeded,
    /// Exit code [`EXIT_TRY_LATER`].
    TryLater,
    /// Any other exit code.
    Failed {
        /// The exit code.
        code: i32,
    },
    /// Ended by a signal.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// Ran longer than it may.
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// Could not be started.
    NotStarted {
        /// Why, for a person.
        reason: String,
    },
}

impl std::fmt::Display for ScriptEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Succeeded => write!(f, "the install script succeeded"),
            Self::TryLater => write!(f, "the install script asks to be run again later"),
            Self::Failed { code } => write!(f, "the install script failed with exit code {code}"),
            Self::Killed { signal } => write!(f, "the install script was ended by signal {signal}"),
            Self::TimedOut { limit } => {
                write!(f, "the install script ran longer than its {} s and was killed", limit.as_secs())
            }
            Self::NotStarted { reason } => write!(f, "the install script cannot be started: {reason}"),
        }
    }
}

/// Runs a script to its end. Afterwards nothing that it started runs any more, not even what left its process
/// group. Returns how it ended and the last [`OUTPUT_KEPT`] octets of its output.
#[must_use]
pub fn run_script(script: &Script) -> (ScriptEnd, String) {
    // What a killed run of the same script left behind must not work beside this one.
    kill_marked(PACKAGE_MARK, &script.package_dir, LEFTOVERS_MAX);
    let (end, output) = match start(script) {
        Ok((child, output)) => (watch(child, script.time_limit), output),
        Err(error) => return (ScriptEnd::NotStarted { reason: error.to_string() }, String::new()),
    };
    kill_marked(PACKAGE_MARK, &script.package_dir, LEFTOVERS_MAX);
    (end, output.finish())
}

fn start(script: &Script) -> std::io::Result<(std::process::Child, Output)> {
    let (reader, writer) = std::io::pipe()?;
    let mut command = command(script)?;
    command
        .env_clear()
        .envs(variables(script))
        .current_dir(&script.release_dir)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = spawn_group(&mut command)?;
    // `command` holds the writing ends; without this drop the output would never end.
    drop(command);
    Ok((child, Output::pump(reader)))
}

/// A script names its interpreter in its first line; one that does not is run by the shell, as a shell would do.
fn command(script: &Script) -> std::io::Result<Command> {
    let mut start = [0; 2];
    let count = std::fs::File::open(&script.file)?.read(&mut start)?;
    if count == start.len() && start == *b"#!" {
        return Ok(Command::new(&script.file));
    }
    let mut command = Command::new("/bin/sh");
    command.arg(&script.file);
    Ok(command)
}

fn variables(script: &Script) -> [(&'static str, OsString); 7] {
    [
        ("RELEASE_DIR", script.release_dir.clone().into()),
        ("CURRENT_DIR", script.current_dir.clone().into()),
        ("STATE_DIR", script.state_dir.clone().into()),
        (PACKAGE_MARK, script.package_dir.clone().into()),
        ("FROM_VERSION", script.from_version.clone().into()),
        ("TO_VERSION", script.to_version.clone().into()),
        ("PATH", SCRIPT_PATH.into()),
    ]
}

fn watch(mut child: std::process::Child, limit: Duration) -> ScriptEnd {
    let begun = Instant::now();
    let end = loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                break match (status.code(), status.signal()) {
                    (Some(0), _) => ScriptEnd::Succeeded,
                    (Some(EXIT_TRY_LATER), _) => ScriptEnd::TryLater,
                    (Some(code), _) => ScriptEnd::Failed { code },
                    (None, signal) => ScriptEnd::Killed { signal: signal.unwrap_or_default() },
                };
            }
            Ok(None) if begun.elapsed() >= limit => break ScriptEnd::TimedOut { limit },
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => break ScriptEnd::NotStarted { reason: error.to_string() },
        }
    };
    kill_group(child.id());
    // Killed or ended: this returns at once, and leaves no zombie.
    let _ = child.wait();
    end
}

/// The end of an output that may have any length.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Output {
    fn pump(mut pipe: PipeReader) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let surplus = kept.len().saturating_sub(OUTPUT_KEPT);
                kept.drain(..surplus);
            }
        });
        Self { kept, reader }
    }

    /// What there is. Something that still holds the pipe open is not waited for: its thread ends when it does.
    fn finish(self) -> String {
        let begun = Instant::now();
        while !self.reader.is_finished() && begun.elapsed() < OUTPUT_DRAIN {
            std::thread::sleep(LOOK_EVERY);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        text_of(&kept)
    }
}

/// As UTF-8 of at most [`OUTPUT_KEPT`] octets; a wrong octet becomes the replacement character, which is longer.
fn text_of(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let surplus = text.len().saturating_sub(OUTPUT_KEPT);
    let start = (surplus..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
