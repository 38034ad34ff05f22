//! Accepted commands, each carried out or put into the store as a duty of another module.

use super::enclosed::{Enclosed, store_package};
use super::{FilingError, entry, parts, recalling};
use crate::clock::Evidence;
use crate::commands::{self, StoredDevice};
use crate::context::Context;
use crate::judge::Authentic;
use crate::keyring::{Keyring, KeyringError};
use crate::release::ReleaseError;
use crate::replace_file::replace_file;
use crate::store::{Hold, JournalEntry, NewUpdateOrder, Outcome, Outgoing, Store, StoreError};
use crate::trust::TrustError;
use crate::{health, inventory};
use mailfmt::conditions::Conditions;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::{RefusedReport, UpdateOutcome, UpdateResultReport};
use mailfmt::trust::{ApprovalError, PublicKey, SignedRoot};
use mailfmt::{Command, Report};
use std::time::Duration;

/// No answer is left unrepeated for longer, whatever a command says.
const PATIENCE_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

/// Carries an accepted command out, or stores the duty to. The message is journaled in the same transaction.
pub(super) fn accept(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    authentic: &Authentic,
    command: &Command,
    enclosed: &Enclosed<'_>,
) -> Result<(), FilingError> {
    let id = authentic.message;
    hold(store, context, authentic)?;
    let entry = entry(context, authentic, command.kind(), Outcome::Accepted);
    let answer = |report| context.outgoing(report, Some(id));
    match command {
        Command::Ping(_) => answer_health(store, context, &entry),
        Command::Counters(request) => {
            let report = commands::counters(request, &stored_devices(store, context)?);
            let reports = commands::in_reports(report, commands::COUNTERS_OCTETS_MAX);
            let answers: Vec<Outgoing> =
                reports.into_iter().map(|report| answer(Report::Counters(report))).collect();
            store.change(|change| {
                if change.journal(&entry)? {
                    answers.iter().try_for_each(|answer| change.enqueue(answer).map(drop))?;
                }
                Ok(())
            })
        }
        Command::Version(request) => store.change(|change| {
            if change.journal(&entry)? {
                change.request_version(Some(id), Some(request.nonce), context.now())?;
            }
            Ok(())
        }),
        Command::Update(order) => {
            accept_order(store, context, keys, &entry, (order, &Conditions::default()), enclosed)
        }
        Command::UpdateWhen(when) => match when.conditions.check() {
            Ok(()) => accept_order(store, context, keys, &entry, (&when.order, &when.conditions), enclosed),
            Err(error) => {
                file_answer(store, &entry, &answer(refused_order(context, &when.order, error.to_string())))
            }
        },
        Command::Recall(recall) => recalling::file_recall(store, context, &entry, recall),
        Command::RotateCredential(request) => match keys.agree(request, authentic.sequence) {
            Ok(next) => file_answer(store, &entry, &answer(Report::CredentialRotated(next.answer()))),
            Err(KeyringError::Refused(reason)) => {
                file_answer(store, &entry, &answer(refused(command, &reason)))
            }
            Err(error) => Err(error.into()),
        },
        Command::TrustRoots(told) => {
            doubt_the_past(store, context, keys, &told.roots)?;
            match keys.follow(&told.roots) {
                Ok(trusted) => {
                    tracing::info!(root = trusted.root().version, "a newer root is trusted");
                    answer_health(store, context, &entry)
                }
                Err(
                    error @ (TrustError::Root(_)
                    | TrustError::AnotherCenter { .. }
                    | TrustError::Missing { .. }),
                ) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "roots refused");
                    file_answer(store, &entry, &answer(refused(command, &error)))
                }
                Err(error) => Err(error.into()),
            }
        }
        // A part is filed before it comes here, and the judge refuses unknown kinds.
        Command::Part(_) | Command::Unknown { .. } => {
            let reason = crate::judge::RefusedReason::UnknownKind;
            let report = commands::refusal(command.kind(), &reason, &health::running_version(context));
            file_answer(store, &entry, &answer(report))
        }
    }
}

/// Files an order to update, which begins when its conditions allow it.
fn accept_order(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    entry: &JournalEntry,
    (order, conditions): (&UpdateOrder, &Conditions),
    enclosed: &Enclosed<'_>,
) -> Result<(), FilingError> {
    if recalling::refuse_called_back(store, context, entry, order)? {
        return Ok(());
    }
    if let Err(error) = check_approval(context, keys, order, conditions) {
        let reason = crate::update::reason(&error);
        return refuse_order(store, context, entry, order, reason);
    }
    if let Some(cutting) = &order.parts {
        return parts::file_order(store, context, entry, (order, conditions), cutting);
    }
    // The package lies on disk, complete, before the row that speaks of it.
    match store_package(context, order, enclosed)? {
        Ok(()) => file_order(store, context, entry, order, conditions),
        Err(reason) => refuse_order(store, context, entry, order, reason),
    }
}

fn refuse_order(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
    order: &UpdateOrder,
    reason: String,
) -> Result<(), FilingError> {
    tracing::warn!(package = %order.package, reason, "order to update refused");
    let answer = context.outgoing(refused_order(context, order, reason), Some(entry.message));
    file_answer(store, entry, &answer)
}

/// Whether those whose word the root asks for have given it, so that nothing is fetched, kept or opened without it. The
/// installer asks again.
fn check_approval(
    context: &Context,
    keys: &Keyring,
    order: &UpdateOrder,
    conditions: &Conditions,
) -> Result<(), ApprovalError> {
    match &keys.keys().trusted {
        Some(trusted) => trusted.root().check_approval(
            order.approval.as_ref(),
            &order.terms_under(conditions),
            context.now(),
        ),
        None => Ok(()),
    }
}

