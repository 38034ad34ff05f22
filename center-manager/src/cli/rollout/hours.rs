//! When the sites of a rollout may begin: what is said at the command line, and what it comes to.

use crate::cli::WrongUse;
use crate::report::minute;
use crate::rollout::Openings;
use clap::Args;
use jiff::Timestamp;
use mailfmt::conditions::{Blackout, Conditions, Start, WeeklyWindow};
use mailfmt::package::Manifest;

/// When sites may begin; all times are the site's own, and its appliance keeps to them.
#[derive(Debug, Default, Args)]
pub struct HoursArgs {
    /// Do not begin before: a time such as 2026-12-01T20:00Z, or the site's own: "local 2026-12-01T20:00" or "local 22:00".
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// Begin only in these hours, such as "Mo-Fr 20:00-06:00"; may be given several times: one of them is enough.
    #[arg(long = "window", value_name = "[DAYS ]HOURS")]
    pub windows: Vec<WeeklyWindow>,
    /// Never begin on these days: 2026-12-24..2027-01-06, every year 12-24..01-06, or month-end:3 for the last three days of
    /// every month; may be given several times.
    #[arg(long = "blackout", value_name = "DAYS")]
    pub blackouts: Vec<Blackout>,
}

impl HoursArgs {
    /// What the order says, given at `now`, and what its package says.
    pub(super) fn openings(&self, manifest: &Manifest, now: Timestamp) -> Result<Openings, WrongUse> {
        let wrong = |error: &dyn std::error::Error| WrongUse(error.to_string());
        let start = self.start_at.as_deref().map(|text| Start::read(text, now)).transpose();
        let ordered = Conditions {
            start: start.map_err(|error| wrong(&error))?,
            windows: self.windows.clone(),
            blackouts: self.blackouts.clone(),
        };
        ordered.check().map_err(|error| wrong(&error))?;
        let openings = Openings { ordered, package: manifest.rules.window };
        if openings.may_miss(now, manifest.expires) {
            return Err(WrongUse(format!(
                "not every site could begin before the package expires at {}: {}; widen --window or --blackout, or build the \
                 package again with a later expiry (center-manager package build --help)",
                minute(manifest.expires),
                preview(&openings, manifest, now),
            )));
        }
        Ok(openings)
    }
}

/// One line: when sites begin.
pub(super) fn preview(openings: &Openings, manifest: &Manifest, now: Timestamp) -> String {
    let package =
        openings.package.map(|hours| format!(", in the package's hours {hours}")).unwrap_or_default();
    let latest = openings.at_the_latest(now, manifest.expires);
    let clause = format!("begins     {}{package}, in the time of each site", openings.ordered);
    format!("{clause}; everywhere by {}", minute(latest))
}
