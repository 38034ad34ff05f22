//! Moving an update on in the store, and changing the running release.

use super::UpdateError;
use super::aside::Aside;
use super::install::lock;
use super::state::{Expected, Proving, Swap, Turn, UpdateEvent, UpdateState};
use super::wait::WaitFor;
use crate::context::Context;
use crate::release::{Releases, read_release, remove_tree};
use crate::release_counter;
use crate::store::{Change, ScriptWish, Store, StoreError, UpdateOrderRow};
use crate::supervisor::processes::boot_id;
use crate::trust;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport};
use mailfmt::{Report, SoftwareVersion};
use std::collections::BTreeSet;
use std::ffi::OsString;
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
    let told = told(&row.state, &event);
    let next = row.state.clone().step(event)?;
    let held = !row.by_hand && store.hold_of(row.command)?.is_some();
    // In its slot the version report says it, and proves it: one mail instead of two.
    let outcome = next.outcome().filter(|outcome| !(held && *outcome == UpdateOutcome::Installed));
    let report = outcome.or(told).map(|outcome| {
        let running = match (&outcome, &next) {
            (UpdateOutcome::Installed, _) => row.target.clone(),
            // Until it is kept, what runs is the release before, as far as anybody else is concerned.
            (_, UpdateState::OnTrial { swap, .. }) => version_of(context, &swap.previous),
            _ => running_version(context),
        };
        let report = Report::UpdateResult(UpdateResultReport {
            package: row.package,
            target: row.target.clone(),
            running,
            outcome,
            output: output.unwrap_or(&row.output).to_owned(),
        });
        context.outgoing(report, (!row.by_hand).then_some(row.command))
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
            follow_up(context, change, row, swap, held)?;
        }
        Ok(())
    })?;
    Ok(next)
}

/// What the center is told on the way: that it takes longer, and why; and that a trial has begun, which is at the same
/// time the mail that the new release has to hand in.
fn told(state: &UpdateState, event: &UpdateEvent) -> Option<UpdateOutcome> {
    let reason = match (state, event) {
        (_, UpdateEvent::WaitReported) => state.waits().map(|wait| wait.why.to_string()),
        (_, UpdateEvent::Blocked { why: why @ WaitFor::NextRestart, .. }) => Some(why.to_string()),
        (
            UpdateState::Swapped { expected, swap } | UpdateState::OnTrial { expected, swap, .. },
            UpdateEvent::TrialBegins { .. },
        ) if expected.send != Proving::Nothing => {
            Some(format!("the new release is on trial for {} s", swap.trial_secs))
        }
        _ => None,
    };
    reason.map(|reason| UpdateOutcome::Waiting { reason })
}

/// What a package asks for at its successful end. Of an update that was ordered here nobody else knows, so nobody would
/// ask for the version afterwards.
fn follow_up(
    context: &Context,
    change: &Change<'_>,
    row: &UpdateOrderRow,
    swap: &Swap,
    held: bool,
) -> Result<(), StoreError> {
    let trusted = trust::read(&context.layout, &context.settings.center).ok();
    if let Err(error) = release_counter::note(&context.layout, swap.release_counter, trusted.as_ref()) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the release counter stands in the store only"
        );
    }
    change.raise_installed_counter(swap.release_counter, trusted.as_ref())?;
    if held {
        change.request_version_in_slot(row.command, context.now())?;
    } else if swap.report_by_itself || row.by_hand {
        change.request_version(None, None, context.now())?;
    }
    if swap.reboot_after || change.has_wish(row.id, ScriptWish::Reboot)? {
        change.want_reboot(&boot_id())?;
    }
    Ok(())
}

fn running_version(context: &Context) -> SoftwareVersion {
    match Releases::below(context.layout.root()).current_name() {
        Ok(name) => version_of(context, &name),
        Err(error) => {
            tracing::error!(%error, "the running release cannot be told");
            unknown_version()
        }
    }
}

