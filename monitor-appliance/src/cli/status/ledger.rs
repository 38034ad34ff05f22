//! How far the ledger of readings is, and when the month ends.

use crate::cli::table::time;
use jiff::Timestamp;
use monitor_appliance::store::StoreError;
use monitor_appliance::{Context, Store};

/// The ledger.
#[derive(Debug, serde::Serialize)]
pub(super) struct Ledger {
    /// Its name; none before the first reading.
    name: Option<String>,
    /// Number of the last entry.
    last: u64,
    /// Entries that the center was not told yet.
    untold: u64,
    /// When the month ends here.
    month_end: Option<Timestamp>,
    /// The time zone that says so.
    time_zone: String,
}

pub(super) fn look(context: &Context, store: &Store) -> Result<Ledger, StoreError> {
    let standing = store.ledger_standing()?;
    let (name, last, untold) =
        standing.map_or((None, 0, 0), |(name, last, untold)| (Some(name), last, untold));
    let month_end = &context.settings.ledger.month_end;
    Ok(Ledger {
        name,
        last,
        untold,
        month_end: month_end.next(context.now()).map(|deadline| deadline.at),
        time_zone: month_end.zone_name().to_owned(),
    })
}

impl Ledger {
    pub(super) fn text(&self) -> String {
        format!(
            "ledger         {} entries, {} not told yet; the month ends {} (time zone {})\n",
            self.last,
            self.untold,
            time(self.month_end),
            self.time_zone
        )
    }
}
