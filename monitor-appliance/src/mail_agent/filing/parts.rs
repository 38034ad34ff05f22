//! Packages that come in parts: each part is a file named by its hash, and what is here is what lies on the disk.
//!
//! A part is looked at only behind an authentic envelope, and written only with the hash that this envelope names; so
//! nobody without the center's keys puts anything on the disk. A part that comes before its order is kept, too, but of
//! all such together not more than one package may have. The package is put together when enough parts are here, and
//! then the order goes on as if it had come in one mail. All of it may be killed anywhere: the file is durable before
//! the mail is deleted, and [`pursue`] looks at the disk again.

use super::accepting::{put_permit, refused_order};
use super::enclosed::{Enclosed, store_package};
use super::{Discarded, Filed, FilingError};
use crate::context::Context;
use crate::judge::Authentic;
use crate::layout::PARTS_SUFFIX;
use crate::release::{ReleaseError, Space, create_folder, remove_tree};
use crate::store::{JournalEntry, NewUpdateOrder, Store, StoreError, UpdateOrderRow, Wanted};
use crate::update::{Collection, Patience, Pursuit, UpdateError, UpdateEvent, UpdateState, advance};
use jiff::Timestamp;
use mailfmt::conditions::Conditions;
use mailfmt::message::report::PartsMissingReport;
use mailfmt::message::{PackagePart, UpdateOrder};
use mailfmt::parts::{Cutting, Shape, join};
use mailfmt::{Digest, MessageId, Report};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Wire name of the question for missing parts.
const PARTS_MISSING_KIND: &str = "parts-missing";
/// Encrypted packages of which parts are kept before their orders come.
const EARLY_MAX: usize = 4;
/// Files beside the parts: the package, its permit, and the halves of a write that was cut off.
const FILES_BESIDE: u64 = 8;

/// Files an order whose package comes in parts: it waits for them from now on.
pub(super) fn file_order(
    store: &mut Store,
    context: &Context,
    journal: &JournalEntry,
    (order, conditions): (&UpdateOrder, &Conditions),
    cutting: &Cutting,
) -> Result<(), FilingError> {
    let shape = match acceptable(context, order, cutting) {
        Ok(shape) => shape,
        Err(reason) => {
            tracing::warn!(package = %order.package, reason, "order to update refused");
            let answer = context.outgoing(refused_order(context, order, reason), Some(journal.message));
            return super::accepting::file_answer(store, journal, &answer);
        }
    };
    create_folder(&context.layout.packages_dir())?;
    put_permit(context, order)?;
    let row = NewUpdateOrder {
        package: order.package,
        target: order.target.clone(),
        command: journal.message,
        received: journal.received,
    };
    let here = count(|number| is_here(context, order.enclosure, cutting, number), &shape);
    let parts = Collection::begin(
        order.enclosure,
        (here, shape.parts()),
        patience(context),
        journal.received,
        journal.expires,
    );
    let older: Vec<UpdateOrderRow> = collecting(store)?
        .into_iter()
        .filter(|older| older.package == order.package && older.command != journal.message)
        .collect();
    store.change(|change| {
        if change.journal(journal)? {
            change.order_update_in_parts(&row, order, parts)?;
            change.keep_conditions(row.command, conditions)?;
            change.keep_approval(row.command, order, conditions)?;
        }
        Ok::<_, StoreError>(())
    })?;
    tracing::info!(package = %order.package, here, of = shape.parts(), "an update's package comes in parts");
    for older in older {
        let reason = "a newer order for the same package came before its parts were complete".to_owned();
        end(store, context, &older, UpdateEvent::Failed { reason })?;
    }
    match store.update_order_of(journal.message)? {
        Some(row)
            if shape.missing(|number| is_here(context, order.enclosure, cutting, number)).is_empty() =>
        {
            put_together(store, context, &row, order, cutting, &shape)
        }
        _ => Ok(()),
    }
}

