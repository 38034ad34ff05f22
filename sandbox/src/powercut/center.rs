//! The power of a center goes in the middle of a rollout, and comes back.

use super::cuts::{Cut, Way, count_at_once};
use super::ground::{copy_tree, mail_site, open_office, room};
use super::{Circuit, End, Outcome, Shim};
use crate::fleet::{self, FetchMix, Fleet, FleetSettings};
use crate::post_office::PostOffice;
use crate::world::{Center, FIRST_VERSION, Fetch, MailSite, Pace, Programs, ReleaseFolder, entries};
use anyhow::{Context as _, bail, ensure};
use mailfmt::Introduction;
use mailfmt::message::report::UpdateOutcome;
use monitor_appliance::release::Releases;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Appliances that the rollout goes to.
const APPLIANCES: u32 = 2;

/// The version of the rollout, and that of the one after it.
const VERSIONS: [(&str, u64); 2] = [("1.0.02-0", 2), ("1.0.03-0", 3)];

/// Counts its own runs. No appliance loses its power here, so each version's must be one.
const SCRIPT: &str = "#!/bin/sh\nset -eu\necho \"$TO_VERSION\" >> \"$STATE_DIR/install-count\"\n";

/// Long enough for a rollout on a slow machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// No rollout is finished earlier; who looks earlier only takes time from it.
const QUICKEST: Duration = Duration::from_secs(4);

/// Changes of the log that are told of a cut that went wrong.
const CHANGES_TOLD: usize = 12;

/// Centers whose power goes during a rollout.
pub struct CenterCuts {
    room: TempDir,
    folder: PathBuf,
    shim: Shim,
    programs: Programs,
    home: PathBuf,
    introductions: Vec<Introduction>,
    release: PathBuf,
    packages: Vec<PathBuf>,
    /// The mail server that stands in the home's settings; each run has another.
    mail: MailSite,
    runtime: Runtime,
}

impl CenterCuts {
    /// Sets up a center with two appliances, and the packages.
    ///
    /// # Errors
    /// When there is no C compiler, or the set-up fails.
    pub fn prepare() -> anyhow::Result<Self> {
        let room = room()?;
        let folder = room.path().canonicalize()?;
        let runtime = fleet::runtime()?;
        let programs = Programs::find()?.pinned(&folder)?;
        let office = runtime.block_on(open_office())?;
        let mail = mail_site(&office, APPLIANCES);
        let center = Center::init(&programs, &folder, &mail, Fetch::Pop3)?;
        let introductions = fleet::introduce(&center, &mail, APPLIANCES, &folder)?;
        let settings = center.home().join("center.toml");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(&settings, format!("retry_pause_secs = 1\nretry_pause_max_secs = 2\n{text}"))?;
        let release = ReleaseFolder::without_programs(&folder, FIRST_VERSION, 1, 0)?;
        let script = folder.join("install.sh");
        std::fs::write(&script, SCRIPT)?;
        let mut packages = Vec::new();
        for (version, counter) in VERSIONS {
            let to = ReleaseFolder::without_programs(&folder, version, counter, u32::try_from(counter)?)?;
            let package = folder.join(format!("{version}.mfp"));
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let (script, output) = (text(&script), text(&package));
            let limits = ["--trial-secs", "1", "--settle-secs", "1"];
            let further = [&limits[..], &["--script", &script, "--output", &output]].concat();
            center.build_package(&to.path, None, &further)?;
            packages.push(package);
        }
        let home = center.home().to_owned();
        runtime.block_on(office.stop());
        let shim = Shim::compile(&folder)?;
        let release = release.path;
        Ok(Self { room, folder, shim, programs, home, introductions, release, packages, mail, runtime })
    }

