//! Enrolment as the center sees it: what a word of a box that is no appliance yet is worth.
//!
//! ```text
//!              hello                 registration            first report under the formal credential
//!  (nothing) ---------> offered ------------------> admitted ------------------------------------------> confirmed
//!                        |  ^ same hello,            |  ^ same registration,
//!                        +--+ same offer             +--+ same admission
//! ```
//!
//! A use of the code is counted when a registration is accepted. Under a code that is unknown, expired, revoked or used
//! up nothing is answered; the attempt is recorded for the operator. [`decide`] and [`identify`] look at nothing but
//! their arguments; [`crate::db::enrolment`] carries out.
//!
//! Source: JP 2003-074237.

mod decide;
mod identity;
pub mod sheet;

pub use decide::{CodeStanding, Contact, Decision, ExchangeStanding, Refusal, decide};
pub use identity::{Identity, KnownBox, identify};

use jiff::SignedDuration;
use mailfmt::message::enrolment::FirstSettings;
use mailfmt::trust::SignedRoot;
use mailfmt::{AgentId, CenterId};

/// How long an offer or an admission is sent and kept for repeats; an appliance that was off longer begins again.
pub const ANSWER_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What every admission brings besides id and credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionTerms {
    /// The center's id.
    pub center: CenterId,
    /// Its mail addresses, in the order in which to try them; at least one.
    pub addresses: Vec<String>,
    /// Every root from the first on.
    pub roots: Vec<SignedRoot>,
    /// First settings.
    pub settings: FirstSettings,
}

/// The next free one of `AGENT0000001`, `AGENT0000002` ..., when these were given before.
#[must_use]
pub fn next_agent_id<'a>(given: impl IntoIterator<Item = &'a AgentId>) -> AgentId {
    let last = given.into_iter().filter_map(number_of).max().unwrap_or(0);
    AgentId::new(&format!("AGENT{:07}", last.saturating_add(1))).expect("letters and at most 20 digits")
}

/// The number in an id of the usual form.
#[must_use]
pub fn number_of(agent: &AgentId) -> Option<u64> {
    let digits = agent.as_str().strip_prefix("AGENT")?;
    (digits.len() >= 7 && digits.len() <= 18).then(|| digits.parse().ok()).flatten()
}
