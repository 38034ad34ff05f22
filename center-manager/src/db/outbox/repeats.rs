//! Commands that got lost: mail servers took them, and nobody answers.

use super::{At, Db, DbError};
use jiff::Timestamp;
use rusqlite::params;

/// Which recipients' turn it is, at the time `?1`. The first pause is the time that an appliance waits for an answer itself (30 min,
/// JP 2003-435644 Fig. 4); each is twice the one before, up to 32 h. A rollout's question first waits two hours: nobody sits before it,
/// and by then an appliance that has it has sent its answer three times by itself. Packages and their parts are their rollout's matter, and
/// rotations and test mails have pauses of their own. While a mail server says that it still tries, no second mail follows the first: for five days,
/// as long as one tries (RFC 5321, 4.5.4.1). What went in a circle is not sent into it again.
const LOST: &str = "r.state IN ('accepted', 'delayed', 'bounced') AND r.cause <> 'loop'
    AND max(r.changed, ifnull(r.answer_at, 0)) + max(
        CASE WHEN EXISTS (SELECT 1 FROM rollout_mail m WHERE m.message = o.message)
             THEN 7200000 << min(max(r.attempts - 1, 0), 4) ELSE 1800000 << min(max(r.attempts - 1, 0), 6) END,
        CASE r.state WHEN 'delayed' THEN 432000000 ELSE 0 END) <= ?1
    AND a.state <> 'removed' AND a.suspended IS NULL";

/// The commands that may still be answered.
const COMMANDS: &str =
    "outbox o JOIN outbox_recipient r ON r.outbox = o.id JOIN appliance a ON a.agent = r.agent
    WHERE o.family = 'command' AND o.expires >= ?1 AND o.package IS NULL AND o.part_of IS NULL
      AND NOT EXISTS (SELECT 1 FROM rotation t WHERE t.message = o.message)
      AND NOT EXISTS (SELECT 1 FROM probe_rung p WHERE p.outbox = o.id)";

impl Db {
    /// Puts commands into the outbox again that were handed in and not answered, under the same id and number: whoever has
    /// one already sends its answer again. Answers how many.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn repeat_commands(&mut self, now: Timestamp) -> Result<usize, DbError> {
        let lost: Vec<(i64, String)> = self
            .read()
            .prepare_cached(&format!("SELECT r.outbox, r.agent FROM {COMMANDS} AND {LOST}"))?
            .query_map([At(now)], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        if lost.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            // An answer may have come since.
            let mut update = transaction.prepare_cached(
                "UPDATE outbox_recipient SET state = 'queued', next_try = ?3, changed = ?3
                 WHERE outbox = ?1 AND agent = ?2 AND state <> 'answered'",
            )?;
            let mut repeated = 0;
            for (outbox, agent) in &lost {
                repeated += update.execute(params![outbox, agent, At(now)])?;
            }
            Ok(repeated)
        })
    }
}

#[cfg(test)]
mod tests;
