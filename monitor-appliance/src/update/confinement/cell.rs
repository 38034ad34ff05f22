//! `run-script`: the first process of a script's namespace. It closes the last fences around itself, starts the
//! script, takes in orphans, and tells how the script ended.

use super::super::script::{Script, ScriptEnd};
use super::{Fence, Fences, landlocked};
use crate::supervisor::processes::spawn_group;
use rustix::process::{Resource, Rlimit, Signal, WaitOptions, WaitStatus, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Stdio;

/// Octets of the script's description that are read.
pub(super) const DESCRIPTION_MAX: u64 = 1 << 20;
/// Open files of one process.
const OPEN_FILES: u64 = 1024;

/// What a script may do beyond what any user may: give files away and reach those of other users.
const RIGHTS_KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID);

/// What the cell tells its keeper: one JSON value per line on standard error, which the script does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// The fences that it raised; the script starts now.
    Fenced(Fences),
    /// The script ended.
    Ended(ScriptEnd),
}

/// Reads a script's description from standard input and runs it, restricted. Returns when it has ended.
///
/// # Errors
/// When the description cannot be read or nobody listens any more.
pub fn run_in_cell() -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut description = Vec::new();
    std::io::stdin().lock().take(DESCRIPTION_MAX).read_to_end(&mut description)?;
    let script: Script = serde_json::from_slice(&description)?;
    // Orphans come to the first process of a namespace anyway; where there is none, to this one.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // A leader of a group cannot; then it has no terminal either.
    let _ = rustix::process::setsid();

    let mut fences = Fences::default();
    limit(&script)?;
    fences.raise(Fence::Capabilities, &script.without, drop_rights);
    fences.raise(Fence::Landlock, &script.without, || landlocked::restrict(&script));
    tell(&Word::Fenced(fences))?;
    tell(&Word::Ended(run(&script)))
}

fn tell(word: &Word) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    std::io::stderr().lock().write_all(&line)
}

fn run(script: &Script) -> ScriptEnd {
    let started = script.command().and_then(|mut command| {
        let output = std::io::stdout().as_fd().try_clone_to_owned()?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        spawn_group(&mut command)
    });
    let child = match started {
        Ok(child) => child.id(),
        Err(error) => return ScriptEnd::NotStarted { reason: error.to_string() },
    };
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child) => {
                return end_of(status);
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return ScriptEnd::NotStarted { reason: error.to_string() },
        }
    }
}

fn end_of(status: WaitStatus) -> ScriptEnd {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ScriptEnd::of_code(code),
        (None, signal) => ScriptEnd::Killed { signal: signal.unwrap_or_default() },
    }
}

/// Limits per process, which the kernel keeps for us; those of all processes together are the keeper's.
fn limit(script: &Script) -> std::io::Result<()> {
    let bounds = &script.bounds;
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, both(0))?;
    setrlimit(Resource::Nofile, both(OPEN_FILES))?;
    // Twice, here and for memory: so that the keeper, which can say why, comes first.
    setrlimit(Resource::Fsize, both(bounds.disk.saturating_mul(2)))?;
    // Processor time runs faster than the clock only with several threads.
    setrlimit(Resource::Cpu, both(bounds.time.as_secs().saturating_add(1)))?;
    setrlimit(Resource::Data, both(bounds.memory.saturating_mul(2)))?;
    Ok(())
}

/// The script's processes can get no right that is not in the bounding set; this process keeps its own.
fn drop_rights() -> std::io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..held })?;
    for right in CapabilitySet::all().difference(RIGHTS_KEPT).iter() {
        match rustix::thread::remove_capability_from_bounding_set(right) {
            // A right that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
