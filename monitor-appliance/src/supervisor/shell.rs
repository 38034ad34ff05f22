//! What the supervisor does: starts and ends processes, changes the release, stores what came of it.

mod swapping;

use super::children::{self, Job};
use super::guard::Guard;
use super::plan::{Patience, Resident, Run, Step, UpdateView, View, plan};
use super::processes::{boot_id, exists, kill_group};
use super::pulse::Pulse;
use super::trial::Evidence;
use super::way_back;
use super::{End, Start, SupervisorError};
use crate::context::Context;
use crate::release::Releases;
use crate::store::{Store, StoreError, UpdateOrderRow, Work};
use crate::update::{self, UpdateError, UpdateEvent, UpdateState, WaitFor, advance, next_order, reason};
use mailfmt::message::report::AlarmReport;
use mailfmt::{ModuleName, Report};
use std::collections::{BTreeMap, BTreeSet};
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
    context: Context,
    patience: &'a Patience,
    start: Start,
    releases: Releases,
    store: Store,
    pulse: Pulse,
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
    /// The new supervisor that runs that trial instead.
    guard: Option<Guard>,
    /// Whether it has run well long enough for its start to count as a good one.
    settled: bool,
    begun: Instant,
}

impl<'a> Supervisor<'a> {
    /// Clears up after an earlier supervisor and reads what is to be kept running.
    pub(super) fn begin(
        context: &Context,
        patience: &'a Patience,
        start: Start,
    ) -> Result<Self, SupervisorError> {
        let left = children::end_leftovers(context.layout.root(), &context.layout.updates_dir());
        if left > 0 {
            tracing::warn!(left, "ended what an earlier supervisor left running");
        }
        let watchdog = match start {
            Start::Fresh | Start::TakenOver => Some(&context.settings.watchdog),
            Start::OnTrial { .. } => None,
        };
        let mut supervisor = Self {
            patience,
            start,
            releases: Releases::below(context.layout.root()),
            store: context.open_store()?,
            pulse: Pulse::open(watchdog),
            residents: BTreeMap::new(),
            children: BTreeMap::new(),
            beats_seen: BTreeMap::new(),
            installer: Job::new("update-install", INSTALLER_LIMIT),
            reporter: Job::new("version-report", REPORTER_LIMIT),
            rebooter: Job::new("the restart command", REBOOT_LIMIT),
            reboot_begun: false,
            tidied: None,
            trial: None,
            guard: None,
            settled: false,
            begun: Instant::now(),
            context: context.clone(),
        };
        supervisor.read_release()?;
        if start == Start::Fresh {
            logged("update orders", update::restarted(context, &mut supervisor.store));
        }
        if !matches!(start, Start::OnTrial { .. }) {
            let told = way_back::tell(context, &mut supervisor.store, &supervisor.releases);
            logged("alarm about the supervisor", told);
        }
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
        let orders = logged("update orders", self.store.update_orders_open());
        self.pulse.beat(orders.is_some(), now);
        let orders = orders.unwrap_or_default();
        if !self.settled && now >= way_back::SETTLED_AFTER {
            self.settle();
        }
        if self.guard.is_some() {
            return self.tend_guard(&orders, now);
        }
        self.look_at_children(now);
        self.look_at_signs(now);
        self.reboot_if_wanted(now);
        if self.tidied.is_none_or(|at| now.saturating_sub(at) >= TIDY_EVERY) {
            tidy(&self.context, &self.store);
            self.tidied = Some(now);
        }
        let order = match self.start {
            Start::Fresh | Start::TakenOver => next_order(&orders, self.context.now()),
            Start::OnTrial { order } => match orders.iter().find(|row| row.id == order) {
                None => return Some(End::NotProven),
                Some(row) if matches!(row.state, UpdateState::RollingBack { .. }) => {
                    return Some(End::NotProven);
                }
                row => row,
            },
        };
        self.pulse.status(&order.map_or_else(|| "watching".to_owned(), status));
        self.tell_what_stands(order);
        let steps = self.plan(order, now);
        for step in steps {
            match self.take(step, order) {
                Ok(None) => {}
                Ok(Some(end)) => return Some(end),
                // The state that is stored tells the next look what to do again.
                Err(error) => tracing::error!(reason = reason(&error), "a step failed"),
            }
        }
        self.pulse.ready();
        None
    }

    /// One on trial was not started by the service manager.
    fn settle(&mut self) {
        self.settled = true;
        if !matches!(self.start, Start::OnTrial { .. }) {
            logged("note of starts", self.releases.forget_supervisor_starts());
        }
    }

    fn plan(&self, order: Option<&UpdateOrderRow>, now: Duration) -> Vec<Step> {
        let busy = logged("busy modules", self.store.busy()).unwrap_or_default();
        let busy = busy.into_iter().find(|row| exists(row.pid));
        let on_trial = matches!(self.start, Start::OnTrial { .. });
        let wanted = self.store.version_requests_due(self.context.now(), &self.context.reading());
        let wanted = logged("version requests", wanted).unwrap_or_default();
        let stopped = match order {
            Some(row) if matches!(row.state, UpdateState::Staged { .. }) && self.installer.is_running() => {
                logged("modules that a script stopped", self.store.module_stops(row.id)).unwrap_or_default()
            }
            _ => BTreeSet::new(),
        };
        let shown = order.and_then(|row| row.state.swap()).map(|swap| self.evidence(&swap.release));
        let evidence = shown.unwrap_or_default();
        let update = order.map(|row| UpdateView {
            state: &row.state,
            trial_since: self.trial.filter(|(id, _)| *id == row.id).map(|(_, since)| since),
            evidence: &evidence,
        });
        let view = View {
            residents: &self.residents,
            update,
            busy: busy.map(|row| WaitFor::Work {
                module: row.module,
                work: row.reason,
                billing: row.billing,
            }),
            stopped: &stopped,
            version_wanted: !wanted.is_empty(),
            installer_occupied: on_trial || self.installer.is_occupied(now),
            reporter_occupied: on_trial || self.reporter.is_occupied(now),
            now,
            clock: self.context.now(),
        };
        plan(&view, self.patience)
    }

