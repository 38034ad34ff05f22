//! Logging of the programs: to standard error, where the service manager collects it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging. `filter` is a level or a list of `target=level`, as `tracing` writes them; what cannot be read in
/// it is left out.
///
/// Some libraries print passwords and mail content at their most talkative level; they are kept quiet whatever
/// `filter` says.
pub fn start(filter: &str) {
    let mut filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(filter);
    for target in mailbox::TALKATIVE_LOG_TARGETS {
        if let Ok(directive) = format!("{target}=warn").parse() {
            filter = filter.add_directive(directive);
        }
    }
    // A second start in one process, as in a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
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