/// Why a package in parts cannot be taken; its shape if it can.
fn acceptable(context: &Context, order: &UpdateOrder, cutting: &Cutting) -> Result<Shape, String> {
    let limits = &context.settings.limits;
    let limit = u64::try_from(limits.package_octets).unwrap_or(u64::MAX);
    if order.enclosure_octets > limit {
        return Err(format!(
            "the package has {} octets, more than the {limit} allowed",
            order.enclosure_octets
        ));
    }
    let shape = cutting.check(order.enclosure_octets, limits).map_err(|error| error.to_string())?;
    // The parts, and beside them the package that is made of them.
    room(context, order.enclosure_octets.saturating_mul(2), shape.parts())?;
    Ok(shape)
}

/// Whether so much may be written and the reserve still stays free; why not, for a person.
fn room(context: &Context, octets: u64, files: u32) -> Result<(), String> {
    let needed = Space {
        octets: octets.saturating_add(context.settings.update.disk_reserve),
        files: u64::from(files).saturating_add(FILES_BESIDE),
    };
    needed.check(context.layout.root()).map_err(|error| match error {
        ReleaseError::NoSpace { needed, free } => {
            format!("the parts of the package need {needed} octets of disk, {free} are free")
        }
        ReleaseError::NoFiles { needed, free } => {
            format!("the parts of the package need {needed} files on the disk, there is room for {free}")
        }
        error => crate::update::reason(&error),
    })
}

fn patience(context: &Context) -> Patience {
    let settings = &context.settings.update;
    Patience { wait: settings.part_wait, asks_max: settings.part_asks_max }
}

fn is_here(context: &Context, enclosure: Digest, cutting: &Cutting, number: u32) -> bool {
    cutting.hash(number).is_some_and(|hash| context.layout.part_file(&enclosure, &hash).is_file())
}

fn count(is_here: impl Fn(u32) -> bool, shape: &Shape) -> u32 {
    (1..=shape.parts()).filter(|number| is_here(*number)).fold(0, |sum: u32, _| sum.saturating_add(1))
}

fn collecting(store: &Store) -> Result<Vec<UpdateOrderRow>, StoreError> {
    let mut open = store.update_orders_open()?;
    open.retain(|row| matches!(row.state, UpdateState::Collecting { .. }));
    Ok(open)
}

/// Files one part. What is no good is dropped: missing parts are asked for.
pub(super) fn file_part(
    store: &mut Store,
    context: &Context,
    authentic: &Authentic,
    part: &PackagePart,
    enclosed: &Enclosed<'_>,
    junk: &mut Discarded,
) -> Result<Filed, FilingError> {
    if enclosed.digest()? != part.sha256 {
        tracing::warn!(message = %authentic.message, number = part.number, of = part.of, "a part was damaged on its way");
        // An intact copy in the same mailbox is as good as any.
        junk.seen.remove(&authentic.message);
        junk.note("damaged part");
        return Ok(Filed::Junk);
    }
    store.change(|change| change.see_sequence(&context.settings.center, authentic.sequence))?;
    match store.parts_wanted(part.enclosure)? {
        Wanted::Now => {}
        Wanted::Unheard => return early(context, part, enclosed, junk),
        Wanted::NoMore => {
            tracing::debug!(number = part.number, of = part.of, "a part came after its order was over");
            return Ok(Filed::Repeat);
        }
    }
    let path = context.layout.part_file(&part.enclosure, &part.sha256);
    if path.is_file() {
        return Ok(Filed::Repeat);
    }
    let mut filed = Filed::Junk;
    for row in collecting(store)? {
        let Some(order) = order_of(store, &row, part.enclosure)? else { continue };
        let Some(cutting) = &order.parts else { continue };
        if cutting.hash(part.number) != Some(part.sha256) {
            continue;
        }
        let octets_here = enclosed.octets()?;
        if let Err(reason) = room(context, octets_here, 1) {
            end(store, context, &row, UpdateEvent::Failed { reason })?;
            continue;
        }
        write_part(context, part, enclosed)?;
        filed = Filed::Accepted;
        look_at(store, context, &row, &order, cutting)?;
    }
    if filed == Filed::Junk {
        junk.note("part of another cutting");
    }
    Ok(filed)
}

