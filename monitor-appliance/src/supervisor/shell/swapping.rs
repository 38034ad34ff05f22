//! The supervisor's part of an update: swapping, the trial, keeping the new release or taking it back.

use super::super::guard::{Guard, WardVerdict};
use super::super::trial::expected;
use super::super::{End, Start, SupervisorError, children};
use super::{Supervisor, logged, tidy};
use crate::release::{Proven, SUPERVISOR, read_release};
use crate::settings::Settings;
use crate::store::{ScriptWish, UpdateOrderRow};
use crate::update::{
    self, Aside, Expected, STARTS_MAX, Swap, UpdateError, UpdateEvent, UpdateState, WaitFor, WaitLimits,
    reason,
};
use jiff::{SignedDuration, Timestamp};
use mailfmt::Digest;
use std::sync::Arc;
use std::time::Duration;

impl Supervisor<'_> {
    pub(super) fn await_swap(&mut self, order: &UpdateOrderRow, why: WaitFor) -> Result<(), UpdateError> {
        let limits = order.state.swap().and_then(|swap| swap.wait_limits);
        let limits =
            limits.unwrap_or(WaitLimits { report_after: SignedDuration::ZERO, give_up_at: Timestamp::MAX });
        self.advance(order, UpdateEvent::Blocked { why, now: self.context.now(), limits, retry_at: None })
    }

    /// What the new release will have to show is decided while the old one still runs.
    pub(super) fn begin_swap(&mut self, order: &UpdateOrderRow) -> Result<(), UpdateError> {
        let expected = order.state.swap().map_or_else(Expected::default, |swap| self.expected(swap));
        self.advance(order, UpdateEvent::SwapBegins { expected })
    }

    fn expected(&self, swap: &Swap) -> Expected {
        let has = |name: &str| {
            read_release(&self.releases.folder(&swap.release)).is_ok_and(|release| {
                crate::release::residents(&release).any(|module| module.name.as_str() == name)
            })
        };
        let devices = logged("devices", self.store.devices()).unwrap_or_default();
        let answering = devices.iter().any(|device| device.answering);
        expected(
            &self.evidence(&swap.previous),
            has(crate::mail_agent::MODULE),
            has(crate::device_watch::MODULE),
            answering,
        )
    }

    /// Begins the trial, or begins it anew after this supervisor's predecessor was killed in it.
    pub(super) fn swap(&mut self, order: &UpdateOrderRow) -> Result<(), UpdateError> {
        let (UpdateState::Swapped { swap, .. } | UpdateState::OnTrial { swap, .. }) = &order.state else {
            return Ok(());
        };
        let on_trial = matches!(self.start, Start::OnTrial { .. });
        self.stop_residents();
        // Counted by the one that watches, if there are two; what an earlier trial has shown does not count.
        let starts = self.store.change(|change| {
            change.forget_proofs_except(&swap.previous)?;
            if on_trial { Ok(1) } else { change.begin_update_work(order.id) }
        })?;
        if starts > STARTS_MAX {
            let reason = format!("the supervisor was interrupted {STARTS_MAX} times at the same place");
            return self.give_up(order, reason);
        }
        if let Err(error) = update::swap_in(&self.context, swap) {
            return self.give_up(order, reason(&error));
        }
        if !on_trial && self.brings_supervisor(swap) {
            return self.watch_new_supervisor(order, swap);
        }
        if let Err(error) = self.start_residents() {
            return self.give_up(order, reason(&error));
        }
        self.trial = Some((order.id, self.uptime()));
        self.advance(order, UpdateEvent::TrialBegins { now: self.context.now() })
    }

    /// Whether the new release has another supervisor than the one before.
    fn brings_supervisor(&self, swap: &Swap) -> bool {
        let supervisor = |folder: &str| -> Option<Digest> {
            let release = read_release(&self.releases.folder(folder)).ok()?;
            let mut modules = release.modules.iter();
            modules.find(|module| module.name.as_str() == SUPERVISOR).map(|module| module.sha256)
        };
        let new = supervisor(&swap.release);
        new.is_some() && new != supervisor(&swap.previous)
    }

    fn watch_new_supervisor(&mut self, order: &UpdateOrderRow, swap: &Swap) -> Result<(), UpdateError> {
        let jobs = [self.installer.take_child(), self.reporter.take_child()];
        children::stop(jobs.into_iter().flatten().collect(), self.patience.stop_grace);
        let file = self.releases.folder(&swap.release).join(SUPERVISOR);
        tracing::info!(file = %file.display(), "the new supervisor runs the trial");
        match Guard::start(&file, self.context.layout.root(), order.id, self.patience, self.uptime()) {
            Ok(guard) => {
                self.guard = Some(guard);
                Ok(())
            }
            Err(error) => self.give_up(order, format!("the new supervisor could not be started: {error}")),
        }
    }

    /// Looks at the supervisor on trial; nothing else is done meanwhile.
    pub(super) fn tend_guard(&mut self, orders: &[UpdateOrderRow], now: Duration) -> Option<End> {
        let guard = self.guard.as_mut()?;
        // Orders that cannot be read just now are read at the next look.
        let order = orders.iter().find(|row| row.id == guard.order)?;
        let verdict = guard.look(&order.state, self.patience, now);
        if verdict == WardVerdict::StillRunning {
            self.pulse.status(&super::status(order));
            return None;
        }
        if let Some(guard) = self.guard.take() {
            guard.end(self.patience.stop_grace);
        }
        // Its modules, should it have left any.
        children::end_leftovers(self.context.layout.root(), &self.context.layout.updates_dir());
        let done = match verdict {
            WardVerdict::Passed => self.keep(order).map(Some),
            WardVerdict::Failed { reason } => self.give_up(order, reason).map(|()| None),
            // The next look takes it back.
            WardVerdict::TakeBack | WardVerdict::StillRunning => Ok(None),
        };
        done.unwrap_or_else(|error| {
            tracing::error!(reason = reason(&error), "a step failed");
            None
        })
    }

    pub(super) fn give_up(&mut self, order: &UpdateOrderRow, why: String) -> Result<(), UpdateError> {
        if let UpdateState::Checked { .. } = &order.state {
            // Nothing was swapped; only what the script did is to be undone.
            Aside::of(&self.context.layout, order.id).put_back()?;
        }
        self.advance(order, UpdateEvent::Failed { reason: why })
    }

    pub(super) fn commit(&mut self, order: &UpdateOrderRow) -> Result<Option<End>, UpdateError> {
        if let Start::OnTrial { .. } = self.start {
            return Ok(Some(End::Proven));
        }
        let restart = self.store.script_wishes(order.id, ScriptWish::Restart)?;
        self.advance(order, UpdateEvent::TrialPassed)?;
        self.trial = None;
        self.reload_settings();
        tidy(&self.context, &self.store);
        if restart && let Ok(by) = std::env::current_exe() {
            return Ok(Some(End::Replaced { by }));
        }
        Ok(None)
    }

    /// Keeps a release whose own supervisor has run its trial, and makes way for it.
    fn keep(&mut self, order: &UpdateOrderRow) -> Result<End, UpdateError> {
        self.advance(order, UpdateEvent::TrialPassed)?;
        self.trial = None;
        tidy(&self.context, &self.store);
        match self.releases.prove_supervisor()? {
            Proven::New | Proven::Replaced | Proven::Same | Proven::Rejected => {
                Ok(End::Replaced { by: self.releases.proven_supervisor() })
            }
            Proven::None => Ok(End::Stopped),
        }
    }

    /// The script of a release that was kept may have changed them.
    fn reload_settings(&mut self) {
        match Settings::load(&self.context.layout.settings_file()) {
            Ok(settings) => self.context.settings = Arc::new(settings),
            Err(error) => tracing::error!(reason = reason(&error), "the settings stay as they were"),
        }
    }

    pub(super) fn take_back(&mut self, order: &UpdateOrderRow) -> Result<(), UpdateError> {
        let UpdateState::RollingBack { swap, .. } = &order.state else { return Ok(()) };
        self.stop_residents();
        self.trial = None;
        update::swap_back(&self.context, order.id, swap)?;
        self.start_residents()?;
        self.advance(order, UpdateEvent::TakenBack)
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
}
