//! `monitor-appliance outbox`.

use super::Output;
use super::table::{table, time};
use monitor_appliance::Context;
use monitor_appliance::store::OutboxRow;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many reports, the newest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only those that wait for a receipt, in the order in which they are sent.
    #[arg(long)]
    waiting: bool,
}

/// Reports and what became of them.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Listing(pub(super) Vec<OutboxRow>);

pub(super) fn list(context: &Context, arguments: &Arguments) -> anyhow::Result<Listing> {
    let store = context.open_store()?;
    Ok(Listing(if arguments.waiting {
        store.outbox_waiting(arguments.limit)?
    } else {
        store.outbox_newest(arguments.limit)?
    }))
}

impl Output for Listing {
    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no reports\n".to_owned();
        }
        let row = |row: &OutboxRow| {
            [
                row.sequence.to_string(),
                row.kind.clone(),
                time(Some(row.created)),
                row.state.as_str().to_owned(),
                row.sendings.to_string(),
                time(row.last_sent),
                row.receipt_number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
                row.last_error.clone(),
            ]
        };
        let head = ["number", "kind", "made", "state", "sent", "last sent", "receipt", "last refusal"];
        table(head, self.0.iter().map(row))
    }
}
