//! Following a rollout to its end.

use crate::cli::Exit;
use crate::db::Db;
use crate::db::rollouts::Counts;
use crate::rollout::{RolloutId, after};
use crate::system::now;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::SignedDuration;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// So long after a rollout was due nobody seems to be at work on it; longer than a slow mail server holds the daemon up.
const DAEMON_LATE: SignedDuration = SignedDuration::from_secs(60);

const NO_DAEMON: &str =
    "note: the daemon does not seem to run; `center-manager serve` sends and reads the mail";

/// Shows bars on a terminal, else one line per change; ends when the rollout has.
pub(super) fn watch(db: &Db, id: RolloutId, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let update_to = db.rollout(id)?.release.version;
    writeln!(out, "rollout {id}: update to {update_to}")?;
    let on_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    let bar =
        on_terminal.then(|| bar(u64::from(db.rollout_counts(id).map_or(0, |(counts, _)| counts.total))));
    let mut shown = None;
    let mut noted = false;
    let counts = loop {
        let (counts, finished) = db.rollout_counts(id)?;
        if shown != Some(counts) {
            match &bar {
                Some(bar) => {
                    bar.set_position(u64::from(counts.updated) + u64::from(counts.failed));
                    bar.set_message(line(&counts));
                }
                None => {
                    writeln!(out, "{}", line(&counts))?;
                    out.flush()?;
                }
            }
            shown = Some(counts);
        }
        if finished.is_some() {
            break counts;
        }
        if !noted && db.rollout_wake(id)?.is_some_and(|due| after(due, DAEMON_LATE) < now()) {
            noted = true;
            match &bar {
                Some(bar) => bar.println(NO_DAEMON),
                None => eprintln!("{NO_DAEMON}"),
            }
        }
        std::thread::sleep(LOOK);
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
        writeln!(out, "{}", line(&counts))?;
    }
    if counts.failed > 0 {
        writeln!(out, "why and what next: center-manager rollout report {id}")?;
    }
    Ok(exit(&counts))
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:40}] {pos}/{len} decided; {msg}; {elapsed}")
        .expect("the template names only what indicatif knows")
        .progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(LOOK);
    bar
}

fn line(counts: &Counts) -> String {
    format!(
        "{} updated, {} failed, {} open, {} in all",
        counts.updated, counts.failed, counts.pending, counts.total
    )
}

fn exit(counts: &Counts) -> Exit {
    if counts.updated == counts.total {
        Exit::Done
    } else if counts.updated == 0 {
        Exit::Failed
    } else {
        Exit::Partly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_all_some_or_none() {
        let counts = |updated, failed| Counts { total: updated + failed, updated, failed, pending: 0 };
        assert_eq!(exit(&counts(17, 0)), Exit::Done);
        assert_eq!(exit(&counts(13, 4)), Exit::Partly);
        assert_eq!(exit(&counts(0, 17)), Exit::Failed);
    }
}
