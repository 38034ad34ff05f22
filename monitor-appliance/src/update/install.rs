//! The work of `update-install`: open the package, wait, build the new release, run its script.

use super::queue::{PAUSE_MAX, is_due, next_order};
use super::script::{Script, ScriptEnd, run_script};
use super::state::{STARTS_MAX, Swap, Turn, UpdateEvent, UpdateState, Wait};
use super::swap::advance;
use super::{UpdateError, reason};
use crate::context::Context;
use crate::outbox::after;
use crate::release::{Release, Releases, remove_tree, sync_folder, write_durably};
use crate::store::{Store, UpdateOrderRow};
use crate::supervisor::processes::{exists, running_file};
use jiff::Timestamp;
use mailfmt::package::{self, ModuleKind, SCRIPT_NAME, Site, VerifiedPackage, When};
use std::fs::{File, TryLockError};
use std::io::Read;
use std::time::Duration;

/// Name of the module whose program this is.
const INSTALLER: &str = "update-install";
/// How soon a busy module is looked at again.
const BUSY_PAUSE: Duration = Duration::from_secs(2);
/// How soon a script that asked for it is run again; doubled each time, up to [`PAUSE_MAX`].
const SCRIPT_PAUSE: Duration = Duration::from_secs(1);
/// Longest that any script may run, whatever its package says.
const SCRIPT_LIMIT_MAX: Duration = Duration::from_secs(3 * 3600);
/// Steps of one run: a bound for a loop that ends long before.
const STEPS_MAX: u32 = 100;

/// Works on one order until it is somebody else's turn. Returns whose.
///
/// # Errors
/// [`UpdateError`]; the order's state is then what was last stored, and calling this again goes on from there.
pub fn install(context: &Context, order: i64) -> Result<Turn, UpdateError> {
    let _lock = lock(context)?;
    let mut store = context.open_store()?;
    let mut opened = None;
    for _ in 0..STEPS_MAX {
        let row = store.update_order(order)?.ok_or(UpdateError::NoSuchOrder { id: order })?;
        match row.state.turn() {
            Turn::Installer { at } if is_due(at, context.now()) => {
                step(context, &mut store, &row, &mut opened)?;
            }
            turn => return Ok(turn),
        }
    }
    Ok(Turn::Installer { at: None })
}

/// Works on the order whose turn it is by [`next_order`], as [`install`]. Returns its row number and whose turn it is
/// then; `None` when no order is the installer's turn.
///
/// # Errors
/// [`UpdateError`].
pub fn install_next(context: &Context) -> Result<Option<(i64, Turn)>, UpdateError> {
    let orders = context.open_store()?.update_orders_open()?;
    match next_order(&orders, context.now()) {
        Some(row) => Ok(Some((row.id, install(context, row.id)?))),
        None => Ok(None),
    }
}

/// Does one step of an order that is the installer's turn, due or not. Returns the state afterwards.
///
/// # Errors
/// [`UpdateError`], also [`UpdateError::Misfit`] when it is not the installer's turn.
pub fn work_once(context: &Context, order: i64) -> Result<UpdateState, UpdateError> {
    let _lock = lock(context)?;
    let mut store = context.open_store()?;
    let row = store.update_order(order)?.ok_or(UpdateError::NoSuchOrder { id: order })?;
    step(context, &mut store, &row, &mut None)
}

