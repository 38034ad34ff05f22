//! How the appliance itself fares: read from the store and the kernel.

use crate::context::Context;
use crate::enrolment::machine_id;
use crate::inventory;
use crate::release::read_release;
use crate::release_counter;
use crate::store::{Change, Moment, Store, StoreError, Tally};
use crate::supervisor::processes::boot_id;
use crate::trust;
use mailfmt::message::report::{HealthReport, Standing};
use mailfmt::{MessageId, Report, SoftwareVersion};

/// The version told when no release can be read: a set-up that was never finished.
const NO_VERSION: &str = "0.0.0";

/// The software version that runs.
///
/// # Panics
/// Never: the fallback is a version.
#[must_use]
pub fn running_version(context: &Context) -> SoftwareVersion {
    match read_release(&context.layout.current()) {
        Ok(release) => release.software,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the running release cannot be read");
            SoftwareVersion::new(NO_VERSION).expect("three numbers are a version")
        }
    }
}

/// A health report as of now.
///
/// # Errors
/// [`StoreError`].
pub fn report(store: &Store, context: &Context) -> Result<HealthReport, StoreError> {
    let watched = inventory::watched(store, &context.settings)?;
    let devices = store.devices()?;
    let answering = devices
        .iter()
        .filter(|row| row.answering && watched.iter().any(|device| device.address == row.address))
        .count();
    Ok(HealthReport {
        software: running_version(context),
        uptime_secs: uptime_secs(),
        boot_id: boot_id(),
        devices: u32::try_from(watched.len()).unwrap_or(u32::MAX),
        devices_answering: u32::try_from(answering).unwrap_or(u32::MAX),
        reports_waiting: store.outbox_waiting_count()?,
        reports_expired: store.tally(Tally::ReportsExpired)?,
        junk: store.tally(Tally::Junk)?,
        sequence_seen: store.sequence_seen(&context.settings.center)?,
        last_fetch: store.moment(Moment::LastFetch)?,
        standing: Some(standing(store, context)?),
        mangled: store.mangled()?.into_iter().collect(),
        commands: Some(store.commands_held(context.now())?),
    })
}

/// Where the appliance stands in matters of trust.
///
/// # Errors
/// [`StoreError`].
pub fn standing(store: &Store, context: &Context) -> Result<Standing, StoreError> {
    let trusted = trust::read(&context.layout, &context.settings.center).ok();
    let root = trusted.as_ref().map_or(0, |trusted| trusted.root().version);
    Ok(Standing {
        root_version: u32::try_from(root).unwrap_or(u32::MAX),
        machine: context.settings.machine.clone().unwrap_or_else(machine_id),
        fresh_at: store.moment(Moment::Fresh)?,
        clock_offset_secs: context.clock_state().offset_secs,
        release_counter: release_counter::greatest(store, &context.layout, trusted.as_ref())?,
    })
}

/// Puts a health report into the outbox; what it tells is counted from 0 again.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn enqueue(
    change: &Change<'_>,
    context: &Context,
    report: HealthReport,
    in_reply_to: Option<MessageId>,
) -> Result<(), StoreError> {
    change.uncount(Tally::ReportsExpired, report.reports_expired)?;
    change.uncount(Tally::Junk, report.junk)?;
    let mangled: Vec<_> = report.mangled.iter().map(|(how, count)| (how.clone(), *count)).collect();
    change.uncount_mangled(&mangled)?;
    change.note(Moment::LastHealth, context.now())?;
    change.enqueue(&context.outgoing(Report::Health(report), in_reply_to))?;
    Ok(())
}

/// Seconds since the box started; 0 where the kernel does not tell.
fn uptime_secs() -> u64 {
    std::fs::read_to_string("/proc/uptime")
        .ok()
        .and_then(|text| text.split('.').next()?.parse().ok())
        .unwrap_or(0)
}
