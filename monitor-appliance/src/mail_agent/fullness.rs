//! An own mailbox that is nearly full is told while mail still comes in.

use crate::alarm;
use crate::context::Context;
use crate::store::{Change, StoreError};
use mailbox::Quota;
use mailbox::quota::{ADVICE, NEARLY_FULL};

/// Notes what an account's server told of its mailbox. An alarm begins with the first mailbox that is nearly full, and ends
/// when none is any more.
///
/// # Errors
/// [`StoreError`].
pub(super) fn note(
    change: &Change<'_>,
    context: &Context,
    account: &str,
    quota: Quota,
) -> Result<(), StoreError> {
    let now = context.now();
    change.note_quota(account, quota, now)?;
    for entry in &context.settings.accounts {
        let name = &entry.account.name;
        if let Some(known) = change.fullness(name)?.filter(|known| known.nearly_full) {
            let words = format!("the mailbox of account {name} is {}; {ADVICE}", known.quota);
            return alarm::raise(change, context, NEARLY_FULL, words, now).map(drop);
        }
    }
    alarm::end(change, context, NEARLY_FULL).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::layout::Layout;
    use crate::settings::Settings;
    use jiff::Timestamp;
    use mailbox::quota::Amount;
    use std::path::Path;
    use std::sync::Arc;

    fn account(name: &str) -> String {
        format!(
            "[[accounts]]\nname = \"{name}\"\naddress = \"agent1@site.example\"\nusername = \"agent1\"\n\
             smtp = {{ host = \"127.0.0.1\", port = 25, security = \"plain\" }}\nfetch = \"imap\"\n\
             fetch_server = {{ host = \"127.0.0.1\", port = 143, security = \"plain\" }}\n"
        )
    }

    #[test]
    fn the_center_hears_once_of_a_mailbox_that_fills_and_once_that_it_is_over() {
        let home = tempfile::tempdir().unwrap();
        let text = format!(
            "agent = \"AGENT0000001\"\ncenter = \"CENTER\"\ncenter_address = \"center@center.example\"\n{}{}",
            account("main"),
            account("spare")
        );
        let settings = Settings::parse(&text, Path::new("appliance.toml")).unwrap();
        let clock = || Reading::of_wall(Timestamp::UNIX_EPOCH);
        let context = Context::new(Layout::new(home.path()), settings, Arc::new(clock));
        let mut store = context.open_store().unwrap();
        let mut told = |account: &str, used| {
            let quota = Quota { octets: Amount::new(used, 100), mails: None };
            store.change(|change| note(change, &context, account, quota)).unwrap();
            (store.alarms().unwrap().len(), store.outbox_waiting_count().unwrap())
        };
        assert_eq!(told("main", 79), (0, 0));
        assert_eq!(told("spare", 85), (1, 1));
        assert_eq!(told("main", 91), (1, 1), "known already");
        assert_eq!(told("spare", 10), (1, 1), "the other one is still full");
        assert_eq!(told("main", 77), (1, 1), "not by one mail less");
        assert_eq!(told("main", 20), (0, 2));
        assert_eq!(told("gone-account", 99), (0, 2), "no account of ours any more");
    }
}
