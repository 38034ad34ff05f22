//! Rollouts at the center of a play. What the play wants to know of them it reads past the code, with its own connection.

use super::Center;
use anyhow::Context as _;
use center_manager::db::packages::StoredPackage;
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{self, Course, Draft, Openings, Release, RolloutId, Timing};
use mailfmt::AgentId;

/// What the operator is told of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No verdict.
    Pending,
    /// It runs the target version.
    Updated,
    /// It does not, or nobody knows.
    Failed,
}

impl Center {
    /// Every appliance was heard long ago, so that its first word begins nothing.
    pub(crate) fn know_all(&mut self) -> anyhow::Result<()> {
        let now = self.clock.now().as_millisecond();
        self.watch()?.execute("UPDATE appliance SET state = 'active', last_heard = ?1", (now,))?;
        Ok(())
    }

    /// A rollout of the package to the whole fleet at once begins, with so many automatic rounds.
    pub(crate) fn begin_rollout(&mut self, timing: Timing, rounds: u32) -> anyhow::Result<RolloutId> {
        let now = self.clock.now();
        let draft = Draft {
            release: Release::of(&self.package.manifest),
            order: self.package.order.clone(),
            whole: None,
            timing,
            openings: Openings::default(),
            retrying: Policy { rounds, ..Policy::USUAL },
            course: Course::at_once(),
            joining: None,
            approvals: 0,
            package_expires: self.package.manifest.expires,
            agents: self.agents.iter().cloned().collect(),
        };
        let package = StoredPackage {
            id: draft.order.package,
            manifest: self.package.manifest.clone(),
            octets: draft.order.enclosure_octets,
            path: "made-for-the-play".into(),
            signers: String::new(),
            added: now,
        };
        let db = &mut self.live()?.db;
        db.put_package(&package)?;
        Ok(rollout::start(db, &draft, "operator", now)?)
    }

    /// How long an order or a question lives, by the settings.
    pub(crate) fn command_life(&self) -> jiff::SignedDuration {
        self.settings.command_expiry
    }

    /// What is rolled out.
    pub(crate) fn package(&self) -> &super::Package {
        &self.package
    }

    /// Whether every target has its verdict and nothing is left to try.
    pub(crate) fn is_finished(&mut self, id: RolloutId) -> anyhow::Result<bool> {
        let text = "SELECT finished IS NOT NULL FROM rollout WHERE id = ?1";
        Ok(self.watch()?.prepare_cached(text)?.query_row((id.0,), |row| row.get(0))?)
    }

    /// The mark of every target, by its place.
    pub(crate) fn marks(&mut self, id: RolloutId) -> anyhow::Result<Vec<Mark>> {
        let places = std::sync::Arc::clone(&self.places);
        let mut marks = vec![Mark::Pending; places.len()];
        let text = "SELECT agent, mark FROM rollout_target WHERE rollout = ?1";
        let mut statement = self.watch()?.prepare_cached(text)?;
        let mut rows = statement.query((id.0,))?;
        while let Some(row) = rows.next()? {
            let place =
                places.get(&AgentId::new(row.get_ref(0)?.as_str()?)?).context("it is in the fleet")?;
            let mark = match row.get_ref(1)?.as_str()? {
                "updated" => Mark::Updated,
                "failed" => Mark::Failed,
                _ => Mark::Pending,
            };
            if let Some(place) = marks.get_mut(*place) {
                *place = mark;
            }
        }
        Ok(marks)
    }

    /// What happened to one target by the center's own history, a line each.
    pub(crate) fn history(&mut self, id: RolloutId, place: usize) -> anyhow::Result<String> {
        let agent = self.agents.get(place).context("it is in the fleet")?.clone();
        let lines = self.live()?.db.rollout_history(id, &agent)?;
        let line = |line: &center_manager::db::rollouts::HistoryLine| {
            format!("\n  {:.0} attempt {}: {} {}", line.at, line.attempt, line.what, line.detail)
        };
        Ok(lines.iter().map(line).collect())
    }
}
