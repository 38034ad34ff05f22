//! Moving an update on in the store, and changing the running release.

use super::UpdateError;
use super::state::{Swap, Turn, UpdateEvent, UpdateState};
use crate::context::Context;
use crate::release::{Releases, remove_tree};
use crate::store::{Change, Store, StoreError, UpdateOrderRow};
use crate::supervisor::processes::boot_id;
use crate::trust;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport};
use mailfmt::{Report, SoftwareVersion};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long package files and working folders of updates that are over are kept.
const FILES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Moves an order on: the new state, what is reported about it and what follows from it, in one transaction.
/// `output` replaces the stored output of the script. Returns the new state.
///
/// # Errors
/// [`UpdateError::Misfit`] and [`UpdateError::Overtaken`] when it is not the moment; nothing is changed then.
pub fn advance(
    context: &Context,
    store: &mut Store,
    row: &UpdateOrderRow,
    event: UpdateEvent,
    output: Option<&str>,
) -> Result<UpdateState, UpdateError> {
    let told = match (&row.state, &event) {
        (UpdateState::Waiting { reason, .. }, UpdateEvent::WaitReported) => {
            Some(UpdateOutcome::Waiting { reason: reason.clone() })
        }
        (_, UpdateEvent::Accepted { at_next_restart: true }) => {
            Some(UpdateOutcome::Waiting { reason: "the next restart of the appliance".to_owned() })
        }
        _ => None,
    };
    let next = row.state.clone().step(event)?;
    let report = next.outcome().or(told).map(|outcome| {
        let running = match outcome {
            UpdateOutcome::Installed => row.target.clone(),
            _ => running_version(context),
        };
        let report = Report::UpdateResult(UpdateResultReport {
            package: row.package,
            target: row.target.clone(),
            running,
            outcome,
            output: output.unwrap_or(&row.output).to_owned(),
        });
        context.outgoing(report, Some(row.command))
    });
    store.change(|change| {
        if !change.move_update(row, &next, context.now())? {
            return Err(UpdateError::Overtaken { id: row.id });
        }
        if let Some(output) = output {
            change.keep_update_output(row.id, output)?;
        }
        if let Some(report) = &report {
            change.enqueue(report)?;
        }
        if let (UpdateState::OnTrial { swap, .. }, UpdateState::Committed) = (&row.state, &next) {
            follow_up(context, change, swap)?;
        }
        Ok(())
    })?;
    Ok(next)
}

/// What a package asks for at its successful end.
fn follow_up(context: &Context, change: &Change<'_>, swap: &Swap) -> Result<(), StoreError> {
    let trusted = trust::read(&context.layout, &context.settings.center).ok();
    change.raise_installed_counter(swap.release_counter, trusted.as_ref())?;
    if swap.report_by_itself {
        change.request_version(None, None, context.now())?;
    }
    if swap.reboot_after {
        change.want_reboot(&boot_id())?;
    }
    Ok(())
}

fn running_version(context: &Context) -> SoftwareVersion {
    match Releases::below(context.layout.root()).current() {
        Ok((_, release)) => release.software,
        Err(error) => {
            tracing::error!(%error, "the running release cannot be read");
            SoftwareVersion::new("0.0.0").expect("three numbers are a version")
        }
    }
}

/// Lets the updates begin that wait for a restart of the appliance; called once at its start.
///
/// # Errors
/// [`UpdateError`].
pub fn restarted(context: &Context, store: &mut Store) -> Result<(), UpdateError> {
    let orders = store.update_orders_open()?;
    for row in orders.iter().filter(|row| row.state.turn() == Turn::NextRestart) {
        advance(context, store, row, UpdateEvent::Restarted, None)?;
    }
    Ok(())
}

/// Makes the new release the running one; its modules must not run meanwhile. Harmless when it is already.
///
/// # Errors
/// [`UpdateError`]; the running release is then the old one.
pub fn swap_in(context: &Context, swap: &Swap) -> Result<(), UpdateError> {
    let releases = Releases::below(context.layout.root());
    // It was checked when it was built, but that may be a restart of the box ago.
    releases.check(&swap.release)?;
    releases.swap_to(&swap.release)?;
    if swap.drop_shared_data {
        remove_tree(&context.layout.root().join("cache"))?;
    }
    Ok(())
}

/// Makes the release before the running one again; the modules must not run meanwhile. Harmless when it is already.
///
/// # Errors
/// [`UpdateError`].
pub fn swap_back(context: &Context, swap: &Swap) -> Result<(), UpdateError> {
    Ok(Releases::below(context.layout.root()).swap_to(&swap.previous)?)
}

/// Swaps a release in whose script has run, without a trial: for a host that runs the modules as functions of its
/// own process and has stopped them. Returns the state afterwards; anything but a success was taken back.
///
/// # Errors
/// [`UpdateError`]; calling this again goes on from what was stored.
pub fn complete(context: &Context, order: i64) -> Result<UpdateState, UpdateError> {
    let mut store = context.open_store()?;
    loop {
        let row = store.update_order(order)?.ok_or(UpdateError::NoSuchOrder { id: order })?;
        let event = match &row.state {
            UpdateState::ScriptRun { .. } => UpdateEvent::SwapBegins,
            UpdateState::Swapped { swap } => match swap_in(context, swap) {
                Ok(()) => UpdateEvent::TrialBegins { now: context.now() },
                Err(error) => UpdateEvent::Failed { reason: super::reason(&error) },
            },
            UpdateState::OnTrial { .. } => UpdateEvent::TrialPassed,
            UpdateState::RollingBack { swap, .. } => {
                swap_back(context, swap)?;
                UpdateEvent::TakenBack
            }
            state => return Ok(state.clone()),
        };
        advance(context, &mut store, &row, event, None)?;
    }
}

/// Removes releases, package files and working folders that nobody needs any more. What cannot be removed is left
/// for the next time and logged.
pub fn tidy(context: &Context, store: &Store, now: SystemTime) {
    let open = match store.update_orders_open() {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(%error, "not tidying: the update orders cannot be read");
            return;
        }
    };
    if !open.is_empty() {
        return;
    }
    match Releases::below(context.layout.root()).tidy() {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => tracing::info!(?removed, "removed old releases"),
        Err(error) => tracing::warn!(reason = super::reason(&error), "cannot remove old releases"),
    }
    remove_old(&context.layout.packages_dir(), now);
    remove_old(&context.layout.updates_dir(), now);
}

/// By age, since a package file is written before its order is stored.
fn remove_old(folder: &Path, now: SystemTime) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|about| about.modified()).map(|at| now.duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > FILES_KEPT)
            && entry.file_name() != "lock"
            && let Err(error) = remove_tree(&entry.path())
        {
            tracing::warn!(reason = super::reason(&error), "cannot remove an old file");
        }
    }
}
