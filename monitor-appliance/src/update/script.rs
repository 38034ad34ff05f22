//! Running an install script: behind fences, bounded in everything, and nothing of it is left afterwards.

mod ask;
mod desk;
mod output;

pub use ask::{Answer, Ask, Request};
pub(super) use output::Output;

use super::confinement::{Bounds, Excess, Fence, Fences, Kept, end_descendants, how};
use crate::supervisor::processes::{PACKAGE_MARK, kill_group, kill_marked, spawn_group};
use desk::Desk;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Octets of a script's output that are kept: the last ones.
pub const OUTPUT_KEPT: usize = 16 << 10;

/// Exit code by which a script asks to be run again later (`EX_TEMPFAIL` of sysexits.h).
pub const EXIT_TRY_LATER: i32 = 75;

/// Name of the program that can hold a script apart from itself.
const INSTALLER: &str = "update-install";

/// The search path that a script gets, behind its helpers.
const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long what a script left behind is hunted.
pub(super) const LEFTOVERS_MAX: Duration = Duration::from_secs(5);
/// How much longer than its script a keeper may take.
const KEEPER_GRACE: Duration = Duration::from_secs(30);
/// Octets of what a keeper tells that are read: the output may be escaped octet by octet.
const KEPT_MAX: u64 = 256 << 10;

/// A script and what it is told.
///
/// It runs in `release_dir` with an empty standard input and exactly these variables: `RELEASE_DIR`, `CURRENT_DIR`,
/// `STATE_DIR`, `PACKAGE_DIR`, `FROM_VERSION`, `TO_VERSION`, `TMPDIR` and `PATH`, in which `appliance-ctl` comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What it may use up.
    pub bounds: Bounds,
    /// Files and folders that it may write beside its own.
    pub may_write: Vec<PathBuf>,
    /// Fences that are left out on this box.
    pub without: Vec<Fence>,
}

impl Script {
    /// A script `install.sh` that has nothing but one folder.
    #[cfg(test)]
    pub(super) fn in_folder(folder: &std::path::Path) -> Self {
        Self {
            file: folder.join("install.sh"),
            release_dir: folder.to_owned(),
            current_dir: "/current".into(),
            state_dir: "/state".into(),
            package_dir: folder.to_owned(),
            from_version: "1.0.00-1".into(),
            to_version: "1.0.02-0".into(),
            bounds: Bounds { time: Duration::from_secs(1), ..Bounds::default() },
            may_write: Vec::new(),
            without: Vec::new(),
        }
    }

    /// What starts it, in its folder and with its variables; its input and output are not set.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub(super) fn command(&self) -> std::io::Result<Command> {
        // A script names its interpreter in its first line; one that does not is run by the shell, as a shell would do.
        let mut start = [0; 2];
        let count = std::fs::File::open(&self.file)?.read(&mut start)?;
        let mut command = if count == start.len() && start == *b"#!" {
            Command::new(&self.file)
        } else {
            let mut command = Command::new("/bin/sh");
            command.arg(&self.file);
            command
        };
        command.env_clear().envs(self.variables()).current_dir(&self.release_dir);
        Ok(command)
    }

    fn variables(&self) -> [(&'static str, OsString); 8] {
        let mut path = self.helpers().into_os_string();
        path.push(":");
        path.push(SCRIPT_PATH);
        [
            ("RELEASE_DIR", self.release_dir.clone().into()),
            ("CURRENT_DIR", self.current_dir.clone().into()),
            ("STATE_DIR", self.state_dir.clone().into()),
            (PACKAGE_MARK, self.package_dir.clone().into()),
            ("FROM_VERSION", self.from_version.clone().into()),
            ("TO_VERSION", self.to_version.clone().into()),
            ("TMPDIR", self.temporary().into()),
            ("PATH", path),
        ]
    }

    fn helpers(&self) -> PathBuf {
        self.package_dir.join("bin")
    }

    fn temporary(&self) -> PathBuf {
        self.package_dir.join("tmp")
    }
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Used more than it may.
    Exceeded {
        /// Of what.
        excess: Excess,
    },
    /// The process that stood above it ended first: the script's doing, or that of a kernel short of memory.
    KeeperLost {
        /// How it ended.
        how: String,
    },
    /// Could not be started.
    NotStarted {
        /// Why, for a person.
        reason: String,
    },
}

impl ScriptEnd {
    /// Of a script that ended by itself.
    pub(super) fn of_code(code: i32) -> Self {
        match code {
            0 => Self::Succeeded,
            EXIT_TRY_LATER => Self::TryLater,
            code => Self::Failed { code },
        }
    }
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
            Self::Exceeded { excess } => write!(f, "the install script was killed: {excess}"),
            Self::KeeperLost { how } => {
                write!(
                    f,
                    "the process that watched over the install script ended ({how}), and the script was killed"
                )
            }
            Self::NotStarted { reason } => write!(f, "the install script cannot be started: {reason}"),
        }
    }
}

/// Which process holds a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// A process of its own, started from this program, which is `update-install`.
    Apart,
    /// This process, with no fence but time and the script's marks: for hosts that run several appliances as
    /// functions of their own and have only scripts of their own.
    Here,
}