fn write_part(context: &Context, part: &PackagePart, enclosed: &Enclosed<'_>) -> Result<(), ReleaseError> {
    create_folder(&context.layout.parts_dir(&part.enclosure))?;
    enclosed.store_at(&context.layout.part_file(&part.enclosure, &part.sha256))
}

/// A part of which no order was heard: authentic, so it is kept, within bounds.
fn early(
    context: &Context,
    part: &PackagePart,
    enclosed: &Enclosed<'_>,
    junk: &mut Discarded,
) -> Result<Filed, FilingError> {
    let limits = &context.settings.limits;
    let of = usize::try_from(part.of).unwrap_or(usize::MAX);
    let is_one = (1..=part.of).contains(&part.number) && of <= limits.parts;
    let path = context.layout.part_file(&part.enclosure, &part.sha256);
    if is_one && path.is_file() {
        return Ok(Filed::Repeat);
    }
    let octets_here = enclosed.octets()?;
    let folder = context.layout.parts_dir(&part.enclosure);
    let (kinds, stored, files) = stored_parts(&context.layout.packages_dir());
    let fits = stored.saturating_add(octets_here) <= u64::try_from(limits.package_octets).unwrap_or(u64::MAX)
        && files < limits.parts
        && (folder.is_dir() || kinds < EARLY_MAX);
    if !is_one || !fits || room(context, octets_here.saturating_mul(2), 1).is_err() {
        junk.note("part without an order");
        return Ok(Filed::Junk);
    }
    tracing::info!(number = part.number, of = part.of, "a part came before its order, and is kept for it");
    write_part(context, part, enclosed)?;
    Ok(Filed::Accepted)
}

/// How many packages have parts in `folder`, how many octets, and how many parts.
fn stored_parts(folder: &Path) -> (usize, u64, usize) {
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut sum = (0usize, 0u64, 0usize);
    for entry in folders.filter(|entry| entry.file_name().to_string_lossy().ends_with(PARTS_SUFFIX)) {
        sum.0 = sum.0.saturating_add(1);
        for file in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            sum.1 = sum.1.saturating_add(file.metadata().map_or(0, |about| about.len()));
            sum.2 = sum.2.saturating_add(1);
        }
    }
    sum
}

fn order_of(
    store: &Store,
    row: &UpdateOrderRow,
    enclosure: Digest,
) -> Result<Option<UpdateOrder>, StoreError> {
    match &row.state {
        UpdateState::Collecting { parts } if parts.enclosure == enclosure => {
            store.order_in_parts(row.command)
        }
        _ => Ok(None),
    }
}

/// Compares the disk with what is stored of an order; puts the package together when that can be done. Returns the order
/// as it is then, if it still waits.
fn look_at(
    store: &mut Store,
    context: &Context,
    row: &UpdateOrderRow,
    order: &UpdateOrder,
    cutting: &Cutting,
) -> Result<Option<UpdateOrderRow>, FilingError> {
    let shape = match cutting.check(order.enclosure_octets, &context.settings.limits) {
        Ok(shape) => shape,
        // Somebody has set lower limits since it was accepted.
        Err(error) => {
            end(store, context, row, UpdateEvent::Failed { reason: error.to_string() })?;
            return Ok(None);
        }
    };
    let is_here = |number: u32| is_here(context, order.enclosure, cutting, number);
    if shape.missing(is_here).is_empty() {
        put_together(store, context, row, order, cutting, &shape)?;
        return Ok(None);
    }
    let UpdateState::Collecting { parts } = &row.state else { return Ok(None) };
    let here = count(is_here, &shape);
    if here == parts.here {
        return Ok(Some(row.clone()));
    }
    tracing::info!(package = %row.package, here, of = shape.parts(), "parts of an update's package are here");
    let ask_at = parts.next_ask(patience(context), context.now());
    moved(advance(context, store, row, UpdateEvent::PartsChanged { here, ask_at }, None))?;
    Ok(store.update_order(row.id)?)
}

