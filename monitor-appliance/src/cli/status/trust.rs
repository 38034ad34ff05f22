//! The part of `status` about trust: whose word counts, how fresh it is, what is wrong.

use super::time;
use jiff::Timestamp;
use monitor_appliance::freshness::{self, Freshness};
use monitor_appliance::keyring::{CredentialAge, credential_age};
use monitor_appliance::store::{AlarmRow, Moment, Store};
use monitor_appliance::{Context, trust};

/// Where the appliance stands in matters of trust.
#[derive(Debug, serde::Serialize)]
pub(super) struct Trust {
    root: Result<Root, String>,
    fresh_as_of: Option<Timestamp>,
    /// Since when nothing fresh came; `None` while all is well.
    nothing_fresh_since: Option<Timestamp>,
    credential: CredentialAge,
    credential_age_days: Option<i64>,
    alarms: Vec<AlarmRow>,
}

#[derive(Debug, serde::Serialize)]
struct Root {
    version: u64,
    expires: Timestamp,
    expired: bool,
    command_keys: Vec<String>,
    release_keys: Vec<String>,
    release_threshold: u32,
}

pub(super) fn look(context: &Context, store: &Store) -> anyhow::Result<Trust> {
    let now = context.now();
    let fresh = store.moment(Moment::Fresh)?;
    let credential = credential_age(context);
    let stale = match fresh.or(store.moment(Moment::FreshWatched)?) {
        None => Freshness::Fresh,
        Some(watched) => freshness::judge(fresh, watched, context.settings.freshness, now),
    };
    let ids = |role: &mailfmt::trust::Role| role.keys.iter().map(|key| key.id().to_string()).collect();
    Ok(Trust {
        root: trust::read(&context.layout, &context.settings.center)
            .map(|trusted| {
                let root = trusted.root();
                Root {
                    version: root.version,
                    expires: root.expires,
                    expired: root.is_expired(now),
                    command_keys: ids(&root.command),
                    release_keys: ids(&root.release),
                    release_threshold: root.release.threshold,
                }
            })
            .map_err(|error| error.to_string()),
        fresh_as_of: fresh,
        nothing_fresh_since: match stale {
            Freshness::Fresh => None,
            Freshness::Stale { since } => Some(since),
        },
        credential_age_days: credential.since.map(|since| now.duration_since(since).as_hours() / 24),
        credential,
        alarms: store.alarms()?,
    })
}

impl Trust {
    pub(super) fn text(&self) -> String {
        let root = match &self.root {
            Ok(root) => format!(
                "version {}{}, commands signed by {}, packages by {} of {}",
                root.version,
                if root.expired {
                    format!(" (EXPIRED on {})", time(Some(root.expires)))
                } else {
                    String::new()
                },
                root.command_keys.join(" or "),
                root.release_threshold,
                root.release_keys.join(", "),
            ),
            Err(error) => format!("none: {error}"),
        };
        let fresh = match self.nothing_fresh_since {
            Some(since) => format!("NOTHING FRESH since {}", time(Some(since))),
            None => time(self.fresh_as_of),
        };
        let rotating = if self.credential.rotating { ", being rotated" } else { "" };
        let age = self.credential_age_days.map_or_else(|| "-".to_owned(), |days| format!("{days} days old"));
        let mut text =
            format!("root           {root}\nfresh as of    {fresh}\ncredential     {age}{rotating}\n");
        for alarm in &self.alarms {
            text += &format!(
                "ALARM          {}: {} (since {})\n",
                alarm.name,
                alarm.description,
                time(Some(alarm.since))
            );
        }
        text
    }
}