impl Keeper {
    /// [`Keeper::Apart`] when this program is `update-install`.
    #[must_use]
    pub fn of_this_program() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        // The system says more behind the name when the file is gone.
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.split(' ').next() == Some(INSTALLER) { Self::Apart } else { Self::Here }
    }
}

/// Runs a script to its end, answering what it asks by `appliance-ctl` with `answer`, which is called again and again
/// until it has one. Afterwards nothing that the script started runs any more, not even what left its process group.
/// Returns how it ended and the last [`OUTPUT_KEPT`] octets of its output, with a remark when a fence was missing.
#[must_use]
pub fn run_script(
    script: &Script,
    keeper: Keeper,
    answer: &mut dyn FnMut(&Request) -> Option<Answer>,
) -> (ScriptEnd, String) {
    // What a killed run of the same script left behind must not work beside this one.
    kill_marked(PACKAGE_MARK, &script.package_dir, LEFTOVERS_MAX);
    let not_started = |error: std::io::Error| ScriptEnd::NotStarted { reason: error.to_string() };
    let mut desk = match prepare(script) {
        Ok(desk) => desk,
        Err(error) => return (not_started(error), String::new()),
    };
    let mut tend = || desk.tend(answer);
    let kept = match keeper {
        Keeper::Apart => keep_apart(script, &mut tend),
        Keeper::Here => keep_here(script, &mut tend),
    };
    kill_marked(PACKAGE_MARK, &script.package_dir, LEFTOVERS_MAX);
    if let Err(error) = crate::release::remove_tree(&script.temporary()) {
        tracing::warn!(reason = super::reason(&error), "the script's temporary files cannot be removed");
    }
    match kept {
        Ok(Kept { end, output, fences }) => {
            let output = with_remark(output, &fences);
            (end, output)
        }
        Err(error) => (not_started(error), String::new()),
    }
}

fn prepare(script: &Script) -> std::io::Result<Desk> {
    std::fs::create_dir_all(script.temporary())?;
    let helpers = script.helpers();
    std::fs::create_dir_all(&helpers)?;
    let file = helpers.join("appliance-ctl");
    crate::release::write_durably(&file, include_bytes!("script/appliance-ctl.sh"), 0o755)
        .map_err(std::io::Error::other)?;
    Desk::open(&script.package_dir.join("desk"))
}

fn with_remark(output: String, fences: &Fences) -> String {
    let Some(remark) = fences.remark() else { return output };
    tracing::warn!(%remark, "an install script ran without all fences");
    let line_break = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
    output::last_octets(&format!("{output}{line_break}{remark}\n"))
}

fn keep_here(script: &Script, tend: &mut dyn FnMut()) -> std::io::Result<Kept> {
    let (reader, writer) = std::io::pipe()?;
    let mut command = script.command()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = spawn_group(&mut command)?;
    // `command` holds the writing ends; without this drop the output would never end.
    drop(command);
    let output = Output::pump(reader);
    let limit = script.bounds.time;
    let end = match wait(&mut child, limit, tend)? {
        None => ScriptEnd::TimedOut { limit },
        Some(status) => match status.code() {
            Some(code) => ScriptEnd::of_code(code),
            None => ScriptEnd::Killed { signal: status.signal().unwrap_or_default() },
        },
    };
    // It may hold the output open.
    kill_marked(PACKAGE_MARK, &script.package_dir, LEFTOVERS_MAX);
    Ok(Kept { end, output: output.finish(), fences: Fences::default() })
}

/// Waits for a child's end, kills it when that does not come in time, and all its group in any case. `None` when it
/// did not come in time.
fn wait(child: &mut Child, limit: Duration, tend: &mut dyn FnMut()) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(None) if begun.elapsed() < limit => {}
            result => break result,
        }
        tend();
        std::thread::sleep(LOOK_EVERY);
    };
    kill_group(child.id());
    // Killed or ended: this returns at once, and leaves no zombie.
    let _ = child.wait();
    status
}

fn keep_apart(script: &Script, tend: &mut dyn FnMut()) -> std::io::Result<Kept> {
    // Should the script end its keeper, what is left of it comes to us.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let description = serde_json::to_vec(script)?;
    let mut keeper = spawn_group(
        Command::new("/proc/self/exe")
            .arg0(INSTALLER)
            .arg("keep-script")
            .env_clear()
            .env(PACKAGE_MARK, &script.package_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    )?;
    if let Some(mut input) = keeper.stdin.take() {
        // A keeper that does not listen has ended, which is seen in a moment.
        let _ = input.write_all(&description);
    }
    let told = keeper.stdout.take().map(|told| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is missing, which is seen in a moment.
            let _ = told.take(KEPT_MAX).read_to_end(&mut text);
            text
        })
    });
    let status = wait(&mut keeper, script.bounds.time.saturating_add(KEEPER_GRACE), tend)?;
    end_descendants(std::process::id());
    let told = told.and_then(|told| told.join().ok()).unwrap_or_default();
    match serde_json::from_slice(&told) {
        Ok(kept) if status.is_some_and(|status| status.success()) => Ok(kept),
        _ => Ok(Kept {
            end: ScriptEnd::KeeperLost { how: status.map_or_else(|| "hung".to_owned(), how) },
            output: String::new(),
            fences: Fences::default(),
        }),
    }
}

#[cfg(test)]
mod tests;