/// All that is needed is here: the package is put together, and the order goes on.
fn put_together(
    store: &mut Store,
    context: &Context,
    row: &UpdateOrderRow,
    order: &UpdateOrder,
    cutting: &Cutting,
    shape: &Shape,
) -> Result<(), FilingError> {
    let whole;
    let enclosed = match files_of(context, order.enclosure, cutting, shape)? {
        // Nothing was lost: they are read one behind the other, and need not fit the memory.
        Some(files) => Enclosed::Files(files),
        None => {
            let mut parts = Vec::new();
            for number in 1..=shape.parts() {
                parts.push(read_part(context, order.enclosure, cutting.hash(number))?);
            }
            whole = match join(shape, &parts) {
                Ok(whole) => whole,
                // A file was damaged on the disk and is gone now: it is asked for like any other.
                Err(error) => {
                    tracing::warn!(package = %row.package, %error, "the parts do not make the package yet");
                    return Ok(());
                }
            };
            Enclosed::Octets(&whole)
        }
    };
    match store_package(context, order, &enclosed)? {
        Ok(()) => {
            tracing::info!(package = %row.package, parts = shape.parts(), "the package is complete");
            end(store, context, row, UpdateEvent::PartsComplete)
        }
        Err(reason) => end(store, context, row, UpdateEvent::Failed { reason }),
    }
}

/// The files of the parts of the whole itself, if all are there and undamaged. What is damaged is removed.
fn files_of(
    context: &Context,
    enclosure: Digest,
    cutting: &Cutting,
    shape: &Shape,
) -> Result<Option<Vec<PathBuf>>, ReleaseError> {
    let mut files = Vec::new();
    for number in 1..=shape.data_parts() {
        let Some(hash) = cutting.hash(number) else { return Ok(None) };
        let path = context.layout.part_file(&enclosure, &hash);
        if !path.is_file() {
            return Ok(None);
        }
        let file = Enclosed::Files(vec![path.clone()]);
        if file.digest()? != hash
            || shape.octets_of(number).map(|octets| octets as u64) != Some(file.octets()?)
        {
            let io = |source| ReleaseError::Io { action: "remove", path: path.clone(), source };
            std::fs::remove_file(&path).map_err(io)?;
            return Ok(None);
        }
        files.push(path);
    }
    Ok(Some(files))
}

/// A part from the disk; none where it is not there, or was damaged there, and then it is removed.
fn read_part(
    context: &Context,
    enclosure: Digest,
    hash: Option<Digest>,
) -> Result<Option<Vec<u8>>, ReleaseError> {
    let Some(hash) = hash else { return Ok(None) };
    let path = context.layout.part_file(&enclosure, &hash);
    let io = |action, source| ReleaseError::Io { action, path: path.clone(), source };
    match std::fs::read(&path) {
        Ok(octets) if Digest::of(&octets) == hash => Ok(Some(octets)),
        Ok(_) => {
            std::fs::remove_file(&path).map_err(|source| io("remove", source))?;
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io("read", source)),
    }
}

/// The wait for parts is over, for better or worse; their files go, unless another order needs them.
pub(super) fn end(
    store: &mut Store,
    context: &Context,
    row: &UpdateOrderRow,
    event: UpdateEvent,
) -> Result<(), FilingError> {
    let UpdateState::Collecting { parts } = &row.state else { return Ok(()) };
    if let UpdateEvent::Failed { reason } = &event {
        tracing::warn!(package = %row.package, reason, "order to update refused");
    }
    let enclosure = parts.enclosure;
    moved(advance(context, store, row, event, None))?;
    clear(store, context, row.command, enclosure)
}

