//! The power of an appliance goes in the middle of an update, and comes back.
//!
//! One update is recorded: it waits before every durable change until all that is on its disk was seen, which is what a cut
//! at this change leaves; what would be lost of it follows from what was synced. Then an appliance is laid out from each
//! of these images and must recover. Some cuts are made in earnest besides, on appliances of their own: they must leave what
//! was seen right before, and end as its image does.

use super::cuts::{Cut, Way};
use super::ground::{Ground, copy_tree};
use super::image::{Image, Kind};
use super::recording::{Recording, locked, record, see};
use super::run::{Rest, Run, STORE};
use super::tree::{Contents, Kept, Seen, Shared, Tree};
use super::{Circuit, End, Outcome};
use anyhow::{Context as _, ensure};
use monitor_appliance::Store;
use monitor_appliance::release::SUPERVISOR;
use monitor_appliance::store::UpdateOrderRow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Folders of an appliance's root, and files in it, into which nothing writes in place.
const SHARED: [&str; 2] = ["releases", SUPERVISOR];

/// Files of the store that programs which start believe.
const STORE_FILES: [&str; 2] = [STORE, "store.db-wal"];

/// Differences that are told of two disks that should be the same.
const DIFFERENCES_TOLD: usize = 8;

/// Appliances whose power goes while a package of one kind is installed.
pub struct ApplianceCuts {
    ground: Ground,
    image: Image,
    contents: Mutex<Contents>,
    kept: Kept,
    shared: Shared,
    serial: AtomicU32,
}

impl ApplianceCuts {
    /// Sets up the appliance, the package, and the order.
    ///
    /// # Errors
    /// When there is no C compiler, or the set-up fails.
    pub fn prepare(kind: Kind) -> anyhow::Result<Self> {
        let mut ground = Ground::prepare(1)?;
        let image = Image::make(&mut ground, kind, 1)?;
        let mut contents = Contents::new(&ground.folder.join("contents"))?;
        let shared = SHARED.map(|name| image.root.join(name));
        let shared = Shared::of(&contents.see(&[&image.root])?, &shared);
        let kept = contents.kept().clone();
        Ok(Self { ground, image, contents: Mutex::new(contents), kept, shared, serial: AtomicU32::new(0) })
    }

