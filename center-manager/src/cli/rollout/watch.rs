//! Following a rollout to its end.

use super::{WatchArgs, number};
use crate::budget::Bounds;
use crate::cli::print::Format;
use crate::cli::{Context, Exit};
use crate::db::Db;
use crate::db::events::Pulse;
use crate::db::rollouts::Counts;
use crate::report::{Live, MailUse, Watched, frame, in_one_line, lines};
use crate::rollout::{Rollout, RolloutId, Targets, after};
use crate::system::now;
use console::Term;
use jiff::{SignedDuration, Timestamp};
use mailbox::AccountSettings;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// So long after a rollout was due nobody seems to be at work on it; longer than a slow mail server holds the daemon up.
const DAEMON_LATE: SignedDuration = SignedDuration::from_secs(60);

/// Events that are read: more than any terminal has room for.
const EVENTS: u32 = 40;

/// Size of the picture where it goes to no terminal.
const PAPER: (usize, usize) = (100, 60);

/// What the picture is made from, read anew when it changed.
struct Rows {
    pulse: Pulse,
    rollout: Rollout,
    targets: Targets,
}

impl Rows {
    fn read(db: &Db, id: RolloutId) -> anyhow::Result<Self> {
        Ok(Self { pulse: db.rollout_pulse(id)?, rollout: db.rollout(id)?, targets: db.rollout_targets(id)? })
    }
}

/// Draws in place on a terminal, else one line per change; ends when the rollout has.
pub(super) fn watch(
    args: &WatchArgs,
    context: &Context,
    db: &Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    // Without settings there is no mail budget to show, but a rollout can be followed all the same.
    let accounts = context.settings().map(|settings| settings.accounts).unwrap_or_default();
    let mut rows = Rows::read(db, id)?;
    let mut paper = Paper::of(args);
    loop {
        if db.rollout_pulse(id)? != rows.pulse {
            rows = Rows::read(db, id)?;
        }
        let live = live(db, &rows, &accounts, now())?;
        paper.show(&live, out)?;
        if live.finished.is_some() {
            paper.end(&live, out)?;
            return Ok(exit(&live.counts));
        }
        if args.once {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK);
    }
}

fn live(db: &Db, rows: &Rows, accounts: &[AccountSettings], now: Timestamp) -> anyhow::Result<Live> {
    let id = rows.rollout.id;
    let events = db.rollout_events(id, EVENTS)?;
    let mut mail = Vec::new();
    for account in accounts {
        let spent = |span: u32| {
            let span = SignedDuration::from_secs(span.into());
            db.spent_since(&account.name, now.saturating_sub(span).unwrap_or(Timestamp::MIN))
        };
        mail.extend(MailUse::of(&account.name, &Bounds::of_account(account), spent)?);
    }
    let daemon_late = rows.rollout.finished.is_none()
        && db.rollout_wake(id)?.is_some_and(|due| after(due, DAEMON_LATE) < now);
    let watched =
        Watched { rollout: &rows.rollout, targets: &rows.targets, events: &events, mail: &mail, daemon_late };
    Ok(Live::of(&watched, now))
}

/// Where it is shown, and what stands there.
enum Paper {
    /// A terminal: how many lines stand there, and how large it was then.
    Screen { term: Term, drawn: usize, size: (u16, u16) },
    /// A whole picture, once.
    Sheet,
    /// A line whenever something changed, and the last one.
    Log { last: String, noted: bool },
    /// A JSON object whenever something changed, and the last one.
    Json { last: Option<Box<Live>> },
}

impl Paper {
    fn of(args: &WatchArgs) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        match (args.format, args.once) {
            (Format::Json, _) => Self::Json { last: None },
            (Format::Text, true) => Self::Sheet,
            (Format::Text, false) if std::io::stdout().is_terminal() && !dumb => {
                Self::Screen { term: Term::stdout(), drawn: 0, size: (0, 0) }
            }
            (Format::Text, false) => Self::Log { last: String::new(), noted: false },
        }
    }

    fn show(&mut self, live: &Live, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Screen { term, drawn, size } => {
                let now = term.size();
                // A terminal that changed its size has broken the lines anew: what stands there stays, and it goes on below.
                if *size != now {
                    (*drawn, *size) = (0, now);
                }
                let (height, width) = (usize::from(now.0), usize::from(now.1));
                // The last column and the last line stay free, so that nothing wraps or scrolls.
                let lines = lines(live, width.saturating_sub(1), height.saturating_sub(1));
                write!(out, "{}", frame(*drawn, &lines))?;
                *drawn = lines.len();
            }
            Self::Sheet => {
                for line in lines(live, PAPER.0, PAPER.1) {
                    writeln!(out, "{line}")?;
                }
            }
            Self::Log { last, noted } => {
                if last.is_empty() {
                    writeln!(out, "rollout {}: update to {}", live.rollout, live.update_to)?;
                }
                let line = in_one_line(live);
                if line != *last {
                    writeln!(out, "{} {line}", live.at.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
                    *last = line;
                }
                if live.daemon_late && !*noted {
                    *noted = true;
                    eprintln!(
                        "note: the daemon does not seem to run; `center-manager serve` sends and reads the mail"
                    );
                }
            }
            Self::Json { last } => {
                let same =
                    last.as_ref().is_some_and(|last| Live { at: live.at, ..Live::clone(last) } == *live);
                if !same {
                    serde_json::to_writer(&mut *out, live)?;
                    writeln!(out)?;
                    *last = Some(Box::new(live.clone()));
                }
            }
        }
        out.flush()?;
        Ok(())
    }

    fn end(&self, live: &Live, out: &mut dyn Write) -> anyhow::Result<()> {
        if live.counts.failed > 0 && !matches!(self, Self::Json { .. }) {
            writeln!(out, "why and what next: center-manager rollout report {}", live.rollout)?;
        }
        Ok(())
    }
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
