//! The line that tells how it goes while the center is waited for.

use indicatif::{ProgressBar, ProgressStyle};
use monitor_appliance::enrolment::Progress;
use std::io::IsTerminal as _;
use std::time::Duration;

/// One line on a terminal; elsewhere a line per change.
pub(super) struct Line {
    devices: usize,
    bar: Option<ProgressBar>,
    said: String,
}

impl Line {
    pub(super) fn new(devices: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { devices, bar, said: String::new() }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let state = state(progress, self.devices);
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{state}{}", times(progress)));
                bar.tick();
            }
            None if state != self.said => eprintln!("{state}"),
            None => {}
        }
        self.said = state;
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What does not change from second to second.
fn state(progress: &Progress, devices: usize) -> String {
    let state = if progress.offered {
        format!("the center knows the code; {devices} devices registered, waiting to be admitted")
    } else {
        "waiting for the center".to_owned()
    };
    match &progress.trouble {
        Some(trouble) => format!("{state}; {}", super::super::table::clean(trouble)),
        None => state,
    }
}

fn times(progress: &Progress) -> String {
    let asked = match progress.asked {
        Some(asked) => format!("asked {} ago", span(asked)),
        None => "not handed in yet".to_owned(),
    };
    format!("; {asked}, next look in {}", span(progress.next_look))
}

/// Seconds, and minutes from two on.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_is_waited_for_and_how_long() {
        let mut progress = Progress {
            offered: false,
            asked: Some(Duration::from_secs(20)),
            next_look: Duration::from_secs(5),
            trouble: None,
        };
        assert_eq!(state(&progress, 3), "waiting for the center");
        assert_eq!(times(&progress), "; asked 20 s ago, next look in 5 s");
        progress.offered = true;
        progress.trouble = Some("no answer\x1b[2J".into());
        assert_eq!(
            state(&progress, 3),
            "the center knows the code; 3 devices registered, waiting to be admitted; no answer [2J"
        );
        assert_eq!(span(Duration::from_secs(300)), "5 min");
    }
}
