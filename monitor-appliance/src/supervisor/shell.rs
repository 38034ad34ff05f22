//! What the supervisor does: starts and ends processes, changes the release, stores what came of it.

use super::children::{self, Job};
use super::plan::{Patience, Resident, Run, Step, UpdateView, View, plan};
use super::processes::{boot_id, exists, kill_group};
use super::{End, SupervisorError};
use crate::context::Context;
use crate::release::{Releases, SUPERVISOR};
use crate::store::{Store, StoreError, UpdateOrderRow};
use crate::update::{
    self, STARTS_MAX, Swap, UpdateError, UpdateEvent, UpdateState, advance, next_order, reason,
};
use mailfmt::{Digest, ModuleName};
use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

/// Longest run of `update-install`: the longest script and some.
const INSTALLER_LIMIT: Duration = Duration::from_secs(4 * 3600);
/// Longest run of `version-report`: hashing a few hundred megabytes on a slow disk.
const REPORTER_LIMIT: Duration = Duration::from_secs(600);
/// Time between two clearings of what nobody needs any more.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// How long the command that restarts the box may take to return.
const REBOOT_LIMIT: Duration = Duration::from_secs(60);

/// A supervisor at work.
pub(super) struct Supervisor<'a> {
    context: &'a Context,
    patience: &'a Patience,
    releases: Releases,
    store: Store,
    residents: BTreeMap<ModuleName, Resident>,
    children: BTreeMap<ModuleName, Child>,
    /// The number of the last sign of life seen of each module.
    beats_seen: BTreeMap<String, u64>,
    installer: Job,
    reporter: Job,
    rebooter: Job,
    reboot_begun: bool,
    tidied: Option<Duration>,
    /// Which order's trial this supervisor began, and when.
    trial: Option<(i64, Duration)>,
    begun: Instant,
}

impl<'a> Supervisor<'a> {
    /// Clears up after an earlier supervisor and reads what is to be kept running.
    pub(super) fn begin(context: &'a Context, patience: &'a Patience) -> Result<Self, SupervisorError> {
        let left = children::end_leftovers(context.layout.root(), &context.layout.updates_dir());
        if left > 0 {
            tracing::warn!(left, "ended what an earlier supervisor left running");
        }
        let mut supervisor = Self {
            context,
            patience,
            releases: Releases::below(context.layout.root()),
            store: context.open_store()?,
            residents: BTreeMap::new(),
            children: BTreeMap::new(),
            beats_seen: BTreeMap::new(),
            installer: Job::new("update-install", INSTALLER_LIMIT),
            reporter: Job::new("version-report", REPORTER_LIMIT),
            rebooter: Job::new("the restart command", REBOOT_LIMIT),
            reboot_begun: false,
            tidied: None,
            trial: None,
            begun: Instant::now(),
        };
        supervisor.read_release()?;
        logged("update orders", update::restarted(context, &mut supervisor.store));
        Ok(supervisor)
    }

    fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Which modules the running release wants to have running; none of the former runs any more.
    fn read_release(&mut self) -> Result<(), SupervisorError> {
        let (_, release) = self.releases.current()?;
        let signs = self.store.heartbeats()?;
        self.beats_seen = signs.into_iter().map(|sign| (sign.module, sign.beats)).collect();
        let resident = |name: &ModuleName| Resident::new(self.beats_seen.contains_key(name.as_str()));
        self.residents = crate::release::residents(&release)
            .map(|module| (module.name.clone(), resident(&module.name)))
            .collect();
        Ok(())
    }

    /// Looks at everything once and does what is to be done.
    pub(super) fn tick(&mut self) -> Option<End> {
        let now = self.uptime();
        self.look_at_children(now);
        self.look_at_signs(now);
        self.reboot_if_wanted(now);
        if self.tidied.is_none_or(|at| now.saturating_sub(at) >= TIDY_EVERY) {
            tidy(self.context, &self.store);
            self.tidied = Some(now);
        }

        let orders = logged("update orders", self.store.update_orders_open()).unwrap_or_default();
        let order = next_order(&orders, self.context.now());
        let busy = logged("busy modules", self.store.busy()).unwrap_or_default();
        let busy = busy.iter().find(|row| exists(row.pid));
        let wanted = logged("version requests", self.store.version_requests()).unwrap_or_default();
        let update = order.map(|row| UpdateView {
            state: &row.state,
            trial_since: self.trial.filter(|(id, _)| *id == row.id).map(|(_, since)| since),
        });
        let steps = plan(
            &View {
                residents: &self.residents,
                update,
                busy: busy.map(|row| row.reason.as_str()),
                version_wanted: !wanted.is_empty(),
                installer_occupied: self.installer.is_occupied(now),
                reporter_occupied: self.reporter.is_occupied(now),
                now,
            },
            self.patience,
        );
        for step in steps {
            match self.take(step, order) {
                Ok(None) => {}
                Ok(Some(end)) => return Some(end),
                // The state that is stored tells the next look what to do again.
                Err(error) => tracing::error!(reason = reason(&error), "a step failed"),
            }
        }
        None
    }

