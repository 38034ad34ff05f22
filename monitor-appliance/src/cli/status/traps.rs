//! Where devices can send traps to, and what has come.

use jiff::Timestamp;
use monitor_appliance::Store;
use monitor_appliance::store::StoreError;

/// How traps fare.
#[derive(Debug, serde::Serialize)]
pub(super) struct Traps {
    /// UDP port that devices have to send to; none while none is listened on.
    port: Option<u16>,
    /// Why none is.
    trouble: String,
    since: Timestamp,
    /// Traps and informs of watched devices.
    notices: u64,
    /// Looks that they led to.
    looks: u64,
    /// Informs among them that were acknowledged.
    acknowledged: u64,
    /// Datagrams from where no device is watched.
    strangers: u64,
    /// Datagrams of watched devices that were no notices.
    junk: u64,
    /// What led to no look of its own, because there was too much of it.
    too_many: u64,
}

pub(super) fn look(store: &Store) -> Result<Option<Traps>, StoreError> {
    Ok(store.traps()?.map(|row| Traps {
        port: row.port,
        trouble: row.trouble,
        since: row.since,
        notices: row.tally.notices,
        looks: row.tally.looks,
        acknowledged: row.tally.acknowledged,
        strangers: row.tally.strangers,
        junk: row.tally.junk,
        too_many: row.tally.too_many,
    }))
}

pub(super) fn text(traps: Option<&Traps>) -> String {
    let Some(traps) = traps else { return String::new() };
    let Some(port) = traps.port else { return format!("traps          not received: {}\n", traps.trouble) };
    let mut text = format!(
        "traps          received on UDP port {port}; {} since the start, {} looks at devices for them",
        traps.notices, traps.looks
    );
    for (count, what) in [
        (traps.strangers, "from where no device is watched"),
        (traps.junk, "that were no traps"),
        (traps.too_many, "too many"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text + "\n"
}
