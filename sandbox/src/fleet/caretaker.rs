//! The caretaker of one appliance: the supervisor's work without processes.

use super::Shared;
use super::residents::Residents;
use jiff::Timestamp;
use monitor_appliance::store::{SharedStore, StoreError, UpdateOrderRow};
use monitor_appliance::update::{self, Turn, UpdateError, UpdateState, next_order, reason};
use monitor_appliance::{Context, Shutdown, version_report};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Time between two looks at the store, as the supervisor's.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What an appliance's store asks the caretaker to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// Write the version reports that are wanted.
    Report,
    /// Go on with an installation up to the swap.
    Install,
    /// Swap the new release in, with all modules stopped.
    Swap {
        /// The order's row.
        order: i64,
    },
}

/// The next errand. Reports go first: none of them may come from the middle of a swap, and they are short.
fn next_errand(version_wanted: bool, orders: &[UpdateOrderRow], now: Timestamp) -> Option<Errand> {
    if version_wanted {
        return Some(Errand::Report);
    }
    let order = next_order(orders, now)?;
    Some(match order.state.turn() {
        Turn::Supervisor => Errand::Swap { order: order.id },
        _ => Errand::Install,
    })
}

/// Runs an appliance until `shutdown`.
pub(super) async fn live(context: Context, shared: Arc<Shared>, mut shutdown: Shutdown) {
    let agent = context.settings.agent.clone();
    let mut caretaker = match Caretaker::begin(context, Arc::clone(&shared)).await {
        Ok(caretaker) => caretaker,
        Err(error) => {
            tracing::error!(%agent, why = reason(&error), "an appliance cannot start");
            shared.crashes.fetch_add(1, Ordering::Relaxed);
            return;
        }
    };
    loop {
        let worked = caretaker.look().await.unwrap_or_else(|error| {
            // The state that is stored tells the next look what to do again.
            tracing::error!(%agent, why = reason(&error), "an errand failed");
            false
        });
        let go_on = if worked { !shutdown.is_requested() } else { shutdown.pause(LOOK_EVERY).await };
        if !go_on {
            break;
        }
    }
    caretaker.residents.stop().await;
}

/// An errand that could not be done.
#[derive(Debug, thiserror::Error)]
enum CaretakerError {
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    #[error("the update cannot go on")]
    Update(#[from] UpdateError),
    #[error("no version report can be written")]
    Report(#[from] version_report::VersionReportError),
    #[error("the work was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

struct Caretaker {
    context: Context,
    shared: Arc<Shared>,
    store: SharedStore,
    residents: Residents,
    /// The store's version at the last look that found nothing to do.
    seen: Option<i64>,
    /// Whether an update waits for a time to come, which no change of the store tells.
    waits: bool,
}

impl Caretaker {
    async fn begin(context: Context, shared: Arc<Shared>) -> Result<Self, CaretakerError> {
        let opened = context.clone();
        let store = blocking(move || {
            let mut store = opened.open_store()?;
            update::restarted(&opened, &mut store)?;
            Ok(store)
        });
        let store = SharedStore::new(store.await?);
        let residents = Residents::start(&context, &shared);
        Ok(Self { context, shared, store, residents, seen: None, waits: true })
    }

    /// Looks once and does one errand; tells whether it is worth looking again at once.
    async fn look(&mut self) -> Result<bool, CaretakerError> {
        let version = self.store.read(|store| store.data_version()).await?;
        if self.seen == Some(version) && !self.waits {
            return Ok(false);
        }
        let (now, reading) = (self.context.now(), self.context.reading());
        let (errand, waits) = self
            .store
            .read(move |store| {
                let orders = store.update_orders_open()?;
                let errand =
                    next_errand(!store.version_requests_due(now, &reading)?.is_empty(), &orders, now);
                let waits = !orders.is_empty() || !store.version_requests()?.is_empty();
                Ok::<_, StoreError>((errand, waits))
            })
            .await?;
        self.waits = waits;
        let Some(errand) = errand else {
            self.seen = Some(version);
            return Ok(false);
        };
        self.run(errand).await
    }

    async fn run(&mut self, errand: Errand) -> Result<bool, CaretakerError> {
        let shared = Arc::clone(&self.shared);
        // Never closed: should it be all the same, the errand is done without a place.
        let _place = shared.errands.acquire().await.ok();
        let context = self.context.clone();
        match errand {
            Errand::Report => blocking(move || Ok(version_report::write(&context)? > 0)).await,
            Errand::Install => {
                blocking(move || {
                    let turn = update::install_next(&context)?.map(|(_, turn)| turn);
                    Ok(turn == Some(Turn::Supervisor))
                })
                .await
            }
            Errand::Swap { order } => {
                self.residents.stop().await;
                let swapped = blocking(move || swap(&context, order)).await;
                // Whatever came of it, an appliance without its modules is of no use.
                self.residents = Residents::start(&self.context, &self.shared);
                swapped.map(|state| state.turn() == Turn::Nobody)
            }
        }
    }
}

fn swap(context: &Context, order: i64) -> Result<UpdateState, CaretakerError> {
    let state = update::complete(context, order)?;
    let mut store = context.open_store()?;
    update::tidy(context, &store, SystemTime::from(context.now()));
    if store.reboot_wanted()?.is_some() {
        // All modules are stopped at this moment: as far as a pretended box can restart, it has.
        store.change(|change| {
            change.forget_reboot()?;
            tracing::info!(agent = %context.settings.agent, "restarted, as the update asks");
            Ok::<_, StoreError>(())
        })?;
        update::restarted(context, &mut store)?;
    }
    Ok(state)
}

/// Does work with files and scripts where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CaretakerError> + Send + 'static,
) -> Result<T, CaretakerError> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailfmt::package::PackageId;
    use mailfmt::{MessageId, SoftwareVersion};

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("a time")
    }

    fn order(id: i64, state: UpdateState) -> UpdateOrderRow {
        UpdateOrderRow {
            id,
            command: MessageId::from_bytes([0; 16]),
            package: PackageId::of(b""),
            target: SoftwareVersion::new("1.0.02-0").expect("a version"),
            state,
            moves: 0,
            output: String::new(),
            received: now(),
            changed: now(),
            by_hand: false,
        }
    }

    fn ready_to_swap() -> UpdateState {
        let swap = update::Swap {
            release: "1.0.02-0".into(),
            previous: "1.0.00-1".into(),
            release_counter: 2,
            trial_secs: 1,
            drop_shared_data: false,
            reboot_after: false,
            report_by_itself: false,
            wait_limits: None,
        };
        UpdateState::Checked { swap, wait: None }
    }

    #[test]
    fn a_version_is_reported_before_the_release_changes() {
        let orders = [order(7, ready_to_swap())];
        assert_eq!(next_errand(true, &orders, now()), Some(Errand::Report));
        assert_eq!(next_errand(false, &orders, now()), Some(Errand::Swap { order: 7 }));
    }

    #[test]
    fn an_order_that_waits_for_a_restart_is_no_errand() {
        let waiting: UpdateState =
            serde_json::from_value(serde_json::json!({"state": "awaiting-restart"})).expect("a state");
        assert_eq!(next_errand(false, &[order(1, UpdateState::Received)], now()), Some(Errand::Install));
        assert_eq!(next_errand(false, &[order(1, waiting)], now()), None);
        assert_eq!(next_errand(false, &[], now()), None);
    }
}
