//! How new mail is noticed, and how often the servers were asked to let us in.

use crate::cli::table::time;
use jiff::Timestamp;
use mailbox::inbox::Manner;
use monitor_appliance::store::{LoginWay, StoreError};
use monitor_appliance::{Context, Store};

/// How one account's mail is noticed.
#[derive(Debug, serde::Serialize)]
pub(super) struct Noticing {
    account: String,
    /// None before mail was first looked for.
    manner: Option<Manner>,
    session_open: bool,
    since: Option<Timestamp>,
    /// Longest time between two looks, whatever the server tells.
    every_secs: u64,
    logins_to_fetch: usize,
    logins_to_send: usize,
    /// Most logins to fetch within an hour.
    logins_allowed: u32,
}

pub(super) fn look(context: &Context, store: &Store) -> Result<Vec<Noticing>, StoreError> {
    let (notices, now) = (store.notices()?, context.now());
    let settings = &context.settings;
    let noticing = |entry: &monitor_appliance::settings::AccountEntry| {
        let account = &entry.account.name;
        let notice = notices.iter().find(|notice| notice.account == *account);
        let logins = |way| store.logins(account, way, now).map(|logins| logins.len());
        Ok(Noticing {
            account: account.clone(),
            manner: notice.map(|notice| notice.standing.manner),
            session_open: notice.is_some_and(|notice| notice.standing.session_open),
            since: notice.map(|notice| notice.since),
            every_secs: settings.timers.mail_poll.as_secs(),
            logins_to_fetch: logins(LoginWay::Fetch)?,
            logins_to_send: logins(LoginWay::Send)?,
            logins_allowed: settings.mail.login_budget(&settings.timers),
        })
    };
    settings.accounts.iter().map(noticing).collect()
}

pub(super) fn text(accounts: &[Noticing]) -> String {
    accounts.iter().map(Noticing::text).collect()
}

impl Noticing {
    fn text(&self) -> String {
        let (since, every) = (time(self.since), self.every_secs);
        let noticed = match (self.manner, self.session_open) {
            (None, _) => "not looked for yet".to_owned(),
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
            "new mail       {}: {noticed}; {} logins in the last hour to fetch ({} allowed), {} to send\n",
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
            logins_allowed: 300,
        };
        for (manner, session_open, words) in [
            (None, false, "not looked for yet"),
            (Some(Manner::Idle), true, "at once (IMAP IDLE since"),
            (Some(Manner::Idle), false, "NOT noticed just now"),
            (Some(Manner::Asking), true, "over one session"),
            (Some(Manner::PerLook), false, "each time with a login"),
        ] {
            let text = noticing(manner, session_open).text();
            assert!(text.contains(words), "{text}");
            assert!(text.contains("1 logins in the last hour to fetch (300 allowed), 2 to send"), "{text}");
        }
    }
}
