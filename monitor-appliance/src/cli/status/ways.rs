//! In which form mails get through, where anything was learned of it.

use crate::cli::table::time;
use jiff::Timestamp;
use monitor_appliance::Store;
use monitor_appliance::store::StoreError;
use std::collections::BTreeMap;

/// What is known of the ways, and what gateways did to mails since the last health report.
#[derive(Debug, serde::Serialize)]
pub(super) struct Ways {
    accounts: Vec<Account>,
    mangled: BTreeMap<String, u32>,
}

/// What is known of one account's way.
#[derive(Debug, serde::Serialize)]
struct Account {
    account: String,
    /// `attachment` or `armoured text`.
    form: &'static str,
    since: Option<Timestamp>,
    reason: String,
    /// When an attachment is tried again.
    next_attachment: Option<Timestamp>,
}

pub(super) fn look(store: &Store) -> Result<Ways, StoreError> {
    let accounts = store.ways()?.into_iter().filter(|(_, way)| way.since.is_some());
    let accounts = accounts.map(|(account, way)| Account {
        account,
        form: way.form.as_str(),
        since: way.since,
        reason: way.reason,
        next_attachment: way.probe,
    });
    Ok(Ways { accounts: accounts.collect(), mangled: store.mangled()?.into_iter().collect() })
}

pub(super) fn text(ways: &Ways) -> String {
    let account = |known: &Account| {
        let Account { account, form, reason, .. } = known;
        let again = match known.next_attachment {
            Some(at) => format!("; an attachment is tried again at {}", time(Some(at))),
            None => String::new(),
        };
        format!("mail       {account}: sent as {form} since {}: {reason}{again}\n", time(known.since))
    };
    let mangled = |(how, count): (&String, &u32)| format!("mail       from the center: {how}: {count}\n");
    ways.accounts.iter().map(account).chain(ways.mangled.iter().map(mangled)).collect()
}