/// Notes in which slot the answer goes out. Before the command is journaled: a kill in between leaves it to be noted again.
fn hold(store: &mut Store, context: &Context, authentic: &Authentic) -> Result<(), StoreError> {
    let Some(slot) = authentic.slot else { return Ok(()) };
    let (made, reading) = (context.now(), context.reading());
    let hold = Hold {
        command: authentic.message,
        made,
        at: reading.uptime(),
        wait: Duration::try_from(slot.wait(made)).unwrap_or_default(),
        patience: Duration::from_secs(slot.slot.patience_secs.into()).min(PATIENCE_MAX),
    };
    tracing::debug!(command = %hold.command, wait_secs = hold.wait.as_secs(), "the answer waits for its slot");
    store.change(|change| change.hold_answer(&hold))
}

/// Where the newest of these roots leaves none of the command keys that were trusted, what they said about the time must
/// not outlive them: a clock that they set centuries ahead would keep everything out that comes after.
/// Before the roots are stored, so that a kill in between leaves it to be done again.
fn doubt_the_past(
    store: &mut Store,
    context: &Context,
    keys: &Keyring,
    roots: &[SignedRoot],
) -> Result<(), FilingError> {
    let held = keys.keys();
    let newer = held.trusted.as_ref().and_then(|before| Some((before.root(), before.advance(roots).ok()?)));
    let Some((before, newer)) = newer else { return Ok(()) };
    let stays = |key: &PublicKey| newer.root().command.key(key.id()).is_some();
    if before.command.keys.iter().any(stays) {
        return Ok(());
    }
    let (created, reading) = (newer.root().created, context.reading());
    let known = store.change(|change| {
        change.forget_word_of(&context.settings.center, created)?;
        change.learn_time(&Evidence::Message { created }, &reading)
    })?;
    context.learned_time(known);
    Ok(keys.forget_order()?)
}

fn refused(command: &Command, reason: &dyn std::error::Error) -> Report {
    Report::Refused(RefusedReport { kind: command.kind().to_owned(), reason: reason.to_string() })
}

pub(super) fn answer_health(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
) -> Result<(), FilingError> {
    let report = health::report(store, context)?;
    store.change(|change| {
        if change.journal(entry)? {
            health::enqueue(change, context, report, Some(entry.message))?;
        }
        Ok(())
    })
}

pub(super) fn file_answer(
    store: &mut Store,
    entry: &JournalEntry,
    answer: &Outgoing,
) -> Result<(), FilingError> {
    store.change(|change| {
        if change.journal(entry)? {
            change.enqueue(answer)?;
        }
        Ok(())
    })
}

fn file_order(
    store: &mut Store,
    context: &Context,
    entry: &JournalEntry,
    order: &UpdateOrder,
    conditions: &Conditions,
) -> Result<(), FilingError> {
    put_permit(context, order)?;
    let row = NewUpdateOrder {
        package: order.package,
        target: order.target.clone(),
        command: entry.message,
        received: entry.received,
    };
    store.change(|change| {
        if change.journal(entry)? {
            change.order_update(&row)?;
            change.keep_conditions(row.command, conditions)?;
            change.keep_approval(row.command, order, conditions)?;
        }
        Ok(())
    })
}

/// The permit to go back lies beside the package; one of an order before does not count for this one.
pub(super) fn put_permit(context: &Context, order: &UpdateOrder) -> Result<(), ReleaseError> {
    let path = context.layout.permit_file(&order.package);
    if let Some(permit) = &order.permit {
        return replace_file(&path, permit.as_octets(), 0o600);
    }
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ReleaseError::Io { action: "remove", path, source })
        }
        _ => Ok(()),
    }
}

pub(super) fn refused_order(context: &Context, order: &UpdateOrder, reason: String) -> Report {
    about(context, order, UpdateOutcome::Refused { reason })
}

fn about(context: &Context, order: &UpdateOrder, outcome: UpdateOutcome) -> Report {
    Report::UpdateResult(UpdateResultReport {
        package: order.package,
        target: order.target.clone(),
        running: health::running_version(context),
        outcome,
        output: String::new(),
    })
}

/// An order whose package was damaged on its way is as good as lost: it is not journaled, so that a whole copy of it, or the
/// same once more, is carried out. The center is told what is waited for, once however many such copies come.
pub(super) fn await_whole(
    store: &mut Store,
    context: &Context,
    authentic: &Authentic,
    order: &UpdateOrder,
    damage: &str,
) -> Result<(), FilingError> {
    tracing::warn!(package = %order.package, damage, "an order came damaged; a whole copy is waited for");
    let reason = format!("a whole copy of the order: {damage}");
    let answer =
        context.outgoing(about(context, order, UpdateOutcome::Waiting { reason }), Some(authentic.message));
    let pause = i64::try_from(context.settings.timers.answer_wait.as_millis()).unwrap_or(i64::MAX);
    store.change(|change| {
        if change.answer_again(authentic.message, context.now(), pause)? == 0 {
            change.enqueue(&answer)?;
        }
        Ok(())
    })
}

fn stored_devices(store: &Store, context: &Context) -> Result<Vec<StoredDevice>, StoreError> {
    let device = |entry: &crate::settings::DeviceEntry| {
        let address = entry.address.as_str();
        Ok(StoredDevice::new(address, store.device(address)?, store.latest_reading(address)?))
    };
    inventory::watched(store, &context.settings)?.iter().map(device).collect()
}