fn version_of(context: &Context, release: &str) -> SoftwareVersion {
    match read_release(&Releases::below(context.layout.root()).folder(release)) {
        Ok(release) => release.software,
        Err(error) => {
            tracing::error!(%error, release, "the release cannot be read");
            unknown_version()
        }
    }
}

fn unknown_version() -> SoftwareVersion {
    SoftwareVersion::new("0.0.0").expect("three numbers are a version")
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

/// Makes the release before the running one again, and the settings what they were before the script of `order`; the
/// modules must not run meanwhile. Harmless when that was done already.
///
/// # Errors
/// [`UpdateError`].
pub fn swap_back(context: &Context, order: i64, swap: &Swap) -> Result<(), UpdateError> {
    Aside::of(&context.layout, order).put_back()?;
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
            // There are no modules whose proof could be waited for.
            UpdateState::Checked { .. } => UpdateEvent::SwapBegins { expected: Expected::default() },
            UpdateState::Swapped { swap, .. } => match swap_in(context, swap) {
                Ok(()) => UpdateEvent::TrialBegins { now: context.now() },
                Err(error) => UpdateEvent::Failed { reason: super::reason(&error) },
            },
            UpdateState::OnTrial { .. } => UpdateEvent::TrialPassed,
            UpdateState::RollingBack { swap, .. } => {
                swap_back(context, order, swap)?;
                UpdateEvent::TakenBack
            }
            state => return Ok(state.clone()),
        };
        advance(context, &mut store, &row, event, None)?;
    }
}

/// Removes what no update needs any more: half-built and old releases, package files, working folders, what was kept
/// aside. What cannot be removed is left for the next time and logged.
pub fn tidy(context: &Context, store: &Store, now: SystemTime) {
    // A release that is just being built is in nobody's list.
    let Ok(_lock) = lock(context) else { return };
    let Some(open) = open_orders(store) else { return };
    tidy_releases(context, store, context.settings.update.releases_kept);
    let layout = &context.layout;
    let mut needed: BTreeSet<OsString> = BTreeSet::from(["lock".into()]);
    for row in &open {
        let paths = [
            layout.package_file(&row.package),
            layout.update_dir(&row.package),
            layout.permit_file(&row.package),
        ];
        needed.extend(paths.iter().filter_map(|path| path.file_name()).map(OsString::from));
        needed.extend(Aside::of(layout, row.id).name().map(OsString::from));
        if let UpdateState::Collecting { parts } = &row.state {
            needed.extend(layout.parts_dir(&parts.enclosure).file_name().map(OsString::from));
        }
    }
    remove_old(&layout.packages_dir(), &needed, now);
    remove_old(&layout.updates_dir(), &needed, now);
}

/// Removes the releases that neither run nor are needed by an update under way, but for the newest `old_kept`.
pub(super) fn tidy_releases(context: &Context, store: &Store, old_kept: usize) {
    let Some(open) = open_orders(store) else { return };
    let swaps = open.iter().filter_map(|row| row.state.swap());
    let needed = swaps.flat_map(|swap| [swap.release.clone(), swap.previous.clone()]).collect();
    match Releases::below(context.layout.root()).tidy(old_kept, &needed) {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => tracing::info!(?removed, "removed old releases"),
        Err(error) => tracing::warn!(reason = super::reason(&error), "cannot remove old releases"),
    }
}

fn open_orders(store: &Store) -> Option<Vec<UpdateOrderRow>> {
    let open = store.update_orders_open();
    open.map_err(|error| tracing::warn!(%error, "not tidying: the update orders cannot be read")).ok()
}

/// By age, since a package file is written before its order is stored.
fn remove_old(folder: &Path, needed: &BTreeSet<OsString>, now: SystemTime) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|about| about.modified()).map(|at| now.duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > FILES_KEPT)
            && !needed.contains(&entry.file_name())
            && let Err(error) = remove_tree(&entry.path())
        {
            tracing::warn!(reason = super::reason(&error), "cannot remove an old file");
        }
    }
}
