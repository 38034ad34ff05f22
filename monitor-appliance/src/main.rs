//! `monitor-appliance`: the command line for the service person who sets an appliance up and looks after it.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use, 3 partly done (`doctor`: something does not work).

mod cli;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    monitor_appliance::logging::start(&arguments.log);
    match cli::run(arguments).await {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("monitor-appliance: {error:#}");
            cli::Code::Failed.into()
        }
    }
}