    /// Lets a rollout go through undisturbed, at as many centers at once as will later be cut; how many durable changes
    /// it takes at the center to its end at most.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn count(&self, at_once: usize) -> anyhow::Result<u64> {
        let serial = AtomicU32::new(0);
        count_at_once(at_once, || self.count_one(serial.fetch_add(1, Ordering::Relaxed)))
    }

    fn count_one(&self, number: u32) -> anyhow::Result<u64> {
        let mut run = self.lay(&format!("undisturbed-{number}"))?;
        run.serve(true)?;
        ensure!(run.order(0, true)?, "the rollout cannot be started");
        run.wait_for_end(0).with_context(|| run.log_tail())?;
        let changes = run.circuit.changes()?;
        run.kill();
        let (lost, doubled) = run.effects(0)?;
        ensure!((lost, doubled) == (0, 0), "undisturbed, {lost} were lost and {doubled} doubled");
        run.clear(self)?;
        Ok(changes)
    }

    /// Cuts the power once. What goes wrong is told in the outcome, with where its files are.
    #[must_use]
    pub fn cut(&self, cut: Cut) -> Outcome {
        let mut run = match self.lay(&format!("{}-{}", cut.point, cut.way.word())) {
            Ok(run) => run,
            Err(error) => return Outcome::broken(format!("no center: {error:#}")),
        };
        let outcome = run.play(cut).unwrap_or_else(|error| Outcome::broken(format!("{error:#}")));
        if outcome.is_good() {
            // Should something stay, there is only less room.
            let _ = run.clear(self);
            return outcome;
        }
        run.kill();
        run.tell(cut, outcome)
    }

    /// Keeps all files after the end.
    pub fn keep(&mut self) {
        self.room.disable_cleanup(true);
    }

    /// A copy of the center, with two fresh appliances and a post office of its own.
    fn lay(&self, name: &str) -> anyhow::Result<Run> {
        let folder = self.folder.join(format!("center-{name}"));
        let home = folder.join("home");
        copy_tree(&self.home, &home, &[])?;
        let office = self.runtime.block_on(open_office())?;
        let mail = mail_site(&office, APPLIANCES);
        let settings = home.join("center.toml");
        let mut text = std::fs::read_to_string(&settings)?;
        for (old, new) in [(self.mail.smtp, mail.smtp), (self.mail.pop3, mail.pop3)] {
            let old = old.port.to_string();
            ensure!(text.contains(&old), "the settings name no port {old}");
            text = text.replace(&old, &new.port.to_string());
        }
        std::fs::write(&settings, text)?;
        let fleet = self.runtime.block_on(Fleet::start(FleetSettings {
            folder: folder.clone(),
            mail,
            introductions: self.introductions.clone(),
            release: self.release.clone(),
            pace: Pace { fault_poll: 60, counter_collect: 600, mail_poll: 1, answer_wait: 3, resend_max: 4 },
            fetch: FetchMix::Pop3,
            devices: Vec::new(),
            devices_each: 0,
        }))?;
        Ok(Run {
            circuit: Circuit::new(&self.shim, &home, &folder)?,
            program: self.programs.path("center-manager"),
            packages: self.packages.clone(),
            folder,
            home,
            daemon: None,
            fleet: Some(fleet),
            office: Some(office),
            under_power: false,
        })
    }
}

