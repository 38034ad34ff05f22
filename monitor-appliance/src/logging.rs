//! Logging of the programs: to standard error, where the service manager collects it.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging. `filter` is a level or a list of `target=level`, as `tracing` writes them; what cannot be read in
/// it is left out. Targets that it does not name are logged at `info`.
///
/// Some libraries print passwords and mail content at their most talkative level; they are kept quiet whatever
/// `filter` says.
pub fn start(filter: &str) {
    let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second start in one process, as in a test, changes nothing.
    let _ = tracing_subscriber::registry().with(levels(filter)).with(output).try_init();
}

/// What `filter` lets through. Without the regular expressions of `EnvFilter`: they would be a tenth of every program.
fn levels(filter: &str) -> Targets {
    // It calls every address an error at which nobody is; who asks devices says what is worth saying.
    let mut levels =
        Targets::new().with_default(LevelFilter::INFO).with_target("async_snmp", LevelFilter::OFF);
    // The library reads no word at all as `error`.
    let level = |word: &str| word.parse::<LevelFilter>().ok().filter(|_| !word.is_empty());
    for part in filter.split(',').map(str::trim) {
        if let Some(level) = level(part) {
            levels = levels.with_default(level);
        } else if let Some((target, word)) = part.split_once('=')
            && let Some(level) = level(word)
            && !mailbox::TALKATIVE_LOG_TARGETS.iter().any(|talkative| target.starts_with(talkative))
        {
            levels = levels.with_target(target, level);
        }
    }
    mailbox::TALKATIVE_LOG_TARGETS
        .iter()
        .fold(levels, |levels, target| levels.with_target(*target, LevelFilter::WARN))
}

/// The exit code of a program: 0, or 1 after its error was said in one line (as `{:#}`, with causes where it has them).
#[must_use]
pub fn end(program: &str, result: Result<(), impl std::fmt::Display>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_is_for_all_and_a_target_for_itself() {
        let filter = levels("warn, monitor_appliance::mail_agent=debug");
        assert!(filter.would_enable("monitor_appliance::mail_agent", &Level::DEBUG));
        assert!(filter.would_enable("anything", &Level::WARN));
        assert!(!filter.would_enable("anything", &Level::INFO));
    }

    #[test]
    fn silent_addresses_are_no_errors_unless_they_are_asked_for() {
        assert!(!levels("debug").would_enable("async_snmp::client", &Level::ERROR));
        assert!(levels("async_snmp=error").would_enable("async_snmp::client", &Level::ERROR));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let filter = levels("monitor_appliance=loud,=,,deb ug,snmp=,mailbox=debug");
        assert!(filter.would_enable("mailbox", &Level::DEBUG));
        assert!(filter.would_enable("monitor_appliance", &Level::INFO));
        assert!(!filter.would_enable("monitor_appliance", &Level::DEBUG));
    }

    #[test]
    fn libraries_that_print_secrets_stay_quiet_whatever_is_asked_for() {
        for target in mailbox::TALKATIVE_LOG_TARGETS {
            for asked in ["trace".to_owned(), format!("{target}=trace"), format!("{target}::inside=trace")] {
                let filter = levels(&asked);
                assert!(!filter.would_enable(target, &Level::INFO), "{asked}");
                assert!(!filter.would_enable(&format!("{target}::inside"), &Level::TRACE), "{asked}");
            }
        }
    }
}
