//! Filing one mail: its verdict and everything that follows from it, in one transaction.

use crate::commands::{self, StoredDevice};
use crate::context::{ChannelKeys, Context};
use crate::health;
use crate::judge::{Authentic, Keys, Verdict, judge};
use crate::release::ReleaseError;
use crate::replace_file::replace_file;
use crate::store::{JournalEntry, NewUpdateOrder, Outcome, Outgoing, Store, StoreError, Tally};
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport};
use mailfmt::{Command, Report};

/// A mail could not be filed. It must stay in the mailbox and is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilingError {
    /// The store.
    #[error("the mail could not be filed in the store")]
    Store(#[from] StoreError),
    /// The package that came with it.
    #[error("the package that came with the mail could not be written")]
    Package(#[from] ReleaseError),
}

/// What a filed mail was, for the log and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filed {
    /// Discarded and counted.
    Junk,
    /// A hint that a mail of ours was not delivered.
    Bounce,
    /// Expired before it came.
    Expired,
    /// A receipt; false if it was for no report that waits.
    Receipt(bool),
    /// A command that came before.
    Repeat,
    /// A command that was refused and answered.
    Refused,
    /// A command that was accepted.
    Accepted,
}

/// Judges `raw` and does what follows from it. After an `Ok` the mail may be deleted, after an error it may not.
///
/// # Errors
/// [`FilingError`].
pub fn file_mail(
    store: &mut Store,
    context: &Context,
    keys: &ChannelKeys,
    raw: &[u8],
) -> Result<Filed, FilingError> {
    let center = &context.settings.center;
    let now = context.now();
    let judge_keys = Keys { center, to_appliance: &keys.to_appliance };
    let verdict =
        judge(raw, judge_keys, |message| store.seen(message, center), &context.settings.limits, now)?;
    match verdict {
        Verdict::Junk(reason) => {
            tracing::info!(%reason, octets = raw.len(), "junk mail discarded");
            discard(store)?;
            Ok(Filed::Junk)
        }
        Verdict::AutoReply => {
            tracing::info!("automatic answer discarded");
            discard(store)?;
            Ok(Filed::Junk)
        }
        Verdict::Bounce(bounce) => {
            let messages: Vec<String> = bounce.messages.iter().map(ToString::to_string).collect();
            tracing::warn!(
                messages = messages.join(" "), action = ?bounce.action,
                status = bounce.status.as_deref().unwrap_or_default(), diagnostic = ?bounce.diagnostic,
                "a mail server says that a mail of ours did not arrive"
            );
            Ok(Filed::Bounce)
        }
        Verdict::Expired { message } => {
            tracing::warn!(%message, "a message came after it had expired");
            discard(store)?;
            Ok(Filed::Expired)
        }
        Verdict::Receipt { authentic, receipt } => {
            let settled = store.change(|change| {
                change.see_sequence(center, authentic.sequence)?;
                change.settle(receipt.report, receipt.number, now)
            })?;
            tracing::info!(report = %receipt.report, number = receipt.number, settled, "receipt");
            Ok(Filed::Receipt(settled))
        }
        Verdict::Repeat { authentic } => {
            let pause = i64::try_from(context.settings.timers.answer_poll.as_millis()).unwrap_or(i64::MAX);
            let answers = store.change(|change| change.answer_again(authentic.message, now, pause))?;
            tracing::info!(message = %authentic.message, answers, "a command came again; its answer is sent again");
            Ok(Filed::Repeat)
        }
        Verdict::Refused { authentic, kind, reason } => {
            let report = commands::refusal(&kind, &reason, &health::running_version(context));
            tracing::warn!(message = %authentic.message, kind = ?kind, ?reason, "command refused");
            let answer = context.outgoing(report, Some(authentic.message));
            let entry = entry(context, &authentic, &kind, Outcome::Refused);
            store.change(|change| {
                if change.journal(&entry)? {
                    change.enqueue(&answer)?;
                }
                Ok::<_, StoreError>(())
            })?;
            Ok(Filed::Refused)
        }
        Verdict::Accepted { authentic, command, enclosure } => {
            tracing::info!(message = %authentic.message, kind = command.kind(), "command accepted");
            accept(store, context, &authentic, &command, &enclosure)?;
            Ok(Filed::Accepted)
        }
    }
}

