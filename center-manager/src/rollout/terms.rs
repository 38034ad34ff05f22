//! The terms of a rollout: package, target, times.

use super::approval::Consent;
use super::compare::Release;
use super::course::{Course, Stand};
use super::ladder::Progress;
use super::membership::Joining;
use super::opening::Openings;
use super::retrying::Policy;
use super::target::Order;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::UpdateOrder;

/// Number of a rollout at this center, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RolloutId(pub i64);

impl std::fmt::Display for RolloutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for RolloutId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One package on its way to many appliances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Its number.
    pub id: RolloutId,
    /// What every target runs afterwards.
    pub release: Release,
    /// The order that every target gets: the package, and the one key that it was encrypted under.
    pub order: UpdateOrder,
    /// The order for the package with whole files, where `order` brings differences: for a target that refuses those.
    pub whole: Option<UpdateOrder>,
    /// How long to wait for what.
    pub timing: Timing,
    /// When the sites may begin.
    pub openings: Openings,
    /// How far it goes by itself with those that failed.
    pub retrying: Policy,
    /// In which waves it goes.
    pub course: Course,
    /// How far it came on its course.
    pub stand: Stand,
    /// Who joins while it runs.
    pub joining: Option<Joining>,
    /// How it stands with those who have to approve it; absent where nobody has to.
    pub consent: Option<Consent>,
    /// After this no appliance installs the package.
    pub package_expires: Timestamp,
    /// When it began.
    pub started: Timestamp,
    /// When every target had its verdict and nothing was left to try.
    pub finished: Option<Timestamp>,
}

impl Rollout {
    /// By when the target of this order may have begun, wherever it is; `None` while our mail server has not taken it.
    #[must_use]
    pub fn begun_by(&self, order: &Order) -> Option<Timestamp> {
        let handed_in = order.handed_in()?;
        match order.progress {
            Progress::Ordered | Progress::Waiting { .. } if order.recalled.is_none() => {
                Some(self.openings.at_the_latest(handed_in, self.package_expires))
            }
            // It has begun, or never will.
            Progress::Ordered
            | Progress::Waiting { .. }
            | Progress::InstalledSaid { .. }
            | Progress::Refused { .. }
            | Progress::Undone { .. } => Some(handed_in),
        }
    }
}

/// How long a rollout waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the package's acceptance by our mail server until the version is asked for: pre- and post-processing and
    /// restarts. Belongs to the package ([`mailfmt::package::Rules::settle_secs`]).
    pub settle: SignedDuration,
    /// From the question's acceptance by our mail server until silence counts as failure.
    pub answer_timeout: SignedDuration,
    /// How long our mail server may refuse a mail before it counts as undeliverable.
    pub delivery_limit: SignedDuration,
    /// How long an order or a question may lie in a mailbox before the appliance ignores it.
    pub command_life: SignedDuration,
}

impl Timing {
    /// 30 minutes: twice the slowest look for mail plus greylisting.
    pub const ANSWER_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);
    /// 24 hours: an outage of our own mail server that somebody notices.
    pub const DELIVERY_LIMIT: SignedDuration = SignedDuration::from_hours(24);

    /// From the acceptance of this order until the version is asked for: what was learned, the package's own time at least.
    #[must_use]
    pub fn settle_of(&self, order: &Order) -> SignedDuration {
        self.settle.max(seconds(order.settle_secs))
    }

    /// From the acceptance of the question behind this order until silence counts as failure: so much more as mails to
    /// that site take.
    #[must_use]
    pub fn answer_limit(&self, order: &Order) -> SignedDuration {
        self.answer_timeout.saturating_add(seconds(order.mail_delay_secs))
    }
}

fn seconds(measured: Option<u32>) -> SignedDuration {
    SignedDuration::from_secs(measured.unwrap_or(0).into())
}
