//! What became of one target of a rollout.

use mailfmt::{ModuleName, SoftwareVersion};
use serde::{Deserialize, Serialize};

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It runs the target version, by its own version report.
    Updated,
    /// It does not, or nobody knows.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// Why a target is not updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "kebab-case")]
pub enum Failure {
    /// No answer to the version request.
    Silent,
    /// It runs another version.
    OtherVersion {
        /// Which.
        version: SoftwareVersion,
    },
    /// It says the target version, but its modules are others.
    MixedModules {
        /// The modules that differ.
        modules: Vec<ModuleName>,
    },
    /// It did not take the package.
    Refused {
        /// Why, in the appliance's words.
        reason: String,
    },
    /// It took the package and went back.
    Undone {
        /// Why, in the appliance's words.
        reason: String,
    },
    /// At no time before its package expires do the order, the package and the site all allow it to begin.
    WindowMissed {
        /// Which hours, in the appliance's words.
        reason: String,
    },
    /// Our mail did not get through.
    Undeliverable {
        /// Why, in the mail server's words.
        reason: String,
    },
    /// The operator has suspended it.
    Suspended,
}

impl Failure {
    /// Whether it counts against the package. A mail that did not get through, hours that did not come, and an appliance that
    /// the operator shut out, say nothing about it.
    #[must_use]
    pub fn speaks_of_the_package(&self) -> bool {
        match self {
            Self::Silent
            | Self::OtherVersion { .. }
            | Self::MixedModules { .. }
            | Self::Refused { .. }
            | Self::Undone { .. } => true,
            Self::WindowMissed { .. } | Self::Undeliverable { .. } | Self::Suspended => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Suspended => f.write_str("suspended"),
            Self::OtherVersion { version } => write!(f, "other version {version}"),
            Self::MixedModules { modules } => write!(f, "mixed modules: {}", Names(modules)),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Undone { reason } => write!(f, "undone: {reason}"),
            // The appliance's words say what this is.
            Self::WindowMissed { reason } => f.write_str(reason),
            Self::Undeliverable { reason } => write!(f, "undeliverable: {reason}"),
        }
    }
}

/// The first few of many names.
struct Names<'a>(&'a [ModuleName]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 5;
        for (index, name) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        let more = self.0.len().saturating_sub(SHOWN);
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

impl Verdict {
    /// Whether it is a success.
    #[must_use]
    pub fn is_updated(&self) -> bool {
        matches!(self, Self::Updated)
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Failed { failure }
    }
}