/// One center with its appliances.
struct Run {
    circuit: Circuit,
    program: PathBuf,
    packages: Vec<PathBuf>,
    folder: PathBuf,
    home: PathBuf,
    daemon: Option<Child>,
    fleet: Option<Fleet>,
    office: Option<PostOffice>,
    under_power: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Run {
    fn play(&mut self, cut: Cut) -> anyhow::Result<Outcome> {
        self.circuit.cut_at(cut.point)?;
        self.serve(true)?;
        let said_yes = self.order(0, true)?;
        self.wait_for_darkness()?;
        self.kill();
        if cut.way == Way::Lost {
            self.circuit.take_back()?;
        }
        let begun = Instant::now();
        let there = self.rollouts()? > 0;
        if !there && said_yes {
            bail!("the rollout is lost, although its operator was told that it had begun");
        }
        let found = if there { End::New } else { End::Old };
        self.serve(false)?;
        if there {
            self.wait_for_end(0)?;
        }
        let recovered = begun.elapsed();
        let (mut lost, mut doubled) = if there { self.effects(0)? } else { (0, 0) };
        // The next one works, be it the same that was not begun.
        let next = usize::from(there);
        ensure!(self.order(next, false)?, "the next rollout cannot be started");
        self.wait_for_end(next)?;
        let effects = self.effects(next)?;
        (lost, doubled) = (lost + effects.0, doubled + effects.1);
        ensure!(self.rollouts()? == next + 1, "there are {} rollouts", self.rollouts()?);
        self.kill();
        self.check_home()?;
        let reason = if there { String::new() } else { "the rollout had not begun".to_owned() };
        Ok(Outcome { end: found.clone(), found, reason, lost, doubled, recovered })
    }

    /// Starts the daemon.
    fn serve(&mut self, under_power: bool) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log.txt"))?;
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(["--log", "info", "serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if under_power {
            self.circuit.connect(&mut command);
        }
        self.daemon = Some(command.spawn().context("cannot start the center's daemon")?);
        self.under_power = under_power;
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Orders a rollout to all, as an operator does; tells whether the program said that it has begun.
    fn order(&self, which: usize, under_power: bool) -> anyhow::Result<bool> {
        let package = self.packages.get(which).context("there are two packages")?;
        let mut command =
            self.command(&["rollout", "start", "--all", "--yes", "--answer-timeout", "60", "--rounds", "0"]);
        command.arg("--package").arg(package);
        if under_power {
            self.circuit.connect(&mut command);
        }
        let output = command.output()?;
        let killed = output.status.code().is_none();
        ensure!(
            output.status.success() || killed,
            "the rollout was refused: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(!killed)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(["--log", "warn"]).args(arguments).stdin(Stdio::null());
        command
    }

    fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(arguments).args(["--format", "json"]).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?}: {complaint}"))
    }

    fn rollouts(&self) -> anyhow::Result<usize> {
        Ok(entries(&self.json(&["rollout", "list"])?).count())
    }

    /// Waits for the cut, or for the end of the rollout: this time it may take fewer changes.
    fn wait_for_darkness(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.circuit.is_dark()? {
            self.look_after_daemon()?;
            if begun.elapsed() > QUICKEST && self.report(0)?.1 {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "it never made that many changes");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn look_after_daemon(&mut self) -> anyhow::Result<()> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        match daemon.try_wait()? {
            Some(status) if !(self.under_power && self.circuit.is_dark()?) => {
                bail!("the daemon ended by itself: {status}")
            }
            _ => Ok(()),
        }
    }

    /// The report of a rollout, and whether that is finished.
    fn report(&self, which: usize) -> anyhow::Result<(Value, bool)> {
        let report = self.json(&["rollout", "report", &(which + 1).to_string()])?;
        let finished = report.get("finished").is_some_and(|finished| !finished.is_null());
        Ok((report, finished))
    }

    /// Waits until the rollout is finished, and all appliances are updated.
    fn wait_for_end(&mut self, which: usize) -> anyhow::Result<()> {
        let number = which + 1;
        let begun = Instant::now();
        loop {
            self.look_after_daemon()?;
            let (report, finished) = self.report(which)?;
            if finished {
                let updated = report.pointer("/counts/updated").and_then(Value::as_u64);
                ensure!(updated == Some(u64::from(APPLIANCES)), "rollout {number} ended with {report:#}");
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "rollout {number} does not end: {:#}", report["counts"]);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What of a rollout was lost at the appliances and the center, and what took effect twice.
    fn effects(&self, which: usize) -> anyhow::Result<(u32, u32)> {
        let (version, _) = VERSIONS.get(which).context("there are two versions")?;
        let fleet = self.fleet.as_ref().context("the fleet runs")?;
        let mut counts = Vec::new();
        for number in 1..=APPLIANCES {
            let context = fleet.context(number)?;
            let (_, release) = Releases::below(context.layout.root()).current()?;
            ensure!(release.software.as_str() == *version, "appliance {number} runs {}", release.software);
            let script = std::fs::read_to_string(context.layout.root().join("install-count"))?;
            counts.push(script.lines().filter(|line| line == version).count());
            let store = context.open_store()?;
            let orders = store.update_orders_newest(100)?;
            let orders = orders.iter().filter(|row| row.target.as_str() == *version);
            let installed = orders.filter(|row| row.state.outcome() == Some(UpdateOutcome::Installed));
            counts.push(installed.count());
        }
        let one = |count: usize| {
            (u32::from(count == 0), u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX))
        };
        let sum = |(lost, doubled), (more_lost, more_doubled)| (lost + more_lost, doubled + more_doubled);
        Ok(counts.into_iter().map(one).fold((0, 0), sum))
    }

    /// The database is sound, and nothing half-made lies around.
    fn check_home(&self) -> anyhow::Result<()> {
        let database = rusqlite::Connection::open(self.home.join("fleet.db"))?;
        let verdict: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        ensure!(verdict == "ok", "the fleet database is damaged: {verdict}");
        let litter = super::litter::half_made(&self.home)?;
        ensure!(litter.is_empty(), "half of something lies around: {litter:?}");
        Ok(())
    }

    /// Ends the appliances and the post office and removes everything.
    fn clear(mut self, cuts: &CenterCuts) -> anyhow::Result<()> {
        self.kill();
        if let Some(fleet) = self.fleet.take() {
            cuts.runtime.block_on(fleet.stop());
        }
        if let Some(office) = self.office.take() {
            cuts.runtime.block_on(office.stop());
        }
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }

    /// The outcome with where to look, and the last of what was changed before the cut.
    fn tell(&self, cut: Cut, outcome: Outcome) -> Outcome {
        let changes = self.circuit.last_changes(CHANGES_TOLD).unwrap_or_default();
        let changes: String = changes.iter().map(|change| format!("\n    {change:?}")).collect();
        let why = match &outcome.end {
            End::Broken(why) => why.as_str(),
            End::Old | End::New => "",
        };
        let why = format!(
            "cut of the center at change {} ({}): {why}; lost {}, doubled {}; its files are in {}; the last changes before it:{changes}\n{}",
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
