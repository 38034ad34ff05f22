//! One appliance whose power comes back: it is started, watched until it rests, and looked at closely.

use super::cuts::Cut;
use super::image::{Image, NEW_VERSION, NEXT_VERSION, order_on_site};
use super::litter::litter;
use super::{Circuit, End, Outcome};
use crate::world::FIRST_VERSION;
use anyhow::{Context as _, bail, ensure};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::PackageId;
use mailfmt::{Message, Report};
use monitor_appliance::release::{Release, Releases, SUPERVISOR, hash_file, residents};
use monitor_appliance::store::UpdateOrderRow;
use monitor_appliance::supervisor::processes::{
    PACKAGE_MARK, ROOT_MARK, kill_marked, running_file, spawn_group,
};
use monitor_appliance::{Layout, Store};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The appliance's root in a run's folder.
const ROOT: &str = "root";

/// Its store in the root.
pub(super) const STORE: &str = "store.db";

/// Long enough for an update with its trial on a slow machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How often a supervisor that ends is started again, as the service manager does.
const RESTARTS_MAX: u32 = 10;

/// Changes of the log that are told of a cut that went wrong.
const CHANGES_TOLD: usize = 12;

/// One appliance.
pub(super) struct Run {
    /// What it is on while its power goes.
    pub(super) circuit: Option<Arc<Circuit>>,
    /// The command line's program.
    pub(super) program: PathBuf,
    pub(super) package: PackageId,
    pub(super) folder: PathBuf,
    pub(super) root: PathBuf,
    /// Where its mail comes to.
    pub(super) address: String,
    supervisor: Option<Child>,
    /// Whether its power goes.
    under_power: bool,
    restarts: u32,
}

/// Where an appliance came to rest.
pub(super) struct Rest {
    pub(super) end: End,
    /// Why it is not the new version.
    pub(super) reason: String,
    /// Orders and reports.
    pub(super) lost: u32,
    /// Orders and reports.
    pub(super) doubled: u32,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

impl Run {
    /// One that does not run yet, with its root in `folder`.
    pub(super) fn new(folder: PathBuf, address: String, program: PathBuf, package: PackageId) -> Self {
        let root = folder.join(ROOT);
        Self {
            circuit: None,
            program,
            package,
            folder,
            root,
            address,
            supervisor: None,
            under_power: false,
            restarts: 0,
        }
    }

    /// The power comes back: it must come to rest, whole, and the update after it must work.
    pub(super) fn recover(&mut self, image: &Image) -> anyhow::Result<Outcome> {
        let found = self.what_runs();
        let begun = Instant::now();
        self.start(false)?;
        self.wait_for_rest()?;
        let recovered = begun.elapsed();
        let Rest { mut end, reason, lost, doubled } = self.look_closely()?;
        if let (End::Old | End::New, Err(error)) = (&end, self.update_again(image, &end)) {
            end = End::Broken(format!("the update after it: {error:#}"));
        }
        Ok(Outcome { end, found, reason, lost, doubled, recovered })
    }

    /// Starts the supervisor as the service manager does: the proven one.
    pub(super) fn start(&mut self, under_power: bool) -> anyhow::Result<()> {
        let proven = Releases::below(&self.root).proven_supervisor();
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log.txt"))?;
        let mut command = Command::new(&proven);
        // Without the mark of what a supervisor starts: one on trial ends all others that have it.
        command.arg("--root").arg(&self.root).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if under_power && let Some(circuit) = &self.circuit {
            circuit.connect(&mut command);
        }
        let supervisor =
            spawn_group(&mut command).with_context(|| format!("cannot start {}", proven.display()))?;
        (self.supervisor, self.under_power) = (Some(supervisor), under_power);
        Ok(())
    }

    /// Ends everything at once.
    pub(super) fn end(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
        kill_marked(ROOT_MARK, &self.root, PATIENCE);
        for folder in std::fs::read_dir(self.root.join("updates")).into_iter().flatten().flatten() {
            kill_marked(PACKAGE_MARK, &folder.path(), PATIENCE);
        }
    }

    /// A supervisor that ended is started again, a few times.
    fn look_after_supervisor(&mut self) -> anyhow::Result<()> {
        let Some(supervisor) = &mut self.supervisor else { return Ok(()) };
        let Some(status) = supervisor.try_wait()? else { return Ok(()) };
        if self.under_power && self.is_dark()? {
            return Ok(());
        }
        self.restarts += 1;
        ensure!(self.restarts <= RESTARTS_MAX, "the supervisor ends again and again: {status}");
        self.start(self.under_power)
    }

