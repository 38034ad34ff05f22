//! One appliance: its real store, filing, update states, swap, version report and resending. The play takes the place of
//! sockets, of the install script and of the processes that are watched in a trial.
//!
//! Ten thousand stores cannot be open at once: each is opened for its turn and closed after it, as by a process that ends.

use super::nature::{Installer, Nature, OLDER};
use crate::chaos::book::Book;
use crate::chaos::dice::Dice;
use crate::chaos::orders::MODULE;
use crate::chaos::post::PostOffice;
use crate::chaos::site::{Crashed, Site};
use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use mailfmt::package::{Manifest, ModuleKind};
use mailfmt::release::{RELEASE_FILE, Release, ReleaseModule};
use mailfmt::{Digest, MessageId, ModuleVersion, SoftwareVersion};
use monitor_appliance::release::Releases;
use monitor_appliance::store::UpdateOrderRow;
use monitor_appliance::update::{
    Expected, Proving, Swap, UpdateEvent, UpdateState, advance, next_order, swap_back, swap_in,
};
use monitor_appliance::{Context, version_report};
use std::collections::BTreeMap;
use std::path::Path;

/// Between two looks for mail, as in the program. A look into an empty mailbox changes nothing: the play leaves it out.
const LOOK_EVERY_MS: i64 = 180_000;

/// Steps of one turn: a bound for a loop that ends long before.
const STEPS_MAX: u32 = 20;

/// One appliance.
pub(super) struct Appliance {
    place: usize,
    site: Site,
    nature: Nature,
    target: Release,
    trial: SignedDuration,
    /// What runs, as the play has swapped it: nobody was asked.
    runs: SoftwareVersion,
    /// Since when that is the target.
    updated: Option<Timestamp>,
    /// Until when a script or a trial goes on.
    works_until: Option<Timestamp>,
    /// How often the target was swapped in, by order.
    swaps: BTreeMap<MessageId, u32>,
    /// Times that the target was swapped in over itself.
    over_itself: u32,
    dice: Dice,
}

impl Appliance {
    /// Puts the appliance's disk in order: a store as a fresh one, and the release that it wears.
    pub(super) fn set_up(
        place: usize,
        site: Site,
        nature: Nature,
        manifest: &Manifest,
        fresh_store: &Path,
        dice: Dice,
    ) -> anyhow::Result<Self> {
        let target = Release::of_manifest(manifest, &ModuleVersion::new("1.5.08")?);
        let worn = match nature.wears.and_then(|nth| OLDER.get(nth)) {
            Some(version) => older(&target, version)?,
            None => (target.clone(), MODULE.to_vec()),
        };
        let releases = Releases::below(site.root());
        write_release(&releases, &worn.0, &worn.1)?;
        releases.swap_to(worn.0.software.as_str())?;
        std::fs::copy(fresh_store, site.root().join("store.db"))
            .context("the fresh store cannot be copied")?;
        Ok(Self {
            place,
            site,
            nature,
            trial: SignedDuration::from_secs(manifest.rules.trial_secs.into()),
            updated: nature.wears.is_none().then_some(Timestamp::MIN),
            runs: worn.0.software,
            target,
            works_until: None,
            swaps: BTreeMap::new(),
            over_itself: 0,
            dice,
        })
    }

    /// What it is like.
    pub(super) fn nature(&self) -> &Nature {
        &self.nature
    }

    /// Since when it runs the target; `None` while it runs anything else.
    pub(super) fn updated(&self) -> Option<Timestamp> {
        self.updated
    }

    /// Installations beyond one for each order, and such over what ran already.
    pub(super) fn double_effects(&self) -> u32 {
        let surplus = self.swaps.values().map(|times| times.saturating_sub(1));
        surplus.sum::<u32>().saturating_add(self.over_itself)
    }

    /// When it looks for a mail that arrives then.
    pub(super) fn looks_at(&self, arrives: Timestamp) -> Timestamp {
        let shift = i64::try_from(self.place).unwrap_or(0).wrapping_mul(7_919) % LOOK_EVERY_MS;
        let since = (arrives.as_millisecond() - shift).rem_euclid(LOOK_EVERY_MS);
        arrives + SignedDuration::from_millis(LOOK_EVERY_MS - since)
    }

    /// One turn; gives when the next one is, unless a mail comes before. `None` when only a mail can make one.
    pub(super) fn turn(
        &mut self,
        now: Timestamp,
        post: &mut PostOffice,
        book: &mut Book,
    ) -> anyhow::Result<Option<Timestamp>> {
        match self.nature.is_on_at(now) {
            None => return Ok(None),
            Some(on) if on > now => return Ok(Some(on)),
            Some(_) => {}
        }
        if post.has_mail(self.place, now) {
            steady(self.site.look(post, book)?)?;
        }
        self.work(now)?;
        steady(self.site.send_due(post, book)?)?;
        let waiting = self.site.live()?.store.outbox_next(0)?;
        self.site.close();
        let send = waiting.iter().map(|row| row.due.min(row.expires)).min();
        let look = post.next_mail(self.place, now).map(|at| self.looks_at(at.max(now)));
        let next = [send, look, self.works_until].into_iter().flatten().min();
        Ok(next.map(|at| at.max(now + SignedDuration::from_secs(2))))
    }