    /// What the release in the folder called `release` has shown to work.
    fn evidence(&self, release: &str) -> Evidence {
        let shown = |work| logged("proofs", self.store.proof(work, release)).unwrap_or_default();
        Evidence {
            fetch: shown(Work::MailFetch),
            send: shown(Work::MailSend),
            device: shown(Work::DeviceRead),
        }
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
            Some((program, arguments))
                if boot == boot_id() && !matches!(self.start, Start::OnTrial { .. }) =>
            {
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
            (Step::Stop(name), _) => self.stop_one(&name),
            (Step::Alarm { module, how }, _) => self.raise_alarm(&module, &how)?,
            (Step::AllClear(module), _) => self.clear_alarm(&module)?,
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
            (Step::AwaitSwap { why }, Some(order)) => self.await_swap(order, why)?,
            (Step::ReportWait, Some(order)) => self.advance(order, UpdateEvent::WaitReported)?,
            (Step::BeginSwap, Some(order)) => self.begin_swap(order)?,
            (Step::GiveUp { reason }, Some(order)) => self.give_up(order, reason)?,
            (Step::Swap | Step::RestartTrial, Some(order)) => self.swap(order)?,
            (Step::Commit, Some(order)) => return self.commit(order),
            (Step::TakeBack, Some(order)) => self.take_back(order)?,
            (
                Step::RunInstaller
                | Step::AwaitSwap { .. }
                | Step::ReportWait
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
        let state = advance(&self.context, &mut self.store, order, event, None)?;
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
            resident.hung(self.patience, now);
        }
    }

    /// As an install script asked for; it is started again when the script lets it run.
    fn stop_one(&mut self, name: &ModuleName) {
        tracing::info!(module = %name, "stopped for the install script");
        children::stop(self.children.remove(name).into_iter().collect(), self.patience.stop_grace);
        if let Some(resident) = self.residents.get_mut(name) {
            resident.run = Run::New;
        }
    }

    /// Tells the script which of the modules that it stopped stand still by now.
    fn tell_what_stands(&mut self, order: Option<&UpdateOrderRow>) {
        let Some(row) = order.filter(|row| matches!(row.state, UpdateState::Staged { .. })) else { return };
        let open =
            logged("modules that a script stopped", self.store.module_stops_open(row.id)).unwrap_or_default();
        for name in open {
            let runs = self
                .residents
                .iter()
                .any(|(resident, state)| resident.as_str() == name && matches!(state.run, Run::Up { .. }));
            if !runs {
                logged("a stopped module", self.store.change(|change| change.module_stands(&name)));
            }
        }
    }

    fn raise_alarm(&mut self, name: &ModuleName, how: &str) -> Result<(), UpdateError> {
        let Some(resident) = self.residents.get_mut(name) else { return Ok(()) };
        let count = resident.ends.len();
        let first = resident.ends.first().copied().unwrap_or_default();
        let ago = jiff::SignedDuration::try_from(self.begun.elapsed().saturating_sub(first));
        let now = self.context.now();
        let report = AlarmReport {
            alarm: format!("module-fails:{name}"),
            description: format!(
                "module {name} failed {count} times within the last hour; the last time it {how}"
            ),
            since: now.saturating_sub(ago.unwrap_or_default()).unwrap_or(now),
            over: false,
        };
        let report = self.context.outgoing(Report::Alarm(report), None);
        self.store.change(|change| change.enqueue(&report))?;
        resident.told = true;
        Ok(())
    }

    fn clear_alarm(&mut self, name: &ModuleName) -> Result<(), UpdateError> {
        let Some(resident) = self.residents.get_mut(name) else { return Ok(()) };
        let report = AlarmReport {
            alarm: format!("module-fails:{name}"),
            description: format!("module {name} has run well for an hour"),
            since: self.context.now(),
            over: true,
        };
        let report = self.context.outgoing(Report::Alarm(report), None);
        self.store.change(|change| change.enqueue(&report))?;
        resident.told = false;
        Ok(())
    }

    /// Ends all that was started. The hardware watchdog goes on watching, and expects the next supervisor, unless this
    /// end was asked for.
    pub(super) fn stop(mut self, end: &End) {
        if let Some(guard) = self.guard.take() {
            guard.end(self.patience.stop_grace.saturating_mul(2));
        }
        let jobs = [self.installer.take_child(), self.reporter.take_child(), self.rebooter.take_child()];
        let children = std::mem::take(&mut self.children).into_values().chain(jobs.into_iter().flatten());
        children::stop(children.collect(), self.patience.stop_grace);
        // A script has a group of its own; its installer goes on from the stored state when we come back.
        children::end_leftovers(self.context.layout.root(), &self.context.layout.updates_dir());
        if *end == End::Stopped {
            self.settle();
            self.pulse.end();
        }
    }
}

/// What an update is at, in a line.
fn status(row: &UpdateOrderRow) -> String {
    let waits = row.state.waits().map(|wait| format!(" for: {}", wait.why)).unwrap_or_default();
    format!("update to {} is {}{waits}", row.target, row.state.name())
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