/// Two installers would build the same folders. The lock goes with its holder, however that ends.
fn lock(context: &Context) -> Result<File, UpdateError> {
    let folder = context.layout.updates_dir();
    let path = folder.join("lock");
    let io = |source| UpdateError::Io { path: path.clone(), source };
    std::fs::create_dir_all(&folder).map_err(io)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(UpdateError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn step(
    context: &Context,
    store: &mut Store,
    row: &UpdateOrderRow,
    opened: &mut Option<VerifiedPackage>,
) -> Result<UpdateState, UpdateError> {
    let mut output = None;
    let starts =
        if row.state.counts_starts() { store.change(|change| change.begin_update_work(row.id))? } else { 0 };
    let event = if starts > STARTS_MAX {
        let reason = format!("the installation was interrupted {STARTS_MAX} times at the same place");
        UpdateEvent::Failed { reason }
    } else {
        let installation =
            Installation { context, store, row, releases: Releases::below(context.layout.root()) };
        installation.work(opened, &mut output)?
    };
    tracing::info!(package = %row.package, target = %row.target, ?event, "update");
    advance(context, store, row, event, output.as_deref())
}

struct Installation<'a> {
    context: &'a Context,
    store: &'a Store,
    row: &'a UpdateOrderRow,
    releases: Releases,
}

impl Installation<'_> {
    /// The work of the state, up to the event that it leads to.
    fn work(
        &self,
        opened: &mut Option<VerifiedPackage>,
        output: &mut Option<String>,
    ) -> Result<UpdateEvent, UpdateError> {
        if let UpdateState::Waiting { wait, .. } = &self.row.state {
            return self.look_again(wait);
        }
        let package = match opened {
            Some(package) => package,
            None => match self.open() {
                Ok(package) => opened.insert(package),
                Err(reason) => return Ok(UpdateEvent::Failed { reason }),
            },
        };
        match &self.row.state {
            UpdateState::Verified { wait } => self.build(package, wait.as_ref()),
            UpdateState::Staged { wait, swap } => {
                let (event, said) = self.run_script(package, wait.as_ref(), swap)?;
                *output = Some(said);
                Ok(event)
            }
            _ => self.accept(package),
        }
    }

    fn open(&self) -> Result<VerifiedPackage, String> {
        let text = |error: &dyn std::error::Error| reason(error);
        let path = self.context.layout.package_file(&self.row.package);
        let limit = u64::try_from(self.context.settings.limits.package_octets).unwrap_or(u64::MAX);
        let mut file = Vec::new();
        File::open(&path)
            .and_then(|opened| opened.take(limit.saturating_add(1)).read_to_end(&mut file))
            .map_err(|error| format!("the package file cannot be read: {error}"))?;
        let (_, running) = self.releases.current().map_err(|error| text(&error))?;
        let counter = self.store.installed_counter().map_err(|error| text(&error))?;
        let site = Site {
            trusted: &self.context.settings.release_keys,
            running: &running.software,
            hardware: &self.context.settings.hardware,
            installed_counter: counter.max(running.release_counter),
            now: self.context.now(),
        };
        let package =
            package::open(&file, &site, &self.context.settings.limits).map_err(|error| text(&error))?;
        if package.id() != self.row.package || package.manifest().target != self.row.target {
            return Err("the package is not the one that was ordered".to_owned());
        }
        Ok(package)
    }

    fn accept(&self, package: &VerifiedPackage) -> Result<UpdateEvent, UpdateError> {
        let (_, running) = self.releases.current()?;
        let release = Release::of_manifest(package.manifest(), &running.rom);
        if self.releases.runs_already(&release) {
            return Ok(UpdateEvent::AlreadyRuns);
        }
        let at_next_restart = package.manifest().rules.when == When::AtNextRestart;
        Ok(UpdateEvent::Accepted { at_next_restart })
    }

    /// Without opening the package, which may be large.
    fn look_again(&self, wait: &Wait) -> Result<UpdateEvent, UpdateError> {
        let now = self.context.now();
        if now >= wait.report_at && !wait.reported {
            return Ok(UpdateEvent::WaitReported);
        }
        Ok(match self.in_the_way()? {
            Some(reason) => self.blocked(reason, wait.report_at, BUSY_PAUSE),
            None => UpdateEvent::Free,
        })
    }

    fn blocked(&self, reason: String, report_at: Timestamp, pause: Duration) -> UpdateEvent {
        let now = self.context.now();
        UpdateEvent::Blocked { reason, now, report_at, retry_at: after(now, pause) }
    }

    fn report_at(&self, package: &VerifiedPackage) -> Timestamp {
        let limit = Duration::from_secs(u64::from(package.manifest().rules.wait_limit_secs));
        after(self.context.now(), limit)
    }

    /// What has to be waited for: work that a module must not be disturbed in, or a module that is replaced only
    /// while it does not run.
    fn in_the_way(&self) -> Result<Option<String>, UpdateError> {
        if let Some(busy) = self.store.busy()?.into_iter().find(|busy| exists(busy.pid)) {
            return Ok(Some(format!("module {} is busy: {}", busy.module, busy.reason)));
        }
        let (folder, running) = self.releases.current()?;
        // What the system tells of a running process is the real path.
        let folder = folder.canonicalize().map_err(|source| UpdateError::Io { path: folder, source })?;
        let runs = running.modules.iter().find(|module| {
            matches!(module.kind, ModuleKind::OnDemand | ModuleKind::Script)
                && module.name.as_str() != INSTALLER
                && !running_file(&folder.join(module.name.as_str())).is_empty()
        });
        Ok(runs.map(|module| format!("module {} runs", module.name)))
    }

    fn build(&self, package: &VerifiedPackage, wait: Option<&Wait>) -> Result<UpdateEvent, UpdateError> {
        if let Some(reason) = self.in_the_way()? {
            let report_at = wait.map_or_else(|| self.report_at(package), |wait| wait.report_at);
            return Ok(self.blocked(reason, report_at, BUSY_PAUSE));
        }
        let (_, running) = self.releases.current()?;
        let manifest = package.manifest();
        let release = Release::of_manifest(manifest, &running.rom);
        let mark: String = self.row.package.to_string().chars().take(8).collect();
        let name = self.releases.free_name(&release, &mark)?;
        if let Err(error) = self.releases.build(&release, package.modules(), &name) {
            return Ok(UpdateEvent::Failed { reason: reason(&error) });
        }
        let rules = &manifest.rules;
        let swap = Swap {
            release: name,
            previous: self.releases.current_name()?,
            release_counter: manifest.release_counter,
            trial_secs: rules.trial_secs,
            drop_shared_data: rules.drop_shared_data,
            reboot_after: rules.reboot_after,
            report_by_itself: rules.report_by_itself,
        };
        Ok(UpdateEvent::Built { swap })
    }

    fn run_script(
        &self,
        package: &VerifiedPackage,
        wait: Option<&Wait>,
        swap: &Swap,
    ) -> Result<(UpdateEvent, String), UpdateError> {
        let failed = |reason: String| (UpdateEvent::Failed { reason }, String::new());
        if let Err(error) = self.releases.check(&swap.release) {
            return Ok(failed(reason(&error)));
        }
        let (current_dir, running) = self.releases.current()?;
        let package_dir = self.context.layout.update_dir(&self.row.package);
        remove_tree(&package_dir)?;
        std::fs::create_dir_all(&package_dir)
            .map_err(|source| UpdateError::Io { path: package_dir.clone(), source })?;
        let file = package_dir.join(SCRIPT_NAME);
        write_durably(&file, package.script(), 0o755)?;
        sync_folder(&package_dir)?;

        let limit = Duration::from_secs(u64::from(package.manifest().script.time_limit_secs));
        let (end, output) = run_script(&Script {
            file,
            release_dir: self.releases.folder(&swap.release),
            current_dir,
            state_dir: self.context.layout.root().to_owned(),
            package_dir,
            from_version: running.software.to_string(),
            to_version: self.row.target.to_string(),
            time_limit: limit.min(SCRIPT_LIMIT_MAX),
        });
        let event = match end {
            // The script may add files, but what the manifest names must be what was signed.
            ScriptEnd::Succeeded => match self.releases.check(&swap.release) {
                Ok(()) => UpdateEvent::ScriptSucceeded,
                Err(error) => UpdateEvent::Failed { reason: format!("after its script: {}", reason(&error)) },
            },
            ScriptEnd::TryLater => {
                let report_at = wait.map_or_else(|| self.report_at(package), |wait| wait.report_at);
                let doublings = wait.map_or(0, |wait| wait.tries).min(16);
                let pause = SCRIPT_PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX);
                self.blocked(end.to_string(), report_at, pause)
            }
            ScriptEnd::Failed { .. }
            | ScriptEnd::Killed { .. }
            | ScriptEnd::TimedOut { .. }
            | ScriptEnd::NotStarted { .. } => UpdateEvent::Failed { reason: end.to_string() },
        };
        Ok((event, output))
    }
}