    /// Lets the update go through once, and sees what is on the disk before every durable change that it makes to its end.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn record(&self) -> anyhow::Result<Recording> {
        let (mut run, circuit) = self.lay("recorded")?;
        circuit.stop_from(1)?;
        let address = run.address.clone();
        let copy = run.folder.join("copy");
        std::fs::create_dir(&copy)?;
        let stops = record(
            &circuit,
            &self.contents,
            || self.ground.office.mails(&address),
            |stops| {
                run.start(true)?;
                // The store itself is left alone: who opens it may change it.
                let (root, mut looked) = (run.root.clone(), 0);
                let mut orders = || -> anyhow::Result<Vec<UpdateOrderRow>> {
                    looked = stops.count();
                    stops.copy_newest(&root, &STORE_FILES, &copy)?;
                    Ok(Store::open(&copy.join(STORE))?.update_orders_newest(10)?)
                };
                run.wait_for_rest_in(|| orders().ok())?;
                Ok(looked)
            },
        );
        run.end();
        let stops = stops.with_context(|| run.log_tail())?;
        let Rest { end, reason, lost, doubled } = run.look_closely()?;
        ensure!(
            (&end, lost, doubled) == (&End::New, 0, 0),
            "undisturbed, it ended as {end:?}: {reason}\n{}",
            run.log_tail()
        );
        if let Some(last) = stops.last() {
            let found = self.kept.that_cannot_move(&last.tree, &run.root)?;
            ensure!(
                found.is_empty(),
                "what was recorded cannot recover elsewhere: {found:?} say where it was"
            );
        }
        let recording = Recording::of(&circuit, &self.kept, address, stops)?;
        std::fs::remove_dir_all(&run.folder)?;
        Ok(recording)
    }

    /// Lays an appliance out from an image and lets it recover. What goes wrong is told in the outcome.
    #[must_use]
    pub fn recover(&self, recording: &Recording, image: usize, cut: Cut) -> Outcome {
        let seen = recording.image(image);
        let run = seen.and_then(|seen| {
            let name = format!("image-{}-{}", cut.point, cut.way.word());
            self.lay_image(&name, seen, (&recording.root, &recording.address))
        });
        match run {
            Ok(mut run) => self.finish(&mut run, cut, |run| run.recover(&self.image)),
            Err(error) => Outcome::broken(format!("no appliance: {error:#}")),
        }
    }

    /// Cuts the power in earnest, as close to `cut` as it comes. The disk must be as it was seen right before, and what
    /// recovers from that image must end in the same way. What goes wrong is told in the outcome.
    #[must_use]
    pub fn cut(&self, cut: Cut) -> Outcome {
        match self.lay(&format!("{}-{}", cut.point, cut.way.word())) {
            Ok((mut run, circuit)) => self.finish(&mut run, cut, |run| self.play(run, &circuit, cut)),
            Err(error) => Outcome::broken(format!("no appliance: {error:#}")),
        }
    }

    fn finish(
        &self,
        run: &mut Run,
        cut: Cut,
        play: impl FnOnce(&mut Run) -> anyhow::Result<Outcome>,
    ) -> Outcome {
        let outcome = play(run).unwrap_or_else(|error| Outcome::broken(format!("{error:#}")));
        run.end();
        if outcome.is_good() {
            // Should it stay, there is only less room.
            let _ = std::fs::remove_dir_all(&run.folder);
            return outcome;
        }
        run.tell(cut, outcome)
    }

    fn play(&self, run: &mut Run, circuit: &Circuit, cut: Cut) -> anyhow::Result<Outcome> {
        circuit.cut_at(cut.point)?;
        circuit.stop_from(cut.point)?;
        run.start(true)?;
        let change = run.wait_for_stop()?;
        let address = run.address.clone();
        let before = see(circuit, &self.contents, || self.ground.office.mails(&address))?;
        circuit.go_on(change)?;
        run.wait_for_darkness()?;
        run.end();
        self.compare(circuit, &before.tree, "the image of the cut")?;
        let mut image = before.clone();
        let [root, shadow] = circuit.folders();
        if cut.way == Way::Lost {
            image.tree = Arc::new(before.tree.taken_back(&self.kept, shadow)?);
            circuit.take_back()?;
            self.compare(circuit, &image.tree, "the image of what is left")?;
        }
        let name = format!("{}-{}-image", cut.point, cut.way.word());
        let mut twin = self.lay_image(&name, &image, (root, &address))?;
        let outcome = run.recover(&self.image)?;
        run.end();
        let other = self.finish(&mut twin, cut, |twin| twin.recover(&self.image));
        ensure!(
            (&outcome.found, &outcome.end) == (&other.found, &other.end),
            "it was {:?} and ended {:?}, but its image was {:?} and ended {:?}",
            outcome.found,
            outcome.end,
            other.found,
            other.end
        );
        Ok(outcome)
    }

    fn compare(&self, circuit: &Circuit, image: &Tree, what: &str) -> anyhow::Result<()> {
        let disk = locked(&self.contents).see(&circuit.folders())?;
        let [root, _] = circuit.folders();
        let differences = image.differences(&disk, root);
        let told: Vec<_> = differences.iter().take(DIFFERENCES_TOLD).collect();
        ensure!(differences.is_empty(), "{what} is not what is on the disk: {told:#?}");
        Ok(())
    }

    /// Keeps all files after the end.
    pub fn keep(&mut self) {
        self.ground.keep();
    }

    /// An appliance that does not run, with an empty folder and a mailbox of its own.
    fn open(&self, name: &str, mails: &[Arc<[u8]>]) -> anyhow::Result<Run> {
        let number = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = self.ground.folder.join(format!("{number:05}-{name}"));
        std::fs::create_dir(&folder)?;
        let address = format!("run{number:05}@site.example");
        self.ground.office.add_mailbox(&address, &self.ground.stage.mail.password);
        for mail in mails {
            ensure!(self.ground.office.inject(&address, mail), "no mailbox {address}");
        }
        let program = self.ground.stage.programs.path("monitor-appliance");
        Ok(Run::new(folder, address, program, self.image.package))
    }

    /// A copy of the appliance before the update, on a circuit.
    fn lay(&self, name: &str) -> anyhow::Result<(Run, Arc<Circuit>)> {
        let mut run = self.open(name, &self.image.mails)?;
        copy_tree(&self.image.root, &run.root, &SHARED)?;
        set_address(&run.root, &self.image.address, &run.address)?;
        let circuit = Arc::new(Circuit::new(&self.ground.shim, &run.root, &run.folder)?);
        run.circuit = Some(Arc::clone(&circuit));
        Ok((run, circuit))
    }

    /// A copy of what was seen of another appliance, which had its root and its address.
    fn lay_image(&self, name: &str, seen: &Seen, (root, address): (&Path, &str)) -> anyhow::Result<Run> {
        let run = self.open(name, &seen.mails)?;
        self.kept.lay(&seen.tree, root, &run.root, &self.shared)?;
        set_address(&run.root, address, &run.address)?;
        Ok(run)
    }
}

fn set_address(root: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    let settings = root.join("appliance.toml");
    let text = std::fs::read_to_string(&settings)?;
    ensure!(text.contains(old), "the settings name no address");
    Ok(std::fs::write(&settings, text.replace(old, new))?)
}

impl Outcome {
    /// Nothing came of it; why, for a person.
    pub(super) fn broken(why: String) -> Self {
        Self {
            end: End::Broken(why.clone()),
            found: End::Broken(why),
            reason: String::new(),
            lost: 0,
            doubled: 0,
            recovered: Duration::ZERO,
        }
    }
}