    fn is_dark(&self) -> anyhow::Result<bool> {
        Ok(self.circuit.as_ref().map_or(Ok(false), |circuit| circuit.is_dark())?)
    }

    /// Waits until it stops at a change.
    pub(super) fn wait_for_stop(&mut self) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            if let Some(change) = self.circuit.as_ref().context("it is on no circuit")?.stopped()? {
                return Ok(change);
            }
            self.look_after_supervisor()?;
            ensure!(begun.elapsed() < PATIENCE, "it never made that many changes");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until its power is gone.
    pub(super) fn wait_for_darkness(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.is_dark()? {
            self.look_after_supervisor()?;
            ensure!(begun.elapsed() < PATIENCE, "its power did not go");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until the order is over and every module runs.
    fn wait_for_rest(&mut self) -> anyhow::Result<()> {
        let file = self.root.join(STORE);
        let mut store = None;
        self.wait_for_rest_in(|| {
            if store.is_none() {
                store = Store::open(&file).ok();
            }
            // Locked for a moment is no matter.
            store.as_ref().and_then(|store| store.update_orders_newest(10).ok())
        })
    }

    /// As [`wait_for_rest`](Self::wait_for_rest), with the newest orders from elsewhere.
    pub(super) fn wait_for_rest_in(
        &mut self,
        mut orders: impl FnMut() -> Option<Vec<UpdateOrderRow>>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut why = "it has no store";
        while begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
            self.look_after_supervisor()?;
            let Some(orders) = orders() else { continue };
            let package = self.package;
            why = match orders.iter().find(|row| row.package == package) {
                None => "the order is lost",
                Some(row) if row.state.outcome().is_none() => "the order is not over",
                Some(_) if !orders.iter().all(|row| row.state.outcome().is_some()) => {
                    "another order is not over"
                }
                Some(_) if !self.modules_run()? => "not every module runs",
                Some(_) => return Ok(()),
            };
        }
        bail!("after {} s {why}", PATIENCE.as_secs())
    }

    fn modules_run(&self) -> anyhow::Result<bool> {
        let (folder, release) = Releases::below(&self.root).current()?;
        let runs = |name: &str| !running_file(&folder.join(name)).is_empty();
        // The supervisor runs from the proven copy, which is replaced last.
        let proven = Releases::below(&self.root).proven_supervisor();
        let supervisor = running_file(&proven);
        let same = hash_file(&proven)? == supervisor_of(&release)?;
        Ok(same && !supervisor.is_empty() && residents(&release).all(|module| runs(module.name.as_str())))
    }

    /// What `current` leads to, and whether all of it is whole.
    fn what_runs(&self) -> End {
        let whole = || -> anyhow::Result<End> {
            let releases = Releases::below(&self.root);
            let name = releases.current_name()?;
            releases.check(&name)?;
            let (folder, release) = releases.current()?;
            for module in residents(&release) {
                let about = std::fs::metadata(folder.join(module.name.as_str()))?;
                let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
                ensure!(mode & 0o100 != 0, "{} cannot be run", module.name);
            }
            let proven = hash_file(&releases.proven_supervisor())?;
            let known = ["current", "releases"].iter().any(|place| self.has_supervisor(place, proven));
            ensure!(known, "the proven supervisor is that of no release");
            Ok(match release.software.as_str() {
                FIRST_VERSION => End::Old,
                NEW_VERSION => End::New,
                NEXT_VERSION => bail!("it runs the update after it already"),
                other => bail!("it runs {other}"),
            })
        };
        whole().unwrap_or_else(|error| End::Broken(format!("{error:#}")))
    }

    /// Whether a release, or one of the releases in a folder, has this supervisor.
    fn has_supervisor(&self, place: &str, wanted: (mailfmt::Digest, u64)) -> bool {
        let place = self.root.join(place);
        let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
        std::iter::once(place.clone())
            .chain(entries.map(|entry| entry.path()))
            .any(|folder| hash_file(&folder.join(SUPERVISOR)).is_ok_and(|found| found == wanted))
    }

    pub(super) fn look_closely(&self) -> anyhow::Result<Rest> {
        let store = Store::open(&self.root.join(STORE))?;
        let orders = store.update_orders_newest(10)?;
        let orders: Vec<_> = orders.iter().filter(|row| row.package == self.package).collect();
        let results = ends_reported(&store, self.package)?;
        let one = |count: usize| -> anyhow::Result<(u32, u32)> {
            Ok((u32::from(count == 0), u32::try_from(count.saturating_sub(1))?))
        };
        let (orders_count, results_count) = (one(orders.len())?, one(results.len())?);
        let (lost, doubled) = (orders_count.0 + results_count.0, orders_count.1 + results_count.1);
        let outcome = orders.first().and_then(|row| row.state.outcome());
        let reason = match &outcome {
            Some(UpdateOutcome::Undone { reason } | UpdateOutcome::Refused { reason }) => reason.clone(),
            _ => String::new(),
        };
        let end = match (self.what_runs(), outcome) {
            (End::New, Some(UpdateOutcome::Installed)) => End::New,
            (End::Old, Some(UpdateOutcome::Undone { .. } | UpdateOutcome::Refused { .. })) => End::Old,
            (End::Broken(why), _) => End::Broken(why),
            (end, outcome) => End::Broken(format!("it runs {end:?}, and its order says {outcome:?}")),
        };
        Ok(Rest { end, reason, lost, doubled })
    }

    /// The update after it, then a cleaning, then a look at the store and at what lies around.
    pub(super) fn update_again(&mut self, image: &Image, end: &End) -> anyhow::Result<()> {
        let [on_old, on_new] = &image.next;
        let package = if *end == End::New { on_new } else { on_old };
        let before = self.package;
        order_on_site(&self.program, &self.root, package)?;
        let file = self.root.join(STORE);
        let ordered = || -> anyhow::Result<UpdateOrderRow> {
            let store = Store::open(&file)?;
            store.update_orders_newest(1)?.into_iter().next().context("no order")
        };
        self.package = ordered()?.package;
        self.wait_for_rest()?;
        let row = ordered()?;
        ensure!(row.package != before, "the order is not there");
        ensure!(row.state.outcome() == Some(UpdateOutcome::Installed), "it ended as {:?}", row.state);
        let releases = Releases::below(&self.root);
        releases.check(&releases.current_name()?)?;
        ensure!(releases.current()?.1.software.as_str() == NEXT_VERSION, "another version runs");
        self.end();
        let store = Store::open(&self.root.join(STORE))?;
        let damage = store.check()?;
        ensure!(damage.is_empty(), "the store is damaged: {damage:?}");
        drop(store);
        let litter = litter(&Layout::new(&self.root))?;
        ensure!(litter.is_empty(), "half of something lies around: {litter:?}");
        Ok(())
    }

    /// The outcome with where to look, and the last of what was changed before the cut.
    pub(super) fn tell(&self, cut: Cut, outcome: Outcome) -> Outcome {
        let changes = self.circuit.as_ref().map(|circuit| circuit.last_changes(CHANGES_TOLD));
        let changes = changes.and_then(Result::ok).unwrap_or_default();
        let changes: String = changes.iter().map(|change| format!("\n    {change:?}")).collect();
        let wrong = |end: &End| match end {
            End::Broken(why) => Some(why.clone()),
            End::Old | End::New => None,
        };
        let why = wrong(&outcome.end).or_else(|| wrong(&outcome.found)).unwrap_or_default();
        let why = format!(
            "cut at change {} ({}): {why}; lost {}, doubled {}; its files are in {}; the last changes before it:{changes}\n{}",
            cut.point,
            cut.way.word(),
            outcome.lost,
            outcome.doubled,
            self.folder.display(),
            self.log_tail(),
        );
        Outcome { end: End::Broken(why), ..outcome }
    }

    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log.txt")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(30)).map(|line| format!("    {line}\n")).collect()
    }
}

fn supervisor_of(release: &Release) -> anyhow::Result<(mailfmt::Digest, u64)> {
    let module = release.modules.iter().find(|module| module.name.as_str() == SUPERVISOR);
    module.map(|module| (module.sha256, module.octets)).context("the release has no supervisor")
}

/// What was reported of the end of an update, whether it was sent yet or not.
fn ends_reported(store: &Store, package: PackageId) -> anyhow::Result<Vec<UpdateOutcome>> {
    let mut ends = Vec::new();
    for row in store.outbox_newest(1000)? {
        if let Message::Report(Report::UpdateResult(result)) = store.outbox_message(row.id)?
            && result.package == package
            && !matches!(result.outcome, UpdateOutcome::Waiting { .. })
        {
            ends.push(result.outcome);
        }
    }
    Ok(ends)
}
