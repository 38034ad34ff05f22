//! What follows by itself on a failure: said at the start of a rollout.

use crate::report::span;
use crate::rollout::retrying::Policy;
use clap::Args;
use jiff::SignedDuration;

/// How far a rollout goes by itself with those that fail.
#[derive(Debug, Clone, Copy, Args)]
pub struct RoundsArgs {
    /// So many rounds follow by themselves on a failure whose cause may pass; 0: none.
    #[arg(long, alias = "retries", value_name = "N", default_value_t = Policy::USUAL.rounds,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub rounds: u32,
    /// So many orders and questions at most for each appliance on the average; after that only `rollout retry` goes on.
    #[arg(long, value_name = "N", default_value_t = Policy::USUAL.mails_per_target,
          value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub mails_per_target: u32,
    /// Seconds before the first such round; twice as long before each further one, a day at most.
    #[arg(long, value_name = "SECS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub retry_pause: u32,
}

impl RoundsArgs {
    /// The policy that is meant.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            rounds: self.rounds,
            mails_per_target: self.mails_per_target,
            first_pause: SignedDuration::from_secs(self.retry_pause.into()),
        }
    }

    /// The same as words.
    pub(super) fn in_words(&self) -> String {
        let pause = span(self.policy().first_pause);
        match self.rounds {
            0 => "not again by themselves".to_owned(),
            n => format!(
                "by themselves up to {n} rounds, the first after {pause}; {} mails each at most, on the average",
                self.mails_per_target
            ),
        }
    }
}
