//! A profile for a person to read.

use std::fmt::Write as _;

use super::{Habit, LoginWay, Provider};
use crate::account::Security;

impl LoginWay {
    /// As in the files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::AppPassword => "app-password",
            Self::Oauth2 => "oauth2",
        }
    }
}

impl Habit {
    /// What it means, for a person.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PopListsOnce => {
                "by POP3 each mail is listed to one session only, unless the login begins with `recent:`"
            }
            Self::PopDeleteIsASetting => "what deleting by POP3 does stands in the account's settings",
            Self::FetchIsOffAtFirst => "POP3 and IMAP have to be turned on",
            Self::SubmissionIsOffAtFirst => "sending by SMTP has to be turned on by an administrator",
            Self::KeepsSentMail => "copies of what is sent fill the mailbox",
            Self::OwnSenderOnly => "takes mail from the account's own addresses only",
            Self::SendOnly => "there is no mailbox: mail can only be sent",
        }
    }
}

impl Provider {
    /// Everything, in lines.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = format!("{} ({}), written {}\n", self.title, self.name, self.written);
        // Writing into a String cannot fail.
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<28}{value}");
        };
        for (name, server) in [("smtp", &self.smtp), ("imap", &self.imap), ("pop3", &self.pop3)] {
            let Some(server) = server else { continue };
            let security = match server.security {
                Security::Tls => "TLS",
                Security::StartTls => "STARTTLS",
                Security::Plain => "unprotected",
            };
            line(name, &format!("{}:{} {security}", server.host, server.port));
        }
        let ways: Vec<&str> = self.login.iter().map(|way| way.as_str()).collect();
        line("login", &ways.join(", "));
        line("tells of new mail (IDLE)", if self.idle { "yes" } else { "no" });
        if !self.domains.is_empty() {
            line("addresses end in", &self.domains.join(", "));
        }
        for (name, figure) in self.limits.figures() {
            let checked = figure
                .checked
                .map_or_else(|| "not checked".to_owned(), |checked| format!("checked {checked}"));
            let note = figure.note.map(|note| format!("; {note}")).unwrap_or_default();
            line(&name, &format!("{}{note} ({}, {checked})", figure.value, figure.source));
        }
        if !self.blocked_files.is_empty() {
            line("refuses files", &self.blocked_files.join(" "));
        }
        for habit in &self.habits {
            line("note", habit.meaning());
        }
        for note in &self.notes {
            line("note", note);
        }
        text
    }
}
