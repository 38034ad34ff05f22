//! The work of `update-install`: open the package, wait, build the new release, run its script.

use super::aside::Aside;
use super::confinement::Bounds;
use super::control::Control;
use super::hours::{Gate, Hours};
use super::queue::{is_due, next_order};
use super::script::{Keeper, Script, ScriptEnd, run_script};
use super::state::{STARTS_MAX, Swap, Turn, UpdateEvent, UpdateState};
use super::swap::{advance, tidy_releases};
use super::wait::{Due, Wait, WaitFor, WaitLimits, growing_pause};
use super::{UpdateError, reason};
use crate::context::Context;
use crate::outbox::after;
use crate::release::{
    OnDisk, Release, ReleaseError, Releases, create_folder, remove_tree, residents, sync_folder,
    write_durably,
};
use crate::release_counter;
use crate::settings::{Settings, UpdateSettings};
use crate::store::{Store, UpdateOrderRow};
use crate::supervisor::processes::{exists, running_file};
use crate::trust;
use jiff::{SignedDuration, Timestamp};
use mailfmt::package::{self, DailyWindow, Manifest, ModuleKind, SCRIPT_NAME, Site, VerifiedPackage, When};
use mailfmt::trust::{SignedPermit, TrustedRoot};
use mailfmt::{Digest, ModuleName};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Read;
use std::time::Duration;

/// Name of the module whose program this is.
const INSTALLER: &str = "update-install";
/// Modules without which no further update, and no mail, would ever reach the appliance: a release that has them is
/// followed only by one that has them, too.
const ESSENTIAL: [&str; 4] = ["supervisor", "mail-agent", INSTALLER, "version-report"];
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
pub(super) fn lock(context: &Context) -> Result<File, UpdateError> {
    let folder = context.layout.updates_dir();
    let path = folder.join("lock");
    let io = |source| UpdateError::Io { path: path.clone(), source };
    create_folder(&folder)?;
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
    if !matches!(event, UpdateEvent::ScriptSucceeded | UpdateEvent::CheckPassed) {
        // Whatever its script did outside the release is undone before that is stored.
        Aside::of(&context.layout, row.id).put_back()?;
    }
    advance(context, store, row, event, output.as_deref())
}

