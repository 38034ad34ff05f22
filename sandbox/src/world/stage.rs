//! A stage: one center, its mail, and some sites with printers, all in one temporary folder, ready to be started.

use super::{Center, Fetch, MailSite, Pace, Programs, ReleaseFolder, Site, SiteSettings, eventually};
use crate::post_office::PostOffice;
use crate::printers::{Office, Printer, PrinterSettings, Recording};
use anyhow::Context as _;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Long enough for anything on a slow machine; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The first release, which every appliance runs in the beginning unless something else is said.
pub const FIRST_VERSION: &str = "1.0.00-1";

/// One site of the cast.
#[derive(Debug, Clone)]
pub struct Part {
    /// The customer, as the operator's remarks.
    pub customer: String,
    /// How many printers.
    pub printers: u32,
    /// By which protocol its appliance fetches mail.
    pub fetch: Fetch,
    /// Its timers.
    pub pace: Pace,
    /// Version and build of the release that it runs in the beginning.
    pub release: (&'static str, u32),
}

impl Part {
    /// A site with one printer; every second one fetches by IMAP.
    #[must_use]
    pub fn plain(number: u32) -> Self {
        Self {
            customer: format!("customer {number}"),
            printers: 1,
            fetch: if number.is_multiple_of(2) { Fetch::Imap } else { Fetch::Pop3 },
            pace: Pace::default(),
            release: (FIRST_VERSION, 0),
        }
    }
}

/// Everything that takes part. Printers and post office run; center and appliances do not yet.
pub struct Stage {
    /// The center.
    pub center: Center,
    /// The sites, number 1 first.
    pub sites: Vec<Site>,
    /// The printers, named by [`printer_name`].
    pub office: Office,
    /// The sandbox's own post office; `None` over a given server.
    pub post_office: Option<PostOffice>,
    /// Where the mail goes.
    pub mail: MailSite,
    /// The first release.
    pub first_release: ReleaseFolder,
    /// The programs.
    pub programs: Programs,
    runtime: Runtime,
    folder: TempDir,
}

/// The name of a printer: site and device counted from 1.
#[must_use]
pub fn printer_name(site: u32, device: u32) -> String {
    format!("site{site:02}-printer{device}")
}

impl Stage {
    /// Sets the stage, over the given mail server or a post office of its own.
    ///
    /// # Errors
    /// When a program is missing or one of the set-up commands fails.
    pub fn set(cast: &[Part], given: Option<MailSite>) -> anyhow::Result<Self> {
        let mut stage = Self::bare(u32::try_from(cast.len())?, given)?;
        stage.add_sites(cast)?;
        Ok(stage)
    }

    /// A stage with a center and mailboxes for so many sites, but no site yet.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub fn bare(sites: u32, given: Option<MailSite>) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start the async runtime")?;
        let folder = tempfile::Builder::new()
            .prefix("mail-fleet.")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let programs = Programs::find()?.pinned(folder.path())?;
        let (post_office, mail) = match given {
            Some(given) => (None, given),
            None => {
                let (office, site) = runtime.block_on(MailSite::own(folder.path(), sites))?;
                (Some(office), site)
            }
        };
        let center = Center::init(&programs, folder.path(), &mail, Fetch::Imap)?;
        let first_release = ReleaseFolder::make(&programs, folder.path(), FIRST_VERSION, 1, 0)?;
        let office = Office::new();
        Ok(Self {
            center,
            sites: Vec::new(),
            office,
            post_office,
            mail,
            first_release,
            programs,
            runtime,
            folder,
        })
    }