    fn look_at_children(&mut self, now: Duration) {
        self.installer.look(now);
        self.reporter.look(now);
        self.rebooter.look(now);
        let mut ended = Vec::new();
        self.children.retain(|name, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                // Its children end with it.
                kill_group(child.id());
                ended.push((name.clone(), children::how(status)));
                false
            }
            Err(error) => {
                ended.push((name.clone(), format!("was lost: {error}")));
                false
            }
        });
        for (name, how) in ended {
            tracing::warn!(module = %name, "{how}");
            if let Some(resident) = self.residents.get_mut(&name) {
                resident.ended(how, self.patience, now);
            }
        }
    }

    fn look_at_signs(&mut self, now: Duration) {
        for sign in logged("signs of life", self.store.heartbeats()).unwrap_or_default() {
            let seen = self.beats_seen.insert(sign.module.clone(), sign.beats);
            if seen == Some(sign.beats) {
                continue;
            }
            let resident = self.residents.iter_mut().find(|(name, _)| name.as_str() == sign.module);
            if let Some((_, resident)) = resident {
                resident.gave_sign(sign.pid, now);
            }
        }
    }

    fn reboot_if_wanted(&mut self, now: Duration) {
        let Some(Some(boot)) = logged("restart", self.store.reboot_wanted()) else { return };
        if self.reboot_begun {
            return;
        }
        let command = &self.context.settings.reboot_command;
        match command.split_first() {
            Some((program, arguments)) if boot == boot_id() => {
                tracing::info!("restarting the box, as the update asks");
                let mut command = std::process::Command::new(program);
                command.args(arguments).stdin(std::process::Stdio::null());
                self.rebooter.started(super::processes::spawn_group(&mut command), now);
                self.reboot_begun = true;
            }
            // It has happened, or never will.
            _ => {
                logged("restart", self.forget_reboot());
            }
        }
    }

    fn forget_reboot(&mut self) -> Result<(), StoreError> {
        self.store.change(|change| {
            change.forget_reboot()?;
            tracing::debug!("no restart of the box is to come");
            Ok(())
        })
    }

    fn take(&mut self, step: Step, order: Option<&UpdateOrderRow>) -> Result<Option<End>, UpdateError> {
        match (step, order) {
            (Step::Start(name), _) => self.start(&name),
            (Step::EndHung(name), _) => self.end_hung(&name),
            (Step::RunReporter, _) => {
                let now = self.uptime();
                let child = self.start_on_demand(self.reporter.module, &[]);
                self.reporter.started(child, now);
            }
            (Step::RunInstaller, Some(order)) => {
                let now = self.uptime();
                let child = self.start_on_demand(self.installer.module, &["--order", &order.id.to_string()]);
                self.installer.started(child, now);
            }
            (Step::BeginSwap, Some(order)) => self.advance(order, UpdateEvent::SwapBegins)?,
            (Step::GiveUp { reason }, Some(order)) => self.advance(order, UpdateEvent::Failed { reason })?,
            (Step::Swap | Step::RestartTrial, Some(order)) => self.swap(order)?,
            (Step::Commit, Some(order)) => return self.commit(order),
            (Step::TakeBack, Some(order)) => self.take_back(order)?,
            (
                Step::RunInstaller
                | Step::BeginSwap
                | Step::GiveUp { .. }
                | Step::Swap
                | Step::RestartTrial
                | Step::Commit
                | Step::TakeBack,
                None,
            ) => {}
        }
        Ok(None)
    }

    fn advance(&mut self, order: &UpdateOrderRow, event: UpdateEvent) -> Result<(), UpdateError> {
        let state = advance(self.context, &mut self.store, order, event, None)?;
        tracing::info!(target = %order.target, ?state, "update");
        Ok(())
    }

    fn start_on_demand(&self, module: &str, arguments: &[&str]) -> std::io::Result<Child> {
        let folder = self.releases.current_name().map_err(std::io::Error::other)?;
        children::start(&self.releases.folder(&folder).join(module), self.context.layout.root(), arguments)
    }

    fn start(&mut self, name: &ModuleName) {
        let parent = std::process::id().to_string();
        let started = self.start_on_demand(name.as_str(), &["--parent", &parent]);
        let now = self.uptime();
        let Some(resident) = self.residents.get_mut(name) else { return };
        match started {
            Ok(child) => {
                tracing::info!(module = %name, pid = child.id(), "started");
                resident.run = Run::Up { pid: child.id(), since: now, beat: None };
                self.children.insert(name.clone(), child);
            }
            Err(error) => {
                tracing::error!(module = %name, %error, "cannot be started");
                resident.ended(format!("could not be started: {error}"), self.patience, now);
            }
        }
    }

    fn end_hung(&mut self, name: &ModuleName) {
        tracing::error!(module = %name, "gives no sign of life; it is ended");
        if let Some(mut child) = self.children.remove(name) {
            kill_group(child.id());
            // Killed: this returns at once.
            let _ = child.wait();
        }
        let now = self.uptime();
        if let Some(resident) = self.residents.get_mut(name) {
            resident.ended("hung and was ended".to_owned(), self.patience, now);
        }
    }

    fn stop_residents(&mut self) {
        let children = std::mem::take(&mut self.children).into_values().collect();
        children::stop(children, self.patience.stop_grace);
    }

    fn start_residents(&mut self) -> Result<(), UpdateError> {
        match self.read_release() {
            Ok(()) => {}
            Err(SupervisorError::Release(error)) => return Err(error.into()),
            Err(SupervisorError::Store(error)) => return Err(error.into()),
            Err(error) => tracing::error!(%error, "the release cannot be read"),
        }
        let names: Vec<_> = self.residents.keys().cloned().collect();
        names.iter().for_each(|name| self.start(name));
        Ok(())
    }

    /// Begins the trial, or begins it anew after this supervisor's predecessor was killed in it.
    fn swap(&mut self, order: &UpdateOrderRow) -> Result<(), UpdateError> {
        let (UpdateState::Swapped { swap } | UpdateState::OnTrial { swap, .. }) = &order.state else {
            return Ok(());
        };
        let starts = self.store.change(|change| change.begin_update_work(order.id))?;
        if starts > STARTS_MAX {
            let reason = format!("the supervisor was interrupted {STARTS_MAX} times at the same place");
            return self.advance(order, UpdateEvent::Failed { reason });
        }
        self.stop_residents();
        let swapped = update::swap_in(self.context, swap).and_then(|()| self.start_residents());
        if let Err(error) = swapped {
            return self.advance(order, UpdateEvent::Failed { reason: reason(&error) });
        }
        self.trial = Some((order.id, self.uptime()));
        self.advance(order, UpdateEvent::TrialBegins { now: self.context.now() })
    }

    fn commit(&mut self, order: &UpdateOrderRow) -> Result<Option<End>, UpdateError> {
        self.advance(order, UpdateEvent::TrialPassed)?;
        self.trial = None;
        tidy(self.context, &self.store);
        let UpdateState::OnTrial { swap, .. } = &order.state else { return Ok(None) };
        Ok(self.new_supervisor(swap).map(|by| End::Replaced { by }))
    }

    /// The new release's supervisor, if it is another one.
    fn new_supervisor(&self, swap: &Swap) -> Option<std::path::PathBuf> {
        let supervisor = |folder: &str| -> Option<Digest> {
            let release = crate::release::read_release(&self.releases.folder(folder)).ok()?;
            release
                .modules
                .iter()
                .find(|module| module.name.as_str() == SUPERVISOR)
                .map(|module| module.sha256)
        };
        let new = supervisor(&swap.release)?;
        (supervisor(&swap.previous) != Some(new))
            .then(|| self.releases.folder(&swap.release).join(SUPERVISOR))
    }

    fn take_back(&mut self, order: &UpdateOrderRow) -> Result<(), UpdateError> {
        let UpdateState::RollingBack { swap, .. } = &order.state else { return Ok(()) };
        self.stop_residents();
        self.trial = None;
        update::swap_back(self.context, swap)?;
        self.start_residents()?;
        self.advance(order, UpdateEvent::TakenBack)
    }

    /// Ends all that was started.
    pub(super) fn stop(mut self) {
        let jobs = [self.installer.take_child(), self.reporter.take_child(), self.rebooter.take_child()];
        let children = std::mem::take(&mut self.children).into_values().chain(jobs.into_iter().flatten());
        children::stop(children.collect(), self.patience.stop_grace);
        // A script has a group of its own; its installer goes on from the stored state when we come back.
        children::end_leftovers(self.context.layout.root(), &self.context.layout.updates_dir());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of files, which the system's clock gave them"
)]
fn tidy(context: &Context, store: &Store) {
    update::tidy(context, store, std::time::SystemTime::now());
}

/// A store that cannot be read must not keep the modules from running.
fn logged<T, E: std::error::Error>(what: &str, result: Result<T, E>) -> Option<T> {
    result.map_err(|error| tracing::error!(reason = reason(&error), "cannot use the {what}")).ok()
}