/// What runs, as it was before a script ran.
struct Before {
    files: BTreeMap<ModuleName, OnDisk>,
    proven: Option<(Digest, u64)>,
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
        match &self.row.state {
            // Neither needs the package, which may be large.
            UpdateState::Waiting { wait, .. } => return self.look_again(wait),
            UpdateState::ScriptRun { swap } => return Ok(self.check(swap)),
            _ => {}
        }
        let package = match opened {
            Some(package) => package,
            None => match self.open() {
                Ok(package) => opened.insert(package),
                Err(reason) => return Ok(UpdateEvent::Failed { reason }),
            },
        };
        match &self.row.state {
            UpdateState::Verified { .. } => self.build(package),
            UpdateState::Staged { wait, swap } => {
                let (event, said) = self.run_script(package, wait.as_ref(), swap)?;
                *output = Some(said);
                Ok(event)
            }
            _ => self.accept(package),
        }
    }

    fn settings(&self) -> &UpdateSettings {
        &self.context.settings.update
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
        let (_, noted_under) = self.store.installed_counter_and_root().map_err(|error| text(&error))?;
        let root =
            trust::read(&self.context.layout, &self.context.settings.center).map_err(|error| text(&error))?;
        self.check_approval(&root)?;
        let greatest = release_counter::greatest(self.store, &self.context.layout, Some(&root))
            .map_err(|error| text(&error))?;
        let permit = self.permit()?;
        let site = Site {
            root: &root,
            agent: &self.context.settings.agent,
            permit: permit.as_ref(),
            running: &running.software,
            hardware: &self.context.settings.hardware,
            installed_counter: greatest.max(root.installed_counter(running.release_counter, noted_under)),
            now: self.context.now(),
        };
        let package =
            package::open(&file, &site, &self.context.settings.limits).map_err(|error| text(&error))?;
        if package.id() != self.row.package || package.manifest().target != self.row.target {
            return Err("the package is not the one that was ordered".to_owned());
        }
        Ok(package)
    }

    /// Whether those whose word the root asks for have given it for this order. Who orders on site has the box in his hands,
    /// and no center speaks through him.
    fn check_approval(&self, root: &TrustedRoot) -> Result<(), String> {
        if self.row.by_hand {
            return Ok(());
        }
        let (terms, approval) = self.store.approval_of(self.row).map_err(|error| reason(&error))?;
        root.root()
            .check_approval(approval.as_ref(), &terms, self.context.now())
            .map_err(|error| reason(&error))
    }

    /// What came with the order to let an older release follow.
    fn permit(&self) -> Result<Option<SignedPermit>, String> {
        match std::fs::read(self.context.layout.permit_file(&self.row.package)) {
            Ok(octets) => Ok(Some(SignedPermit::from_octets(octets))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("the permit to go back cannot be read: {error}")),
        }
    }

    fn accept(&self, package: &VerifiedPackage) -> Result<UpdateEvent, UpdateError> {
        let (_, running) = self.releases.current()?;
        let release = Release::of_manifest(package.manifest(), &running.rom);
        if let Some(lost) = lost_module(&running, &release) {
            let reason = format!("the package would leave the appliance without its module {lost}");
            return Ok(UpdateEvent::Failed { reason });
        }
        if self.releases.runs_already(&release) {
            return Ok(UpdateEvent::AlreadyRuns);
        }
        Ok(match package.manifest().rules.when {
            When::Now => UpdateEvent::Accepted,
            When::AtNextRestart => self.blocked(WaitFor::NextRestart, self.limits(package), None),
        })
    }

    fn look_again(&self, wait: &Wait) -> Result<UpdateEvent, UpdateError> {
        let clock = self.context.clock_state();
        let now = clock.now;
        // Both count from the first look and are stored with it.
        let limits = WaitLimits { report_after: SignedDuration::ZERO, give_up_at: now };
        // No clock that nothing proves ends a wait for hours.
        let passed = match wait.why {
            WaitFor::Window { .. } => clock.for_forgetting(),
            WaitFor::Module { .. } | WaitFor::Work { .. } | WaitFor::NextRestart | WaitFor::Script => now,
        };
        Ok(match wait.due(passed) {
            Due::GiveUp => UpdateEvent::Failed { reason: wait.given_up() },
            Due::Report => UpdateEvent::WaitReported,
            Due::Look => {
                let closed = match &wait.why {
                    WaitFor::Window { opening: Some(opening), .. } => {
                        self.closed(opening.package, opening.expires, limits)?
                    }
                    WaitFor::Window { hours, opening: None } => {
                        self.closed(Some(*hours), wait.give_up_at.unwrap_or(Timestamp::MAX), limits)?
                    }
                    _ => None,
                };
                match (closed, self.in_the_way()?) {
                    (Some(event), _) => event,
                    (None, Some((why, pause))) => self.blocked(why, limits, Some(pause)),
                    (None, None) => UpdateEvent::Free,
                }
            }
        })
    }

    fn blocked(&self, why: WaitFor, limits: WaitLimits, pause: Option<Duration>) -> UpdateEvent {
        let now = self.context.now();
        UpdateEvent::Blocked { why, now, limits, retry_at: pause.map(|pause| after(now, pause)) }
    }

    fn limits(&self, package: &VerifiedPackage) -> WaitLimits {
        let manifest = package.manifest();
        let give_up_at = match manifest.rules.when {
            When::Now => manifest.expires.min(after(self.context.now(), self.settings().wait_max)),
            // Nobody knows when a box is restarted.
            When::AtNextRestart => manifest.expires,
        };
        WaitLimits {
            report_after: SignedDuration::from_secs(manifest.rules.wait_limit_secs.into()),
            give_up_at,
        }
    }

    /// What becomes of an update that the hours do not allow to begin now; `None` where they do.
    fn closed(
        &self,
        package: Option<DailyWindow>,
        expires: Timestamp,
        limits: WaitLimits,
    ) -> Result<Option<UpdateEvent>, UpdateError> {
        let settings = self.settings();
        let ordered = self.store.conditions_of(self.row.command)?;
        let (clock, zone) = (self.context.clock_state(), settings.zone());
        let hours = Hours {
            ordered: &ordered,
            package,
            site: settings.window,
            expires,
            zone: &zone,
            wait_max: settings.wait_max,
        };
        Ok(match hours.look(&clock) {
            Gate::Open => None,
            Gate::Closed { why, opens } => {
                let until = opens.map(|opens| opens.duration_since(clock.now));
                let pause = until.and_then(|until| Duration::try_from(until).ok());
                let pause = pause.map_or(settings.busy_look, |pause| pause.min(settings.retry_max));
                Some(self.blocked(why, limits, Some(pause)))
            }
            Gate::Missed { reason } => Some(UpdateEvent::Failed { reason }),
        })
    }

    /// What has to be waited for, and when to look again: work that a module must not be disturbed in, or a module that is
    /// replaced only while it does not run.
    fn in_the_way(&self) -> Result<Option<(WaitFor, Duration)>, UpdateError> {
        let waiting_for = |why| Ok(Some((why, self.settings().busy_look)));
        if let Some(busy) = self.store.busy()?.into_iter().find(|busy| exists(busy.pid)) {
            return waiting_for(WaitFor::Work {
                module: busy.module,
                work: busy.reason,
                billing: busy.billing,
            });
        }
        let (folder, running) = self.releases.current()?;
        // What the system tells of a running process is the real path.
        let folder = folder.canonicalize().map_err(|source| UpdateError::Io { path: folder, source })?;
        let runs = running.modules.iter().find(|module| {
            matches!(module.kind, ModuleKind::OnDemand | ModuleKind::Script)
                && module.name.as_str() != INSTALLER
                && !running_file(&folder.join(module.name.as_str())).is_empty()
        });
        match runs {
            Some(module) => waiting_for(WaitFor::Module { module: module.name.to_string() }),
            None => Ok(None),
        }
    }

    fn build(&self, package: &VerifiedPackage) -> Result<UpdateEvent, UpdateError> {
        let Manifest { rules, expires, .. } = package.manifest();
        if let Some(event) = self.closed(rules.window, *expires, self.limits(package))? {
            return Ok(event);
        }
        if let Some((why, pause)) = self.in_the_way()? {
            return Ok(self.blocked(why, self.limits(package), Some(pause)));
        }
        let (folder, running) = self.releases.current()?;
        let files = match package.files_over(|module| std::fs::read(folder.join(module.as_str())).ok()) {
            Ok(files) => files,
            // The center has the package with whole files, too, and sends that.
            Err(error) => return Ok(UpdateEvent::Failed { reason: reason(&error) }),
        };
        let manifest = package.manifest();
        let release = Release::of_manifest(manifest, &running.rom);
        let mark: String = self.row.package.to_string().chars().take(8).collect();
        let name = self.releases.free_name(&release, &mark)?;
        if let Err(error) = self.put_together(&release, &files, &name) {
            return Ok(UpdateEvent::Failed { reason: reason(&error) });
        }
        let aside = Aside::of(&self.context.layout, self.row.id);
        aside.keep(&self.context.layout, &self.settings().saved_files)?;
        let rules = &manifest.rules;
        let swap = Swap {
            release: name,
            previous: self.releases.current_name()?,
            release_counter: manifest.release_counter,
            trial_secs: rules.trial_secs,
            drop_shared_data: rules.drop_shared_data,
            reboot_after: rules.reboot_after,
            report_by_itself: rules.report_by_itself,
            wait_limits: Some(self.limits(package)),
        };
        Ok(UpdateEvent::Built { swap })
    }

    /// Builds the release; where the disk is too full for it, without the older of the old releases.
    fn put_together(
        &self,
        release: &Release,
        files: &BTreeMap<ModuleName, Vec<u8>>,
        name: &str,
    ) -> Result<(), ReleaseError> {
        let reserve = self.settings().disk_reserve;
        match self.releases.build(release, files, name, reserve) {
            Err(ReleaseError::NoSpace { .. } | ReleaseError::NoFiles { .. }) => {
                tidy_releases(self.context, self.store, 0);
                self.releases.build(release, files, name, reserve)
            }
            built => built,
        }
    }

    /// What a script must not have done to the running release and the settings, whatever it says of itself; `None` when
    /// it has not. What can be set right is.
    fn harm(&self, before: &Before, swap: &Swap) -> Result<Option<String>, UpdateError> {
        let mut harm = None;
        if self.releases.current_name().ok().as_ref() != Some(&swap.previous) {
            self.releases.swap_to(&swap.previous)?;
            harm = Some("it changed which release runs; that was set right".to_owned());
        }
        if let Some(name) = self.releases.mend_running(&before.files, &swap.release)? {
            harm = harm.or(Some(format!("it changed the file of module {name} of the running release")));
        }
        if self.releases.mend_supervisor(before.proven)? {
            harm =
                harm.or(Some("it changed the supervisor that the box starts; that was set right".to_owned()));
        }
        // The modules of the release before go on with them if the new one has to be taken back.
        let unreadable = || Settings::load(&self.context.layout.settings_file()).err();
        Ok(harm.or_else(|| unreadable().map(|error| reason(&error))))
    }

    /// The script may add files, but what the manifest names must be what was signed. Afterwards both releases share
    /// what they have in common.
    fn check(&self, swap: &Swap) -> UpdateEvent {
        let checked = self.releases.check(&swap.release).and_then(|()| self.releases.settle(&swap.release));
        match checked {
            Ok(()) => UpdateEvent::CheckPassed,
            Err(error) => UpdateEvent::Failed { reason: format!("after its script: {}", reason(&error)) },
        }
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
        let settings = &self.context.settings;
        let script = Script {
            file,
            release_dir: self.releases.folder(&swap.release),
            current_dir,
            state_dir: self.context.layout.root().to_owned(),
            package_dir,
            from_version: running.software.to_string(),
            to_version: self.row.target.to_string(),
            bounds: Bounds {
                time: limit.min(settings.update.script_time_max),
                processes: settings.script.processes,
                memory: settings.script.memory,
                disk: settings.script.disk,
                files: settings.script.files,
            },
            may_write: settings
                .script
                .may_write
                .iter()
                .chain(&settings.update.saved_files)
                .cloned()
                .collect(),
            without: settings.script.without.clone(),
        };
        let aside = Aside::of(&self.context.layout, self.row.id);
        aside.begin_again()?;
        let before = Before { files: self.releases.running_files()?, proven: self.releases.proven_file() };
        let mut control = Control::begin(self.context, self.row.id)?;
        let (end, output) =
            run_script(&script, Keeper::of_this_program(), &mut |request| control.answer(request));
        let wants_restart = control.end(&end)?;
        aside.note_after()?;
        let event = match end {
            ScriptEnd::Succeeded => match self.harm(&before, swap)? {
                None => UpdateEvent::ScriptSucceeded,
                Some(what) => UpdateEvent::Failed { reason: format!("after its script: {what}") },
            },
            ScriptEnd::TryLater if wants_restart => {
                self.blocked(WaitFor::NextRestart, self.limits(package), None)
            }
            ScriptEnd::TryLater => {
                let settings = self.settings();
                let secs = package.manifest().rules.retry_secs;
                let first = secs.map_or(settings.script_retry, |secs| Duration::from_secs(secs.into()));
                let tries = wait.filter(|wait| wait.why == WaitFor::Script).map_or(0, |wait| wait.tries);
                let pause = growing_pause(first, tries, settings.retry_max.max(first));
                self.blocked(WaitFor::Script, self.limits(package), Some(pause))
            }
            ScriptEnd::Failed { .. }
            | ScriptEnd::Killed { .. }
            | ScriptEnd::TimedOut { .. }
            | ScriptEnd::Exceeded { .. }
            | ScriptEnd::KeeperLost { .. }
            | ScriptEnd::NotStarted { .. } => UpdateEvent::Failed { reason: end.to_string() },
        };
        Ok((event, output))
    }
}

/// The first module that only the old release has and without which the appliance could not be reached or mended.
fn lost_module(running: &Release, new: &Release) -> Option<&'static str> {
    let kind = |release: &Release, name: &str| {
        let mut modules = release.modules.iter();
        modules.find(|module| module.name.as_str() == name).map(|module| module.kind)
    };
    let all_residents = residents(running).count() > 0 && residents(new).count() == 0;
    ESSENTIAL
        .into_iter()
        .find(|name| kind(running, name).is_some_and(|before| kind(new, name) != Some(before)))
        .or_else(|| all_residents.then_some("that runs all the time"))
}