    /// What installer, supervisor and reporter do.
    fn work(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let context = self.site.live()?.context.clone();
        for _ in 0..STEPS_MAX {
            if self.works_until.is_some_and(|until| until > now) {
                break;
            }
            self.works_until = None;
            let orders = self.site.live()?.store.update_orders_open()?;
            let Some(row) = next_order(&orders, now).cloned() else { break };
            self.step(&context, &row, now)?;
        }
        let live = self.site.live()?;
        let on_trial = |row: &UpdateOrderRow| matches!(row.state, UpdateState::OnTrial { .. });
        // The verdict on an update must not come from a release that may still be taken back.
        if !live.store.version_requests()?.is_empty()
            && !live.store.update_orders_open()?.iter().any(on_trial)
        {
            version_report::write(&context)?;
        }
        Ok(())
    }

    fn step(&mut self, context: &Context, row: &UpdateOrderRow, now: Timestamp) -> anyhow::Result<()> {
        let releases = Releases::below(self.site.root());
        let minutes = SignedDuration::from_mins;
        let failed = |reason: &str| UpdateEvent::Failed { reason: reason.to_owned() };
        let event = match &row.state {
            UpdateState::Received if releases.runs_already(&self.target) => UpdateEvent::AlreadyRuns,
            UpdateState::Received if self.nature.installer == Installer::Refuses => {
                failed("the package is not for this hardware")
            }
            UpdateState::Received => UpdateEvent::Accepted,
            UpdateState::Verified { .. } => {
                write_release(&releases, &self.target, MODULE)?;
                self.works_until = Some(now + self.dice.time(minutes(1), minutes(10)));
                UpdateEvent::Built { swap: self.swap(&releases)? }
            }
            UpdateState::Staged { .. } if self.nature.installer == Installer::Fails => {
                failed("the script ended with 1")
            }
            UpdateState::Staged { .. } => UpdateEvent::ScriptSucceeded,
            UpdateState::ScriptRun { .. } => UpdateEvent::CheckPassed,
            UpdateState::Checked { .. } => {
                // Mail was fetched and handed in under the release before.
                let expected =
                    Expected { fetch: Proving::Soon, send: Proving::Soon, device: Proving::Nothing };
                UpdateEvent::SwapBegins { expected }
            }
            UpdateState::Swapped { swap, .. } => {
                swap_in(context, swap)?;
                self.over_itself += u32::from(self.updated.is_some());
                *self.swaps.entry(row.command).or_default() += 1;
                (self.runs, self.updated) = (self.target.software.clone(), Some(now));
                self.works_until = Some(now + self.trial);
                UpdateEvent::TrialBegins { now }
            }
            UpdateState::OnTrial { .. } if self.nature.installer == Installer::TakesBack => {
                failed("module refresh ended three times in its trial")
            }
            UpdateState::OnTrial { .. } => UpdateEvent::TrialPassed,
            UpdateState::RollingBack { swap, .. } => {
                swap_back(context, row.id, swap)?;
                (self.runs, self.updated) = (swap.previous.parse()?, None);
                UpdateEvent::TakenBack
            }
            state => bail!("an order is {}, which this installation never is", state.name()),
        };
        advance(context, &mut self.site.live()?.store, row, event, None)?;
        Ok(())
    }

    fn swap(&self, releases: &Releases) -> anyhow::Result<Swap> {
        Ok(Swap {
            release: self.target.software.to_string(),
            previous: releases.current_name()?,
            release_counter: self.target.release_counter,
            trial_secs: u32::try_from(self.trial.as_secs())?,
            drop_shared_data: false,
            reboot_after: false,
            report_by_itself: true,
            wait_limits: None,
        })
    }
}

/// Nothing crashes here.
fn steady<T>(done: Result<T, Crashed>) -> anyhow::Result<T> {
    done.map_err(|_: Crashed| anyhow::anyhow!("an appliance ended in the middle of its work"))
}

/// An older release with the file of its one module.
fn older(target: &Release, version: &str) -> anyhow::Result<(Release, Vec<u8>)> {
    let file = format!("#!/bin/sh\n# of {version}\n").into_bytes();
    let module = target.modules.first().context("the package has one module")?;
    let module = ReleaseModule {
        kind: ModuleKind::Script,
        sha256: Digest::of(&file),
        octets: u64::try_from(file.len())?,
        ..module.clone()
    };
    Ok((
        Release { software: version.parse()?, release_counter: 1, modules: vec![module], ..target.clone() },
        file,
    ))
}

fn write_release(releases: &Releases, release: &Release, file: &[u8]) -> anyhow::Result<()> {
    let folder = releases.folder(release.software.as_str());
    std::fs::create_dir_all(&folder)?;
    for module in &release.modules {
        std::fs::write(folder.join(module.name.as_str()), file)?;
    }
    Ok(std::fs::write(folder.join(RELEASE_FILE), release.write())?)
}
