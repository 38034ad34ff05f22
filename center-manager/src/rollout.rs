//! Rollouts: one package to many appliances, to an end verdict for each.
//!
//! ```text
//!              package mailed            settle time over, version asked for        answer, or deadline passed
//!  planned ------------------> ordered ------------------------------------> asked ---------------------------> decided
//!     ^                           |  unasked report of the target, or bounced                                    |  ^ |
//!     |                           +-----------------------------------------------------------------------------+  +-+ later word
//!     +---------------------------- retry, by a person or by itself ([`retrying`]), attempt + 1 ------------------+
//! ```
//!
//! Each target climbs two ladders: [`Transport`] (what became of our mails) and [`Progress`] (what the installer said).
//! Neither makes a success. Only a version report does: one that answers our nonce, or one that is newer than the order,
//! with the target's software version and the manifest's hash for every module ([`Release::compare`]). The ladders say why
//! there is none. A word that comes after the verdict corrects it; and where the installer says "done" only after the
//! appliance was found at another version or silent, it is asked once more.
//!
//! [`plan`] decides and [`perform`] carries a step out on values; both see nothing but their arguments. [`tick`] and the
//! `on_*` hooks are the shell around them: rows in, rows out, one transaction each, so that a center that dies in the
//! middle goes on where it was.
//!
//! Source: JP 2003-435644 [0075-0083], Fig. 14.

mod approval;
mod approving;
mod compare;
mod conduct;
mod course;
mod hooks;
mod judge;
mod ladder;
mod membership;
mod opening;
mod perform;
mod plan;
pub mod retrying;
pub mod settling;
mod start;
mod steps;
mod target;
mod terms;
mod tick;
mod verdict;

pub use approval::{ApproveError, Consent, ConsentError, Denied, Given, sign, to_sign};
pub use approving::{ApprovingError, approve, deny};
pub use compare::{Composition, Finding, Release, composition};
pub use conduct::{Act, ConductError, Deed, conduct};
pub use course::{Course, CourseError, Gate, Mode, NAMED, Reach, Stand, Tally, Thresholds, Wave, gate};
pub use hooks::{
    Origin, on_parts, on_parts_missing, on_refused, on_transport, on_update_result, on_version_report,
};
pub use judge::judge;
pub use ladder::{PartsSent, Progress, Transport, TransportOutcome};
pub use membership::{Added, Joining, MembershipError, add, joiners, take_out};
pub use opening::Openings;
pub use perform::{Post, PostKind, perform};
pub use plan::{Step, Targets, next_wake, plan, tallies};
pub use start::{Draft, StartError, enclose, retry, start};
pub use steps::{Hop, NoWay, way};
pub use target::{Answer, Ask, Order, Target, TargetEvent, TargetState};
pub use terms::{Rollout, RolloutId, Timing};
pub use tick::tick;
pub use verdict::{Failure, Verdict};

use jiff::{SignedDuration, Timestamp};

/// `at` plus `duration`; the end of time where that lies beyond it.
pub(crate) fn after(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
