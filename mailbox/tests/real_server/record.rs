//! What was tried and what passed: a line each on the screen and, where `MAILSERVER_RECORD` names a file, a line of JSON
//! there, from which `scripts/servers/matrix` makes its table.

use std::{future::Future, io::Write as _};

use serde_json::json;

use crate::site::{Guard, optional};

/// One line of the table: a server, a protocol, a protection, and what is checked.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) protocol: &'static str,
    pub(crate) guard: String,
    pub(crate) what: String,
}

impl Check {
    pub(crate) fn new(protocol: &'static str, guard: Guard, what: impl Into<String>) -> Self {
        Self { protocol, guard: guard.to_string(), what: what.into() }
    }

    fn note(&self, outcome: &str) {
        let (server, version) = match self.protocol {
            "smtp" => ("MAILSERVER_SMTP_NAME", "MAILSERVER_SMTP_VERSION"),
            _ => ("MAILSERVER_STORE_NAME", "MAILSERVER_STORE_VERSION"),
        };
        let server = optional(server).unwrap_or_else(|| "server".to_owned());
        println!("{outcome}: {server} {} {}: {}", self.protocol, self.guard, self.what);
        let Some(file) = optional("MAILSERVER_RECORD") else { return };
        let line = json!({
            "server": server,
            "version": optional(version).unwrap_or_default(),
            "protocol": self.protocol,
            "guard": self.guard,
            "what": self.what,
            "outcome": outcome,
        });
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The checks so far; the others are run although one failed.
#[derive(Debug, Default)]
pub(crate) struct Record {
    failed: Vec<String>,
}

impl Record {
    /// Runs a check that says something of several lines: all of them pass with it, or none.
    pub(crate) async fn run(&mut self, checks: &[Check], work: impl Future<Output = ()> + Send + 'static) {
        for check in checks {
            check.note("tried");
        }
        // In a task of its own, so that a panic ends this check only.
        let outcome = tokio::spawn(work).await;
        for check in checks {
            if outcome.is_ok() {
                check.note("passed");
            } else {
                check.note("FAILED");
                self.failed.push(format!("{check:?}"));
            }
        }
    }

    /// Ends the test.
    pub(crate) fn close(self) {
        assert!(self.failed.is_empty(), "failed, reasons above:\n{}", self.failed.join("\n"));
    }
}
