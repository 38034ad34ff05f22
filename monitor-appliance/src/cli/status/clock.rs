//! What time it is, and what that rests on.

use super::super::table::time;
use jiff::Timestamp;
use monitor_appliance::Context;
use monitor_appliance::clock::ClockState;

/// The appliance's notion of time.
#[derive(Debug, serde::Serialize)]
pub(super) struct Clock {
    time: Timestamp,
    proven: bool,
    /// By how much the box's own clock is ahead, negative if behind; only if that is worth telling.
    offset_secs: Option<i64>,
}

pub(super) fn look(context: &Context) -> Clock {
    Clock::of(&context.clock_state())
}

impl Clock {
    fn of(state: &ClockState) -> Self {
        Self { time: state.now, proven: state.proven, offset_secs: state.told_offset() }
    }

    pub(super) fn text(&self) -> String {
        let rests = if self.proven {
            "proven by a receipt since the last restart"
        } else {
            "not proven since the last restart; the next receipt does that"
        };
        let mut text = format!("time           {}, {rests}\n", time(Some(self.time)));
        if let Some(offset) = self.offset_secs {
            text += &format!(
                "clock          WRONG: this box's own clock is {} {}; set it. The appliance goes by the time above.\n",
                span(offset.unsigned_abs()),
                if offset < 0 { "behind" } else { "ahead" },
            );
        }
        text
    }
}

/// Roughly, for a person.
fn span(secs: u64) -> String {
    match secs {
        0..7_200 => format!("{} minutes", secs / 60),
        7_200..172_800 => format!("{} hours", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_years_off_is_told_with_what_to_do() {
        let mut state = ClockState::certain(Timestamp::UNIX_EPOCH);
        state.offset_secs = Some(-315_360_000);
        let text = Clock::of(&state).text();
        assert!(text.contains("3650 days behind; set it"), "{text}");
    }

    #[test]
    fn a_clock_that_is_right_takes_one_line() {
        let mut state = ClockState::certain(Timestamp::UNIX_EPOCH);
        state.offset_secs = Some(20);
        assert_eq!(Clock::of(&state).text().lines().count(), 1);
    }
}
