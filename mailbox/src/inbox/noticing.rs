//! How new mail of an account is noticed, in words for a person.

use jiff::Timestamp;
use serde::Serialize;

use super::Manner;
use crate::quota::Fullness;

/// What is known of how one account's mail is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noticing {
    /// The account's name.
    pub account: String,
    /// None before mail was first looked for.
    pub manner: Option<Manner>,
    /// Whether a session was open when it was last looked at.
    pub session_open: bool,
    /// Since when both are so.
    pub since: Option<Timestamp>,
    /// Longest time between two looks, in seconds, whatever the server tells.
    pub every_secs: u64,
    /// Logins to fetch within the last hour.
    pub logins_to_fetch: usize,
    /// Logins to hand mail in within the last hour.
    pub logins_to_send: usize,
    /// Most logins to fetch within an hour.
    pub logins_allowed: u32,
    /// How full the mailbox is; none before its server was asked.
    pub fullness: Option<Fullness>,
}

impl Noticing {
    /// In words. `runs` says whether the program that looks for mail runs, `since` is [`Self::since`] as the reader wants times.
    #[must_use]
    pub fn words(&self, runs: bool, since: &str) -> String {
        let every = self.every_secs;
        let noticed = match (self.manner, self.session_open) {
            (None, _) => "not looked for yet".to_owned(),
            _ if !runs => "not looked for now".to_owned(),
            (Some(Manner::Idle), true) => {
                format!("noticed at once (IMAP IDLE since {since}), and looked for every {every} s")
            }
            (Some(Manner::Asking), true) => {
                format!(
                    "asked for every {every} s over one session since {since}: the server does not tell of it"
                )
            }
            (Some(Manner::PerLook), _) => {
                format!("looked for every {every} s since {since}, each time with a login")
            }
            (Some(Manner::Idle | Manner::Asking), false) => {
                format!("NOT noticed just now: no session with the server since {since}")
            }
        };
        format!(
            "{}: {noticed}; {} logins in the last hour to fetch ({} allowed), {} to send",
            self.account, self.logins_to_fetch, self.logins_allowed, self.logins_to_send
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_how_mail_is_noticed() {
        let noticing = |manner, session_open| Noticing {
            account: "main".to_owned(),
            manner,
            session_open,
            since: None,
            every_secs: 180,
            logins_to_fetch: 1,
            logins_to_send: 2,
            logins_allowed: 780,
            fullness: None,
        };
        for (manner, session_open, runs, words) in [
            (None, false, true, "not looked for yet"),
            (Some(Manner::Idle), true, true, "at once (IMAP IDLE since yesterday)"),
            (Some(Manner::Idle), true, false, "not looked for now"),
            (
                Some(Manner::Idle),
                false,
                true,
                "NOT noticed just now: no session with the server since yesterday",
            ),
            (Some(Manner::Asking), true, true, "over one session"),
            (Some(Manner::PerLook), false, true, "each time with a login"),
        ] {
            let text = noticing(manner, session_open).words(runs, "yesterday");
            assert!(text.contains(words), "{text}");
            assert!(text.contains("1 logins in the last hour to fetch (780 allowed), 2 to send"), "{text}");
        }
    }
}