    /// Introduces sites by files, with their printers, and sets them up; the first one is number 1.
    ///
    /// # Errors
    /// When one of the set-up commands fails.
    pub fn add_sites(&mut self, cast: &[Part]) -> anyhow::Result<()> {
        let introductions = self.introduce(cast)?;
        let mut boxes = Vec::new();
        for (number, part) in (1..).zip(cast) {
            let devices = self.add_printers(number, part.printers)?;
            let release = self.release(part.release.0, 1, part.release.1)?;
            let introduction = introductions.join(format!("AGENT{number:07}.toml"));
            let settings = SiteSettings { number, introduction, fetch: part.fetch, devices, pace: part.pace };
            boxes.push((release, settings));
        }
        self.sites = self.set_up(&boxes)?;
        Ok(())
    }

    /// Sets up several boxes at a time: most of it is copying programs.
    fn set_up(&self, boxes: &[(ReleaseFolder, SiteSettings)]) -> anyhow::Result<Vec<Site>> {
        let (programs, folder, mail) = (&self.programs, self.folder.path(), &self.mail);
        let at_a_time = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        let share = boxes.len().div_ceil(at_a_time).max(1);
        let set_up = |share: &[(ReleaseFolder, SiteSettings)]| -> anyhow::Result<Vec<Site>> {
            share
                .iter()
                .map(|(release, settings)| Site::setup(programs, folder, mail, release, settings))
                .collect()
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                boxes.chunks(share).map(|share| scope.spawn(move || set_up(share))).collect();
            let mut sites = Vec::new();
            for worker in workers {
                let done = worker.join().map_err(|_| anyhow::anyhow!("a set-up panicked"))?;
                sites.extend(done?);
            }
            Ok(sites)
        })
    }

    fn introduce(&self, cast: &[Part]) -> anyhow::Result<PathBuf> {
        let line =
            |(number, part): (u32, &Part)| format!("{},{}\n", self.mail.agent_address(number), part.customer);
        let lines: String = (1..).zip(cast).map(line).collect();
        let list = self.folder.path().join("appliances.csv");
        std::fs::write(&list, format!("address,customer\n{lines}"))?;
        let introductions = self.folder.path().join("introductions");
        // The slash makes it a folder also for a single appliance.
        let (list, out) = (list.to_string_lossy(), format!("{}/", introductions.display()));
        self.center.run(&["appliance", "add", "--from-csv", &list, "--output", &out])?;
        Ok(introductions)
    }

    /// Puts so many printers on a site's network; gives their `HOST:PORT`.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn add_printers(&self, site: u32, printers: u32) -> anyhow::Result<Vec<String>> {
        let recordings =
            Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers"))?;
        // The small fixtures hold only what one library asks for; these are whole walks.
        let whole = recordings.iter().filter(|recording| recording.objects().len() > 500);
        let mut whole = whole.cycle().skip(self.office.all().len());
        let mut devices = Vec::new();
        for device in 1..=printers {
            let recording = whole.next().context("there are no whole recordings in testdata/printers")?;
            devices.push(self.start_printer(recording, site, device)?);
        }
        Ok(devices)
    }

    fn start_printer(&self, recording: &Arc<Recording>, site: u32, device: u32) -> anyhow::Result<String> {
        let printer =
            self.runtime.block_on(Printer::start(Arc::clone(recording), PrinterSettings::default()))?;
        printer.set_serial(&format!("S{site:02}{device}{:05}", 7919 * site + device));
        let address = printer.address().to_string();
        self.office.add(&printer_name(site, device), printer)?;
        Ok(address)
    }

    /// A release folder; made when it is not there yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn release(&self, software: &str, counter: u64, build: u32) -> anyhow::Result<ReleaseFolder> {
        if software == FIRST_VERSION {
            return Ok(self.first_release.clone());
        }
        ReleaseFolder::make(&self.programs, self.folder.path(), software, counter, build)
    }

    /// The temporary folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A printer.
    ///
    /// # Errors
    /// When there is none.
    pub fn printer(&self, site: u32, device: u32) -> anyhow::Result<Arc<Printer>> {
        Ok(self.office.printer(&printer_name(site, device))?)
    }

    /// A site by its number.
    ///
    /// # Errors
    /// When there is none.
    pub fn site(&mut self, number: u32) -> anyhow::Result<&mut Site> {
        self.sites
            .iter_mut()
            .find(|site| site.number == number)
            .with_context(|| format!("there is no site {number}"))
    }

    /// Starts the center and all appliances.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.center.start()?;
        self.sites.iter_mut().try_for_each(Site::start)
    }

    /// Asks all appliances for their version and waits until the center has heard from every one.
    ///
    /// # Errors
    /// When one stays silent.
    pub fn hear_from_all(&self) -> anyhow::Result<()> {
        self.center.run(&["versions", "request", "--all"])?;
        eventually("every appliance's version at the center", PATIENCE, || {
            let versions = self.center.json(&["versions", "show"])?;
            let known = entries(&versions)
                .filter(|entry| entry.get("software").is_some_and(Value::is_string))
                .count();
            Ok((known == self.sites.len()).then_some(()))
        })
    }

    /// The faults of an appliance as the center knows them: all of them, or only those that are not over.
    ///
    /// # Errors
    /// As the center's command.
    pub fn faults(&self, number: u32, all: bool) -> anyhow::Result<Vec<Value>> {
        let agent = format!("AGENT{number:07}");
        let mut arguments = vec!["faults", "--agent", &agent];
        arguments.extend(all.then_some("--all"));
        Ok(entries(&self.center.json(&arguments)?).cloned().collect())
    }

    /// Reports in an appliance's outbox that have no receipt yet.
    ///
    /// # Errors
    /// As the appliance's command.
    pub fn unreceipted(&self, number: u32) -> anyhow::Result<usize> {
        let site = self.sites.iter().find(|site| site.number == number).context("no such site")?;
        Ok(entries(&site.json(&["outbox", "--waiting"])?).count())
    }

    /// Builds and signs a package to `target` with only what changed since the first release.
    ///
    /// # Errors
    /// As the center's commands.
    pub fn build_package(&self, target: &str, script: &str, further: &[&str]) -> anyhow::Result<String> {
        let new = self.release(target, 2, 2)?;
        let file = self.folder.path().join(format!("install-{target}.sh"));
        std::fs::write(&file, script)?;
        let script = ["--script", &file.to_string_lossy()].map(str::to_owned);
        let arguments: Vec<&str> = script.iter().map(String::as_str).chain(further.iter().copied()).collect();
        self.center.build_package(&new.path, Some(&self.first_release.path), &arguments)
    }

    /// Waits until a rollout is finished; gives its report.
    ///
    /// # Errors
    /// When it does not end.
    pub fn finished(&self, rollout: &str) -> anyhow::Result<Value> {
        eventually("the end of the rollout", PATIENCE, || {
            let report = self.center.json(&["rollout", "report", rollout])?;
            Ok(report.get("finished").is_some_and(|finished| !finished.is_null()).then_some(report))
        })
    }

    /// The last lines of every log, for a person who looks for what went wrong.
    #[must_use]
    pub fn logs(&self) -> String {
        let tail = |log: &str| {
            let lines: Vec<_> = log.lines().collect();
            lines
                .iter()
                .skip(lines.len().saturating_sub(30))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        let mut text = format!("--- center\n{}", tail(&self.center.log()));
        for site in &self.sites {
            text.push_str(&format!("--- {}\n{}", site.agent(), tail(&site.log())));
        }
        text
    }

    /// Runs something async on the stage's runtime.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.center.stop();
        // All at once: each takes a moment to end in order.
        std::thread::scope(|scope| {
            for site in &mut self.sites {
                scope.spawn(|| site.stop());
            }
        });
        if let Some(office) = self.post_office.take() {
            self.runtime.block_on(office.stop());
        }
    }
}

/// The objects of a list, or of the list in a field of an object.
pub fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value
        .as_array()
        .or_else(|| value.as_object().and_then(|object| object.values().find_map(Value::as_array)));
    list.into_iter().flatten()
}
