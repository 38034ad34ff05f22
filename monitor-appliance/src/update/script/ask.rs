//! What an install script may ask of the installer with `appliance-ctl`, and the answers.

use mailfmt::ModuleName;
use std::time::Duration;

/// How long `stop` and `wait` wait at most, unless the script says how long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that a script may say, seconds.
const PATIENCE_MAX: u64 = 3600;

const USE: &str =
    "usage: appliance-ctl stop|wait MODULE [SECONDS], start|busy MODULE, ask restart|reboot|next-restart";

/// What a script asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A resident module is to stand still until it is started, at the latest when the script has ended.
    Stop(ModuleName),
    /// Such a module may run again.
    Start(ModuleName),
    /// A module is to be left alone until it is free.
    Wait(ModuleName),
    /// Is a module in the middle of something?
    Busy(ModuleName),
    /// The programs of the appliance are all to be started anew after the update, the supervisor too.
    Restart,
    /// The box is to be restarted after the update.
    Reboot,
    /// The script is to be run again right after the next restart of the appliance; it ends with
    /// [`super::EXIT_TRY_LATER`] then.
    NextRestart,
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// How long it has been open.
    pub open_for: Duration,
    /// After this time the answer is no.
    pub patience: Duration,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Exit code of `appliance-ctl`: 0 done or yes, 1 no or not in time, 2 wrong use.
    pub code: u8,
    /// What it prints.
    pub text: String,
}

impl Answer {
    /// Done, or yes.
    #[must_use]
    pub fn yes(text: impl Into<String>) -> Self {
        Self { code: 0, text: text.into() }
    }

    /// No, or not in time.
    #[must_use]
    pub fn no(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    fn wrong_use() -> Self {
        Self { code: 2, text: USE.to_owned() }
    }
}

impl Request {
    /// From the words of a command line.
    ///
    /// # Errors
    /// The answer to one that cannot be understood. It never repeats what was said.
    pub(super) fn parse(words: &str) -> Result<Self, Answer> {
        let words: Vec<&str> = words.lines().collect();
        let module = |word: &str| ModuleName::new(word).map_err(|_| Answer::wrong_use());
        let (ask, secs) = match words.as_slice() {
            ["stop", name] => (Ask::Stop(module(name)?), None),
            ["stop", name, secs] => (Ask::Stop(module(name)?), Some(*secs)),
            ["start", name] => (Ask::Start(module(name)?), None),
            ["wait", name] => (Ask::Wait(module(name)?), None),
            ["wait", name, secs] => (Ask::Wait(module(name)?), Some(*secs)),
            ["busy", name] => (Ask::Busy(module(name)?), None),
            ["ask", "restart"] => (Ask::Restart, None),
            ["ask", "reboot"] => (Ask::Reboot, None),
            ["ask", "next-restart"] => (Ask::NextRestart, None),
            _ => return Err(Answer::wrong_use()),
        };
        let patience = match secs.map(str::parse::<u64>) {
            None => PATIENCE,
            Some(Ok(secs)) if secs <= PATIENCE_MAX => Duration::from_secs(secs),
            Some(_) => return Err(Answer::wrong_use()),
        };
        Ok(Self { ask, open_for: Duration::ZERO, patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_or_answered_with_the_right_use() {
        let name = ModuleName::new("watch").unwrap();
        let asked =
            |words: &str| Request::parse(words).map(|request| (request.ask, request.patience.as_secs()));
        assert_eq!(asked("stop\nwatch\n"), Ok((Ask::Stop(name.clone()), 60)));
        assert_eq!(asked("wait\nwatch\n5\n"), Ok((Ask::Wait(name), 5)));
        assert_eq!(asked("ask\nreboot\n"), Ok((Ask::Reboot, 60)));
        for wrong in [
            "",
            "stop",
            "stop\n../x",
            "stop\nwatch\n-1",
            "stop\nwatch\n3601",
            "ask",
            "ask\nmoney",
            "stop\na\n1\n2",
        ] {
            assert_eq!(asked(wrong).unwrap_err().code, 2, "{wrong}");
        }
    }
}