fn clear(
    store: &mut Store,
    context: &Context,
    command: MessageId,
    enclosure: Digest,
) -> Result<(), FilingError> {
    let now = context.now();
    store.change(|change| change.end_parts(command, now))?;
    if store.parts_wanted(enclosure)? != Wanted::Now {
        remove_tree(&context.layout.parts_dir(&enclosure))?;
    }
    Ok(())
}

/// Nobody else moves an order that waits for parts; whatever the error, the disk tells next time.
fn moved(result: Result<UpdateState, UpdateError>) -> Result<(), FilingError> {
    match result {
        Ok(_) => Ok(()),
        Err(UpdateError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(reason = crate::update::reason(&error), "an order was moved on by somebody else");
            Ok(())
        }
    }
}

/// Sees to all orders whose packages come in parts: goes on where a kill has interrupted, asks for missing parts, gives
/// up. Returns when to look again; `None` while none waits.
///
/// # Errors
/// [`FilingError`].
pub(in crate::mail_agent) fn pursue(
    store: &mut Store,
    context: &Context,
) -> Result<Option<Timestamp>, FilingError> {
    let mut next: Option<Timestamp> = None;
    let open = collecting(store)?;
    for (command, enclosure) in store.orders_in_parts()? {
        // A kill came between the end of the wait and the note of it.
        if open.iter().all(|row| row.command != command) {
            clear(store, context, command, enclosure)?;
        }
    }
    for row in open {
        let Some(order) = store.order_in_parts(row.command)? else {
            let reason = "its order is not stored any more".to_owned();
            end(store, context, &row, UpdateEvent::Failed { reason })?;
            continue;
        };
        let Some(cutting) = &order.parts else { continue };
        let Some(row) = look_at(store, context, &row, &order, cutting)? else { continue };
        let UpdateState::Collecting { parts } = &row.state else { continue };
        let clock = context.clock_state();
        let unheard = store.answer_waits(row.command, PARTS_MISSING_KIND)?;
        let at = match parts.pursue(patience(context), unheard, clock.is_doubted(), clock.now) {
            Pursuit::Wait => parts.ask_at,
            Pursuit::Ask { ask_at } => {
                ask(store, context, &row, &order, cutting, ask_at)?;
                ask_at
            }
            Pursuit::Postpone { ask_at } => {
                let event = UpdateEvent::PartsChanged { here: parts.here, ask_at };
                moved(advance(context, store, &row, event, None))?;
                ask_at
            }
            Pursuit::GiveUp { reason } => {
                end(store, context, &row, UpdateEvent::Failed { reason })?;
                continue;
            }
        };
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    Ok(next)
}

/// The question and the note that it was asked are stored together.
fn ask(
    store: &mut Store,
    context: &Context,
    row: &UpdateOrderRow,
    order: &UpdateOrder,
    cutting: &Cutting,
    ask_at: Timestamp,
) -> Result<(), FilingError> {
    let Ok(shape) = cutting.check(order.enclosure_octets, &context.settings.limits) else { return Ok(()) };
    let is_here = |number: u32| is_here(context, order.enclosure, cutting, number);
    let report = PartsMissingReport {
        package: row.package,
        here: count(is_here, &shape),
        of: shape.parts(),
        missing: shape.missing(is_here),
    };
    tracing::warn!(
        package = %row.package, here = report.here, of = report.of, missing = ?report.missing,
        "parts of an update's package did not come; asking for them"
    );
    let question = context.outgoing(Report::PartsMissing(report), Some(row.command));
    let next = row.state.clone().step(UpdateEvent::PartsAsked { ask_at }).map_err(UpdateError::from);
    let next = match next {
        Ok(next) => next,
        Err(error) => return moved(Err(error)),
    };
    let now = context.now();
    store.change(|change| {
        if change.move_update(row, &next, now)? {
            change.enqueue(&question)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(())
}
