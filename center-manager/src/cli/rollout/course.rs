//! The waves of a rollout: choosing them at the start, and what a person does while it runs.

use super::number;
use crate::cli::print::{self, Format};
use crate::cli::{Exit, WrongUse, operator};
use crate::db::Db;
use crate::report::{WaveRow, minute};
use crate::rollout::{self, Act, ConsentError, Course, Deed, Mode, NAMED, Rollout, RolloutId};
use crate::system::now;
use clap::Args;
use std::io::Write;

/// In which waves.
#[derive(Debug, Clone, Args)]
pub struct CourseArgs {
    /// A course by its name: default, fast, urgent, slow or at-once; `rollout courses` says what they are.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub course: String,
    /// Waves of your own: how far each reaches, as a number of appliances or as a percentage, such as 10,5%,25%,100%.
    #[arg(long, value_name = "LIST", conflicts_with = "course")]
    pub waves: Option<String>,
    /// Minutes between a wave that has proven itself and the next; for waves of your own 60, if not given.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(0..=43_200))]
    pub pause: Option<u32>,
    /// Wait for `rollout resume` between the waves.
    #[arg(long)]
    pub hold: bool,
    /// So many of a hundred appliances of a wave must be updated before the next; 90 if not given.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub success: Option<u8>,
    /// So many of a hundred in error stop the rollout; 3 if not given. Silence is an error, too.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub errors: Option<u8>,
}

impl CourseArgs {
    /// The course that is meant.
    pub(super) fn course(&self) -> anyhow::Result<Course> {
        let wrong = |text: String| WrongUse(text);
        let mut course = match &self.waves {
            Some(waves) => Course::parse(waves, self.pause.unwrap_or(60) * 60, self.hold)
                .map_err(|error| wrong(format!("--waves: {error}")))?,
            None => Course::named(&self.course).ok_or_else(|| {
                let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
                wrong(format!("there is no course {:?}; there are: {}", self.course, names.join(", ")))
            })?,
        };
        for wave in &mut course.waves {
            wave.hold |= self.hold;
            wave.pause_secs = self.pause.map_or(wave.pause_secs, |minutes| minutes * 60);
        }
        let thresholds = &mut course.thresholds;
        thresholds.success_percent = self.success.unwrap_or(thresholds.success_percent);
        if let Some(percent) = self.errors {
            thresholds.error_percent = percent;
            thresholds.errors_at_least =
                thresholds.errors_at_least.min(rollout::Thresholds::USUAL.errors_at_least);
        }
        Ok(course)
    }
}

/// The lines of the preview about the waves.
pub(super) fn preview(course: &Course, total: u32) -> String {
    let sizes: Vec<_> = course.sizes(total).iter().map(ToString::to_string).collect();
    let waves = match sizes.as_slice() {
        [_] => "all in one wave".to_owned(),
        _ => format!("{}, with {} appliances", sizes.len(), sizes.join(", ")),
    };
    format!(
        "waves      {waves} (course {})\n\
         at worst   if it breaks every appliance, {} of {total} are touched before it stops",
        course.name,
        course.blast_radius(total)
    )
}

/// What to do to which rollout, and why.
#[derive(Debug, Args)]
pub struct ConductArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Who says so; the user of this system, if not given.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn conduct(
    act: Act,
    args: &ConductArgs,
    db: &mut Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let who = operator(args.by.as_deref());
    rollout::conduct(db, id, &Deed { act, who: &who, reason: &args.reason }, now())?;
    let said = match act {
        Act::Pause => format!("pauses; go on with: center-manager rollout resume {id}"),
        Act::GoOn => format!("goes on; follow it with: center-manager rollout watch {id}"),
        Act::ReleaseNext => {
            format!("releases its next wave; follow it with: center-manager rollout watch {id}")
        }
        Act::Stop => format!(
            "stops: no further package is sent, and appliances that have not begun are called back; \
             go on with: center-manager rollout resume {id}"
        ),
    };
    writeln!(out, "rollout {id} {said}")?;
    Ok(Exit::Done)
}

/// The waves in `rollout status`.
pub(super) fn write_waves(waves: &[WaveRow], out: &mut dyn Write) -> anyhow::Result<()> {
    let names = ["wave", "appliances", "updated", "under way", "failed", "silent", "not yet", "state"];
    let rows = waves.iter().map(|wave| {
        let mut cells: Vec<_> = [wave.wave, wave.appliances].iter().map(ToString::to_string).collect();
        cells.extend(wave.parts().iter().map(ToString::to_string));
        cells.push(wave.state().to_owned());
        cells
    });
    print::table(out, &names, rows)
}

/// Whether it runs, and if not, why and what to type.
pub(super) fn standing(rollout: &Rollout) -> String {
    let id = rollout.id;
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
    if let Err(waits @ ConsentError::Waits { .. }) = rollout.check_consent() {
        return waits.to_string();
    }
    match (&rollout.stand.mode, rollout.finished) {
        (Mode::Paused { at, reason, .. }, None) => format!(
            "paused {}{}; go on with: center-manager rollout resume {id}",
            minute(*at),
            because(reason)
        ),
        (Mode::Stopped { at, reason }, _) => format!(
            "stopped {}{}; go on with: center-manager rollout resume {id}",
            minute(*at),
            because(reason)
        ),
        (_, Some(finished)) => format!("finished {}", minute(finished)),
        (Mode::Running, None) => "running".to_owned(),
    }
}

/// `rollout courses`.
pub(super) fn list(format: Format, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match format {
        Format::Json => {
            let courses: Vec<_> = NAMED.iter().filter_map(|(name, _)| Course::named(name)).collect();
            print::json(out, &courses)?;
        }
        Format::Text => {
            let rows = NAMED.iter().map(|(name, what)| vec![(*name).to_owned(), (*what).to_owned()]);
            print::table(out, &["course", "waves"], rows)?;
        }
    }
    Ok(Exit::Done)
}