/// Counts a mail that nobody reads.
pub(super) fn discard(store: &mut Store) -> Result<(), StoreError> {
    store.change(|change| change.count(Tally::Junk))
}

fn entry(context: &Context, authentic: &Authentic, kind: &str, outcome: Outcome) -> JournalEntry {
    JournalEntry {
        message: authentic.message,
        center: context.settings.center.clone(),
        sequence: authentic.sequence,
        kind: kind.chars().take(64).collect(),
        outcome,
        received: context.now(),
        expires: authentic.expires,
    }
}

fn accept(
    store: &mut Store,
    context: &Context,
    authentic: &Authentic,
    command: &Command,
    enclosure: &[u8],
) -> Result<(), FilingError> {
    let id = authentic.message;
    let entry = entry(context, authentic, command.kind(), Outcome::Accepted);
    let answer = |report| context.outgoing(report, Some(id));
    match command {
        Command::Ping(_) => {
            let report = health::report(store, context)?;
            store.change(|change| {
                if change.journal(&entry)? {
                    health::enqueue(change, context, report, Some(id))?;
                }
                Ok(())
            })
        }
        Command::Counters(request) => {
            let report = Report::Counters(commands::counters(request, &stored_devices(store, context)?));
            file_answer(store, &entry, &answer(report))
        }
        Command::Version(request) => store.change(|change| {
            if change.journal(&entry)? {
                change.request_version(Some(id), Some(request.nonce), context.now())?;
            }
            Ok(())
        }),
        Command::Update(order) => {
            match commands::ordered_package(order, enclosure, &context.settings.limits) {
                Ok(package) => file_order(store, context, &entry, order, &package),
                Err(reason) => {
                    tracing::warn!(package = %order.package, reason, "order to update refused");
                    file_answer(store, &entry, &answer(refused_order(context, order, reason)))
                }
            }
        }
        // The judge refuses unknown kinds.
        Command::RotateCredential(_) | Command::TrustRoots(_) | Command::Unknown { .. } => {
            let reason = crate::judge::RefusedReason::UnknownKind;
            let report = commands::refusal(command.kind(), &reason, &health::running_version(context));
            file_answer(store, &entry, &answer(report))
        }
    }
}

fn file_answer(store: &mut Store, entry: &JournalEntry, answer: &Outgoing) -> Result<(), FilingError> {
    store.change(|change| {
        if change.journal(entry)? {
            change.enqueue(answer)?;
        }
        Ok(())
    })
}

/// The package lies on disk, complete, before the row that speaks of it.
fn file_order(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
    order: &UpdateOrder,
    package: &[u8],
) -> Result<(), FilingError> {
    let folder = context.layout.packages_dir();
    std::fs::create_dir_all(&folder).map_err(|source| ReleaseError::Io {
        action: "create",
        path: folder,
        source,
    })?;
    replace_file(&context.layout.package_file(&order.package), package, 0o600)?;
    let row = NewUpdateOrder {
        package: order.package,
        target: order.target.clone(),
        command: entry.message,
        received: entry.received,
    };
    store.change(|change| {
        if change.journal(entry)? {
            change.order_update(&row)?;
        }
        Ok(())
    })
}

fn refused_order(context: &Context, order: &UpdateOrder, reason: String) -> Report {
    Report::UpdateResult(UpdateResultReport {
        package: order.package,
        target: order.target.clone(),
        running: health::running_version(context),
        outcome: UpdateOutcome::Refused { reason },
        output: String::new(),
    })
}

fn stored_devices(store: &Store, context: &Context) -> Result<Vec<StoredDevice>, StoreError> {
    let device = |entry: &crate::settings::DeviceEntry| {
        let address = entry.address.as_str();
        Ok(StoredDevice::new(address, store.device(address)?, store.latest_reading(address)?))
    };
    context.settings.devices.iter().map(device).collect()
}

#[cfg(test)]
mod tests;
