//! When to look for mail, and when to wake up at all: pure, over the outbox and the time.
//!
//! ```text
//! fault report sent ---- every 30 s a look for mail, 30 min long ---- no receipt: sent again, once more 30 min
//!                                                                      |
//!                        every 3 min a look for mail  <----------------+  sent again in growing pauses
//! ```
//!
//! Source: JP 2003-435644, Fig. 3, 4 and 6 [0038-0045].

use crate::outbox::{Priority, after};
use crate::settings::Timers;
use crate::store::OutboxRow;
use jiff::Timestamp;

/// Sendings of a fault report after which its answer is waited for with short looks: the first, and the one repetition.
pub const SENDINGS_WATCHED: u32 = 2;

/// What to wake up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When to look for mail.
    pub look: Timestamp,
    /// When a row of the outbox has to be sent or given up; `None` if nothing waits.
    pub send: Option<Timestamp>,
}

impl Wake {
    /// Whichever comes first.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        self.send.map_or(self.look, |send| send.min(self.look))
    }
}

/// When to wake up. `waiting` are reports without a receipt, at least those of
/// [`outbox_next`](crate::store::Store::outbox_next); `looked` is when mail was last looked for, `None` if
/// it never was.
#[must_use]
pub fn next_wake(waiting: &[OutboxRow], looked: Option<Timestamp>, timers: &Timers, now: Timestamp) -> Wake {
    let send = waiting.iter().map(|row| row.due.min(row.expires)).min();
    let Some(looked) = looked else { return Wake { look: now, send } };
    let pause = if answer_is_near(waiting, timers, now) {
        timers.answer_poll.min(timers.mail_poll)
    } else {
        timers.mail_poll
    };
    // A look in the future can only be one made before the clock was set back.
    let look = if looked > now { now } else { after(looked, pause) };
    Wake { look, send }
}

/// Whether the answer to a fault report is to be expected.
fn answer_is_near(waiting: &[OutboxRow], timers: &Timers, now: Timestamp) -> bool {
    waiting.iter().any(|row| {
        row.priority == Priority::Fault
            && (1..=SENDINGS_WATCHED).contains(&row.sendings)
            && row.last_sent.is_some_and(|sent| sent <= now && now < after(sent, timers.answer_wait))
    })
}

#[cfg(test)]
mod tests;
