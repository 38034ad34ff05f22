//! What an install script may do, and the fences that hold it to that.
//!
//! A script is what the release key signed, but a mistake in it must not cost the site. It runs three processes deep:
//!
//! ```text
//! update-install          talks to the store; outside of all fences
//!   keep-script           namespaces, control group; counts, measures, kills (`keeper.rs`)
//!     run-script          first process of its namespace; capabilities, Landlock, limits (`cell.rs`)
//!       install script
//! ```
//!
//! Each dies with the one above it, and with `run-script` the kernel ends everything in its namespace: a new session, a
//! second fork or an empty environment change nothing about that. A fence that the kernel lacks is left out, logged, and
//! told with the script's output; what is counted and measured is so in any case.

mod cell;
mod cgroup;
mod keeper;
mod landlocked;
mod namespaces;
mod usage;

pub use cell::run_in_cell;
pub use keeper::keep_script;
pub(super) use keeper::{Kept, end_descendants, how};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a script may use up. Each is enforced by counting and killing, and by the kernel where it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Time until it must have ended.
    pub time: Duration,
    /// Processes and threads at a time, its own included.
    pub processes: u32,
    /// Octets of memory of all of them together.
    pub memory: u64,
    /// Octets by which what it may write to may grow.
    pub disk: u64,
    /// Files by which it may grow.
    pub files: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(600),
            processes: 256,
            memory: 512 << 20,
            disk: 1 << 30,
            files: 20_000,
        }
    }
}

/// A bound that a script went beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excess {
    /// Of [`Bounds::processes`].
    Processes {
        /// The bound.
        bound: u32,
    },
    /// Of [`Bounds::memory`].
    Memory {
        /// The bound, octets.
        bound: u64,
    },
    /// Of [`Bounds::disk`].
    Disk {
        /// The bound, octets.
        bound: u64,
    },
    /// Of [`Bounds::files`].
    Files {
        /// The bound.
        bound: u32,
    },
    /// Of the disk itself.
    DiskFull {
        /// Octets that must stay free.
        reserve: u64,
    },
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Processes { bound } => write!(f, "more than {bound} processes"),
            Self::Memory { bound } => write!(f, "more than {bound} octets of memory"),
            Self::Disk { bound } => write!(f, "more than {bound} octets written"),
            Self::Files { bound } => write!(f, "more than {bound} new files"),
            Self::DiskFull { reserve } => write!(f, "less than {reserve} octets left on the disk"),
        }
    }
}

/// One kind of fence that the kernel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// A namespace of processes of its own: it sees and signals only its own, and all end with the first.
    Processes,
    /// A namespace of mounts of its own: what the installer built, the releases, the roots of trust and the store are
    /// read-only, the credential and the sockets of the system's services are not there.
    Mounts,
    /// A namespace of networks of its own, with nothing in it.
    Network,
    /// Root without the rights to load, mount, trace, make devices or raise limits.
    Capabilities,
    /// Writing only beneath the folders that it is given; no TCP, no signals to others.
    Landlock,
    /// A control group: hard bounds for processes and memory, and one call that ends all.
    Group,
}

impl Fence {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Processes, Self::Mounts, Self::Network, Self::Capabilities, Self::Landlock, Self::Group];

    /// As it is written in settings and told with the output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Mounts => "mounts",
            Self::Network => "network",
            Self::Capabilities => "capabilities",
            Self::Landlock => "landlock",
            Self::Group => "group",
        }
    }
}

impl std::fmt::Display for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Which fences stood while a script ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fences {
    /// Those that stood.
    pub active: Vec<Fence>,
    /// Those that did not, and why, for a person.
    pub missing: Vec<(Fence, String)>,
}

impl Fences {
    /// Raises a fence unless it is in `without`, and notes what came of it. Returns what raising it gave.
    fn raise<T, E: std::fmt::Display>(
        &mut self,
        fence: Fence,
        without: &[Fence],
        raise: impl FnOnce() -> Result<T, E>,
    ) -> Option<T> {
        if without.contains(&fence) {
            self.missing.push((fence, "switched off in the settings".to_owned()));
            return None;
        }
        match raise() {
            Ok(raised) => {
                self.active.push(fence);
                Some(raised)
            }
            Err(error) => {
                self.missing.push((fence, error.to_string()));
                None
            }
        }
    }

    /// Adds what another process raised.
    fn join(&mut self, other: Self) {
        self.active.extend(other.active);
        self.missing.extend(other.missing);
    }

    /// One line for the script's output when a fence is missing; `None` when all stood.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.active.iter().map(|fence| fence.name()).collect();
        let active = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let missing: Vec<String> =
            self.missing.iter().map(|(fence, why)| format!("{fence} ({why})")).collect();
        Some(format!("[fences: {active}; missing: {}]", missing.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_fence_is_told_and_a_whole_set_is_not() {
        let mut fences = Fences::default();
        fences.raise(Fence::Landlock, &[], || Ok::<_, std::io::Error>(()));
        assert_eq!(fences.remark(), None);
        fences.raise(Fence::Group, &[], || Err::<(), _>("no control groups"));
        fences.raise(Fence::Network, &[Fence::Network], || Ok::<_, std::io::Error>(()));
        assert_eq!(
            fences.remark().unwrap(),
            "[fences: landlock; missing: group (no control groups), network (switched off in the settings)]"
        );
    }

    #[test]
    fn the_name_of_a_fence_is_the_same_in_settings_and_in_words() {
        for fence in Fence::ALL {
            assert_eq!(serde_json::to_string(&fence).unwrap(), format!("\"{fence}\""));
        }
    }
}
