//! The power of an appliance goes in the middle of an update, and comes back.

use super::cuts::{Cut, Way, count_at_once};
use super::ground::{Ground, copy_tree};
use super::image::{Image, Kind, NEW_VERSION, NEXT_VERSION, order_on_site};
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
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Long enough for an update with its trial on a slow machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How often a supervisor that ends is started again, as the service manager does.
const RESTARTS_MAX: u32 = 10;

/// Changes of the log that are told of a cut that went wrong.
const CHANGES_TOLD: usize = 12;

/// Appliances whose power goes while a package of one kind is installed.
pub struct ApplianceCuts {
    ground: Ground,
    image: Image,
    serial: Mutex<u32>,
}

impl ApplianceCuts {
    /// Sets up the appliance, the package, and the order.
    ///
    /// # Errors
    /// When there is no C compiler, or the set-up fails.
    pub fn prepare(kind: Kind) -> anyhow::Result<Self> {
        let mut ground = Ground::prepare(1)?;
        let image = Image::make(&mut ground, kind, 1)?;
        Ok(Self { ground, image, serial: Mutex::new(0) })
    }

    /// Lets the update go through undisturbed, on as many appliances at once as will later be cut; how many durable
    /// changes it takes to its end at most. Signs of life are among them, so it is more where there is much else to do.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn count(&self, at_once: usize) -> anyhow::Result<u64> {
        count_at_once(at_once, || self.count_one())
    }

    fn count_one(&self) -> anyhow::Result<u64> {
        let mut run = self.lay("undisturbed")?;
        run.start(true)?;
        run.wait_for_rest().with_context(|| run.log_tail())?;
        let changes = run.circuit.changes()?;
        run.end();
        let Rest { end, reason, lost, doubled } = run.look_closely()?;
        ensure!(
            (&end, lost, doubled) == (&End::New, 0, 0),
            "undisturbed, it ended as {end:?}: {reason}\n{}",
            run.log_tail()
        );
        std::fs::remove_dir_all(&run.folder)?;
        Ok(changes)
    }

    /// Cuts the power once. What goes wrong is told in the outcome, with where its files are.
    #[must_use]
    pub fn cut(&self, cut: Cut) -> Outcome {
        let broken = |why: String| Outcome {
            end: End::Broken(why.clone()),
            found: End::Broken(why),
            reason: String::new(),
            lost: 0,
            doubled: 0,
            recovered: Duration::ZERO,
        };
        let mut run = match self.lay(&format!("{}-{}", cut.point, cut.way.word())) {
            Ok(run) => run,
            Err(error) => return broken(format!("no appliance: {error:#}")),
        };
        let outcome = run.play(cut, &self.image).unwrap_or_else(|error| broken(format!("{error:#}")));
        run.end();
        if outcome.is_good() {
            // Should it stay, there is only less room.
            let _ = std::fs::remove_dir_all(&run.folder);
            return outcome;
        }
        run.tell(cut, outcome)
    }

    /// Keeps all files after the end.
    pub fn keep(&mut self) {
        self.ground.keep();
    }

    /// A copy of the appliance, with a mailbox of its own.
    fn lay(&self, name: &str) -> anyhow::Result<Run> {
        let number = {
            let mut serial = self.serial.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *serial += 1;
            *serial
        };
        let folder = self.ground.folder.join(format!("{number:04}-{name}"));
        let root = folder.join("root");
        copy_tree(&self.image.root, &root, &["releases", SUPERVISOR])?;
        let address = format!("run{number:04}@site.example");
        self.ground.office.add_mailbox(&address, &self.ground.stage.mail.password);
        for mail in &self.image.mails {
            ensure!(self.ground.office.inject(&address, mail), "no mailbox {address}");
        }
        let settings = root.join("appliance.toml");
        let text = std::fs::read_to_string(&settings)?;
        ensure!(text.contains(&self.image.address), "the settings name no address");
        std::fs::write(&settings, text.replace(&self.image.address, &address))?;
        Ok(Run {
            circuit: Circuit::new(&self.ground.shim, &root, &folder)?,
            program: self.ground.stage.programs.path("monitor-appliance"),
            package: self.image.package,
            folder,
            root,
            supervisor: None,
            under_power: false,
            restarts: 0,
        })
    }
}

/// One appliance.
struct Run {
    circuit: Circuit,
    /// The command line's program.
    program: PathBuf,
    package: PackageId,
    folder: PathBuf,
    root: PathBuf,
    supervisor: Option<Child>,
    /// Whether its power goes.
    under_power: bool,
    restarts: u32,
}

/// Where an appliance came to rest.
struct Rest {
    end: End,
    /// Why it is not the new version.
    reason: String,
    /// Orders and reports.
    lost: u32,
    /// Orders and reports.
    doubled: u32,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

impl Run {
    fn play(&mut self, cut: Cut, image: &Image) -> anyhow::Result<Outcome> {
        self.circuit.cut_at(cut.point)?;
        self.start(true)?;
        self.wait_for_darkness()?;
        self.end();
        if cut.way == Way::Lost {
            self.circuit.take_back()?;
        }
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
    fn start(&mut self, under_power: bool) -> anyhow::Result<()> {
        let proven = Releases::below(&self.root).proven_supervisor();
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log.txt"))?;
        let mut command = Command::new(&proven);
        // Without the mark of what a supervisor starts: one on trial ends all others that have it.
        command.arg("--root").arg(&self.root).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if under_power {
            self.circuit.connect(&mut command);
        }
        let supervisor =
            spawn_group(&mut command).with_context(|| format!("cannot start {}", proven.display()))?;
        (self.supervisor, self.under_power) = (Some(supervisor), under_power);
        Ok(())
    }

    /// Ends everything at once.
    fn end(&mut self) {
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
        if self.circuit.is_dark()? && self.under_power {
            return Ok(());
        }
        self.restarts += 1;
        ensure!(self.restarts <= RESTARTS_MAX, "the supervisor ends again and again: {status}");
        self.start(self.under_power)
    }

    fn wait_for_darkness(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.circuit.is_dark()? {
            self.look_after_supervisor()?;
            ensure!(begun.elapsed() < PATIENCE, "it never made that many changes");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until the order is over and every module runs.
    fn wait_for_rest(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut store = None;
        let mut why = "it has no store";
        while begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
            self.look_after_supervisor()?;
            if store.is_none() {
                store = Store::open(&self.root.join("store.db")).ok();
            }
            let Some(store) = &store else { continue };
            // Locked for a moment is no matter.
            let Ok(orders) = store.update_orders_newest(10) else { continue };
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

    fn look_closely(&self) -> anyhow::Result<Rest> {
        let store = Store::open(&self.root.join("store.db"))?;
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
    fn update_again(&mut self, image: &Image, end: &End) -> anyhow::Result<()> {
        let [on_old, on_new] = &image.next;
        let package = if *end == End::New { on_new } else { on_old };
        let before = self.package;
        order_on_site(&self.program, &self.root, package)?;
        let file = self.root.join("store.db");
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
        let store = Store::open(&self.root.join("store.db"))?;
        let damage = store.check()?;
        ensure!(damage.is_empty(), "the store is damaged: {damage:?}");
        drop(store);
        let litter = litter(&Layout::new(&self.root))?;
        ensure!(litter.is_empty(), "half of something lies around: {litter:?}");
        Ok(())
    }

    /// The outcome with where to look, and the last of what was changed before the cut.
    fn tell(&self, cut: Cut, outcome: Outcome) -> Outcome {
        let changes = self.circuit.last_changes(CHANGES_TOLD).unwrap_or_default();
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

    fn log_tail(&self) -> String {
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
